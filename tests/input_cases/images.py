"""Image folders, and images that are damaged or of another kind."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLSNearLossless

from tests.faults.spoiled import dicom, png_header
from tests.input_cases.case import CACHE, PARSE, SCAN, Case, Spoil
from tests.input_cases.spoiling import both, cut, delete, folder_instead, put, substitute
from tests.pixel_cells.dicom_files import dicom as film_file


def each_image(content: bytes) -> Spoil:
    def spoil(folder: Path) -> None:
        for path in (folder / "images").iterdir():
            path.write_bytes(content)

    return spoil


def image(content: Callable[[Path], bytes], name: str = "00000005_000.png") -> Spoil:
    """Replaces the sixth image; the label table follows a changed name."""

    def spoil(folder: Path) -> None:
        (folder / "images/00000005_000.png").unlink()
        path = folder / "images" / name
        path.write_bytes(content(path))
        substitute("labels.csv", "00000005_000.png", name)(folder)

    return spoil


def _png(pixels: np.ndarray) -> Callable[[Path], bytes]:
    def content(path: Path) -> bytes:
        Image.fromarray(pixels).save(path, "PNG")
        return path.read_bytes()

    return content


def _cut_jpeg(path: Path) -> bytes:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90)).astype(np.uint8)).save(path, "JPEG")
    return path.read_bytes()[:900]


def damaged_png(path: Path) -> bytes:
    content = _png(np.random.default_rng(0).integers(0, 256, (40, 40)).astype(np.uint8))(path)
    return content[:60] + bytes(byte ^ 255 for byte in content[60:90]) + content[90:]


def _dicom(**changes: object) -> Callable[[Path], bytes]:
    return lambda path: dicom(np.random.default_rng(0), path, **changes)


def _unknown_stream(path: Path) -> bytes:
    frame = encapsulate([b"\xff\xd8\xff\xf7\xff\xd9"])
    return film_file(np.zeros((40, 52), np.uint8), JPEGLSNearLossless, PixelData=frame)


def twice_in_two_folders(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / "images" / name).mkdir()
        shutil.copy(folder / "images/00000005_000.png", folder / "images" / name)


IMAGES = (
    Case(
        "Image folder",
        "no folder",
        SCAN,
        delete("images"),
        "images: no such folder; set 'dataset.images' to the folder that holds the images",
    ),
    Case(
        "Image folder",
        "a file",
        SCAN,
        both(delete("images"), put("images", "x")),
        "images: is not a folder; set 'dataset.images' to the folder that holds the images",
    ),
    Case(
        "Image folder",
        "no image inside",
        SCAN,
        both(folder_instead("images"), put("images/a.txt", "x")),
        "images: no image inside; it has 1 (not an image): a.txt",
    ),
    Case(
        "Image folder",
        "no readable image inside",
        CACHE,
        each_image(b"no picture"),
        "images: none of 12 images could be read; the first: images/00000000_000.png: not a PNG, JPEG, TIFF, DICOM, JPEG 2000, WebP, BMP, GIF or PNM file; save it as PNG",
    ),
    Case("Label rows", "two files with the same name", PARSE, twice_in_two_folders, "image file is ambiguous", True),
    Case(
        "Images",
        "gone since the scan",
        CACHE,
        delete("images/00000005_000.png"),
        "cannot be read: No such file or directory",
        True,
    ),
    Case(
        "Images",
        "a folder with an image's name",
        CACHE,
        folder_instead("images/00000005_000.png"),
        "cannot be read: Is a directory",
        True,
    ),
    Case("Images", "empty file", CACHE, image(lambda path: b""), "empty file", True),
    Case(
        "Images",
        "text",
        CACHE,
        image(lambda path: b"no picture"),
        "not a PNG, JPEG, TIFF, DICOM, JPEG 2000, WebP, BMP, GIF or PNM file; save it as PNG",
        True,
    ),
    Case("Images", "PNG cut short", CACHE, cut("images/00000005_000.png"), "truncated PNG (no end marker)", True),
    Case("Images", "damaged PNG", CACHE, image(damaged_png), "damaged image data", True),
    Case("Images", "JPEG cut short", CACHE, image(_cut_jpeg, "five.jpg"), "truncated JPEG (no end marker)", True),
    Case(
        "Images",
        "one grey level",
        CACHE,
        image(_png(np.full((40, 40), 7, np.uint8))),
        "a single grey level everywhere",
        True,
    ),
    Case(
        "Images",
        "too small",
        CACHE,
        image(_png(np.eye(9, dtype=np.uint8))),
        "9 x 9 pixels; at least 16 x 16 are needed",
        True,
    ),
    Case(
        "Images",
        "decompression bomb",
        CACHE,
        image(lambda path: png_header(60000, 60000)),
        "60000 x 60000 pixels; more than 200000000 are refused",
        True,
    ),
    Case(
        "Images",
        "DICOM bomb",
        CACHE,
        image(_dicom(Rows=65000, Columns=65000), "five.dcm"),
        "65000 x 65000 pixels; more than 200000000 are refused",
        True,
    ),
    Case(
        "Images",
        "DICOM without pixels",
        CACHE,
        image(_dicom(PixelData=None), "five.dcm"),
        "DICOM without pixels",
        True,
    ),
    Case(
        "Images",
        "DICOM with too few pixels",
        CACHE,
        image(_dicom(PixelData=b"\0" * 64), "five.dcm"),
        "DICOM pixels cut short: 64 bytes of 3840",
        True,
    ),
    Case(
        "Images",
        "DICOM with many frames",
        CACHE,
        image(_dicom(NumberOfFrames="30"), "five.dcm"),
        "30 frames; a radiograph has one",
        True,
    ),
    Case(
        "Images",
        "DICOM in an unknown transfer syntax",
        CACHE,
        image(_dicom(TransferSyntaxUID="1.2.3.4"), "five.dcm"),
        "DICOM in the transfer syntax '1.2.3.4', which is unknown; export it uncompressed",
        True,
    ),
    Case(
        "Images",
        "DICOM with a compression that needs another package",
        CACHE,
        image(_unknown_stream, "five.dcm"),
        "pixels compressed as JPEG-LS Lossy, for which no decoder is installed; `pip install python-gdcm` brings one",
        True,
    ),
    Case(
        "Images",
        "DICOM with a slope that is not a number",
        CACHE,
        image(_dicom(RescaleSlope="nan", RescaleIntercept="0"), "five.dcm"),
        "DICOM tag RescaleSlope is 'nan'; it must be a number such as 2047.5",
        True,
    ),
)
