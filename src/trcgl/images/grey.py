"""Convert a decoder's array to the grey, upright picture: handle colour, transparency and orientation."""

import cv2
import numpy as np

from trcgl.images.unreadable import UnreadableImage


def grey(pixels: np.ndarray) -> np.ndarray:
    """Convert colour to luma, and drop the alpha channel.

    Args:
        pixels: uint8, uint16 or float32 [H, W] or [H, W, C]. The channels are grey, grey and alpha, or blue, green, red
            (and alpha).

    Raises:
        UnreadableImage: the alpha channel hides a part of the picture.
    """
    if pixels.ndim == 2:
        return pixels
    channels = pixels.shape[2]
    if channels == 1:
        return pixels[:, :, 0]
    shown = pixels[:, :, 0] if channels == 2 else cv2.cvtColor(pixels[:, :, :3], cv2.COLOR_BGR2GRAY)
    if channels in (2, 4):
        check_hidden(shown, pixels[:, :, -1])
    return shown


def check_hidden(shown: np.ndarray, alpha: np.ndarray) -> None:
    """Raise UnreadableImage if a part of the picture is transparent, because its intended appearance is unknown.

    A constant alpha, as in most X-rays saved as RGBA, hides nothing. Transparent pixels that are black stay black.
    """
    opaque = alpha.max()
    if alpha.min() != opaque and shown[alpha < opaque].any():
        raise UnreadableImage("transparent in places; save it without transparency")


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn the picture upright by the EXIF orientation. Values other than 1 to 8 are ignored, as in all readers."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.T
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def inverted(pixels: np.ndarray) -> np.ndarray:
    """Invert the grey levels: subtract them from the type's maximum (for floats, from the picture's maximum)."""
    if pixels.dtype.kind == "u":
        return np.iinfo(pixels.dtype).max - pixels
    return pixels.max() - pixels
