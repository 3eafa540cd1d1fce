"""Outputs: through links and into devices, never over a folder or an input, readable by whom the umask says."""

import io
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors.numpy import save_file

from tests.inference_cases import PREPARATION, noise
from tests.test_evaluation_external import save_model
from trcgl.cli import main
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import directory_beside, write_json, write_text, written_beside
from trcgl.runtime.output_paths import check_output, check_replaced_folder, final_file

LABELS = "image,patient,effusion,nodule\na.png,1,1,0\nb.png,2,0,1\nc.png,3,1,1\n"
Command = Callable[[str], list[str]]
FILE_COMMANDS: dict[str, Command] = {
    "labels": lambda out: ["labels", "--dataset", "folder", "--csv", "t.csv", "--out", out],
    "plot": lambda out: ["labels", "--dataset", "folder", "--csv", "t.csv", "--plot", out],
    "predict": lambda out: ["predict", "--model", "model", "--device", "cpu", "--out", out, "images"],
    "export": lambda out: ["export", "--model", "model", "--out", out],
}
SUFFIX = {"labels": ".csv", "plot": ".png", "predict": ".csv", "export": ".onnx"}
FOLDER_COMMANDS: dict[str, Command] = {
    "evaluate": lambda out: [
        "evaluate", "--model", "model", "--dataset", "folder", "--images", "images", "--labels", "t.csv", "--out", out,
    ],
    "overlays": lambda out: [
        "predict", "--model", "model", "--device", "cpu", "--out", "p.csv", "images", "--overlays", out,
    ],
    "pretrain": lambda out: ["pretrain", "--out", out],
}  # fmt: skip
QUICK = ("labels", "predict")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    save_model(tmp_path / "model", preparation=PREPARATION)
    (tmp_path / "t.csv").write_text(LABELS)
    (tmp_path / "images").mkdir()
    for k, name in enumerate("abc"):
        Image.fromarray(noise(k)).save(tmp_path / "images" / f"{name}.png")
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def fails(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    capsys.readouterr()
    assert main(arguments) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    return lines[0].removeprefix("error: ")


@pytest.mark.parametrize("name", FILE_COMMANDS)
def test_a_folder_is_no_file(folder: Path, capsys: pytest.CaptureFixture[str], name: str):
    before = contents(folder)
    for out in (".", "..", "/", "images", "images/", "new/", "images/..", "./"):
        assert "is a folder; give a file name" in fails(capsys, FILE_COMMANDS[name](out)), out
    assert "an empty name ('') is given" in fails(capsys, FILE_COMMANDS[name](""))
    assert contents(folder) == before


@pytest.mark.parametrize("name", FILE_COMMANDS)
def test_a_place_that_cannot_be_written_is_found_before_the_work(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
):
    before, out = contents(folder), f"x{SUFFIX[name]}"
    (folder / f"round{SUFFIX[name]}").symlink_to(f"round{SUFFIX[name]}")
    assert "(t.csv is not a folder); give another name" in fails(capsys, FILE_COMMANDS[name](f"t.csv/{out}")).replace(
        f"{folder}/", ""
    )
    assert "a folder before '..' is missing" in fails(capsys, FILE_COMMANDS[name](f"none/../{out}"))
    assert "links lead in a circle" in fails(capsys, FILE_COMMANDS[name](f"round{SUFFIX[name]}"))
    monkeypatch.setattr(os, "access", lambda *given: False)
    assert "is read-only for this user" in fails(capsys, FILE_COMMANDS[name](f"deep/er/{out}"))
    assert contents(folder) == before


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("sign", ["x", "é"])
def test_the_longest_name_is_written(folder: Path, name: str, sign: str):
    out = sign * (251 // len(sign.encode())) + ".csv"
    assert main(FILE_COMMANDS[name](out)) == 0
    assert (folder / out).is_file()
    with directory_beside(folder / out.replace(".csv", ".dir")) as beside:
        assert beside.is_dir()
    assert (folder / out.replace(".csv", ".dir")).is_dir()


@pytest.mark.parametrize("name", FILE_COMMANDS)
def test_a_dash_is_not_a_file(folder: Path, capsys: pytest.CaptureFixture[str], name: str):
    assert fails(capsys, FILE_COMMANDS[name]("-")) == "-: give a file name, such as /dev/stdout for standard output"


def test_rows_do_not_get_lost_where_standard_output_is_closed(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "stdout", None)
    words = FILE_COMMANDS["predict"]("t.csv")
    assert "standard output is closed" in fails(capsys, [word for word in words if word not in ("--out", "t.csv")])


@pytest.mark.parametrize("name", QUICK)
def test_a_stream_that_is_closed_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str], name: str):
    assert "/fd/987: cannot be written (Bad file descriptor)" in fails(capsys, FILE_COMMANDS[name]("/dev/fd/987"))


@pytest.mark.parametrize("name", QUICK)
def test_a_missing_folder_is_made(folder: Path, name: str):
    assert main(FILE_COMMANDS[name]("deep/er/x.csv")) == 0
    assert (folder / "deep/er/x.csv").is_file()


@pytest.mark.parametrize(
    ("arguments", "out"),
    [
        (FILE_COMMANDS["labels"], "t.csv"),
        (FILE_COMMANDS["labels"], "images/../t.csv"),
        (FILE_COMMANDS["labels"], "link.csv"),
        (FILE_COMMANDS["plot"], "t.csv"),
        (FILE_COMMANDS["predict"], "model/thresholds.json"),
        (FILE_COMMANDS["predict"], "picture.csv"),
        (FILE_COMMANDS["export"], "model/model.safetensors"),
    ],
)
def test_an_input_is_not_overwritten(folder: Path, capsys: pytest.CaptureFixture[str], arguments: Command, out: str):
    (folder / "link.csv").symlink_to("t.csv")
    shutil.copy(folder / "images/a.png", folder / "picture.csv")
    before = contents(folder)
    line = fails(capsys, arguments(out))
    assert "and would be overwritten; give another name" in line
    assert contents(folder) == before


def test_tables_of_an_evaluation_do_not_replace_its_labels(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "t.csv").rename(folder / "per_class.csv")
    arguments = [word.replace("t.csv", "per_class.csv") for word in FOLDER_COMMANDS["evaluate"](".")]
    assert "per_class.csv: is read as --labels, and would be overwritten" in fails(capsys, arguments)


@pytest.mark.parametrize("name", FOLDER_COMMANDS)
def test_a_file_is_no_folder(folder: Path, capsys: pytest.CaptureFixture[str], name: str):
    before = contents(folder)
    assert "t.csv: is not a folder" in fails(capsys, FOLDER_COMMANDS[name]("t.csv"))
    assert "an empty name ('') is given" in fails(capsys, FOLDER_COMMANDS[name](""))
    assert contents(folder) == before


def test_a_folder_with_other_things_is_not_replaced(folder: Path, capsys: pytest.CaptureFixture[str]):
    """`pretrain` replaces its folder as a whole, so that a wrong name would delete the user's data."""
    before = contents(folder)
    for out in (".", "..", "/", str(folder)):
        assert "is or holds the current folder" in fails(capsys, FOLDER_COMMANDS["pretrain"](out))
    assert "images: holds other things (no model_index.json)" in fails(capsys, FOLDER_COMMANDS["pretrain"]("images"))
    assert contents(folder) == before
    for name in ("new", "empty", "base"):
        (folder / name).mkdir(exist_ok=name != "new")
    (folder / "base/model_index.json").touch()
    for name in ("new", "empty", "base"):
        check_replaced_folder(Path(name), "--out", mark="model_index.json")


@pytest.mark.parametrize("name", QUICK)
def test_a_link_stays_and_what_it_leads_to_is_replaced(folder: Path, name: str):
    (folder / "there").mkdir()
    (folder / "there/real.csv").write_text("old")
    (folder / "one.csv").symlink_to("there/two.csv")
    (folder / "there/two.csv").symlink_to("real.csv")
    (folder / "new.csv").symlink_to("there/made.csv")
    for out, real in (("one.csv", "real.csv"), ("new.csv", "made.csv")):
        assert main(FILE_COMMANDS[name](out)) == 0
        assert (folder / out).is_symlink()
        assert (folder / "there/two.csv").is_symlink()
        assert len(pd.read_csv(folder / "there" / real)) == (2 if name == "labels" else 6)
    assert sorted(path.name for path in (folder / "there").iterdir()) == ["made.csv", "real.csv", "two.csv"]


def test_a_link_into_the_cache_of_dvc_is_replaced(tmp_path: Path):
    """As `cache.type symlink` makes them: what the cache holds belongs to other versions, too."""
    cached = tmp_path / "cache/files/md5/ab/cdef0123456789abcdef0123456789"
    cached.parent.mkdir(parents=True)
    cached.write_text("old")
    (tmp_path / "out.json").symlink_to(cached)
    write_json(tmp_path / "out.json", {})
    assert cached.read_text() == "old"
    assert not (tmp_path / "out.json").is_symlink()


@pytest.fixture
def read_from() -> Iterator[Callable[[Path], list[bytes]]]:
    """Reads a named pipe to its end, in a thread; the list has the content afterwards."""
    threads: list[threading.Thread] = []

    def start(pipe: Path) -> list[bytes]:
        got: list[bytes] = []
        threads.append(threading.Thread(target=lambda: got.append(pipe.read_bytes()), daemon=True))
        threads[-1].start()
        return got

    yield start
    for thread in threads:
        thread.join(10)


@pytest.mark.parametrize(
    ("name", "out"), [*((name, f"pipe{SUFFIX[name]}") for name in FILE_COMMANDS), ("predict", "p")]
)
def test_a_pipe_is_written_through(folder: Path, read_from: Callable[[Path], list[bytes]], name: str, out: str):
    """Straight, and by way of a link; it is a pipe afterwards, and holds what a file would."""
    assert main(FILE_COMMANDS[name](f"file{SUFFIX[name]}")) == 0
    os.mkfifo(folder / out)
    (folder / "link").symlink_to(out)
    for given in (out, "link"):
        got = read_from(folder / out)
        assert main(FILE_COMMANDS[name](given)) == 0
        assert stat.S_ISFIFO((folder / out).stat().st_mode)
        while not got:
            pass
        assert got == [(folder / f"file{SUFFIX[name]}").read_bytes()]
    assert [path for path in folder.iterdir() if "partial" in path.name] == []


def run(words: list[str], **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-m", "trcgl.cli", *words], check=False, **options)  # pyright: ignore


@pytest.mark.slow
def test_a_stream_of_the_process_gets_the_table_and_keeps_what_it_had(folder: Path):
    """Standard output as a pipe, as a file that has lines already, and by way of links, of which /dev/stdout is one."""
    (folder / "stdout").symlink_to("/proc/self/fd/1")
    (folder / "out.csv").symlink_to("stdout")
    for out in ("/proc/self/fd/1", "/dev/fd/1", "stdout", "out.csv"):
        done = run(FILE_COMMANDS["predict"](out), stdout=subprocess.PIPE)
        assert done.returncode == 0
        assert len(pd.read_csv(io.BytesIO(done.stdout))) == 6
    with (folder / "log").open("wb") as log:
        log.write(b"before\n")
        log.flush()
        assert run(FILE_COMMANDS["predict"]("stdout"), stdout=log).returncode == 0
        log.seek(0, os.SEEK_END)
        log.write(b"after\n")
    lines = (folder / "log").read_text().splitlines()
    assert (lines[0], len(lines), lines[-1]) == ("before", 9, "after")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_behind_the_output_is_one_line(folder: Path, unbuffered: str):
    """Found while it is written, or when the rest of it is at the end."""
    words = [word for word in FILE_COMMANDS["labels"]("t.csv") if word != "--out"][:-1]
    with Path("/dev/full").open("wb") as full:
        done = run(words, stdout=full, stderr=subprocess.PIPE, env=os.environ | {"PYTHONUNBUFFERED": unbuffered})
    said = "error: standard output: cannot be written (No space left on device); free some space\n"
    assert (done.returncode, done.stderr.decode()) == (1, said)


def test_a_device_is_written_through_and_stays(folder: Path, capsys: pytest.CaptureFixture[str]):
    """Of the test's own making: those in /dev belong to the whole machine."""
    devices = {"null": folder / "null", "full": folder / "full.csv"}
    try:
        for device, minor in (("null", 3), ("full", 7)):
            os.mknod(devices[device], 0o666 | stat.S_IFCHR, os.makedev(1, minor))
            devices[device].open("rb").close()
    except PermissionError:
        pytest.skip("devices cannot be made here")
    (folder / "link.csv").symlink_to("full.csv")
    for name in QUICK:
        for out in ("full.csv", "link.csv"):
            assert "no space is left to write it" in fails(capsys, FILE_COMMANDS[name](out))
        assert main(FILE_COMMANDS[name]("null")) == 0
    assert all(device.is_char_device() for device in devices.values())
    assert (folder / "link.csv").is_symlink()


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o007, 0o660), (0o077, 0o600), (0o002, 0o664)])
def test_the_umask_decides_who_may_read(tmp_path: Path, umask: int, mode: int):
    """Also of what safetensors writes, which makes files that only their owner may read."""
    before = os.umask(umask)
    try:
        save_model(tmp_path / "model")
        with written_beside(tmp_path / "alone.safetensors") as beside:
            save_file({"a": np.zeros(3)}, beside)
        with directory_beside(tmp_path / "folder") as beside:
            (beside / "deep").mkdir()
            save_file({"a": np.zeros(3)}, beside / "deep/x.safetensors")
        write_text(tmp_path / "text", "x")
        (tmp_path / "alone.csv").write_text("old")
        (tmp_path / "alone.csv").chmod(0o600)
        write_text(tmp_path / "alone.csv", "x")
    finally:
        os.umask(before)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in files} == {path.name: mode for path in files}
    assert len(files) > 6


def test_no_number_in_json_is_one_that_json_lacks(tmp_path: Path):
    write_json(tmp_path / "x.json", {"a": [float("nan"), {"b": float("inf")}], "c": np.float64("nan"), "d": 1.5})

    def refuse(word: str) -> None:
        raise AssertionError(word)

    found = json.loads((tmp_path / "x.json").read_text(), parse_constant=refuse)
    assert found == {"a": [None, {"b": None}], "c": None, "d": 1.5}


def test_a_place_may_be_new(tmp_path: Path):
    check_output(tmp_path / "a/b/c.csv", "--out", {"--csv": tmp_path / "a/b/c.csv", "--none": None})
    assert final_file(tmp_path / "new") == tmp_path / "new"
    with pytest.raises(InputError, match="is a folder"):
        final_file(tmp_path / "new/..")
