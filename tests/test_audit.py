"""The audit: a sample shows its target or is rejected, a label that is not borne out stays open, numbers agree."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torchmetrics.image.kid import poly_mmd

from tests.audit_cases import PARAMS, SIDE, pictures, small_classifier, write_project, write_samples, write_shards
from tests.classifier_cases import NAMES
from trcgl.artifacts.shards import ShardedImages
from trcgl.audit import audit_metrics, audit_synthetic, draw_audit, synthetic_card
from trcgl.audit.co_findings import unverified_findings
from trcgl.audit.detector import second_opinion
from trcgl.audit.diversity import mean_similarity, scales_at
from trcgl.audit.fidelity import kernel_distance, precision_recall
from trcgl.audit.finding_tests import MIN_POSITIVES, finding_tests
from trcgl.audit.judge import ZOOM, judge_scores
from trcgl.audit.likeness import likeness_columns
from trcgl.audit.limits import Limits
from trcgl.audit.per_class import per_class_table
from trcgl.audit.pictures import carriers_picture
from trcgl.audit.real_images import RealImages
from trcgl.audit.verdicts import COPY, NOT_JUDGED, NOT_SEEN, OUTLIER, TWIN, judge_samples, twins_rejected
from trcgl.classifier.network.model import Classifier
from trcgl.classifier.network.predict import predict
from trcgl.classifier.network.views import View
from trcgl.config import AuditParams
from trcgl.diffusion.generator.saved import write_no_generator
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import write_json

# Likeness


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


def test_kernel_distance_is_that_of_torchmetrics() -> None:
    draw = np.random.default_rng(2)
    real, other = draw.normal(size=(20, 16)), draw.normal(0.3, 1, size=(20, 16))
    theirs = poly_mmd(torch.tensor(real), torch.tensor(other), degree=3, gamma=None, coef=1.0)
    assert kernel_distance(real, other) == pytest.approx(float(theirs), rel=1e-9)


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


def test_there_are_as_many_scales_as_an_image_of_any_size_allows() -> None:
    sizes = (10, 21, 22, 43, 44, 64, 98, 99, 175, 176, 4096)
    assert [scales_at(size) for size in sizes] == [1, 1, 2, 2, 3, 3, 3, 4, 4, 5, 5]
    for size in range(16, 257):
        assert 0 <= mean_similarity(pictures(2, 0, size), np.arange(2)) < 1


def test_the_detector_counts_what_it_sees_among_accepted_and_rejected() -> None:
    real = pd.DataFrame({"rare": np.arange(10) / 10})
    labels = np.array([0.0] * 5 + [1.0] * 4 + [np.nan])
    # A quarter of the positives (0.5, 0.6, 0.7, 0.8) lies below 0.575
    drawn, accepted = pd.DataFrame({"rare": [0.57, 0.58, 0.9, 0.1]}), np.array([True, True, True, False])
    said = second_opinion("rare", real, labels, drawn, accepted)
    assert said["detector_seen_drawn"] == pytest.approx(1 / 2)
    assert said["detector_seen_accepted"] == pytest.approx(2 / 3)
    assert said["detector_seen_rejected"] == 0
    assert said["detector_auc_real"] == 1.0
    assert said["detector_auc_drawn"] == pytest.approx(roc_auc_score([1] * 4 + [0] * 5, [0.57, 0.58, 0.9, 0.1, *(
        np.arange(5) / 10)]))  # fmt: skip
    assert np.isnan(list(second_opinion("unheard of", real, labels, drawn, accepted).values())).all()
    everything = second_opinion("rare", real, labels, drawn, np.ones(4, dtype=bool))
    assert np.isnan(everything["detector_seen_rejected"])


# The judge


def test_scores_are_the_mean_over_three_sizes(tmp_path: Path) -> None:
    small_classifier(tmp_path / "judge")
    judge, images = Classifier.load(tmp_path / "judge"), pictures(3, 0, SIDE)
    shown = (images, View(zoom=ZOOM)(images), View(zoom=1 / ZOOM)(images))
    expected = np.mean([predict(judge, view) for view in shown], axis=0)
    np.testing.assert_allclose(judge_scores(judge, images), expected, atol=1e-6)


def test_a_finding_is_seen_above_the_lowest_quarter_of_real_positives() -> None:
    draw = np.random.default_rng(0)
    labels = pd.DataFrame({"clear": draw.random(400) < 0.3, "vague": draw.random(400) < 0.3, "few": False, "all": True})
    labels = labels.astype("float64")
    labels.loc[: MIN_POSITIVES - 2, "few"] = 1
    labels.loc[390:, "clear"] = np.nan
    scores = draw.random((400, 4)) * 0.4
    scores[:, 0] += 0.5 * (labels["clear"] == 1)
    tests = finding_tests(scores, labels, PARAMS)
    for c, finding in enumerate(("clear", "vague")):
        known = labels[finding].notna().to_numpy()
        assert tests.at[finding, "auc"] == pytest.approx(roc_auc_score(labels[finding][known], scores[known, c]))
        shown, without = (scores[labels[finding] == kind, c] for kind in (1, 0))
        assert tests.at[finding, "threshold"] == pytest.approx(np.percentile(shown, 25))
        assert tests.at[finding, "invented_threshold"] == pytest.approx(np.percentile(without, 99))
    # However weak the judge is, a quarter of the real positives fails
    auc, threshold, invented = tests[["auc", "threshold", "invented_threshold"]].to_numpy(dtype=float).T
    assert 0.4 < auc[1] < 0.6
    assert (scores[labels["vague"] == 1, 1] > threshold[1]).mean() == pytest.approx(0.75, abs=0.01)
    assert np.isnan(threshold).tolist() == [False, False, True, False]
    assert np.isnan(auc).tolist() == np.isnan(invented).tolist() == [False, False, False, True]
    assert tests["positives"].tolist()[2:] == [MIN_POSITIVES - 1, 400]


TESTS = pd.DataFrame(
    {
        "positives": [9, 9, 2],
        "auc": [0.99, 0.6, 0.5],
        "threshold": [0.5, 0.3, np.nan],
        "invented_threshold": [0.7, 0.6, 0.6],
    },
    index=pd.Index(["sure", "vague", "few"]),
)


def test_every_rejection_has_its_reason() -> None:
    """Good, not seen by a good and by a weak judge, copy, outlier, copy and outlier, twin, not judged."""
    targets = ["sure", "sure", "vague", "sure", "sure", "sure", "sure", "few"]
    scores = np.full((8, 3), 0.9)
    scores[1, 0], scores[2, 1] = 0.5, 0.2
    distances = pd.DataFrame({"copy": False, "pixel_distance": 0.5, "neighbour_distance": np.full(8, 0.5)})
    distances.loc[[3, 5], "copy"] = True
    distances.loc[[4, 5], "neighbour_distance"] = 0.9
    samples = pd.DataFrame({"sample": list("abcdefgh"), "target": targets})
    verdicts = judge_samples(samples, scores, TESTS, distances, Limits(0.1, 0.1, neighbour=0.8))
    passed = verdicts.set_index("sample")["accepted"]
    assert passed[passed].index.tolist() == ["a", "g", "h"]
    twins = pd.DataFrame({"twin": [False] * 6 + [True, False], "twin_of": [""] * 6 + ["a", ""]})
    verdicts = twins_rejected(verdicts, twins).set_index("sample")
    assert verdicts["reason"].to_dict() == {
        "a": "", "b": NOT_SEEN, "c": NOT_SEEN, "d": COPY, "e": OUTLIER, "f": COPY, "g": TWIN, "h": "",
    }  # fmt: skip
    assert (verdicts["accepted"] == (verdicts["reason"] == "")).all()
    assert verdicts.at["f", "reasons"] == f"{COPY}; {OUTLIER}"
    assert verdicts["flag"].to_dict() == {**dict.fromkeys("abcdefg", ""), "h": NOT_JUDGED}
    assert sorted(verdicts.loc[list("abdefg"), "rank"]) == [1, 2, 3, 4, 5, 6]
    assert verdicts.at["b", "rank"] == 6


def test_labels_that_the_judge_does_not_bear_out_stay_open() -> None:
    samples = pd.DataFrame(
        {
            "target": ["sure", "sure", "sure", "few", "few"],
            "findings": [["sure", "vague"], ["sure", "vague"], ["sure", "few"], ["few"], ["few"]],
            "unknown": [[], [], [], [], ["sure", "vague"]],
        }
    )
    scores = np.array([[0.1, 0.4, 0.1], [0.1, 0.2, 0.1], [0.9, 0.4, 0.9], [0.9, 0.9, 0.9], [0.9, 0.9, 0.9]])
    assert unverified_findings(samples, scores, TESTS) == [
        [],  # seen: 0.4 is above what the lowest quarter of real ones have, though not above 0.6
        ["vague"],  # asked for and not seen
        ["few"],  # asked for and not judged; "vague" was not asked for and is below 0.6
        ["sure", "vague"],  # not asked for, and clearly seen
        [],  # unknown anyway
    ]


# From files to tables


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audit")
    write_project(folder)
    return folder


def run(project: Path, synthetic: str = "synthetic", params: AuditParams = PARAMS) -> Any:
    real = project / "images", project / "labels.parquet"
    models = project / "judge", project / "generator"
    return audit_synthetic(project / synthetic, *real, *models, ["rare"], params, torch.device("cpu"))


def test_a_copy_of_a_training_image_is_found_and_named(project: Path) -> None:
    verdicts = run(project).verdicts.set_index("sample")
    assert verdicts.at["s1", "reason"] == COPY
    assert verdicts.at["s1", "pixel_nearest"] == "5.png"
    assert verdicts.at["s1", "feature_distance"] == pytest.approx(0, abs=1e-4)
    assert (verdicts["pixel_distance"].drop("s1") > verdicts.at["s1", "pixel_distance"]).all()


def test_a_film_that_a_sample_was_drawn_into_is_no_original_of_it(project: Path, tmp_path: Path) -> None:
    """Samples are their carriers: only one whose carrier has the target is a copy; so is one of another patient's."""
    shutil.copytree(project, tmp_path / "project")
    folder = tmp_path / "project"
    labels = pd.read_parquet(folder / "labels.parquet")
    labels["rare"] = pd.array([int(name in ("1.png", "2.png")) for name in labels["image"]], dtype="Int8")
    labels.loc[labels["image"] == "21.png", "patient"] = "p20"
    labels.to_parquet(folder / "labels.parquet")
    real = ShardedImages(folder / "images")
    shown, carriers = ["1.png", "10.png", "11.png", "20.png"], ["1.png", "10.png", "12.png", "21.png"]
    shutil.rmtree(folder / "synthetic")
    write_samples(folder / "synthetic", real.read(shown), "rare")
    table = pd.read_parquet(folder / "synthetic/samples.parquet").assign(carrier=carriers)
    table.to_parquet(folder / "synthetic/samples.parquet")
    verdicts = run(folder).verdicts
    copies = [COPY in reasons for reasons in verdicts["reasons"]]
    assert copies == [True, False, True, False]
    assert verdicts["pixel_nearest"][0] == "1.png"
    assert verdicts["pixel_nearest"][2] == "11.png"
    assert "20.png" not in verdicts["pixel_nearest"].tolist()


def test_test_images_are_in_no_decision_and_no_number(project: Path, tmp_path: Path) -> None:
    params = replace(PARAMS, detector=str(project / "judge"))
    before = run(project, params=params)
    other = tmp_path / "other"
    shutil.copytree(project, other)
    labels = pd.read_parquet(other / "labels.parquet")
    images = ShardedImages(project / "images").read(labels["image"].tolist())
    test = np.flatnonzero(labels["split"] == "test")
    labels.loc[test, list(NAMES)] = 1
    labels.to_parquet(other / "labels.parquet")
    # Among them copies of the samples
    images[test] = np.resize(ShardedImages(project / "synthetic").read(["s0", "s2", "s3"]), images[test].shape)
    shutil.rmtree(other / "images")
    write_shards(other / "images", labels["image"].tolist(), images)
    after = run(other, params=params)
    pd.testing.assert_frame_equal(after.verdicts, before.verdicts)
    pd.testing.assert_frame_equal(after.per_class, before.per_class)
    assert audit_metrics(after) == audit_metrics(before)


def test_tables_pictures_and_card_agree(project: Path, tmp_path: Path) -> None:
    params = replace(PARAMS, detector=str(project / "judge"))
    audit = run(project, params=params)
    row = audit.per_class.iloc[0]
    rejected = [column for column in audit.per_class if column.startswith("rejected_")]
    assert row["drawn"] == 5 == row["accepted"] + row[rejected].sum()
    verdicts = audit.verdicts
    assert row["seen"] == (verdicts["target_score"] > verdicts["target_threshold"]).sum()
    assert {"kid", "kid_accepted", "precision", "recall", "ms_ssim", "detector_seen_accepted"} <= set(audit.per_class)
    metrics = audit_metrics(audit)
    assert len(metrics) <= 20
    assert {name: metrics[name] for name in ("drawn", "seen", "accepted", *rejected)} == {
        name: row[name] for name in ("drawn", "seen", "accepted", *rejected)
    }
    assert metrics["kid_features"] == "independent detector"
    card = synthetic_card(audit, params)
    assert f"| rare | 5 | {row['seen']} | {row['accepted']} |" in card
    assert "In the independent detector's features" in card
    draw_audit(audit, project / "synthetic", project / "images", tmp_path)
    pictures_left = {"carriers_beside_samples.png", "finding_tests.png", "nearest_real_images.png"}
    assert {file.name for file in tmp_path.iterdir()} == pictures_left


def test_each_finding_is_counted_on_its_own_samples() -> None:
    verdicts = pd.DataFrame(
        {
            "target": ["a", "b", "b", "b"],
            "target_score": [0.9, 0.9, 0.1, 0.9],
            "target_threshold": [0.5, 0.5, 0.5, 0.95],
            "accepted": [True, True, False, False],
            "flag": ["", NOT_JUDGED, "", ""],
            "reason": ["", "", NOT_SEEN, NOT_SEEN],
        }
    )
    tests = pd.DataFrame({"positives": [7, 3], "auc": [0.8, np.nan]}, index=pd.Index(["a", "b"]))
    table = per_class_table(["b", "a"], tests, verdicts).set_index("finding")
    counted = ["drawn", "seen", "accepted", "not_judged", "rejected_finding", "rejected_copy", "judge_positives"]
    assert table.loc[["a", "b"], counted].to_numpy().tolist() == [[1, 1, 1, 0, 0, 0, 7], [3, 1, 1, 1, 2, 0, 3]]
    np.testing.assert_array_equal(table.loc[["a", "b"], "judge_auc"], [0.8, np.nan])


def test_likeness_of_a_finding_does_not_depend_on_other_findings_images() -> None:
    """Neither on their samples nor on their real images. Samples are compared with images of validation."""
    both = np.arange(40) % 2
    accepted = np.arange(40) % 3 > 0

    def space(images: Any) -> np.ndarray:
        return np.asarray(images)[:, ::6, ::6].reshape(len(images), -1) / 255.0

    def likeness(kept: np.ndarray) -> pd.DataFrame:
        def real(seed: int) -> Any:
            found = RealImages.with_finding
            images = SimpleNamespace(
                pixels=pictures(40, seed, 48)[kept],
                patients=np.array([f"p{number}" for number in range(40)], object)[kept],
                labels=pd.DataFrame({"a": both[kept] == 0, "b": both[kept] == 1}).astype(float),
            )
            images.with_finding = lambda finding: found(images, finding)  # pyright: ignore[reportArgumentType]
            return images

        drawn: Any = SimpleNamespace(
            pixels=pictures(40, 0, 48)[kept], samples=pd.DataFrame({"target": np.array(["a", "b"])[both[kept]]})
        )
        return likeness_columns(["a"], drawn, accepted[kept], real(1), real(2), space)

    row = likeness(np.arange(40))
    assert row.notna().to_numpy().all()
    assert row["real_images"].tolist() == [20]
    pd.testing.assert_frame_equal(row, likeness(np.flatnonzero(both == 0)))
    samples, train, val = (space(pictures(40, seed, 48)) for seed in range(3))
    shown = both == 0
    compared = {"kid": samples[shown], "kid_accepted": samples[shown & accepted], "kid_real": train[shown]}
    assert row[[*compared]].to_numpy().tolist() == [
        [kernel_distance(val[shown], images) for images in compared.values()]
    ]


def test_without_a_detector_likeness_is_in_the_bases_features(project: Path) -> None:
    audit = run(project)
    assert audit_metrics(audit)["kid_features"] == "base generator"
    assert "In the base generator's features" in synthetic_card(audit, PARAMS)
    assert np.isfinite(audit.per_class["kid"]).all()
    with_detector = run(project, params=replace(PARAMS, detector=str(project / "judge")))
    assert audit.per_class["kid"].iloc[0] != with_detector.per_class["kid"].iloc[0]
    pd.testing.assert_frame_equal(audit.verdicts, with_detector.verdicts)


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


@pytest.mark.parametrize("off", [False, True])
def test_nothing_drawn_is_not_an_error(project: Path, tmp_path: Path, off: bool) -> None:
    folder = tmp_path / "project"
    shutil.copytree(project, folder)
    if off:
        write_no_generator(folder / "generator")
    write_samples(folder / "nothing", np.empty((0, SIDE, SIDE), np.uint8), "rare")
    for detector in (None, str(project / "judge")):
        audit = run(folder, "nothing", replace(PARAMS, detector=detector))
        assert len(audit.verdicts) == 0
        assert {"sample", "accepted", "rank", "unverified"} <= set(audit.verdicts)
        assert audit.per_class["drawn"].tolist() == [0]
        metrics = audit_metrics(audit)
        write_json(tmp_path / "synthetic.json", metrics)
        assert "NaN" not in (tmp_path / "synthetic.json").read_text()
        assert json.loads((tmp_path / "synthetic.json").read_text())["acceptance"] is None
        why = "Stage one is off (diffusion.base is null)" if off else "No image was drawn"
        assert synthetic_card(audit, PARAMS).splitlines()[2:] == [f"{why}: there is nothing to judge."]
        (tmp_path / "plots").mkdir(exist_ok=True)
        draw_audit(audit, folder / "nothing", folder / "images", tmp_path / "plots")


def test_files_that_do_not_belong_together(project: Path, tmp_path: Path) -> None:
    write_samples(project / "foreign", pictures(1, 0, SIDE), "unheard of")
    with pytest.raises(InputError, match=r"'unheard of', which the judge .* does not know; run dvc repro"):
        run(project, "foreign")
    with pytest.raises(InputError, match=r"'audit\.detector': no folder"):
        run(project, params=replace(PARAMS, detector=str(tmp_path / "absent")))
    small_classifier(tmp_path / "other", ("something", "else"))
    with pytest.raises(InputError, match="knows none of the findings"):
        run(project, params=replace(PARAMS, detector=str(tmp_path / "other")))


def test_the_judges_threshold_is_that_of_validation_images(project: Path) -> None:
    labels = pd.read_parquet(project / "labels.parquet").query("split == 'val'")
    judge = Classifier.load(project / "judge")
    scores = judge_scores(judge, ShardedImages(project / "images").read(labels["image"].tolist()))
    rare = scores[(labels["rare"] == 1).to_numpy(), NAMES.index("rare")]
    tests = run(project).tests
    assert tests.at["rare", "positives"] == len(rare) >= MIN_POSITIVES
    assert tests.at["rare", "threshold"] == pytest.approx(np.percentile(rare, 25))


def test_an_outlier_is_judged_by_its_fifth_training_image(project: Path) -> None:
    labels, judge = pd.read_parquet(project / "labels.parquet"), Classifier.load(project / "judge")
    names = labels.loc[labels["split"] == "train", "image"].tolist()
    units = []
    with torch.no_grad():
        for folder, of in (("images", names), ("synthetic", [f"s{k}" for k in range(5)])):
            pixels = torch.from_numpy(ShardedImages(project / folder).read(of)).unsqueeze(1)
            mean = judge.features(pixels).mean((2, 3)).numpy()
            units.append(mean / np.linalg.norm(mean, axis=1, keepdims=True))
    fifth = np.sort(1 - units[1] @ units[0].T, axis=1)[:, 4]
    assert run(project).verdicts["neighbour_distance"].to_numpy() == pytest.approx(fifth, abs=1e-5)
