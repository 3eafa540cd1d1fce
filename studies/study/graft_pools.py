"""Pools of grafts whose regions do not come from a generator; all else is as in the pipeline."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from study.arms import Study
from study.pools import PoolImage, accepted_counts, write_pool
from trcgl.artifacts.class_list import read_classes
from trcgl.artifacts.shards import ShardedImages
from trcgl.config import SamplingParams
from trcgl.diffusion.generator.rows import ABOUT, TrainingRows, class_names, training_rows
from trcgl.diffusion.generator.saved import GeneratorCard
from trcgl.diffusion.sampling.graft import soft_edged
from trcgl.diffusion.sampling.grafted_plan import Regions, plan_grafts
from trcgl.diffusion.sampling.sample import starting_pictures
from trcgl.runtime.files import read_parquet

RegionOf = Callable[[str, str], np.ndarray | None]
"""Image and finding -> region, bool [M, M], M at least the film's side; None: such a film gives no region."""


@dataclass(frozen=True)
class Grafts:
    """Grafts that are planned, with their pictures made when they are asked for.

    Attributes:
        entries: what each is, for a pool.
        pictures: uint8 [S, S] of each.
    """

    entries: list[PoolImage]
    pictures: Iterator[np.ndarray]


def planned_grafts(
    rows: TrainingRows,
    images: ShardedImages,
    sampling: SamplingParams,
    wanted: Mapping[str, int],
    region_of: RegionOf,
    names: Sequence[str],
    carriers: np.ndarray | None = None,
) -> Grafts:
    """The grafts that the pipeline would plan, with regions from `region_of`.

    A graft shows its target and what its carrier shows.

    Args:
        rows: the real images; those with a tail finding give regions.
        images: the pictures of `rows`.
        sampling: how they are made; how many is said by `wanted`.
        wanted: number of grafts per target finding; findings that are not named get none.
        names: all findings.
        carriers: positions of the rows that regions may be laid into; None: those without any finding.
    """
    shares = {
        (film, target): soft_edged(region, images.size)
        for target, films in rows.carriers.items()
        for film in films.tolist()
        if target in wanted and (region := region_of(rows.images[film], target)) is not None
    }
    rows = replace(rows, carriers=_giving(rows, set(shares)), normal=rows.normal if carriers is None else carriers)
    shown = dict(zip(rows.images, rows.findings, strict=True))
    most = replace(sampling, images_per_finding=max(wanted.values(), default=0), images_per_real_image=None)
    regions = Regions(lambda film, target: shares[film, target])
    # The prompts are not used
    card = GeneratorCard("", None, False, "{findings}", "", 0, 0, 0, images.size, {name: name for name in names})
    plan = plan_grafts(rows, card, most, images, regions)
    plan = [sample for sample in plan if int(sample.sample.rpartition("-")[2]) < wanted[sample.target]]
    made = []
    for sample in plan:
        findings = tuple(dict.fromkeys((*sample.findings, *shown[sample.carrier.image])))
        unknown = tuple(name for name in sample.unknown if name not in findings)
        made.append(PoolImage(sample.target, findings, f"{sample.source} on {sample.carrier.image}", unknown))
    return Grafts(made, (starting_pictures([sample], images, regions)[0] for sample in plan))


def write_grafts(study: Study, replicate: int, pool: str, region_of: RegionOf, images: ShardedImages) -> None:
    """Make a pool of the replicate, with as many images as its pool drawn_informed has accepted ones.

    The grafts are not audited: every planned graft is in the pool.

    Args:
        study: as loaded for the replicate.
        images: the replicate's images, as the classifier reads them.
    """
    labels = read_parquet(study.data / "labels/labels.parquet", ABOUT)
    classes = read_classes(study.data / "labels/classes.json")
    rows = training_rows(labels, classes, list(images.index["image"]))
    wanted = accepted_counts(study.pool_of("drawn_informed", replicate))
    grafts = planned_grafts(rows, images, study.params().sampling, wanted, region_of, class_names(classes))
    write_pool(study.pool_of(pool, replicate), pool.replace("_", "-"), grafts.entries, grafts.pictures, images.size)


def _giving(rows: TrainingRows, known: set[tuple[int, str]]) -> dict[str, np.ndarray]:
    """For each target finding, the images that give a region; a target without any is left out."""
    films = {
        target: np.array([film for film in having.tolist() if (film, target) in known], dtype=np.int64)
        for target, having in rows.carriers.items()
    }
    return {target: giving for target, giving in films.items() if len(giving)}
