"""Fresh real films of the tail findings: other patients of the same phantom hospital, as the pipeline would cache them.

What more data, and not more knowledge, would bring: the most that drawn images can hope for.
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
    """So many new films for each finding, all different, with the labels that the hospital's table would have.

    Args:
        dataset: whose patients are to be joined by others.
        wanted: films by tail finding.
        class_names: findings that a classifier is trained on; other labels are left out.

    Raises:
        ValueError: a finding of which the phantom makes no more.
    """
    quotas = training_quotas(dataset.phantom)
    if unknown := sorted(name for name, count in wanted.items() if count and not quotas.get(name)):
        raise ValueError(f"the phantom makes no more films of {unknown[0]}")
    times = 1 + SPARE * max((-(-count // quotas[name]) for name, count in wanted.items() if count), default=0)
    films = more_tail_images(dataset.seed, dataset.phantom, times)
    # In no order of findings: the films of one would otherwise be mostly those that another asked for
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
    """The film for the finding, of those that its labels name, of which most are still to come; None: for none."""
    written = written_findings(film)
    target = max(sorted(left), key=lambda name: left[name] if name in written else 0, default=None)
    if target is None or target not in written or not left[target]:
        return None
    return PoolImage(target, tuple(name for name in class_names if name in written), film.view.image)


def cached_picture(view: View, preparation: Preparation, size: int) -> np.ndarray:
    """The film as the cache would hold it: uint8 [size, size]."""
    film, _ = render(view)
    window = window_to_uint8(film, preparation.window_low, preparation.window_high)
    return resize_square(window, size, preparation.resize)
