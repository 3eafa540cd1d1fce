"""Read the label table, choose images, splits and classes: data/labels/ and metrics/labels.json."""

import sys
from pathlib import Path

from trcgl.config import load_params
from trcgl.labels.adapters import read_table
from trcgl.labels.build import build_labels
from trcgl.labels.selection import by_reason
from trcgl.runtime.files import read_json, read_parquet, write_json
from trcgl.runtime.logging import get_logger
from trcgl.runtime.stage import run_stage

log = get_logger("labels")
RENDERER = Path("data/phantom/renderer.json")


def main() -> None:
    params = load_params()
    table = read_table(params.dataset.name, params.dataset.labels)
    manifest = read_parquet("data/manifest.parquet", ["path"], only=True)
    labels = build_labels(table, manifest, params.labels, params.dataset.split_file)
    assert table.source_rows == len(labels.labels) + len(labels.rejected), "rows in = kept + rejected"
    labels.write("data/labels")
    if len(labels.rejected):
        reasons = by_reason(labels.rejected["reason"])
        log.info("%d of %d rows are left out (%s)", len(labels.rejected), table.source_rows, reasons)
    metrics = labels.metrics
    if params.dataset.name == "phantom" and RENDERER.exists():
        # So that metrics from two renderer versions are not compared as if they came from one data set
        metrics["phantom_renderer_version"] = read_json(RENDERER, ["renderer_version"])["renderer_version"]
    write_json("metrics/labels.json", metrics)


if __name__ == "__main__":
    sys.exit(run_stage(main))
