"""The stage-one study: arms and seeds, pools by counting and by pixels, numbers against SciPy and scikit-learn."""

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML
from scipy import stats
from sklearn.metrics import average_precision_score

from comparison.gain_figure import gain_against_films_seen
from comparison.intervals import paired_t_interval
from comparison.replicates import (
    CAS,
    EXTRA,
    TEST,
    VALIDATION,
    gain_by_films_seen,
    paired_differences,
    replicate_metrics,
    run_metrics,
)
from comparison.replicates_text import replicates_block
from study.arms import Arm, LearningRates, Study, load_study
from study.base_tail import pictures, tail_films
from study.copy_paste import Films, Paste, brightness, paste, plan_pastes, soft_mask
from study.films import joined_films
from study.fresh_films import cached_picture, fresh_films
from study.parameters import load_pipeline
from study.pools import PoolImage, accepted_counts, write_pool
from study.tail_source import films_of_pool
from tests.import_graph import ROOT, STUDIES
from trcgl.artifacts.preparation import Preparation
from trcgl.artifacts.shards import ShardedImages, ShardWriter
from trcgl.classifier.training.data import load_accepted, load_training_data
from trcgl.classifier.training.run import TrainingFiles
from trcgl.config import load_params
from trcgl.images.prepare import read_squares
from trcgl.phantom import dataset
from trcgl.phantom.population import draw_population
from trcgl.phantom.render import SIZE
from trcgl.phantom.table import is_inverted
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import write_json, write_parquet

FOLDER = STUDIES / "stage_one"
STUDY = load_study(FOLDER)
DAG = YAML(typ="safe").load(FOLDER / "dvc.yaml")["stages"]
PRETRAIN = YAML(typ="safe").load(STUDIES / "pretrain/params.yaml")
REPORTED = {
    "real_only", "duplicates", "copy_paste", "drawn_uninformed", "drawn_informed", "base_tail", "oracle", "transfer",
    "transfer_drawn", "pretrain_drawn",
}  # fmt: skip


# The plan


def test_the_arms_are_those_of_the_plan():
    plan = (FOLDER / "plan.md").read_text()
    assert {arm for arm, entry in STUDY.arms.items() if entry.reported} == REPORTED
    assert all(f"| `{arm}` |" in plan for arm in REPORTED)
    for arm in REPORTED - {"real_only"}:
        assert "real_only" in STUDY.arms[arm].references
    primary, secondary = ("duplicates", "real_only"), ("drawn_uninformed", "base_tail", "transfer", "copy_paste")
    assert STUDY.arms["drawn_informed"].references == primary + secondary
    assert "transfer" in STUDY.arms["transfer_drawn"].references
    starts = {arm: entry.starts_from for arm, entry in STUDY.arms.items() if entry.starts_from}
    assert starts == {"transfer": "base_films", "transfer_drawn": "base_films", "pretrain_drawn": "drawn_first"}
    assert STUDY.seeds == tuple(range(101, 121))


def test_an_arm_is_the_default_classifier_but_for_its_extra_images():
    shipped = load_params(ROOT / "params.yaml").classifier
    for arm, entry in STUDY.arms.items():
        knobs = STUDY.arm_params(arm, 5).classifier
        dose = (knobs.extra_source, knobs.extra_exposure, knobs.extra_weight, knobs.extra_until)
        same = {name: getattr(shipped, name) for name in vars(shipped) if name.startswith("extra_")}
        assert replace(knobs, seed=shipped.seed, **same) == shipped
        if arm in ("real_only", "transfer", "pretrain_drawn", "base_films"):
            assert (dose[0], entry.extra) == ("none", None)
        else:
            source = "duplicates" if arm == "duplicates" else "synthetic"
            assert dose == (source, 0.85 if arm == "drawn_first" else 0.5, 1.0, 1.0)
    own = {arm: entry.extra for arm, entry in STUDY.arms.items() if entry.extra not in (None, arm)}
    assert own == {"duplicates": "base_tail", "transfer_drawn": "drawn_informed", "drawn_first": "drawn_informed"}


def test_a_replicate_has_a_data_set_and_seeds_of_its_own():
    first, other = (load_study(FOLDER, number) for number in ("101", "113"))
    params = other.params()
    seeds = [getattr(params, part).seed for part in ("dataset", "baseline", "diffusion", "sampling", "classifier")]
    assert seeds == [113] * 5
    assert other.arm_params("oracle", 113).classifier.seed == 113
    assert params.dataset.phantom == load_params(ROOT / "params.yaml").dataset.phantom
    assert (first.data, other.data) == (FOLDER / "data/101", FOLDER / "data/113")
    assert first.name != other.name
    drawn = {load_study(FOLDER, str(number)).params().dataset.seed for number in STUDY.seeds}
    assert drawn == set(STUDY.seeds)
    elsewhere = {load_pipeline(STUDIES / "pretrain", name).params().dataset.seed for name in PRETRAIN["data_sets"]}
    others = {load_pipeline(STUDIES / name).params().dataset.seed for name in ("ablation", "confirmation")}
    assert not drawn & (elsewhere | others)
    with pytest.raises(InputError, match="has no data set '121'; it has 101, 102, "):
        load_study(FOLDER, "121")


def test_every_arm_and_pool_is_a_stage_that_waits_for_what_it_reads():
    arms = [arm for stage in DAG.values() for arm in stage.get("matrix", {}).get("arm", [])]
    assert sorted(arms) == sorted(STUDY.arms)
    for stage in DAG.values():
        for arm in stage.get("matrix", {}).get("arm", []):
            entry, deps = STUDY.arms[arm], [dep.replace("${item.arm}", arm) for dep in stage["deps"]]
            assert entry.extra is None or f"pools/{entry.extra}-${{item.replicate}}" in deps
            assert entry.starts_from is None or f"runs/{entry.starts_from}-${{item.replicate}}" in deps
            assert entry.films is None or f"data/{entry.films}" in deps
            assert "data/${item.replicate}" in deps
    films = {dep for dep in DAG["base_films"]["deps"] if dep.startswith("../pretrain/data")}
    assert films == {f"../pretrain/data/{name}" for name in PRETRAIN["bases"]["informed"]["data_sets"]}
    assert set(DAG["generator"]["matrix"]["base"]) <= set(PRETRAIN["bases"])


# Pools


def stored_films(folder: Path, table: pd.DataFrame, size: int = 16) -> Path:
    """A data folder: films of noise, their labels, and classes of which those with a capital letter are tail ones."""
    (folder / "images/classifier").mkdir(parents=True)
    (folder / "labels").mkdir()
    writer = ShardWriter(folder / "images/classifier", size)
    for image in table["image"]:
        writer.add(image, noise(image, size))
    writer.close()
    write_parquet(folder / "labels/labels.parquet", table)
    names = [name for name in table.columns if name not in ("image", "patient", "split")]
    classes = [{"name": name, "group": "tail" if name.istitle() else "head"} for name in names]
    write_json(folder / "labels/classes.json", {"classes": classes})
    return folder


def noise(image: str, size: int = 16) -> np.ndarray:
    return np.random.default_rng(list(image.encode())).integers(0, 256, (size, size)).astype(np.uint8)


def labelled(rows: Sequence[tuple[str | int, ...]], *findings: str) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["image", "patient", "split", *findings])
    return table.astype(dict.fromkeys(findings, "Int8"))


FAR = labelled(
    [("a", "1", "train", 1, 1, 0), ("b", "2", "train", 0, 1, 1), ("c", "3", "train", 1, 0, 0),
     ("d", "4", "val", 0, 1, 0), ("e", "5", "test", 0, 1, 1)], "common", "Rare", "Rarer",
)  # fmt: skip
NEAR = labelled([("f", "6", "train", 1), ("g", "7", "val", 0)], "common")


def test_a_pool_is_read_as_drawn_images_are(tmp_path: Path):
    entries = [PoolImage("Rare", ("Rare", "common"), "a"), PoolImage("Rarer", ("Rarer",), "b")]
    write_pool(tmp_path / "pool", "mine", entries, [noise("a"), noise("b")], 16)
    read = load_accepted(
        tmp_path / "pool/synthetic", tmp_path / "pool/synthetic_audit.parquet", ("common", "Rare", "Rarer"), 16
    )
    np.testing.assert_array_equal(read.pixels, [noise("a"), noise("b")])
    np.testing.assert_array_equal(read.targets, [[1, 1, 0], [0, 0, 1]])
    assert read.target.tolist() == [1, 2]
    assert accepted_counts(tmp_path / "pool") == {"Rare": 1, "Rarer": 1}
    verdicts = pd.DataFrame({"sample": read.names, "accepted": [False, True]})
    write_parquet(tmp_path / "pool/synthetic_audit.parquet", verdicts)
    assert accepted_counts(tmp_path / "pool") == {"Rarer": 1}


def test_an_empty_pool_is_a_pool(tmp_path: Path):
    write_pool(tmp_path / "pool", "none", [], [], 16)
    assert accepted_counts(tmp_path / "pool") == {}
    read = load_accepted(tmp_path / "pool/synthetic", tmp_path / "pool/synthetic_audit.parquet", ("common",), 16)
    assert read.names == []


def test_the_bases_films_are_those_it_was_trained_and_chosen_on(tmp_path: Path):
    sources = [stored_films(tmp_path / "near", NEAR), stored_films(tmp_path / "far", FAR)]
    joined_films(sources, tmp_path / "both")
    table = pd.read_parquet(tmp_path / "both/labels.parquet").set_index("image")
    assert table.index.tolist() == ["f", "g", "a", "b", "c", "d"]
    found = table[["common", "Rare", "Rarer"]].to_numpy(dtype=float, na_value=np.nan)
    nan = np.nan
    np.testing.assert_array_equal(found, [[1, 0, 0], [0, nan, nan], [1, 1, 0], [0, 1, 1], [1, 0, 0], [0, 1, 0]])
    stored = ShardedImages(tmp_path / "both/images")
    np.testing.assert_array_equal(stored.read(table.index.tolist()), [noise(image) for image in table.index])
    with pytest.raises(ValueError, match="a is in two data sets"):
        joined_films([sources[1], sources[1]], tmp_path / "twice")


def test_the_base_tail_is_every_training_film_labelled_with_a_finding(tmp_path: Path):
    entries = tail_films(FAR, ("Rare", "Rarer", "common"), ("Rare", "Rarer", "Absent"))
    assert [(entry.target, entry.source, entry.findings) for entry in entries] == [
        ("Rare", "a", ("Rare", "common")), ("Rare", "b", ("Rare", "Rarer")), ("Rarer", "b", ("Rare", "Rarer")),
    ]  # fmt: skip
    stored = ShardedImages(stored_films(tmp_path / "far", FAR) / "images/classifier")
    np.testing.assert_array_equal(list(pictures(stored, entries)), [noise("a"), noise("b"), noise("b")])


def test_fresh_films_are_as_many_as_asked_for_and_of_other_patients():
    params = load_params(ROOT / "params.yaml").dataset
    params = replace(params, phantom=replace(params.phantom, train_images=400, validation_images=40, test_images=40))
    wanted = {"pneumothorax": 23, "subcutaneous emphysema": 31, "dextrocardia": 2, "azygos lobe": 0}
    names = ["subcutaneous emphysema", "pneumothorax", "dextrocardia", "cardiomegaly"]
    films = fresh_films(params, wanted, names)
    targets = pd.Series([entry.target for entry, _ in films])
    assert targets.value_counts().to_dict() == {name: count for name, count in wanted.items() if count}
    for entry, view in films:
        assert entry.target in entry.findings
        assert list(entry.findings) == [name for name in names if name in view.findings]
    assert len({view.image for _, view in films}) == len(films)
    known = {image.view.patient for image in draw_population(params.seed, params.phantom)}
    assert not known & {view.patient for _, view in films}
    again = [view.image for _, view in fresh_films(params, wanted, names)]
    assert again == [view.image for _, view in films]
    assert any({"pneumothorax", "subcutaneous emphysema"} <= set(view.findings) for _, view in films)
    with pytest.raises(ValueError, match="makes no more films of nodule"):
        fresh_films(params, {"nodule": 1}, names)


def test_a_fresh_films_labels_are_those_of_the_table():
    """A hospital that misses every label writes none, and so has no film to give."""
    params = load_params(ROOT / "params.yaml").dataset
    hospital = replace(params.phantom.hospital, labels_missed=1.0)
    params = replace(params, phantom=replace(params.phantom, train_images=200, hospital=hospital))
    with pytest.raises(ValueError, match="too few fresh films"):
        fresh_films(params, {"dextrocardia": 1}, ["dextrocardia"])


def test_a_fresh_films_picture_is_what_the_cache_would_hold(tmp_path: Path):
    params = load_params(ROOT / "params.yaml")
    preparation = Preparation.from_params(params.images)
    films = [image for image in draw_population(0, params.dataset.phantom) if image.spoiled is None]
    inverted = next(image for image in films if is_inverted(image.view.seed, image.view.image))
    for image in (films[0], inverted):
        dataset._write_image(image, tmp_path, SIZE)
        turned = is_inverted(image.view.seed, image.view.image)
        (cached,) = read_squares(tmp_path / image.view.image, preparation, [64], inverted=turned)
        np.testing.assert_array_equal(cached_picture(image.view, preparation, 64), cached)


def square(size: int, low: int, high: int) -> np.ndarray:
    mask = np.zeros((size, size), bool)
    mask[low:high, low:high] = True
    return mask


def test_the_soft_mask_covers_the_lesion_and_its_border():
    share = soft_mask(square(256, 96, 160), 64)
    assert share.dtype == np.float32
    assert share[26:38, 26:38].min() > 0.99
    assert share[23, 32] > 0.3
    assert share[20, 32] == share[32, 44] == 0
    assert ((share > 0) & (share < 1)).any()


def test_pasting_changes_the_lesion_alone():
    """The film is the carrier in other grey levels, with a bright square; in the carrier the square has its levels."""
    carrier = cv2.GaussianBlur(noise("chest", 64), (0, 0), 3).astype(np.float32)
    carrier = 60 + 2.0 * (carrier - carrier.min())
    film, lesion = (carrier - 20) / 1.25, square(64, 24, 40)
    film[lesion] += 30
    carrier, film = (np.rint(picture).astype(np.uint8) for picture in (carrier, film))
    share = soft_mask(cv2.resize(lesion.astype(np.uint8), (256, 256), interpolation=cv2.INTER_NEAREST) > 0, 64)
    factor, offset, misfit = brightness(carrier, film, share)
    assert (factor, offset) == (pytest.approx(1.25, abs=0.03), pytest.approx(20, abs=3))
    assert misfit < 0.05
    pasted = paste(carrier, film, share)
    np.testing.assert_array_equal(pasted[share == 0], carrier[share == 0])
    gained = pasted.astype(float) - carrier
    assert gained[26:38, 26:38] == pytest.approx(1.25 * 30, abs=3)
    elsewhere = Paste("Rare", "film", "other")
    films = Films({"film": film, "carrier": carrier, "other": noise("other", 64)}, {("film", "Rare"): png(lesion)})
    assert films.misfit(elsewhere) > films.misfit(replace(elsewhere, carrier="carrier"))


def png(mask: np.ndarray) -> bytes:
    done, encoded = cv2.imencode(".png", mask.astype(np.uint8) * 255)
    assert done
    return encoded.tobytes()


CHESTS = labelled(
    [(f"r{k}", f"p{k}", "train", 0, 1, 0) for k in range(3)] + [(f"n{k}", f"q{k}", "train", 0, 0, 0) for k in range(40)]
    + [("same", "p0", "train", 0, 0, 0), ("ill", "p8", "train", 1, 0, 0), ("t", "p9", "test", 0, 1, 0),
       ("v", "p10", "val", 0, 0, 0), ("h", "p11", "train", 0, 0, 1)], "common", "Rare", "Heart",
)  # fmt: skip


def place(entry: Paste) -> float:
    """The number of the carrier."""
    return 0.0 if entry.carrier == "same" else float(entry.carrier[1:])


def test_lesions_of_training_films_go_onto_normal_ones_of_others():
    patients = CHESTS.set_index("image")["patient"]
    masked = {"Rare": {"r0", "r1", "t"}, "common": {"ill"}}
    pastes = plan_pastes(
        CHESTS, ("common", "Rare", "Heart"), {"Rare": 7, "Heart": 4}, 3, masked=masked, misfit=lambda _: 0.0
    )
    assert [entry.finding for entry in pastes] == ["Rare"] * 7, "a finding without a mask gets none"
    films = [entry.film for entry in pastes]
    assert sorted(map(films.count, ("r0", "r1"))) == [3, 4]
    assert all(set(films[k : k + 2]) == {"r0", "r1"} for k in (0, 2, 4))
    for entry in pastes:
        assert entry.carrier.startswith("n") or (entry.carrier, entry.film) == ("same", "r1")
        assert patients[entry.carrier] != patients[entry.film]
        assert entry.pooled.findings == ("Rare",)
    assert len({entry.carrier for entry in pastes}) > 4
    best = plan_pastes(CHESTS, ("common", "Rare", "Heart"), {"Rare": 7}, 3, masked=masked, misfit=lambda p: -place(p))
    ours, chance = (np.mean([place(entry) for entry in plan]) for plan in (best, pastes))
    assert ours > chance + 5
    drawn_to = plan_pastes(
        CHESTS, ("common", "Rare"), {"Rare": 40}, 3, masked=masked, misfit=lambda p: float(p.carrier != "same")
    )
    assert {entry.film for entry in drawn_to if entry.carrier == "same"} == {"r1"}, "r0 is of the same patient"
    with pytest.raises(InputError, match="no film without any finding"):
        plan_pastes(CHESTS[:3], ("common", "Rare"), {"Rare": 1}, 3, masked=masked, misfit=lambda _: 0.0)


def test_a_scored_pool_is_all_that_shows_the_tail(tmp_path: Path):
    folder = stored_films(tmp_path / "far", FAR)
    write_pool(tmp_path / "pool", "mine", [PoolImage("Rarer", ("Rarer", "common"), "x")], [noise("x")], 16)
    real = TrainingFiles(
        folder / "images/classifier",
        folder / "labels/labels.parquet",
        folder / "labels/classes.json",
        tmp_path / "graph",
    )
    files = films_of_pool(real, tmp_path / "pool", tmp_path / "together")
    assert (files.classes, files.graph, files.synthetic) == (real.classes, real.graph, None)
    data = load_training_data(files.images, files.labels, files.classes)
    assert [data.names[row] for row in data.train] == ["c", "mine-00000"]
    assert [data.names[row] for row in data.val] == ["d"]
    np.testing.assert_array_equal(data.targets[data.train], [[1, 0, 0], [1, 0, 1]])
    np.testing.assert_array_equal(data.images[data.train], [noise("c"), noise("x")])
    assert "e" not in pd.read_parquet(files.labels)["image"].tolist()


# Numbers


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
    with pytest.raises(InputError, match=r"cas-drawn_informed-1/predictions.parquet: missing; run this arm"):
        replicate_metrics(study)
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
    assert "over 1 replicate," in block


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
    assert f"| drawn_informed | duplicates | {text} |" in block
    mean = metrics[(metrics["arm"] == "duplicates") & (metrics["metric"] == "tail_mAP")]["value"]
    assert f"| duplicates | {mean.mean():.3f} ± {mean.std():.3f} |" in block
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
