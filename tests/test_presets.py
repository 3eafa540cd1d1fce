"""Every preset reads a tiny copy of its data set's own layout, and what it leaves is what is true of the copy."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.dataset_layouts import IMAGES, LAYOUTS, Layout
from tests.import_graph import ROOT
from trcgl.config import DATASETS, Params, load_params
from trcgl.graph.cooccurrence import count_cooccurrence
from trcgl.images.cache import cache_images
from trcgl.images.manifest import scan_images
from trcgl.labels.adapters import ADAPTERS, read_table
from trcgl.labels.build import Labels, build_labels
from trcgl.runtime.files import write_json

PRESETS = sorted((ROOT / "presets").glob("*.yaml"))
TINY: dict[str, Any] = {
    # With which each of these few patients' splits has a positive
    "labels.split_seed": 1,
    "labels.min_positives": 1,
    "labels.validation_fraction": 0.25,
    "labels.test_fraction": 0.25,
    "images.classifier_size": 32,
    "images.diffusion_size": 32,
    "compute.threads": 1,
    "compute.workers": 1,
    "compute.compile": False,
}
TINY_MODEL: dict[str, Any] = {
    "backbone": "resnet10t",
    "backbone_options": {"channels": [8, 8, 16, 16], "output_stride": 8},
    "initial_weights": None,
    "frozen_epochs": 0,
    "epochs": 1,
    "batch_size": 8,
}


def read_preset(preset: Path, layout: Layout, out: Path) -> tuple[Params, Labels]:
    """The first stages, as the preset says, on a copy of its data set: what they leave is in `out`."""
    edits = {"dataset.images": str(layout.images), "dataset.labels": str(layout.labels)} | TINY
    edits |= {f"classifier.{key}": value for key, value in TINY_MODEL.items()}
    params = load_params(preset, edits)
    table = read_table(params.dataset.name, params.dataset.labels)
    labels = build_labels(table, scan_images(params.dataset.images), params.labels, params.dataset.split_file)
    labels.write(out / "labels")
    cache_images(labels.selected, params.dataset.images, params.images, out / "images", workers=1, kept=out / "kept")
    return params, labels


def test_every_preset_has_a_copy_of_its_layout_and_a_page():
    assert {preset.stem for preset in PRESETS} == set(LAYOUTS)
    for preset in PRESETS:
        assert (ROOT / "docs/datasets" / f"{preset.stem}.md").exists()


def test_every_data_set_has_an_adapter():
    assert tuple(ADAPTERS) == DATASETS


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_a_preset_reads_its_data_set(preset: Path, tmp_path: Path):
    (tmp_path / "set").mkdir()
    layout = LAYOUTS[preset.stem](tmp_path / "set")
    params, labels = read_preset(preset, layout, tmp_path / "data")
    assert preset.read_text().startswith("# ")
    assert params.dataset.name in DATASETS
    frame = labels.labels.set_index("image")
    assert set(frame.index) == set(layout.truth)
    assert len(frame) == IMAGES
    training = frame[frame["split"] == "train"].index
    found = {entry["name"] for entry in labels.classes["classes"]}
    wanted = pd.DataFrame.from_dict(layout.truth, orient="index", dtype="Int8")
    assert found == {name for name in wanted if (wanted[name].loc[training] == 1).any()}
    for name in found:
        pd.testing.assert_series_equal(frame[name], wanted.loc[frame.index, name], check_names=False)
    assert (frame.groupby("patient")["split"].nunique() == 1).all()
    assert frame["split"].nunique() == 3
    told = pd.Series(layout.splits, dtype="str")
    assert frame.loc[told.index, "split"].to_dict() == told.to_dict()
    if layout.splits and set(layout.splits.values()) == {"test"}:
        assert set(frame.index[frame["split"] == "test"]) == set(layout.splits)
    assert labels.metrics["rejected"] == {"total": sum(layout.rejected.values())} | layout.rejected
    index = pd.read_parquet(tmp_path / "data/images/classifier/index.parquet")
    assert set(index["image"]) == set(layout.truth)
    assert pd.read_parquet(tmp_path / "data/images/unreadable.parquet").empty


@pytest.mark.parametrize("name", ["folder", "chexpert"])
def test_a_preset_trains_a_model(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With unknown labels in the data, which must reach neither counts nor loss."""
    from trcgl.classifier.training.run import TrainingFiles, train_and_save

    (tmp_path / "set").mkdir()
    data = tmp_path / "data"
    params, labels = read_preset(ROOT / "presets" / f"{name}.yaml", LAYOUTS[name](tmp_path / "set"), data)
    assert any(labels.labels[entry["name"]].isna().any() for entry in labels.classes["classes"])
    names = tuple(entry["name"] for entry in labels.classes["classes"])
    training = labels.labels.loc[labels.labels["split"] == "train", list(names)]
    counts = training.to_numpy(dtype=float, na_value=float("nan"))
    count_cooccurrence(counts, names, params.graph.smoothing).save(data / "cooccurrence.npz")
    write_json(data / "classes.json", labels.classes)
    monkeypatch.chdir(tmp_path)
    files = TrainingFiles(
        images=data / "images/classifier",
        labels=data / "labels/labels.parquet",
        classes=data / "labels/classes.json",
        graph=data / "cooccurrence.npz",
    )
    trained = train_and_save(
        "preset", params, params.classifier, files, model=tmp_path / "model", history=tmp_path / "history.csv"
    )
    assert (tmp_path / "model/model.safetensors").exists()
    assert tuple(trained.model.config.class_names) == names
    history = pd.read_csv(tmp_path / "history.csv")
    assert np.isfinite(history.select_dtypes("number").filter(like="loss").to_numpy()).all()
