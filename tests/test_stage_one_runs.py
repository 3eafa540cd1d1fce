"""The stage-one study as DVC runs it, at a tiny scale: what its arms train on, and what it leaves."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from study.arms import load_study
from study.pools import accepted_counts
from study.runs import replicate_files
from tests.import_graph import ROOT, STUDIES
from tests.stand_in_generator import STAND_INS
from tests.tiny_project import commit, copy_project, copy_studies, run, set_params
from trcgl.artifacts.shards import ShardedImages
from trcgl.classifier.network.model import Classifier
from trcgl.classifier.training.data import load_training_data
from trcgl.classifier.training.extra import extra_images
from trcgl.classifier.training.sampling import epoch_order, sampling_factors
from trcgl.diffusion.generator.latents import shifted
from trcgl.phantom.catalogue import TAIL_NAMES

pytestmark = pytest.mark.slow
STUDY = load_study(STUDIES / "stage_one")
REPORTED = [arm for arm, entry in STUDY.arms.items() if entry.reported]
POOLS = ("copy_paste", "cam_grafts", "drawn_uninformed", "drawn_informed", "base_tail", "oracle")
HALF = ("duplicates", *POOLS, "transfer_drawn")
BASES = """
  common:
    cmd: "true"
  base:
    matrix:
      base: [uninformed, informed]
    cmd: mkdir -p bases && cp -r ../../data/assets/tiny_base bases/${item.base}
    outs: ["bases/${item.base}"]
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of all arms and one replicate; the bases' hospitals are drawn, the bases are stand-ins."""
    tail = {"labels.tail_findings": list(TAIL_NAMES), "dataset.phantom.train_tail_positives": [3, 2, 2, 2, 2, 2]}
    folder = copy_project(tmp_path_factory.mktemp("stage-one") / "project", tail)
    studies = copy_studies(folder)
    (folder / "metrics").mkdir(exist_ok=True)
    (folder / "docs").mkdir()
    shutil.copy(ROOT / "docs/results.md", folder / "docs/results.md")
    set_params(studies / "stage_one/params.yaml", {"replicates": [101]})
    few: dict[str, Any] = {"root.dataset.phantom.train_images": 120, "root.dataset.phantom.validation_images": 20}
    few["data_sets.far.dataset.phantom.train_tail_positives"] = [8, 4, 4, 3, 3, 3]
    set_params(studies / "pretrain/params.yaml", few)
    dag = (studies / "pretrain/dvc.yaml").read_text().replace("[near, far, far_rotated, far_without]", "[near, far]")
    (studies / "pretrain/dvc.yaml").write_text(dag[: dag.index("  common:")] + BASES.lstrip("\n"))
    for stage, script in STAND_INS.items():
        (folder / f"stages/{stage}.py").write_text(script)
    commit(folder, "study")
    run(studies, "dvc", "repro", "--quiet", "stage_one/dvc.yaml")
    commit(folder, "run")
    return folder


@pytest.fixture(scope="module")
def labels(project: Path) -> pd.DataFrame:
    return pd.read_parquet(project / "studies/stage_one/data/101/labels/labels.parquet").set_index("image")


def samples(project: Path, pool: str) -> pd.DataFrame:
    return pd.read_parquet(project / f"studies/stage_one/pools/{pool}-101/synthetic/samples.parquet")


def test_it_leaves_a_table_two_figures_and_a_page(project: Path):
    metrics = pd.read_csv(project / "metrics/stage_one.csv")
    assert list(metrics.columns) == ["arm", "seed", "metric", "value"]
    assert list(dict.fromkeys(metrics["arm"])) == REPORTED
    assert set(metrics.loc[metrics["metric"] == "CAS", "arm"]) == {"drawn_uninformed", "drawn_informed", "oracle"}
    assert metrics["value"].notna().all()
    assert set(metrics["seed"]) == {101}
    assert {f"AP {finding}" for finding in TAIL_NAMES} <= set(metrics["metric"])
    summary = pd.read_csv(project / "metrics/stage_one_summary.csv")
    values = metrics.set_index(["arm", "metric"])["value"]
    for row in summary.to_dict(orient="records"):
        gain = values[row["arm"], row["metric"]] - values[row["reference"], row["metric"]]
        assert row["difference"] == pytest.approx(gain)
    assert summary["low"].isna().all(), "one replicate has no interval"
    results = (project / "docs/results.md").read_text()
    for name in ("stage_one", "stage_one_findings"):
        assert (project / f"docs/figures/{name}.png").stat().st_size > 0
        assert f"(figures/{name}.png)" in results
    assert all(f"| {arm} |" in results for arm in REPORTED)
    assert "| base_films |" not in results


def test_every_run_is_of_the_same_images_and_another_network(project: Path, labels: pd.DataFrame):
    tables = [pd.read_parquet(project / f"studies/stage_one/runs/{arm}-101/predictions.parquet") for arm in REPORTED]
    for table in tables:
        assert set(table["image"]) == set(labels.index[labels["split"] != "train"])
        assert table[["image", "finding", "label"]].equals(tables[0][["image", "finding", "label"]])
    assert not any(a["probability"].equals(b["probability"]) for i, a in enumerate(tables) for b in tables[:i])


def test_pools_hold_nothing_of_validation_and_test_patients(project: Path, labels: pd.DataFrame):
    known = set(labels["patient"])
    held_out = set(labels.loc[labels["split"] != "train", "patient"])
    findings = [
        name for name in labels.columns if name not in ("patient", "study", "projection", "sex", "age", "split")
    ]
    for pool in ("copy_paste", "cam_grafts"):
        made = samples(project, pool)
        films = made["carrier"].str.split(" on ", expand=True)
        for target, source, carrier in zip(made["target"], films[0], films[1], strict=True):
            of_source, of_carrier = labels.loc[source], labels.loc[carrier]
            assert of_source[target] == 1
            assert (of_carrier[findings] == 0).all()
            assert of_source["patient"] != of_carrier["patient"]
            assert of_source["split"] == of_carrier["split"] == "train"
    far = pd.read_parquet(project / "studies/pretrain/data/far/labels/labels.parquet").set_index("image")
    of_base = samples(project, "base_tail")
    assert set(of_base["carrier"]) <= set(far.index[far["split"] == "train"])
    assert not held_out & set(far["patient"])
    assert accepted_counts(project / "studies/stage_one/pools/base_tail-101") == {
        name: int((far.loc[far["split"] == "train", name] == 1).sum()) for name in sorted(TAIL_NAMES) if name in far
    }
    fresh = samples(project, "oracle")["carrier"]
    assert not set(fresh) & set(labels.index)
    # A film is named after its study, and a study belongs to one patient
    assert not {name.split("_")[0].removesuffix("-2") for name in fresh} & set(labels["study"])
    assert known


def test_pools_are_as_large_as_what_the_informed_generator_drew(project: Path):
    pools = project / "studies/stage_one/pools"
    drawn = accepted_counts(pools / "drawn_informed-101")
    assert drawn == dict.fromkeys(sorted(TAIL_NAMES), 3)
    assert accepted_counts(pools / "oracle-101") == accepted_counts(pools / "cam_grafts-101") == drawn
    masked = pd.read_parquet(project / "studies/stage_one/data/101/phantom/lesions.parquet")["finding"].unique()
    assert accepted_counts(pools / "copy_paste-101") == {name: drawn[name] for name in drawn if name in masked}


def test_a_pasted_lesion_lies_where_its_mask_is(project: Path):
    """And nowhere else the carrier is changed, but that the whole is moved by a few pixels; the mask may be widened."""
    folder = project / "studies/stage_one"
    lesions = pd.read_parquet(folder / "data/101/phantom/lesions.parquet").set_index(["image", "finding"])["mask"]
    films = ShardedImages(folder / "data/101/images/classifier")
    made, pasted = samples(project, "copy_paste"), ShardedImages(folder / "pools/copy_paste-101/synthetic")
    reach = range(-3, 4)
    assert len(made) > 3
    for row in made.to_dict(orient="records"):
        source, carrier = row["carrier"].split(" on ")
        mask = cv2.imdecode(np.frombuffer(lesions[source, row["target"]], np.uint8), cv2.IMREAD_GRAYSCALE)
        assert mask is not None
        inside = cv2.resize(mask, (films.size, films.size), interpolation=cv2.INTER_AREA) > 127
        near = cv2.dilate(inside.astype(np.uint8), np.ones((3, 3)), iterations=films.size // 8) > 0
        (before,), (after,) = films.read([carrier]), pasted.read([row["sample"]])
        changed = [shifted(before, right, down) != after for right in reach for down in reach]
        lesion = [shifted(near.astype(np.uint8), right, down) > 0 for right in reach for down in reach]
        assert any(not different[~there].any() for different, there in zip(changed, lesion, strict=True))
        assert all(different.any() for different in changed) or not inside.any()


def test_an_arm_trained_on_all_of_its_pool(project: Path, labels: pd.DataFrame):
    metrics = pd.read_csv(project / "metrics/stage_one.csv").set_index(["arm", "metric"])["value"]
    for arm in REPORTED:
        pool = STUDY.arms[arm].extra
        images = 0 if pool is None else len(samples(project, pool))
        if arm == "duplicates":
            # Those that have pixels; an image of two findings is there for both
            stored = pd.read_parquet(project / "studies/stage_one/data/101/images/classifier/index.parquet")["image"]
            rows = labels[(labels["split"] == "train") & labels.index.isin(stored)]
            images = int((rows[list(TAIL_NAMES)] == 1).sum().sum())
        assert metrics[arm, "extra_images"] == images


def test_arms_show_the_tail_as_often_and_take_as_many_steps(project: Path):
    """Half of the times are extra images, 0.85 before `pretrain_drawn`; real images come as often in every arm."""
    study = load_study(project / "studies/stage_one", "101")
    steps, extra_of = {}, {}
    for arm in STUDY.arms:
        knobs, files = study.arm_params(arm, 101).classifier, replicate_files(study, arm, 101)
        data = load_training_data(
            files.images, files.labels, files.classes, synthetic=files.synthetic, audit=files.audit
        )
        order = epoch_order(data.train, sampling_factors(knobs, data.targets[data.train]), knobs.seed, 0)
        extra = extra_images(knobs, data, order)
        chosen = extra.of_epoch(knobs.seed, 0)
        if arm != "base_films":
            steps[arm], extra_of[arm] = len(order), len(chosen)
        shown = (data.targets[order] == 1).sum(axis=0)
        if STUDY.arms[arm].extra is None:
            assert not len(chosen)
            continue
        assert {data.class_names[target] for target in extra.times} == set(TAIL_NAMES)
        share = 0.85 if arm == "drawn_first" else 0.5
        for target, times in extra.times.items():
            assert times == pytest.approx(shown[target] * share / (1 - share), abs=0.5)
            assert (np.isin(chosen, extra.rows[target])).sum() >= times
        real = set(data.train.tolist())
        assert (set(chosen.tolist()) <= real) == (arm == "duplicates")
        assert not set(chosen.tolist()) & set(data.val.tolist())
    assert len(set(steps.values())) == 1
    assert len({extra_of[arm] for arm in HALF}) == 1
    assert not any(extra_of[arm] for arm in ("real_only", "transfer", "pretrain_drawn"))


def test_a_network_goes_on_from_the_one_that_was_trained_before(project: Path):
    """The class order is the replicate's, whatever the order in the base's own tables."""
    study = project / "studies/stage_one"
    classes = [entry["name"] for entry in json.loads((study / "data/101/labels/classes.json").read_text())["classes"]]
    for arm in ("base_films", "drawn_first"):
        assert Classifier.load(study / f"runs/{arm}-101/model").config.class_names == tuple(classes)
    with_model = {path.parent.name for path in study.glob("runs/*/model")}
    assert with_model == {"base_films-101", "drawn_first-101", "judge-101"}
    before, after = (pd.read_csv(study / f"runs/{arm}-101/history.csv") for arm in ("base_films", "transfer"))
    assert len(before) == len(after)


def test_it_is_done_and_one_more_replicate_runs_nothing_of_the_first(project: Path):
    studies = project / "studies"
    assert json.loads(run(studies, "dvc", "status", "--json", "stage_one/dvc.yaml")) == {}
    assert not list(studies.glob(".resume/*/*"))
    try:
        set_params(studies / "stage_one/params.yaml", {"replicates": [101, 102]})
        outdated = {
            name.split(":")[-1] for name in json.loads(run(studies, "dvc", "status", "--json", "stage_one/dvc.yaml"))
        }
        outdated.remove("summary")
        assert len(outdated) > 20
        assert all(re.search(r"[@-]102$", name) for name in outdated)
    finally:
        run(project, "git", "checkout", "-q", "studies")


def test_the_pools_are_drawn_again_alike(project: Path):
    """By the scripts as DVC runs them: the same bytes."""
    study = project / "studies/stage_one"
    for script, pool in (
        ("draw_fresh_films", "oracle"),
        ("paste_lesions", "copy_paste"),
        ("graft_by_cam", "cam_grafts"),
        ("gather_base_tail", "base_tail"),
    ):
        files = sorted(path for path in (study / f"pools/{pool}-101").rglob("*") if path.is_file())
        before = [path.read_bytes() for path in files]
        run(study, "sh", "-c", f"PYTHONPATH=../../src:.. python {script}.py 101")
        assert [path.read_bytes() for path in files] == before


def test_globs_of_the_readme_are_all_stages():
    """Two terminals that follow studies/README.md leave no stage out, and share none."""
    text = (STUDIES / "README.md").read_text()
    assert "stage_one" in text
    listed = re.search(r"for stage in ([\w @{}*\\\n]+); do dvc repro -s --glob \"\$stage@\*\$replicate\"", text)
    assert listed is not None
    stages = set(listed.group(1).replace("\\\n", " ").split())
    dag = YAML(typ="safe").load(STUDIES / "stage_one/dvc.yaml")["stages"]
    assert stages == set(dag) - {"base_films", "summary"}
