"""The pool base_tail of a replicate: the images with a tail finding that the informed base has seen."""

import sys

from study.arms import load_study
from study.base_tail import pictures, tail_films
from study.films import IMAGES, LABELS
from study.places import keep_state_in_studies
from study.pools import write_pool
from trcgl.artifacts.class_list import read_classes
from trcgl.artifacts.shards import ShardedImages
from trcgl.runtime.files import read_parquet
from trcgl.runtime.stage import run_stage


def main() -> None:
    replicate = sys.argv[1]
    keep_state_in_studies()
    study = load_study(".", replicate)
    classes = read_classes(study.data / "labels/classes.json")["classes"]
    films = study.data.parent / "base_films"
    stored = ShardedImages(films / IMAGES)
    names = [entry["name"] for entry in classes]
    tail = [entry["name"] for entry in classes if entry["group"] == "tail"]
    extras = tail_films(read_parquet(films / LABELS, ["image", "split"]), names, tail)
    out = study.pool_of("base_tail", int(replicate))
    write_pool(out, "base-tail", extras, pictures(stored, extras), stored.size)


if __name__ == "__main__":
    sys.exit(run_stage(main))
