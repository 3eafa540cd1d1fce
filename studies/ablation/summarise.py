"""The arms of a study that have run with every seed: tables in metrics/, the figure, the table in docs/results.md."""

import sys

import pandas as pd

from comparison.figure import difference_forest
from comparison.numbers import arm_metrics, best_on_validation, comparisons, finished, load_runs, results_block
from study.arms import load_study
from study.places import ROOT
from trcgl.artifacts.class_list import read_classes
from trcgl.runtime.figures import save_figure
from trcgl.runtime.files import replace_between, write_csv
from trcgl.runtime.stage import run_stage


def main() -> None:
    planned = load_study(".")
    study = finished(planned)
    classes = pd.DataFrame(read_classes(study.data / "labels/classes.json")["classes"])
    runs = load_runs(study, classes)
    metrics = arm_metrics(runs)
    best = best_on_validation(metrics, study)
    summary = comparisons(runs, study, best)
    chosen = {arm: study.chosen(arm) for arm in study.arms}
    write_csv(ROOT / f"metrics/{study.name}.csv", metrics)
    write_csv(ROOT / f"metrics/{study.name}_summary.csv", summary)
    panels = {name: arm.panel for name, arm in study.arms.items()}
    save_figure(difference_forest(summary, "tail_mAP", panels), ROOT / f"docs/figures/{study.name}.png")
    block = results_block(metrics, summary, study, best, chosen, planned)
    replace_between(ROOT / "docs/results.md", study.name, block)


if __name__ == "__main__":
    sys.exit(run_stage(main))
