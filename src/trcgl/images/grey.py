"""Colour, transparency and orientation: from a decoder's array to the grey picture as it is meant to be seen."""

import cv2
import numpy as np

from trcgl.images.unreadable import UnreadableImage


def grey(pixels: np.ndarray) -> np.ndarray:
    """Luma of blue, green and red; alpha is dropped where it hides nothing.

    Args:
        pixels: uint8, uint16 or float32 [H, W], or [H, W, C] with C: grey and alpha, or blue, green, red (and alpha).
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
    """Raise UnreadableImage if some of the picture is transparent: what is to be seen there is unknown.

    The same alpha everywhere, as of most films saved as RGBA, hides nothing; black that is transparent stays black.
    """
    opaque = alpha.max()
    if alpha.min() != opaque and shown[alpha < opaque].any():
        raise UnreadableImage("transparent in places; save it without transparency")


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Upright, from EXIF's orientation; values other than 1 to 8 mean unknown, as to all readers."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.T
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def inverted(pixels: np.ndarray) -> np.ndarray:
    """Dark for bright: from the type's largest value, or from the picture's own if it has no fixed range."""
    if pixels.dtype.kind == "u":
        return np.iinfo(pixels.dtype).max - pixels
    return pixels.max() - pixels
