"""Accept or reject every synthetic image: data/synthetic_audit.parquet, metrics/synthetic*, data card and pictures."""

import sys
from pathlib import Path

from trcgl.artifacts.class_list import read_classes
from trcgl.audit import audit_metrics, audit_synthetic, draw_audit, synthetic_card
from trcgl.config import load_params
from trcgl.numerics.device import pick_device, use_threads
from trcgl.runtime.files import directory_beside, write_csv, write_json, write_parquet, write_text
from trcgl.runtime.memory import naming_the_knob
from trcgl.runtime.stage import run_stage


@naming_the_knob(None)
def main() -> None:
    params = load_params()
    use_threads(params.compute.threads)
    synthetic, images = Path("data/synthetic"), Path("data/images/classifier")
    classes = read_classes("data/labels/classes.json")["classes"]
    audit = audit_synthetic(
        synthetic,
        images,
        Path("data/labels/labels.parquet"),
        Path("data/models/baseline"),
        Path("data/models/diffusion"),
        [entry["name"] for entry in classes if entry["group"] == "tail"],
        params.audit,
        pick_device(params.compute.device),
    )
    with directory_beside("metrics/plots/audit_synthetic") as folder:
        draw_audit(audit, synthetic, images, folder)
    write_text("metrics/synthetic_card.md", synthetic_card(audit, params.audit))
    write_csv("metrics/synthetic_per_class.csv", audit.per_class)
    write_json("metrics/synthetic.json", audit_metrics(audit))
    write_parquet("data/synthetic_audit.parquet", audit.verdicts)


if __name__ == "__main__":
    sys.exit(run_stage(main))
