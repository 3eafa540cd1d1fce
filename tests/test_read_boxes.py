"""The stage that reads boxes: where a box lands in the network's square, what is counted, who learns from it."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from tests.classifier_cases import CPU, NAMES, baseline_params, classifier_params, separable
from tests.import_graph import ROOT
from tests.input_cases.boxes import vindr
from tests.input_cases.case import good_project
from tests.input_cases.spoiling import params, put
from tests.stage_scripts import script
from tests.test_classifier_processes import project as training_project
from trcgl.artifacts.places import FRAME, decode_mask, encode_mask, no_places
from trcgl.classifier.network.model import Classifier
from trcgl.classifier.training.data import TrainingData, load_training_data
from trcgl.classifier.training.known_places import read_places
from trcgl.classifier.training.run import TrainingFiles, train_and_save
from trcgl.classifier.training.train import train
from trcgl.config import Params, load_params
from trcgl.evaluation.places import find_places
from trcgl.places import build
from trcgl.places.boxes import BoxFiles
from trcgl.places.build import WORDS, build_places
from trcgl.places.masks import in_frame
from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import write_parquet

HEADER = "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"


def films(folder: Path, sizes: dict[str, tuple[int, int]]) -> pd.DataFrame:
    """Grey pictures of width x height by name; image and path of each."""
    for name, (width, height) in sizes.items():
        Image.fromarray(np.full((height, width), 90, np.uint8)).save(folder / name)
    return pd.DataFrame({"image": list(sizes), "path": list(sizes)})


def labels_of(images: list[str], split: str = "train", **values: list[int | None]) -> pd.DataFrame:
    findings = {name: pd.array(column, dtype="Int8") for name, column in values.items()}
    return pd.DataFrame({"image": images, "split": split} | findings)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the log says."""
    lines: list[str] = []
    for level in ("info", "warning"):
        monkeypatch.setattr(build.log, level, lambda text, *values: lines.append(text % values))
    return lines


@pytest.mark.parametrize("resize", ["pad", "crop"])
def test_a_box_of_nih_is_a_quarter_of_its_numbers_in_the_square(resize: str, tmp_path: Path):
    """Copies of 256 px of originals of 1024 px, in a square of 256."""
    boxes = [(100, 200, 300, 400), (0, 0, 1024, 512), (512, 768, 256, 128), (4, 8, 64, 1012)]
    selected = films(tmp_path, {f"{k}.png": (256, 256) for k in range(len(boxes))})
    rows = [f"{k}.png,Mass,{','.join(map(str, box))}\n" for k, box in enumerate(boxes)]
    (tmp_path / "boxes.csv").write_text(HEADER + "".join(rows))
    names = selected["image"].tolist()
    files = BoxFiles(tmp_path / "boxes.csv", None, None, WORDS)
    table = build_places(files, selected, tmp_path, labels_of(names, Mass=[1] * 4), ["Mass"], resize)
    assert table[["image", "finding"]].to_numpy().tolist() == [[name, "Mass"] for name in names]
    for mask, (x, y, w, h) in zip(table["mask"], boxes, strict=True):
        expected = np.zeros((256, 256), bool)
        expected[y // 4 : (y + h) // 4, x // 4 : (x + w) // 4] = True
        np.testing.assert_array_equal(decode_mask(mask), expected)


@pytest.mark.parametrize(("width", "height"), [(2000, 1000), (900, 1800), (1024, 1024)])
@pytest.mark.parametrize("resize", ["pad", "crop"])
def test_a_box_in_a_picture_that_is_not_square(resize: str, width: int, height: int, tmp_path: Path):
    """By plain arithmetic: about the picture's middle, by the longer side (pad) or the shorter one (crop)."""
    selected = films(tmp_path, {"a.png": (width // 4, height // 4)})
    x, y, right, bottom = 0.3 * width, 0.25 * height, 0.6 * width, 0.55 * height
    (tmp_path / "sizes.csv").write_text(f"image_id,width,height\na,{width},{height}\n")
    vindr(f"a,Mass,R1,{x},{y},{right},{bottom}")(tmp_path)
    files = BoxFiles(tmp_path / "boxes.csv", tmp_path / "sizes.csv", None, WORDS)
    (mask,) = build_places(files, selected, tmp_path, labels_of(["a.png"], Mass=[1]), ["Mass"], resize)["mask"]
    rows, columns = np.nonzero(decode_mask(mask))
    side = max(width, height) if resize == "pad" else min(width, height)
    corners = [(value - middle) / side * FRAME + FRAME / 2 for value, middle in (
        (y, height / 2), (bottom, height / 2), (x, width / 2), (right, width / 2))]  # fmt: skip
    corners = np.clip(corners, 0, FRAME)
    assert [rows.min(), rows.max() + 1, columns.min(), columns.max() + 1] == pytest.approx(corners, abs=1)
    # Full but for its corners, of which a pixel may be covered by less than half
    area = (rows.max() + 1 - rows.min()) * (columns.max() + 1 - columns.min())
    assert area - 4 <= len(rows) <= area


def test_what_is_left_out_is_counted_by_reason(tmp_path: Path, said: list[str]):
    """The label table decides what is there: boxes of an absent or open finding say nothing."""
    selected = films(tmp_path, {f"{k}.png": (400, 200) for k in range(6)})
    (tmp_path / "sizes.csv").write_text("image_id,width,height\n" + "".join(f"{k},400,200\n" for k in range(6)))
    middle = "150,50,250,150"
    rows = [
        f"0,Mass,R1,{middle}", f"0,Mass,R2,{middle}", f"1,Mass,R1,{middle}", f"2,Mass,R1,{middle}",
        f"3,Nodule,R1,{middle}", f"4,Scar,R1,{middle}", f"4,Line,R1,{middle}", f"9,Mass,R1,{middle}",
        "5,Mass,R1,0,0,40,200", "1,No finding,R1,,,,",
    ]  # fmt: skip
    vindr(*rows)(tmp_path)
    labels = labels_of(selected["image"].tolist(), Mass=[1, 0, None, 0, 0, 1], Nodule=[0, 0, 0, 1, 0, 0])
    labels["split"] = ["train", "train", "train", "test", "val", "val"]
    files = BoxFiles(tmp_path / "boxes.csv", tmp_path / "sizes.csv", None, WORDS)
    table = build_places(files, selected, tmp_path, labels, ["Mass", "Nodule"], "crop")
    assert table[["image", "finding"]].to_numpy().tolist() == [["0.png", "Mass"], ["3.png", "Nodule"]]
    assert said == [
        f"{tmp_path}/boxes.csv: 3 of 10 rows of boxes are used; 1 left out: states that nothing was found; 1 left out: "
        "not of a readable image of the data set; 2 left out: not of a finding of the data set's classes, but of "
        "'Scar', 'Line'; 1 left out: the label table says that the finding is absent; 1 left out: the label table "
        "leaves open whether it is there; 1 left out: smaller than a pixel, or outside of the square that the "
        "network reads",
        "2 places in 2 images (1 train, 0 val, 1 test)",
    ]


def test_boxes_of_no_training_image_are_said(tmp_path: Path, said: list[str]):
    selected = films(tmp_path, {"a.png": (256, 256)})
    (tmp_path / "boxes.csv").write_text(HEADER + "a.png,Mass,600,600,300,300\n")
    files = BoxFiles(tmp_path / "boxes.csv", None, None, WORDS)
    build_places(files, selected, tmp_path, labels_of(["a.png"], "test", Mass=[1]), ["Mass"], "pad")
    assert "no box is of a training image, so class maps learn from labels alone" in said[-1]


def test_a_class_table_merges_the_findings_of_boxes_too(tmp_path: Path):
    """A label may be in two classes; one of no class is left out, even if it has the name of a finding."""
    selected = films(tmp_path, dict.fromkeys(("a.png", "b.png"), (256, 256)))
    (tmp_path / "boxes.csv").write_text(HEADER + "a.png,Nodule,600,600,300,300\nb.png,Mass,600,600,300,300\n")
    (tmp_path / "classes.csv").write_text("class,padchest_labels\nlump,Nodule\nMass,Nodule\n")
    files = BoxFiles(tmp_path / "boxes.csv", None, tmp_path / "classes.csv", WORDS)
    labels = labels_of(["a.png", "b.png"], lump=[1, 1], Mass=[1, 1])
    table = build_places(files, selected, tmp_path, labels, ["lump", "Mass"], "pad")
    assert table[["image", "finding"]].to_numpy().tolist() == [["a.png", "Mass"], ["a.png", "lump"]]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small data set of NIH's form with boxes of every image, some of whose files cannot be read."""
    folder = good_project(tmp_path / "project")
    (folder / "images/00000003_000.png").write_bytes(b"")
    boxes = "".join(f"{k:08d}_000.png,Mass,{40 * k},300,400,400\n" for k in range(12))
    put("boxes.csv", HEADER + boxes)(folder)
    monkeypatch.chdir(folder)
    for stage in ("scan_images", "parse_labels", "cache_images"):
        script(stage).main()
    return folder


def test_the_stage(made: Path):
    script("read_boxes").main()
    assert pd.read_parquet("data/places/places.parquet").empty, "without boxes no place is known"
    params(dataset__boxes="boxes.csv")(made)
    script("read_boxes").main()
    table = pd.read_parquet("data/places/places.parquet")
    assert table["image"].tolist() == [f"{k:08d}_000.png" for k in range(12) if k != 3]
    before = Path("data/places/places.parquet").read_bytes()
    script("read_boxes").main()
    assert Path("data/places/places.parquet").read_bytes() == before
    # Training and localisation take the same file
    labels = pd.read_parquet("data/labels/labels.parquet")
    names, train_rows = labels["image"].tolist(), np.flatnonzero(labels["split"] == "train")
    known = read_places(Path("data/places/places.parquet"), names, train_rows, ["Mass"], 1.0)
    found = find_places(table, names, labels[["Mass"]].to_numpy(float), ["Mass"], "pad")
    assert known is not None
    assert set(known.rows) == set(train_rows) - {3}
    for row, mask in zip(known.rows, known.masks, strict=True):
        shares = found.masks[found.rows == row][0].reshape(64, 4, 64, 4).mean((1, 3))
        np.testing.assert_allclose(mask.numpy(), shares, atol=0.003)


@pytest.mark.parametrize("resize", ["pad", "crop"])
def test_a_mask_in_the_square_stays_as_it_is(resize: str):
    mask = np.random.default_rng(1).random((FRAME, FRAME)) < 0.4
    np.testing.assert_array_equal(in_frame(mask, resize), mask)


def everywhere(data: TrainingData, rows: np.ndarray, corner: int) -> pd.DataFrame:
    """A place of the first finding in each of the images, in a corner."""
    mask = np.zeros((FRAME, FRAME), bool)
    mask[corner : corner + 64, corner : corner + 64] = True
    names = [data.names[row] for row in rows]
    return pd.DataFrame({"image": names, "finding": NAMES[0], "mask": encode_mask(mask)})


def loaded(folder: Path, table: pd.DataFrame, weight: float = 1.0) -> TrainingData:
    """As train_classifier loads it."""
    write_parquet(folder / "data/places/places.parquet", table)
    data = folder / "data"
    return load_training_data(
        data / "images/classifier", data / "labels/labels.parquet", data / "labels/classes.json",
        places=data / "places/places.parquet", place_weight=weight,
    )  # fmt: skip


def test_boxes_of_validation_and_test_images_are_never_learned_from(tmp_path: Path):
    """Whatever they say, a run has the same weights."""
    data = separable()
    folder = training_project(tmp_path / "project", data)
    labels = pd.read_parquet(folder / "data/labels/labels.parquet")
    tested = labels.index[labels["split"] == "train"][::5]
    labels.loc[tested, "split"] = "test"
    labels.to_parquet(folder / "data/labels/labels.parquet")
    trained = np.flatnonzero((labels["split"] == "train") & (labels[NAMES[0]] == 1).fillna(False))[:20]
    mine = everywhere(data, trained, 0)
    held_out = everywhere(data, np.flatnonzero(labels["split"] != "train"), 190)
    models = []
    for table in (mine, pd.concat([held_out, mine], ignore_index=True)):
        found = loaded(folder, table)
        assert found.places is not None
        assert {found.names[row] for row in found.places.rows} == set(mine["image"])
        models.append(train(baseline_params(epochs=1, frozen_epochs=0), found, CPU).model.state_dict())
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])
    assert loaded(folder, held_out).places is None
    assert loaded(folder, no_places()).places is None
    assert loaded(folder, mine, weight=0.0).places is None


@pytest.mark.slow
def test_a_run_with_places_continues_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where the cells look is measured on the network that training starts from, in a resumed run as well."""
    monkeypatch.chdir(tmp_path)
    data = separable()
    folder = training_project(tmp_path / "project", data)
    found = loaded(folder, everywhere(data, data.train[data.targets[data.train, 0] == 1], 100))
    knobs = baseline_params(epochs=3, frozen_epochs=0)

    class Kills(ResumePoint):
        def save(self, state: dict[str, Any]) -> None:
            super().save(state)
            if state["epochs_done"] == 1:
                raise KeyboardInterrupt

    whole = train(knobs, found, CPU)
    with pytest.raises(KeyboardInterrupt):
        train(knobs, found, CPU, resume=Kills("train", params=knobs))
    saved: list[int] = []

    class Notes(ResumePoint):
        def save(self, state: dict[str, Any]) -> None:
            super().save(state)
            saved.append(state["epochs_done"])

    resumed = train(knobs, found, CPU, resume=Notes("train", params=knobs))
    assert saved  # It went on after the first epoch, which is not trained again
    assert min(saved) > 1
    weights, others = whole.model.state_dict(), resumed.model.state_dict()
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert whole.history.equals(resumed.history)
    without = train(knobs, replace(found, places=None), CPU)
    assert not without.history.equals(whole.history)


@pytest.mark.parametrize("weight", [1.0, 0.0])
def test_a_saved_model_says_from_how_many_places_it_learned(weight: float, tmp_path: Path):
    data = separable()
    folder = training_project(tmp_path / "project", data)
    loaded(folder, everywhere(data, data.train[data.targets[data.train, 0] == 1][:7], 100))
    made = folder / "data"
    files = TrainingFiles(made / "images/classifier", made / "labels/labels.parquet", made / "labels/classes.json")
    files = replace(files, places=made / "places/places.parquet")
    knobs = classifier_params(epochs=1, frozen_epochs=0, head="linear", place_weight=weight, extra_source="none")
    whole = load_params(ROOT / "params.yaml", {"compute.device": "cpu", "compute.threads": 1})
    train_and_save("x", whole, knobs, files, model=tmp_path / "model", history=tmp_path / "history.csv")
    assert Classifier.load(tmp_path / "model").config.known_places == (7 if weight else 0)


def test_a_kept_state_is_not_that_of_other_places(tmp_path: Path):
    """Neither of another table of places, nor of another weight, nor of other images, labels or classes."""
    write_parquet(tmp_path / "places.parquet", no_places())
    for name in ("labels", "classes"):
        (tmp_path / name).touch()
    (tmp_path / "images").mkdir()
    (tmp_path / "images/index.parquet").touch()
    files = TrainingFiles(tmp_path / "images", tmp_path / "labels", tmp_path / "classes")
    files = replace(files, places=tmp_path / "places.parquet")
    knobs = classifier_params()
    folders = {ResumePoint("x", params=knobs, inputs=files.hashed()).folder}
    folders.add(ResumePoint("x", params=replace(knobs, place_weight=0.25), inputs=files.hashed()).folder)
    write_parquet(tmp_path / "places.parquet", pd.DataFrame({"image": ["a"], "finding": ["b"], "mask": [b"c"]}))
    folders.add(ResumePoint("x", params=knobs, inputs=files.hashed()).folder)
    for name in ("images/index.parquet", "labels", "classes"):
        (tmp_path / name).write_text("other")
        folders.add(ResumePoint("x", params=knobs, inputs=files.hashed()).folder)
    assert len(folders) == 6


def test_only_the_classifier_learns_from_places(made: Path, monkeypatch: pytest.MonkeyPatch):
    """The baseline is the plain recipe; the weight is the classifier's own."""
    params(dataset__boxes="boxes.csv", classifier__place_weight=0.5)(made)
    asked = {}

    def noted(name: str, given: Params, training: Any, files: TrainingFiles, **_: Any) -> None:
        asked[name] = files.places, getattr(training, "place_weight", None)

    for stage in ("train_baseline", "train_classifier"):
        monkeypatch.setattr(script(stage), "train_and_save", noted)
        monkeypatch.setattr(script(stage), "stop_if_leaking", lambda *_: None, raising=False)
        script(stage).main()
    assert asked == {
        "train_baseline": (None, None), "train_classifier": (Path("data/places/places.parquet"), 0.5),
    }  # fmt: skip


def test_a_mask_of_another_size_is_refused(tmp_path: Path):
    table = pd.DataFrame({"image": ["a"], "finding": ["x"], "mask": [encode_mask(np.ones((30, 40), bool))]})
    write_parquet(tmp_path / "places.parquet", table)
    with pytest.raises(InputError, match="a mask has 40 x 30 pixels, not 256 x 256"):
        read_places(tmp_path / "places.parquet", ["a"], np.array([0]), ["x"], 1.0)


def test_the_stage_needs_no_image_without_boxes(made: Path):
    shutil.rmtree("images")
    script("read_boxes").main()
    assert pd.read_parquet("data/places/places.parquet").empty


def test_a_saved_model_has_seen_what_its_initial_weights_have(tmp_path: Path):
    made = training_project(tmp_path / "project", separable()) / "data"
    files = TrainingFiles(made / "images/classifier", made / "labels/labels.parquet", made / "labels/classes.json")
    knobs = classifier_params(
        epochs=1, frozen_epochs=0, head="linear", extra_source="none", weights_have_seen=("mimic", "nih")
    )
    whole = load_params(ROOT / "params.yaml", {"compute.device": "cpu", "compute.threads": 1})
    train_and_save("x", whole, knobs, files, model=tmp_path / "model", history=tmp_path / "history.csv")
    assert Classifier.load(tmp_path / "model").config.weights_have_seen == ("mimic", "nih", "phantom")
