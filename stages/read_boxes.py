"""Map boxes of findings into the network's square input: data/places/places.parquet, empty without boxes."""

import sys
from pathlib import Path

from trcgl.artifacts.class_list import read_classes
from trcgl.artifacts.places import no_places
from trcgl.config import load_params
from trcgl.places.build import box_files, build_places
from trcgl.runtime.files import read_parquet, write_parquet
from trcgl.runtime.stage import run_stage


def main() -> None:
    params = load_params()
    places, files = no_places(), box_files(params)
    if files is not None:
        findings = [entry["name"] for entry in read_classes("data/labels/classes.json")["classes"]]
        labels = read_parquet("data/labels/labels.parquet", ["image", "split", *findings], only=True)
        selected = read_parquet("data/labels/selected.parquet", ["image", "path"], only=True)
        unreadable = read_parquet("data/images/unreadable.parquet", ["path"], only=True)
        selected = selected[~selected["path"].isin(unreadable["path"])]
        places = build_places(files, selected, Path(params.dataset.images), labels, findings, params.images.resize)
    write_parquet("data/places/places.parquet", places)


if __name__ == "__main__":
    sys.exit(run_stage(main))
