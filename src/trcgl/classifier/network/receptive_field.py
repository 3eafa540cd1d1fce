"""Where the receptive fields of a map's cells lie: not always centred on the image tile that a cell stands for.

The receptive field is shifted by strides, by pooling of even width without stride (as in timm's shortcuts of dilated
stages, which `output_stride` asks for) and by the learned weights. For the shipped backbone it lies most of a cell down
and to the right of the tile. A map drawn over the image without this correction lies 20 to 30 of 256 pixels too far up
and left of its evidence.
"""

import numpy as np
import torch

from trcgl.classifier.network.model import Classifier
from trcgl.classifier.network.peak import peak_of
from trcgl.numerics.seeding import rng

SPOTS = 4
"""Number of spots tried on each image, one at a time, alternately light and dark."""
WIDTH, STRENGTH = 0.04, 0.25
"""Standard deviation of a spot as a share of the side, and its height as a share of the grey range."""
BATCH = 16
"""Images that are computed together: not more than a small GPU holds."""


@torch.no_grad()
def receptive_shift(model: Classifier, images: np.ndarray) -> tuple[float, float]:
    """How far (down, right) the cells' receptive fields lie from the centres of their tiles, as shares of the side.

    A soft spot is added at a random position in the middle half of each image. The map shows this position where the
    spot changes it most (`peak_of` the squared change, summed over all channels). The shift is the median of the spot's
    position minus the position on the map, or (0, 0) if no spot changes the map. Labels are not used.

    Args:
        model: on any device; it is left in evaluation mode.
        images: uint8 [n, S, S], a few dozen of the images that the maps belong to.
    """
    model.eval()
    places = rng("receptive field").uniform(0.25, 0.75, (SPOTS, len(images), 2))
    shifts = []
    for start in range(0, len(images), BATCH):
        part = slice(start, start + BATCH)
        shifts += _shifts(model, images[part], places[:, part])
    if not shifts:
        return 0.0, 0.0
    down, right = np.median(shifts, axis=0)
    return float(down), float(right)


def _shifts(model: Classifier, images: np.ndarray, places: np.ndarray) -> list[np.ndarray]:
    """Position of each spot minus its position on the map, where it changes the map.

    Args:
        places: [SPOTS, n, 2] of the spots, as shares of the side.
    """
    device = model.pixel_mean.device
    pixels = torch.from_numpy(images).unsqueeze(1).float() / 255.0
    before = model.features(pixels.to(device))
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
    return shifts
