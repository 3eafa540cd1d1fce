"""Text files with 10 significant digits: what is written, and that nothing decides otherwise by it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.test_classifier_model import build
from trcgl.classifier.network.model import Classifier
from trcgl.classifier.training.calibration import fit_scalings
from trcgl.classifier.training.thresholds import tune_thresholds
from trcgl.metrics import prevalence_weights
from trcgl.runtime.files import write_csv, write_json
from trcgl.runtime.rounding import rounded, rounded_frame, rounded_values

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@given(NUMBERS)
def test_a_number_has_ten_digits_and_keeps_them(value: float):
    assert rounded(value) == float(f"{value:.10g}")
    assert rounded(rounded(value)) == rounded(value)


@given(st.floats(0.001, 1000.0), st.integers(-8, 8))
def test_the_last_bits_do_not_show(value: float, steps: int):
    """But where a number lies on the border between two roundings, as 1 in a million does."""
    near = value
    for _ in range(abs(steps)):
        near = float(np.nextafter(near, np.inf if steps > 0 else -np.inf))
    assert rounded(near) == pytest.approx(rounded(value), rel=1.1e-9)
    assert rounded(rounded(value) * (1 + 1e-14)) == rounded(value)


def test_json_is_rounded_in_depth_and_tells_what_json_can(tmp_path: Path):
    value = {
        "a": [1 / 3, {"b": (2 / 3, 7, True, None, "0.333333333333333")}],
        "c": float("nan"),
        "d": np.float64(1 / 7),
    }
    write_json(tmp_path / "x.json", value)
    assert (tmp_path / "x.json").read_text() == json.dumps(
        {"a": [0.3333333333, {"b": [0.6666666667, 7, True, None, "0.333333333333333"]}], "c": None,
         "d": 0.1428571429}, indent=2,
    ) + "\n"  # fmt: skip
    write_json(tmp_path / "x.json", {"given": 1 / 3}, exact=True)
    assert json.loads((tmp_path / "x.json").read_text()) == {"given": 1 / 3}


def test_a_table_is_rounded_where_it_is_of_double_precision(tmp_path: Path):
    frame = pd.DataFrame(
        {
            "double": [1 / 3, 1.0, np.nan],
            "single": np.array([1 / 3, 1.0, 0.1], np.float32),
            "count": [12345678901, 2, 3],
            "text": ["0.333333333333333", "", "x"],
            "mixed": pd.Series([2 / 3, "y", 5], dtype=object),
        }
    )
    write_csv(tmp_path / "x.csv", frame)
    assert (tmp_path / "x.csv").read_text().splitlines() == [
        "double,single,count,text,mixed",
        "0.3333333333,0.33333334,12345678901,0.333333333333333,0.6666666667",
        "1.0,1.0,2,,y",
        ",0.1,3,x,5",
    ]
    assert frame["double"][0] == 1 / 3  # the caller's own table stays


@given(st.lists(NUMBERS, min_size=1))
def test_tables_and_json_are_rounded_alike(values: list[float]):
    assert rounded_frame(pd.DataFrame({"x": values}))["x"].tolist() == rounded_values(values)


@given(st.floats(2**-40, 1.0, width=32, exclude_max=True))
def test_a_threshold_separates_neighbouring_scores(score: float):
    """However near two probabilities are, the one above counts as present and the one below does not."""
    below, above = np.float32(score), np.nextafter(np.float32(score), np.float32(2))
    threshold = tune_thresholds(np.array([[0.0], [1.0]]), np.array([[below], [above]], np.float32))[0]
    assert below < threshold <= above
    assert threshold == rounded(threshold)
    assert (np.array([below, above]) >= np.float64(threshold)).tolist() == [False, True]


def test_a_saved_classifier_calibrates_and_decides_as_the_one_in_memory(tmp_path: Path):
    draw = np.random.default_rng(0)
    labels, probabilities = (draw.random((300, 2)) < 0.3).astype(float), draw.random((300, 2)).astype(np.float32)
    model = build()
    names = model.config.class_names
    model.calibrate(
        dict(zip(names, fit_scalings(labels, probabilities, prevalence_weights(labels, [0.1, 0.2])), strict=True))
    )
    model.thresholds = dict(zip(names, tune_thresholds(labels, probabilities).tolist(), strict=True))
    assert all(
        len(repr(abs(x)).replace(".", "").lstrip("0")) > 8 for scaling in model.scalings.values() for x in scaling
    )
    model.save(tmp_path / "model")
    loaded = Classifier.load(tmp_path / "model")
    assert loaded.scalings == model.scalings
    assert loaded.thresholds == model.thresholds
    assert (loaded.slope == model.slope).all()
    assert (loaded.offset == model.offset).all()
