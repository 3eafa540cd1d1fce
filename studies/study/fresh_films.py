"""Fresh real images of the tail findings: new patients of the same phantom hospital, as the pipeline would cache them.

They show the gain from more real data. It is the upper limit of what generated images can bring.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from study.pools import PoolImage
from trcgl.artifacts.preparation import Preparation
from trcgl.config import DatasetParams
from trcgl.images.resize import resize_square, window_to_uint8
from trcgl.numerics.seeding import seed_of
from trcgl.phantom.population import Image, more_tail_images, training_quotas
from trcgl.phantom.render import View, render
from trcgl.phantom.table import written_findings

SPARE = 2
"""Times as many as are asked for: of films with two tail findings, one counts."""


def fresh_films(
    dataset: DatasetParams, wanted: Mapping[str, int], class_names: Sequence[str]
) -> list[tuple[PoolImage, View]]:
    """The wanted number of new images per finding, all different, with the labels that the hospital's table would have.

    Args:
        dataset: the data set whose hospital the new patients come from.
        wanted: number of images by tail finding.
        class_names: findings that a classifier is trained on; other labels are left out.

    Raises:
        ValueError: the phantom cannot make more images of a finding, or it made too few.
    """
    quotas = training_quotas(dataset.phantom)
    if unknown := sorted(name for name, count in wanted.items() if count and not quotas.get(name)):
        raise ValueError(f"the phantom makes no more films of {unknown[0]}")
    times = 1 + SPARE * max((-(-count // quotas[name]) for name, count in wanted.items() if count), default=0)
    films = more_tail_images(dataset.seed, dataset.phantom, times)
    # Shuffled by hash: in the order of findings, the images of one would mostly be those made for another
    films.sort(key=lambda film: seed_of(dataset.seed, "fresh films", film.view.image))
    left, chosen = dict(wanted), []
    for film in films:
        if (extra := _for_one(film, left, class_names)) is not None:
            left[extra.target] -= 1
            chosen.append((extra, film.view))
    if any(left.values()):
        raise ValueError(f"too few fresh films: {left} are missing")
    return sorted(chosen, key=lambda entry: entry[0].target)


def _for_one(film: Image, left: Mapping[str, int], class_names: Sequence[str]) -> PoolImage | None:
    """The image as an example of that labelled finding which still lacks most images; None if none lacks any."""
    written = written_findings(film)
    target = max(sorted(left), key=lambda name: left[name] if name in written else 0, default=None)
    if target is None or target not in written or not left[target]:
        return None
    return PoolImage(target, tuple(name for name in class_names if name in written), film.view.image)


def cached_picture(view: View, preparation: Preparation, size: int) -> np.ndarray:
    """The image as the cache would hold it: uint8 [size, size]."""
    film, _ = render(view)
    window = window_to_uint8(film, preparation.window_low, preparation.window_high)
    return resize_square(window, size, preparation.resize)
