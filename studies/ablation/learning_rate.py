"""Choose an arm's learning rate, and its knob if it has one, on validation images, by runs as long as the study's."""

import json
import os
import shutil
import sys

from study.arms import Chosen, load_study
from study.bracketing import bracketed
from study.places import ROOT, keep_state_in_studies
from study.runs import real_files, steps_like
from trcgl.classifier.training.run import train_and_save
from trcgl.classifier.training.train import NotFinite
from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.files import directory_beside, write_json
from trcgl.runtime.logging import get_logger
from trcgl.runtime.resume_folder import resume_root
from trcgl.runtime.stage import run_stage

log = get_logger("learning_rate")


def main() -> None:
    arm = sys.argv[1]
    keep_state_in_studies()
    study = load_study(".")
    os.chdir(ROOT)
    rates, files = study.learning_rates, real_files(study.data)
    steps, name = steps_like(study, arm, files), f"{study.name}-learning-rate-{arm}"
    settings = [{key: value} for key, values in study.arms[arm].chosen_from.items() for value in values] or [{}]
    first = [study.arm_params(arm, seed, Chosen(rates.grid[0], knobs)) for knobs in settings for seed in rates.seeds]
    resume = ResumePoint(f"{name}-tried", params=(first, rates, steps), inputs=files.hashed())
    # (rate, knobs, seed) as JSON text -> mAP; a restarted script does not repeat finished trainings
    finished: dict[str, float] = resume.load() or {}

    def run(chosen: Chosen, seed: int) -> float:
        """The best mAP on validation images; 0 if training diverged to values that are not finite."""
        of_run = f"{name}-{chosen.rate:g}-{seed}"
        params = study.arm_params(arm, seed, chosen)
        try:
            trained = train_and_save(
                of_run,
                params,
                params.classifier,
                files,
                model=None,
                history=resume.folder / "history.csv",
                steps_per_epoch=steps,
            )
        except NotFinite as error:
            log.warning("learning rate %g, seed %d: %s", chosen.rate, seed, error)
            shutil.rmtree(resume_root() / of_run, ignore_errors=True)
            return 0.0
        return float(trained.history["val_mAP"].max())

    def score(chosen: Chosen) -> float:
        """Mean of `run` over the seeds."""
        found = []
        for seed in rates.seeds:
            key = json.dumps([chosen.rate, chosen.knobs, seed])
            if key not in finished:
                finished[key] = run(chosen, seed)
                resume.save(finished)
            found.append(finished[key])
        return sum(found) / len(found)

    with directory_beside(study.rate_file(arm).parent) as folder:
        middle, knobs = rates.grid[len(rates.grid) // 2], settings[0]
        if len(settings) > 1:
            # The first of equally good ones
            knobs = max(settings, key=lambda knobs: score(Chosen(middle, knobs)))
        rate = bracketed(
            rates.grid, lambda rate: score(Chosen(rate, knobs)), of=f"{study.file}, learning_rates, arm '{arm}'"
        )
        tried = [
            {"learning_rate": rate, **knobs, "seed": seed, "val_mAP": found}
            for (rate, knobs, seed), found in ((json.loads(key), found) for key, found in finished.items())
        ]
        write_json(folder / study.rate_file(arm).name, {"chosen": rate, "knobs": knobs, "tried": tried})
    resume.clear()


if __name__ == "__main__":
    sys.exit(run_stage(main))
