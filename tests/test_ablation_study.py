"""The ablation study as DVC runs it, at a tiny scale, and its numbers against scikit-learn."""

import json
import runpy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML
from sklearn.metrics import average_precision_score, roc_auc_score

from tests.import_graph import ROOT
from tests.tiny_project import commit, copy_project, run, set_params
from trcgl.config import override
from trcgl.evaluation.ablation import Runs, arm_metrics, best_on_validation, comparisons, load_runs, results_block
from trcgl.evaluation.bootstrap import patient_weights, weighted_area_under_roc
from trcgl.evaluation.study import Arm, Study, load_study
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import replace_between
from trcgl.runtime.seeding import rng

FOLDER = ROOT / "studies" / "ablation"
DAG = YAML(typ="safe").load(FOLDER / "dvc.yaml")["stages"]
GENERATOR = runpy.run_path(str(FOLDER / "generate.py"))
CONTRACT = {
    "real_only", "duplicates", "synthetic", "synthetic_025", "synthetic_050", "pretrain_finetune", "base_images",
}  # fmt: skip


def test_the_arms_are_those_of_the_contract():
    study = load_study(FOLDER)
    assert set(study.arms) == CONTRACT
    assert len(study.seeds) >= 5
    listed = [arm for name in ("real_arm", "extra_arm", "base_arm") for arm in DAG[name]["matrix"]["arm"]]
    assert sorted(listed) == sorted(CONTRACT)
    for arm in DAG["extra_arm"]["matrix"]["arm"]:
        assert study.params(arm, 0).classifier.extra_source != "none"
    for arm in DAG["real_arm"]["matrix"]["arm"] + DAG["base_arm"]["matrix"]["arm"]:
        assert study.params(arm, 0).classifier.extra_source == "none"
    assert [arm for arm, entry in study.arms.items() if entry.pretrained_like] == DAG["base_arm"]["matrix"]["arm"]
    assert DAG["base_backbone"]["matrix"]["arm"] == DAG["base_arm"]["matrix"]["arm"]


def test_arms_differ_in_what_they_are_about_alone():
    """Every arm takes as many epochs as the default, pre-training included."""
    study = load_study(FOLDER)
    default = study.params("real_only", 3).classifier
    for name, arm in study.arms.items():
        knobs = study.params(name, 3).classifier
        changed = {key for key in vars(knobs) if getattr(knobs, key) != getattr(default, key)}
        assert changed <= {key.removeprefix("classifier.") for key in arm.overrides} | {"epochs"}
        before = study.pretraining_epochs(name) if arm.pretrained_like else 0
        assert before + knobs.epochs == default.epochs
        assert knobs.seed == 3
    assert study.generator_overrides(4)["diffusion.seed"] == 4
    assert study.params("synthetic", 0).compute.threads == 1


def test_a_wrong_name_is_one_line(tmp_path: Path):
    with pytest.raises(InputError, match="has no arm 'synthetics'"):
        load_study(FOLDER).params("synthetics", 0)
    with pytest.raises(InputError, match=r"has no key 'sampling\.images'"):
        override({"sampling": {"steps": 1}}, {"sampling.images": 3}, "params.yaml")
    with pytest.raises(InputError, match="has no place for results"):
        replace_between(tmp_path / "results.md", "ablation", "text")
    with pytest.raises(InputError, match="run arm 'real_only' with seed 0 first"):
        load_runs(tmp_path, ["real_only"], (0,), pd.DataFrame({"name": [], "group": []}))


def made_up_runs() -> tuple[Runs, Study]:
    """Two arms, three seeds; arm b knows more. A finding has unknown labels, another no positive."""
    generator = np.random.default_rng(0)
    labels = (generator.random((240, 4)) < [0.3, 0.2, 0.1, 0.0]).astype(float)
    labels[::9, 1] = np.nan
    split = {"val": labels[:80], "test": labels[80:]}
    scores = {
        (arm, seed): {
            name: np.round(strength * np.nan_to_num(part) + generator.random(part.shape), 2).astype(np.float32)
            for name, part in split.items()
        }
        for arm, strength in (("a", 0.2), ("b", 0.5))
        for seed in (0, 1, 2)
    }
    patients = {name: np.array([f"p{i // 2}" for i in range(len(part))]) for name, part in split.items()}
    runs = Runs(
        np.array(["head", "medium", "tail", "tail"]), patients, split, scores, dict.fromkeys(scores, 7), (0, 1, 2)
    )
    arms = {"a": Arm("control", (), {}), "b": Arm("synthetic", (), {})}
    return runs, Study(arms, (0, 1, 2), {}, Path(), 150, Path())


def plain_map(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
    """Mean average precision by a loop over findings, images repeated as often as they weigh."""
    values = []
    for y, p in zip(labels.T, scores.T, strict=True):
        y, p = np.repeat(y, weights), np.repeat(p, weights)
        known = ~np.isnan(y)
        if 0 < y[known].sum() < known.sum():
            values.append(average_precision_score(y[known], p[known]))
    return float(np.mean(values))


def test_differences_and_intervals_equal_a_plain_loop():
    runs, study = made_up_runs()
    table = comparisons(runs, study, "b").set_index("metric")
    assert table["reference"].unique().tolist() == ["a"]
    labels = runs.labels["test"]
    weights = patient_weights(runs.patients["test"], 150, 0)
    drawn = rng("bootstrap of seeds", 0).integers(0, 3, (150, 3))

    def gain(seed: int, times: np.ndarray) -> float:
        ours, other = (plain_map(labels, runs.scores[arm, seed]["test"], times) for arm in "ba")
        return ours - other

    resampled = [
        np.mean([gain(seed, times) for seed in seeds]) for times, seeds in zip(weights, drawn.tolist(), strict=True)
    ]
    ones = np.ones(len(labels), dtype=int)
    row = table.loc["mAP"].to_dict()
    assert row["difference"] == pytest.approx(np.mean([gain(seed, ones) for seed in (0, 1, 2)]))
    assert [row["low"], row["high"]] == pytest.approx(np.quantile(resampled, [0.025, 0.975]).tolist())
    assert row["low"] > 0
    assert row["seeds"] == 3


def test_weighted_auc_equals_scikit_learn():
    runs, _ = made_up_runs()
    labels, scores = runs.labels["test"][:, 0], runs.scores["a", 0]["test"][:, 0]
    weights = np.random.default_rng(1).integers(0, 4, (20, len(labels)))
    expected = [roc_auc_score(labels, scores, sample_weight=w) for w in weights]
    np.testing.assert_allclose(weighted_area_under_roc(labels, scores, weights), expected, rtol=1e-12)


def test_the_best_arm_is_chosen_on_validation_images():
    runs, study = made_up_runs()
    metrics = arm_metrics(runs)
    more = {**study.arms, "c": Arm("synthetic", ("a",), {})}
    worse = metrics[metrics["arm"] == "b"].assign(arm="c")
    worse["value"] += np.where(worse["metric"].str.startswith("val_"), -0.1, 0.3)
    both = pd.concat([metrics, worse])
    assert best_on_validation(both, Study(more, study.seeds, {}, Path(), 10, Path())) == "b"
    block = results_block(metrics, comparisons(runs, study, "b"), study, "b")
    assert "| b (best on validation) | 7 |" in block
    assert "| b | a | +" in block


# The real ones take half a minute to start, and every audit refuses what a generator of two steps draws
STAND_INS = {
    "sample_tail": """
from pathlib import Path
import numpy as np
import pandas as pd
from trcgl.config import load_params
from trcgl.images.shards import ShardWriter
from trcgl.runtime.files import read_json

params = load_params()
classes = read_json("data/labels/classes.json")["classes"]
tail = [entry["name"] for entry in classes if entry["group"] == "tail"] * params.sampling.images_per_finding
names = [f"synth-{i}" for i in range(len(tail))]
Path("data/synthetic").mkdir()
writer = ShardWriter(Path("data/synthetic"), 32, shard_images=100)
for i, name in enumerate(names):
    writer.add(name, np.random.default_rng((params.sampling.seed, i)).integers(0, 256, (32, 32)).astype(np.uint8))
writer.close()
table = pd.DataFrame({"sample": names, "target": tail, "findings": [[name] for name in tail]})
table.assign(seed=params.diffusion.seed).to_parquet("data/synthetic/samples.parquet")
""",
    "audit_synthetic": """
from pathlib import Path
import pandas as pd

Path("metrics").mkdir()
samples = pd.read_parquet("data/synthetic/samples.parquet")[["sample"]]
samples.assign(accepted=True, rank=range(1, len(samples) + 1)).to_parquet("data/synthetic_audit.parquet")
for name in ("synthetic.json", "synthetic_per_class.csv"):
    Path("metrics", name).touch()
""",
}


def test_a_generator_is_what_the_root_pipeline_would_make():
    """Its stages read, beside what they write for each other, nothing but the folders that are linked."""
    root = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
    stages = [root[name] for name in GENERATOR["STAGES"]]
    entries = [entry for stage in stages for kind in ("outs", "metrics", "plots") for entry in stage.get(kind, [])]
    written = {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}
    assert set(GENERATOR["KEPT"]) <= written
    data = {dep for stage in stages for dep in stage["deps"] if dep.startswith("data/")} - written
    assert {Path(dep).parts[1] for dep in data} <= set(GENERATOR["LINKED"])
    assert {f"../../{dep}" for dep in data} <= {dep.split("#")[0] for dep in DAG["generator"]["deps"]}
    knobs = {knob.split(".")[0] for stage in stages for knob in stage["params"]} - {"compute", "labels"}
    assert knobs <= {knob.split(".")[0] for knob in DAG["generator"]["params"][1]["../../params.yaml"]}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of three arms and two seeds."""
    folder = copy_project(tmp_path_factory.mktemp("ablation") / "project")
    shutil.copytree(FOLDER, folder / "studies/ablation", ignore=shutil.ignore_patterns("runs", "__pycache__"))
    (folder / "metrics").mkdir(exist_ok=True)
    (folder / "docs").mkdir()
    shutil.copy(ROOT / "docs/results.md", folder / "docs/results.md")
    study = folder / "studies/ablation"
    set_params(
        study / "params.yaml",
        {"seeds": [0, 1], "resamples": 50, "root.sampling.images_per_finding": 2, "base": "../../data"},
    )
    edit(study / "arms.yaml", fewer_arms)
    edit(study / "dvc.yaml", fewer_stages)
    for stage in GENERATOR["STAGES"]:
        (folder / f"stages/{stage}.py").write_text(STAND_INS.get(stage, ""))
    commit(folder, "study")
    run(study, "dvc", "repro", "--quiet", "dvc.yaml")
    commit(folder, "run")
    return folder


def fewer_arms(arms: Any) -> None:
    for name in CONTRACT - {"real_only", "duplicates", "synthetic"}:
        del arms[name]


def fewer_stages(dag: Any) -> None:
    dag["stages"]["extra_arm"]["matrix"]["arm"] = ["duplicates", "synthetic"]
    del dag["stages"]["base_backbone"], dag["stages"]["base_arm"]


def edit(path: Path, change: Callable[[Any], object]) -> None:
    yaml = YAML()
    document = yaml.load(path)
    change(document)
    yaml.dump(document, path)


def outdated(folder: Path) -> set[str]:
    """Stages whose inputs or outs are not those of their last run (a dry run would stop at an input still missing)."""
    status = json.loads(run(folder / "studies/ablation", "dvc", "status", "--json", "dvc.yaml"))
    return {name.split(":")[-1] for name in status}


def test_what_the_study_leaves(project: Path):
    metrics = pd.read_csv(project / "metrics/ablation.csv")
    assert list(metrics.columns) == ["arm", "seed", "metric", "value"]
    assert len(metrics) == 3 * 2 * 9
    extra = metrics[metrics["metric"] == "extra_images"].groupby("arm")["value"].max()
    assert extra["real_only"] == 0
    assert extra["duplicates"] == extra["synthetic"] > 0
    summary = pd.read_csv(project / "metrics/ablation_summary.csv")
    assert list(summary.columns) == ["arm", "reference", "metric", "mean", "difference", "low", "high", "seeds"]
    pairs = set(zip(summary["arm"], summary["reference"], strict=True))
    assert pairs == {("duplicates", "real_only"), ("synthetic", "real_only"), ("synthetic", "duplicates")}
    assert "| synthetic (best on validation) |" in (project / "docs/results.md").read_text()
    assert (project / "docs/figures/ablation.png").stat().st_size > 0
    patients = pd.read_parquet(project / "data/labels/labels.parquet")["patient"]
    text = (project / "metrics/ablation.csv").read_text() + (project / "docs/results.md").read_text()
    assert not any(patient in text for patient in patients.unique() if len(patient) > 3)


def test_the_numbers_follow_from_the_predictions(project: Path):
    """Every metric of every run by scikit-learn, and the differences from them."""
    metrics = pd.read_csv(project / "metrics/ablation.csv").set_index(["arm", "seed", "metric"])["value"]
    classes = json.loads((project / "data/labels/classes.json").read_text())["classes"]
    tail = {entry["name"] for entry in classes if entry["group"] == "tail"}
    for arm in ("real_only", "duplicates", "synthetic"):
        for seed in (0, 1):
            table = pd.read_parquet(project / f"studies/ablation/runs/{arm}-{seed}/predictions.parquet")
            for split, prefix in (("val", "val_"), ("test", "")):
                scored = {
                    finding: average_precision_score(part["label"].astype(int), part["probability"].astype(float))
                    for finding, part in table[table["split"] == split].dropna().groupby("finding")
                    if part["label"].nunique() == 2
                }
                rare = [value for finding, value in scored.items() if finding in tail]
                assert metrics[arm, seed, f"{prefix}mAP"] == pytest.approx(np.mean(list(scored.values())), abs=1e-9)
                assert metrics[arm, seed, f"{prefix}tail_mAP"] == pytest.approx(np.mean(rare), abs=1e-9)
    for row in pd.read_csv(project / "metrics/ablation_summary.csv").to_dict(orient="records"):
        ours = [metrics[row["arm"], seed, row["metric"]] for seed in (0, 1)]
        other = [metrics[row["reference"], seed, row["metric"]] for seed in (0, 1)]
        assert row["mean"] == pytest.approx(np.mean(ours))
        assert row["difference"] == pytest.approx(np.mean(ours) - np.mean(other))
        assert row["low"] <= row["high"]


def test_seeds_and_arms_really_differ(project: Path):
    runs = project / "studies/ablation/runs"
    tables = [pd.read_parquet(path)["probability"] for path in sorted(runs.glob("*/predictions.parquet"))]
    assert len(tables) == 6
    assert not any(a.equals(b) for i, a in enumerate(tables) for b in tables[:i])
    seeds = [pd.read_parquet(runs / f"generator-{seed}/synthetic/samples.parquet")["seed"] for seed in (0, 1)]
    assert not seeds[0].equals(seeds[1])
    assert not list(project.glob(".resume/ablation*/*"))


def test_nothing_runs_again(project: Path):
    assert outdated(project) == set()


def test_one_more_seed_runs_nothing_else(project: Path):
    try:
        set_params(project / "studies/ablation/params.yaml", {"seeds": [0, 1, 2]})
        assert outdated(project) == {
            "generator@2", "real_arm@real_only-2", "extra_arm@duplicates-2", "extra_arm@synthetic-2", "summary",
        }  # fmt: skip
    finally:
        run(project, "git", "checkout", "-q", "studies")


def test_one_more_arm_runs_nothing_else(project: Path):
    study = project / "studies/ablation"
    more = {"group": "synthetic", "references": ["real_only"], "overrides": {"classifier.extra_ratio": 0.1}}
    try:
        edit(study / "arms.yaml", lambda arms: arms.update(synthetic_010=more))
        edit(study / "dvc.yaml", lambda dag: dag["stages"]["extra_arm"]["matrix"]["arm"].append("synthetic_010"))
        assert outdated(project) == {"extra_arm@synthetic_010-0", "extra_arm@synthetic_010-1", "summary"}
    finally:
        run(project, "git", "checkout", "-q", "studies")


def test_a_pretrained_arm_takes_the_same_steps(project: Path):
    """The two scripts as DVC runs them, with the project's own images in place of the base generator's."""
    study = project / "studies/ablation"
    set_params(project / "params.yaml", {"classifier.epochs": 2})
    for name in ("arms.yaml", "dvc.yaml"):
        shutil.copy(FOLDER / name, study / name)
    try:
        for script in ("pretrain_backbone", "train_arm"):
            run(study, "sh", "-c", f"PYTHONPATH=../../src python {script}.py base_images 0")
        before = pd.read_csv(study / "runs/backbone-base_images-0/history.csv")
        after = pd.read_csv(study / "runs/base_images-0/history.csv")
        assert len(before) == len(after) == 1
    finally:
        run(project, "git", "checkout", "-q", ".")
