"""Pools of the stage-one study: films by counting, pictures by pixels."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from study.base_tail import pictures, tail_films
from study.films import joined_films
from study.fresh_films import cached_picture, fresh_films
from study.pools import PoolImage, accepted_counts, write_pool
from study.tail_source import films_of_pool
from tests.import_graph import ROOT
from trcgl.artifacts.preparation import Preparation
from trcgl.artifacts.shards import ShardedImages, ShardWriter
from trcgl.classifier.training.data import load_accepted, load_training_data
from trcgl.classifier.training.run import TrainingFiles
from trcgl.config import load_params
from trcgl.images.preparation import read_squares
from trcgl.phantom import dataset
from trcgl.phantom.population import draw_population
from trcgl.phantom.render import SIZE
from trcgl.phantom.table import is_inverted
from trcgl.runtime.files import write_json, write_parquet


def stored_films(folder: Path, table: pd.DataFrame, size: int = 16) -> Path:
    """A data folder: films of noise, their labels, and classes of which those with a capital letter are tail ones."""
    (folder / "images/classifier").mkdir(parents=True)
    (folder / "labels").mkdir()
    writer = ShardWriter(folder / "images/classifier", size)
    for image in table["image"]:
        writer.add(image, noise(image, size))
    writer.close()
    write_parquet(folder / "labels/labels.parquet", table)
    names = [name for name in table.columns if name not in ("image", "patient", "split")]
    classes = [{"name": name, "group": "tail" if name.istitle() else "head"} for name in names]
    write_json(folder / "labels/classes.json", {"classes": classes})
    return folder


def noise(image: str, size: int = 16) -> np.ndarray:
    return np.random.default_rng(list(image.encode())).integers(0, 256, (size, size)).astype(np.uint8)


def labelled(rows: Sequence[tuple[str | int, ...]], *findings: str) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["image", "patient", "split", *findings])
    return table.astype(dict.fromkeys(findings, "Int8"))


FAR = labelled(
    [("a", "1", "train", 1, 1, 0), ("b", "2", "train", 0, 1, 1), ("c", "3", "train", 1, 0, 0),
     ("d", "4", "val", 0, 1, 0), ("e", "5", "test", 0, 1, 1)], "common", "Rare", "Rarer",
)  # fmt: skip
NEAR = labelled([("f", "6", "train", 1), ("g", "7", "val", 0)], "common")


def test_a_pool_is_read_as_drawn_images_are(tmp_path: Path):
    entries = [PoolImage("Rare", ("Rare", "common"), "a"), PoolImage("Rarer", ("Rarer",), "b")]
    write_pool(tmp_path / "pool", "mine", entries, [noise("a"), noise("b")], 16)
    read = load_accepted(
        tmp_path / "pool/synthetic", tmp_path / "pool/synthetic_audit.parquet", ("common", "Rare", "Rarer"), 16
    )
    np.testing.assert_array_equal(read.pixels[np.arange(2)], [noise("a"), noise("b")])
    np.testing.assert_array_equal(read.targets, [[1, 1, 0], [0, 0, 1]])
    assert read.target.tolist() == [1, 2]
    assert accepted_counts(tmp_path / "pool") == {"Rare": 1, "Rarer": 1}
    verdicts = pd.DataFrame({"sample": read.names, "accepted": [False, True]})
    write_parquet(tmp_path / "pool/synthetic_audit.parquet", verdicts)
    assert accepted_counts(tmp_path / "pool") == {"Rarer": 1}


def test_an_empty_pool_is_a_pool(tmp_path: Path):
    write_pool(tmp_path / "pool", "none", [], [], 16)
    assert accepted_counts(tmp_path / "pool") == {}
    read = load_accepted(tmp_path / "pool/synthetic", tmp_path / "pool/synthetic_audit.parquet", ("common",), 16)
    assert read.names == []


def test_the_bases_films_are_those_it_was_trained_and_chosen_on(tmp_path: Path):
    sources = [stored_films(tmp_path / "near", NEAR), stored_films(tmp_path / "far", FAR)]
    joined_films(sources, tmp_path / "both")
    table = pd.read_parquet(tmp_path / "both/labels.parquet").set_index("image")
    assert table.index.tolist() == ["f", "g", "a", "b", "c", "d"]
    found = table[["common", "Rare", "Rarer"]].to_numpy(dtype=float, na_value=np.nan)
    nan = np.nan
    np.testing.assert_array_equal(found, [[1, 0, 0], [0, nan, nan], [1, 1, 0], [0, 1, 1], [1, 0, 0], [0, 1, 0]])
    stored = ShardedImages(tmp_path / "both/images")
    np.testing.assert_array_equal(stored.read(table.index.tolist()), [noise(image) for image in table.index])
    with pytest.raises(ValueError, match="a is in two data sets"):
        joined_films([sources[1], sources[1]], tmp_path / "twice")


def test_the_base_tail_is_every_training_film_labelled_with_a_finding(tmp_path: Path):
    entries = tail_films(FAR, ("Rare", "Rarer", "common"), ("Rare", "Rarer", "Absent"))
    assert [(entry.target, entry.source, entry.findings) for entry in entries] == [
        ("Rare", "a", ("Rare", "common")), ("Rare", "b", ("Rare", "Rarer")), ("Rarer", "b", ("Rare", "Rarer")),
    ]  # fmt: skip
    stored = ShardedImages(stored_films(tmp_path / "far", FAR) / "images/classifier")
    np.testing.assert_array_equal(list(pictures(stored, entries)), [noise("a"), noise("b"), noise("b")])


def test_fresh_films_are_as_many_as_asked_for_and_of_other_patients():
    params = load_params(ROOT / "params.yaml").dataset
    params = replace(params, phantom=replace(params.phantom, train_images=400, validation_images=40, test_images=40))
    wanted = {"pneumothorax": 23, "subcutaneous emphysema": 31, "dextrocardia": 2, "azygos lobe": 0}
    names = ["subcutaneous emphysema", "pneumothorax", "dextrocardia", "cardiomegaly"]
    films = fresh_films(params, wanted, names)
    targets = pd.Series([entry.target for entry, _ in films])
    assert targets.value_counts().to_dict() == {name: count for name, count in wanted.items() if count}
    for entry, view in films:
        assert entry.target in entry.findings
        assert list(entry.findings) == [name for name in names if name in view.findings]
    assert len({view.image for _, view in films}) == len(films)
    known = {image.view.patient for image in draw_population(params.seed, params.phantom)}
    assert not known & {view.patient for _, view in films}
    again = [view.image for _, view in fresh_films(params, wanted, names)]
    assert again == [view.image for _, view in films]
    assert any({"pneumothorax", "subcutaneous emphysema"} <= set(view.findings) for _, view in films)
    with pytest.raises(ValueError, match="makes no more films of nodule"):
        fresh_films(params, {"nodule": 1}, names)


def test_a_fresh_films_labels_are_those_of_the_table():
    """A hospital that misses every label writes none, and so has no film to give."""
    params = load_params(ROOT / "params.yaml").dataset
    hospital = replace(params.phantom.hospital, labels_missed=1.0)
    params = replace(params, phantom=replace(params.phantom, train_images=200, hospital=hospital))
    with pytest.raises(ValueError, match="too few fresh films"):
        fresh_films(params, {"dextrocardia": 1}, ["dextrocardia"])


def test_a_fresh_films_picture_is_what_the_cache_would_hold(tmp_path: Path):
    params = load_params(ROOT / "params.yaml")
    preparation = Preparation.from_params(params.images)
    films = [image for image in draw_population(0, params.dataset.phantom) if image.spoiled is None]
    inverted = next(image for image in films if is_inverted(image.view.seed, image.view.image))
    for image in (films[0], inverted):
        dataset._write_image(image, tmp_path, SIZE)
        turned = is_inverted(image.view.seed, image.view.image)
        (cached,) = read_squares(tmp_path / image.view.image, preparation, [64], inverted=turned)
        np.testing.assert_array_equal(cached_picture(image.view, preparation, 64), cached)


def test_a_scored_pool_is_all_that_shows_the_tail(tmp_path: Path):
    folder = stored_films(tmp_path / "far", FAR)
    write_pool(tmp_path / "pool", "mine", [PoolImage("Rarer", ("Rarer", "common"), "x")], [noise("x")], 16)
    real = TrainingFiles(
        folder / "images/classifier",
        folder / "labels/labels.parquet",
        folder / "labels/classes.json",
        tmp_path / "graph",
    )
    files = films_of_pool(real, tmp_path / "pool", tmp_path / "together")
    assert (files.classes, files.graph, files.synthetic) == (real.classes, real.graph, None)
    data = load_training_data(files.images, files.labels, files.classes)
    assert [data.names[row] for row in data.train] == ["c", "mine-00000"]
    assert [data.names[row] for row in data.val] == ["d"]
    np.testing.assert_array_equal(data.targets[data.train], [[1, 0, 0], [1, 0, 1]])
    np.testing.assert_array_equal(data.images[data.train], [noise("c"), noise("x")])
    assert "e" not in pd.read_parquet(files.labels)["image"].tolist()
