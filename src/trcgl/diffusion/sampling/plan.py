"""What to draw: how many images of each tail finding, and what each of them shows besides."""

from dataclasses import dataclass

from trcgl.config import SamplingParams
from trcgl.diffusion.generator.latents import Shown
from trcgl.diffusion.generator.prompts import prompt_text
from trcgl.diffusion.generator.rows import TrainingRows
from trcgl.diffusion.generator.saved import GeneratorCard
from trcgl.diffusion.sampling.counts import images_of
from trcgl.numerics.seeding import rng, seed_of


@dataclass(frozen=True)
class Sample:
    """One image to draw.

    Attributes:
        sample: unique name, such as synth-azygos_lobe-00003.
        target: the tail finding it is drawn for.
        carrier: the real training image it follows, moved by a few pixels.
        findings: everything its prompt names, the target among them.
        unknown: what its carrier's labels leave unknown, or what its prompt does not name though the carrier has it.
        prompt: what the text encoder reads.
        seed: of its initial noise, 0 to 2**63 - 1.
    """

    sample: str
    target: str
    carrier: Shown
    findings: tuple[str, ...]
    unknown: tuple[str, ...]
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
            # An image from pure noise shows what was asked for; one that starts from its carrier's may keep the rest
            kept = params.label_sets == "real" or params.strength < 1.0
            unknown = tuple(name for name in rows.findings[row] if name not in findings) + rows.unknown[row]
            reach = round(params.shift * card.size)
            right, down = rng(params.seed, "shift", target, number).integers(-reach, reach + 1, size=2)
            plan.append(
                Sample(
                    sample=f"synth-{'_'.join(target.replace('/', ' ').split())}-{number:05d}",
                    target=target,
                    carrier=Shown(rows.images[row], int(right), int(down)),
                    findings=findings,
                    unknown=unknown if kept else (),
                    prompt=prompt_text(card.prompt_template, rows.projections[row], findings, card.phrases),
                    seed=seed_of(params.seed, "noise", target, number),
                )
            )
    return plan
