"""The judge of a replicate: the pipeline's baseline, the plain head on real images only."""

import os
import sys

from study.parameters import load_pipeline
from study.places import ROOT, keep_state_in_studies
from study.runs import real_files
from trcgl.classifier.training.run import train_and_save
from trcgl.runtime.files import directory_beside
from trcgl.runtime.stage import run_stage


def main() -> None:
    replicate = sys.argv[1]
    keep_state_in_studies()
    study = load_pipeline(".", replicate)
    params = study.params()
    os.chdir(ROOT)
    with directory_beside(study.folder / f"runs/judge-{replicate}") as folder:
        model, history = folder / "model", folder / "history.csv"
        train_and_save(
            f"{study.name}-judge", params, params.baseline, real_files(study.data), model=model, history=history
        )


if __name__ == "__main__":
    sys.exit(run_stage(main))
