"""All arms and seeds: metrics/ablation.csv, metrics/ablation_summary.csv, the table in docs/results.md, the figure."""

import sys
from pathlib import Path

import pandas as pd

from trcgl.evaluation.ablation import arm_metrics, best_on_validation, comparisons, load_runs, results_block
from trcgl.evaluation.plots import difference_forest, save_figure
from trcgl.evaluation.study import load_study
from trcgl.runtime.errors import exit_code
from trcgl.runtime.files import read_json, replace_between, write_csv

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    study = load_study(".")
    classes = pd.DataFrame(read_json(ROOT / "data/labels/classes.json")["classes"])
    runs = load_runs(Path("runs"), list(study.arms), study.seeds, classes)
    metrics = arm_metrics(runs)
    best = best_on_validation(metrics, study)
    summary = comparisons(runs, study, best)
    write_csv(ROOT / "metrics/ablation.csv", metrics)
    write_csv(ROOT / "metrics/ablation_summary.csv", summary)
    save_figure(difference_forest(summary, "tail_mAP"), ROOT / "docs/figures/ablation.png")
    replace_between(ROOT / "docs/results.md", "ablation", results_block(metrics, summary, study, best))


if __name__ == "__main__":
    sys.exit(exit_code(main))
