"""Probabilities and class maps for images in memory or on disk, batch by batch."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from trcgl.artifacts.pixels import Pixels, prefetched
from trcgl.classifier.network.model import Classifier
from trcgl.numerics.device import autocast


def predict(
    model: Classifier,
    images: Pixels,
    *,
    rows: np.ndarray | None = None,
    batch_size: int = 64,
    precision: str = "fp32",
) -> np.ndarray:
    """Probabilities.

    Args:
        model: on any device; it is left in evaluation mode.
        images: uint8 [N, S, S] or anything that gives such rows.
        rows: row numbers to predict, in this order; None: all rows.
        batch_size: number of images computed at once.
        precision: as compute.precision; float32 by default, so that scores do not tie.

    Returns:
        float32 [N, C] in 0..1.
    """
    parts = [logits.sigmoid().cpu() for logits, _ in _outputs(model, images, rows, batch_size, precision)]
    return torch.cat(parts).numpy() if parts else np.empty((0, len(model.config.class_names)), np.float32)


def predict_with_maps(model: Classifier, images: Pixels, *, batch_size: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities float32 [N, C] and class maps float32 [N, C, h, w], for at least one image."""
    logits, maps = zip(*_outputs(model, images, None, batch_size, "fp32"), strict=True)
    return torch.cat(logits).sigmoid().cpu().numpy(), torch.cat(maps).cpu().numpy()


@torch.inference_mode()
def _outputs(
    model: Classifier, images: Pixels, rows: np.ndarray | None, batch_size: int, precision: str
) -> Iterator[tuple[Tensor, Tensor]]:
    model.eval()
    device = model.pixel_mean.device
    rows = np.arange(len(images)) if rows is None else rows
    batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    for pixels in prefetched(batches, lambda batch: torch.from_numpy(images[batch])):
        with autocast(device, precision):
            yield model(pixels.unsqueeze(1).to(device))
