"""DICOM against pydicom's own pipeline: every file it ships, and look-up tables that none of those has."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_files
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.errors import InvalidDicomError
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut
from pydicom.uid import UID

from tests.inference_cases import noise, write_dicom
from tests.pixel_cells.cell import colours, film, saved
from tests.pixel_cells.dicom_files import dicom
from tests.pixel_cells.syntaxes import EXPLICIT, JPEG, JPEG_2000, RLE
from trcgl.images.decode import UnreadableImage, decode

LUMA = np.array([0.299, 0.587, 0.114])
GREY = ("MONOCHROME1", "MONOCHROME2")


def reference(path: Path) -> np.ndarray:
    """By pydicom: luma of colour; else modality LUT, VOI LUT, MONOCHROME1 turned round, and padding dark."""
    dataset = pydicom.dcmread(path)
    pixels = dataset.pixel_array
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, dataset)
    if pixels.ndim == 3:
        return np.round(pixels[..., :3] @ LUMA)
    shown = apply_voi_lut(apply_modality_lut(pixels, dataset), dataset).astype(np.float32)
    shown = shown.max() - shown if dataset.PhotometricInterpretation == "MONOCHROME1" else shown
    if "PixelPaddingValue" in dataset:
        padding = pixels == dataset.PixelPaddingValue
        shown[padding] = shown[~padding].min()
    return shown


def shipped() -> list[Path]:
    """The single pictures among the files that come with pydicom."""
    found = []
    for path in map(Path, get_testdata_files()):
        try:
            dataset = pydicom.dcmread(path, stop_before_pixels=True)
        except (InvalidDicomError, OSError, ValueError):
            continue
        if min(dataset.get("Rows") or 0, dataset.get("Columns") or 0) >= 16 and not dataset.get("NumberOfFrames"):
            found.append(path)
    return sorted(found)


def test_every_shipped_picture_is_as_pydicom_shows_it():
    """One that pydicom cannot decode with what is installed has a reason."""
    reasons: list[str] = []
    equal = inverted = 0
    for path in shipped():
        try:
            decoded = decode(path)
        except UnreadableImage as error:
            reasons.append(str(error))
            continue
        expected = reference(path)
        tags = pydicom.dcmread(path, stop_before_pixels=True)
        exact = tags.PhotometricInterpretation in GREY and decoded.shape == expected.shape
        if decoded.shape != expected.shape:
            height, width = (float(side) for side in tags.PixelSpacing)
            taller = height > width
            assert decoded.shape[taller] == expected.shape[taller]
            assert decoded.shape[not taller] == round(expected.shape[not taller] * max(height / width, width / height))
            expected = np.asarray(Image.fromarray(expected).resize(decoded.shape[::-1], Image.Resampling.BILINEAR))
        close = (0, 0) if exact else (1e-5, 1)
        np.testing.assert_allclose(decoded, expected, *close, err_msg=str(path))
        equal += 1
        inverted += tags.PhotometricInterpretation == "MONOCHROME1"
    assert equal >= 60
    assert inverted >= 3
    assert len(reasons) <= 20
    known = ("DICOM pixels c", "DICOM of one grey level", "a single grey level", "pixels compressed as ")
    assert [reason for reason in reasons if not reason.startswith(known)] == []


def test_without_a_decoder_the_reason_names_one():
    """JPEG Lossless, as many hospitals store radiographs."""
    path = next(path for path in shipped() if path.name == "SC_rgb_jpeg_gdcm.dcm")
    try:
        expected = reference(path)
    except RuntimeError:
        with pytest.raises(UnreadableImage, match=r"as JPEG Lossless.*`pip install python-gdcm` brings one"):
            decode(path)
    else:
        np.testing.assert_array_equal(decode(path), expected)


@pytest.mark.parametrize("syntax", [JPEG, JPEG_2000, RLE])
def test_a_compressed_file_cut_at_any_place_in_its_pixels_is_cut_short(syntax: UID, tmp_path: Path):
    content = dicom(film(255), syntax)
    start = content.index(b"\xe0\x7f\x10\x00OB")
    for end in range(start + 20, len(content) - 8, 97):
        (tmp_path / "a.dcm").write_bytes(content[:end])
        with pytest.raises(UnreadableImage, match=r"^DICOM cut short in its pixels; copy it again$"):
            decode(tmp_path / "a.dcm")


@pytest.mark.parametrize("syntax", ["4.51", "4.57", "4.70", "4.80", "4.81"])
def test_a_jpeg_without_its_end_is_refused_whatever_its_kind(syntax: str, tmp_path: Path):
    """12 bits, lossless, JPEG-LS: whether or not there is a decoder. A byte behind the end makes the length even."""
    end = b"\xff\xd9"
    whole = saved(colours(255)[..., 0], "JPEG")
    for frame, said in (
        (whole[: len(whole) // 2], True), (whole.removesuffix(end), True), (whole.removesuffix(end) + b"\0", True),
        (whole, False), (whole + b"\0", False), (whole + b"\xff", False),
    ):  # fmt: skip
        content = dicom(film(4095), UID(f"1.2.840.10008.1.2.{syntax}"), BitsStored=12, PixelData=encapsulate([frame]))
        (tmp_path / "a.dcm").write_bytes(content)
        with pytest.raises(UnreadableImage) as raised:
            decode(tmp_path / "a.dcm")
        assert (str(raised.value) == "truncated JPEG (no end marker)") is said, str(raised.value)


def look_up(values: np.ndarray, tag: str) -> Dataset:
    """A 12-bit look-up table as a sequence's item."""
    item = Dataset()
    item.LUTDescriptor = [len(values), 0, 16]
    item.LUTData = values.astype("<u2").tobytes()
    setattr(item, tag, "NORMAL" if tag == "LUTExplanation" else "US")
    return item


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("tables", [(), ("voi",), ("modality",), ("modality", "voi")])
def test_look_up_tables(tmp_path: Path, photometric: str, tables: tuple[str, ...]):
    """What they are for: modality first, then VOI, each by hand; a VOI table goes before a window."""
    pixels = noise(1)
    dataset = write_dicom(tmp_path / "a.dcm", pixels, photometric)
    modality = np.sqrt(np.arange(4096) / 4095) * 4095
    voi = (np.arange(4096) / 4095) ** 2 * 60000
    if "modality" in tables:
        del dataset.RescaleSlope, dataset.RescaleIntercept
        dataset.ModalityLUTSequence = [look_up(modality, "ModalityLUTType")]
    else:
        dataset.RescaleSlope, dataset.RescaleIntercept = "1", "0"
    if "voi" in tables:
        dataset.VOILUTSequence = [look_up(voi, "LUTExplanation")]
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)

    values = modality.astype(int)[pixels] if "modality" in tables else pixels.astype(float)
    if "voi" in tables:
        values = voi.astype(int)[values.astype(int)]
    else:
        # Centre 3000, width 4000, as PS3.3 C.11.2.1.2.1 has it
        bits = 65535 if "modality" in tables else 4095
        values = np.clip((values - 2999.5) / 3999 + 0.5, 0, 1) * bits
    expected = values.max() - values if photometric == "MONOCHROME1" else values
    decoded = decode(tmp_path / "a.dcm")
    np.testing.assert_array_equal(decoded, reference(tmp_path / "a.dcm"))
    assert decoded == pytest.approx(expected, rel=1e-5, abs=0.02)


@pytest.mark.parametrize("spoiled", ["width 0", "colour"])
def test_a_window_that_does_not_apply_does_not_cost_the_film(tmp_path: Path, spoiled: str):
    pixels = noise(2)
    dataset = write_dicom(tmp_path / "a.dcm", pixels, "MONOCHROME2")
    dataset.RescaleSlope, dataset.RescaleIntercept = "1", "0"
    if spoiled == "width 0":
        dataset.WindowWidth = "0"
    else:
        dataset.SamplesPerPixel, dataset.PlanarConfiguration, dataset.PhotometricInterpretation = 3, 0, "RGB"
        dataset.PixelData = np.repeat(pixels[..., None], 3, axis=2).tobytes()
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    with pytest.raises(ValueError, match=r"Window Width|MONOCHROME"):
        apply_voi_lut(dataset.pixel_array, dataset)
    np.testing.assert_array_equal(decode(tmp_path / "a.dcm"), pixels.astype(np.float32))


@pytest.mark.parametrize("text", ["1e9999", "-1e999", "   nan", "  -inf"])
@pytest.mark.parametrize("tag", ["RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth"])
def test_a_number_that_is_not_finite_is_refused_by_name(
    tag: str, text: str, tmp_path: Path, recwarn: pytest.WarningsRecorder
):
    """And without NumPy's warning, which names no file."""
    numbers: dict[str, Any] = {
        "RescaleSlope": "1",
        "RescaleIntercept": "0",
        "WindowCenter": "9",
        "WindowWidth": "9",
    } | {tag: "123.45"}
    (tmp_path / "a").write_bytes(dicom(film(4095).astype(np.uint16), **numbers).replace(b"123.45", text.encode()))
    with pytest.raises(UnreadableImage, match=rf"^DICOM tag {tag} is '{text.strip()}'; it must be a number"):
        decode(tmp_path / "a")
    assert not recwarn.list


@pytest.mark.parametrize("slope", ["1e37", "1e300", "1e308"])
def test_values_that_no_float_holds_are_refused_without_a_warning(
    slope: str, tmp_path: Path, recwarn: pytest.WarningsRecorder
):
    (tmp_path / "a").write_bytes(dicom(film(4095).astype(np.uint16), RescaleSlope=slope, RescaleIntercept="0"))
    with pytest.raises(UnreadableImage, match=r"^pixel values that are not finite$"):
        decode(tmp_path / "a")
    assert not recwarn.list


@pytest.mark.parametrize(
    ("kind", "mark"), [(np.uint16, 65535), (np.int16, -32768), (np.uint16, 4096)], ids=["all bits", "signed", "one bit"]
)
@pytest.mark.parametrize("photometric", GREY)
def test_padding_in_bits_beside_the_value_is_dark(photometric: str, kind: type, mark: int, tmp_path: Path):
    """Whatever is left of the mark without those bits."""
    values = film(2000).astype(kind) + (50 if kind is np.uint16 else -1000)
    cells = values.copy()
    cells[:9] = mark
    content = dicom(cells, BitsStored=12, PixelPaddingValue=mark, PhotometricInterpretation=photometric)
    (tmp_path / "a").write_bytes(content)
    decoded = decode(tmp_path / "a")
    picture = values[9:].astype(np.float64)
    inside = picture.max() - picture if photometric == "MONOCHROME1" else picture
    assert decoded[9:] - decoded[9:].min() == pytest.approx(inside - inside.min())
    assert (decoded[:9] == decoded[9:].min()).all()


def test_a_jpeg_of_eight_bits_has_no_sign(tmp_path: Path):
    for sign in (0, 1):
        for stored in ({}, {"BitsAllocated": 16, "BitsStored": 12}):
            (tmp_path / "a").write_bytes(dicom(film(255), JPEG, PixelRepresentation=sign, **stored))
            assert np.abs(decode(tmp_path / "a") - film(255)).max() <= 8


@pytest.mark.parametrize("syntax", [EXPLICIT, RLE, JPEG_2000], ids=["native", "RLE", "JPEG 2000"])
@pytest.mark.parametrize("bits", [8, 10, 11])
def test_a_picture_of_more_bits_than_its_tags_say_is_refused(bits: int, syntax: UID, tmp_path: Path):
    """Its greys would start again from black where the bits end."""
    (tmp_path / "a").write_bytes(dicom(film(4095), syntax, BitsStored=bits))
    with pytest.raises(UnreadableImage, match=f"^DICOM of {bits} bits per value by its tags, of more by its picture"):
        decode(tmp_path / "a")


@pytest.mark.parametrize("syntax", [EXPLICIT, RLE, JPEG_2000], ids=["native", "RLE", "JPEG 2000"])
def test_a_mark_in_every_pixel_is_masked(syntax: UID, tmp_path: Path):
    (tmp_path / "a").write_bytes(dicom(film(4095) | 0x8000, syntax, BitsStored=12))
    np.testing.assert_array_equal(decode(tmp_path / "a"), film(4095))


@pytest.mark.parametrize("high", [9, 12])
def test_where_the_value_lies_in_its_cell_its_bits_may_be_too_few(high: int, tmp_path: Path):
    (tmp_path / "a").write_bytes(dicom(film(16383), BitsStored=10, HighBit=high))
    with pytest.raises(UnreadableImage, match=r"^DICOM of 10 bits per value by its tags, of more by its picture"):
        decode(tmp_path / "a")


def test_an_overlay_that_the_tags_name_is_masked(tmp_path: Path):
    """Also where it makes the picture smoother: over the dark border of a bright film."""
    bright = film(2000) + np.uint16(2000)
    bright[:, :8] = 0
    marked = bright.copy()
    marked[:, :8] |= 0x1000
    dataset = pydicom.dcmread(io.BytesIO(dicom(marked, BitsStored=12)))
    dataset.add_new(0x60000102, "US", 12)
    dataset.save_as(tmp_path / "a", enforce_file_format=True)
    np.testing.assert_array_equal(decode(tmp_path / "a"), bright)


def test_what_lossy_compression_adds_at_edges_is_cut(tmp_path: Path):
    values = film(4095)
    values[10:12, 10:12] = 4140
    (tmp_path / "a").write_bytes(dicom(values, JPEG_2000, BitsStored=12))
    np.testing.assert_array_equal(decode(tmp_path / "a"), np.minimum(values, 4095))


def test_signed_cells_without_their_sign_above(tmp_path: Path):
    """As an archive compresses whole cells: in 12 of 16 bits, -1 is 4095."""
    values = film(4000).astype(np.int64) - 2000
    (tmp_path / "a").write_bytes(
        dicom((values % 4096).astype(np.uint16), JPEG_2000, BitsStored=12, PixelRepresentation=1)
    )
    np.testing.assert_array_equal(decode(tmp_path / "a"), values)


def test_an_unsigned_picture_under_signed_tags_is_refused(tmp_path: Path):
    tags = {"BitsAllocated": 16, "BitsStored": 16, "PixelRepresentation": 1}
    (tmp_path / "a").write_bytes(dicom(film(65535), JPEG_2000, **tags))
    with pytest.raises(UnreadableImage, match=r"^DICOM of signed values by its tags, of unsigned ones by its"):
        decode(tmp_path / "a")
    (tmp_path / "a").write_bytes(dicom(film(30000), JPEG_2000, **tags))
    np.testing.assert_array_equal(decode(tmp_path / "a"), film(30000))


@pytest.mark.parametrize("photometric", ["YBR_ICT", "YBR_RCT"])
def test_a_jpeg_has_no_colours_of_jpeg_2000(photometric: str, tmp_path: Path):
    (tmp_path / "a").write_bytes(dicom(colours(255), JPEG, PhotometricInterpretation=photometric))
    with pytest.raises(UnreadableImage, match=f"photometric interpretation {photometric}, which is of JPEG 2000"):
        decode(tmp_path / "a")


@pytest.mark.parametrize("transform", [0, 1])
def test_a_jpeg_2000_that_becomes_rgb_is_not_turned_once_more(transform: int, tmp_path: Path):
    """Its own marker says so; the tags YBR_FULL would turn its colours again."""
    frame = saved(colours(255), "JPEG2000", irreversible=False, no_jp2=True, mct=transform)
    for photometric in ("YBR_FULL", "YBR_RCT", "RGB"):
        tags = {"PhotometricInterpretation": photometric, "PixelData": encapsulate([frame])}
        (tmp_path / "a").write_bytes(dicom(colours(255), JPEG_2000, **tags))
        if transform and photometric == "YBR_FULL":
            with pytest.raises(UnreadableImage, match=r"^DICOM of YBR_FULL by its tags, of RGB by its compressed pict"):
                decode(tmp_path / "a")
        else:
            decode(tmp_path / "a")


@pytest.mark.parametrize(
    ("centre", "width", "cut"),
    [
        ("600", "1000", True),
        ("100", "100", False),
        ("128", "200", False),
        ("2048", "4096", False),
        ("128", "256", False),
        (None, None, False),
    ],
)
def test_a_window_of_12_bits_is_not_put_on_a_jpeg_of_8(centre: str, width: str, cut: bool, tmp_path: Path):
    tags = {"BitsAllocated": 16, "BitsStored": 12, "WindowCenter": centre, "WindowWidth": width}
    frame = saved(film(255), "JPEG", quality=95)
    (tmp_path / "a").write_bytes(dicom(film(255), JPEG, PixelData=encapsulate([frame]), **tags))
    if cut:
        with pytest.raises(UnreadableImage, match="DICOM whose tags state 12 bits and a window for them, but its JPEG"):
            decode(tmp_path / "a")
    else:
        shown, held = decode(tmp_path / "a"), np.asarray(Image.open(io.BytesIO(frame)))
        assert shown.max() > shown.min()
        if width != "100" and width != "200":
            assert len(np.unique(shown)) == len(np.unique(held))


def test_an_empty_window_does_not_hide_a_shared_one(tmp_path: Path):
    shared = Dataset()
    shared.FrameVOILUTSequence = [Dataset()]
    shared.FrameVOILUTSequence[0].WindowCenter, shared.FrameVOILUTSequence[0].WindowWidth = "1000", "500"
    pictures = []
    empty: dict[str, Any] = {"WindowCenter": "", "WindowWidth": ""}
    for own in ({}, empty):
        content = dicom(film(4095), BitsStored=12, SharedFunctionalGroupsSequence=[shared], **own)
        (tmp_path / "a").write_bytes(content)
        pictures.append(decode(tmp_path / "a"))
    np.testing.assert_array_equal(*pictures)
    assert (pictures[0] == 4095).mean() > 0.3
