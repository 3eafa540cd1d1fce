"""Fine-tune a base generator for a replicate, sample from it and audit the samples, by the pipeline's own stages."""

import sys

from study.arms import load_study
from study.generator import STAGES, drawn_images
from study.places import keep_state_in_studies
from trcgl.runtime.settings import read_yaml
from trcgl.runtime.stage import run_stage

__all__ = ["STAGES"]


def main() -> None:
    base, replicate = sys.argv[1:]
    keep_state_in_studies()
    study = load_study(".", replicate)
    folder = (study.folder / read_yaml(study.file)["pretrain"] / "bases" / base).resolve()
    values = study.values({"diffusion.base": str(folder)})
    out, judge = study.pool_of(f"drawn_{base}", int(replicate)), study.folder / f"runs/judge-{replicate}/model"
    with drawn_images(f"{study.name}-{base}", study, values, judge, out, inputs=[folder]):
        pass


if __name__ == "__main__":
    sys.exit(run_stage(main))
