"""`trcgl init` for every data set: what it writes reads a tiny copy of the data set's own layout, and trains on it."""

import shutil
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.dataset_layouts import IMAGES, LAYOUTS, Layout
from tests.import_graph import ROOT
from tests.tiny_project import run, set_params
from trcgl.classifier.training.data import load_training_data
from trcgl.classifier.training.run import TrainingFiles, train_and_save
from trcgl.cli import main
from trcgl.config import DATASETS, Params, load_params
from trcgl.graph.cooccurrence import count_cooccurrence
from trcgl.images.cache import cache_images
from trcgl.images.manifest import scan_images
from trcgl.labels.adapters import adapter_of, read_table
from trcgl.labels.build import Labels, build_labels
from trcgl.setup.presets import ON_CPU, overlay_files

DRAWN = "phantom"
"""Has no layout: the pipeline draws it. tests/test_pipeline.py takes it all the way."""
TINY: dict[str, Any] = {
    # With which each of these few patients' splits has a positive
    "labels.split_seed": 1,
    "labels.min_positives": 1,
    "labels.validation_fraction": 0.25,
    "labels.test_fraction": 0.25,
    "images.classifier_size": 32,
    "images.diffusion_size": 32,
    "diffusion.base": None,
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


@dataclass
class Ready:
    """A project set up for a copy of a data set, its first stages run.

    Attributes:
        written: params.yaml as `trcgl init` wrote it; `params` has the TINY values besides.
        said: what `trcgl init` printed.
        project: the folder of params.yaml.
        data: what the stages left.
    """

    name: str
    layout: Layout
    written: Params
    said: str
    params: Params
    labels: Labels
    project: Path
    data: Path


@pytest.fixture(scope="module", params=LAYOUTS)
def ready(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ready:
    name, work = request.param, tmp_path_factory.mktemp(request.param)
    (work / "set").mkdir()
    layout = LAYOUTS[name](work / "set")
    project = bare_project(work / "project")
    who = ("-c", "user.email=test@example.org", "-c", "user.name=test")
    run(project, "git", "init", "-q")
    run(project, "git", "add", "params.yaml")
    run(project, "git", *who, "commit", "-q", "-m", "Start")
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as said:
        patch.chdir(project)
        main(["init", name, "--images", str(layout.images), "--labels", str(layout.labels)])
        written = load_params()
        model = {f"{section}.{k}": v for section in ("baseline", "classifier") for k, v in TINY_MODEL.items()}
        set_params(project / "params.yaml", TINY | model)
        # A copy in which a row names no image has this one problem
        assert main(["doctor"]) == int("image_file_missing" in layout.rejected), said.getvalue()
        params = load_params()
    data = work / "data"
    table = read_table(params.dataset.name, params.dataset.labels)
    labels = build_labels(table, scan_images(params.dataset.images), params.labels, params.dataset.split_file)
    labels.write(data / "labels")
    cache_images(labels.selected, params.dataset.images, params.images, data / "images", workers=1, kept=work / "kept")
    return Ready(name, layout, written, said.getvalue(), params, labels, project, data)


def bare_project(folder: Path) -> Path:
    """Of the project what `trcgl init` and `trcgl doctor` look at, outside of git."""
    (folder / ".dvc").mkdir(parents=True)
    (folder / "data").mkdir()
    for name in ("presets", "dvc.yaml", "data/assets"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "params.yaml", folder)
    return folder


def test_every_data_set_has_an_adapter_a_preset_and_a_page():
    others = set(DATASETS) - {DRAWN}
    assert all(callable(adapter_of(name)) for name in DATASETS)
    assert others == set(LAYOUTS)
    assert {file.stem for file in (ROOT / "presets").glob("*.yaml") if "." not in file.stem} == others
    for name in others:
        assert (ROOT / "docs/datasets" / f"{name}.md").exists()


@pytest.mark.slow
def test_init_writes_what_a_data_set_needs(ready: Ready):
    written, layout = ready.written, ready.layout
    assert (written.dataset.images, written.dataset.labels) == (str(layout.images), str(layout.labels))
    paths = {"dataset.images": str(layout.images), "dataset.labels": str(layout.labels)}
    scale = "cpu" if ready.name in ON_CPU else "gpu"
    overlays = overlay_files(ready.name, scale, ROOT / "presets")
    assert written == load_params(ROOT / "params.yaml", paths, overlays)
    assert "params.yaml is complete and valid" in ready.said
    assert f"image files under {layout.images}" in ready.said


def test_a_preset_reads_its_data_set(ready: Ready):
    layout, labels = ready.layout, ready.labels
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
    stated = pd.Series(layout.splits, dtype="str")
    assert frame.loc[stated.index, "split"].to_dict() == stated.to_dict()
    if layout.splits and set(layout.splits.values()) == {"test"}:
        assert set(frame.index[frame["split"] == "test"]) == set(layout.splits)
    assert labels.metrics["rejected"] == {"total": sum(layout.rejected.values())} | layout.rejected
    index = pd.read_parquet(ready.data / "images/classifier/index.parquet")
    assert set(index["image"]) == set(layout.truth)
    assert pd.read_parquet(ready.data / "images/unreadable.parquet").empty


def test_a_preset_trains_a_model(ready: Ready, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In some data sets labels are unknown: they must reach neither counts nor loss."""
    params, labels, data = ready.params, ready.labels, ready.data
    names = tuple(entry["name"] for entry in labels.classes["classes"])
    unknown = any(labelled[name] is None for labelled in ready.layout.truth.values() for name in names)
    assert labels.labels[list(names)].isna().any(axis=None) == unknown
    training = labels.labels.loc[labels.labels["split"] == "train", list(names)]
    counts = training.to_numpy(dtype=float, na_value=float("nan"))
    found = count_cooccurrence(counts, names, params.graph.smoothing)
    found.save(data / "cooccurrence.npz")
    wanted = pd.DataFrame.from_dict(ready.layout.truth, orient="index", dtype="Int8")[list(names)]
    stated = wanted.loc[labels.labels["image"]].to_numpy(dtype=float, na_value=np.nan)
    of_training = stated[(labels.labels["split"] == "train").to_numpy()]
    assert found.counts.diagonal().tolist() == (of_training == 1).sum(axis=0).tolist()
    assert found.images.diagonal().tolist() == (~np.isnan(of_training)).sum(axis=0).tolist()
    monkeypatch.chdir(ready.project)
    files = TrainingFiles(
        images=data / "images/classifier",
        labels=data / "labels/labels.parquet",
        classes=data / "labels/classes.json",
        graph=data / "cooccurrence.npz",
    )
    read = load_training_data(files.images, files.labels, files.classes)
    np.testing.assert_array_equal(read.targets[read.train], of_training)
    trained = train_and_save(
        "preset", params, params.classifier, files, model=tmp_path / "model", history=tmp_path / "history.csv"
    )
    assert (tmp_path / "model/model.safetensors").exists()
    assert tuple(trained.model.config.class_names) == names
    history = pd.read_csv(tmp_path / "history.csv")
    assert np.isfinite(history["loss"]).tolist() == [True]
