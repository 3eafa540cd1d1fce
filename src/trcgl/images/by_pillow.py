"""Pillow's decoders, for less common formats and for TIFF up to 8 bits (OpenCV does not reject damaged TIFFs)."""

import io
import re

import cv2
import numpy as np
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import TiffImageFile

from trcgl.images.by_opencv import opencv_pixels
from trcgl.images.grey import grey, turned
from trcgl.images.quiet import quiet_libraries
from trcgl.images.unreadable import UnreadableImage, check_frames, check_size, one_line

COLOUR_MAP = 320
XMP_ORIENTATION = re.compile(rb"""tiff:Orientation\s*(?:=\s*["']|>)\s*([1-8])\s*["'<]""")


def pillow_pixels(data: bytes, formats: tuple[str, ...]) -> np.ndarray:
    """Grey and upright [H, W]: uint8, uint16, or float32 for pixels of more than 16 bits.

    Raises:
        UnreadableImage: damaged, several frames, or transparent.
    """
    try:
        with quiet_libraries(), Image.open(io.BytesIO(data), formats=formats) as image:
            check_size(*image.size)
            check_frames(getattr(image, "n_frames", 1), "pages" if image.format == "TIFF" else "frames")
            if image.format == "JPEG2000" and image.mode in ("RGB", "RGBA"):
                # Pillow reduces colours to 8 bits
                return grey(opencv_pixels(data))
            image.load()
            if isinstance(image, TiffImageFile):
                _palette_of_bytes(image)
                # For TIFF, Pillow itself applies the orientation tag
                return grey(_array(ImageOps.exif_transpose(image)))
            return turned(grey(_array(image)), _stated(image))
    except (UnreadableImage, MemoryError):
        raise
    except Exception as error:  # Pillow's plugins raise many undocumented kinds on damaged files
        raise UnreadableImage(f"damaged image data ({one_line(error)})") from None


def _palette_of_bytes(image: TiffImageFile) -> None:
    """Fix a TIFF palette in place. Some programs write values only up to 255; Pillow would decode them as black."""
    numbers = image.tag_v2.get(COLOUR_MAP) if image.mode == "P" else None
    if numbers and max(numbers) < 256:
        # The palette has all reds first, then all greens, then all blues
        image.putpalette(np.array(numbers, np.uint8).reshape(3, -1).T.tobytes())


def _array(image: Image.Image) -> np.ndarray:
    """The image as an array that `grey` accepts."""
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
        return np.asarray(image).astype(np.float32)
    if image.mode == "F":
        return np.asarray(image)
    if image.mode in ("P", "PA", "RGB", "RGBX", "CMYK", "YCbCr"):
        return cv2.cvtColor(np.asarray(image.convert("RGB")), cv2.COLOR_RGB2BGR)
    raise UnreadableImage(f"pixels of Pillow's mode {image.mode}; save it as grey or RGB")


def orientation(data: bytes, formats: tuple[str, ...]) -> int:
    """The orientation from EXIF, or from XMP if EXIF has none; 1 if neither can be read.

    Raises:
        UnreadableImage: the EXIF orientation is not a whole number.
    """
    try:
        with Image.open(io.BytesIO(data), formats=formats) as image:
            return _stated(image)
    except UnreadableImage:
        raise
    except Exception:  # Pillow raises many undocumented kinds on damaged metadata
        return 1


def _stated(image: Image.Image) -> int:
    """The orientation from EXIF, else from XMP, else 1. XMP is searched here: Pillow knows only one notation."""
    by_exif = image.getexif().get(0x0112)
    if by_exif is not None and not isinstance(by_exif, int):
        raise UnreadableImage("damaged orientation tag (a whole number is right)")
    if by_exif:
        return by_exif
    texts = [image.info.get(name) or b"" for name in ("xmp", "XML:com.adobe.xmp")]
    found = XMP_ORIENTATION.search(b"".join(text.encode() if isinstance(text, str) else text for text in texts))
    return int(found[1]) if found else 1
