"""Files whose names become the same by what is done to them: nothing takes the place of another without a word."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.dataset_layouts import CHEXPERT_COLUMNS
from tests.inference_cases import PREPARATION, noise
from tests.label_tables import ADAPTERS, as_text, meant, read, rows_of
from tests.test_evaluation_external import save_model
from trcgl.cli import main
from trcgl.diffusion.sampling.plan import parts_of_names
from trcgl.runtime.errors import InputError

TWINS = ("x_a.png", "x/a.png", "x/a_b.png", "x_a/b.png", "a.png", "A.png", "a.png.effusion.png", "x a.png")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Images of eight names that differ little, each with pixels of its own, and a model."""
    monkeypatch.chdir(tmp_path)
    save_model(tmp_path / "model", preparation=PREPARATION)
    for k, name in enumerate(TWINS):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(k)).save(path)
    return tmp_path


def test_every_image_has_rows_and_overlays_of_its_own(folder: Path):
    words = ["predict", "--model", "model", "--out", "t.csv", "--overlays", "seen", "--likeliest", "2"]
    assert main([*words, "images"]) == 0
    assert pd.read_csv("t.csv")["image"].nunique() == len(TWINS)
    drawn = sorted(path.relative_to("seen").as_posix() for path in Path("seen").rglob("*.png"))
    assert len(drawn) == 2 * len(TWINS)
    assert {name.rsplit(".", 2)[0] for name in drawn} == set(TWINS)
    for name in TWINS:
        # The left half of an overlay is the image
        halves = [np.asarray(Image.open(f"seen/{one}"))[32:, :512] for one in drawn if one.rsplit(".", 2)[0] == name]
        np.testing.assert_array_equal(halves[0], halves[1])
    pictures = {np.asarray(Image.open(f"seen/{one}"))[32:, :512].tobytes() for one in drawn}
    assert len(pictures) == len(TWINS)


def test_two_files_that_a_table_would_call_alike_stop(tmp_path: Path):
    pairs = (("x_a.png", "x/a.png"), ("x/a_b.png", "x_a/b.png"), ("x\\y.png", "x_y.png"))
    for one, other in pairs:
        text = f"image,patient,labels\nq.png,0,Mass\n{one},1,Mass\n{other},2,Nodule\n"
        with pytest.raises(InputError, match=r"of row 2 and '.*' of row 3 would both be called 'x_"):
            read("folder", tmp_path / "t.csv", text)
    # One file in two spellings is one
    table = read("folder", tmp_path / "t.csv", "image,patient,labels\nx/a.png,1,Mass\n./x\\a.png,1,Mass\n")
    assert table.rejected["reason"].tolist() == ["duplicate image name"]


@pytest.mark.parametrize("name", ["mimic", "vindr"])
def test_ids_that_are_one_without_their_suffix_stop(name: str, tmp_path: Path):
    adapter, what = ADAPTERS[name], meant()
    rows = rows_of(adapter, what)
    column = {"mimic": "dicom_id", "vindr": "image_id"}[name]
    rows[2][column], rows[3][column] = "q.dcm", "q.jpg"
    with pytest.raises(InputError, match=r"'q.dcm' of row 3 and 'q.jpg' of row 4 would both be called 'q'"):
        read(name, tmp_path / "t.csv", as_text(adapter.columns, rows))


def test_chexpert_paths_that_would_be_one_name_stop(tmp_path: Path):
    codes = ",".join(["1"] * 14)
    text = f"{','.join(CHEXPERT_COLUMNS)}\n" + "".join(
        f"train/{path},Male,50,Frontal,PA,{codes}\n" for path in ("patient1/study1_x/v.jpg", "patient1/study1/x_v.jpg")
    )
    with pytest.raises(InputError, match=r"row 1 and '.*' of row 2 would both be called 'patient1_study1_x_v.jpg'"):
        read("chexpert", tmp_path / "t.csv", text)


def test_samples_of_similar_findings_have_names_of_their_own():
    targets = ["a b", "a/b", "a_b", "a_b_1", "mass"]
    names = parts_of_names(targets)
    assert list(names) == targets
    assert len(set(names.values())) == len(targets)
    assert names["mass"] == "mass"
    assert names["a b"] == "a_b"


@pytest.mark.parametrize(
    ("overlays", "images", "said"),
    [
        ("model", ["images"], "lies in the model's folder"),
        ("model/seen", ["images"], "lies in the model's folder"),
        ("link", ["images"], "lies in the model's folder"),
        ("images", ["images"], "beside the images that are read"),
        ("images", ["images/x_a.png"], "beside the images that are read"),
        ("images", ["images/x", "images/x_a"], "beside the images that are read"),
        (".", ["images/../images"], ""),
        ("images/x", ["images"], "beside the images that are read"),
        ("t.csv", ["images"], "is given for --out as well"),
        ("t.csv/seen", ["images"], "is given for --out as well"),
        ("held", ["images"], "is a link to an image that is read"),
    ],
)
def test_overlays_never_come_over_or_beside_what_is_read(
    folder: Path, overlays: str, images: list[str], said: str, capsys: pytest.CaptureFixture[str]
):
    (folder / "link").symlink_to("model")
    (folder / "held").mkdir()
    (folder / "held/a.png.effusion.png").symlink_to("../images/a.png")
    before = {str(path): path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
    words = ["predict", "--model", "model", "--out", "t.csv", "--overlays", overlays, "--likeliest", "1", *images]
    assert main(words) == (1 if said else 0)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    if said:
        assert len(lines) == 1
        assert said in lines[0]
        assert lines[0].endswith("; give another name for --overlays")
    after = {path: Path(path).read_bytes() for path in before}
    assert after == before
