"""The pool copy_paste of a replicate: its lesions on normal films, as many as drawn_informed has accepted images."""

import sys

from study.arms import load_study
from study.copy_paste import Films, plan_pastes
from study.places import keep_state_in_studies
from study.pools import accepted_counts, write_pool
from trcgl.artifacts.class_list import read_classes
from trcgl.artifacts.shards import ShardedImages
from trcgl.runtime.files import read_parquet
from trcgl.runtime.stage import run_stage


def main() -> None:
    replicate = sys.argv[1]
    keep_state_in_studies()
    study = load_study(".", replicate)
    stored = ShardedImages(study.data / "images/classifier")
    table = read_parquet(study.data / "labels/labels.parquet", ["image", "patient", "split"])
    table = table[table["image"].isin(set(stored.index["image"]))]
    names = [entry["name"] for entry in read_classes(study.data / "labels/classes.json")["classes"]]
    lesions = read_parquet(study.data / "phantom/lesions.parquet", ["image", "finding", "mask"])
    masked = {str(finding): set(part["image"]) for finding, part in lesions.groupby("finding")}
    wanted = accepted_counts(study.pool_of("drawn_informed", int(replicate)))
    # Test films are not even read
    train = table.loc[table["split"] == "train", "image"].tolist()
    films = Films(
        pixels=dict(zip(train, stored.read(train), strict=True)),
        masks=dict(zip(zip(lesions["image"], lesions["finding"], strict=True), lesions["mask"], strict=True)),
    )
    pastes = plan_pastes(table, names, wanted, study.params().dataset.seed, masked=masked, misfit=films.misfit)
    out = study.pool_of("copy_paste", int(replicate))
    write_pool(out, "copy-paste", [entry.pooled for entry in pastes], films.pictures(pastes), stored.size)


if __name__ == "__main__":
    sys.exit(run_stage(main))
