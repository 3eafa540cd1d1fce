"""Grad-CAM on the backbone's last feature map; it works for any head.

Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization, https://arxiv.org/abs/1610.02391,
equations 1 and 2. Each channel of the map is weighted by the mean of the logit's gradient over its positions. The
channels are summed, and negative values (evidence against the class) are set to 0. For a linear head after global
average pooling the sum is the class activation map (appendix A there), which is the class map of our linear head.
"""

import numpy as np
import torch

from trcgl.artifacts.pixels import Pixels
from trcgl.classifier.network.model import Classifier


def class_maps_and_grad_cams(
    model: Classifier, images: Pixels, rows: np.ndarray, columns: np.ndarray, *, batch_size: int = 64
) -> tuple[np.ndarray, np.ndarray]:
    """The head's own class map and the Grad-CAM of each pair of image and class.

    The backbone processes each image once.

    Args:
        model: on any device; it is left in evaluation mode.
        images: uint8 [N, S, S] or anything that gives such rows.
        rows, columns: [P] row of the image and class of each pair, at least one.
        batch_size: number of images computed at once.

    Returns:
        Class maps float32 [P, h, w]; Grad-CAMs float32 [P, h, w], not negative.
    """
    model.eval()
    device = model.pixel_mean.device
    different, which = np.unique(rows, return_inverse=True)
    order, class_maps, cams = [], [], []
    for start in range(0, len(different), batch_size):
        batch = np.arange(start, min(start + batch_size, len(different)))
        pairs = np.flatnonzero(np.isin(which, batch))
        with torch.no_grad():
            features = model.features(torch.from_numpy(images[different[batch]]).unsqueeze(1).to(device)).float()
        paired = features[torch.from_numpy(which[pairs] - start).to(device)].requires_grad_()
        column = torch.from_numpy(columns[pairs]).to(device)
        with torch.enable_grad():
            logits, maps = model.head(paired)
            # The head processes images independently, so the gradient of the sum holds the gradients of all images
            (gradient,) = torch.autograd.grad(logits.gather(1, column[:, None]).sum(), paired)
        weights = gradient.mean((2, 3), keepdim=True)
        cams.append((weights * paired.detach()).sum(dim=1).relu().cpu())
        class_maps.append(maps.detach()[torch.arange(len(pairs), device=device), column].cpu())
        order.append(pairs)
    back = np.argsort(np.concatenate(order))
    return torch.cat(class_maps).numpy()[back], torch.cat(cams).numpy()[back]
