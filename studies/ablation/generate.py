"""The generator of one seed, fitted anew: fine-tuning, sampling and audit by the pipeline's own stage scripts.

The judge is not trained here: it is the model that the arm of the plain head leaves for this seed.
"""

import os
import shutil
import sys
from pathlib import Path

from study.arms import JUDGE, load_study
from study.workplace import run_stages
from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.files import directory_beside
from trcgl.runtime.stage import run_stage

ROOT = Path(__file__).resolve().parents[2]
STAGES = ("finetune_diffusion", "sample_tail", "audit_synthetic")
LINKED = ("images", "labels")
KEPT = ("data/synthetic", "data/synthetic_audit.parquet", "metrics/synthetic.json", "metrics/synthetic_per_class.csv")


def main() -> None:
    seed = int(sys.argv[1])
    os.environ.setdefault("DVC_ROOT", str(ROOT))
    study = load_study(".")
    values = study.values(study.generator_overrides(seed))
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
    with directory_beside(f"runs/generator-{seed}") as folder:
        # The models stay behind: nobody needs them once their images are judged
        for kept in KEPT:
            shutil.move(work / kept, folder / Path(kept).name)
    resume.clear()


if __name__ == "__main__":
    sys.exit(run_stage(main))
