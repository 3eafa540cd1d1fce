"""Which files are images: one rule for every command, by name or content; whatever is left out is named and counted."""

import bz2
import gzip
import io
import json
import lzma
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from tests.inference_cases import PREPARATION, noise, write_dicom
from tests.input_cases.case import good_project
from tests.stage_scripts import script
from tests.test_evaluation_external import save_model
from trcgl.cli import main
from trcgl.images.decode import UnreadableImage, decode
from trcgl.images.kinds import is_image
from trcgl.images.listing import HIDDEN, OTHER, SPECIAL, TWICE, counted, list_images, printable
from trcgl.inference import pretrained
from trcgl.inference.files import find_images
from trcgl.labels.file_match import match_files
from trcgl.runtime.errors import InputError, exit_code
from trcgl.runtime.picture_suffixes import SUFFIXES

LATIN = os.fsdecode(b"ni\xf1o.png")


def _pillow(kind: str, mode: str = "L", **options: object) -> Callable[[Path], None]:
    return lambda path: Image.fromarray(noise(0, top=256)).convert(mode).save(path, kind, **options)


def _opencv(suffix: str, *options: int) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        done, buffer = cv2.imencode(suffix, noise(0, top=256), options)
        assert done
        path.write_bytes(buffer.tobytes())

    return write


def _bare_dicom(implicit: bool, little: bool) -> Callable[[Path], None]:
    """A data set alone: no preamble, no head."""

    def write(path: Path) -> None:
        write_dicom(path, noise(0))
        dataset = pydicom.dcmread(path)
        tags = dataset.keys()
        bare = pydicom.Dataset({tag: dataset[tag] for tag in tags if dataset[tag].tag != 0x7FE00010})
        buffer = DicomBytesIO()
        buffer.is_implicit_VR, buffer.is_little_endian = implicit, little
        write_dataset(buffer, bare)
        path.write_bytes(buffer.getvalue())

    return write


def _head_without_preamble(path: Path) -> None:
    write_dicom(path, noise(0))
    path.write_bytes(path.read_bytes()[132:])


IMAGES: dict[str, Callable[[Path], object]] = {
    "png": _pillow("PNG"), "jpeg": _pillow("JPEG"), "progressive jpeg": _pillow("JPEG", progressive=True),
    "cmyk jpeg": _pillow("JPEG", "CMYK"), "tiff": _pillow("TIFF"), "big tiff": _pillow("TIFF", big_tiff=True),
    "big-endian tiff": lambda path: path.write_bytes(b"MM\0*" + bytes(200)), "bmp": _pillow("BMP"),
    "colour bmp": _pillow("BMP", "RGB"), "gif": _pillow("GIF"), "webp": _pillow("WEBP"), "jp2": _pillow("JPEG2000"),
    "jpeg 2000 stream": _pillow("JPEG2000", no_jp2=True), "pgm": _pillow("PPM"), "ppm": _pillow("PPM", "RGB"),
    "pbm": _pillow("PPM", "1"), "ascii pgm": _opencv(".pgm", cv2.IMWRITE_PXM_BINARY, 0), "pam": _opencv(".pam"),
    "opencv bmp": _opencv(".bmp"), "opencv tiff": _opencv(".tif"), "commented pgm": lambda path: path.write_bytes(
        b"P5\n# made by hand\n4 4\n255\n" + bytes(16)), "dicom": lambda path: write_dicom(path, noise(0)),
    "dicom without preamble": _head_without_preamble, "implicit data set": _bare_dicom(True, True),
    "explicit data set": _bare_dicom(False, True), "big-endian data set": _bare_dicom(False, False),
}  # fmt: skip


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", b"x")


NOT_READ: dict[str, tuple[Callable[[Path], object], str]] = {
    "AVIF": (_pillow("AVIF"), "an AVIF, HEIC or film file; save it as PNG"),
    **{
        brand: (lambda path, brand=brand: path.write_bytes(b"\0\0\0\x18ftyp" + brand.encode() + bytes(99)), "HEIC")
        for brand in ("heic", "heix", "mif1", "avis")
    },
    "JPEG XL": (lambda path: path.write_bytes(b"\xff\x0a" + bytes(99)), "a JPEG XL file; save it as PNG"),
    "JPEG XL in boxes": (lambda path: path.write_bytes(b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(99)), "a JPEG XL file"),
    "Photoshop": (lambda path: path.write_bytes(b"8BPS\0\1" + bytes(99)), "a Photoshop file; save it as PNG"),
}
PACKED: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
FILM = b"\0\0\0\x18ftypisom" + bytes(99)

OTHERS: dict[str, bytes | Callable[[Path], None]] = {
    "empty": b"", "one byte": b"P", "table": b"image,patient\na.png,1\n", "report": b"II. Findings: no effusion.\n",
    "BMI": b"BMI,age\n23,61\n30,50\n40,40\n", "P1": b"P1 was seen on Monday.\n", "P5,1": b"P5,17,1\n",
    "GIF": b"GIF is a format\n",
    "MM": b"MM*A,B\n", "json": b'{"a": 1}', "xml": b"<?xml version='1.0'?><a/>", "html": b"<!doctype html>",
    "pdf": b"%PDF-1.7\n" + bytes(200), "gzip": gzip.compress(b"II*\0" * 50), "zip": _zip,
    "npy": lambda path: np.save(path.open("wb"), np.zeros(9)), "wave": b"RIFF\x24\0\0\0WAVEfmt " + bytes(200),
    "parquet": lambda path: pd.DataFrame({"a": [1]}).to_parquet(path), "elf": b"\x7fELF\x02\x01\x01" + bytes(200),
    "thumbs": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(200), "store": b"\0\0\0\1Bud1" + bytes(200),
    "zeros": bytes(400), "film": FILM,
    "apple double": b"\0\5\26\7\0\2\0\0Mac OS X" + bytes(200), "utf-16": "Bild;Befund\n".encode("utf-16"),
}  # fmt: skip


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("file", ["IM0001", "film.img", "1.2.840.113", "scan.raw"])
def test_every_format_is_known_by_its_content(tmp_path: Path, name: str, file: str):
    IMAGES[name](tmp_path / file)
    assert is_image(tmp_path / file)


@pytest.mark.parametrize("name", OTHERS)
def test_nothing_else_is_an_image(tmp_path: Path, name: str):
    content, path = OTHERS[name], tmp_path / "x.dat"
    path.write_bytes(content) if isinstance(content, bytes) else content(path)
    assert not is_image(path)


@pytest.mark.parametrize("name", NOT_READ)
@pytest.mark.parametrize("file", ["IM0001", "photo.heic", "photo.HIF", "x.avif", "x.jxl", "x.psd"])
def test_a_picture_that_is_not_read_is_no_report_beside_the_images(tmp_path: Path, name: str, file: str):
    write, reason = NOT_READ[name]
    write(tmp_path / file)
    assert list_images(tmp_path).images == [file]
    with pytest.raises(UnreadableImage, match=reason):
        decode(tmp_path / file)


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("file", ["a.dcm", "a.PNG", "1.2.3.dicom"])
def test_a_packed_picture_is_named_and_a_packed_table_is_not(tmp_path: Path, kind: str, file: str):
    Image.fromarray(noise(0, top=256)).save(tmp_path / "a", "PNG")
    packed = PACKED[kind]((tmp_path / "a").read_bytes())
    (tmp_path / f"{file}.{kind}").write_bytes(packed)
    (tmp_path / f"labels.csv.{kind}").write_bytes(packed)
    found = list_images(tmp_path)
    assert set(found.images) == {"a", f"{file}.{kind}"}
    assert found.skipped == [(f"labels.csv.{kind}", OTHER)]
    with pytest.raises(UnreadableImage, match=r"^compressed by .*; unpack it$"):
        decode(tmp_path / f"{file}.{kind}")


@pytest.mark.parametrize("name", ["ExplVR_LitEndNoMeta.dcm", "ExplVR_BigEndNoMeta.dcm", "CT_small.dcm"])
def test_dicom_files_of_pydicom_are_known_by_their_content(tmp_path: Path, name: str):
    source = get_testdata_file(name, download=False)
    assert source is not None
    path = tmp_path / "7"
    path.write_bytes(Path(str(source)).read_bytes())
    assert is_image(path)


def test_a_known_suffix_is_enough_and_no_file_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    names = "a.PNG b.jpg c.JPEG d.jfif e.tif f.tiff g.bmp h.gif i.webp j.jp2 k.pgm l.dcm m.DICOM n.dic o.ima".split()  # noqa: SIM905
    for name in names:
        (tmp_path / name).touch()
    monkeypatch.setattr(Path, "open", None)
    assert list_images(tmp_path).images == names


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("packed", ["", ".gz"])
def test_what_is_listed_is_found_by_a_name_without_its_suffix(suffix: str, packed: str, tmp_path: Path):
    """Also in capitals, and beside a file of another name."""
    names = [f"a{suffix}{packed}", f"B{suffix.upper()}{packed}", "c.png"]
    for name in names:
        (tmp_path / name).touch()
    rows = pd.DataFrame({"image": ["a", "b"], "folder": "", "file": ""})
    found, ambiguous = match_files(rows, pd.Series(list_images(tmp_path).images, dtype="str"))
    assert found.tolist() == names[:2]
    assert not ambiguous.any()


def messy(root: Path) -> None:
    """A folder with everything that people have beside their images; `elsewhere` lies beside it."""
    scans, elsewhere = root / "scans", root / "elsewhere"
    for folder in (scans / "deep/deeper", scans / ".hidden", scans / "lost+found", elsewhere / "more"):
        folder.mkdir(parents=True)
    picture = noise(1, top=256)
    for path in (scans / "a.png", scans / "deep/deeper/b.png", elsewhere / "c.png", elsewhere / "more/d.png"):
        Image.fromarray(picture).save(path)
    for name in ("film.img", "noname"):
        Image.fromarray(picture).save(scans / name, "PNG")
    for name in (".hidden/e.png", "._a.png", ".DS_Store", "Thumbs.db", "report.txt", "labels.csv", "lost+found/f.png"):
        (scans / name).write_bytes(b"x")
    write_dicom(scans / "DICOMDIR", noise(0))
    (scans / "linked").symlink_to(elsewhere)
    (scans / "again").symlink_to(elsewhere / "more")
    (scans / "round").symlink_to(scans)
    (scans / "deep/up").symlink_to("..")
    (scans / "file.lnk").symlink_to(elsewhere / "c.png")
    (scans / "gone.png").symlink_to("nothing.png")
    (scans / "gone").symlink_to("nothing")
    os.mkfifo(scans / "pipe.png")


def test_a_messy_folder_is_listed_whole(tmp_path: Path):
    messy(tmp_path)
    found = list_images(tmp_path / "scans")
    assert found.images == [
        "a.png", "again/d.png", "deep/deeper/b.png", "file.lnk", "film.img", "gone.png", "linked/c.png", "noname",
    ]  # fmt: skip
    assert dict(found.skipped) == {
        ".DS_Store": HIDDEN, "._a.png": HIDDEN, ".hidden": HIDDEN, "DICOMDIR": OTHER, "Thumbs.db": OTHER,
        "deep/up": TWICE, "labels.csv": OTHER, "linked/more": TWICE, "lost+found": "a system folder",
        "pipe.png": SPECIAL, "report.txt": OTHER, "round": TWICE,
    }  # fmt: skip
    assert found.closed == [("gone", "a link to nothing")]
    assert "4 (not an image): DICOMDIR, Thumbs.db, labels.csv, report.txt" in list(counted(found.skipped))


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("000.png/x", "Not a directory"),
        ("link", "Too many levels of symbolic links"),
        ("x" * 300, "File name too long"),
    ],
)
def test_a_bad_link_does_not_cost_the_files_beside_it(target: str, reason: str, tmp_path: Path):
    names = [f"{k:03d}.png" for k in range(20)]
    for name in names:
        (tmp_path / name).touch()
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.png").touch()
    (tmp_path / "link").symlink_to(target)
    found = list_images(tmp_path)
    assert found.images == [*names, "a/x.png", "b/x.png"]
    assert found.closed == [("link", f"cannot be read: {reason}")]


def test_many_names_are_counted_and_the_first_are_named():
    (line,) = counted((f"{k:03d}.txt", OTHER) for k in range(227))
    assert line.startswith("227 (not an image): 000.txt, 001.txt, ")
    assert line.endswith(", 009.txt, ...")


def test_files_come_once_through_whatever_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    messy(tmp_path)
    monkeypatch.chdir(tmp_path)
    once = find_images(["scans"]).images
    assert find_images(["scans", "scans/round", "scans/deep/up", "elsewhere", "scans/linked/c.png"]).images == once
    assert find_images(["scans/**/*.png"]).images == [path for path in once if path.suffix == ".png"]
    found = find_images(["scans/*"])
    assert Path("scans/film.img") in found.images
    assert ("scans/labels.csv", OTHER) in found.skipped


@pytest.mark.parametrize("beside", ["overview.png", "notes.txt", ""])
def test_a_pattern_reads_folders_beside_files_as_the_shell_does(
    beside: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    for name in ("pat/A/x.png", "pat/B/deep/x.png", "pat/empty/notes.txt", *([f"pat/{beside}"] if beside else [])):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".png"):
            Image.fromarray(noise(1, top=256)).save(name)
        else:
            Path(name).write_text("notes")
    found, shell = find_images(["pat/*"]), find_images(sorted(map(str, Path("pat").glob("[AB]*"))))
    own = [Path("pat/overview.png")] if beside == "overview.png" else []
    assert found.images == [*own, *shell.images]
    notes = {"pat/empty/notes.txt", *(["pat/notes.txt"] if beside == "notes.txt" else [])}
    assert {path for path, _ in found.skipped} == notes
    with pytest.raises(InputError, match=r"pat/\*/no\*: no (image|file) matches this pattern"):
        find_images(["pat/*/no*"])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    messy(tmp_path)
    save_model(tmp_path / "model", preparation=PREPARATION)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def predict(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trcgl.cli", "predict", "--model", "model", "--device", "cpu", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_predict_reads_all_that_is_readable_and_names_the_rest(folder: Path, capsys: pytest.CaptureFixture[str]):
    code = main(["predict", "--model", "model", "--device", "cpu", "--out", "t.csv", "scans"])
    error = capsys.readouterr().err
    assert code == 1
    assert "error: 1 of 8 images could not be read, 1 path could not be opened; the others are done" in error
    assert pd.read_csv("t.csv")["image"].nunique() == 7
    for name in ("gone.png", "gone"):
        (folder / "scans" / name).unlink()
    assert main(["predict", "--model", "model", "--device", "cpu", "--out", "t.csv", "scans"]) == 0
    assert pd.read_csv("t.csv")["image"].nunique() == 7


@pytest.mark.skipif(os.geteuid() != 0, reason="gives up root's rights")
@pytest.mark.slow
def test_a_closed_folder_is_named_and_the_exit_code_is_1(folder: Path):
    """As another user than root, who may read everything."""
    Image.fromarray(noise(1)).save("readable.png")
    (folder / "shut/closed").mkdir(parents=True)
    Image.fromarray(noise(2)).save("shut/closed/x.png")
    Image.fromarray(noise(2)).save("shut/ajar.png")
    Path("shut/open").mkdir()
    Image.fromarray(noise(2)).save("shut/open/x.png")
    Path("shut/behind").symlink_to(folder / "shut/closed/x.png")
    Image.fromarray(noise(2)).save("shut/locked", "PNG")
    script = (
        "import os, sys; from trcgl.images.listing import list_images; from trcgl.inference.files import find_images\n"
        "os.setuid(65534)\n"
        "found = list_images('shut'); print(found.images, found.closed)\n"
        "found = find_images(['shut/*/*.png', 'shut/*.png'])\n"
        "print([str(path) for path in found.images], found.closed)"
    )
    for path in [folder, *folder.parents][:3]:
        path.chmod(0o755)
    (folder / "shut/closed").chmod(0)
    (folder / "shut/locked").chmod(0)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    whole, pattern = done.stdout.splitlines()
    assert pattern == "['shut/open/x.png', 'shut/ajar.png'] [('shut/closed', 'cannot be listed: Permission denied')]"
    assert whole == (
        "['ajar.png', 'open/x.png'] [('behind', 'cannot be read: Permission denied'), "
        "('closed', 'cannot be listed: Permission denied'), "
        "('locked', 'cannot be read: Permission denied')]"
    )


def test_an_empty_name_is_no_folder(folder: Path, capsys: pytest.CaptureFixture[str]):
    """As of a variable that is not set: the current folder was not meant."""
    assert main(["predict", "--model", "model", ""]) == 1
    assert "error: an empty name ('') is given for an image" in capsys.readouterr().err


@pytest.mark.slow
def test_a_name_with_a_line_break_is_one_line(folder: Path):
    (folder / "scans/new\nline.png").write_bytes(b"x")
    done = predict("scans", "--out", "t.csv")
    assert any("unreadable: scans/new line.png: not a PNG, " in line for line in done.stderr.splitlines())


def test_overlays_among_the_images_are_a_warning(folder: Path, monkeypatch: pytest.MonkeyPatch):
    said: list[str] = []
    monkeypatch.setattr(pretrained.log, "warning", lambda text, *values: said.append(text % values))
    words = ["predict", "--model", "model", "--out", "t.csv", "--overlays"]
    assert main([*words, "seen", "scans/a.png"]) == 0
    assert not said
    assert main([*words, "scans/seen", "scans/deep/deeper"]) == 0
    assert not said
    main([*words, "scans/deep/seen", "scans/**/*.png"])
    assert "scans/deep/seen lies among the images: another run would read the overlays as images" in said
    said.clear()
    assert main([*words, "scans/linked/seen", "elsewhere"]) == 0
    assert said == ["scans/linked/seen lies among the images: another run would read the overlays as images"]


def test_a_pipe_or_device_is_not_waited_for(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["predict", "--model", "model", "scans/pipe.png", "/dev/zero", "scans/a.png", "--out", "t.csv"]) == 1
    assert pd.read_csv("t.csv")["image"].unique().tolist() == ["scans/a.png"]


def test_a_name_that_is_not_utf8_is_scored_and_written_with_escapes(folder: Path, capsys: pytest.CaptureFixture[str]):
    Image.fromarray(noise(3)).save(folder / "x.png")
    (folder / "x.png").rename(folder / LATIN)
    for name in ("t.csv", "t.json", "t.parquet"):
        assert main(["predict", "--model", "model", "--out", name, LATIN]) == 0
    shown = {r"ni\xf1o.png"}
    assert set(pd.read_csv("t.csv")["image"]) == set(pd.read_parquet("t.parquet")["image"]) == shown
    assert {row["image"] for row in json.loads(Path("t.json").read_text())} == shown
    capsys.readouterr()
    assert main(["predict", "--model", "model", LATIN, "--overlays", "seen", "--likeliest", "1"]) == 0
    assert set(pd.read_csv(io.StringIO(capsys.readouterr().out))["image"]) == shown
    (overlay,) = Path("seen").iterdir()
    assert os.fsencode(overlay.name).startswith(b"ni\xf1o.png.")
    (folder / LATIN).write_bytes(b"x")
    assert main(["predict", "--model", "model", LATIN]) == 1
    assert r"the image could not be read: ni\xf1o.png" in capsys.readouterr().err


@pytest.mark.slow
def test_predictions_reach_a_stream_whatever_the_locale(folder: Path):
    Image.fromarray(noise(3)).save(folder / "größe 胸.png")
    (folder / "größe 胸.png").rename(folder / "größe 胸.png")
    for changes in ({"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}):
        done = subprocess.run(
            [sys.executable, "-m", "trcgl.cli", "predict", "--model", "model", "--device", "cpu", "größe 胸.png"],
            capture_output=True, env=os.environ | changes,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        table = pd.read_csv(io.BytesIO(done.stdout))
        assert table["image"].tolist() == ["größe 胸.png"] * 2, changes


def test_the_stage_leaves_out_a_name_that_no_table_holds_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    project = good_project(tmp_path / "project")
    monkeypatch.chdir(project)
    Image.fromarray(noise(3)).save("images/x.png")
    Path("images/x.png").rename(f"images/{LATIN}")
    Path("images/notes.txt").touch()
    assert exit_code(script("scan_images").main) == 0
    assert len(pd.read_parquet("data/manifest.parquet")) == 12
    assert main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(
        line.startswith("problem  dataset.images: left out 1 (name not in UTF-8; rename it") and r"ni\xf1o.png" in line
        for line in lines
    )
    assert "ok       dataset: 12 image files under images; skipped 1 (not an image): notes.txt" in lines


def test_linked_images_are_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder of links, as people make for a part of a large set, and a linked folder."""
    project = good_project(tmp_path / "project")
    monkeypatch.chdir(project)
    (tmp_path / "disk/part").mkdir(parents=True)
    for k, file in enumerate(sorted(Path("images").iterdir())):
        if k < 6:
            file.rename(tmp_path / "disk/part" / file.name)
        else:
            file.rename(tmp_path / "disk" / f"{k}")
            file.symlink_to(tmp_path / "disk" / f"{k}")
    Path("images/part").symlink_to(tmp_path / "disk/part")
    for stage in ("scan_images", "parse_labels", "cache_images"):
        assert exit_code(script(stage).main) == 0
    assert len(pd.read_parquet("data/images/classifier/index.parquet")) == 12
    assert pd.read_parquet("data/images/unreadable.parquet").empty


def test_a_name_is_printable_whatever_its_bytes():
    assert printable(LATIN) == r"ni\xf1o.png"
    assert printable("größe.png") == "größe.png"
    printable(os.fsdecode(bytes(range(1, 256)))).encode()
