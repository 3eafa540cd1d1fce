"""What to draw: how many images of each tail finding, and what each of them shows besides."""

from dataclasses import dataclass

from trcgl.config import SamplingParams
from trcgl.diffusion.counts import images_of
from trcgl.diffusion.prompts import prompt_text
from trcgl.diffusion.rows import TrainingRows
from trcgl.diffusion.saved import GeneratorCard
from trcgl.runtime.seeding import rng, seed_of


@dataclass(frozen=True)
class Sample:
    """One image to draw.

    Attributes:
        sample: unique name, such as synth-azygos_lobe-00003.
        target: the tail finding it is drawn for.
        findings: everything its prompt names, the target among them.
        prompt: what the text encoder reads.
        seed: of its initial noise, 0 to 2**63 - 1.
    """

    sample: str
    target: str
    findings: tuple[str, ...]
    prompt: str
    seed: int


def plan_samples(rows: TrainingRows, card: GeneratorCard, params: SamplingParams) -> list[Sample]:
    """The images to draw, finding by finding; more images of a finding only append to it.

    Each follows a random real training image that carries the target: its view, and with `label_sets: real` also its
    label set, so that findings co-occur as they do in patients.
    """
    plan = []
    for target, carriers in sorted(rows.carriers.items()):
        for number in range(images_of(len(carriers), params)):
            row = carriers[rng(params.seed, "row", target, number).integers(len(carriers))]
            findings = rows.findings[row] if params.label_sets == "real" else (target,)
            plan.append(
                Sample(
                    sample=f"synth-{'_'.join(target.replace('/', ' ').split())}-{number:05d}",
                    target=target,
                    findings=findings,
                    prompt=prompt_text(card.prompt_template, rows.projections[row], findings, card.phrases),
                    seed=seed_of(params.seed, "noise", target, number),
                )
            )
    return plan
