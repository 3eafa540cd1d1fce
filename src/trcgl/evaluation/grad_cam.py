"""Grad-CAM on the backbone's last map: where a logit would rise, whatever the head.

Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization, https://arxiv.org/abs/1610.02391,
equations 1 and 2: a map's channels, each weighted by the mean of the logit's gradient over its places, summed, and what
speaks against the class cut off. For a linear head behind global average pooling it is the class activation map
(appendix A there), which is our linear head's class map.
"""

import numpy as np
import torch

from trcgl.classifier.data import Pixels
from trcgl.classifier.model import Classifier


def grad_cam(
    model: Classifier, images: Pixels, rows: np.ndarray, columns: np.ndarray, *, batch_size: int = 64
) -> np.ndarray:
    """One map for each pair of image and class.

    Args:
        model: on any device; it is left in evaluation mode.
        images: uint8 [N, S, S] or anything that gives such rows.
        rows, columns: [P] row of the image and class of each pair.
        batch_size: pairs at once.

    Returns:
        float32 [P, h, w], not negative.
    """
    model.eval()
    device = model.pixel_mean.device
    parts = []
    for start in range(0, len(rows), batch_size):
        pixels = torch.from_numpy(images[rows[start : start + batch_size]]).unsqueeze(1).to(device)
        column = torch.from_numpy(columns[start : start + batch_size]).to(device)
        with torch.no_grad():
            features = model.features(pixels).float()
        features.requires_grad_()
        with torch.enable_grad():
            logits, _ = model.head(features)
            # Images of a batch do not meet in the head, so the gradient of the sum holds each one's own
            (gradient,) = torch.autograd.grad(logits.gather(1, column[:, None]).sum(), features)
        weights = gradient.mean((2, 3), keepdim=True)
        parts.append((weights * features.detach()).sum(dim=1).relu().cpu())
    return torch.cat(parts).numpy() if parts else np.empty((0, 1, 1), np.float32)
