"""Judge every synthetic image: data/synthetic_audit.parquet, metrics/synthetic.json, the card and a picture."""

import sys
from pathlib import Path

import torch

from trcgl.config import load_params
from trcgl.diffusion.audit import audit_metrics, audit_synthetic, draw_audit, synthetic_card
from trcgl.runtime.errors import exit_code
from trcgl.runtime.files import directory_beside, read_json, write_json, write_parquet, written_beside


def main() -> None:
    params = load_params()
    torch.set_num_threads(params.compute.threads)
    classes = read_json("data/labels/classes.json")["classes"]
    audit = audit_synthetic(
        Path("data/synthetic"),
        Path("data/images/classifier"),
        Path("data/labels/labels.parquet"),
        Path("data/models/baseline"),
        params.audit,
    )
    tail = [entry["name"] for entry in classes if entry["group"] == "tail"]
    with directory_beside("metrics/plots/audit_synthetic") as folder:
        draw_audit(audit, Path("data/synthetic"), Path("data/images/classifier"), folder)
    with written_beside("metrics/synthetic_card.md") as beside:
        beside.write_text(synthetic_card(audit, tail, params.audit), encoding="utf-8")
    write_json("metrics/synthetic.json", audit_metrics(audit, tail))
    write_parquet("data/synthetic_audit.parquet", audit)


if __name__ == "__main__":
    sys.exit(exit_code(main))
