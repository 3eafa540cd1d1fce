"""The learning rate of one arm: the one of the grid with the best mAP on validation images, by shorter runs."""

import os
import sys

from study.arms import load_study
from study.places import ROOT, keep_state_in_studies
from study.runs import real_files, steps_like
from trcgl.classifier.training.run import train_and_save
from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.files import directory_beside, write_json
from trcgl.runtime.stage import run_stage


def main() -> None:
    arm = sys.argv[1]
    keep_state_in_studies()
    study = load_study(".")
    os.chdir(ROOT)
    files, name = real_files(study.data), f"{study.name}-learning-rate-{arm}"
    runs = {rate: study.rate_params(arm, rate) for rate in study.learning_rates.tried}
    resume = ResumePoint(f"{name}-tried", params=runs, inputs=files.hashed())
    tried: dict[str, float] = resume.load() or {}
    with directory_beside(study.rate_file(arm).parent) as folder:
        for rate, params in runs.items():
            if str(rate) not in tried:
                trained = train_and_save(
                    f"{name}-{rate}",
                    params,
                    params.classifier,
                    files,
                    model=None,
                    history=resume.folder / "history.csv",
                    steps_per_epoch=steps_like(study, arm, files),
                )
                tried[str(rate)] = float(trained.history["val_mAP"].max())
                resume.save(tried)
        # Of equals the first in the grid
        chosen = max(runs, key=lambda rate: tried[str(rate)])
        tried_rates = [{"learning_rate": rate, "val_mAP": tried[str(rate)]} for rate in runs]
        write_json(folder / study.rate_file(arm).name, {"chosen": chosen, "tried": tried_rates})
    resume.clear()


if __name__ == "__main__":
    sys.exit(run_stage(main))
