"""What holds for any table, matrix, score and image set, against scikit-learn, torchmetrics or plain loops."""

import itertools
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from sklearn.metrics import average_precision_score, brier_score_loss, f1_score, roc_auc_score
from torchmetrics.functional.classification import binary_calibration_error

from tests.labels_files import NIH_2020_COLUMNS, padchest_row, write_padchest, write_rows
from trcgl.artifacts.preparation import Preparation
from trcgl.artifacts.shards import ShardedImages
from trcgl.graph.adjacency import build_adjacency
from trcgl.graph.cooccurrence import Cooccurrence, count_cooccurrence
from trcgl.images.cache import write_cache
from trcgl.images.decode import UnreadableImage
from trcgl.images.preparation import read_squares
from trcgl.labels.nih import read_nih
from trcgl.labels.padchest import read_padchest
from trcgl.labels.splits import read_split_file, seeded_splits
from trcgl.metrics import (
    area_under_roc,
    average_precision,
    brier_score,
    expected_calibration_error,
    f1_at,
    mean_average_precision,
)
from trcgl.runtime.errors import InputError

few = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
# What a CSV file can hold of it: no NUL, no lone surrogates
text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
label = st.sampled_from(["mass", "nodule", "pleural effusion", "normal", "left mass", "mass "])
# What no reader changes: no space that is not plain, nothing that cannot be seen
plain = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12)


@few
@given(st.lists(st.tuples(text, plain, st.one_of(text, st.lists(label).map(str))), min_size=1, max_size=8))
def test_a_padchest_row_is_kept_as_it_stands_or_rejected(rows: list[tuple[str, str, str]]):
    """And nothing that is kept leads out of the image folder."""
    with tempfile.TemporaryDirectory() as folder:
        listed = [padchest_row(k, of, ImageID=image, PatientID=f"p{who}") for k, (image, who, of) in enumerate(rows)]
        file = write_padchest(Path(folder) / "labels.csv", listed)
        if any(re.search(r"\S\s*[\r\n]\s*\S", value) for row in rows for value in row):
            with pytest.raises(InputError, match="holds a line break"):
                read_padchest(file)
            return
        # A list of odd names stops, and so does a table without a list
        rows.append(("last.png", "99", "['mass']"))
        table = read_padchest(write_padchest(file, [*listed, padchest_row(99, "['mass']", ImageID="last.png")]))
    assert table.source_rows == len(rows)
    assert (table.rejected["reason"] != "").all()
    assert not table.rows["image"].duplicated().any()
    for number, image, patient in table.rows[["row", "image", "patient"]].itertuples(index=False):
        wanted, who, _ = rows[number - 1]
        assert image == wanted.strip()
        assert patient == f"p{who}".strip()
        assert Path("folder", image).parent == Path("folder")
        assert ".." not in Path(image).parts


@few
@given(st.lists(st.lists(label, max_size=4), min_size=1, max_size=8))
def test_nih_labels_read_back_as_they_were_written(lists: list[list[str]]):
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            {"Image Index": f"{k}.png", "Finding Labels": "|".join(labels), "Patient ID": str(k), "View Position": "PA"}
            for k, labels in enumerate(lists)
        ]
        table = read_nih(write_rows(Path(folder) / "labels.csv", NIH_2020_COLUMNS, rows))
    pairs = {(row - 1, name) for row, name in table.positives.itertuples(index=False)}
    assert pairs == {(k, name.strip()) for k, labels in enumerate(lists) for name in labels}
    assert set(table.rejected["row"] - 1) == {k for k, labels in enumerate(lists) if not labels}


@few
@given(
    st.dictionaries(
        st.from_regex(r"p[0-9a-z_-]{1,9}|[1-9][0-9]{0,9}", fullmatch=True),
        st.sampled_from(["train", "val", "test"]),
        min_size=1,
    )
)
def test_a_split_file_reads_back(splits: dict[str, str]):
    with tempfile.TemporaryDirectory() as folder:
        rows = [{"patient": patient, "split": split} for patient, split in splits.items()]
        assert read_split_file(write_rows(Path(folder) / "splits.csv", ["patient", "split"], rows)) == splits


@few
@given(st.lists(text, max_size=20), st.integers(0, 99), st.floats(0, 0.5), st.floats(0, 0.5))
def test_every_patient_is_in_one_split_whatever_the_order(patients: list[str], seed: int, val: float, test: float):
    splits = seeded_splits(patients, seed=seed, validation_fraction=val, test_fraction=test)
    assert set(splits) == set(patients)
    assert set(splits.values()) <= {"train", "val", "test"}
    assert splits == seeded_splits(patients[::-1], seed=seed, validation_fraction=val, test_fraction=test)


targets = arrays.arrays(
    np.float64, st.tuples(st.integers(1, 25), st.integers(1, 6)), elements=st.sampled_from([0.0, 1.0, np.nan])
)


@few
@given(targets, st.floats(0, 3))
def test_cooccurrence_is_what_counting_gives(known: np.ndarray, smoothing: float):
    names = tuple(f"f{i}" for i in range(known.shape[1]))
    counted = count_cooccurrence(known, names, smoothing)
    for i, j in itertools.product(range(len(names)), repeat=2):
        both = sum(row[i] == 1 and row[j] == 1 for row in known)
        told = sum(row[i] == 1 and not np.isnan(row[j]) for row in known)
        assert counted.counts[i, j] == both
        assert counted.images[i, j] == sum(not np.isnan(row[i]) and not np.isnan(row[j]) for row in known)
        expected = both / (told + smoothing) if told + smoothing > 0 else 0.0
        assert counted.conditional[i, j] == pytest.approx(expected)


@few
@given(targets, st.randoms(use_true_random=False), st.floats(0, 1), st.floats(0, 1))
def test_an_adjacency_is_sane_and_names_are_all_that_an_order_means(known: np.ndarray, random, threshold, reweight):
    names = tuple(f"f{i}" for i in range(known.shape[1]))
    order = list(range(len(names)))
    random.shuffle(order)
    counted = count_cooccurrence(known, names, 1.0)
    moved = counted.for_names(tuple(names[i] for i in order))
    knobs = {"threshold": threshold, "reweight": reweight, "confidence": 0.95}
    for mode in ("paper", "mlgcn", "lift", "identity"):
        matrix = build_adjacency(mode, counted, **knobs)
        assert np.isfinite(matrix).all()
        assert (matrix >= 0).all()
        # No sum of neighbours can grow without bound through the layers
        assert abs(np.linalg.eigvals(matrix)).max() <= 1 + 1e-9
        np.testing.assert_allclose(build_adjacency(mode, moved, **knobs), matrix[np.ix_(order, order)], atol=1e-12)
    np.testing.assert_allclose(build_adjacency("paper", counted, **knobs), build_adjacency("paper", counted, **knobs).T)
    np.testing.assert_allclose(build_adjacency("lift", counted, **knobs).sum(axis=1), 1.0)


@few
@given(targets, st.floats(0, 1))
def test_counts_survive_their_file(known: np.ndarray, smoothing: float):
    counted = count_cooccurrence(known, tuple(f"é{i}" for i in range(known.shape[1])), smoothing)
    with tempfile.TemporaryDirectory() as folder:
        counted.save(Path(folder) / "counts.npz")
        read = Cooccurrence.load(Path(folder) / "counts.npz")
    assert read.names == counted.names
    for name in ("counts", "images", "conditional"):
        np.testing.assert_array_equal(getattr(read, name), getattr(counted, name))


@st.composite
def scored(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Labels with both values and some unknown, and scores with ties."""
    count = draw(st.integers(2, 60))
    labels = draw(arrays.arrays(np.float64, count, elements=st.sampled_from([0.0, 1.0, np.nan])))
    labels[:2] = 0.0, 1.0
    steps = draw(st.sampled_from([2, 7, 10_000]))
    scores = draw(arrays.arrays(np.int64, count, elements=st.integers(0, steps))) / steps
    return labels, scores


@few
@given(scored(), st.floats(0, 1))
def test_metrics_are_those_of_the_libraries_on_what_is_known(data: tuple[np.ndarray, np.ndarray], threshold: float):
    labels, scores = data
    zero: Any = 0.0  # The library's annotation admits texts only
    known = ~np.isnan(labels)
    y, p = labels[known].astype(int), scores[known]
    assert average_precision(labels, scores) == pytest.approx(average_precision_score(y, p))
    assert area_under_roc(labels, scores) == pytest.approx(roc_auc_score(y, p))
    assert f1_at(labels, scores, threshold) == pytest.approx(f1_score(y, p >= threshold, zero_division=zero))
    assert brier_score(labels, scores) == pytest.approx(brier_score_loss(y, p))


@few
@given(scored())
def test_the_calibration_error_is_that_of_torchmetrics(data: tuple[np.ndarray, np.ndarray]):
    labels, scores = data
    known = ~np.isnan(labels)
    y, p = labels[known], scores[known]
    # Off the bins' edges, to which side those belong is a convention
    p = np.clip(p, 0.001, 0.999) * 0.98 + 0.0107
    expected = binary_calibration_error(torch.tensor(p), torch.tensor(y).int(), n_bins=15, norm="l1")
    assert expected_calibration_error(y, p) == pytest.approx(float(expected), abs=1e-6)


@few
@given(scored(), st.randoms(use_true_random=False))
def test_a_ranking_ignores_order_scale_and_unknown_images(data: tuple[np.ndarray, np.ndarray], random):
    labels, scores = data
    order = list(range(len(labels)))
    random.shuffle(order)
    for metric in (average_precision, area_under_roc):
        value = metric(labels, scores)
        assert metric(labels[order], scores[order]) == pytest.approx(value)
        assert metric(labels, scores / 2 + 0.25) == pytest.approx(value)
        assert metric(np.append(labels, np.nan), np.append(scores, 1.0)) == pytest.approx(value)
        assert np.isnan(metric(np.zeros(len(labels)), scores))
    both = np.column_stack([labels, np.zeros(len(labels))])
    assert mean_average_precision(both, np.column_stack([scores, scores])) == pytest.approx(
        average_precision(labels, scores)
    )


@settings(max_examples=12, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(16, 60), st.integers(16, 60), st.sampled_from(["good", "cut", "empty"])), max_size=7
    ),
    st.integers(1, 4),
    st.sampled_from(["pad", "crop"]),
)
def test_the_cache_gives_back_what_was_read(shapes: list[tuple[int, int, str]], shard_images: int, resize: str):
    shapes = [(20, 30, "good"), *shapes]
    preparation = Preparation(0.5, 99.5, resize)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        names = [f"{k}.png" for k in range(len(shapes))]
        for k, (height, width, state) in enumerate(shapes):
            pixels = np.random.default_rng(k).integers(0, 65536, (height, width)).astype(np.uint16)
            Image.fromarray(pixels).save(folder / names[k])
            content = (folder / names[k]).read_bytes()
            (folder / names[k]).write_bytes({"good": content, "cut": content[:-30], "empty": b""}[state])
        inverted = ["MONOCHROME1" if k % 3 == 0 else "" for k in range(len(shapes))]
        selected = pd.DataFrame({"image": names, "path": names, "photometric": inverted})
        sizes = {"a": 16, "b": 33}
        write_cache(selected, folder, sizes, preparation, shard_images, folder / "out", 1, kept=folder / "kept")
        unreadable = pd.read_parquet(folder / "out/unreadable.parquet")["path"].tolist()
        assert unreadable == [n for n, shape in zip(names, shapes, strict=True) if shape[2] != "good"]
        for kind, size in sizes.items():
            cached = ShardedImages(folder / "out" / kind)
            assert cached.index["image"].tolist() == [n for n in names if n not in unreadable]
            for k, image in enumerate(names):
                if image in unreadable:
                    with pytest.raises(UnreadableImage):
                        read_squares(folder / image, preparation, [size])
                    continue
                expected = read_squares(folder / image, preparation, [size], inverted=k % 3 == 0)[0]
                np.testing.assert_array_equal(cached.read([image])[0], expected)
