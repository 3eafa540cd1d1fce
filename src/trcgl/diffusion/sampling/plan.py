"""The plan: how many images of each tail finding to generate, and what else each of them shows."""

from collections.abc import Sequence
from dataclasses import dataclass

from trcgl.config import SamplingParams
from trcgl.diffusion.generator.latents import Shown
from trcgl.diffusion.generator.rows import TrainingRows
from trcgl.diffusion.generator.saved import GeneratorCard
from trcgl.diffusion.generator.wording import prompt_text
from trcgl.diffusion.sampling.counts import images_of
from trcgl.numerics.seeding import rng, seed_of
from trcgl.runtime.errors import InputError


@dataclass(frozen=True)
class Sample:
    """One image to generate.

    Attributes:
        sample: unique name, such as synth-azygos_lobe-00003.
        target: the tail finding that the image is generated for.
        carrier: a real training image, shifted by a few pixels. The sample has the same view; below `strength` 1,
            denoising also starts from this image.
        source: the real training image whose region with the target is pasted into the carrier; None: no region is.
        findings: all findings that the prompt names, including the target.
        unknown: findings that are labelled as unknown, or that the carrier or source has in addition to `findings`.
        prompt: the text for the text encoder.
        seed: seed of the initial noise, 0 to 2**63 - 1.
    """

    sample: str
    target: str
    carrier: Shown
    source: str | None
    findings: tuple[str, ...]
    unknown: tuple[str, ...]
    prompt: str
    seed: int


def plan_samples(rows: TrainingRows, card: GeneratorCard, params: SamplingParams) -> list[Sample]:
    """The images to generate, finding by finding. Asking for more images of a finding only adds samples of it.

    Each sample takes its view from a random real training image with the target. With `label_sets: real` it also takes
    that image's label set, so that findings co-occur as they do in patients. With `carriers: normal` the carrier is an
    image of that view (where there is one) without any finding: the target then also appears with the anatomy of
    patients who do not have it.

    Raises:
        InputError: `carriers: normal`, and every training image has a finding.
    """
    if params.carriers == "normal":
        check_normal(rows, params)
    plan = []
    named = parts_of_names(sorted(rows.carriers))
    for target, having in sorted(rows.carriers.items()):
        for number in range(images_of(len(having), params)):
            row = having[rng(params.seed, "row", target, number).integers(len(having))]
            carrier = row if params.carriers == "own" else _normal_like(row, rows, params.seed, target, number)
            findings = rows.findings[row] if params.label_sets == "real" else (target,)
            unknown = rows.unknown[row] if params.label_sets == "real" else ()
            if params.strength < 1:
                # From pure noise, an image shows what the prompt names; from a carrier, it may keep its findings, too
                unknown += (*rows.findings[carrier], *rows.unknown[carrier])
            plan.append(
                Sample(
                    sample=f"synth-{named[target]}-{number:05d}",
                    target=target,
                    carrier=moved(rows.images[carrier], card, params, target, number),
                    source=None,
                    findings=findings,
                    unknown=tuple(dict.fromkeys(name for name in unknown if name not in findings)),
                    prompt=prompt_text(
                        card.wording, rows.projections[carrier], findings, card.phrases, rows.patient_words[carrier]
                    ),
                    seed=seed_of(params.seed, "noise", target, number),
                )
            )
    return plan


def check_normal(rows: TrainingRows, params: SamplingParams) -> None:
    """Raise an InputError if images are asked for, and every training image has a finding."""
    asked = any(images_of(len(having), params) for having in rows.carriers.values())
    if asked and not len(rows.normal):
        raise InputError(
            f"'sampling.carriers' is {params.carriers}, but every training image has a finding (a class of "
            "data/labels/classes.json; 'labels.not_findings' says which labels are none); set it to own and "
            "'sampling.strength' to 0.55"
        )


def moved(image: str, card: GeneratorCard, params: SamplingParams, target: str, number: int) -> Shown:
    """The image with a random shift of up to `params.shift` of its side in each direction."""
    reach = round(params.shift * card.size)
    right, down = rng(params.seed, "shift", target, number).integers(-reach, reach + 1, size=2)
    return Shown(image, int(right), int(down))


def parts_of_names(targets: Sequence[str]) -> dict[str, str]:
    """Target -> its part of a sample's name, without slashes and spaces; all different."""
    names: dict[str, str] = {}
    for number, target in enumerate(targets):
        name = "_".join(target.replace("/", " ").split())
        while name in names.values():
            name = f"{name}_{number}"
        names[target] = name
    return names


def _normal_like(row: int, rows: TrainingRows, *parts: str | int) -> int:
    """A random image without any finding, with the view of `row` if there are such images."""
    choice = rows.normal_of_view.get(rows.projections[row], rows.normal)
    return choice[rng("normal", *parts).integers(len(choice))]
