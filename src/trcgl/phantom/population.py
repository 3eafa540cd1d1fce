"""The patients of the data set and the findings of each image: prevalences, co-occurrence, repeated studies, splits.

Common findings are sampled from one joint table over their 2^13 combinations. Iterative proportional fitting adapts the
table to the catalogue's shares and to the real pair counts; the result is the maximum-entropy table with those pairs.
Tail findings have quotas, so that their counts are exact. The common findings beside a tail finding are sampled from
the same table, weighted by the real pairs.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from trcgl.config import HospitalParams, PhantomParams
from trcgl.numerics.seeding import rng, seed_of
from trcgl.phantom.catalogue import BY_NAME, COMMON_NAMES, TAIL_NAMES, lift
from trcgl.phantom.render import View
from trcgl.runtime.errors import InputError

TRAIN, VALIDATION, TEST = "train", "val", "test"
NATURAL, ENRICHED = "natural", "enriched"

# Kinds of invalid rows, and how many of each are added per 1,000 training images
SPOILED = {
    "lateral": 45,
    "excluded": 5,
    "suboptimal": 7,
    "unlabelled": 2,
    "truncated": 1,
    "zero bytes": 1,
    "text file": 1,
    "missing file": 1,
}

_STUDIES = ((1, 0.69), (2, 0.17), (3, 0.07), (4, 0.04), (6, 0.03))
_AGEING = frozenset(("COPD signs", "cardiomegaly", "aortic elongation", "hiatal hernia", "pacemaker", "sternotomy"))
_BEDSIDE = frozenset(("NSG tube", "alveolar pattern", "subcutaneous emphysema", "hydropneumothorax"))


@dataclass(frozen=True)
class Image:
    """A future row of the table: what to render, the patient, and what is wrong with the row, if anything."""

    view: View
    study: str
    split: str
    sampling: str
    spoiled: str | None = None


@cache
def joint_table() -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """All combinations of the common findings (8,192 x 13) and their probabilities."""
    count = len(COMMON_NAMES)
    states = ((np.arange(1 << count)[:, None] >> np.arange(count)) & 1).astype(bool)
    shares = np.array([BY_NAME[name].share for name in COMMON_NAMES])
    table = np.prod(np.where(states, shares, 1 - shares), axis=1)
    pairs = list(itertools.combinations(range(count), 2))
    for _ in range(12):
        for i, j in pairs:
            both = min(shares[i] * shares[j] * lift(COMMON_NAMES[i], COMMON_NAMES[j]), 0.6 * min(shares[i], shares[j]))
            targets = (1 - shares[i] - shares[j] + both, shares[i] - both, shares[j] - both, both)
            cell = states[:, i] + 2 * states[:, j]
            table *= (np.array(targets) / np.bincount(cell, table, 4))[cell]
    return states, table / table.sum()


@cache
def _weighted_table(tail: str | None) -> NDArray[np.float64]:
    """Cumulative probabilities of the combinations in images that show `tail`."""
    states, table = joint_table()
    if tail is not None:
        lifts = np.array([lift(tail, name) for name in COMMON_NAMES])
        table = table * np.prod(np.where(states, np.minimum(lifts, 6.0), 1.0), axis=1)
    return np.cumsum(table / table.sum())


def _companions(generator: np.random.Generator, tail: str | None) -> tuple[str, ...]:
    states, _ = joint_table()
    row = int(np.searchsorted(_weighted_table(tail), generator.random(), side="right"))
    return tuple(name for name, shown in zip(COMMON_NAMES, states[min(row, len(states) - 1)], strict=True) if shown)


def _pick(generator: np.random.Generator, options: tuple[tuple, ...]):
    values, weights = zip(*options, strict=True)
    return values[int(np.searchsorted(np.cumsum(weights), generator.random() * sum(weights), side="right"))]


def _digits(longest: int, *parts: str | int) -> str:
    """A string of up to `longest` digits, like an anonymised identifier."""
    number = "".join(str(seed_of(*parts, k)) for k in range(3)).lstrip("0")
    length = longest if seed_of(*parts, "length") % 10 < 6 else longest - seed_of(*parts, "length") % 18
    return number[:length]


def _patient(
    seed: int, hospital: HospitalParams, key: str, findings: tuple[str, ...], images: int, split: str, sampling: str
) -> Iterator[Image]:
    """`images` frontal images of one patient, one per study: the same findings, other positions and exposures."""
    generator = rng(seed, "patient", key)
    patient = _digits(39, seed, "patient id", key)
    age = generator.normal(58, 17) + 7 * bool(_AGEING & set(findings))
    bedside = 3.5 if _BEDSIDE & set(findings) else 1.0
    projections = (
        ("PA", 1 - hospital.upright_ap - hospital.supine_ap),
        ("AP", hospital.upright_ap * bedside),
        ("AP_horizontal", hospital.supine_ap * bedside),
    )
    female = bool(generator.random() < 0.5)
    for k in range(images):
        study = _digits(39, seed, "study", key, k)
        letters = np.base_repr(seed_of(seed, "image", key, k) % 36**6, 36).lower().zfill(6)
        odd = "-2" if generator.random() < 0.016 else ""
        view = View(
            seed=seed,
            patient=patient,
            image=f"{study}{odd}_{letters}.png",
            projection=_pick(generator, projections),
            female=female,
            age=float(np.clip(age + 0.7 * k, 18, 96)),
            findings=findings,
            hospital=hospital,
        )
        yield Image(view, study, split, sampling)


def _quotas(images: int) -> dict[str, int]:
    return {name: max(1, round(BY_NAME[name].share * images)) for name in TAIL_NAMES}


def training_quotas(phantom: PhantomParams) -> dict[str, int]:
    """Training images of each tail finding.

    Raises:
        InputError: `train_tail_positives` does not fit the tail findings or the number of images.
    """
    given = phantom.train_tail_positives
    if given is None:
        return _quotas(phantom.train_images)
    if len(given) != len(TAIL_NAMES) or min(given) < 0 or sum(given) > phantom.train_images:
        raise InputError(
            f"'dataset.phantom.train_tail_positives' is {list(given)}; give {len(TAIL_NAMES)} numbers of images, "
            f"at least 0, together at most 'dataset.phantom.train_images' ({phantom.train_images}), of: "
            f"{', '.join(TAIL_NAMES)}"
        )
    return dict(zip(TAIL_NAMES, given, strict=True))


def _tail_images(
    seed: int, hospital: HospitalParams, key: str, quotas: dict[str, int], split: str, sampling: str
) -> list[Image]:
    """Images that meet every quota exactly; a second tail finding is added to an image only while its quota is open."""
    images: list[Image] = []
    left = dict(quotas)
    for tail in TAIL_NAMES:
        number = 0
        while left[tail] > 0:
            generator = rng(seed, "tail", key, tail, number)
            findings = {tail, *_companions(generator, tail)}
            count = 2 if generator.random() < 0.2 and left[tail] > 1 else 1
            for other in TAIL_NAMES:
                together = BY_NAME[other].share * lift(tail, other)
                if other != tail and lift(tail, other) > 1 and left[other] >= count and generator.random() < together:
                    findings.add(other)
            for name in findings & set(TAIL_NAMES):
                left[name] -= count
            shown = tuple(name for name in BY_NAME if name in findings)
            images += _patient(seed, hospital, f"{key}/{tail}/{number}", shown, count, split, sampling)
            number += 1
    return images


def _natural_images(seed: int, hospital: HospitalParams, split: str, count: int, quotas: dict[str, int]) -> list[Image]:
    """`count` frontal images of one split: tail findings by `quotas`, the others at the catalogue's shares."""
    images = _tail_images(seed, hospital, f"{split}/{NATURAL}", quotas, split, NATURAL)
    number = 0
    while len(images) < count:
        key = f"{split}/{NATURAL}/{number}"
        generator = rng(seed, "natural", key)
        studies = min(_pick(generator, _STUDIES), count - len(images))
        images += _patient(seed, hospital, key, _companions(generator, None), studies, split, NATURAL)
        number += 1
    return images


def _spoiled_images(seed: int, hospital: HospitalParams, training_images: int) -> list[Image]:
    """Extra training rows that are invalid, so that a reader must reject them; none has a tail finding."""
    images = []
    for kind, per_thousand in SPOILED.items():
        for k in range(max(1, round(per_thousand * training_images / 1000))):
            key = f"spoiled/{kind}/{k}"
            for image in _patient(seed, hospital, key, _companions(rng(seed, key), None), 1, TRAIN, NATURAL):
                projection = "L" if kind == "lateral" else image.view.projection
                images.append(replace(image, spoiled=kind, view=replace(image.view, projection=projection)))
    return images


def draw_population(seed: int, phantom: PhantomParams) -> list[Image]:
    """Every image of the data set in the table's order, which is shuffled so that it carries no information."""
    hospital = phantom.hospital
    images = _natural_images(seed, hospital, TRAIN, phantom.train_images, training_quotas(phantom))
    for split, natural, tail in (
        (VALIDATION, phantom.validation_images, phantom.validation_tail_positives),
        (TEST, phantom.test_images, phantom.test_tail_positives),
    ):
        images += _natural_images(seed, hospital, split, natural, _quotas(natural))
        images += _tail_images(seed, hospital, f"{split}/{ENRICHED}", dict.fromkeys(TAIL_NAMES, tail), split, ENRICHED)
    images += _spoiled_images(seed, hospital, phantom.train_images)
    return sorted(images, key=lambda image: seed_of(seed, "order", image.view.image))


def more_tail_images(seed: int, phantom: PhantomParams, times: int) -> list[Image]:
    """New images, all of new patients, that multiply the training images of every tail finding by `times`."""
    quotas = {name: (times - 1) * count for name, count in training_quotas(phantom).items()}
    return _tail_images(seed, phantom.hospital, f"{TRAIN}/more", quotas, TRAIN, NATURAL)
