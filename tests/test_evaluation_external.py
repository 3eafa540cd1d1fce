"""`trcgl evaluate`: an external test set from files to numbers, and one line for each kind of bad input."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from ruamel.yaml import YAML
from sklearn.metrics import average_precision_score, roc_auc_score

from tests.labels_files import NIH_2020_COLUMNS, padchest_row, write_padchest, write_rows
from tests.shipped import SHIPPED
from tests.test_classifier_model import CONFIG, build
from tests.tiny_project import set_params
from trcgl.artifacts.preparation import Preparation
from trcgl.artifacts.shards import ShardedImages
from trcgl.classifier.network.backbone import warn_if_seen
from trcgl.classifier.network.model import Classifier
from trcgl.classifier.network.predict import predict
from trcgl.cli import main
from trcgl.config import load_params
from trcgl.images.cache import cache_images
from trcgl.inference.external import evaluate as external_module
from trcgl.inference.external.defaults import COMPUTE, EVALUATION

ROOT = Path(__file__).resolve().parents[1]
PREPARATION = Preparation(2.0, 97.0, "crop")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """30 images of 15 patients, three of them unusable; a saved model of `effusion`, `nodule`; parameters."""
    images = tmp_path / "images" / "deep"
    images.mkdir(parents=True)
    rows = []
    for k in range(30):
        generator = np.random.default_rng(k)
        Image.fromarray(generator.integers(0, 4096, (50, 40)).astype(np.uint16) * 16).save(images / f"im{k:04d}.png")
        labels = [name for name, share in (("nodule", 0.4), ("scar", 0.3)) if generator.random() < share] or ["normal"]
        inverted = "MONOCHROME1" if k % 5 == 0 else "MONOCHROME2"
        rows.append(
            padchest_row(
                k, str(labels), PatientID=f"patient{k // 2}", Projection="L" if k == 8 else "PA",
                PhotometricInterpretation_DICOM=inverted, PatientSex_DICOM="MF"[k // 2 % 2],
                PatientBirth=f"{1930 + 3 * (k // 2)}.0",
            )
        )  # fmt: skip
    (images / "im0003.png").write_bytes(b"")
    (images / "im0004.png").write_text("not a picture")
    (images / "im0005.png").unlink()
    write_padchest(tmp_path / "labels.csv", rows)
    save_model(tmp_path / "model")
    YAML().dump(YAML().load(ROOT / "params.yaml"), tmp_path / "params.yaml")
    set_params(
        tmp_path / "params.yaml",
        {"evaluation.bootstrap_samples": 40, "compute.workers": 1, "compute.threads": 1, "compute.device": "cpu"},
    )
    return tmp_path


def save_model(folder: Path, **changes: object) -> Classifier:
    model = build()
    model.config = dataclasses.replace(CONFIG, **{"preparation": PREPARATION, **changes})
    model.thresholds = dict(zip(model.config.class_names, model.thresholds.values(), strict=True))
    model.calibrate(dict(zip(model.config.class_names, model.scalings.values(), strict=True)))
    model.save(folder)
    return model


def evaluate(folder: Path, *more: str, dataset: str = "padchest", model: str = "model") -> int:
    return main(
        ["evaluate", "--model", str(folder / model), "--dataset", dataset, "--images", str(folder / "images"),
         "--labels", str(folder / "labels.csv"), "--params", str(folder / "params.yaml"), *more]
    )  # fmt: skip


def fails(folder: Path, capsys: pytest.CaptureFixture[str], *more: str, **changes: str) -> str:
    """The one line of a run that cannot be."""
    assert evaluate(folder, *more, **changes) == 1
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1, captured.err
    assert not captured.out
    return lines[0]


def test_the_numbers_are_those_of_the_cached_pictures(folder: Path, capsys: pytest.CaptureFixture[str]):
    """The pipeline's own cache, the model and scikit-learn, one after the other, give the same."""
    out = folder / "out"
    assert evaluate(folder, "--projections", "PA", "--out", str(out)) == 0
    found = json.loads((out / "metrics.json").read_text())

    used = [k for k in range(30) if k not in (3, 4, 5, 8)]
    table = pd.read_csv(folder / "labels.csv").set_index("ImageID")
    selected = pd.DataFrame(
        {
            "image": [f"im{k:04d}.png" for k in used],
            "path": [f"deep/im{k:04d}.png" for k in used],
            "photometric": ["MONOCHROME1" if k % 5 == 0 else "MONOCHROME2" for k in used],
        }
    )
    sizes = {"classifier_size": 32, "diffusion_size": 16}
    cached = dataclasses.replace(SHIPPED.images, **sizes, resize="crop", window_low=2.0, window_high=97.0)
    cache_images(selected, folder / "images", cached, folder / "cache", 1, kept=folder / "kept")
    names = selected["image"].tolist()
    scores = predict(build(), ShardedImages(folder / "cache/classifier").read(names))[:, 1]
    labels = np.array(["nodule" in table.loc[name, "Labels"] for name in names])

    row = pd.read_csv(out / "per_class.csv").set_index("class").to_dict("index")["nodule"]
    assert row["AP"] == pytest.approx(average_precision_score(labels, scores))
    assert row["AUC"] == pytest.approx(roc_auc_score(labels, scores))
    assert row["positives"] == labels.sum()
    assert row["threshold"] == pytest.approx(0.3)
    assert row["Brier"] == pytest.approx(np.mean((scores - labels) ** 2))
    assert found["result"]["mAP"] == pytest.approx(row["AP"])
    low, high = found["intervals"]["mAP"]
    assert low < row["AP"] < high

    parts = pd.read_csv(out / "subgroups.csv").set_index(["subgroup", "value"])
    sexes = table.loc[names, "PatientSex_DICOM"].to_numpy()
    born = table.loc[names, "PatientBirth"].astype(float).to_numpy()
    age = table.loc[names, "StudyDate_DICOM"].astype(str).str[:4].astype(int).to_numpy() - born
    old = (age >= 60) & (age < 80)
    for key, part in (
        (("projection", "PA"), np.full(26, True)), (("sex", "F"), sexes == "F"), (("age", "60-79"), old),
    ):  # fmt: skip
        assert parts.loc[key, "images"] == part.sum() > 0, key
        assert parts.loc[key, "mAP"] == pytest.approx(average_precision_score(labels[part], scores[part])), key

    assert found["rows"] == 30
    assert found["images"] == 26
    assert found["scored_classes"] == 1
    assert found["findings_without_labels"] == ["effusion"]
    assert found["labels_without_finding"] == ["scar"]
    assert sum(found["rejected"].values()) == 4
    reasons = pd.read_csv(out / "rejected.csv").set_index("image")["reason"].to_dict()
    assert reasons == {
        "im0003.png": "unreadable: empty file",
        "im0004.png": "unreadable: not a PNG, JPEG, TIFF, DICOM, JPEG 2000, WebP, BMP, GIF or PNM file; save it as PNG",
        "im0005.png": "image file missing",
        "im0008.png": "projection not selected",
    }
    printed = capsys.readouterr().out
    assert "26 images of 14 patients; 4 of 30 rows not scored" in printed
    assert "1 findings of the model that the labels do not have: effusion" in printed
    assert "1 labels that the model does not know: scar" in printed
    assert "patient1" not in "".join(path.read_text() for path in out.iterdir()) + printed


def test_other_files_in_the_output_folder_stay(folder: Path):
    (folder / "out").mkdir()
    (folder / "out" / "mine.txt").write_text("mine")
    assert evaluate(folder, "--out", str(folder / "out")) == 0
    assert (folder / "out" / "mine.txt").read_text() == "mine"


def test_several_models_are_averaged(folder: Path):
    """Twice the same model is that model, whatever is averaged."""
    save_model(folder / "again")
    results = []
    twice = ["--model", str(folder / "again")]
    for arguments in ([], twice, [*twice, "--combine", "weights"]):
        assert evaluate(folder, *arguments, "--out", str(folder / "out")) == 0
        results.append(json.loads((folder / "out" / "metrics.json").read_text()))
    assert results[0]["result"] == pytest.approx(results[1]["result"], nan_ok=True)
    assert results[0]["result"] == pytest.approx(results[2]["result"], nan_ok=True)
    assert [result["combine"] for result in results] == [None, "probabilities", "weights"]
    assert len(results[1]["models"]) == 2


def test_groups_that_differ_between_models_are_said(folder: Path, caplog: pytest.LogCaptureFixture):
    groups = save_model(folder / "alike").config.class_groups
    save_model(folder / "other", class_groups=("medium" if groups[0] == "tail" else "tail", *groups[1:]))
    for name, said in (("alike", 0), ("other", 1)):
        caplog.clear()
        assert evaluate(folder, "--model", str(folder / name)) == 0
        lines = [record.getMessage() for record in caplog.records if "otherwise" in record.getMessage()]
        assert len(lines) == said
    assert lines[0].endswith(f"means over groups are of the groups of {folder / 'model'}")
    assert f": {CONFIG.class_names[0]};" in lines[0]


def test_nih_tables_and_merged_classes(folder: Path):
    """NIH's columns; its labels are brought to the model's names by a class table."""
    rows = [
        {
            "Image Index": f"im{k:04d}.png", "Finding Labels": "Nodule|Mass" if k % 3 else "No Finding",
            "Patient ID": str(k // 2), "View Position": "PA",
        }
        for k in range(10, 20)
    ]  # fmt: skip
    write_rows(folder / "labels.csv", NIH_2020_COLUMNS, rows)
    (folder / "classes.csv").write_text("class,padchest_labels\nnodule,Nodule\n")
    arguments = ("--class-table", str(folder / "classes.csv"), "--out", str(folder / "out"))
    assert evaluate(folder, *arguments, dataset="nih") == 0
    per_class = pd.read_csv(folder / "out" / "per_class.csv").set_index("class")
    assert per_class.loc["nodule", "positives"] == sum(k % 3 != 0 for k in range(10, 20))


def test_boxes_of_nih(folder: Path, capsys: pytest.CaptureFixture[str]):
    """A box over the whole image is always hit; boxes of negatives and of unknown findings do not count."""
    model = save_model(folder / "model")
    # Everything speaks for everything, so that no map is empty
    model.head.get_parameter("classifier.weight").data.abs_()
    model.save(folder / "model")
    row = {"View Position": "PA", "Finding Labels": "nodule"}
    rows = [row | {"Image Index": f"im{k:04d}.png", "Patient ID": str(k)} for k in range(10, 16)]
    for k in range(10, 16):
        square = np.random.default_rng(k).integers(0, 256, (40, 40)).astype(np.uint8)
        Image.fromarray(square).save(folder / "images/deep" / f"im{k:04d}.png")
    rows[5]["Finding Labels"] = "No Finding"
    write_rows(folder / "labels.csv", NIH_2020_COLUMNS, rows)
    header = "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"
    listed = [f"im{k:04d}.png,nodule,0,0,1024,1024,,,\n" for k in range(10, 16)]
    (folder / "boxes.csv").write_text(header + "".join(listed) + "im0010.png,Mass,0,0,9,9,,,\n")
    arguments = ("--boxes", str(folder / "boxes.csv"), "--out", str(folder / "out"))
    assert evaluate(folder, *arguments, dataset="nih") == 0
    table = pd.read_csv(folder / "out" / "localisation.csv")
    assert table["method"].unique().tolist() == ["class_map", "grad_cam"]
    nodule = table[(table["finding"] == "nodule") & (table["method"] == "class_map")].iloc[0]
    assert nodule[["images", "pointing", "centre"]].tolist() == [5, 1.0, 1.0]
    assert 0 < nodule["iou"] < 1
    assert "class_map: 1.000 [0.478, 1.000], centre 1.000" in capsys.readouterr().out
    for said, box in (
        ("all boxes lie within the 40 x 40 px that the copies of the images have", "0,0,9,9"),
        (
            "row 1: the box of 'im0010.png' goes from 900, 0 to 1100, 9, out of the original image",
            "900,0,200,9",
        ),
    ):
        (folder / "boxes.csv").write_text(header + "".join(f"im{k:04d}.png,nodule,{box}\n" for k in (10, 11, 12)))
        assert said in fails(folder, capsys, *arguments, dataset="nih")
    (folder / "boxes.csv").write_text(header + "im0010.png,nodule,0,0,wide,9,,,\n")
    assert "row 1: the box of 'im0010.png' is not four numbers" in fails(folder, capsys, *arguments, dataset="nih")


def test_a_run_without_boxes_leaves_no_table_of_an_earlier_one(folder: Path):
    assert evaluate(folder, "--out", str(folder / "out")) == 0
    (folder / "out/localisation.csv").write_text("of another run")
    (folder / "out/mine.csv").write_text("kept")
    assert evaluate(folder, "--out", str(folder / "out")) == 0
    assert not (folder / "out/localisation.csv").exists()
    assert (folder / "out/mine.csv").read_text() == "kept"


@pytest.mark.parametrize("name", ["localisation.csv", "per_class.csv", "metrics.json"])
def test_a_file_that_no_evaluation_wrote_is_neither_replaced_nor_removed(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
):
    """Such as those of the pipeline in metrics/."""
    (folder / "out").mkdir()
    (folder / "out" / name).write_text('{"trcgl": {}}')
    assert evaluate(folder, "--out", str(folder / "out")) == 1
    assert f"out/{name}: was not written by trcgl evaluate, and would be overwritten" in capsys.readouterr().err
    assert (folder / "out" / name).read_text() == '{"trcgl": {}}'
    assert [file.name for file in (folder / "out").iterdir()] == [name]


def test_boxes_are_refused_before_any_image_is_decoded(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(external_module, "write_cache", None)
    (folder / "boxes.csv").write_text("Image Index,Finding Label,Bbox [x,y,w,h],,,\nother.png,nodule,0,0,9,9,,,\n")
    assert evaluate(folder, "--boxes", str(folder / "boxes.csv")) == 1


def test_one_patient_has_no_interval(folder: Path, capsys: pytest.CaptureFixture[str]):
    """Every resample of one patient is the same: an interval of no width would claim certainty."""
    table = pd.read_csv(folder / "labels.csv")
    table.assign(PatientID="one").to_csv(folder / "labels.csv", index=False)
    assert evaluate(folder, "--out", str(folder / "out")) == 0
    found = json.loads((folder / "out/metrics.json").read_text())
    assert found["intervals"] == {"mAP": [None, None], "tail_mAP": [None, None]}
    assert found["result"]["mAP"] > 0
    said = capsys.readouterr()
    assert "no intervals: they need patients to resample, and there is one" in said.out
    assert "[" not in said.out


def test_params_are_not_needed(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Without a params.yaml the shipped values count, which are those of the shipped file."""
    params = load_params(ROOT / "params.yaml")
    assert (params.evaluation, params.compute) == (EVALUATION, COMPUTE)
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    words = ["evaluate", "--model", "../model", "--dataset", "padchest", "--images", "../images"]
    words += ["--labels", "../labels.csv"]
    assert main(words) == 0
    (folder / "elsewhere/params.yaml").write_text("evaluation: {}\n")
    assert main(words) == 1
    assert "params.yaml: key" in capsys.readouterr().err
    assert main([*words, "--params", "none.yaml"]) == 1
    assert "none.yaml: cannot be read" in capsys.readouterr().err


def test_a_split_of_the_table_is_scored_alone(
    folder: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
):
    numbers = range(6, 30)
    rows = [(f"im{k:04d}.png", f"p{k}", "train" if k < 12 else "test", k % 2, k % 3 == 0) for k in numbers]
    table = pd.DataFrame(rows, columns=["image", "patient", "split", "effusion", "nodule"])
    table.astype({"nodule": int}).to_csv(folder / "labels.csv", index=False)
    assert evaluate(folder, "--out", str(folder / "all"), dataset="folder") == 0
    assert "assigns 6 images to train, and these are scored, too; --split test scores the test" in caplog.text
    caplog.clear()
    assert evaluate(folder, "--split", "test", "--out", str(folder / "test"), dataset="folder") == 0
    assert "--split" not in caplog.text
    whole, part = (json.loads((folder / name / "metrics.json").read_text()) for name in ("all", "test"))
    assert (whole["split"], part["split"]) == (None, "test")
    assert (whole["images"], part["images"]) == (24, 18)
    assert part["rejected"] == {"another split": 6}
    assert part["result"] != whole["result"]
    capsys.readouterr()
    line = fails(folder, capsys, "--split", "val", dataset="folder")
    assert "--split: " in line
    assert "assigns no image to 'val'; splits that it states: 'test', 'train'" in line


def test_images_labelled_so_are_left_out(folder: Path):
    assert evaluate(folder, "--exclude", "scar", "--out", str(folder / "out")) == 0
    found = json.loads((folder / "out" / "metrics.json").read_text())
    table = pd.read_csv(folder / "labels.csv")
    assert found["rejected"]["labelled scar"] == table["Labels"].str.contains("scar").sum()


def test_a_list_that_is_given_in_parts_counts_as_a_whole(folder: Path):
    """argparse alone keeps the last part, without a word."""
    for name, given in (("one", ["scar", "nodule"]), ("two", ["scar", "--exclude", "nodule"])):
        assert evaluate(folder, "--exclude", *given, "--out", str(folder / name)) == 0
    one, two = (json.loads((folder / name / "metrics.json").read_text()) for name in ("one", "two"))
    assert {"labelled scar", "labelled nodule"} <= one["rejected"].keys()
    assert one == two


def test_results_do_not_go_into_the_models_folder(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert "model/sub: is the model's folder" in fails(folder, capsys, "--out", str(folder / "model/sub"))


def test_a_model_that_has_seen_the_data_set_is_said_aloud(folder: Path, monkeypatch: pytest.MonkeyPatch):
    said: list[str] = []
    monkeypatch.setattr(external_module.log, "warning", lambda text, *values: said.append(text % values))
    assert evaluate(folder) == 0
    assert said == []
    save_model(folder / "model", weights_have_seen=("mimic", "padchest"))
    assert evaluate(folder) == 0
    assert "has seen 'padchest'" in said[0]


def test_a_format_of_tables_is_no_data_set_that_could_have_been_seen(caplog: pytest.LogCaptureFixture):
    warn_if_seen(("folder", "nih"), "folder")
    assert not caplog.records
    warn_if_seen(("folder", "nih"), "nih")
    assert "have seen 'nih'" in caplog.text


def test_a_params_file_of_another_project_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(folder)
    (folder / "params.yaml").write_text("train: {lr: 1}\n")
    arguments = ["--model", "model", "--dataset", "padchest", "--images", "images", "--labels", "labels.csv"]
    assert main(["evaluate", *arguments]) == 1
    assert "it is read because it lies in the current folder: --params names another one" in capsys.readouterr().err
    assert main(["evaluate", *arguments, "--params", "params.yaml"]) == 1
    assert "because it lies" not in capsys.readouterr().err


def test_bad_input_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert "nowhere: not a saved classifier" in fails(folder, capsys, model="nowhere")
    assert "has no projection 'AP'; it has 'L', 'PA'" in fails(folder, capsys, "--projections", "AP")
    assert "has no label 'scars'" in fails(folder, capsys, "--exclude", "scars")
    assert "column 'Image Index' is missing" in fails(folder, capsys, dataset="nih")
    assert "no such folder" in fails(folder, capsys, "--images", str(folder / "nowhere"))
    assert "is not a folder; give one for --out" in fails(folder, capsys, "--out", str(folder / "labels.csv"))
    (folder / "empty").mkdir()
    assert "no image inside; it has no file" in fails(folder, capsys, "--images", str(folder / "empty"))
    Image.new("L", (40, 40)).save(folder / "empty" / "other.png")
    line = fails(folder, capsys, "--images", str(folder / "empty"))
    assert (
        "no image is left of 30 rows (image file missing: 30); check --images, --split, --projections and --exclude"
        in line
    )
    save_model(folder / "other", class_names=("x", "y"))
    assert "has none of the findings of" in fails(folder, capsys, model="other")
    assert "knows other findings than" in fails(folder, capsys, "--model", str(folder / "other"))
    save_model(folder / "old", preparation=None)
    assert "config.json lacks 'preparation' (how pictures are made from files)" in fails(folder, capsys, model="old")


def test_a_view_in_another_spelling_is_named_with_the_option(folder: Path, capsys: pytest.CaptureFixture[str]):
    table = pd.read_csv(folder / "labels.csv", dtype=str, keep_default_na=False)
    table.loc[table.index[table["Projection"] == "PA"][0], "Projection"] = "pa"
    table.to_csv(folder / "labels.csv", index=False)
    line = fails(folder, capsys, "--projections", "PA")
    assert line.endswith(
        "labels.csv: 'pa' stands in 1 row, and --projections names 'PA'; write both alike, or name both"
    )


def test_an_image_folder_that_is_a_file_is_no_missing_one(folder: Path, capsys: pytest.CaptureFixture[str]):
    line = fails(folder, capsys, "--images", str(folder / "labels.csv"))
    assert line.endswith("labels.csv: is not a folder; give the folder of the images with --images")


def test_a_set_without_a_readable_image_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]):
    for path in (folder / "images").rglob("*.png"):
        path.write_bytes(b"")
    assert "none of 29 images could be read" in fails(folder, capsys)
