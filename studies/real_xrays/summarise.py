"""Out-of-fold scores and pointing accuracy of all arms: metrics/<name>*.csv, tables, figures, docs/results.md.

With an argument, the accuracy of the class maps also goes to metrics/<argument>*.csv and to a sheet of maps.
"""

import sys

import pandas as pd

from comparison.figure import difference_forest
from comparison.folds import Pointing, differences, finished, fold_metrics, load_folds, localisation
from comparison.folds_text import folds_block
from comparison.maps_sheet import maps_sheet
from study.arms import load_study
from study.folds import CLASSES, scored_images
from study.places import ROOT
from trcgl.artifacts.class_list import read_classes
from trcgl.runtime.figures import save_figure
from trcgl.runtime.files import replace_between, write_csv
from trcgl.runtime.settings import read_yaml
from trcgl.runtime.stage import run_stage

SHEET = 56
"""Class maps that are drawn."""


def main() -> None:
    planned = load_study(".")
    settings = read_yaml(planned.file)
    folds = settings["folds"]
    study = finished(planned, folds)
    classes = pd.DataFrame(read_classes(study.data / CLASSES)["classes"])
    runs, places = load_folds(study, folds, scored_images(study.data), classes)
    pointing = Pointing(places, study.resamples) if len(places) else None
    metrics, summary = fold_metrics(runs), differences(runs, pointing, study)
    table = pd.DataFrame(columns=["arm", "method", "finding"]) if pointing is None else localisation(pointing)
    write_csv(ROOT / f"metrics/{study.name}.csv", metrics)
    write_csv(ROOT / f"metrics/{study.name}_summary.csv", summary)
    panels = {name: arm.panel for name, arm in study.arms.items()}
    save_figure(difference_forest(summary, settings["shown"], panels), ROOT / f"docs/figures/{study.name}.png")
    for maps in sys.argv[1:]:
        means = table[table["finding"] == "(mean)"].drop(columns="finding")
        write_csv(ROOT / f"metrics/{maps}.csv", means)
        write_csv(ROOT / f"metrics/{maps}_findings.csv", table)
        sheet = maps_sheet(study, folds, SHEET, planned.params().images.resize)
        save_figure(sheet, ROOT / f"docs/figures/{study.name}_maps.png", dpi=60)
    block = folds_block(metrics, summary, table, study, planned)
    replace_between(ROOT / "docs/results.md", study.name, block)


if __name__ == "__main__":
    sys.exit(run_stage(main))
