"""Features of a classifier and thumbnails (for pixel comparison): what the audit needs of each image."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from trcgl.artifacts.pixels import Pixels, prefetched, resized
from trcgl.classifier.network.model import Classifier

THUMBNAIL = 64
"""Side in pixels at which images are compared: fine enough for anatomy, and small enough to keep 160,000 in memory."""
BATCH = 64


@dataclass(frozen=True)
class Measured:
    """Features and thumbnails of N images.

    Attributes:
        features: float32 [N, F], a classifier's last feature map (the input of its head), averaged over all positions.
        thumbnails: uint8 [N, THUMBNAIL, THUMBNAIL].
    """

    features: np.ndarray
    thumbnails: np.ndarray

    def __len__(self) -> int:
        return len(self.features)


@torch.inference_mode()
def measure(classifier: Classifier, images: Pixels) -> Measured:
    """Compute features and thumbnails. Every image is read from disk only once, and not all are in memory at once.

    Args:
        classifier: the judge or the independent detector, in evaluation mode, on any device.
        images: at the size that the classifier reads.
    """
    maps: list[Tensor] = []

    def keep(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        maps.append(inputs[0].mean((2, 3)).cpu())

    def read(rows: np.ndarray) -> tuple[Tensor, np.ndarray]:
        pixels = images[rows]
        return torch.from_numpy(pixels).unsqueeze(1), resized(pixels, THUMBNAIL)

    thumbnails = [np.empty((0, THUMBNAIL, THUMBNAIL), np.uint8)]
    batches = [np.arange(start, min(start + BATCH, len(images))) for start in range(0, len(images), BATCH)]
    hook = classifier.head.register_forward_pre_hook(keep)
    try:
        for pixels, small in prefetched(batches, read):
            classifier(pixels.to(classifier.pixel_mean.device))
            thumbnails.append(small)
    finally:
        hook.remove()
    features = torch.cat(maps).numpy() if maps else np.empty((0, 0), np.float32)
    return Measured(features, np.concatenate(thumbnails))
