"""Prepare the data of a study with its own images: the pipeline's scripts render or read, label, cache and count them.

A study with several data sets names one as the argument. `kept` in its params.yaml lists further files to keep.
"""

import shutil
import sys

from study.parameters import load_pipeline
from study.places import ROOT, keep_state_in_studies
from study.workplace import run_stages
from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.files import directory_beside, written_beside
from trcgl.runtime.settings import read_yaml
from trcgl.runtime.stage import run_stage

STAGES = ("make_phantom", "scan_images", "parse_labels", "cache_images", "build_cooccurrence")
KEPT = ("labels", "images", "graph")


def main() -> None:
    keep_state_in_studies()
    study = load_pipeline(".", *sys.argv[1:])
    values = study.values()
    scripts = [ROOT / "stages" / f"{stage}.py" for stage in STAGES]
    resume = ResumePoint(f"{study.name}-data", params=values, inputs=scripts)
    work = run_stages(ROOT, STAGES, values, {"assets": ROOT / "data/assets"}, resume)
    for kept in (*KEPT, *read_yaml(study.file).get("kept", ())):
        if (source := work / "data" / kept).is_dir():
            with directory_beside(study.data / kept) as folder:
                shutil.copytree(source, folder, dirs_exist_ok=True)
        else:
            with written_beside(study.data / kept) as file:
                shutil.copy(source, file)
    resume.clear()


if __name__ == "__main__":
    sys.exit(run_stage(main))
