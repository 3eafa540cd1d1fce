"""Image files and label tables of many kinds, and ways to spoil them; repeatable from a seeded generator."""

import gzip
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID

from tests.labels_files import NIH_2017_COLUMNS, PADCHEST_COLUMNS, padchest_row, write_rows
from tests.pixel_cells.syntaxes import BIG_ENDIAN, EXPLICIT, IMPLICIT

Random = np.random.Generator
DICOM_FILES = (
    "CT_small.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm", "image_dfl.dcm", "examples_ybr_color.dcm", "rtplan.dcm",
    "no_meta.dcm", "MR_truncated.dcm", "JPEG-LL.dcm", "JPGExtended.dcm", "liver_1frame.dcm", "OT-PAL-8-face.dcm",
    "SC_rgb_small_odd.dcm", "DISCONNECTED.dcm",
)  # fmt: skip
LISTS = (
    "['pleural effusion', 'mass']", "['normal']", "[]", "nan", "", "['a' 'b']", "[1]", "{'a': 1}", "['é', \"o'clock\"]",
    "__import__('os')", "['" + "x" * 5000 + "']", "[" * 400, "(" * 3000 + ")" * 3000, "['a', ['b']]", "['\\x00']",
)  # fmt: skip


def grey(random: Random, height: int, width: int, top: int) -> np.ndarray:
    smooth = np.add.outer(np.linspace(0, top / 2, height), np.linspace(0, top / 2, width))
    noisy = smooth + random.normal(0, top / 20, (height, width))
    return noisy.clip(0, top).astype(np.uint16 if top > 255 else np.uint8)


def _saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    handle = io.BytesIO()
    picture.save(handle, kind, **options)
    return handle.getvalue()


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def interlaced_png(pixels: np.ndarray) -> bytes:
    """An Adam7 PNG, which neither Pillow nor OpenCV can write; pixels: uint8 or uint16 [H, W]."""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    rows = b""
    for left, top, right_step, down_step in passes:
        part = pixels[top::down_step, left::right_step]
        if part.size:
            rows += b"".join(b"\0" + row.astype(f">u{pixels.itemsize}").tobytes() for row in part)
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 8 * pixels.itemsize, 0, 0, 0, 1)
    end = _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + end


def png_header(width: int, height: int, depth: int = 16, colour: int = 0) -> bytes:
    """A PNG that declares a size and has almost no data."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    end = _chunk(b"IDAT", zlib.compress(b"\0" * 64)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + end


def dicom(random: Random, path: Path, **changes: object) -> bytes:
    """A small radiograph with some tags replaced; None removes a tag."""
    pixels = grey(random, 40, 48, 4095)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.1.1")
    meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    meta.TransferSyntaxUID = EXPLICIT
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    values: dict[str, object] = {
        "Rows": 40, "Columns": 48, "BitsAllocated": 16, "BitsStored": 12, "HighBit": 11, "PixelRepresentation": 0,
        "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "PixelData": pixels.tobytes(),
    }  # fmt: skip
    for name, value in (values | changes).items():
        if value is not None and name != "TransferSyntaxUID":
            setattr(dataset, name, value)
    handle = io.BytesIO()
    pydicom.dcmwrite(handle, dataset, enforce_file_format=False, implicit_vr=False, little_endian=True)
    content = handle.getvalue()
    if "TransferSyntaxUID" in changes:
        # Only the declared syntax changes, not the data; the length of its group, stated first, is corrected
        old, new = _syntax_element(EXPLICIT), _syntax_element(str(changes["TransferSyntaxUID"]))
        length = int.from_bytes(content[140:144], "little") + len(new) - len(old)
        content = content[:140] + length.to_bytes(4, "little") + content[144:].replace(old, new, 1)
    return content


def _syntax_element(uid: str) -> bytes:
    """Tag (0002,0010) with its length and its value, padded to an even length."""
    value = uid.encode() + b"\0" * (len(uid) % 2)
    return b"\x02\0\x10\0UI" + len(value).to_bytes(2, "little") + value


def image_file(random: Random, path: Path) -> tuple[bytes, str]:
    """An image of a random kind, and the suffix it should have."""
    height, width = (int(side) for side in random.integers(1, 90, 2))
    picture = grey(random, height, width, 255)
    rgb = np.dstack([picture, picture, np.roll(picture, 3)])
    small: list[tuple[str, Callable[[], bytes]]] = [
        (".png", lambda: _saved(Image.fromarray(picture), "PNG")),
        (".png", lambda: _saved(Image.fromarray(grey(random, height, width, 65535)), "PNG")),
        (".png", lambda: _saved(Image.fromarray(picture).convert("1"), "PNG")),
        (".png", lambda: _saved(Image.fromarray(picture).convert("P"), "PNG", transparency=3)),
        (".png", lambda: _saved(Image.fromarray(picture).convert("LA"), "PNG")),
        (".png", lambda: _saved(Image.fromarray(rgb).convert("RGBA"), "PNG")),
        (".png", lambda: _saved(Image.fromarray(rgb), "PNG", save_all=True, append_images=[Image.fromarray(rgb)])),
        (".png", lambda: interlaced_png(picture)),
        (".png", lambda: interlaced_png(grey(random, height, width, 65535))),
        (".png", lambda: png_header(*(int(side) for side in 2 ** random.integers(4, 31, 2)))),
        (".jpg", lambda: _saved(Image.fromarray(picture), "JPEG")),
        (".jpg", lambda: _saved(Image.fromarray(rgb), "JPEG", progressive=True)),
        (".jpg", lambda: _saved(Image.fromarray(rgb).convert("CMYK"), "JPEG")),
        (".tif", lambda: _saved(Image.fromarray(picture), "TIFF", compression="tiff_lzw")),
        (".tif", lambda: _saved(Image.fromarray(grey(random, height, width, 65535)), "TIFF")),
        (".tif", lambda: _saved(Image.fromarray(picture.astype(np.float32)), "TIFF")),
        (".tif", lambda: _saved(Image.fromarray(rgb).convert("CMYK"), "TIFF")),
        (".gif", lambda: _saved(Image.fromarray(picture), "GIF")),
        (".bmp", lambda: _saved(Image.fromarray(picture), "BMP")),
        (".webp", lambda: _saved(Image.fromarray(rgb), "WEBP")),
        (".dcm", lambda: dicom(random, path)),
        (".dcm", lambda: dicom(random, path, PixelData=None)),
        (".dcm", lambda: dicom(random, path, Rows=int(random.integers(0, 65536)))),
        (".dcm", lambda: dicom(random, path, BitsAllocated=int(random.choice([1, 8, 12, 32, 64])))),
        (".dcm", lambda: dicom(random, path, PhotometricInterpretation="PALETTE COLOR")),
        (".dcm", lambda: dicom(random, path, WindowCenter=["1e300", "-5"], WindowWidth=["0", "-1"])),
        (".dcm", lambda: dicom(random, path, RescaleSlope="nan", RescaleIntercept="inf")),
        (".dcm", lambda: dicom(random, path, NumberOfFrames=str(random.choice(["0", "-1", "999999999"])))),
        (".dcm", lambda: dicom(random, path, TransferSyntaxUID=random.choice([
            IMPLICIT, BIG_ENDIAN, "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90",
            "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.1.99", "1.2.3.4",
        ]))),
    ]  # fmt: skip
    kind = int(random.integers(len(small) + 3))
    if kind < len(small):
        return small[kind][1](), small[kind][0]
    found = get_testdata_file(str(random.choice(DICOM_FILES)), download=False)
    return (Path(str(found)).read_bytes() if found else b"", ".dcm")


def label_file(random: Random, path: Path) -> tuple[bytes, str]:
    """A label table of one of the data sets with some odd values, and the reader it is for."""
    count = int(random.integers(0, 12))
    kind = str(
        random.choice(["padchest", "nih", "cxrlt", "folder", "vindr", "splits", "vocabulary", "class table", "names"])
    )
    numbers = [int(number) for number in random.integers(0, 8, count)]

    def odd(value: str) -> str:
        options = ["", "nan", "../x.png", "/etc/passwd", "3.2e+38", "\0", "é" * 300, '"', "a\nb", "-1", "1e999", "=1+1"]
        return str(random.choice(options)) if random.random() < 0.1 else value

    if kind == "padchest":
        rows = [
            {key: odd(value) for key, value in padchest_row(number, str(random.choice(LISTS))).items()}
            for number in numbers
        ]
        columns = PADCHEST_COLUMNS
    elif kind == "nih":
        columns = NIH_2017_COLUMNS
        rows = [
            {
                "Image Index": odd(f"{number:08d}_000.png"), "Patient ID": odd(str(number)), "View Position": odd("PA"),
                "Finding Labels": odd(str(random.choice(["Mass|Nodule", "No Finding", "|", "Mass||Mass"]))),
                "Patient Age": odd("058Y"), "Follow-up #": odd("0"),
            }
            for number in numbers
        ]  # fmt: skip
    elif kind == "cxrlt":
        columns = ["ImageID", "PatientID", "StudyDate_DICOM", "Mass", "Normal"]
        rows = [
            {"ImageID": odd(f"{n}.png"), "PatientID": odd(str(n)), "Mass": odd(str(n % 2)), "Normal": odd("0")}
            for n in numbers
        ]
    else:
        tables = {
            "splits": ["patient", "split"],
            "vocabulary": ["label", "phrase"],
            "class table": ["class", "padchest_labels"],
            "folder": ["image", "patient", "labels"],
            "vindr": ["image_id", "Mass"],
            "names": ["Image Index", "x"],
        }
        columns = tables[kind]
        values = ["train", "val", "a|b"]
        rows = [{name: odd(str(random.choice(values))) for name in columns[1:]} for _ in numbers]
        rows = [{columns[0]: odd(str(number))} | row for number, row in zip(numbers, rows, strict=True)]
    write_rows(path, columns, rows)
    return path.read_bytes(), kind


def spoil(random: Random, content: bytes) -> bytes:
    """Up to three changes: cut short, bytes changed, added, removed, repeated or zeroed, re-encoded, compressed."""
    for _ in range(int(random.integers(0, 4))):
        where = int(random.integers(0, len(content) + 1))
        length = int(random.integers(1, 200))
        way = int(random.integers(0, 12))
        if way == 0:
            content = content[:where]
        elif way <= 4:
            changed = np.frombuffer(content, np.uint8).copy()
            if len(changed):
                places = random.integers(0, min(len(changed), 200 if way == 4 else len(changed)), way)
                changed[places] = random.integers(0, 256, way)
            content = changed.tobytes()
        elif way == 5:
            content = content[:where] + content[where + length :]
        elif way == 6:
            content = content[: where + length] + content[where:]
        elif way == 7:
            content = content[:where] + b"\0" * min(length, len(content) - where) + content[where + length :]
        elif way == 8:
            content = content[:where] + random.integers(0, 256, length, dtype=np.uint8).tobytes() + content[where:]
        elif way == 9:
            content = gzip.compress(content, mtime=0)
        elif way == 10:
            content = content.decode("latin-1").encode(str(random.choice(["utf-8", "utf-16", "utf-8-sig"])))
        else:
            content = content.replace(*((b",", b";"), (b"\n", b"\r"), (b"'", b'"'))[int(random.integers(3))])
    return content
