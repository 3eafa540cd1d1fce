"""DICOM files with tags that few have: shutters, padding of floats, windows with gaps, frames that contradict."""

import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pydicom
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.pixels.processing import apply_windowing
from pydicom.uid import UID

from tests.pixel_cells.cell import HEIGHT, WIDTH, Cell, colours, film, luma, saved
from tests.pixel_cells.dicom_files import dicom
from tests.pixel_cells.syntaxes import JPEG, JPEG_2000

WRAPPED = UID("1.2.840.10008.1.2.1.98")
RECTANGLE: dict[str, Any] = {
    "ShutterLeftVerticalEdge": "7", "ShutterRightVerticalEdge": "45", "ShutterUpperHorizontalEdge": "3",
    "ShutterLowerHorizontalEdge": "30",
}  # fmt: skip
CIRCLE: dict[str, Any] = {"CenterOfCircularShutter": ["20", "25"], "RadiusOfCircularShutter": "18"}
POLYGON: dict[str, Any] = {"VerticesOfThePolygonalShutter": ["5", "26", "25", "6", "25", "46"]}
SEEN: dict[str, tuple[dict[str, Any], Callable[[int, int], bool]]] = {
    "RECTANGULAR": (RECTANGLE, lambda row, column: 3 <= row <= 30 and 7 <= column <= 45),
    "CIRCULAR": (CIRCLE, lambda row, column: (row - 20) ** 2 + (column - 25) ** 2 <= 18**2),
    # A triangle that falls by a row a column
    "POLYGONAL": (POLYGON, lambda row, column: row <= 25 and abs(column - 26) <= row - 5),
}
"""By shape: its tags, and whether a place, counted from 1, is seen."""
SAYS_NOTHING: dict[str, dict[str, Any]] = {
    "a polygon of one corner": {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": ["5", "5"]},
    "a circle of no size": {"ShutterShape": "CIRCULAR", **CIRCLE, "RadiusOfCircularShutter": "-1"},
    "edges in another order": {
        "ShutterShape": "RECTANGULAR",
        **RECTANGLE,
        "ShutterLeftVerticalEdge": "46",
        "ShutterRightVerticalEdge": "45",
    },
}


def cells() -> Iterator[Cell]:
    yield from _shutters()
    yield from _floats()
    yield from _windows()
    yield from _compressed()


def _shutters() -> Iterator[Cell]:
    stored = film(4095)
    for shapes in (*([name] for name in SEEN), ["RECTANGULAR", "CIRCULAR"], list(SEEN)):
        tags: dict[str, Any] = {"ShutterShape": shapes}
        seen = np.ones((HEIGHT, WIDTH), bool)
        for name in shapes:
            tags |= SEEN[name][0]
            seen &= np.array([[SEEN[name][1](r, c) for c in range(1, WIDTH + 1)] for r in range(1, HEIGHT + 1)])
        for photometric in ("MONOCHROME1", "MONOCHROME2"):
            shown = stored.astype(float) if photometric == "MONOCHROME2" else stored.max() - stored.astype(float)
            content = dicom(stored, BitsStored=12, PhotometricInterpretation=photometric, **tags)
            yield Cell(
                f"DICOM shutter {' and '.join(shapes)}, {photometric}",
                content,
                np.where(seen, shown, shown[seen].min()),
            )
    for name, tags in SAYS_NOTHING.items():
        yield Cell(f"DICOM shutter that says nothing: {name}", dicom(stored, BitsStored=12, **tags), stored)


def _floats() -> Iterator[Cell]:
    stored = film(4095)
    for name, kind, bits in (("Float", np.float32, 32), ("DoubleFloat", np.float64, 64)):
        for padded, limit in ((False, False), (True, False), (True, True)):
            dataset = pydicom.dcmread(io.BytesIO(dicom(stored, BitsStored=12)))
            for tag in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
                del dataset[tag]
            values = stored.astype(kind) / 8
            shown = values.copy()
            if padded:
                values[:7] = -3e38
                setattr(dataset, f"{name}PixelPaddingValue", float(kind(-3e38)))
                shown[:7] = values[7:].min()
            if limit:
                values[:3] = -2e38
                setattr(dataset, f"{name}PixelPaddingRangeLimit", float(kind(-1e38)))
            dataset.BitsAllocated = bits
            setattr(dataset, f"{name}PixelData", values.tobytes())
            handle = io.BytesIO()
            dataset.save_as(handle)
            yield Cell(f"DICOM {name}PixelData, padded {padded}, limit {limit}", handle.getvalue(), shown)


def _windows() -> Iterator[Cell]:
    """The first window that is whole, by pydicom's own look-up."""
    stored = film(4095)
    for centres, widths, place in (
        (["", "1800"], ["4000", "400"], 1),
        (["2000", "1800"], ["", "400"], 1),
        (["2000", "1800"], ["400"], 0),
        (["1800"], ["400", "4000"], 0),
        (["", "1800"], ["400", ""], None),
    ):
        content = dicom(stored, BitsStored=12, WindowCenter=centres, WindowWidth=widths)
        shown: np.ndarray = stored
        if place is not None:
            dataset = pydicom.dcmread(io.BytesIO(content))
            dataset.WindowCenter, dataset.WindowWidth = centres[place], widths[place]
            shown = apply_windowing(stored, dataset)
        yield Cell(f"DICOM windows of centres {centres} and widths {widths}", content, shown, 1e-3)


def _compressed() -> Iterator[Cell]:
    stored = film(4095)
    yield Cell(
        "DICOM wrapped up without compression",
        dicom(stored, WRAPPED, BitsStored=12, PixelData=encapsulate([stored.tobytes()])),
        stored,
    )
    frame = saved(stored, "JPEG2000", irreversible=False, no_jp2=True, signed=True)
    windows: list[dict[str, Any]] = [{}, {"WindowCenter": "1800", "WindowWidth": "400"}]
    for tags in windows:
        content = dicom(stored, JPEG_2000, PixelData=encapsulate([frame]), **tags)
        plain = pydicom.dcmread(io.BytesIO(dicom(stored, **tags)))
        shown = apply_windowing(stored, plain) if tags else stored
        yield Cell(f"DICOM JPEG 2000 of signed values, tags of unsigned ones, {tags}", content, shown, 1e-2)
    rgb = colours(255)
    finer = saved(rgb, "JPEG", quality=95, subsampling=2)
    marker = finer.index(b"\xff\xe0")
    bare = finer[:marker] + finer[marker + 2 + int.from_bytes(finer[marker + 2 : marker + 4], "big") :]
    named = saved(rgb, "JPEG", quality=95, keep_rgb=True)
    marker = named.index(b"\xff\xee")
    unmarked = named[:marker] + named[marker + 2 + int.from_bytes(named[marker + 2 : marker + 4], "big") :]
    for photometric in ("RGB", "YBR_FULL", "YBR_FULL_422"):
        for name, frame in (("brightness is finer than colour", bare), ("components are called R, G and B", unmarked)):
            with Image.open(io.BytesIO(frame)) as picture:
                right = luma(np.asarray(picture.convert("RGB")))
            content = dicom(rgb, JPEG, PhotometricInterpretation=photometric, PixelData=encapsulate([frame]))
            yield Cell(f"DICOM JPEG without a marker, tagged {photometric}: {name}", content, right, 2)
