"""The audit: planted copies are caught, thresholds come from validation positives, every rejection has a reason."""

import numpy as np
import pandas as pd
import pytest

from trcgl.config import AuditParams
from trcgl.diffusion import audit

PARAMS = AuditParams(min_percentile=10.0, duplicate_percentile=1.0)


def pictures(n: int, seed: int) -> np.ndarray:
    """Smooth random images, each of its own: uint8 [n, 64, 64]."""
    import cv2

    noise = np.random.default_rng(seed).normal(size=(n, 64, 64)).astype(np.float32)
    smooth = np.stack([cv2.GaussianBlur(image, (0, 0), 5) for image in noise])
    low, high = smooth.min(axis=(1, 2), keepdims=True), smooth.max(axis=(1, 2), keepdims=True)
    return ((smooth - low) / (high - low) * 255).astype(np.uint8)


def test_copies_are_nearer_than_strangers():
    real, strangers = pictures(300, 0), pictures(50, 1)
    noise = np.random.default_rng(2).normal(scale=6, size=(50, 64, 64))
    copies = np.clip(real[:50] * 0.8 + 20 + noise, 0, 255).astype(np.uint8)
    vectors = audit.normalised_vectors(real)
    limit = audit.copy_threshold(vectors, np.arange(300), 1.0)
    distance, index = audit.nearest(audit.normalised_vectors(copies), vectors)
    assert (index == np.arange(50)).all()
    assert (distance < limit).mean() >= 0.95
    assert (audit.nearest(audit.normalised_vectors(strangers), vectors)[0] >= limit).mean() >= 0.9


def test_images_of_one_patient_do_not_set_the_threshold():
    """Follow-ups look alike; counting them would let near-copies pass as natural."""
    real = audit.normalised_vectors(np.repeat(pictures(60, 0), 2, axis=0))
    patients = np.repeat(np.arange(60), 2)
    assert audit.copy_threshold(real, patients, 1.0) > 0.05
    assert audit.copy_threshold(real, np.arange(120), 1.0) == pytest.approx(0, abs=1e-5)


def test_distance_is_one_minus_correlation():
    images = pictures(5, 3)
    vectors = audit.normalised_vectors(images)
    small = np.stack([image.reshape(32, 2, 32, 2).mean(axis=(1, 3)).ravel() for image in images])
    expected = 1 - np.corrcoef(small)
    np.fill_diagonal(expected, np.inf)
    for i in range(5):
        others = np.delete(np.arange(5), i)
        distance, index = audit.nearest(vectors[i : i + 1], vectors[others], chunk=2)
        assert distance[0] == pytest.approx(expected[i].min(), abs=0.02)
        assert others[index[0]] == expected[i].argmin()


def test_thresholds_are_percentiles_of_validation_positives():
    scores = pd.DataFrame({"a": np.linspace(0, 1, 11), "b": np.linspace(0, 1, 11)})
    labels = pd.DataFrame({"a": [1] * 11, "b": [0] * 11}, dtype="Int8")
    labels.loc[0, "a"] = pd.NA
    assert audit.finding_thresholds(scores, labels, 10.0) == {"a": pytest.approx(np.percentile(scores["a"][1:], 10))}


def test_every_rejection_has_its_reason():
    samples = pd.DataFrame({"sample": list("wxyz"), "target": ["a", "a", "a", "unjudged"]})
    verdict = audit.judge_samples(
        samples,
        np.array([0.9, 0.1, 0.9, 0.0]),
        {"a": 0.5},
        np.array([0.5, 0.5, 0.01, 0.5]),
        np.array(list("1234"), dtype=object),
        0.1,
    )
    assert verdict["reason"].tolist() == ["", audit.NOT_SEEN, audit.COPY, ""]
    assert verdict["accepted"].tolist() == [True, False, False, True]
    metrics = audit.audit_metrics(verdict, ["a", "unjudged"])
    assert metrics["drawn"] == metrics["accepted"] + metrics["rejected_copy"] + metrics["rejected_finding"] == 4
    card = audit.synthetic_card(verdict, ["a", "unjudged"], PARAMS)
    assert "| a | 3 | 1 | 1 | 1 | 0.900 | 0.500 |" in card
    assert "| unjudged | 1 | 1 | 0 | 0 | 0.000 | n/a |" in card


def test_an_empty_set_is_no_error():
    nothing = np.empty(0)
    samples = pd.DataFrame({"sample": pd.Series(dtype="str"), "target": pd.Series(dtype="str")})
    verdict = audit.judge_samples(samples, nothing, {}, nothing, np.empty(0, dtype=object), 0.0)
    metrics = audit.audit_metrics(verdict, [])
    assert metrics["drawn"] == 0
    assert np.isnan(metrics["acceptance"])
    assert "0 images were drawn for 0 tail findings" in audit.synthetic_card(verdict, [], PARAMS)
