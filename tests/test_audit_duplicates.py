"""Copies and twins: near in pixels and in features, whatever a copy was put through; the first of twins is kept."""

from collections.abc import Callable

import cv2
import numpy as np
import pandas as pd
import pytest

from tests.audit_cases import PARAMS, nearest_copies, pictures
from trcgl.artifacts.pixels import Pixels
from trcgl.audit.copies import overlays
from trcgl.audit.duplicates import Closest, closest
from trcgl.audit.limits import Limits, real_limits
from trcgl.audit.measured import THUMBNAIL, Measured
from trcgl.audit.neighbours import nearest_distances, none_barred, same_patient
from trcgl.audit.overlaid import overlaid
from trcgl.audit.real_images import RealImages
from trcgl.audit.twins import find_twins


def cropped(image: np.ndarray) -> np.ndarray:
    return cv2.resize(np.ascontiguousarray(image[4:62, 2:60]), (THUMBNAIL, THUMBNAIL))


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda image: image,
    "noise": lambda image: np.clip(
        image + np.random.default_rng(0).normal(0, 10, image.shape), 0, 255
    ).astype(np.uint8),
    "flip": lambda image: image[:, ::-1],
    "crop": cropped,
    "brightness": lambda image: np.clip(image * 0.8 + 30, 0, 255).astype(np.uint8),
    "flip and crop": lambda image: cropped(image[:, ::-1]),
}  # fmt: skip


def as_it_is(images: Pixels) -> np.ndarray:
    """A feature space: the picture itself, less its mean."""
    flat = images[np.arange(len(images))].reshape(len(images), -1).astype(np.float32)
    return flat - flat.mean(axis=1, keepdims=True)


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_finds_its_original(change: str) -> None:
    real, strangers = pictures(60, 0), pictures(10, 1)
    copies = np.stack([CHANGES[change](image) for image in real[:10]])
    distance, index = nearest_copies(copies, real, none_barred(len(real)))
    assert index.tolist() == list(range(10))
    assert distance.max() < nearest_copies(strangers, real, none_barred(len(real)))[0].min()


@pytest.mark.parametrize("change", CHANGES)
def test_laid_over_its_original_a_changed_copy_looks_like_it(change: str) -> None:
    real = pictures(6, 0)
    for number, image in enumerate(real):
        copy = CHANGES[change](image)
        nearest = next(overlays(copy[None], real, none_barred(6)))[0]
        above, below = overlaid(copy, image, nearest).astype(float)
        assert nearest.reference == number
        assert np.abs(above - below).mean() < 12  # of noise; a stranger's is above 40
        stranger = overlaid(copy, real[number - 1], nearest).astype(float)
        assert np.abs(stranger[0] - stranger[1]).mean() > 30


def test_what_is_barred_is_not_compared() -> None:
    real = pictures(4, 0)
    distance, index = nearest_copies(real, real, same_patient(np.arange(4), np.arange(4)))
    assert (index != np.arange(4)).all()
    assert (distance > 0.01).all()
    alone = nearest_copies(real[:1], real[:1], same_patient(np.arange(1), np.arange(1)))
    assert np.isinf(alone[0]).all()
    assert alone[1].tolist() == [-1]
    nothing = nearest_copies(real, real[:0], none_barred(0))
    assert np.isinf(nothing[0]).all()
    assert (nothing[1] == -1).all()


def test_a_blank_picture_is_not_a_copy() -> None:
    distance, _ = nearest_copies(np.zeros((1, THUMBNAIL, THUMBNAIL), np.uint8), pictures(5, 0), none_barred(5))
    assert distance[0] == pytest.approx(1.0)


# Both distances


def found(limits: Limits, candidate: np.ndarray, references: np.ndarray) -> Closest:
    barred = none_barred(len(references))
    return next(closest(candidate[None], candidate[None], references, references, barred, limits, as_it_is))


def test_a_duplicate_is_near_in_pixels_and_in_features() -> None:
    real = pictures(20, 0)
    copy = CHANGES["flip and crop"](real[7])
    both = found(Limits(0.05, 0.05, 1.0), copy, real)
    assert (both.reference, both.duplicate) == (7, True)
    assert both.features < 0.05
    assert not found(Limits(0.05, 0.0, 1.0), copy, real).duplicate
    only_features = found(Limits(0.0, 2.0, 1.0), copy, real)
    assert not only_features.duplicate
    assert np.isnan(only_features.features)
    assert found(Limits(0.05, 0.05, 1.0), copy, real[:0]) == Closest()


def test_limits_that_real_images_cannot_set_find_no_duplicate() -> None:
    real = pictures(3, 0)
    assert not found(Limits(float("nan"), float("nan"), float("nan")), real[0], real).duplicate


def test_the_first_of_twins_is_kept_and_a_rejected_sample_has_no_twin() -> None:
    images = pictures(12, 0)
    images[[4, 7]] = images[1]
    images[[5, 9]] = images[2]
    passed = np.ones(12, dtype=bool)
    passed[2] = False  # its duplicates are twins of each other, not of it
    samples = pd.DataFrame({"sample": [f"s{i}" for i in range(12)]})
    twins = find_twins(samples, passed, images, images, Limits(0.01, 0.01, 1.0), as_it_is)
    assert np.flatnonzero(twins["twin"]).tolist() == [4, 7, 9]
    assert twins.loc[[4, 7, 9], "twin_of"].tolist() == ["s1", "s1", "s5"]
    assert twins.loc[[0, 2], "twin_of"].tolist() == ["", ""]
    assert np.isinf(twins.loc[[0, 2], "twin_pixel_distance"]).all()


def real_images(images: np.ndarray, features: np.ndarray, patients: np.ndarray) -> RealImages:
    names = np.array([f"{i}.png" for i in range(len(images))], dtype=object)
    return RealImages(names, patients, pd.DataFrame(), images, Measured(features, images))


def test_follow_ups_of_one_patient_do_not_set_the_limits() -> None:
    images = np.repeat(pictures(30, 0), 2, axis=0)
    features = np.repeat(np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32), 2, axis=0)
    known = real_images(images, features, np.repeat(np.arange(30), 2))
    unknown = real_images(images, features, np.arange(60))
    apart, together = (real_limits(one, one, as_it_is, PARAMS) for one in (known, unknown))
    assert apart.pixels > 0.05
    assert apart.features > 0.05
    assert together.pixels == pytest.approx(0, abs=1e-3)
    assert together.features == pytest.approx(0, abs=1e-3)


def test_limits_are_percentiles_over_real_pairs() -> None:
    images, draw = pictures(46, 0), np.random.default_rng(1)
    train = real_images(images[:25], draw.normal(size=(25, 8)), np.arange(25))
    val = real_images(images[25:], draw.normal(size=(21, 8)), np.arange(25, 46))
    limits = real_limits(train, val, as_it_is, PARAMS)
    distance, index = nearest_copies(images[:25], images[:25], same_patient(np.arange(25), np.arange(25)))
    assert limits.pixels == pytest.approx(np.percentile(distance, 2))
    cosine = []
    for row, other in enumerate(index):
        overlay = next(overlays(images[[row]], images[[other]], none_barred(1)))[0]
        left, right = overlaid(images[row], images[other], overlay).reshape(2, -1).astype(float)
        cosine.append(1 - np.corrcoef(left, right)[0, 1])
    assert limits.features == pytest.approx(np.percentile(cosine, 5), abs=1e-5)
    far = nearest_distances(val.measured.features, train.measured.features, 5, none_barred(25))
    assert limits.neighbour == pytest.approx(np.percentile(far[:, -1], 99))


def test_a_few_images_set_no_limit(caplog: pytest.LogCaptureFixture) -> None:
    images, features = pictures(44, 0), np.random.default_rng(1).normal(size=(44, 8))
    parts = {count: real_images(images[:count], features[:count], np.arange(count)) for count in (0, 1, 19, 25)}
    for count in (0, 1, 19):
        val = real_images(images[25 : 25 + count], features[25 : 25 + count], np.arange(count) + 50)
        assert np.isnan(real_limits(parts[25], val, as_it_is, PARAMS).neighbour)
        assert f"25 training and {count} validation images: below 20" in caplog.text
    few = real_limits(parts[19], parts[25], as_it_is, PARAMS)
    assert np.isnan([few.pixels, few.features]).all()


def test_nearest_distances_are_those_of_a_plain_search() -> None:
    draw = np.random.default_rng(0)
    left, right = draw.normal(size=(300, 6)), draw.normal(size=(40, 6))
    distance = nearest_distances(left, right, 3, none_barred(40))
    cosine = 1 - (left / np.linalg.norm(left, axis=1)[:, None]) @ (right / np.linalg.norm(right, axis=1)[:, None]).T
    np.testing.assert_allclose(distance, np.sort(cosine, axis=1)[:, :3], atol=1e-6)
