"""The plan with `carriers: grafted`: a region of one image (the source) is pasted into another patient's image.

Every image with the target is used as a source once before any is used again. The carrier is chosen from a few dozen
images of other patients without any finding. The one that is most similar to the source around the region is taken,
because the seam is least visible there. A region is pasted into the same carrier again only when no other carrier is
left.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from trcgl.artifacts.pixels import resized
from trcgl.artifacts.shards import ShardedImages
from trcgl.config import SamplingParams
from trcgl.diffusion.generator.prompts import guided_embeddings
from trcgl.diffusion.generator.rows import TrainingRows
from trcgl.diffusion.generator.saved import Generator, GeneratorCard
from trcgl.diffusion.generator.wording import prompt_text
from trcgl.diffusion.sampling.counts import images_of
from trcgl.diffusion.sampling.finding_map import finding_map
from trcgl.diffusion.sampling.graft import brightness, graft, region_of, soft_edged, surrounding
from trcgl.diffusion.sampling.kept import keep, kept
from trcgl.diffusion.sampling.plan import Sample, check_normal, moved, parts_of_names, plan_samples
from trcgl.numerics.seeding import rng, seed_of
from trcgl.runtime.errors import InputError
from trcgl.runtime.logging import get_logger, progress
from trcgl.runtime.memory import naming_the_knob

log = get_logger("diffusion")

CANDIDATES = 60
"""Number of possible carriers that are compared for each sample. With more, the same few carriers would always win."""
COMPARED = 64
"""Side in pixels of the reduced images for this comparison."""


@dataclass(frozen=True)
class Regions:
    """Regions of findings in real images. Each region is computed once.

    Attributes:
        find: function that maps (position of a training row, a finding of that row) to the share of each pixel, float32
            [S, S], see `soft_edged`.
        folder: stores the regions that this run has found; the same one for all processes. None: they are kept in
            memory only.
    """

    find: Callable[[int, str], np.ndarray]
    folder: Path | None = None
    _found: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def add(self, rows: TrainingRows, row: int, finding: str) -> None:
        """Find an image's region, unless it is already known.

        Raises:
            InputError: the generator cannot locate the finding in the image.
        """
        key = rows.images[row], finding
        if key in self._found:
            return
        file = None if self.folder is None else self.folder / f"region-{seed_of(*key):016x}.npz"
        pixels = None if file is None else kept(file)
        if pixels is None:
            pixels = np.rint(self.find(row, finding) * 255).astype(np.uint8)
            if file is not None:
                keep(file, pixels)
        if not pixels.any():
            raise InputError(
                f"'sampling.carriers' is grafted, but the generator cannot locate '{finding}' in image '{key[0]}' (it "
                "predicts the same with and without it); raise 'diffusion.steps', or set carriers to normal and "
                "'sampling.strength' to 0.85"
            )
        # Compressed: thousands of regions of large images would not fit in memory
        self._found[key] = cv2.imencode(".png", pixels)[1].tobytes()

    def __getitem__(self, key: tuple[str, str]) -> np.ndarray:
        """Share of each pixel, float32 [S, S]: the region of (image, finding)."""
        decoded = cv2.imdecode(np.frombuffer(self._found[key], np.uint8), cv2.IMREAD_GRAYSCALE)
        assert decoded is not None
        return decoded.astype(np.float32) / 255


def map_of(
    generator: Generator, rows: TrainingRows, images: ShardedImages, row: int, finding: str, params: SamplingParams
) -> np.ndarray:
    """Where the generator sees a finding of an image: float32 [S, S], see `finding_map`.

    Args:
        row: the image's position in `rows`. Its other findings are named in both prompts.
    """
    card, view, patient = generator.card, rows.projections[row], rows.patient_words[row]
    shown = rows.findings[row], tuple(name for name in rows.findings[row] if name != finding)
    texts = [prompt_text(card.wording, view, names, card.phrases, patient) for names in shown]
    embedded, _ = guided_embeddings(generator.pipeline, generator.tokens, texts, shown)
    film = images.read([rows.images[row]])[0]
    return finding_map(
        generator.pipeline, film, embedded[:1], embedded[1:], batch=params.micro_batch, image=rows.images[row]
    )


def regions_seen(
    generator: Generator, rows: TrainingRows, images: ShardedImages, params: SamplingParams, folder: Path | None = None
) -> Regions:
    """Regions from the generator's finding maps, thresholded at `params.region_threshold`; see `region_of`."""

    def find(row: int, finding: str) -> np.ndarray:
        with naming_the_knob("'sampling.micro_batch'"):
            differences = map_of(generator, rows, images, row, finding, params)
        return soft_edged(region_of(differences, params.region_threshold), images.size)

    return Regions(find, folder)


def find_share(
    regions: Regions, rows: TrainingRows, params: SamplingParams, *, process: int = 0, processes: int = 1
) -> None:
    """Find one process's share of the regions that the plan needs, if it needs any. This is its slowest part.

    Raises:
        InputError: the plan could not be made of them.
    """
    if params.carriers == "grafted":
        check_normal(rows, params)
        films = list(dict.fromkeys(_sources(rows, params).values()))[process::processes]
        # One progress bar is enough, because all processes have equal shares
        for film, target in progress(films, what="finding regions") if process == 0 else films:
            regions.add(rows, film, target)


def plan_images(
    generator: Generator, rows: TrainingRows, images: ShardedImages, params: SamplingParams, regions: Regions
) -> list[Sample]:
    """The plan for the carriers that `params` names."""
    if params.carriers != "grafted":
        return plan_samples(rows, generator.card, params)
    return plan_grafts(rows, generator.card, params, images, regions)


def _sources(rows: TrainingRows, params: SamplingParams) -> dict[tuple[str, int], tuple[int, str]]:
    """(target, number of the sample) -> (row of the image that provides the region, target), in plan order."""
    sources = {}
    for target, having in sorted(rows.carriers.items()):
        for number in range(images_of(len(having), params)):
            turn, place = divmod(number, len(having))
            film = rng(params.seed, "graft", target, turn).permutation(having)[place]
            sources[target, number] = int(film), target
    return sources


def plan_grafts(
    rows: TrainingRows, card: GeneratorCard, params: SamplingParams, images: ShardedImages, regions: Regions
) -> list[Sample]:
    """The images to make, finding by finding. Asking for more images of a finding only adds samples of that finding.

    Only the target is labelled as present. The source's other findings are labelled as unknown, because the pasted
    region may show them, too.

    Args:
        images: hold the real images of `rows`.
        regions: this function adds the regions that the plan needs.

    Raises:
        InputError: no image without findings belongs to another patient, or a finding cannot be located.
    """
    check_normal(rows, params)
    plan = []
    named = parts_of_names(sorted(rows.carriers))
    patients = np.unique(rows.patients, return_inverse=True)[1]
    views = np.array(rows.projections)
    used: dict[tuple[int, str], set[int]] = {}
    for (target, number), (film, _) in progress(_sources(rows, params).items(), what="choosing films"):
        regions.add(rows, film, target)
        others = rows.normal[patients[rows.normal] != patients[film]]
        if not len(others):
            raise InputError(
                f"'sampling.carriers' is grafted, but all training images without a finding are of the patient of "
                f"'{rows.images[film]}'; set carriers to own and 'sampling.strength' to 0.55"
            )
        alike = others[views[others] == views[film]]
        alike = alike if len(alike) else others
        fresh = np.setdiff1d(alike, list(used.setdefault((film, target), set())))
        choice = rng(params.seed, "carrier", target, number).permutation(fresh if len(fresh) else alike)
        share = regions[rows.images[film], target]
        carrier = _most_alike(choice[:CANDIDATES], film, share, rows, images)
        used[film, target].add(carrier)
        unknown = (*rows.findings[film], *rows.unknown[film], *rows.unknown[carrier])
        plan.append(
            Sample(
                sample=f"synth-{named[target]}-{number:05d}",
                target=target,
                carrier=moved(rows.images[carrier], card, params, target, number),
                source=rows.images[film],
                findings=(target,),
                unknown=tuple(dict.fromkeys(name for name in unknown if name != target)),
                prompt=prompt_text(
                    card.wording, rows.projections[carrier], (target,), card.phrases, rows.patient_words[carrier]
                ),
                seed=seed_of(params.seed, "noise", target, number),
            )
        )
    films = {(sample.source, sample.target) for sample in plan}
    log.info("%d regions with a tail finding in real films, each laid into films without any", len(films))
    return plan


def _most_alike(candidates: np.ndarray, film: int, share: np.ndarray, rows: TrainingRows, images: ShardedImages) -> int:
    """The candidate (row) that differs least from the image `film` around the region."""
    pictures = images.read([rows.images[row] for row in (film, *candidates)])
    if len(share) > COMPARED:
        pictures = resized(pictures, COMPARED)
        share = cv2.resize(share, (COMPARED, COMPARED), interpolation=cv2.INTER_AREA)
    around = surrounding(share)
    return int(candidates[np.argmin([brightness(carrier, pictures[0], around)[2] for carrier in pictures[1:]])])


def grafted(sample: Sample, images: ShardedImages, regions: Regions) -> np.ndarray:
    """The sample's carrier, not shifted, with the region of its source pasted in: uint8 [S, S]."""
    assert sample.source is not None
    carrier, film = images.read([sample.carrier.image, sample.source])
    return graft(carrier, film, regions[sample.source, sample.target])
