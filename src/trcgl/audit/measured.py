"""What the audit knows of an image: the judge's scores and features, and a thumbnail to compare pixels with."""

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
    """N images.

    Attributes:
        scores: float32 [N, C], the judge's probabilities.
        features: float32 [N, F], the mean of the judge's last map over its places: what its head reads.
        thumbnails: uint8 [N, THUMBNAIL, THUMBNAIL].
    """

    scores: np.ndarray
    features: np.ndarray
    thumbnails: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

    def of(self, rows: np.ndarray) -> "Measured":
        """The images at positions, or under a mask, `rows`."""
        return Measured(self.scores[rows], self.features[rows], self.thumbnails[rows])


@torch.inference_mode()
def measure(judge: Classifier, images: Pixels) -> Measured:
    """Look at every image once, so that hundreds of thousands on disk are read once and never held.

    Args:
        judge: in evaluation mode, on any device.
        images: at the size the judge reads.
    """
    maps: list[Tensor] = []

    def keep(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        maps.append(inputs[0].mean((2, 3)).cpu())

    def read(rows: np.ndarray) -> tuple[Tensor, np.ndarray]:
        pixels = images[rows]
        return torch.from_numpy(pixels).unsqueeze(1), resized(pixels, THUMBNAIL)

    scores, thumbnails = [], [np.empty((0, THUMBNAIL, THUMBNAIL), np.uint8)]
    batches = [np.arange(start, min(start + BATCH, len(images))) for start in range(0, len(images), BATCH)]
    hook = judge.head.register_forward_pre_hook(keep)
    try:
        for pixels, small in prefetched(batches, read):
            scores.append(judge(pixels.to(judge.pixel_mean.device))[0].sigmoid().cpu())
            thumbnails.append(small)
    finally:
        hook.remove()
    if not scores:
        return Measured(np.empty((0, len(judge.config.class_names)), np.float32), np.empty((0, 0), np.float32),
                        thumbnails[0])  # fmt: skip
    return Measured(torch.cat(scores).numpy(), torch.cat(maps).numpy(), np.concatenate(thumbnails))
