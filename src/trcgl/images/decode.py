"""One image file of a common format -> one grey array in the file's own depth, or one line with the reason why not.

PNG and TIFF (8 and 16 bit) and JPEG are decoded by OpenCV, the fastest reader of 16-bit PNG at hand; DICOM by pydicom.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import cv2
import numpy as np

# Off: OpenCV's own lines about damaged images
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm", ".dicom"})
MAX_PIXELS = 200_000_000
"""More than any radiograph (a 17 x 17 inch plate at 50 um has 75 million): larger ones are decompression bombs."""


class UnreadableImage(Exception):
    """A file without a usable image; the message is a short reason."""


def check_inside(folder: Path, file: Path) -> None:
    """Raise UnreadableImage if `file` lies outside the image folder once links are followed."""
    if not file.resolve().is_relative_to(folder.resolve()):
        raise UnreadableImage("a link that leads out of the image folder")


def decode(path: str | Path, *, inverted: bool = False) -> np.ndarray:
    """Read an image file as grey.

    Args:
        path: PNG, JPEG, TIFF or DICOM.
        inverted: whether the label table calls the image MONOCHROME1 (air is bright), so that it must be inverted. A
            DICOM file is inverted by its own tag instead.

    Returns:
        [H, W] uint8 or uint16 in the file's own depth (DICOM: float32 after its modality and VOI look-up).

    Raises:
        UnreadableImage: missing, empty, truncated, not an image, without contrast, or larger than `MAX_PIXELS`.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableImage(f"cannot be read: {error.strerror}") from None
    if not data:
        raise UnreadableImage("empty file")
    if data[128:132] == b"DICM" or path.suffix.lower() in {".dcm", ".dicom"}:
        return _decode_dicom(path)
    width, height = header_size(path)
    if width is None or height is None:
        raise UnreadableImage("not a PNG, JPEG, TIFF or DICOM file")
    if width * height > MAX_PIXELS:
        raise UnreadableImage(f"{width} x {height} pixels; more than {MAX_PIXELS} are refused")
    if data[:8] == b"\x89PNG\r\n\x1a\n" and b"IEND" not in data[-64:]:
        # OpenCV fills the missing rows of a truncated PNG with zeros and reports success
        raise UnreadableImage("truncated PNG (no end marker)")
    if data[:2] == b"\xff\xd8" and b"\xff\xd9" not in data[-64:]:
        raise UnreadableImage("truncated JPEG (no end marker)")
    try:
        with _quiet_libraries():
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise UnreadableImage("damaged image data")
    if pixels.ndim == 3:
        pixels = _grey(pixels)
    if pixels.dtype not in (np.uint8, np.uint16):
        raise UnreadableImage(f"pixels of type {pixels.dtype}; 8 or 16 bit unsigned are read")
    return _checked(np.iinfo(pixels.dtype).max - pixels if inverted else pixels)


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Keep what libpng and libjpeg print about a damaged image off the terminal: it names no file, our record does.

    They write to the process's stderr, which all threads share. It is redirected in the main thread only, where stages
    and their worker processes decode, so that no other thread's message is lost.
    """
    try:
        stderr = os.dup(2) if threading.current_thread() is threading.main_thread() else None
    except OSError:  # a process without stderr
        stderr = None
    if stderr is None:
        yield
        return
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def _grey(pixels: np.ndarray) -> np.ndarray:
    """Colour or alpha to grey; alpha is dropped, not blended: in radiographs saved as RGBA it is constant."""
    if pixels.shape[2] == 2:
        return pixels[:, :, 0]
    return cv2.cvtColor(pixels[:, :, :3], cv2.COLOR_BGR2GRAY)


def _decode_dicom(path: Path) -> np.ndarray:
    # Imported where needed: pydicom is a quarter of the start-up time of a stage and of each of its workers
    import pydicom
    from pydicom.errors import InvalidDicomError
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

    try:
        dataset = pydicom.dcmread(path)
        rows, columns = int(dataset.Rows), int(dataset.Columns)
        if rows * columns > MAX_PIXELS:
            raise UnreadableImage(f"{columns} x {rows} pixels; more than {MAX_PIXELS} are refused")
        if (frames := int(dataset.get("NumberOfFrames") or 1)) > 1:
            raise UnreadableImage(f"{frames} frames; a radiograph has one")
        syntax = dataset.file_meta.TransferSyntaxUID
        if syntax.is_compressed and not get_decoder(syntax).is_available:
            raise UnreadableImage(
                f"pixels compressed as {syntax.name.split(' (')[0]}, for which no decoder is installed; "
                "`pip install python-gdcm` brings one"
            )
        stored = dataset.pixel_array
        if stored.ndim == 3:
            # Grey saved as colour: three equal channels
            stored = stored[..., 0]
        pixels = apply_modality_lut(stored, dataset)
        with suppress(ValueError):  # A window of zero width or for colour: only a display hint
            pixels = apply_voi_lut(pixels, dataset)
        pixels = pixels.astype(np.float32)
        inverted = dataset.get("PhotometricInterpretation") == "MONOCHROME1"
    except UnreadableImage:
        raise
    except InvalidDicomError:
        raise UnreadableImage("not a DICOM file") from None
    except Exception as error:  # pydicom and its decoders raise many undocumented kinds on damaged files
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise UnreadableImage(f"DICOM pixels cannot be decoded: {reason}") from None
    return _checked(pixels.max() - pixels if inverted else pixels)


def _checked(pixels: np.ndarray) -> np.ndarray:
    if pixels.shape[0] < 16 or pixels.shape[1] < 16:
        raise UnreadableImage(f"{pixels.shape[1]} x {pixels.shape[0]} pixels; at least 16 x 16 are needed")
    if not np.isfinite(pixels).all():
        raise UnreadableImage("pixel values that are not finite")
    if pixels.min() == pixels.max():
        raise UnreadableImage("a single grey level everywhere")
    return pixels


def header_size(path: str | Path) -> tuple[int | None, int | None]:
    """Width and height from the first kilobytes of a PNG, JPEG, TIFF or DICOM file; (None, None) if unknown."""
    path = Path(path)
    with path.open("rb") as handle:
        start = handle.read(132)
    if start[:8] == b"\x89PNG\r\n\x1a\n" and len(start) >= 24:
        return int.from_bytes(start[16:20], "big"), int.from_bytes(start[20:24], "big")
    if start[128:132] == b"DICM" or path.suffix.lower() in {".dcm", ".dicom"}:
        import pydicom

        try:
            tags = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["Rows", "Columns"])
            return int(tags.Columns), int(tags.Rows)
        except Exception:  # pydicom raises many undocumented kinds on damaged files
            return None, None
    if start[:2] == b"\xff\xd8" or start[:4] in (b"II*\x00", b"MM\x00*"):
        return _pillow_size(path)
    return None, None


def _pillow_size(path: Path) -> tuple[int | None, int | None]:
    """Pillow reads headers lazily: no pixel is decoded."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return image.size
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return None, None
