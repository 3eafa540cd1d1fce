"""Fit the generator of one seed: fine-tuning, sampling and audit by the pipeline's own stage scripts.

The judge is not trained here: it is the model that the plain-head arm (JUDGE) saved for this seed.
"""

import sys
from pathlib import Path

from study.arms import JUDGE, SHIPPED, load_study
from study.generator import KEPT, LINKED, STAGES, drawn_images
from study.places import keep_state_in_studies
from study.shipped import shipped_verdicts
from trcgl.runtime.files import write_parquet
from trcgl.runtime.stage import run_stage

__all__ = ["KEPT", "LINKED", "STAGES"]


def main() -> None:
    seed = int(sys.argv[1])
    keep_state_in_studies()
    study = load_study(".")
    values = study.values({"diffusion.seed": seed, "sampling.seed": seed})
    name, judge = f"{study.name}-generator-{seed}", study.run_of(JUDGE, seed) / "model"
    with drawn_images(name, study, values, judge, Path(f"runs/generator-{seed}")) as (work, folder):
        shipped = shipped_verdicts(study, work / "data/synthetic", work / "data/synthetic_audit.parquet")
        write_parquet(folder / SHIPPED, shipped)


if __name__ == "__main__":
    sys.exit(run_stage(main))
