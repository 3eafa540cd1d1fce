"""Which phase an epoch belongs to, when training ends early, and how the learning rates move.

`head`: the head alone, on a frozen backbone. `all`: every parameter. `retrain`: a new head on the frozen backbone of
the best epoch, on class-aware batches (classifier re-training, cRT, of Decoupling Representation and Classifier for
Long-Tailed Recognition, https://arxiv.org/abs/1910.09217, section 4).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from trcgl.config import TrainingParams

COSINE_FLOOR = 0.01  # Share of the learning rate left at the end


def epochs_of(params: TrainingParams) -> int:
    """Epochs of all phases."""
    return params.frozen_epochs + params.epochs + params.retrain_head_epochs


def phase_of(params: TrainingParams, epoch: int) -> str:
    """`head`, `all` or `retrain` for an epoch counted from 0."""
    if epoch < params.frozen_epochs:
        return "head"
    return "all" if epoch < params.frozen_epochs + params.epochs else "retrain"


def share_done(params: TrainingParams, epoch: int) -> float:
    """The share of phases `head` and `all` that is done before an epoch counted from 0.

    1 from their last epoch on, so that a loss that changes late in training changes in a short run, too; 0 in the first
    epoch, even if it is the only one.
    """
    before = params.frozen_epochs + params.epochs
    return 0.0 if epoch == 0 else 1.0 if epoch >= before - 1 else epoch / before


def stops_early(history: Sequence[Mapping[str, Any]], patience: int | None) -> bool:
    """Whether the last `patience` epochs of phase `all` reached no better `val_mAP` than its earlier epochs.

    The decision depends only on the history, so a continued run decides like an uninterrupted one. Without validation
    positives (NaN) no epoch is worse than another, and training goes on.
    """
    scores = [row["val_mAP"] for row in history if row["phase"] == "all"]
    if patience is None or len(scores) <= patience:
        return False
    return max(scores[-patience:]) <= max(scores[:-patience])


def learning_rate_share(params: TrainingParams, progress: float) -> float:
    """Share of the peak learning rates.

    Constant while the backbone is frozen, then a linear warm-up and a cosine to the floor. The retraining of the head
    has its own cosine.

    Args:
        progress: epochs since the start of phase `all`, at the end of a step; fractional, because epochs differ in
            length. At most 0 in phase `head`, above `params.epochs` in phase `retrain`.
    """
    if progress <= 0:
        return 1.0
    if progress > params.epochs:
        return _cosine((progress - params.epochs) / params.retrain_head_epochs)
    if progress < params.warmup_epochs:
        return progress / params.warmup_epochs
    return _cosine((progress - params.warmup_epochs) / max(params.epochs - params.warmup_epochs, 1e-9))


def _cosine(along: float) -> float:
    return COSINE_FLOOR + (1 - COSINE_FLOOR) * 0.5 * (1 + math.cos(math.pi * min(along, 1.0)))
