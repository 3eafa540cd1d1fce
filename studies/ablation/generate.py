"""The generator of one seed, fitted anew: fine-tuning, sampling and audit by the pipeline's own stage scripts.

The judge is not trained here: it is the model that the arm of the plain head leaves for this seed.
"""

import shutil
import sys
from pathlib import Path

from study.arms import JUDGE, SHIPPED, load_study
from study.places import ROOT, keep_state_in_studies
from study.shipped import shipped_verdicts
from study.workplace import run_stages
from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.files import directory_beside, write_parquet
from trcgl.runtime.stage import run_stage

STAGES = ("finetune_diffusion", "sample_tail", "audit_synthetic")
LINKED = ("images", "labels")
KEPT = ("data/synthetic", "data/synthetic_audit.parquet", "metrics/synthetic.json", "metrics/synthetic_per_class.csv")


def main() -> None:
    seed = int(sys.argv[1])
    keep_state_in_studies()
    study = load_study(".")
    values = study.values({"diffusion.seed": seed, "sampling.seed": seed})
    judge = study.run_of(JUDGE, seed) / "model"
    links = {part: study.data / part for part in LINKED} | {"assets": ROOT / "data/assets", "models/baseline": judge}
    resume = ResumePoint(
        f"{study.name}-generator-{seed}",
        params=values,
        inputs=[
            *(ROOT / "stages" / f"{stage}.py" for stage in STAGES),
            *(study.data / part for part in ("images/diffusion/index.parquet", "labels/labels.parquet")),
            judge,
        ],
    )
    work = run_stages(ROOT, STAGES, values, links, resume)
    shipped = shipped_verdicts(study, work / "data/synthetic", work / "data/synthetic_audit.parquet")
    with directory_beside(f"runs/generator-{seed}") as folder:
        # Copied: a run that is killed here finds all of it again. The models stay behind; nobody needs them any more
        for kept in KEPT:
            copy = shutil.copytree if (work / kept).is_dir() else shutil.copy
            copy(work / kept, folder / Path(kept).name)
        write_parquet(folder / SHIPPED, shipped)
    resume.clear()


if __name__ == "__main__":
    sys.exit(run_stage(main))
