"""A path that only a shell, a browser or another system could follow is said to be one."""

from pathlib import Path

import pytest

from trcgl.images.decode import UnreadableImage, decode
from trcgl.images.manifest import scan_images
from trcgl.inference.pretrained import TRCGLNet
from trcgl.runtime.errors import InputError
from trcgl.runtime.unexpanded import why_missing
from trcgl.tables import read_header

SAID = {
    "~/x.csv": "~ is expanded by a shell only",
    "~me/x.csv": "~ is expanded by a shell only",
    "$HOME/x.csv": "variables are expanded by a shell only",
    "/data/${SET}/x.csv": "variables are expanded by a shell only",
    "https://example.org/x.csv": "an address is not fetched; download it",
    "file:///data/x.csv": "an address is not fetched; download it",
    "s3://bucket/x.csv": "an address is not fetched; download it",
    "C:/data/x.csv": "a path of Windows",
    "C:\\data\\x.csv": "a path of Windows",
    "data\\x.csv": "a path of Windows",
    "\\\\server\\x.csv": "a path of Windows",
    " x.csv": "it begins or ends with a space",
    "x.csv ": "it begins or ends with a space",
}
USUAL = ("x.csv", "../a b/x.csv", "/data/1:2/x.csv", "a~b/x.csv", "CT:1", "x")


@pytest.mark.parametrize("text", SAID)
def test_what_is_odd_about_a_missing_path_is_in_its_line(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for error, read in (
        (InputError, lambda: read_header(Path(text))), (InputError, lambda: scan_images(text)),
        (InputError, lambda: TRCGLNet.from_pretrained(text)), (UnreadableImage, lambda: decode(text)),
    ):  # fmt: skip
        with pytest.raises(error) as caught:
            read()
        assert f": {SAID[text]}" in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", USUAL)
def test_of_a_usual_path_nothing_is_said(text: str):
    assert why_missing(text) == ""


def test_a_file_of_such_a_name_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Only a missing one is guessed about."""
    monkeypatch.chdir(tmp_path)
    for name in ("~", "$HOME", "C:x", " x "):
        Path(name).write_text("a,b\n1,2\n")
        assert read_header(Path(name)) == ["a", "b"]
