"""DICOM files over transfer syntaxes, bit layouts, look-up tables, windows, and colour spaces."""

import io
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.uid import UID

from tests.pixel_cells.cell import Cell, colours, film, luma, saved
from tests.pixel_cells.syntaxes import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, JPEG, JPEG_2000, NATIVE, RLE

Tags = dict[str, Any]


def dicom(pixels: np.ndarray, syntax: UID = EXPLICIT, **tags: Any) -> bytes:
    """A radiograph with tags added, replaced, or removed (None); pixels: the cells as they are stored."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.1.1")
    dataset.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    samples = pixels.shape[2] if pixels.ndim == 3 else 1
    bits = 8 * pixels.itemsize
    values: Tags = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1", "SOPInstanceUID": "1.2.3", "Modality": "DX",
        "Rows": pixels.shape[0], "Columns": pixels.shape[1], "SamplesPerPixel": samples, "BitsAllocated": bits,
        "BitsStored": bits, "PixelRepresentation": int(pixels.dtype.kind == "i"),
        "PhotometricInterpretation": "RGB" if samples == 3 else "MONOCHROME2",
    }  # fmt: skip
    if samples == 3:
        values["PlanarConfiguration"] = 0
    values |= tags
    values.setdefault("HighBit", values["BitsStored"] - 1)
    for name, value in values.items():
        if value is not None:
            setattr(dataset, name, value)
    order = ">" if syntax == BIG_ENDIAN else "<"
    content = pixels.astype(f"{order}{pixels.dtype.kind}{pixels.itemsize}").tobytes()
    if "PixelData" not in tags:
        if syntax == RLE:
            content = encapsulate([_rle(pixels)])
        elif syntax == JPEG_2000:
            content = encapsulate([saved(pixels, "JPEG2000", irreversible=False, no_jp2=True)])
        elif syntax == JPEG:
            content = encapsulate([saved(pixels, "JPEG", quality=95, subsampling=0)])
        # A byte to make the length even
        dataset.PixelData = content + b"\0" * (len(content) % 2)
    if "PixelData" in dataset:
        dataset["PixelData"].VR = "OB" if bits == 8 or syntax not in NATIVE else "OW"
        dataset["PixelData"].is_undefined_length = syntax not in NATIVE
    handle = io.BytesIO()
    dataset.save_as(handle, enforce_file_format=True)
    return handle.getvalue()


UID_TAG = b"\x02\x00\x10\x00UI"


def halves(content: bytes) -> tuple[bytes, bytes]:
    """The head (preamble and group 2), and what is behind it."""
    end = 144 + int.from_bytes(content[140:144], "little")
    return content[:end], content[end:]


def relabelled(content: bytes, syntax: str) -> bytes:
    """With another transfer syntax in its head, and nothing else changed."""
    head, body = halves(content)
    place = head.index(UID_TAG)
    value = syntax.encode() + b"\0" * (len(syntax) % 2)
    old = int.from_bytes(head[place + 6 : place + 8], "little")
    head = head[: place + 6] + len(value).to_bytes(2, "little") + value + head[place + 8 + old :]
    return head[:140] + (len(head) - 144).to_bytes(4, "little") + head[144:] + body


def _rle(pixels: np.ndarray) -> bytes:
    """Each byte plane as runs of bytes as they are, the highest first."""
    planes = []
    for sample in np.moveaxis(pixels.reshape(*pixels.shape[:2], -1), -1, 0):
        whole = sample.astype(sample.dtype.newbyteorder(">")).tobytes()
        planes += [whole[k :: sample.itemsize] for k in range(sample.itemsize)]
    segments = []
    for plane in planes:
        segment = b"".join(
            bytes([len(run) - 1]) + run for run in (plane[k : k + 128] for k in range(0, len(plane), 128))
        )
        segments.append(segment + b"\x80" * (len(segment) % 2))
    places = np.cumsum([64, *(len(segment) for segment in segments[:-1])])
    head = np.zeros(16, "<u4")
    head[0], head[1 : 1 + len(places)] = len(places), places
    return head.tobytes() + b"".join(segments)


def cells() -> Iterator[Cell]:
    yield from _bits()
    yield from _values()
    yield from _tables()
    yield from _colour()
    yield from _oddly_written()


def _turned(shown: np.ndarray, photometric: str) -> np.ndarray:
    shown = shown.astype(np.float64)
    return shown.max() - shown if photometric == "MONOCHROME1" else shown


def _bits() -> Iterator[Cell]:
    """Where in its cell a value lies, with other bits beside it, in every transfer syntax."""
    layouts = (
        (np.uint8, 8, 7), (np.uint8, 6, 5), (np.uint16, 16, 15), (np.uint16, 12, 11), (np.uint16, 10, 9),
        (np.uint16, 12, 15), (np.uint16, 10, 12), (np.uint32, 20, 19), (np.uint16, 8, 7),
    )  # fmt: skip
    syntaxes = (*NATIVE, RLE, JPEG_2000)
    for (kind, bits, high), syntax, signed, junk, photometric in product(
        layouts, syntaxes, (False, True), (False, True), ("MONOCHROME1", "MONOCHROME2")
    ):
        if syntax == JPEG_2000 and (signed or high != bits - 1 or kind == np.uint32):
            continue
        values = film(2**bits - 1).astype(np.int64) - (2 ** (bits - 1) if signed else 0)
        size = 8 * np.dtype(kind).itemsize
        cells = (values % 2**bits) << (high + 1 - bits)
        if junk:
            # An old overlay in a square, in all bits beside the value
            beside = 2**size - 1 - ((2**bits - 1) << (high + 1 - bits))
            cells[5:20, 5:20] |= beside
        elif signed and high + 1 < size:
            # The sign goes on to the top
            cells |= np.where(values < 0, 2**size - 2 ** (high + 1), 0)
        stored = cells.astype(kind).view(f"i{size // 8}") if signed else cells.astype(kind)
        content = dicom(stored, syntax, BitsStored=bits, HighBit=high, PhotometricInterpretation=photometric)
        title = f"DICOM {bits} of {size} bits up to {high}, signed {signed}, junk {junk}, {photometric}, {syntax.name}"
        yield Cell(title, content, _turned(values, photometric))


def table(entries: np.ndarray, bits: int, first: int = 0, *, name: str = "ModalityLUTType") -> Dataset:
    """An item of a look-up sequence; entries of up to 8 bits in bytes, others in words."""
    item = Dataset()
    item.LUTDescriptor = [len(entries) % 65536, first, bits]
    item["LUTDescriptor"].VR = "SS" if first < 0 else "US"
    data = entries.astype("u1" if bits <= 8 else "<u2").tobytes()
    item.add_new("LUTData", "OW", data + b"\0" * (len(data) % 2))
    setattr(item, name, "US")
    return item


MODALITY: dict[str, Tags] = {
    "none": {},
    "slope 2": {"RescaleSlope": "2", "RescaleIntercept": "-100"},
    "slope 0.5": {"RescaleSlope": "0.5", "RescaleIntercept": "3.25"},
}
WINDOWS: dict[str, Tags] = {
    "none": {},
    "linear": {"WindowCenter": "1800", "WindowWidth": "2000"},
    "two": {"WindowCenter": ["1800", "40"], "WindowWidth": ["2000", "400"]},
    "exact": {"WindowCenter": "1800", "WindowWidth": "2000", "VOILUTFunction": "LINEAR_EXACT"},
    "sigmoid": {"WindowCenter": "1800", "WindowWidth": "2000", "VOILUTFunction": "SIGMOID"},
    "of width 0": {"WindowCenter": "1800", "WindowWidth": "0"},
}


def _values() -> Iterator[Cell]:
    """Rescale and window, against pydicom's functions."""
    for (name, rescale), (called, window), signed, photometric in product(
        MODALITY.items(), WINDOWS.items(), (False, True), ("MONOCHROME1", "MONOCHROME2")
    ):
        values = film(4095)
        stored = values.astype(np.int16) - 2048 if signed else values
        tags = {"BitsStored": 12, "PhotometricInterpretation": photometric} | rescale | window
        content = dicom(stored, **tags)
        dataset = pydicom.dcmread(io.BytesIO(content))
        shown = apply_modality_lut(dataset.pixel_array, dataset)
        shown = shown if called == "of width 0" else apply_voi_lut(shown, dataset)
        title = f"DICOM rescale {name}, window {called}, signed {signed}, {photometric}"
        yield Cell(title, content, _turned(shown, photometric))
        padded = stored.copy()
        padded[:7] = -2000 if signed else 4095
        tags |= {"PixelPaddingValue": int(padded[0, 0])}
        right = _turned(shown, photometric)
        right[:7] = right[7:].min()
        if not (padded[7:] == padded[0, 0]).any() and called in ("none", "of width 0"):
            yield Cell(f"{title}, padded", dicom(padded, **tags), right, 0, True)


def _tables() -> Iterator[Cell]:
    """Look-up tables of 8 to 16 bits an entry, by NumPy's own indexing."""
    for bits, first, count, photometric, sequence in product(
        (8, 10, 12, 14, 16), (0, 100, -500), (256, 4096, 65536),
        ("MONOCHROME1", "MONOCHROME2"), ("ModalityLUTSequence", "VOILUTSequence"),
    ):  # fmt: skip
        entries = (np.arange(count) / (count - 1)) ** 0.5 * (2**bits - 1)
        entries = entries.astype(np.int64)
        stored = film(4095).astype(np.int16) - 2048 if first < 0 else film(4095)
        right = entries[np.clip(stored.astype(int) - first, 0, count - 1)]
        item = table(entries, bits, first)
        tags: Tags = {"BitsStored": 12, "PhotometricInterpretation": photometric, sequence: [item]}
        title = f"DICOM {sequence} of {count} entries of {bits} bits from {first}, {photometric}"
        for syntax in (EXPLICIT, IMPLICIT):
            yield Cell(f"{title}, {syntax.name}", dicom(stored, syntax, **tags), _turned(right, photometric))


def _colour() -> Iterator[Cell]:
    for bits, syntax in product((8, 16), (*NATIVE, RLE)):
        rgb = colours(2**bits - 1)
        near = bits / 8
        yield Cell(f"DICOM RGB {bits}, {syntax.name}", dicom(rgb, syntax), luma(rgb), near)
        if syntax != RLE:
            planes = np.ascontiguousarray(np.moveaxis(rgb, -1, 0)).reshape(rgb.shape)
            content = dicom(planes, syntax, PlanarConfiguration=1)
            yield Cell(f"DICOM RGB {bits} in planes, {syntax.name}", content, luma(rgb), near)
        for count, first, entry in product((256, 200), (0, 20), (8, 12, 16)):
            numbers = film(255).astype(f"u{bits // 8}")
            palette = np.random.default_rng(count).integers(0, 2**entry, (count, 3))
            tags: Tags = {"PhotometricInterpretation": "PALETTE COLOR"}
            for k, colour in enumerate(("Red", "Green", "Blue")):
                tags[f"{colour}PaletteColorLookupTableDescriptor"] = [count, first, entry]
                data = palette[:, k].astype("u1" if entry == 8 else "<u2").tobytes()
                if syntax == BIG_ENDIAN:
                    # Words, even where there are two entries in one
                    data = np.frombuffer(data, "<u2").astype(">u2").tobytes()
                tags[f"{colour}PaletteColorLookupTableData"] = data
            right = luma(palette[np.clip(numbers.astype(int) - first, 0, count - 1)])
            title = f"DICOM palette of {count} from {first}, {entry} bits an entry, {bits}-bit pixels, {syntax.name}"
            yield Cell(title, dicom(numbers, syntax, **tags), right, 2)
    rgb = colours(255)
    for name, tags in (("YBR_FULL", {}), ("YBR_FULL, no window for colour", {"WindowCenter": "5", "WindowWidth": "2"})):
        dataset = pydicom.dcmread(io.BytesIO(dicom(rgb, PhotometricInterpretation="YBR_FULL")))
        content = dicom(rgb, PhotometricInterpretation="YBR_FULL", **tags)
        yield Cell(f"DICOM {name}", content, luma(dataset.pixel_array), 1)
    grey = film(255)
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        content = dicom(grey, JPEG, PhotometricInterpretation=photometric)
        right = pydicom.dcmread(io.BytesIO(content)).pixel_array
        yield Cell(f"DICOM JPEG {photometric}", content, _turned(right, photometric))


def _oddly_written() -> Iterator[Cell]:
    """What archives and editing leave: one meaning is possible, and it is read."""
    stored = film(4095)
    plain: Tags = {"BitsStored": 12}
    for name, tags in {
        "empty rescale": {"RescaleSlope": None, "RescaleIntercept": None},
        "empty window": {"WindowCenter": "", "WindowWidth": ""},
        "no number of frames": {"NumberOfFrames": ""},
        "square pixels": {"PixelSpacing": ["0.143", "0.1430001"]},
        "a presentation that agrees": {"PresentationLUTShape": "IDENTITY"},
        "padding that no pixel has": {"PixelPaddingValue": 63536},
    }.items():
        yield Cell(f"DICOM {name}", dicom(stored, **plain, **tags), stored)
    content = dicom(stored, **plain, RescaleSlope="-1", RescaleIntercept="4095")
    yield Cell("DICOM slope -1", content, 4095 - stored)
    windowed = dicom(stored, **plain, WindowCenter="2047.5", WindowWidth="4096.0")
    yield Cell("DICOM decimal comma", windowed.replace(b"2047.5", b"2047,5").replace(b"4096.0", b"4096,0"), stored, 1)
    for syntax in (IMPLICIT, EXPLICIT, BIG_ENDIAN):
        content = dicom(stored, syntax, **plain)
        head = 144 + int.from_bytes(content[140:144], "little")
        yield Cell(f"DICOM without preamble or head, {syntax.name}", content[head:], stored)
        yield Cell(f"DICOM without head, {syntax.name}", content[:132] + content[head:], stored)
        yield Cell(f"DICOM, bytes behind, {syntax.name}", content + b"\0" * 50, stored)
    deflated = dicom(stored, DEFLATED, **plain)
    yield Cell("DICOM deflated", deflated, stored)


def spaced(ratio: tuple[float, float]) -> bytes:
    """With pixels of this height and width in mm."""
    return dicom(film(4095), BitsStored=12, PixelSpacing=[str(ratio[0]), str(ratio[1])])
