"""The data of a study on images of its own: drawn or read, labelled, cached and counted by the pipeline's scripts."""

import shutil
import sys

from study.parameters import load_pipeline
from study.places import ROOT, keep_state_in_studies
from study.workplace import run_stages
from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.files import directory_beside
from trcgl.runtime.stage import run_stage

STAGES = ("make_phantom", "scan_images", "parse_labels", "cache_images", "build_cooccurrence")
KEPT = ("labels", "images", "graph")


def main() -> None:
    keep_state_in_studies()
    study = load_pipeline(".")
    values = study.values()
    scripts = [ROOT / "stages" / f"{stage}.py" for stage in STAGES]
    resume = ResumePoint(f"{study.name}-data", params=values, inputs=scripts)
    work = run_stages(ROOT, STAGES, values, {"assets": ROOT / "data/assets"}, resume)
    for kept in KEPT:
        with directory_beside(study.data / kept) as folder:
            shutil.copytree(work / "data" / kept, folder, dirs_exist_ok=True)
    resume.clear()


if __name__ == "__main__":
    sys.exit(run_stage(main))
