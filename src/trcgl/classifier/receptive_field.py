"""Where the cells of a backbone's map look: not always at the middle of the tile that a cell stands for.

Strides, and pooling of even width without stride (as in timm's shortcuts of dilated stages, which `output_stride` asks
for), move what a cell sees. The shipped backbone's cells look about half a cell down and to the right of their tiles; a
map drawn over the picture without that lies about 15 of 256 pixels up and left of its evidence.

The effective receptive field (https://arxiv.org/abs/1701.04128, section 2) is the gradient of a cell by the pixels.
"""

import numpy as np
import torch

from trcgl.classifier.model import Classifier
from trcgl.runtime.seeding import seed_of


def receptive_shift(model: Classifier, images: np.ndarray) -> tuple[float, float]:
    """How far down and to the right the central cells look from the middle of their tiles, as shares of the side.

    The centre of mass of the squared gradient of a random sum of a cell's channels by the pixels, as the mean over
    pictures; squared, so that the core of the field decides and not its long tails. Labels play no part. The cells
    about the picture's middle are symmetric, so that what they see of the whole (as in a transformer) cancels.

    Args:
        model: on any device; it is left in evaluation mode.
        images: uint8 [n, S, S], some dozens of the pictures that the maps are of.
    """
    model.eval()
    device = model.pixel_mean.device
    pixels = (torch.from_numpy(images).unsqueeze(1).float() / 255.0).to(device).requires_grad_()
    generator = torch.Generator().manual_seed(seed_of("receptive field"))
    middle = (torch.arange(images.shape[-1], dtype=torch.float64) + 0.5) / images.shape[-1]
    shifts = []
    with torch.enable_grad():
        features = model.features(pixels)
        height, width = features.shape[2:]
        directions = torch.randn(features.shape[:2], generator=generator).to(device)
        for row in sorted({(height - 1) // 2, height // 2}):
            for column in sorted({(width - 1) // 2, width // 2}):
                cell = (features[:, :, row, column] * directions).sum()
                (gradient,) = torch.autograd.grad(cell, pixels, retain_graph=True)
                mass = gradient[:, 0].double().square().cpu()
                # A picture that a cell does not react to at all says nothing
                mass = mass[mass.sum((1, 2)) > 0]
                mass = mass / mass.sum((1, 2), keepdim=True)
                down = (mass.sum(dim=2) @ middle).mean() - (row + 0.5) / height
                right = (mass.sum(dim=1) @ middle).mean() - (column + 0.5) / width
                shifts.append((float(down), float(right)))
    down, right = np.mean(shifts, axis=0)
    return float(down), float(right)
