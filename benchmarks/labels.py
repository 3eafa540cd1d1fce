"""The whole PadChest table to data/labels/, against the constructor of torchxrayvision's PC_Dataset.

    PYTHONPATH=src python -m benchmarks.labels

Ours makes every finding a column, checks every row and writes four files; the peer makes 28 columns by substring. The
floor is to inflate the file and to split it into text columns (Arrow). CPU time; both use one core. The table comes
with torchxrayvision (benchmarks/requirements.txt).
"""

import gzip
import tempfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
from benchmarks.peers import padchest_table, torchxrayvision
from benchmarks.report import Row, print_rows, rounds_row, skipped_row, write_results
from benchmarks.timing import take_turns
from pyarrow import csv as arrow_csv

from trcgl.config import load_params
from trcgl.labels.adapters import read_table
from trcgl.labels.build import build_labels
from trcgl.labels.padchest import OPTIONAL, REQUIRED
from trcgl.setup.presets import overlay_files

RESULT = Path("benchmarks/results/labels.json")
COMMAND = "PYTHONPATH=src python -m benchmarks.labels"
QUESTION = "PadChest's table to labels, splits and classes"


def measured(rounds: int) -> list[Row]:
    xrv, table = torchxrayvision(), padchest_table()
    if xrv is None or table is None:
        return [
            skipped_row(QUESTION, "torchxrayvision is not installed", "CPU s", "ratio of 1 or less", "lower", COMMAND)
        ]
    params = load_params(overlays=overlay_files("padchest", "gpu"))
    manifest = pd.DataFrame({"path": pd.read_csv(table, usecols=["ImageID"], dtype=str)["ImageID"]})
    columns = [name for name in (*REQUIRED, *OPTIONAL) if name in pd.read_csv(table, nrows=0).columns]
    with tempfile.TemporaryDirectory() as folder:

        def ours() -> None:
            build_labels(read_table("padchest", table), manifest, params.labels).write(folder)

        def floor() -> None:
            with pa.input_stream(str(table), compression="gzip") as stream:
                arrow_csv.read_csv(
                    stream,
                    read_options=arrow_csv.ReadOptions(use_threads=False),
                    parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
                    convert_options=arrow_csv.ConvertOptions(
                        include_columns=columns, column_types=dict.fromkeys(columns, pa.string())
                    ),
                )

        def inflate() -> None:
            with gzip.open(table) as packed:
                packed.read()

        timed = take_turns(
            {
                "ours": ours,
                "peer": lambda: xrv.datasets.PC_Dataset(imgpath=folder),
                "same rows": lambda: xrv.datasets.PC_Dataset(
                    imgpath=folder, views=["PA", "AP", "AP Supine"], unique_patients=False
                ),
                "columns": floor,
                "inflate": inflate,
            },
            rounds=rounds,
        )
    print(f"inflating the file alone: {timed.median('inflate'):.2f} CPU s")
    return [
        rounds_row(
            f"{QUESTION}, {about}",
            timed.seconds["ours"],
            timed.seconds[peer],
            floor=timed.median("columns"),
            unit="CPU s",
            most=1.0,
            command=COMMAND,
        )
        for peer, about in (
            ("peer", "against PC_Dataset()"),
            ("same rows", "against PC_Dataset of the same frontal views"),
        )
    ]


def main() -> None:
    rows = measured(rounds=7)
    print_rows(rows)
    write_results(RESULT, rows)


if __name__ == "__main__":
    main()
