"""Stage build_cooccurrence: which findings co-occur in the real training images."""

import sys
from pathlib import Path

from trcgl.artifacts.class_list import read_classes
from trcgl.config import load_params
from trcgl.graph.cooccurrence import count_cooccurrence
from trcgl.graph.heatmap import draw_heatmap
from trcgl.runtime.files import read_parquet
from trcgl.runtime.stage import run_stage

LABELS = Path("data/labels/labels.parquet")
CLASSES = Path("data/labels/classes.json")
OUTPUT = Path("data/graph/cooccurrence.npz")
PICTURE = Path("metrics/plots/build_cooccurrence/cooccurrence.png")


def main() -> None:
    params = load_params().graph
    names = tuple(entry["name"] for entry in read_classes(CLASSES)["classes"])
    frame = read_parquet(LABELS, ["split", *names], only=True)
    training = frame.loc[frame["split"] == "train", list(names)]
    cooccurrence = count_cooccurrence(training.to_numpy(dtype=float, na_value=float("nan")), names, params.smoothing)
    cooccurrence.save(OUTPUT)
    draw_heatmap(cooccurrence, PICTURE)


if __name__ == "__main__":
    sys.exit(run_stage(main))
