"""`trcgl predict` and the Python API: files in, rows and overlays out, nothing lost and nothing silently left out."""

import json
import operator
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import trcgl
from tests.inference_cases import PREPARATION, mixed_folder, noise, write_dicom
from tests.test_classifier_model import ROOT
from tests.test_evaluation_external import save_model
from trcgl.classifier.network.predict import predict_with_maps
from trcgl.cli import main
from trcgl.images.preparation import read_squares
from trcgl.inference import overlays, pretrained, reading
from trcgl.inference.files import find_images
from trcgl.inference.overlays import overlay
from trcgl.inference.reading import read_batches
from trcgl.runtime.errors import InputError

COLUMNS = ["image", "finding", "probability", "positive", "threshold"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    save_model(tmp_path / "model", preparation=PREPARATION)
    return tmp_path


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the log says."""
    lines: list[str] = []
    for level in ("info", "warning"):
        monkeypatch.setattr(pretrained.log, level, lambda text, *values: lines.append(text % values))
    return lines


def predict(*arguments: str) -> int:
    return main(["predict", "--model", "model", "--device", "cpu", *arguments])


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert predict(*arguments) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    return lines[0].removeprefix("error: ")


def expected(names: list[str], base: Path) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and maps of files, from the parts that the rest of the project uses."""
    model = save_model(base / "again", preparation=PREPARATION)
    return predict_with_maps(model, np.stack([read_squares(name, PREPARATION, [32])[0] for name in names]))


def test_a_mixed_folder_becomes_rows_and_the_unreadable_are_named(
    folder: Path, capsys: pytest.CaptureFixture[str], said: list[str]
):
    names = [f"scans/{name}" for name in mixed_folder(folder / "scans")]
    line = fails(capsys, "--out", "out/table.csv", "--batch-size", "3", "scans")
    assert line == "2 of 8 images could not be read; the others are done"
    assert said == [
        "skipped 2 (not an image): scans/deep/notes, scans/report.txt",
        "unreadable: scans/deep/empty.png: empty file",
        "unreadable: scans/deep/text.jpg: not a PNG, JPEG, TIFF, DICOM, JPEG 2000, WebP, BMP, GIF or PNM file; "
        "save it as PNG",
        "6 images, 12 positive findings",
    ]
    table = pd.read_csv(folder / "out" / "table.csv")
    assert table.columns.tolist() == COLUMNS
    assert table["image"].tolist() == [name for name in names for _ in range(2)]
    assert table["finding"].tolist() == ["effusion", "nodule"] * 6
    probabilities, _ = expected(names, folder)
    assert table["probability"].to_numpy().reshape(6, 2) == pytest.approx(probabilities, abs=1e-6)
    assert table["threshold"].tolist() == pytest.approx([0.3, 0.3] * 6)
    assert (table["positive"] == (table["probability"] >= table["threshold"])).all()


def test_all_formats_and_stdout_hold_the_same_rows(folder: Path, capsys: pytest.CaptureFixture[str]):
    for k in range(5):
        Image.fromarray(noise(k)).save(folder / f'a "{k}", ü.png')
    images = sorted(str(path.name) for path in folder.glob("a*.png"))
    for name in ("t.csv", "t.json", "t.parquet"):
        assert predict("--out", name, "--batch-size", "2", *images) == 0
    capsys.readouterr()
    assert predict("--batch-size", "2", *images) == 0
    assert capsys.readouterr().out == (folder / "t.csv").read_text()
    tables = [pd.read_csv("t.csv"), pd.DataFrame(json.loads(Path("t.json").read_text())), pd.read_parquet("t.parquet")]
    for table in tables:
        assert table.columns.tolist() == COLUMNS
        assert table["positive"].dtype == bool
        assert table["image"].tolist() == [name for name in images for _ in range(2)]
        assert table["probability"].to_numpy(np.float32).tolist() == tables[2]["probability"].tolist()
        assert table["threshold"].tolist() == tables[2]["threshold"].tolist()


def test_thresholds_decide(folder: Path):
    """Also between a probability and its neighbour, where single precision would take one of them for the threshold."""
    model = save_model(folder / "model", preparation=PREPARATION)
    Image.fromarray(noise(0)).save(folder / "a.png")
    exact = trcgl.TRCGLNet.from_pretrained("model", device="cpu").predict("a.png")["probability"].to_numpy(np.float32)
    neighbours = np.nextafter(exact, np.array([0, 1], np.float32))
    between = (exact.astype(np.float64) + neighbours) / 2
    model.thresholds = {"effusion": float(between[0]), "nodule": float(between[1])}
    model.save(folder / "model")
    table = trcgl.TRCGLNet.from_pretrained("model", device="cpu").predict("a.png")
    assert table["positive"].tolist() == [True, False]


def test_images_in_which_air_is_bright_are_inverted_where_it_is_said(folder: Path):
    """As the pipeline inverts those that a label table calls MONOCHROME1; a DICOM file states it itself."""
    film = noise(0)
    film[20:40] //= 4
    Image.fromarray(film).save(folder / "a.png")
    Image.fromarray(4095 - film).save(folder / "b.png")
    write_dicom(folder / "c.dcm", film, "MONOCHROME1")
    write_dicom(folder / "d.dcm", film, "MONOCHROME2")
    assert predict("--out", "a.csv", "a.png", "c.dcm", "d.dcm") == 0
    assert predict("--out", "b.csv", "--inverted", "b.png", "c.dcm", "d.dcm") == 0
    said, stated = (pd.read_csv(folder / name)["probability"].to_numpy() for name in ("a.csv", "b.csv"))
    assert stated == pytest.approx(said, abs=1e-6)
    assert abs(said[2:4] - said[4:6]).max() > 1e-6
    model = trcgl.TRCGLNet.from_pretrained("model", device="cpu")
    assert model.predict("b.png", inverted=True)["probability"].to_numpy() == pytest.approx(said[:2], abs=1e-6)
    assert abs(model.predict("b.png")["probability"].to_numpy() - said[:2]).max() > 1e-6


def test_outputs_that_are_not_numbers_are_an_error(folder: Path, capsys: pytest.CaptureFixture[str]):
    Image.fromarray(noise(0)).save(folder / "a.png")
    model = save_model(folder / "model", preparation=PREPARATION)
    next(iter(model.parameters())).data.fill_(float("nan"))
    model.save(folder / "model")
    line = fails(capsys, "--out", "t.csv", "a.png")
    assert line.startswith("model: gives probabilities that are not numbers, so a weight is damaged")
    assert not (folder / "t.csv").exists()


@pytest.mark.parametrize("value", ["30", "-0.1", "NaN", "true", '"0.5"'])
def test_a_threshold_that_is_no_probability_is_named(folder: Path, capsys: pytest.CaptureFixture[str], value: str):
    Image.fromarray(noise(0)).save(folder / "a.png")
    (folder / "model/thresholds.json").write_text(f'{{"effusion": 0.5, "nodule": {value}}}')
    assert re.search(r"thresholds\.json: 'nodule' is \S+, not (a number|in 0\.\.1)", fails(capsys, "a.png"))


def test_a_name_that_no_file_can_have_does_not_stop_the_others(folder: Path, capsys: pytest.CaptureFixture[str]):
    Image.fromarray(noise(0)).save(folder / "a.png")
    long = "b" * 300 + ".png"
    assert fails(capsys, "--out", "t.csv", long, "a.png") == "1 of 2 images could not be read; the others are done"
    assert set(pd.read_csv("t.csv")["image"]) == {"a.png"}


def test_nothing_readable_keeps_the_old_table(folder: Path, capsys: pytest.CaptureFixture[str], said: list[str]):
    for name in ("t.csv", "t.json", "t.parquet"):
        (folder / name).write_text("old")
        line = fails(capsys, "--out", name, "missing.png", "none.dcm")
        assert line == "none of 2 images could be read; the first: missing.png"
        assert (folder / name).read_text() == "old"
    assert "unreadable: missing.png: cannot be read: No such file or directory" in said
    assert sorted(path.name for path in folder.iterdir()) == ["model", "t.csv", "t.json", "t.parquet"]


def test_bad_requests_are_one_line_before_any_work(folder: Path, capsys: pytest.CaptureFixture[str]):
    Image.fromarray(noise(0)).save(folder / "a.png")
    (folder / "none").mkdir()
    assert "t.xlsx: has no known format" in fails(capsys, "--out", "t.xlsx", "a.png")
    assert "none: no image inside" in fails(capsys, "none")
    assert "b*.png: no file matches" in fails(capsys, "a.png", "b*.png")
    assert "a.png/t.csv: cannot be written (" in fails(capsys, "--out", "a.png/t.csv", "a.png")
    assert "a.png: is not a folder; give one for --overlays" in fails(capsys, "--overlays", "a.png", "a.png")
    assert "the device is 'tpu', which cannot be used here" in fails(capsys, "--device", "tpu", "a.png")
    assert "--likeliest: is given without --overlays" in fails(capsys, "--likeliest", "2", "a.png")
    for name, why in (
        ("a.png", "it is a file; give its folder"),
        ("model/model.safetensors", "it is a file; give its folder"),
        ("nowhere", "there is no such folder"),
        ("a.png/model", "there is no such folder"),
        ("none", "No such file or directory: none/model.safetensors"),
        (".", "give one of its folders: model"),
    ):
        line = fails(capsys, "--model", name, "a.png")
        assert line == f"{name}: not a saved classifier ({why}); dvc repro writes one to data/models/classifier"
    save_model(folder / "model", preparation=None)
    assert "config.json lacks 'preparation' (how pictures are made from files)" in fails(capsys, "a.png")
    for value in ("0", "-1", "many"):
        with pytest.raises(SystemExit):
            predict("--batch-size", value, "a.png")


def test_a_table_does_not_replace_a_file_that_is_given_as_an_image(folder: Path, capsys: pytest.CaptureFixture[str]):
    Path("notes.csv").write_text("precious")
    said = fails(capsys, "--out", "notes.csv", "./notes.csv", "a.png")
    assert said.startswith("notes.csv: is given as an image, and would be overwritten")
    assert Path("notes.csv").read_text() == "precious"


def test_batches_of_any_size_give_the_same_rows(folder: Path):
    mixed_folder(folder / "scans")
    model = trcgl.TRCGLNet.from_pretrained("model", device="cpu")
    few, all_at_once = (model.predict("scans/c.jpg", batch_size=size) for size in (1, 2**63))
    pd.testing.assert_frame_equal(few, all_at_once)
    for size in (0, -1):
        with pytest.raises(InputError, match=f"a batch of {size} images is asked for"):
            model.predict("scans/c.jpg", batch_size=size)


def test_files_are_found_in_order_and_once(folder: Path):
    names = mixed_folder(folder / "scans")
    (folder / "scans" / ".hidden").mkdir()
    (folder / "scans" / ".hidden" / "x.png").touch()
    (folder / "scans" / "DICOMDIR").write_bytes((folder / "scans" / "deep" / "d.dcm").read_bytes())
    (folder / "scans" / "[1].png").touch()
    found = find_images(["scans/c.jpg", "scans", "./scans/a8.PNG", folder / "scans" / "b16.png", "gone.png"])
    walked = sorted([*names, "[1].png", "deep/empty.png", "deep/text.jpg"])
    assert [path.as_posix() for path in found.images] == [
        "scans/c.jpg", *(f"scans/{name}" for name in walked if name != "c.jpg"), "gone.png",
    ]  # fmt: skip
    assert find_images(["scans/[b-z]*.[jp]*g"]).images == [Path("scans/b16.png"), Path("scans/c.jpg")]
    assert len(find_images(["scans/**/*.dcm"]).images) == 1
    assert find_images(["scans/[1].png"]).images == [Path("scans/[1].png")]
    assert [path.name for path in find_images(["sc*"]).images] == [path.name for path in find_images(["scans"]).images]
    deep = [path.as_posix() for path in find_images(["scans/deep"]).images]
    for pattern in ("**/d*p", "scans/**/deep", "s*/**/deep"):
        assert [path.as_posix() for path in find_images([pattern]).images] == deep
    with pytest.raises(InputError, match="no image is given"):
        find_images([])
    for picture in (np.zeros((64, 64), np.uint8), b"\x89PNG", None, 5):
        with pytest.raises(
            InputError, match=r"an image is given as (ndarray|bytes|NoneType|int); give the name of its"
        ):
            find_images(["scans/c.jpg", picture])  # pyright: ignore[reportArgumentType]


def test_memory_does_not_grow_with_the_number_of_images(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """At most two batches are decoded before they are taken."""
    Image.fromarray(noise(0)).save(folder / "a.png")
    begun: list[object] = []

    def counted(path, preparation, sizes, **options):
        begun.append(path)
        return read_squares(path, preparation, sizes, **options)

    monkeypatch.setattr(reading, "read_squares", counted)
    taken = 0
    for batch in read_batches([folder / "a.png"] * 50, PREPARATION, [16], 4):
        taken += len(batch.paths)
        assert len(begun) <= taken + 4
    assert taken == len(begun) == 50


def test_an_overlay_shows_the_evidence_in_its_place(folder: Path):
    picture = np.full((512, 512), 100, np.uint8)
    class_map = -np.ones((8, 8))
    class_map[2, 5] = 3.0
    plain = np.asarray(overlay(picture, class_map, "finding", (0.0, 0.0))).astype(int)
    assert plain.shape == (544, 1024, 3)
    assert (plain[32:, :512] == 100).all()
    changed = np.abs(plain[32:, 512:] - 100).sum(2)
    row, column = np.unravel_index(changed.argmax(), changed.shape)
    assert abs(row - 2.5 * 64) < 8
    assert abs(column - 5.5 * 64) < 8
    assert changed[300:, :200].max() == 0
    moved = np.asarray(overlay(picture, class_map, "finding", (64 / 512, -32 / 512))).astype(int)
    np.testing.assert_array_equal(moved[32 + 64 : 300, 600:900], plain[32 : 300 - 64, 632:932])
    assert plain[:32].max() == 255
    nothing = np.asarray(overlay(picture, -class_map.clip(0), "finding", (0.0, 0.0)))
    assert (nothing[32:] == 100).all()


def test_the_overlay_of_one_image_does_not_rest_on_a_few_spots(folder: Path, monkeypatch: pytest.MonkeyPatch):
    save_model(folder / "model", preparation=PREPARATION)
    mixed_folder(folder / "scans")
    seen: list[int] = []
    monkeypatch.setattr(overlays, "receptive_shift", lambda _, images: seen.append(len(images)) or (0.0, 0.0))
    assert predict("--out", "t.csv", "--overlays", "all", "--likeliest", "1", "scans/c.jpg") == 0
    assert seen == [overlays.SHIFT_IMAGES]


def test_overlays_of_positive_findings_or_of_the_likeliest(folder: Path, said: list[str]):
    model = save_model(folder / "model", preparation=PREPARATION, class_names=("Größe / a", "größe a"))
    mixed_folder(folder / "scans")
    assert predict("--out", "t.csv", "--overlays", "all", "scans") == 1
    drawn = sorted(path.relative_to("all").as_posix() for path in Path("all").rglob("*.png"))
    assert len(drawn) == 12
    assert drawn[:4] == ["a8.PNG.größe_a.png", "a8.PNG.größe_a_1.png", "b16.png.größe_a.png", "b16.png.größe_a_1.png"]
    assert "deep/1.2.840.7.größe_a.png" in drawn
    with Image.open(Path("all") / drawn[0]) as image:
        assert image.size == (1024, 544)
    model.thresholds = dict.fromkeys(model.config.class_names, 0.99)
    model.save(folder / "model")
    assert predict("--out", "t.csv", "--overlays", "none", "scans/c.jpg") == 0
    assert list(Path("none").iterdir()) == []
    assert predict("--out", "t.csv", "--overlays", "one", "--likeliest", "1", "scans/c.jpg") == 0
    assert len(list(Path("one").iterdir())) == 1
    assert said[-1] == "1 images, 0 positive findings, 1 overlays in one"


@pytest.mark.slow
def test_three_lines_in_a_clean_process_elsewhere(folder: Path):
    """Without the project's folder and params, and without a guard of the main module."""
    mixed_folder(folder / "scans")
    (folder / "script.py").write_text(
        "from trcgl import TRCGLNet\n"
        'model = TRCGLNet.from_pretrained("model")\n'
        'table = model.predict(["scans/b16.png", "scans/deep/d.dcm", "scans/deep/empty.png"])\n'
        "print(model)\nprint(table.attrs)\ntable.to_csv('t.csv', index=False)\n"
    )
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=folder, env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    table = pd.read_csv(folder / "t.csv")
    probabilities, _ = expected(["scans/b16.png", "scans/deep/d.dcm"], folder)
    assert table["probability"].to_numpy().reshape(2, 2) == pytest.approx(probabilities, abs=1e-6)
    assert done.stdout.splitlines() == [
        "TRCGLNet(resnet10t with head trcgl_paper, 2 findings, images of 32 px, on cpu)",
        "{'unreadable': {'scans/deep/empty.png': 'empty file'}}",
    ]
    assert [line[9:] for line in done.stderr.splitlines()] == [
        "trcgl.predict: unreadable: scans/deep/empty.png: empty file"
    ]


def test_nothing_readable_is_an_error_of_the_api(folder: Path):
    model = trcgl.TRCGLNet.from_pretrained(folder / "model", device="cpu")
    with pytest.raises(InputError, match=r"^the image could not be read: "):
        model.predict("missing.png")


def test_the_package_is_imported_without_torch():
    script = "import sys, trcgl; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": str(ROOT / "src")}).returncode == 0
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        operator.attrgetter("Nothing")(trcgl)
