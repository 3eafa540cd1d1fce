"""Extra training images of the tail findings: which, in which epochs, at which weight, and in whose place.

They compete with the real images for the places of an epoch, so runs with and without them take the same number of
optimiser steps, and a difference between two runs is one of the images alone. The control for "more images of the
tail" are duplicates: as many real images of the same findings, at the same weight and schedule.
"""

import logging
from collections import Counter

import numpy as np

from trcgl.classifier.training.data import TrainingData
from trcgl.config import ClassifierParams, TrainingParams
from trcgl.numerics.seeding import rng
from trcgl.runtime.errors import InputError
from trcgl.runtime.logging import get_logger

log = get_logger("extra")


def extra_rows(params: TrainingParams, data: TrainingData) -> np.ndarray:
    """Row numbers of the extra images of a run, synthetic or real; a real image may come more than once.

    The rows of a smaller `extra_ratio` are the first of those of a larger one, and the better ones: a judge that is not
    good enough to reject a sample still ranks it above others more often than not.

    Raises:
        InputError: duplicates are asked for, and no real training image has the finding.
    """
    if not isinstance(params, ClassifierParams) or params.extra_source == "none":
        return np.empty(0, dtype=np.int64)
    wanted = int(params.extra_ratio * len(data.train))
    places = best_in_turn(data.synthetic_target, data.synthetic_rank)[:wanted]
    rows = data.synthetic[places]
    if params.extra_source == "duplicates":
        rows = duplicates_of(data.synthetic_target[places], data, params.seed)
    found = Counter(data.class_names[target] for target in data.synthetic_target[places])
    # With too few, arms of different ratios are the same arm
    log.log(
        logging.WARNING if len(rows) < wanted else logging.INFO,
        "%d extra images (%s; %d wanted, %d accepted): %s",
        *(len(rows), params.extra_source, wanted, len(data.synthetic)),
        ", ".join(f"{name} {count}" for name, count in sorted(found.items())) or "none",
    )
    return rows


def best_in_turn(targets: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """An order of the samples in which the findings take turns for as long as they have any, each with its best left.

    Args:
        targets: int [M], the finding each sample was drawn for.
        ranks: int [M], no rank twice within a finding; smaller is better.

    Returns:
        int [M], places in `targets`.
    """
    turn = np.empty(len(targets), dtype=np.int64)
    for target in np.unique(targets):
        places = np.flatnonzero(targets == target)
        turn[places[np.argsort(ranks[places])]] = np.arange(len(places))
    return np.lexsort((targets, turn))


def duplicates_of(targets: np.ndarray, data: TrainingData, seed: int) -> np.ndarray:
    """A real training image with each of the findings; all that have it are taken once before one is taken again.

    Args:
        targets: int [M], columns of data.targets.

    Returns:
        int [M], row numbers.
    """
    rows = np.empty(len(targets), dtype=np.int64)
    for target in np.unique(targets):
        carriers = data.train[data.targets[data.train, target] == 1]
        if not len(carriers):
            raise InputError(
                f"classifier.extra_source 'duplicates': no real training image shows '{data.class_names[target]}'"
            )
        places = np.flatnonzero(targets == target)
        rows[places] = np.resize(rng("duplicates", seed, int(target)).permutation(carriers), len(places))
    return rows


def extra_weight(params: TrainingParams, epoch: int) -> float:
    """What an extra image weighs in the loss of an epoch (counted from 0); at 0 none takes a place."""
    if not isinstance(params, ClassifierParams) or params.extra_source == "none":
        return 0.0
    # As in the paper, none while the backbone is frozen
    used = params.frozen_epochs <= epoch < params.extra_until * (params.frozen_epochs + params.epochs)
    return params.extra_weight if used else 0.0


def with_extra(
    order: np.ndarray, extra: np.ndarray, weight: float, seed: int, epoch: int
) -> tuple[np.ndarray, np.ndarray]:
    """An epoch of real images with extra images in the place of some, as long as before.

    Args:
        order: int [N], rows of the real images in random order.
        extra: int [M], rows of the extra images, each to come once at most.
        weight: of an extra image in the loss.

    Returns:
        rows int [N] and their weights float32 [N]. A weight belongs to a place: a duplicated image has its own.
    """
    weights = np.ones(len(order), dtype=np.float32)
    if not weight or not len(extra):
        return order, weights
    rows = np.concatenate([order, extra])
    weights = np.concatenate([weights, np.full(len(extra), weight, dtype=np.float32)])
    drawn = rng("extra places", seed, epoch).permutation(len(rows))[: len(order)]
    return rows[drawn], weights[drawn]
