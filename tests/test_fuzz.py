"""What fuzzing has found, and a few fresh cases of `python -m tests.faults.fuzz` and `tests.faults.fuzz_tables`."""

from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file

from tests.faults import differential, fuzz_tables
from tests.faults.fuzz import read_image, read_labels, run_case
from tests.faults.spoiled import dicom, grey, interlaced_png
from trcgl.images.decode import decode


@pytest.mark.parametrize("number", range(120))
def test_a_case(number: int, tmp_path: Path):
    assert run_case(2026, number, tmp_path)


@pytest.mark.slow
def test_no_case_is_read_otherwise_by_another_reader(tmp_path: Path):
    """A few of `python -m tests.faults.differential`."""
    outcomes = [differential.run_case(2026, number, tmp_path).split(":")[0] for number in range(400)]
    assert outcomes.count("equal") >= 80
    assert outcomes.count("refused") >= 80


@pytest.mark.parametrize("number", range(60))
def test_a_table_reads_as_it_was_meant(number: int, tmp_path: Path):
    assert fuzz_tables.run_case(2026, number, tmp_path)


def test_dicom_header_with_a_length_that_does_not_fit(tmp_path: Path):
    """pydicom raised an exception of its own kind, and the scan of the whole folder ended with a traceback."""
    shipped = get_testdata_file("rtplan.dcm", download=False)
    content = bytearray(Path(str(shipped)).read_bytes())
    assert content[132:140] == b"\x02\0\0\0UL\x04\0"
    content[138] = 118
    assert read_image(tmp_path / "a.dcm", bytes(content)).startswith("DICOM whose data are neither tags nor")


@pytest.mark.parametrize("slope", ["nan", "inf"])
def test_dicom_whose_values_are_no_numbers(tmp_path: Path, slope: str):
    """The window of such an image was undefined, and a black square went into the cache."""
    content = dicom(np.random.default_rng(0), tmp_path / "x", RescaleSlope=slope, RescaleIntercept="0")
    refused = f"DICOM tag RescaleSlope is '{slope}'; it must be a number such as 2047.5"
    assert read_image(tmp_path / "a.dcm", content) == refused


def test_a_quoted_line_break_does_not_break_the_message(tmp_path: Path):
    said = read_labels(tmp_path / "splits.csv", b'patient,split\n1,"a\x0bb"\n', "splits")
    assert said.endswith("row 1: split 'a b' is unknown; it must be train, val or test")


@pytest.mark.parametrize("top", [255, 65535])
def test_interlaced_png_is_read_as_pillow_reads_it(tmp_path: Path, top: int):
    pixels = grey(np.random.default_rng(0), 37, 53, top)
    (tmp_path / "a.png").write_bytes(interlaced_png(pixels))
    np.testing.assert_array_equal(decode(tmp_path / "a.png"), pixels)
