"""Pools of grafts whose regions do not come from a generator.

Such a pool has as many images as the pool drawn_informed has accepted ones; all else is the same. The grafts are not
audited: every planned graft is in the pool.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from study.arms import Study
from study.pools import PoolImage, accepted_counts, write_pool
from trcgl.artifacts.class_list import read_classes
from trcgl.artifacts.shards import ShardedImages
from trcgl.diffusion.generator.rows import ABOUT, TrainingRows, class_names, training_rows
from trcgl.diffusion.generator.saved import GeneratorCard
from trcgl.diffusion.sampling.graft import soft_edged
from trcgl.diffusion.sampling.grafted_plan import Regions, plan_grafts
from trcgl.diffusion.sampling.sample import starting_pictures
from trcgl.runtime.files import read_parquet

RegionOf = Callable[[str, str], np.ndarray | None]
"""Image and finding -> region, bool [M, M], M at least the film's side; None: such a film gives no region."""


def write_grafts(study: Study, replicate: int, pool: str, region_of: RegionOf, images: ShardedImages) -> None:
    """Make a pool of the replicate.

    Args:
        study: as loaded for the replicate.
        images: the replicate's images, as the classifier reads them.
    """
    sampling, size = study.params().sampling, images.size
    labels = read_parquet(study.data / "labels/labels.parquet", ABOUT)
    classes = read_classes(study.data / "labels/classes.json")
    rows = training_rows(labels, classes, list(images.index["image"]))
    wanted = accepted_counts(study.pool_of("drawn_informed", replicate))
    shares = {
        (film, target): soft_edged(region, size)
        for target, films in rows.carriers.items()
        for film in films.tolist()
        if target in wanted and (region := region_of(rows.images[film], target)) is not None
    }
    rows = replace(rows, carriers=_giving(rows, set(shares)))
    most = replace(sampling, images_per_finding=max(wanted.values(), default=0), images_per_real_image=None)
    regions = Regions(lambda film, target: shares[film, target])
    # The prompts are not used
    card = GeneratorCard("", None, False, "{findings}", "", 0, 0, 0, size, {n: n for n in class_names(classes)})
    plan = plan_grafts(rows, card, most, images, regions)
    plan = [sample for sample in plan if int(sample.sample.rpartition("-")[2]) < wanted[sample.target]]
    made = [PoolImage(s.target, s.findings, f"{s.source} on {s.carrier.image}", s.unknown) for s in plan]
    pictures = (starting_pictures([sample], images, regions)[0] for sample in plan)
    write_pool(study.pool_of(pool, replicate), pool.replace("_", "-"), made, pictures, size)


def _giving(rows: TrainingRows, known: set[tuple[int, str]]) -> dict[str, np.ndarray]:
    """For each target finding, the images that give a region; a target without any is left out."""
    films = {
        target: np.array([film for film in having.tolist() if (film, target) in known], dtype=np.int64)
        for target, having in rows.carriers.items()
    }
    return {target: giving for target, giving in films.items() if len(giving)}
