"""The audit: planted copies are caught, the judge decides only where it is good, every rejection has its reason."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from sklearn.metrics import roc_auc_score

from tests.classifier_cases import NAMES, SHARED
from tests.shipped import SHIPPED
from trcgl.artifacts.shards import ShardedImages, ShardWriter
from trcgl.audit import audit_metrics, audit_synthetic, draw_audit, synthetic_card
from trcgl.audit.copies import nearest_copies
from trcgl.audit.distances import sample_distances
from trcgl.audit.diversity import mean_similarity, scales_at
from trcgl.audit.fidelity import kernel_distance, precision_recall
from trcgl.audit.finding_tests import finding_tests
from trcgl.audit.limits import Limits, real_limits
from trcgl.audit.measured import THUMBNAIL, Measured
from trcgl.audit.neighbours import nearest_features, none_barred, not_earlier, same_patient
from trcgl.audit.pictures import carriers_picture
from trcgl.audit.verdicts import COPY, INVENTED, NOT_JUDGED, NOT_SEEN, OUTLIER, TWIN, judge_samples
from trcgl.classifier.network.model import Classifier, ModelConfig
from trcgl.config import AuditParams
from trcgl.diffusion.sampling.samples_file import SAMPLE_SCHEMA
from trcgl.runtime.errors import InputError

PARAMS = replace(
    SHIPPED.audit,
    judge_min_auc=0.95,
    target_percentile=95.0,
    invented_percentile=99.0,
    outlier_percentile=99.0,
    duplicate_percentile=2.0,
    detector=None,
)


def pictures(count: int, seed: int, size: int = THUMBNAIL) -> np.ndarray:
    """Smooth random images, each of its own: uint8 [count, size, size]."""
    noise = np.random.default_rng(seed).normal(size=(count, size, size)).astype(np.float32)
    smooth = np.stack([cv2.GaussianBlur(image, (0, 0), 5) for image in noise])
    low, high = smooth.min(axis=(1, 2), keepdims=True), smooth.max(axis=(1, 2), keepdims=True)
    return ((smooth - low) / (high - low) * 255).astype(np.uint8)


def measured(images: np.ndarray, features: np.ndarray | None = None) -> Measured:
    count = len(images)
    if features is None:
        features = np.random.default_rng(count).normal(size=(count, 8)).astype(np.float32)
    return Measured(np.full((count, 1), 0.5, np.float32), features, images)


# Copies


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


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_finds_its_original(change: str) -> None:
    real, strangers = pictures(60, 0), pictures(10, 1)
    copies = np.stack([CHANGES[change](image) for image in real[:10]])
    distance, index = nearest_copies(copies, real, none_barred(len(real)))
    assert index.tolist() == list(range(10))
    assert distance.max() < nearest_copies(strangers, real, none_barred(len(real)))[0].min()


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


def test_follow_ups_of_one_patient_do_not_set_the_limits() -> None:
    images, features = pictures(30, 0), np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32)
    twice = measured(np.repeat(images, 2, axis=0), np.repeat(features, 2, axis=0))
    pairs, everyone = np.repeat(np.arange(30), 2), np.arange(60)
    known = real_limits(twice, twice, pairs, pairs, PARAMS)
    unknown = real_limits(twice, twice, everyone, everyone, PARAMS)
    assert known.pixels > 0.05
    assert known.features > 0.01
    assert unknown.pixels == pytest.approx(0, abs=1e-3)
    assert unknown.features == pytest.approx(0, abs=1e-5)


def test_only_the_later_of_two_twins_has_one() -> None:
    images, features = pictures(20, 0), np.eye(20, dtype=np.float32)
    images[7], features[7] = images[3], features[3]
    samples = pd.DataFrame({"sample": [f"s{i}" for i in range(20)]})
    rows = pd.DataFrame({"image": ["r0", "r1"], "split": ["train", "test"]})
    distances = sample_distances(samples, measured(images, features), rows, measured(pictures(2, 5), features[:2]), 1)
    near = distances["twin_pixel_distance"].to_numpy() < 1e-3
    assert np.flatnonzero(near).tolist() == [7]
    assert distances[["twin_pixel", "twin_feature"]].iloc[7].tolist() == ["s3", "s3"]
    assert distances["twin_pixel_distance"].tolist()[0] == np.inf


# Distances


def test_nearest_features_are_those_of_a_plain_search() -> None:
    draw = np.random.default_rng(0)
    left, right = draw.normal(size=(300, 6)), draw.normal(size=(40, 6))
    distance, index = nearest_features(left, right, 3, none_barred(40))
    cosine = 1 - (left / np.linalg.norm(left, axis=1)[:, None]) @ (right / np.linalg.norm(right, axis=1)[:, None]).T
    assert np.array_equal(index, np.argsort(cosine, axis=1)[:, :3])
    np.testing.assert_allclose(distance, np.sort(cosine, axis=1)[:, :3], atol=1e-6)
    earlier, _ = nearest_features(left[:3], left[:3], 1, not_earlier(3))
    assert np.isinf(earlier[0, 0])
    assert np.isfinite(earlier[1:, 0]).all()


def test_kernel_distance_is_the_mean_over_pairs() -> None:
    draw = np.random.default_rng(1)
    real, other = draw.normal(size=(9, 4)), draw.normal(0.5, 1, size=(7, 4))

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / 4 + 1) ** 3)

    def within(x: np.ndarray) -> float:
        return float(np.mean([kernel(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j]))

    across = np.mean([kernel(a, b) for a in real for b in other])
    assert kernel_distance(real, other) == pytest.approx(within(real) + within(other) - 2 * across, rel=1e-9)
    assert np.isnan(kernel_distance(real, other[:1]))


def test_precision_and_recall_are_counts_within_reach() -> None:
    draw = np.random.default_rng(2)
    real, other = draw.normal(size=(12, 2)), draw.normal(0.7, 1, size=(15, 2))

    def covered(points: np.ndarray, centres: np.ndarray) -> float:
        hits = 0
        for point in points:
            for centre in centres:
                reach = sorted(np.linalg.norm(centre - one) for one in centres)[3]
                if np.linalg.norm(point - centre) <= reach:
                    hits += 1
                    break
        return hits / len(points)

    precision, recall = precision_recall(real, other)
    assert (precision, recall) == (covered(other, real), covered(real, other))
    assert np.isnan(precision_recall(real[:3], other)).all()


def test_similarity_of_one_image_many_times_is_one() -> None:
    one = np.repeat(pictures(1, 0), 4, axis=0)
    assert mean_similarity(one, np.arange(4)) == pytest.approx(1.0, abs=1e-5)
    assert mean_similarity(pictures(6, 0), np.arange(6)) < 0.8
    assert np.isnan(mean_similarity(one, np.zeros(4)))
    assert [scales_at(size) for size in (10, 64, 176)] == [1, 3, 5]


# The judge


def test_thresholds_are_percentiles_of_images_without_the_finding() -> None:
    draw = np.random.default_rng(0)
    labels = pd.DataFrame({"clear": draw.random(400) < 0.3, "vague": draw.random(400) < 0.3, "absent": False}).astype(
        "float64"
    )
    labels.loc[:9, "clear"] = np.nan
    scores = draw.random((400, 3)) * 0.4
    scores[:, 0] += 0.5 * (labels["clear"] == 1)
    tests = finding_tests(scores, labels, PARAMS)
    for c, finding in enumerate(("clear", "vague")):
        known = labels[finding].notna().to_numpy()
        expected = roc_auc_score(labels[finding][known], scores[known, c])
        assert tests.at[finding, "auc"] == pytest.approx(expected)
        without = scores[labels[finding] == 0, c]
        assert tests.at[finding, "threshold"] == pytest.approx(np.percentile(without, 95))
        assert tests.at[finding, "invented_threshold"] == pytest.approx(np.percentile(without, 99))
    assert tests["decides"].tolist() == [True, False, False]
    assert tests["positives"].tolist()[2] == 0
    assert np.isnan(tests[["auc", "threshold"]].to_numpy(dtype=float)[2]).all()


def verdict_table() -> pd.DataFrame:
    """One sample for each outcome: good, not seen, only flagged, invented, copy, outlier, twin, not judged."""
    samples = pd.DataFrame(
        {
            "sample": list("abcdefgh"),
            "target": ["sure", "sure", "vague", "sure", "sure", "sure", "sure", "unknown"],
            "findings": [["sure"], ["sure"], ["vague"], ["sure"], ["sure"], ["sure"], ["sure"], ["unknown"]],
            # Where the labels do not tell of "sure", seeing it is no invention
            "unknown": [[], [], ["sure"], [], [], [], [], []],
        }
    )
    tests = pd.DataFrame(
        {
            "positives": [9, 9, 0],
            "auc": [0.99, 0.8, np.nan],
            "decides": [True, False, False],
            "threshold": [0.5, 0.5, np.nan],
            "invented_threshold": [0.7, 0.7, np.nan],
        },
        index=pd.Index(["sure", "vague", "unknown"]),
    )
    scores = np.full((8, 3), 0.1)
    scores[:, 0] = 0.9
    scores[1, 0] = 0.2
    scores[3, 1] = 0.99  # the judge of "vague" may not decide: nothing is invented
    scores[7, 0] = 0.9  # "sure" is seen and was not asked for
    distances = pd.DataFrame({name: np.full(8, 0.5) for name in (
        "pixel_distance", "feature_distance", "neighbour_distance", "twin_pixel_distance", "twin_feature_distance",
    )})  # fmt: skip
    distances.loc[4, "pixel_distance"] = 0.01
    distances.loc[5, "neighbour_distance"] = 0.9
    distances.loc[6, ["twin_feature_distance", "neighbour_distance"]] = [0.01, 0.9]
    return judge_samples(samples, scores, tests, distances, Limits(pixels=0.1, features=0.1, neighbour=0.8))


def test_every_rejection_has_its_reason() -> None:
    verdicts = verdict_table().set_index("sample")
    assert verdicts["reason"].to_dict() == {
        "a": "", "b": NOT_SEEN, "c": "", "d": "", "e": COPY, "f": OUTLIER, "g": OUTLIER, "h": INVENTED,
    }  # fmt: skip
    assert (verdicts["accepted"] == (verdicts["reason"] == "")).all()
    assert verdicts.at["g", "reasons"] == f"{OUTLIER}; {TWIN}"
    assert verdicts.at["h", "invented"] == "sure"


def test_a_weak_judge_flags_and_ranks_but_never_filters() -> None:
    verdicts = verdict_table().set_index("sample")
    assert verdicts["flag"].to_dict() == {**dict.fromkeys("abdefg", ""), "c": NOT_SEEN, "h": NOT_JUDGED}
    assert verdicts.loc["c", "accepted"]
    assert sorted(verdicts.loc[list("abdefg"), "rank"]) == [1, 2, 3, 4, 5, 6]
    assert verdicts.at["b", "rank"] == 6


def test_limits_that_real_images_cannot_set_reject_nothing() -> None:
    limits = Limits(float("nan"), float("nan"), float("nan"))
    assert not limits.near(np.zeros(2), np.zeros(2)).any()


# From files to tables


def small_classifier(folder: Path, names: tuple[str, ...] = NAMES) -> None:
    torch.manual_seed(0)
    config = ModelConfig(
        backbone="resnet10t", backbone_options=SHARED["backbone_options"], head="linear", head_options={},
        image_size=32, pixel_mean=0.4, pixel_std=0.25, class_names=names,
        class_groups=("head",) * (len(names) - 1) + ("tail",),
    )  # fmt: skip
    model = Classifier(config, None, None)
    model.thresholds = dict.fromkeys(names, 0.5)
    model.eval().save(folder)


def write_shards(folder: Path, names: list[str], images: np.ndarray) -> None:
    folder.mkdir(parents=True)
    writer = ShardWriter(folder, images.shape[-1], 16)
    for name, image in zip(names, images, strict=True):
        writer.add(name, image)
    writer.close()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 real images, a judge, and five samples drawn for 'rare': the second is a copy of a test image."""
    folder = tmp_path_factory.mktemp("audit")
    small_classifier(folder / "judge")
    real, draw = pictures(60, 0, 32), np.random.default_rng(0)
    names = [f"{i}.png" for i in range(60)]
    write_shards(folder / "images", names, real)
    labels = pd.DataFrame(
        {
            "image": names,
            "patient": [f"p{i}" for i in range(60)],
            "split": ["train"] * 30 + ["val"] * 15 + ["test"] * 15,
            **{name: pd.array(draw.integers(0, 2, 60), dtype="Int8") for name in NAMES},
        }
    )
    labels.loc[3, "top"] = pd.NA
    labels.to_parquet(folder / "labels.parquet")
    drawn = pictures(5, 9, 32)
    drawn[1] = real[55]
    write_samples(folder / "synthetic", drawn, "rare")
    return folder


def write_samples(folder: Path, images: np.ndarray, finding: str) -> None:
    names = [f"s{i}" for i in range(len(images))]
    write_shards(folder, names, images)
    rows: list[dict[str, Any]] = [
        {
            "sample": name,
            "target": finding,
            "carrier": "0.png",
            "findings": [finding],
            "unknown": [],
            "prompt": "",
            "seed": 0,
        }
        for name in names
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=SAMPLE_SCHEMA), folder / "samples.parquet")


def run(project: Path, synthetic: str = "synthetic", params: AuditParams = PARAMS) -> Any:
    parts = project / synthetic, project / "images", project / "labels.parquet", project / "judge"
    return audit_synthetic(*parts, ["rare"], params, torch.device("cpu"))


def test_a_copy_of_a_test_image_is_found_and_named(project: Path) -> None:
    verdicts = run(project).verdicts.set_index("sample")
    assert verdicts.at["s1", "reason"] == COPY
    assert verdicts.at["s1", "pixel_nearest"] == verdicts.at["s1", "feature_nearest"] == "55.png"
    assert verdicts.at["s1", "pixel_split"] == "test"
    assert (verdicts["pixel_distance"].drop("s1") > verdicts.at["s1", "pixel_distance"]).all()


def test_tables_pictures_and_card_agree(project: Path, tmp_path: Path) -> None:
    params = replace(PARAMS, detector=str(project / "judge"))
    audit = run(project, params=params)
    row = audit.per_class.iloc[0]
    rejected = [column for column in audit.per_class if column.startswith("rejected_")]
    assert row["drawn"] == 5 == row["accepted"] + row[rejected].sum()
    assert {"kid", "precision", "recall", "ms_ssim", "judge_auc", "detector_seen"} <= set(audit.per_class)
    # The detector is the judge here, so both see the same
    assert row["detector_auc_real"] == pytest.approx(row["judge_auc"])
    metrics = audit_metrics(audit)
    assert len(metrics) <= 15
    assert metrics["drawn"] == metrics["accepted"] + sum(metrics[name] for name in metrics if "rejected" in name)
    card = synthetic_card(audit, params)
    assert f"| rare | 5 | {row['accepted']} |" in card
    draw_audit(audit, project / "synthetic", project / "images", params, tmp_path)
    pictures_left = {"carriers_beside_samples.png", "finding_tests.png", "nearest_real_images.png"}
    assert {file.name for file in tmp_path.iterdir()} == pictures_left


def test_accepted_samples_come_before_rejected_ones_beside_their_carriers(project: Path) -> None:
    verdicts = run(project).verdicts
    verdicts["accepted"] = [True, False, True, True, False]
    verdicts["reason"] = ["", COPY, "", "", OUTLIER]
    verdicts["rank"] = [3, 1, 2, 1, 2]
    panels = carriers_picture(verdicts, project / "synthetic", project / "images").axes
    titles = [axes.get_title(loc="left") for axes in panels]
    assert titles == ["rare: accepted", "accepted", "accepted", COPY, OUTLIER, "", "", ""]
    real = ShardedImages(project / "images").read(["0.png"])[0]
    samples = ShardedImages(project / "synthetic").read(["s3", "s2", "s0", "s1", "s4"])
    shown = [np.asarray(axes.get_images()[0].get_array()) for axes in panels if axes.get_images()]
    for picture, sample in zip(shown, samples, strict=True):
        assert np.array_equal(picture, np.hstack([real, sample]))


def test_nothing_drawn_is_not_an_error(project: Path, tmp_path: Path) -> None:
    write_samples(project / "nothing", np.empty((0, 32, 32), np.uint8), "rare")
    audit = run(project, "nothing")
    assert len(audit.verdicts) == 0
    assert audit.per_class["drawn"].tolist() == [0]
    assert np.isnan(audit_metrics(audit)["acceptance"])
    assert synthetic_card(audit, PARAMS).splitlines()[2:] == ["No image was drawn, so there is nothing to judge."]
    draw_audit(audit, project / "nothing", project / "images", PARAMS, tmp_path)


def test_files_that_do_not_belong_together(project: Path, tmp_path: Path) -> None:
    write_samples(project / "foreign", pictures(1, 0, 32), "unheard of")
    with pytest.raises(InputError, match="'unheard of', which the judge does not know"):
        run(project, "foreign")
    with pytest.raises(InputError, match=r"audit\.detector: no folder"):
        run(project, params=replace(PARAMS, detector=str(tmp_path / "absent")))
    small_classifier(tmp_path / "other", ("something", "else"))
    with pytest.raises(InputError, match="knows none of the findings"):
        run(project, params=replace(PARAMS, detector=str(tmp_path / "other")))
