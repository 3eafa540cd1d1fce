"""OpenCV's decoders, without their messages on the terminal."""

import cv2
import numpy as np

from trcgl.images.quiet import quiet_libraries
from trcgl.images.unreadable import UnreadableImage


def opencv_pixels(data: bytes) -> np.ndarray:
    """The pixels as stored: [H, W], or [H, W, C] with blue first.

    Raises:
        UnreadableImage: damaged.
    """
    try:
        with quiet_libraries():
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise UnreadableImage("damaged image data")
    return pixels
