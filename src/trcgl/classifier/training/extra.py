"""Extra training images of the tail findings: which ones, how often, in which epochs, and with which loss weight.

The amount is set as a share (`extra_exposure`): of all images with a tail finding that an epoch shows, this share are
extra images of that finding. Extra images are added to the epoch, so a run with them shows every real image as often as
a run without. The control for "more tail images" are duplicates: real images of the same findings instead of synthetic
ones, equally often and with the same weight.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from trcgl.classifier.training.data import TrainingData
from trcgl.config import ClassifierParams, TrainingParams
from trcgl.numerics.seeding import rng
from trcgl.runtime.errors import InputError
from trcgl.runtime.logging import get_logger

log = get_logger("extra")


@dataclass(frozen=True)
class Extra:
    """The extra images of a run.

    Attributes:
        rows: finding (column of the targets) -> row numbers of its extra images, for findings that have any.
        times: finding -> how many extra images of it an epoch shows.
    """

    rows: dict[int, np.ndarray]
    times: dict[int, int]

    def shown(self, params: TrainingParams, epochs: Iterable[int]) -> int:
        """The number of different extra images that some epochs (counted from 0) show."""
        used = [self.of_epoch(params.seed, epoch) for epoch in epochs if extra_weight(params, epoch)]
        return len(np.unique(np.concatenate(used))) if used else 0

    def of_epoch(self, seed: int, epoch: int) -> np.ndarray:
        """The extra rows of an epoch (counted from 0). For each finding, all images come once before one comes again.

        Returns:
            int64 [sum of `times`].
        """
        chosen = [np.empty(0, dtype=np.int64)]
        for target, rows in self.rows.items():
            places = np.arange(epoch * self.times[target], (epoch + 1) * self.times[target])
            rounds, place = np.divmod(places, len(rows))
            orders = {turn: rng("extra", seed, target, turn).permutation(rows) for turn in np.unique(rounds).tolist()}
            chosen.append(np.array([orders[turn][k] for turn, k in zip(rounds, place, strict=True)], dtype=np.int64))
        return np.concatenate(chosen)


def extra_images(params: TrainingParams, data: TrainingData, order: np.ndarray) -> Extra:
    """The extra images of a run, synthetic or real.

    Args:
        order: rows of an epoch of real images, in which the images with each finding are counted.

    Raises:
        InputError: duplicates are asked for, and no real training image has the finding.
    """
    if not isinstance(params, ClassifierParams) or params.extra_source == "none":
        return Extra({}, {})
    if params.extra_source == "duplicates" and not len(data.synthetic_target):
        log.warning(
            "'classifier.extra_source' is duplicates, but no synthetic image was accepted that they could match: this "
            "run is on real images alone"
        )
    shown = (data.targets[order] == 1).sum(axis=0)
    share = params.extra_exposure
    rows, times = {}, {}
    for target in np.unique(data.synthetic_target).tolist():
        rows[target] = data.synthetic[data.synthetic_target == target]
        if params.extra_source == "duplicates":
            rows[target] = data.train[data.targets[data.train, target] == 1]
            if not len(rows[target]):
                raise InputError(
                    "'classifier.extra_source' is duplicates, but no real training image shows "
                    f"'{data.class_names[target]}'; set it to synthetic or none"
                )
        times[target] = round(float(shown[target]) * share / (1 - share))
    log.info(
        "extra images (%s; shown as often in an epoch): %s", params.extra_source,
        ", ".join(f"{data.class_names[k]} {len(rows[k])} ({times[k]})" for k in rows) or "none",
    )  # fmt: skip
    if rows and not any(times.values()):
        log.warning("no epoch shows an extra image: 'classifier.extra_exposure' of so few images rounds to none")
    elif rows and not any(extra_weight(params, epoch) for epoch in range(params.frozen_epochs + params.epochs)):
        log.warning(
            "no epoch shows an extra image: 'classifier.extra_weight' is 0, or 'classifier.extra_until' (%s of %d "
            "epochs) is over when the first %d, on a frozen backbone, are",
            params.extra_until, params.frozen_epochs + params.epochs, params.frozen_epochs,
        )  # fmt: skip
    return Extra(rows, times)


def extra_weight(params: TrainingParams, epoch: int) -> float:
    """The weight of an extra image in the loss of an epoch (counted from 0); with 0, no extra image is shown."""
    if not isinstance(params, ClassifierParams) or params.extra_source == "none":
        return 0.0
    # As in the paper, none while the backbone is frozen
    used = params.frozen_epochs <= epoch < params.extra_until * (params.frozen_epochs + params.epochs)
    return params.extra_weight if used else 0.0


def with_extra(
    order: np.ndarray, extra: np.ndarray, weight: float, seed: int, epoch: int
) -> tuple[np.ndarray, np.ndarray]:
    """An epoch of real images, mixed with extra images.

    Args:
        order: int [N], rows of the real images in random order.
        extra: int [M], rows of the extra images.
        weight: of an extra image in the loss; with 0, extra images are left out.

    Returns:
        Rows int [N + M] and their weights float32. A weight belongs to a position in the epoch, not to an image: the
        same image may come once as a real image and once as a duplicate, with different weights.
    """
    weights = np.ones(len(order), dtype=np.float32)
    if not weight or not len(extra):
        return order, weights
    rows = np.concatenate([order, extra])
    weights = np.concatenate([weights, np.full(len(extra), weight, dtype=np.float32)])
    places = rng("extra places", seed, epoch).permutation(len(rows))
    return rows[places], weights[places]
