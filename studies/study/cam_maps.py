"""Where a classifier sees a finding: its class activation map, at the same resolution as the generator's map.

The class maps of a plain head are class activation maps (Zhou et al., arXiv 1512.04150): at each position of the
feature map, the dot product of the backbone's channels and the finding's row of classifier weights. A position covers
several pixels. So the image is shifted by fractions of that width, and the maps are shifted back and averaged, as
`finding_map` does. The average is moved to where the positions look (`receptive_shift`), as for the pointing game.
"""

from itertools import product

import numpy as np
import torch

from trcgl.artifacts.shards import ShardedImages
from trcgl.classifier.network.model import Classifier
from trcgl.classifier.network.receptive_field import receptive_shift
from trcgl.diffusion.generator.latents import shifted
from trcgl.diffusion.sampling.finding_map import MOVES

SHIFT_IMAGES = 64
"""Number of images on which the shift is measured, as for the pointing game."""


@torch.no_grad()
def cam_map(model: Classifier, film: np.ndarray, finding: str, shift: tuple[float, float]) -> np.ndarray:
    """The mean map over shifted copies of the image: float32 [S, S]; values may have either sign.

    Args:
        model: with the head `linear`.
        film: uint8 [S, S].
        shift: the model's `receptive_shift`.
    """
    model.eval()
    size, column = len(film), list(model.config.class_names).index(finding)
    side = model.features(torch.zeros(1, 1, size, size, dtype=torch.uint8)).shape[-1]
    steps = [round((part / MOVES - 0.5) * size / side) for part in range(MOVES)]
    moves = list(product(steps, steps))
    pixels = torch.from_numpy(np.stack([shifted(film, *move) for move in moves])).unsqueeze(1)
    _, maps = model.head(model.features(pixels))
    wide = torch.nn.functional.interpolate(maps[:, column : column + 1].float(), size=(size, size), mode="nearest")[
        :, 0
    ]
    back = [shifted(one, -right, -down) for one, (right, down) in zip(wide.numpy(), moves, strict=True)]
    down, right = (round(part * size) for part in shift)
    return shifted(np.mean(back, axis=0).astype(np.float32), right, down)


def cam_shift(model: Classifier, images: ShardedImages) -> tuple[float, float]:
    """The model's `receptive_shift`, measured on the first images."""
    return receptive_shift(model, images.read(images.index["image"].tolist()[:SHIFT_IMAGES]))
