"""Joining pixels, labels and accepted synthetic images."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trcgl.artifacts import labelled_images
from trcgl.artifacts.pixels import prefetched, resized
from trcgl.artifacts.shards import ShardWriter
from trcgl.classifier.training.data import load_training_data
from trcgl.graph.cooccurrence import count_cooccurrence
from trcgl.runtime.errors import InputError

FINDINGS = ("effusion", "nodule")


def write_shards(folder: Path, names: list[str], size: int) -> None:
    folder.mkdir(parents=True)
    writer = ShardWriter(folder, size, shard_images=3)
    for i, name in enumerate(names):
        writer.add(name, np.full((size, size), i, np.uint8))
    writer.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight labelled images (one without pixels) and three samples (one refused)."""
    images = [f"i{i}.png" for i in range(8)]
    write_shards(tmp_path / "images", images[:7][::-1], 8)
    labels = pd.DataFrame(
        {
            "image": images,
            "split": ["train", "val", "test", "train", "train", "val", "test", "train"],
            "nodule": pd.array([1, 0, 1, None, 0, 1, 0, 1], dtype="Int8"),
            "effusion": pd.array([0, 0, 1, 1, None, 1, 0, 0], dtype="Int8"),
        }
    )
    labels.to_parquet(tmp_path / "labels.parquet")
    classes = [{"name": name, "group": "head"} for name in FINDINGS]
    (tmp_path / "classes.json").write_text(json.dumps({"classes": classes}))
    write_shards(tmp_path / "synthetic", ["s0", "s1", "s2"], 16)
    findings, target = [["nodule"], ["nodule"], ["effusion", "nodule"]], ["nodule", "nodule", "effusion"]
    unknown: list[list[str]] = [["effusion"], [], []]
    samples = pd.DataFrame({"sample": ["s0", "s1", "s2"], "target": target, "findings": findings, "unknown": unknown})
    samples.to_parquet(tmp_path / "synthetic" / "samples.parquet")
    audit = pd.DataFrame({"sample": ["s2", "s1", "s0"], "accepted": [True, False, True]})
    audit.assign(unverified=pd.Series([[], ["nodule"], []])).to_parquet(tmp_path / "audit.parquet")
    return tmp_path


def load(folder: Path, *, synthetic: Path | None = None, audit: Path | None = None):
    table, classes = folder / "labels.parquet", folder / "classes.json"
    return load_training_data(folder / "images", table, classes, synthetic=synthetic, audit=audit)


def test_rows_join_pixels_and_labels(folder: Path, monkeypatch: pytest.MonkeyPatch):
    said: list[str] = []
    monkeypatch.setattr(labelled_images.log, "warning", lambda text, *values: said.append(text % values))
    data = load(folder)
    assert said == ["1 of 6 labelled images (train, val) have no pixels and are left out, such as i7.png"]
    assert list(data.names) == ["i0.png", "i1.png", "i3.png", "i4.png", "i5.png"]
    assert [data.names[row] for row in data.val] == ["i1.png", "i5.png"]
    # Pixel value = position in storage, which is the reverse of the label table
    assert data.images[np.arange(5)][:, 0, 0].tolist() == [6, 5, 3, 2, 1]
    np.testing.assert_array_equal(data.targets, [[0, 1], [0, 0], [1, np.nan], [np.nan, 0], [1, 1]])
    assert data.image_size == 8
    assert data.counts().positives.tolist() == [1, 1]
    assert data.counts().negatives.tolist() == [1, 1]


def test_only_accepted_samples_and_only_for_training(folder: Path):
    data = load(folder, synthetic=folder / "synthetic", audit=folder / "audit.parquet")
    assert [data.names[row] for row in data.synthetic] == ["s0", "s2"]
    assert not set(data.synthetic) & (set(data.train) | set(data.val))
    np.testing.assert_array_equal(data.targets[data.synthetic], [[np.nan, 1], [1, 1]])
    assert [data.class_names[c] for c in data.synthetic_target] == ["nodule", "effusion"]
    pixels = data.images[np.array([6, 0, 5])]
    assert pixels.shape == (3, 8, 8)
    assert pixels[:, 0, 0].tolist() == [2, 6, 0]
    # No count moves
    assert data.counts().positives.tolist() == load(folder).counts().positives.tolist()


def test_counts_do_not_see_validation_and_test(folder: Path):
    before = load(folder)
    labels = pd.read_parquet(folder / "labels.parquet")
    labels.loc[labels["split"] != "train", list(FINDINGS)] = 1
    labels.to_parquet(folder / "labels.parquet")
    after = load(folder)
    assert after.counts().positives.tolist() == before.counts().positives.tolist()
    counts = [count_cooccurrence(d.targets[d.train], d.class_names, 1.0).counts for d in (before, after)]
    assert (counts[0] == counts[1]).all()


def test_a_sample_of_an_unknown_finding_is_named(folder: Path):
    samples = pd.DataFrame(
        {"sample": ["s0"], "target": ["azygos lobe"], "findings": [["azygos lobe"]], "unknown": [[]]}
    )
    samples.to_parquet(folder / "synthetic" / "samples.parquet")
    with pytest.raises(InputError, match="sample s0 names 'azygos lobe'"):
        load(folder, synthetic=folder / "synthetic", audit=folder / "audit.parquet")


def test_labels_that_the_audit_leaves_open_are_unknown(folder: Path):
    """Asked for and not seen, or seen and not asked for; s2 was drawn for an effusion and named a nodule besides."""
    audit = pd.DataFrame({"sample": ["s0", "s1", "s2"], "accepted": True})
    audit.assign(unverified=pd.Series([[], ["effusion"], ["nodule"]])).to_parquet(folder / "audit.parquet")
    data = load(folder, synthetic=folder / "synthetic", audit=folder / "audit.parquet")
    np.testing.assert_array_equal(data.targets[data.synthetic], [[np.nan, 1], [np.nan, 1], [1, np.nan]])
    audit.assign(unverified=pd.Series([[], [], ["unheard of"]])).to_parquet(folder / "audit.parquet")
    with pytest.raises(InputError, match=r"audit\.parquet: sample s2 names 'unheard of', which classes.json lacks; "):
        load(folder, synthetic=folder / "synthetic", audit=folder / "audit.parquet")
    audit.to_parquet(folder / "audit.parquet")
    with pytest.raises(InputError, match=r"audit\.parquet: .*'unverified'"):
        load(folder, synthetic=folder / "synthetic", audit=folder / "audit.parquet")


def test_a_missing_column_is_named(folder: Path):
    pd.read_parquet(folder / "labels.parquet").drop(columns="nodule").to_parquet(folder / "labels.parquet")
    with pytest.raises(InputError, match=r"labels\.parquet: no column 'nodule'"):
        load(folder)


def test_without_an_accepted_sample_there_is_none(folder: Path):
    verdicts = pd.DataFrame({"sample": ["s0"], "accepted": [False], "unverified": [[]]})
    verdicts.to_parquet(folder / "audit.parquet")
    data = load(folder, synthetic=folder / "synthetic", audit=folder / "audit.parquet")
    assert len(data.synthetic) == 0
    assert len(data.images) == len(data.targets) == 5


def test_resized_keeps_grey():
    assert (resized(np.full((2, 16, 16), 7, np.uint8), 8) == 7).all()
    assert resized(np.zeros((2, 4, 4), np.uint8), 8).shape == (2, 8, 8)


def test_prefetching_keeps_order_and_raises():
    assert list(prefetched(range(5), lambda job: job * 2)) == [0, 2, 4, 6, 8]
    assert list(prefetched([], lambda job: job)) == []

    def fail(job: int) -> int:
        raise KeyError(job)

    with pytest.raises(KeyError):
        list(prefetched([1], fail))


def test_a_generated_image_among_the_labelled_ones_stops(folder: Path):
    """A sample that somebody has put into the validation split would be judged by what it was drawn for."""
    labels = pd.read_parquet(folder / "labels.parquet")
    labels.loc[1, "image"] = "s0"
    assert labels.loc[1, "split"] == "val"
    labels.to_parquet(folder / "labels.parquet")
    shutil.rmtree(folder / "images")
    write_shards(folder / "images", labels["image"].tolist(), 8)
    with pytest.raises(InputError, match=r"labels\.parquet: 's0' is a generated image; remove it from the label table"):
        load(folder, synthetic=folder / "synthetic", audit=folder / "audit.parquet")


def test_a_finding_none_of_whose_training_images_can_be_read_stops(folder: Path):
    """One in another split does not help, and one that is left does."""
    labels = pd.read_parquet(folder / "labels.parquet")
    rare = labels.assign(rare=pd.array([0, 1, 0, 0, 0, 0, 0, 1], dtype="Int8"))
    rare.to_parquet(folder / "labels.parquet")
    classes = [{"name": name, "group": "head"} for name in (*FINDINGS, "rare")]
    (folder / "classes.json").write_text(json.dumps({"classes": classes}))
    with pytest.raises(InputError, match=r"none of the 1 training images with 'rare' could be read .*unreadable\.parq"):
        load(folder)
    rare.loc[0, "rare"] = 1
    rare.to_parquet(folder / "labels.parquet")
    assert load(folder).counts().positives.tolist() == [1, 1, 1]
