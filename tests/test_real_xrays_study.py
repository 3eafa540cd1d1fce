"""The study on real X-rays: who is in which fold, what is scored, and the whole of it at a tiny scale."""

import runpy
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML
from sklearn.metrics import average_precision_score

from comparison.figure import difference_forest
from comparison.folds import Pointing, differences, finished, finished_seeds, fold_metrics, load_folds, localisation
from comparison.folds_text import folds_block
from comparison.intervals import t_interval
from comparison.maps_sheet import maps_sheet
from study import fold_grafts, judged, runs
from study.arms import Arm, LearningRates, Study
from study.fold_grafts import MadeGrafts, count_grafts, seen_grafts
from study.folds import kept_films, scored_images, splits_of
from study.gathering import Source, gather
from study.judged import FilmsWithBoxes, judged_places
from study.pools import PoolImage
from study.runs import fold_files
from tests.import_graph import ROOT, STUDIES
from tests.labels_files import NIH_2020_COLUMNS, labels_params
from tests.tiny_project import copy_project, copy_studies, run
from trcgl.artifacts.places import encode_mask
from trcgl.artifacts.shards import ShardedImages, ShardWriter
from trcgl.config import Params, load_params
from trcgl.evaluation.bootstrap import patient_weights
from trcgl.evaluation.places import find_places
from trcgl.graph.cooccurrence import Cooccurrence
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import read_json
from trcgl.runtime.settings import read_yaml
from trcgl.runtime.stopping import Stopped

FINDINGS = ("Atelectasis", "Cardiomegaly", "Effusion")
TINY = {
    "backbone": "resnet10t",
    "backbone_options": {"channels": [8, 8, 16, 16], "stem_width": 8, "output_stride": 8},
    "initial_weights": None,
    "frozen_epochs": 0,
    "epochs": 2,
    "batch_size": 16,
}
BOX_HEADER = "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"


def test_every_film_is_tested_once_by_a_model_that_has_not_seen_its_patient():
    generator = np.random.default_rng(0)
    patients = np.array([f"p{number}" for number in generator.integers(0, 150, 400)])
    scored = generator.random(400) < 0.7
    splits = np.stack([splits_of(patients, scored, fold, 4) for fold in range(4)])
    assert ((splits == "test").sum(axis=0) == 1).all()
    for split in splits:
        seen, tested = (set(patients[np.isin(split, names)]) for names in (["train", "val"], ["test"]))
        assert not seen & tested
        assert not set(patients[split == "train"]) & set(patients[split == "val"])
        assert set(split[~scored]) == {"test", "", "more"}
        assert not set(patients[split == "more"]) & set(patients[np.isin(split, ["val", "test"])])
        assert "" not in split[scored]
        assert 0.05 < np.mean(split[scored & (split != "test")] == "val") < 0.22
    again = splits_of(patients[:50], scored[:50], 2, 4)
    np.testing.assert_array_equal(again, splits[2, :50])  # More films move nobody


def test_a_finding_that_is_made_rare_keeps_as_many_films_as_it_may():
    generator = np.random.default_rng(0)
    present = generator.random((600, 3)) < (0.3, 0.1, 0.01)
    names = [f"{number:03}.png" for number in range(600)]
    nobody = np.zeros(600, dtype=bool)
    stay = kept_films(names, present, 12, first=nobody)
    assert stay[~present.any(axis=1)].all()
    kept = present[stay].sum(axis=0)
    assert (kept <= 12).all()
    assert kept[0] == 12
    assert kept[1] >= 9  # Films that it shares with the first find no room
    assert kept[2] <= present[:, 2].sum()
    again = generator.permutation(600)
    np.testing.assert_array_equal(kept_films([names[i] for i in again], present[again], 12, first=nobody), stay[again])
    assert kept_films(names, present, 600, first=nobody).all()
    assert not kept_films(names, present, 0, first=nobody)[present.any(axis=1)].any()
    boxed = generator.random(600) < 0.2
    preferred = kept_films(names, present, 12, first=boxed)
    assert (present[preferred].sum(axis=0) <= 12).all()
    assert (preferred & boxed & present[:, 0]).sum() == 12


def made_up(folder: Path) -> tuple[Study, pd.DataFrame]:
    """Two arms, two seeds, two folds; the last film of each fold is not scored. Arm b knows more and points better."""
    arms = {"a": Arm("heads", (), {}), "b": Arm("heads", ("a",), {})}
    study = Study("made_up", folder, folder / "data", {}, {}, arms, (0, 1, 5), 60, LearningRates((), ()))
    generator = np.random.default_rng(1)
    labels = (generator.random((80, 2)) < 0.4).astype(int)
    for arm, strength in (("a", 0.1), ("b", 0.6)):
        for seed in (0, 1):
            for fold in (0, 1):
                own = range(fold * 40, fold * 40 + 40)
                path = folder / f"runs/{arm}-{fold}-{seed}"
                path.mkdir(parents=True)
                rows = [
                    (f"{film:03}.png", f"p{film // 2}", finding, labels[film, c],
                     strength * labels[film, c] + generator.random())
                    for film in own for c, finding in enumerate(FINDINGS[:2])
                ]  # fmt: skip
                columns = ["image", "patient", "finding", "label", "probability"]
                pd.DataFrame(rows, columns=columns).to_parquet(path / "predictions.parquet")
                hits = [
                    (f"{film:03}.png", f"p{film // 2}", finding, method, float(generator.random() < chance), 0.1)
                    for film in own for c, finding in enumerate(FINDINGS[:2]) if labels[film, c]
                    for method, chance in (("class_map", 0.2 + strength), ("grad_cam", 0.3))
                ]  # fmt: skip
                hits += [
                    (f"{film:03}.png", f"p{film // 2}", finding, method, float(film % (3 + c) == 0), 0.1)
                    for film in own for c, finding in enumerate(FINDINGS[:2]) if labels[film, c]
                    for method in ("centre", "mean_box")
                ]  # fmt: skip
                columns = ["image", "patient", "finding", "method", "hit", "overlap"]
                pd.DataFrame(hits, columns=columns).to_parquet(path / "places.parquet")
    return study, pd.DataFrame({"name": FINDINGS[:2], "group": ["head", "tail"]})


def test_scores_are_those_of_all_folds_together(tmp_path: Path):
    study, classes = made_up(tmp_path)
    study = finished(study, 2)
    assert study.seeds == (0, 1)
    scored = {f"{film:03}.png" for film in range(80)} - {"039.png", "079.png"}
    runs, _ = load_folds(study, 2, scored, classes)
    metrics = fold_metrics(runs).set_index(["arm", "seed", "metric"])["value"]
    tables = [pd.read_parquet(tmp_path / f"runs/b-{fold}-1/predictions.parquet") for fold in (0, 1)]
    table = pd.concat(tables)
    table = table[table["image"].isin(scored)]
    values = [average_precision_score(part["label"], part["probability"]) for _, part in table.groupby("finding")]
    assert metrics["b", 1, "mAP"] == pytest.approx(np.mean(values))
    assert metrics["b", 1, "tail_mAP"] == pytest.approx(values[1])
    assert len(runs.patients["test"]) == 78


def test_pointing_and_its_interval_equal_a_plain_loop(tmp_path: Path):
    planned, classes = made_up(tmp_path)
    study = finished(planned, 2)
    scored = {f"{film:03}.png" for film in range(80)}
    runs, places = load_folds(study, 2, scored, classes)
    pointing = Pointing(places, study.resamples)
    pairs = places.drop_duplicates(["image", "finding"]).sort_values(["image", "finding"])
    patients = pairs["patient"].to_numpy()
    weights = np.vstack([np.ones(len(pairs), int), patient_weights(patients, 60, 0)])

    def accuracy(arm: str, seed: int, method: str, times: np.ndarray) -> float:
        chosen = places[(places["arm"] == arm) & (places["seed"] == seed) & (places["method"] == method)]
        hits = pairs.merge(chosen, on=["image", "finding"], suffixes=("_", ""))["hit"].to_numpy()
        finding = pairs["finding"].to_numpy()
        each = [np.average(hits[finding == name], weights=times[finding == name]) for name in FINDINGS[:2]]
        return float(np.mean(each))

    gain = np.array(
        [
            [accuracy("b", seed, "class_map", times) - accuracy("a", 0, "mean_box", times) for times in weights]
            for seed in (0, 1)
        ]
    )
    summary = differences(runs, pointing, study).set_index(["arm", "reference", "metric"])
    row = summary.xs(("b", "mean_box", "pointing")).to_dict()
    assert row["difference"] == pytest.approx(gain[:, 0].mean())
    assert (row["low"], row["high"]) == pytest.approx(t_interval(gain[:, 0], gain[:, 1:], len(set(patients))))
    assert set(summary.index.get_level_values("metric")) > {"mAP", "tail_mAP", "pointing"}
    table = localisation(pointing).set_index(["arm", "method", "finding"])
    guess, mean = (
        table.loc[[row]].iloc[0].to_dict() for row in (("none", "mean_box", "(mean)"), ("a", "class_map", "(mean)"))
    )
    assert guess["pointing"] == pytest.approx(accuracy("b", 1, "mean_box", weights[0]))
    assert mean["centre"] == pytest.approx(accuracy("a", 0, "centre", weights[0]))
    assert mean["images"] == len(pairs)
    block = folds_block(fold_metrics(runs), summary.reset_index(), table.reset_index(), study, planned)
    assert "| b | a | 2 | +" in block
    assert "| - | mean_box |" in block
    assert "nan" not in block.replace("medium", "")


def test_a_study_that_has_not_run_names_the_first_missing_run(tmp_path: Path):
    study, _ = made_up(tmp_path)
    shutil.rmtree(tmp_path / "runs/b-1-1")
    assert finished(study, 2).seeds == (0, 1)
    assert list(finished(study, 2).arms) == ["a", "b"]
    assert [finished_seeds(study, arm, 2) for arm in "ab"] == [(0, 1), (0,)]
    shutil.rmtree(tmp_path / "runs/a-0-0")
    shutil.rmtree(tmp_path / "runs/b-1-0")
    part = finished(study, 2)
    assert (list(part.arms), part.seeds) == (["a"], (1,))
    shutil.rmtree(tmp_path / "runs/a-0-1")
    with pytest.raises(InputError, match=r"runs/a-0-0: missing; an arm counts once it has run in all folds"):
        finished(study, 2)


def test_arms_with_other_seeds_are_compared_over_those_that_both_have(tmp_path: Path):
    planned, classes = made_up(tmp_path)
    shutil.rmtree(tmp_path / "runs/b-1-1")
    study, scored = finished(planned, 2), {f"{film:03}.png" for film in range(80)}
    runs, places = load_folds(study, 2, scored, classes)
    pointing = Pointing(places, study.resamples)
    summary = differences(runs, pointing, study)
    alone = replace(study, seeds=(0,))
    alone_runs, alone_places = load_folds(alone, 2, scored, classes)
    expected = differences(alone_runs, Pointing(alone_places, study.resamples), alone)
    ours, theirs = (frame[frame["reference"] == "a"].reset_index(drop=True) for frame in (summary, expected))
    pd.testing.assert_frame_equal(ours, theirs)
    assert set(ours["seeds"]) == {1}
    assert set(summary.loc[summary["arm"] == "a", "seeds"]) == {2}
    metrics = fold_metrics(runs)
    assert metrics.groupby("arm")["seed"].nunique().to_dict() == {"a": 2, "b": 1}
    block = folds_block(metrics, summary, localisation(pointing), study, planned)
    assert "over 1 to 2 seeds. A row with fewer than 3 seeds is a report, no decision." in block
    assert "with one seed over patients alone" in block
    assert "| b | a | 1 |" in block
    figure = difference_forest(summary, "pointing", {"a": "heads", "b": "heads"})
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == [
        "a - centre",
        "a - mean_box",
        *(f"b - {other} (1 of 2 seeds)" for other in ("a", "centre", "mean_box")),
    ]


def test_arms_that_have_not_run_are_named_and_are_nobodys_reference(tmp_path: Path):
    planned, classes = made_up(tmp_path)
    shutil.rmtree(tmp_path / "runs/a-0-0")
    shutil.rmtree(tmp_path / "runs/a-0-1")
    study = finished(planned, 2)
    assert study.arms["b"].references == ()
    runs, places = load_folds(study, 2, {f"{film:03}.png" for film in range(80)}, classes)
    summary = differences(runs, pointing := Pointing(places, study.resamples), study)
    assert set(summary["reference"]) == {"centre", "mean_box"}
    block = folds_block(fold_metrics(runs), summary, localisation(pointing), study, planned)
    assert "over 2 seeds. A row with fewer than 3 seeds is a report, no decision. Not run yet: `a`." in block


def test_a_first_arm_alone_is_a_report_without_differences(tmp_path: Path):
    planned, classes = made_up(tmp_path)
    for seed in (0, 1):
        shutil.rmtree(tmp_path / f"runs/b-0-{seed}")
    study = finished(planned, 2)
    runs, places = load_folds(study, 2, {f"{film:03}.png" for film in range(80)}, classes)
    without_boxes = differences(runs, None, study)
    assert without_boxes.empty
    assert "have run yet" in difference_forest(without_boxes, "mAP", {}).get_suptitle()
    block = folds_block(fold_metrics(runs), without_boxes, pd.DataFrame(), study, planned)
    assert "| a |" in block
    assert set(differences(runs, Pointing(places, 60), study)["reference"]) == {"centre", "mean_box"}


def test_a_sheet_shows_each_map_on_its_film_with_its_box_and_its_hit(tmp_path: Path):
    """Films are grey by their number, boxes and maps lie by it, and maps of the second fold look elsewhere."""
    planned, _ = made_up(tmp_path)
    study, shifts = finished(planned, 2), ((0.25, 0.0), (0.0, -0.25))
    (study.data / "images").mkdir(parents=True)
    writer, boxes = ShardWriter(study.data / "images", 32, 4096), []
    for film in range(80):
        writer.add(f"{film:03}.png", np.full((32, 32), film, np.uint8))
        mask = np.zeros((256, 256), bool)
        mask[film : film + 40, film : film + 20] = True
        boxes += [(f"{film:03}.png", finding, encode_mask(mask)) for finding in FINDINGS[:2]]
    writer.close()
    pd.DataFrame(boxes, columns=["image", "finding", "mask"]).to_parquet(study.data / "places.parquet")
    hits = {}
    for fold in (0, 1):
        run_folder = tmp_path / f"runs/b-{fold}-0"
        places = pd.read_parquet(run_folder / "places.parquet")
        places = places[places["method"] == "class_map"]
        numbers = places["image"].str[:3].astype(int)
        hits |= dict(zip(zip(numbers, places["finding"], strict=True), places["hit"], strict=True))
        maps = np.zeros((len(places), 4, 4), np.float16)
        maps[:, 1, 2], maps[:, 0, 0] = 1, -9
        np.savez(run_folder / "maps.npz", image=places["image"].to_numpy(str), finding=places["finding"].to_numpy(str),
                 class_map=maps, shift=np.array(shifts[fold]))  # fmt: skip
    figure = maps_sheet(study, 2, 20, "pad")
    shown = [axes for axes in figure.axes if axes.get_title()]
    assert len(shown) == 20
    for axes in shown:
        finding, verdict = axes.get_title().split(": ")
        film, coloured = (np.asarray(picture.get_array()) for picture in axes.images)
        number = int(film[0, 0])
        assert verdict == ("hit" if hits[number, finding] else "miss")
        down, right = shifts[number // 40]
        # The middle of the cell in row 1 and column 2, moved to where it looks
        row, column = np.unravel_index(coloured.argmax(), coloured.shape)
        assert abs(row + 0.5 - 32 * (1.5 / 4 + down)) <= 1
        assert abs(column + 0.5 - 32 * (2.5 / 4 + right)) <= 1
        outline = np.concatenate([path.vertices for path in axes.collections[0].get_paths()])
        np.testing.assert_allclose(outline.min(axis=0), (number / 8, number / 8), atol=1)
        np.testing.assert_allclose(outline.max(axis=0), ((number + 20) / 8, (number + 40) / 8), atol=1)
    assert len({axes.get_title().split(":")[0] for axes in shown}) == 2


def test_a_made_tail_is_trained_on_where_an_arm_says_so(tmp_path: Path):
    """By as many steps as the arm with all films takes; extra images are those of the same fold and seed."""
    entries = read_yaml(ROOT / "studies/real_xrays/made_tail/arms.yaml")
    arms = {name: Arm(**{"overrides": {}, **entry}) for name, entry in entries.items()}
    study = Study("made_tail", tmp_path, tmp_path / "data", {}, {}, arms, (7,), 0, LearningRates((), ()))
    for name, arm in arms.items():
        files = fold_files(study, name, 3, 7)
        place = tmp_path / "data/fold3" / ("" if name == "oracle" else "made_tail")
        assert (files.labels, files.graph) == (place / "labels.parquet", place / "cooccurrence.npz")
        assert arm.steps_like == (None if name == "oracle" else "oracle")
        pool = tmp_path / "pools/cam_grafts-3-7/synthetic" if "extra" in name or "graft" in name else None
        assert files.synthetic == pool


def write_films(folder: Path, first: int, count: int) -> None:
    """Films with a bright square for each finding, in a quarter of their own, and NIH's table of them."""
    (folder / "images").mkdir(parents=True)
    generator = np.random.default_rng(first)
    rows = []
    for number in range(first, first + count):
        film = generator.integers(0, 90, (64, 64)).astype(np.uint8)
        present = [c for c in range(3) if generator.random() < 0.5]
        for c in present:
            film[8 + 30 * (c // 2) :, 8 + 30 * (c % 2) :][:16, :16] += 120
        name = f"{number:08}_000.png"
        assert cv2.imwrite(str(folder / "images" / name), film)
        row = dict.fromkeys(NIH_2020_COLUMNS, "1") | {
            "Image Index": name, "Finding Labels": "|".join(FINDINGS[c] for c in present) or "No Finding",
            "Patient ID": str(number // 2), "Patient Age": "50", "View Position": "PA",
        }  # fmt: skip
        rows.append(row)
    pd.DataFrame(rows).to_csv(folder / "labels.csv", index=False)


def nih_params() -> Params:
    params = load_params(ROOT / "params.yaml")
    return replace(
        params,
        dataset=replace(params.dataset, name="nih"),
        labels=labels_params(not_findings=("No Finding",), tail_findings=("Effusion",)),
        images=replace(params.images, classifier_size=32),
    )


def test_a_film_that_cannot_be_read_stops_with_its_name(tmp_path: Path):
    write_films(tmp_path / "films", 0, 40)
    spoiled = tmp_path / "films/images/00000007_000.png"
    spoiled.write_bytes(spoiled.read_bytes()[:300])
    source = Source(tmp_path / "films/images", tmp_path / "films/labels.csv", scored=True)
    with pytest.raises(InputError, match=r"00000007_000\.png: .*; leave the film out of the study's tables"):
        gather([source], None, nih_params(), 2, tmp_path / "data")


def test_boxes_that_name_films_without_a_suffix_are_of_every_source(tmp_path: Path):
    write_films(tmp_path / "films", 0, 40)
    write_films(tmp_path / "more", 40, 20)
    boxes, films = BOX_HEADER, 0
    for folder in ("films", "more"):
        table = pd.read_csv(tmp_path / folder / "labels.csv")
        shown = table[table["Finding Labels"].str.contains("Atelectasis")]["Image Index"].str.removesuffix(".png")
        boxes, films = boxes + "".join(f"{name},Atelectasis,128,128,256,256,,,\n" for name in shown), films + len(shown)
    (tmp_path / "boxes.csv").write_text(boxes)
    sources = [
        Source(tmp_path / folder / "images", tmp_path / folder / "labels.csv", scored=folder == "films")
        for folder in ("films", "more")
    ]
    gather(sources, tmp_path / "boxes.csv", nih_params(), 2, tmp_path / "data")
    assert len(pd.read_parquet(tmp_path / "data/places.parquet")) == films


def run_whole(name: str, folder: Path, **settings: object) -> tuple[Path, Path]:
    """A study on `folder`/films with two folds, one seed and a tiny network; the project, and the study's folder."""
    project = copy_project(folder / "project")
    study = copy_studies(project) / name
    (project / "metrics").mkdir(exist_ok=True)
    (project / "docs").mkdir()
    shutil.copy(ROOT / "docs/results.md", project / "docs/results.md")
    yaml = YAML()
    whole = yaml.load(study / "params.yaml") | {"folds": 2, "seeds": [3], "resamples": 20} | settings
    root = whole["root"]
    root["dataset"] |= {"images": f"{folder}/films/images", "labels": f"{folder}/films/labels.csv"}
    root["labels"], root["images"] = {"tail_findings": ["Effusion"]}, {"classifier_size": 32}
    root["classifier"] |= TINY
    yaml.dump(whole, study / "params.yaml")
    dag = (study / "dvc.yaml").read_text().replace("fold: [0, 1, 2, 3, 4]", "fold: [0, 1]")
    (study / "dvc.yaml").write_text(dag)
    run(study, "dvc", "repro", "--quiet", "dvc.yaml")
    return project, study


def write_boxed_films(folder: Path, count: int, more: int) -> str:
    """Two folders of films, and a table of boxes of both: the table's text."""
    write_films(folder / "films", 0, count)
    write_films(folder / "more", count, more)
    boxes = BOX_HEADER
    for part in ("films", "more"):
        table = pd.read_csv(folder / part / "labels.csv")
        for image, found in zip(table["Image Index"], table["Finding Labels"], strict=True):
            for c, finding in enumerate(FINDINGS):
                if finding in found.split("|"):
                    x, y = 16 * (8 + 30 * (c % 2)), 16 * (8 + 30 * (c // 2))
                    boxes += f"{image},{finding},{x},{y},256,256,,,\n"
    (folder / "boxes.csv").write_text(boxes)
    return boxes


@pytest.mark.slow
def test_the_whole_study(tmp_path: Path):
    """Two folders, boxes of both, two folds, one seed: every file, and class maps that find a square."""
    boxes = write_boxed_films(tmp_path, 90, 30)
    more = {"images": f"{tmp_path}/more/images", "labels": f"{tmp_path}/more/labels.csv", "scored": False}
    project, study = run_whole("real_xrays", tmp_path, more_films=more, boxes=f"{tmp_path}/boxes.csv")
    assert len(scored_images(study / "data")) == 90
    summary = pd.read_csv(project / "metrics/ablation_nih_summary.csv")
    assert list(summary.columns) == ["arm", "reference", "metric", "mean", "difference", "low", "high", "seeds"]
    assert set(summary.loc[summary["arm"] == "default", "reference"]) == {
        "bce_linear", "csra", "trcgl_paper", "trcgl", "centre", "mean_box",
    }  # fmt: skip
    # What is said of a place adds to the loss: the boxes of both folders have reached the trainer
    losses = [pd.read_csv(study / f"runs/{arm}-1-3/history.csv")["loss"][0] for arm in ("linear_films", "linear_boxes")]
    assert losses[1] > losses[0] + 1
    table = pd.read_csv(project / "metrics/localisation_nih.csv")
    assert list(table.columns) == ["arm", "method", "pointing", "low", "high", "centre", "images"]
    guesses = table.set_index("arm")["pointing"]
    assert guesses["none"] == 1  # A finding is always in the same quarter
    assert (table["images"] == boxes.count("\n") - 1).all()
    results = (project / "docs/results.md").read_text()
    assert "| default | class_map |" in results
    patients = pd.read_parquet(study / "data/labels.parquet")["patient"]
    assert len(patients) == 120
    assert (project / "docs/figures/ablation_nih.png").stat().st_size > 0
    sheet = cv2.imread(str(project / "docs/figures/ablation_nih_maps.png"))
    assert sheet is not None
    assert sheet.shape[0] > 200  # A blank one is lower


def test_grafts_stay_in_which_the_judge_sees_their_finding(monkeypatch: pytest.MonkeyPatch):
    """Above the lowest quarter of validation images with it; a finding with fewer than five of these is not tested."""
    targets = np.zeros((12, 2), np.float32)
    targets[:8, 0], targets[:4, 1] = 1, 1
    validation = np.stack([np.linspace(0.8, 0.1, 12), np.full(12, 0.5)], axis=1)
    judged = iter([validation, np.array([[0.9, 0.0], [0.3, 0.9], [0.7, 0.0], [0.0, 0.9]])])
    monkeypatch.setattr(fold_grafts, "judge_scores", lambda judge, images: next(judged))
    real = SimpleNamespace(names=[str(number) for number in range(12)], targets=targets)
    fold: Any = SimpleNamespace(images=None, names=["Mass", "Hernia"], validation=real)
    monkeypatch.setattr(fold_grafts, "StoredPixels", lambda images, names: None)
    entries = [PoolImage(name, (name,), str(k)) for k, name in enumerate(["Mass", "Mass", "Mass", "Hernia"])]
    grafts = MadeGrafts(entries, np.arange(4, dtype=np.uint8)[:, None, None])
    judge: Any = None
    kept = seen_grafts(grafts, judge, fold, load_params(ROOT / "params.yaml").audit)
    assert [entry.source for entry in kept.entries] == ["0", "2"]
    assert kept.pictures.ravel().tolist() == [0, 2]
    assert count_grafts(grafts, kept).to_numpy().tolist() == [["Hernia", 1, 0], ["Mass", 3, 2]]


@pytest.mark.slow
def test_the_whole_made_tail(tmp_path: Path):
    """Two folds, one seed: the arms differ in the films they train on, and in nothing that is scored."""
    write_films(tmp_path / "films", 0, 320)
    project, study = run_whole("real_xrays/made_tail", tmp_path, made_tail=4)
    whole, few = (pd.read_parquet(study / f"data/fold0{part}/labels.parquet") for part in ("", "/made_tail"))
    all_held_out, held_out = (part[part["split"] != "train"].reset_index(drop=True) for part in (whole, few))
    pd.testing.assert_frame_equal(all_held_out, held_out)
    assert (few.loc[few["split"] == "train", "Effusion"] == 1).sum() == 4
    left = whole[~whole["image"].isin(set(few["image"]))]
    assert len(left) > 0
    assert (left["Effusion"] == 1).all()
    summary = pd.read_csv(project / "metrics/made_tail_summary.csv").set_index(["arm", "reference", "metric"])
    assert ("oracle", "duplicates", "tail_mAP") in summary.index
    assert ("cam_grafts", "extra_duplicates", "tail_mAP") in summary.index
    counts = pd.read_csv(study / "pools/cam_grafts-0-3/counts.csv")
    assert counts["finding"].tolist() == ["Effusion"]
    assert counts["planned"].tolist() == [160]
    samples = pd.read_parquet(study / "pools/cam_grafts-0-3/synthetic/samples.parquet")
    # So small a network may see the finding in none of them
    assert len(samples) == counts["kept"][0]
    assert not list((project / "metrics").glob("localisation*"))
    block = (
        (project / "docs/results.md").read_text().split("<!-- made_tail:begin -->")[1].split("<!-- made_tail:end")[0]
    )
    assert "| oracle | duplicates |" in block
    assert "judge" not in block


@pytest.mark.slow
def test_the_whole_boxed_tail(tmp_path: Path):
    """Films of both folders are scored, and a graft has the square of its source at the same place."""
    write_boxed_films(tmp_path, 60, 40)
    more = {"images": f"{tmp_path}/more/images", "labels": f"{tmp_path}/more/labels.csv", "scored": True}
    settings = {"more_films": more, "boxes": f"{tmp_path}/boxes.csv", "made_tail": 4}
    project, study = run_whole("real_xrays/boxed_tail", tmp_path, **settings)
    assert len(scored_images(study / "data")) == 100
    summary = pd.read_csv(project / "metrics/boxed_tail_summary.csv").set_index(["arm", "reference", "metric"])
    assert ("box_grafts", "extra_duplicates", "tail_mAP") in summary.index
    pool, films = study / "pools/box_grafts-1-3/synthetic", ShardedImages(study / "data/images")
    samples, drawn = pd.read_parquet(pool / "samples.parquet"), ShardedImages(pool)
    assert len(samples) == 160
    table = pd.read_parquet(study / "data/fold1/made_tail/labels.parquet")
    labels = dict(zip(table["image"], table[["split", *FINDINGS]].to_numpy().tolist(), strict=True))
    for sample, made in zip(samples["sample"], samples["carrier"], strict=True):
        source, carrier = made.split(" on ")
        assert (labels[source][0], labels[source][3]) == ("train", 1)
        assert labels[carrier] == ["train", 0, 0, 0]
        film, drawing = (images.read([name])[0].astype(int) for images, name in ((films, carrier), (drawn, sample)))
        inside = (slice(20, 26), slice(5, 11))  # Effusion's square, a little smaller, at half the size
        assert drawing[inside].mean() > film[inside].mean() + 60
        assert abs(drawing[2:10, 20:30].mean() - film[2:10, 20:30].mean()) < 12  # shifted by a pixel at most


def test_the_label_graph_of_a_fold_is_of_its_own_training_films(tmp_path: Path) -> None:
    write_films(tmp_path / "films", 0, 80)
    source = Source(tmp_path / "films/images", tmp_path / "films/labels.csv", scored=True)
    gather([source], None, nih_params(), 2, tmp_path / "data", rare=4)
    names = [entry["name"] for entry in read_json(tmp_path / "data/classes.json")["classes"]]
    for place in (tmp_path / "data" / part for part in ("fold0", "fold1", "fold0/made_tail")):
        table = pd.read_parquet(place / "labels.parquet")
        shown = table.loc[table["split"] == "train", names].to_numpy(float)
        assert 0 < len(shown) < len(table)
        np.testing.assert_array_equal(Cooccurrence.load(place / "cooccurrence.npz").counts, shown.T @ shown)


def test_a_made_tail_takes_the_steps_of_the_arm_with_all_films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the script hands them to the trainer."""
    entries = read_yaml(STUDIES / "real_xrays/made_tail/arms.yaml")
    arms = {name: Arm(**{"overrides": {}, **entry}) for name, entry in entries.items()}
    shipped = read_yaml(ROOT / "params.yaml")
    study = Study("made_tail", tmp_path, tmp_path / "data", shipped, {}, arms, (7,), 0, LearningRates((), ()))
    main, asked = runpy.run_path(str(STUDIES / "real_xrays/train_fold.py"))["main"], list[Any]()

    def noted(*_: Any, steps_per_epoch: int | None = None, **__: Any) -> None:
        asked.append(steps_per_epoch)
        raise Stopped(15)

    monkeypatch.setattr(runs, "steps_on_real_images", lambda knobs, files: f"{files.labels.relative_to(study.data)}")
    for name, value in {
        "load_study": lambda _: study,
        "keep_state_in_studies": lambda: None,
        "train_and_save": noted,
    }.items():
        monkeypatch.setitem(main.__globals__, name, value)
    monkeypatch.chdir(tmp_path)
    for arm in ("duplicates", "oracle"):
        monkeypatch.setattr("sys.argv", ["train_fold.py", arm, "3", "7"])
        with pytest.raises(Stopped):
            main()
    assert asked == ["fold3/labels.parquet", None]


def test_the_mean_box_is_of_films_outside_the_test_split(monkeypatch: pytest.MonkeyPatch) -> None:
    """The boxes of both test films are on the left, that of the other film on the right."""
    left, right = (np.zeros((256, 256), bool) for _ in range(2))
    left[100:140, 20:60], right[100:140, 180:220] = True, True
    boxes = [(name, "Mass", encode_mask(mask)) for name, mask in (("a", left), ("b", left), ("c", right))]
    known = pd.DataFrame(boxes, columns=["image", "finding", "mask"])
    real: Any = SimpleNamespace(names=["a", "b"], targets=np.ones((2, 1)), rows=pd.DataFrame({"patient": ["p", "q"]}))
    places = find_places(known, real.names, real.targets, ["Mass"], "pad")
    monkeypatch.setattr(judged, "judge_model", lambda *_: {})
    nothing: Any = None
    table = judged_places(nothing, FilmsWithBoxes(["Mass"], real, nothing, known, places, "pad"))
    assert table.loc[table["method"] == "mean_box", "hit"].tolist() == [0, 0]
