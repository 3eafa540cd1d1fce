"""The data of a study on images of its own: drawn or read, labelled, cached and counted by the pipeline's scripts."""

import os
import shutil
import sys
from pathlib import Path

from study.arms import load_study
from study.workplace import run_stages
from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.files import directory_beside
from trcgl.runtime.stage import run_stage

ROOT = Path(__file__).resolve().parents[2]
STAGES = ("make_phantom", "scan_images", "parse_labels", "cache_images", "build_cooccurrence")
KEPT = ("labels", "images", "graph")


def main() -> None:
    os.environ.setdefault("DVC_ROOT", str(ROOT))
    study = load_study(".")
    values = study.values(study.root)
    scripts = [ROOT / "stages" / f"{stage}.py" for stage in STAGES]
    resume = ResumePoint(f"{study.name}-data", params=values, inputs=scripts)
    work = run_stages(ROOT, STAGES, values, {"assets": ROOT / "data/assets"}, resume)
    for kept in KEPT:
        with directory_beside(study.data / kept) as folder:
            shutil.copytree(work / "data" / kept, folder, dirs_exist_ok=True)
    resume.clear()


if __name__ == "__main__":
    sys.exit(run_stage(main))
