"""The batches of fine-tuning: which images each step uses, in which shifted copy, and with which prompt."""

from collections.abc import Sequence

import numpy as np

from trcgl.config import DiffusionParams
from trcgl.diffusion.generator.latents import Shown
from trcgl.diffusion.generator.rows import TrainingRows, mixed_batch
from trcgl.numerics.seeding import rng

SHIFTED_COPIES = 8
"""Number of copies of each tail image, including the unshifted one. Each copy is encoded once."""


class Batches:
    """The batches of all steps, sampled in advance by the seed, so that every latent and embedding is computed once.

    Args:
        prompts: the prompt of every row.
        size: side of the images in pixels.

    Attributes:
        shown: the images (with their shifts) of every step.
    """

    def __init__(self, params: DiffusionParams, rows: TrainingRows, prompts: Sequence[str], size: int):
        self._params, self._rows, self._prompts = params, rows, prompts
        self._places = [
            mixed_batch(rows, params.batch_size, params.tail_fraction, params.seed, "prompt", step)
            for step in range(params.steps)
        ]
        self._carriers = {int(row) for rows_of in rows.carriers.values() for row in rows_of}
        self.shown = [self._copies(places, size, step) for step, places in enumerate(self._places)]

    def _copies(self, places: np.ndarray, size: int, step: int) -> list[Shown]:
        """Each tail image in one of its shifted copies; other images unshifted, because there are enough of them."""
        params, reach = self._params, round(self._params.shift * size)
        chosen = rng(params.seed, "copy", step).integers(SHIFTED_COPIES, size=len(places))
        shown = []
        for place, copy in zip(places, chosen, strict=True):
            image, right, down = self._rows.images[int(place)], 0, 0
            if copy and int(place) in self._carriers:
                right, down = rng("shift", image, int(copy)).integers(-reach, reach + 1, size=2)
            shown.append(Shown(image, int(right), int(down)))
        return shown

    def images(self, step: int) -> list[str]:
        """Names of the images of a step."""
        return [one.image for one in self.shown[step]]

    def texts(self) -> list[str]:
        """The prompts of all steps, before prompt dropout."""
        return [self._prompts[int(place)] for places in self._places for place in places]

    def prompts(self, step: int) -> tuple[list[str], list[tuple[str, ...]]]:
        """Prompts and findings of a step. Some are dropped, so that the empty prompt for guidance is trained, too."""
        params, places = self._params, self._places[step]
        dropped = rng(params.seed, "dropout", step).random(params.batch_size) < params.prompt_dropout
        texts = ["" if drop else self._prompts[int(i)] for i, drop in zip(places, dropped, strict=True)]
        present = [() if drop else self._rows.findings[int(i)] for i, drop in zip(places, dropped, strict=True)]
        return texts, present
