"""Pillow's decoders: less common formats, and TIFF up to 8 bits, of which OpenCV shows damaged ones."""

import io
import re

import cv2
import numpy as np
from PIL import Image, ImageOps

from trcgl.images.by_opencv import opencv_pixels
from trcgl.images.grey import grey
from trcgl.images.quiet import quiet_libraries
from trcgl.images.unreadable import UnreadableImage, check_frames, check_size, one_line


def pillow_pixels(data: bytes, formats: tuple[str, ...]) -> np.ndarray:
    """Grey and upright [H, W]: uint8, uint16, or float32 where the format has more.

    Raises:
        UnreadableImage: damaged, several frames, or transparent.
    """
    try:
        with quiet_libraries(), Image.open(io.BytesIO(data), formats=formats) as image:
            check_size(*image.size)
            check_frames(getattr(image, "n_frames", 1), "pages" if image.format == "TIFF" else "frames")
            if image.mode in ("RGB", "RGBA") and (image.format == "JPEG2000" or _deep_pnm(data)):
                # Of colours Pillow keeps 8 bits. OpenCV wants a line break after the last number
                return grey(opencv_pixels(data + b"\n"))
            image.load()
            return grey(_array(ImageOps.exif_transpose(image)))
    except (UnreadableImage, MemoryError):
        raise
    except Exception as error:  # Pillow's plugins raise many undocumented kinds on damaged files
        raise UnreadableImage(f"damaged image data ({one_line(error)})") from None


def _deep_pnm(data: bytes) -> bool:
    """Whether a PNM file has more than 8 bits: the fourth word, comments left out, is the largest value."""
    words = re.sub(rb"#[^\n]*", b"", data[:1000]).split(None, 4)
    return data[:2] in (b"P3", b"P6") and len(words) > 3 and words[3].isdigit() and int(words[3]) > 255


def _array(image: Image.Image) -> np.ndarray:
    """As `grey` takes it."""
    if image.has_transparency_data:
        if image.mode in ("L", "LA", "La"):
            return np.asarray(image.convert("LA"))
        return cv2.cvtColor(np.asarray(image.convert("RGBA")), cv2.COLOR_RGBA2BGRA)
    if image.mode == "1":
        return np.asarray(image.convert("L"))
    if image.mode == "L":
        return np.asarray(image)
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    if image.mode == "I":
        values = np.asarray(image)
        # 16 bits of PNM are in 32
        return values.astype(np.uint16 if values.min() >= 0 and values.max() <= 65535 else np.float32)
    if image.mode == "F":
        return np.asarray(image)
    if image.mode in ("P", "PA", "RGB", "RGBX", "CMYK", "YCbCr"):
        return cv2.cvtColor(np.asarray(image.convert("RGB")), cv2.COLOR_RGB2BGR)
    raise UnreadableImage(f"pixels of Pillow's mode {image.mode}; save it as grey or RGB")


def orientation(data: bytes, formats: tuple[str, ...]) -> int:
    """EXIF's, or XMP's where EXIF has none; 1 if neither can be read."""
    try:
        with Image.open(io.BytesIO(data), formats=formats) as image:
            return int(image.getexif().get(0x0112, 1))
    except Exception:  # Pillow raises many undocumented kinds on damaged metadata
        return 1
