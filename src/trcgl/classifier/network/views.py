"""Views of an image: the image itself and slightly shifted or scaled versions, whose probabilities are averaged.

Training uses random shifts and scales. Here they are a fixed list, so a score does not depend on chance.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from trcgl.artifacts.pixels import ChangedPixels, Pixels
from trcgl.classifier.network.model import Classifier
from trcgl.classifier.network.predict import predict


@dataclass(frozen=True)
class View:
    """One view of an image.

    Attributes:
        right, down: shift as a share of the side, rounded to whole pixels so that the shift does not blur the image; at
            least one pixel unless it is 0.
        zoom: scale of the image content; 1.05 is 5 % larger.
        mirrored: whether left and right are exchanged, before scaling and shifting.
    """

    right: float = 0.0
    down: float = 0.0
    zoom: float = 1.0
    mirrored: bool = False

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """uint8 [n, S, S] -> uint8 [n, S, S]; pixels from outside the frame are black, as in training."""
        if self == View():
            return images
        images = np.ascontiguousarray(images[:, :, ::-1]) if self.mirrored else images
        side = images.shape[-1]
        middle = (side - 1) / 2
        right, down = whole_pixels(self.right * side), whole_pixels(self.down * side)
        # The affine matrix from input to output points: scaled about the centre, then shifted
        forward = np.array(
            [
                [self.zoom, 0.0, middle - self.zoom * middle + right],
                [0.0, self.zoom, middle - self.zoom * middle + down],
            ]
        )
        return np.stack([cv2.warpAffine(image, forward, (side, side), flags=cv2.INTER_LINEAR) for image in images])


def whole_pixels(shift: float) -> int:
    """The shift in whole pixels; one in its direction if it is less, so that no view is the image itself again."""
    return round(shift) or int(np.sign(shift))


def predict_views(model: Classifier, images: Pixels, shown: tuple[View, ...]) -> np.ndarray:
    """Mean probability over the views, float32 [N, C]; with the plain view alone it is `predict`.

    Thresholds were tuned on unchanged images and are used without change.
    """
    total = predict(model, ChangedPixels(images, shown[0])).astype(np.float64)
    for view in shown[1:]:
        total += predict(model, ChangedPixels(images, view))
    return (total / len(shown)).astype(np.float32)
