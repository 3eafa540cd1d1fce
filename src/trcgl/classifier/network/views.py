"""A picture shown as it is and a little moved or scaled; the probabilities of its views are averaged.

Positions and sizes that training showed at random are shown here in a fixed list, so a score has no luck in it.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from trcgl.artifacts.pixels import ChangedPixels, Pixels
from trcgl.classifier.network.model import Classifier
from trcgl.classifier.network.predict import predict


@dataclass(frozen=True)
class View:
    """One way to show a picture.

    Attributes:
        right, down: shift as a share of the side, rounded to whole pixels so that nothing is blurred by it.
        zoom: size of what is shown; 1.05 is 5 % larger.
        mirrored: left and right exchanged, before the rest.
    """

    right: float = 0.0
    down: float = 0.0
    zoom: float = 1.0
    mirrored: bool = False

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """uint8 [n, S, S] -> uint8 [n, S, S]; what comes in from outside the frame is black, as in training."""
        if self == View():
            return images
        images = np.ascontiguousarray(images[:, :, ::-1]) if self.mirrored else images
        side = images.shape[-1]
        middle = (side - 1) / 2
        right, down = round(self.right * side), round(self.down * side)
        # Where a point of the picture goes: about the middle, then shifted
        forward = np.array(
            [
                [self.zoom, 0.0, middle - self.zoom * middle + right],
                [0.0, self.zoom, middle - self.zoom * middle + down],
            ]
        )
        return np.stack([cv2.warpAffine(image, forward, (side, side), flags=cv2.INTER_LINEAR) for image in images])


def predict_views(model: Classifier, images: Pixels, shown: tuple[View, ...]) -> np.ndarray:
    """Mean probability over the views, float32 [N, C]; with the plain view alone it is `predict`.

    Thresholds were tuned on plain pictures and stay as they are.
    """
    total = predict(model, ChangedPixels(images, shown[0])).astype(np.float64)
    for view in shown[1:]:
        total += predict(model, ChangedPixels(images, view))
    return (total / len(shown)).astype(np.float32)
