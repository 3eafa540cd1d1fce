"""How long a stage needs before its own work starts: its imports, in a fresh process.

    PYTHONPATH=src python -m benchmarks.start_up

The stages up to the graph do not need torch and must not load it. The floor is an interpreter that loads pandas with
Arrow, which all of them need for tables. CPU time of a process that imports the stage's script.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
from benchmarks.report import print_rows, speed_row, write_results
from benchmarks.timing import take_turns

RESULT = Path("benchmarks/results/start_up.json")
COMMAND = "PYTHONPATH=src python -m benchmarks.start_up"
WITHOUT_TORCH = ("make_phantom", "scan_images", "parse_labels", "cache_images", "build_cooccurrence")
WITH_TORCH = ("train_classifier", "finetune_diffusion")


def fresh(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def load(stage: str) -> str:
    return f"import sys; sys.path.insert(0, 'stages'); import {stage}; print('torch' in sys.modules)"


def main() -> None:
    for stage in WITHOUT_TORCH:
        assert fresh(load(stage)).strip() == "False", f"{stage} loads torch"
    stages = (*WITHOUT_TORCH, *WITH_TORCH)
    rivals = {stage: lambda stage=stage: fresh(load(stage)) for stage in stages}
    timed = take_turns({**rivals, "pandas": lambda: fresh("import pandas, pyarrow.parquet")}, rounds=5, warm_up=False)
    rows = [
        speed_row(
            f"start-up of {stage}, against 1 s",
            ours=timed.median(stage),
            peer=1.0,
            floor=timed.median("pandas"),
            unit="CPU s",
            ratios=timed.seconds[stage],
            most=1.0,
            command=COMMAND,
        )
        for stage in WITHOUT_TORCH
    ]
    print_rows(rows)
    for stage in WITH_TORCH:
        print(f"{stage}, which needs torch: {np.median(timed.seconds[stage]):.1f} CPU s")
    write_results(RESULT, rows)


if __name__ == "__main__":
    main()
