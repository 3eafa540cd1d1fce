"""Metrics and paired differences of the stage-one study, against scikit-learn and SciPy."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score

from comparison.gain_figure import gain_against_films_seen
from comparison.intervals import paired_t_interval
from comparison.numbers import EXTRA, TEST, VALIDATION
from comparison.replicates import (
    CAS,
    check_amounts,
    gain_by_films_seen,
    paired_differences,
    replicate_metrics,
    run_metrics,
)
from comparison.replicates_text import replicates_block
from study.arms import Arm, LearningRates, Study
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import write_json, write_parquet


def made_up_study(folder: Path) -> Study:
    arms = {
        "real_only": Arm("extra images", (), {}),
        "duplicates": Arm("extra images", ("real_only",), {}),
        "drawn_informed": Arm("drawn images", ("duplicates", "real_only"), {}),
        "base_films": Arm("trained before", (), {}, reported=False),
    }
    return Study("made_up", folder, folder, {}, {}, arms, (1, 2, 3), 0, LearningRates((), ()))


CLASSES = [("common", "head"), ("Rare", "tail"), ("Rarer", "tail")]


def made_up_run(folder: Path, splits: tuple[str, ...], seed: int) -> pd.DataFrame:
    """A run's files, with an unknown label."""
    draw = np.random.default_rng(seed)
    parts = []
    for split in splits:
        labels = pd.array((draw.random((30, 3)) < [0.5, 0.3, 0.2]).astype(int).ravel(), dtype="Int8")
        labels[1], labels[4], labels[2], labels[5] = pd.NA, 1, 1, 0
        parts.append(
            pd.DataFrame(
                {
                    "split": split,
                    "image": np.repeat([f"{split}{k}" for k in range(30)], 3),
                    "patient": "someone",
                    "finding": [name for name, _ in CLASSES] * 30,
                    "label": labels,
                    "probability": draw.random(90).astype(np.float32),
                }
            )
        )
    table = pd.concat(parts, ignore_index=True)
    folder.mkdir(parents=True)
    write_parquet(folder / "predictions.parquet", table)
    write_json(folder / "classes.json", {"classes": [{"name": name, "group": group} for name, group in CLASSES]})
    write_json(folder / "extra.json", {"extra_images": seed})
    return table


def plain_ap(table: pd.DataFrame, split: str) -> dict[str, float]:
    known = table[(table["split"] == split) & table["label"].notna()]
    return {
        str(finding): float(average_precision_score(part["label"].astype(int), part["probability"]))
        for finding, part in known.groupby("finding")
    }


def test_metrics_equal_scikit_learns(tmp_path: Path):
    table = made_up_run(tmp_path / "run", ("val", "test"), 5)
    for split in ("val", "test"):
        expected, found = plain_ap(table, split), run_metrics(tmp_path / "run", split)
        assert found["mAP"] == pytest.approx(np.mean(list(expected.values())))
        assert found["tail_mAP"] == pytest.approx((expected["Rare"] + expected["Rarer"]) / 2)
        assert {name for name in found if name.startswith("AP ")} == {"AP Rare", "AP Rarer"}
        assert found["AP Rarer"] == pytest.approx(expected["Rarer"])


def test_the_table_has_every_reported_arm_and_the_scores_of_pools(tmp_path: Path):
    study, tables = made_up_study(tmp_path), {}
    for place, arm in enumerate(["real_only", "duplicates", "drawn_informed"]):
        for seed in study.seeds:
            tables[arm, seed] = made_up_run(study.run_of(arm, seed), ("val", "test"), 10 * place + seed)
    assert CAS not in set(replicate_metrics(study)["metric"])
    (tmp_path / "runs/cas-drawn_informed-1").mkdir()
    with pytest.raises(InputError, match=r"cas-drawn_informed-1/predictions.parquet: missing in a run that has finish"):
        replicate_metrics(study)
    (tmp_path / "runs/cas-drawn_informed-1").rmdir()
    scored = {
        seed: made_up_run(tmp_path / f"runs/cas-drawn_informed-{seed}", ("val",), 90 + seed) for seed in (1, 2, 3)
    }
    metrics = replicate_metrics(study)
    assert list(metrics.columns) == ["arm", "seed", "metric", "value"]
    values = metrics.set_index(["arm", "seed", "metric"])["value"]
    assert values.index.is_unique
    assert set(metrics["arm"]) == {"real_only", "duplicates", "drawn_informed"}
    assert set(metrics["metric"]) == {*TEST, *VALIDATION, EXTRA, CAS, "AP Rare", "AP Rarer"}
    for (arm, seed), table in tables.items():
        test, val = plain_ap(table, "test"), plain_ap(table, "val")
        assert values[arm, seed, "mAP"] == pytest.approx(np.mean(list(test.values())))
        assert values[arm, seed, "val_tail_mAP"] == pytest.approx((val["Rare"] + val["Rarer"]) / 2)
    cas = metrics[metrics["metric"] == CAS].set_index("seed")
    assert set(cas["arm"]) == {"drawn_informed"}
    for seed, table in scored.items():
        ap = plain_ap(table, "val")
        assert cas.at[seed, "value"] == pytest.approx((ap["Rare"] + ap["Rarer"]) / 2)
    assert values["duplicates", 2, EXTRA] == 12


def test_what_has_run_so_far_is_a_table_too(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    study = made_up_study(tmp_path)
    with pytest.raises(InputError, match="no run of any arm"):
        replicate_metrics(study)
    for arm, seeds in {"real_only": (1, 2, 3), "drawn_informed": (1, 3)}.items():
        for seed in seeds:
            made_up_run(study.run_of(arm, seed), ("val", "test"), seed)
    caplog.clear()
    metrics = replicate_metrics(study)
    assert [record.getMessage() for record in caplog.records] == [
        "duplicates: 0 of 3 replicates have run", "drawn_informed: 2 of 3 replicates have run"
    ]  # fmt: skip
    summary = paired_differences(metrics, study)
    assert set(zip(summary["arm"], summary["reference"], summary["seeds"], strict=True)) == {
        ("drawn_informed", "real_only", 2)
    }
    with pytest.raises(InputError, match="no replicate has run in both drawn_informed and duplicates"):
        gain_by_films_seen(summary, "drawn_informed", "duplicates", {"Rare": 3})
    gains = gain_by_films_seen(summary, "drawn_informed", "real_only", {"Rare": 3})
    block = replicates_block(metrics, summary, gains, study)
    assert "| duplicates | 0 | - |" in block
    assert "| drawn_informed | real_only | 2 | " in block


def test_fresh_films_are_as_many_as_the_images_beside_them():
    rows = [("oracle", 1, EXTRA, 811.0), ("drawn_informed", 1, EXTRA, 811.0), ("oracle", 2, EXTRA, 18.0)]
    metrics = pd.DataFrame(rows, columns=["arm", "seed", "metric", "value"])
    check_amounts(metrics)  # replicate 2 has nothing to compare with
    more = pd.DataFrame([("drawn_informed", 2, EXTRA, 819.0)], columns=metrics.columns)
    with pytest.raises(InputError, match="runs/oracle-2: 18 extra images, and drawn_informed-2 has 819; they must be"):
        check_amounts(pd.concat([metrics, more]))


def made_up_metrics(seeds: tuple[int, ...]) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    names = (*TEST, *VALIDATION, EXTRA, "AP Rare", "AP Rarer")
    arms = ("real_only", "duplicates", "drawn_informed")
    rows = [(arm, seed, name, draw.random() + 0.1 * seed) for arm in arms for seed in seeds for name in names]
    rows += [("drawn_informed", seed, CAS, draw.random()) for seed in seeds]
    return pd.DataFrame(rows, columns=["arm", "seed", "metric", "value"])


def test_differences_equal_scipys_paired_t_test(tmp_path: Path):
    study = replace(made_up_study(tmp_path), seeds=(1, 2, 3, 4, 5))
    metrics = made_up_metrics(study.seeds)
    lost = (metrics["arm"] == "duplicates") & (metrics["seed"] == 3) & (metrics["metric"] == "AP Rarer")
    metrics.loc[lost, "value"] = np.nan
    summary = paired_differences(metrics.sample(frac=1, random_state=1), study)
    assert list(summary.columns) == ["arm", "reference", "metric", "mean", "difference", "low", "high", "seeds"]
    pairs = list(dict.fromkeys(zip(summary["arm"], summary["reference"], strict=True)))
    assert pairs == [("duplicates", "real_only"), ("drawn_informed", "duplicates"), ("drawn_informed", "real_only")]
    assert set(summary["metric"]) == {*TEST, "AP Rare", "AP Rarer"}
    values = {(a, s, m): v for a, s, m, v in metrics.itertuples(index=False)}
    for row in summary.to_dict(orient="records"):
        ours, other = ([values[arm, s, row["metric"]] for s in study.seeds] for arm in (row["arm"], row["reference"]))
        kept = [(a, b) for a, b in zip(ours, other, strict=True) if not np.isnan(a + b)]
        gain = [a - b for a, b in kept]
        interval = stats.ttest_1samp(gain, 0).confidence_interval(0.95)
        assert row["seeds"] == len(gain) == (4 if row["metric"] == "AP Rarer" and "duplicates" in row.values() else 5)
        assert row["mean"] == pytest.approx(np.mean([a for a, _ in kept]))
        assert row["difference"] == pytest.approx(np.mean(gain))
        assert (row["low"], row["high"]) == pytest.approx(tuple(interval))


def test_one_replicate_has_no_interval_and_none_no_difference(tmp_path: Path):
    assert np.isnan(paired_t_interval(np.array([0.1]))).all()
    assert paired_t_interval(np.array([0.1, 0.1])) == pytest.approx((0.1, 0.1))
    study = replace(made_up_study(tmp_path), seeds=(1,))
    metrics = made_up_metrics((1,))
    metrics.loc[metrics["metric"] == "medium_mAP", "value"] = np.nan
    summary = paired_differences(metrics, study)
    gains = gain_by_films_seen(summary, "drawn_informed", "duplicates", {"Rare": 3})
    block = replicates_block(metrics, summary, gains, study)
    assert "nan" not in block
    assert "| drawn_informed | duplicates | 1 | " in block
    metrics.loc[metrics["metric"] == "tail_mAP", "value"] = np.nan
    block = replicates_block(metrics, paired_differences(metrics, study), gains, study)
    assert "| drawn_informed | duplicates | 1 | - | " in block


def test_the_page_shows_every_arm_comparison_and_finding(tmp_path: Path):
    study = made_up_study(tmp_path)
    metrics = made_up_metrics(study.seeds)
    summary = paired_differences(metrics, study)
    gains = gain_by_films_seen(summary, "drawn_informed", "duplicates", {"Rare": 3, "Rarer": 800, "Absent": 4})
    assert gains[["finding", "seen"]].to_numpy().tolist() == [["Rarer", 800], ["Rare", 3]]
    rare = row_of(summary, "drawn_informed", "duplicates", "AP Rare")
    last = gains.to_dict(orient="records")[1]
    assert [last[name] for name in ("difference", "low", "high")] == [rare[n] for n in ("difference", "low", "high")]
    block = replicates_block(metrics, summary, gains, study)
    shown = row_of(summary, "drawn_informed", "duplicates", "tail_mAP")
    text = f"{shown['difference']:+.3f} [{shown['low']:+.3f}, {shown['high']:+.3f}]"
    assert f"| drawn_informed | duplicates | 3 | {text} |" in block
    mean = metrics[(metrics["arm"] == "duplicates") & (metrics["metric"] == "tail_mAP")]["value"]
    assert f"| duplicates | 3 | {mean.mean():.3f} ± {mean.std():.3f} |" in block
    assert "| Rarer | 800 | " in block
    assert "base_films" not in block
    figure = gain_against_films_seen(gains, "drawn_informed less duplicates")
    (axes,) = figure.axes
    offsets: Any = axes.collections[1].get_offsets()
    np.testing.assert_allclose(np.asarray(offsets), gains[["seen", "difference"]].to_numpy(dtype=float))
    figure.savefig(io.BytesIO())


def row_of(summary: pd.DataFrame, arm: str, reference: str, metric: str) -> dict[str, Any]:
    rows = summary[(summary["arm"] == arm) & (summary["reference"] == reference) & (summary["metric"] == metric)]
    (row,) = rows.to_dict(orient="records")
    return {str(name): value for name, value in row.items()}
