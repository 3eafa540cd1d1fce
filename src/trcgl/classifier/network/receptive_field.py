"""Where the cells of a backbone's map look: not always at the middle of the tile that a cell stands for.

Strides, pooling of even width without stride (as in timm's shortcuts of dilated stages, which `output_stride` asks for)
and what was learned move what a cell sees. The shipped backbone's cells look most of a cell down and to the right of
their tiles; a map drawn over the picture without that lies 20 to 30 of 256 pixels up and left of its evidence.
"""

import numpy as np
import torch

from trcgl.classifier.network.model import Classifier
from trcgl.classifier.network.peak import peak_of
from trcgl.numerics.seeding import rng

SPOTS = 4
"""Spots on each picture, one after the other, light and dark in turn."""
WIDTH, STRENGTH = 0.04, 0.25
"""Standard deviation of a spot, a share of the side; its height, of the grey range."""


@torch.no_grad()
def receptive_shift(model: Classifier, images: np.ndarray) -> tuple[float, float]:
    """How far down and to the right cells look from the middle of their tiles, as shares of the side.

    A soft spot is put somewhere into the middle half of a picture. Where it changes the map most (the squared change
    of all channels, at its `peak_of`) is where the map shows what lies at the spot; the shift is the median of the
    differences, (0, 0) for a map that no spot changes. Labels play no part.

    Args:
        model: on any device; it is left in evaluation mode.
        images: uint8 [n, S, S], some dozens of the pictures that the maps are of.
    """
    model.eval()
    device = model.pixel_mean.device
    pixels = torch.from_numpy(images).unsqueeze(1).float() / 255.0
    before = model.features(pixels.to(device))
    places = rng("receptive field").uniform(0.25, 0.75, (SPOTS, len(images), 2))
    pixel = (torch.arange(images.shape[-1]) + 0.5) / images.shape[-1]
    shifts = []
    for number, at in enumerate(torch.from_numpy(places).float()):
        down, across = (torch.exp(-(((pixel - at[:, [axis]]) / WIDTH) ** 2) / 2) for axis in (0, 1))
        spots = STRENGTH * (-1) ** number * down[:, None, :, None] * across[:, None, None, :]
        after = model.features((pixels + spots).clamp(0, 1).to(device))
        changes = (after - before).float().square().sum(1).cpu().numpy()
        for change, place in zip(changes, places[number], strict=True):
            if (found := peak_of(change)) is not None:
                shifts.append(place - found)
    if not shifts:
        return 0.0, 0.0
    down, right = np.median(shifts, axis=0)
    return float(down), float(right)
