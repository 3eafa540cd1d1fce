"""Describe the run on one page for any browser: metrics/report.html."""

import sys
from pathlib import Path

from trcgl.config import load_params
from trcgl.report.page import CONFIG, OURS, REFERENCE, read_table, report_page
from trcgl.report.pictures import classifier_curves, diffusion_loss, label_distribution, same_loss
from trcgl.runtime.figures import save_figure
from trcgl.runtime.files import directory_beside, read_json, write_text
from trcgl.runtime.stage import run_stage

METRICS, CLASSES = Path("metrics"), Path("data/labels/classes.json")
HISTORIES = {REFERENCE: METRICS / "baseline_history.csv", OURS: METRICS / "classifier_history.csv"}


def main() -> None:
    params = load_params()
    alike = same_loss(params, read_json(CONFIG, ["known_places"])["known_places"])
    histories = {model: read_table(path) for model, path in HISTORIES.items()}
    figures = {
        "label_distribution.png": label_distribution(read_json(CLASSES)["classes"]),
        "diffusion_loss.png": diffusion_loss(read_table(METRICS / "diffusion_loss.csv")),
        "classifier_curves.png": classifier_curves(histories, alike),
    }
    with directory_beside(METRICS / "plots/report") as folder:
        for name, figure in figures.items():
            save_figure(figure, folder / name)
    write_text(METRICS / "report.html", report_page(Path(), params))


if __name__ == "__main__":
    sys.exit(run_stage(main))
