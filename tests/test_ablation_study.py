"""The ablation study as DVC runs it, at a tiny scale, and its numbers against scikit-learn."""

import json
import math
import runpy
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML
from sklearn.metrics import average_precision_score

from comparison.intervals import t_interval
from comparison.numbers import Runs, arm_metrics, best_on_validation, comparisons, finished, results_block
from study.arms import Arm, Chosen, LearningRates, Study, load_study
from study.bracketing import bracketed
from study.runs import real_files, steps_like, steps_on_real_images
from tests.import_graph import ROOT, STUDIES
from tests.stand_in_generator import STAND_INS
from tests.tiny_project import commit, copy_project, copy_studies, run, set_params
from trcgl.config import load_params
from trcgl.evaluation.bootstrap import patient_weights
from trcgl.metrics import prevalence_weights
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import replace_between
from trcgl.runtime.settings import override, read_yaml

FOLDER = STUDIES / "ablation"
EXTENDED = FOLDER / "extended"
DOCUMENT = YAML(typ="safe").load(FOLDER / "dvc.yaml")
DAG = DOCUMENT["stages"]
GENERATOR = runpy.run_path(str(FOLDER / "generate.py"))
HEADS = ["bce_linear", "csra", "mlgcn", "mldecoder_asl", "trcgl_paper", "trcgl"]
EXTRA = ["duplicates", "synthetic", "synthetic_025", "synthetic_050", "pretrain_finetune"]
FROM_BASE = ["base_images_grafts", "base_images_duplicates"]
ARMS = {*HEADS, *EXTRA, *FROM_BASE, "real_only", "base_images", "default", "csra_grafts"}
TINY_ARMS = ["bce_linear", "trcgl", "real_only", "synthetic", "default"]


def test_the_arms_are_these():
    study = load_study(FOLDER)
    assert set(study.arms) == ARMS
    assert len(study.seeds) >= 5
    listed = {name: stage["matrix"]["arm"] for name, stage in DAG.items() if "arm" in stage.get("matrix", {})}
    assert DOCUMENT["vars"] == [{"heads": HEADS}]
    assert listed == {
        "learning_rate": "${heads}", "head_arm": "${heads}", "extra_arm": EXTRA, "default_arm": ["default"],
        "rival_arm": ["csra_grafts"], "base_extra_arm": FROM_BASE,
        "base_backbone": ["base_images"], "base_arm": ["base_images"],
    }  # fmt: skip
    for arm in EXTRA + FROM_BASE:
        assert study.arm_params(arm, 0).classifier.extra_source != "none"
    for arm in [*HEADS, "base_images"]:
        assert study.arm_params(arm, 0).classifier.extra_source == "none"
    backbones = {arm: entry.backbone for arm, entry in study.arms.items() if entry.backbone}
    assert backbones == dict.fromkeys(["base_images", *FROM_BASE], "base_images")
    assert {arm: dict(entry.chosen_from) for arm, entry in study.arms.items() if entry.chosen_from} == {
        "csra": {"classifier.csra_lambda": (0.1, 0.3, 0.5)},
        "trcgl": {"classifier.gate_strength": (0.1, 0.0, 1.0)},
    }
    assert [arm for arm, entry in study.arms.items() if entry.same_as] == ["real_only"]
    assert study.arms["real_only"].same_as == "trcgl"
    rates = {arm: entry.learning_rate_of for arm, entry in study.arms.items()}
    assert rates == {arm: arm if arm in HEADS else "trcgl" for arm in study.arms} | {
        **dict.fromkeys(["default", *FROM_BASE]),
        "csra_grafts": "csra",
    }


def test_what_is_compared_with_what():
    references = {name: set(arm.references) for name, arm in load_study(FOLDER).arms.items()}
    assert all("bce_linear" in references[head] for head in HEADS[1:])
    assert "trcgl_paper" in references["trcgl"]
    assert references["default"] == {*HEADS[:-1], "real_only", "duplicates", "base_images"}


def test_arms_differ_in_what_they_are_about_alone():
    """Every arm takes as many epochs on real images as the default."""
    study = load_study(FOLDER)
    trcgl = study.arm_params("trcgl", 3, Chosen(0.004)).classifier
    for name, arm in study.arms.items():
        if arm.same_as or arm.shipped_samples:
            continue
        knobs = study.arm_params(name, 3, Chosen(0.004)).classifier
        changed = {key for key in vars(knobs) if getattr(knobs, key) != getattr(trcgl, key)}
        named = {key.removeprefix("classifier.") for other in (arm, study.arms["trcgl"]) for key in other.overrides}
        assert changed <= named
        assert knobs.epochs == trcgl.epochs
        assert knobs.seed == 3
        assert knobs.lr == 0.004
    assert study.arm_params("synthetic", 0).compute.threads == 1


def test_the_default_is_what_is_shipped():
    study, shipped = load_study(FOLDER), load_params(ROOT / "params.yaml")
    params = study.arm_params("default", 7, study.chosen("default"))
    assert replace(params.classifier, seed=shipped.classifier.seed) == shipped.classifier
    assert (study.params().sampling.images_per_finding or 0) >= (shipped.sampling.images_per_finding or 0)


def test_the_grid_is_around_the_shipped_rate_and_takes_all_epochs():
    study, shipped = load_study(FOLDER), load_params(ROOT / "params.yaml").classifier
    rates = study.learning_rates
    assert min(rates.grid) < shipped.lr < max(rates.grid)
    assert len(set(rates.seeds) - set(study.seeds)) == 3
    knobs = study.arm_params("csra", 100, Chosen(rates.grid[0], {"classifier.csra_lambda": 0.3})).classifier
    assert (knobs.head, knobs.lr, knobs.epochs, knobs.seed) == ("csra", rates.grid[0], shipped.epochs, 100)
    assert knobs.csra_lambda == 0.3


def peak(at: float) -> Callable[[float], float]:
    return lambda rate: -abs(math.log(rate / at))


@pytest.mark.parametrize(
    ("at", "asked"),
    [
        (0.004, {0.002, 0.004, 0.008}),
        (0.0005, {0.008, 0.004, 0.002, 0.001, 0.0005, 0.00025}),
        (0.02, {0.002, 0.004, 0.008, 0.016, 0.032}),
    ],
)
def test_the_grid_grows_until_the_best_is_inside(at: float, asked: set[float]):
    seen: list[float] = []
    best = bracketed([0.008, 0.002, 0.004], lambda rate: seen.append(rate) or peak(at)(rate), of="arm")
    assert best == min(asked, key=lambda rate: -peak(at)(rate))
    assert len(seen) == len(asked)
    assert set(seen) == asked
    assert min(asked) < best < max(asked)


def test_a_grid_that_does_not_bracket_is_one_line():
    with pytest.raises(InputError, match=r"^arm: 0\.256 is the best .* from 0\.002 to 0\.256, .* the grid higher$"):
        bracketed([0.002, 0.004], lambda rate: rate, of="arm")
    with pytest.raises(InputError, match="start the grid lower"):
        bracketed([0.002], lambda rate: -rate, of="arm")
    with pytest.raises(InputError, match="no finding can be scored"):
        bracketed([0.002], lambda rate: math.nan, of="arm")


def test_a_pretrained_arm_trains_in_full_after_it():
    study = load_study(FOLDER)
    chosen = Chosen(0.004)
    before, after = (params("base_images", 3, chosen) for params in (study.pretraining_params, study.arm_params))
    assert after == study.arm_params("trcgl", 3, chosen)
    assert replace(before.classifier, head="trcgl") == after.classifier


def test_a_wrong_name_is_one_line(tmp_path: Path):
    with pytest.raises(InputError, match="has no arm 'synthetics'"):
        load_study(FOLDER).arm_params("synthetics", 0)
    with pytest.raises(InputError, match="arm 'real_only' is the same as 'trcgl'"):
        load_study(FOLDER).arm_params("real_only", 0)
    with pytest.raises(InputError, match=r"has no key 'sampling\.images'"):
        override({"sampling": {"steps": 1}}, {"sampling.images": 3}, "params.yaml")
    with pytest.raises(InputError, match="has no place for results"):
        replace_between(tmp_path / "results.md", "ablation", "text")
    empty = replace(load_study(FOLDER), folder=tmp_path)
    with pytest.raises(InputError, match=r"bce_linear-0/predictions\.parquet: missing; no arm has run with every seed"):
        finished(empty)
    with pytest.raises(InputError, match="choose the learning rate of arm 'trcgl' first"):
        empty.chosen("synthetic")


def made_up_study(arms: dict[str, Arm]) -> Study:
    return Study("made_up", Path(), Path(), {}, {}, arms, (0, 1, 2), 150, LearningRates((0.1,), (9,)))


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
    groups, extra = np.array(["head", "medium", "tail", "tail"]), dict.fromkeys(scores, 7)
    runs = Runs(groups, patients, split, scores, extra, prevalence_weights(split["test"], [0.2, 0.2, 0.03, 0.0]))
    return runs, made_up_study({"a": Arm("control", (), {}), "b": Arm("synthetic", (), {})})


def plain_map(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
    """Mean average precision by a loop over findings."""
    values = []
    for y, p in zip(labels.T, scores.T, strict=True):
        used = ~np.isnan(y) & (weights > 0)
        if 0 < y[used].sum() < used.sum():
            values.append(average_precision_score(y[used], p[used], sample_weight=weights[used]))
    return float(np.mean(values))


@pytest.mark.parametrize("metric", ["mAP", "mAP_prevalence"])
def test_differences_and_intervals_equal_a_plain_loop(metric: str):
    runs, study = made_up_runs()
    fixed = np.ones(160) if metric == "mAP" else runs.weights
    assert fixed is not None
    table = comparisons(runs, study, "b").set_index("metric")
    assert table["reference"].unique().tolist() == ["a"]
    labels = runs.labels["test"]
    weights = patient_weights(runs.patients["test"], 150, 0)

    def gain(seed: int, times: np.ndarray) -> float:
        ours, other = (plain_map(labels, runs.scores[arm, seed]["test"], times * fixed) for arm in "ba")
        return ours - other

    by_seed = np.array([gain(seed, np.ones(len(labels), dtype=int)) for seed in (0, 1, 2)])
    resampled = np.array([[gain(seed, times) for times in weights] for seed in (0, 1, 2)])
    row = table.loc[metric].to_dict()
    assert row["difference"] == pytest.approx(by_seed.mean())
    assert (row["low"], row["high"]) == pytest.approx(t_interval(by_seed, resampled, 80))
    assert row["low"] > 0
    assert row["seeds"] == 3


def test_arms_count_once_they_have_run_with_every_seed(tmp_path: Path):
    planned = replace(load_study(FOLDER), folder=tmp_path)
    for arm, seeds in (("bce_linear", planned.seeds), ("trcgl", planned.seeds), ("csra", planned.seeds[1:])):
        for seed in seeds:
            folder = planned.run_of(arm, seed)
            folder.mkdir(parents=True)
            (folder / "predictions.parquet").touch()
    study = finished(planned)
    # real_only shares the runs of trcgl
    assert list(study.arms) == ["bce_linear", "trcgl", "real_only"]
    assert study.arms["trcgl"].references == ("bce_linear",)
    runs, made_up = made_up_runs()
    more = replace(made_up, arms={**made_up.arms, "late": Arm("heads", (), {})})
    block = results_block(arm_metrics(runs), comparisons(runs, made_up, None), made_up, None,
                          dict.fromkeys(made_up.arms, Chosen()), more)  # fmt: skip
    assert "Not run yet: `late`." in block


def test_the_best_arm_is_chosen_on_validation_images():
    runs, study = made_up_runs()
    metrics = arm_metrics(runs)
    more = {**study.arms, "c": Arm("synthetic", ("a",), {})}
    worse = metrics[metrics["arm"] == "b"].assign(arm="c")
    worse["value"] += np.where(worse["metric"].str.startswith("val_"), -0.1, 0.3)
    both = pd.concat([metrics, worse])
    assert best_on_validation(both, made_up_study(more)) == "b"
    chosen = {"a": Chosen(), "b": Chosen(0.002, {"classifier.csra_lambda": 0.3})}
    block = results_block(metrics, comparisons(runs, study, "b"), study, "b", chosen, study)
    assert "| a | as shipped | 7 |" in block
    assert "| b | 0.002, csra_lambda 0.3 | 7 |" in block
    assert "`b` is best on validation images" in block
    assert "| b | a | +" in block
    metrics.loc[metrics["metric"] == "medium_mAP", "value"] = math.nan
    assert "nan" not in results_block(metrics, comparisons(runs, study, "b"), study, "b", chosen, study)


def test_a_generator_is_what_the_root_pipeline_would_make():
    """Its stages read, beside what they write for each other, nothing but the folders that are linked."""
    root = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
    stages = [root[name] for name in GENERATOR["STAGES"]]
    entries = [entry for stage in stages for kind in ("outs", "metrics", "plots") for entry in stage.get(kind, [])]
    written = {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}
    assert set(GENERATOR["KEPT"]) <= written
    data = {dep for stage in stages for dep in stage["deps"] if dep.startswith("data/")} - written
    data.remove("data/models/baseline")  # The judge: the study's own
    assert {Path(dep).parts[1] for dep in data} <= {*GENERATOR["LINKED"], "assets"}
    assert {f"../../{dep}" for dep in data} <= {
        dep.replace("${data}", "../../data") for dep in DAG["generator"]["deps"]
    }
    knobs = {knob.split(".")[0] for stage in stages for knob in stage["params"]} - {"compute", "labels"}
    assert knobs <= {knob.split(".")[0] for knob in DAG["generator"]["params"][-1]["../../params.yaml"]}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of two heads, data arms and the default, and two seeds."""
    folder = copy_project(tmp_path_factory.mktemp("ablation") / "project")
    study = copy_studies(folder) / "ablation"
    (folder / "metrics").mkdir(exist_ok=True)
    (folder / "docs").mkdir()
    shutil.copy(ROOT / "docs/results.md", folder / "docs/results.md")
    set_params(
        study / "params.yaml",
        {
            "seeds": [0, 1],
            "resamples": 50,
            "learning_rates": [0.0001, 0.004, 1e30],  # The last breaks every training
            "learning_rate_seeds": [100, 101],
            "root.sampling.images_per_finding": 5,
            "base": "../../data",
        },
    )
    edit(study / "arms.yaml", fewer_arms)
    edit(study / "dvc.yaml", fewer_stages)
    for stage, script in STAND_INS.items():
        (folder / f"stages/{stage}.py").write_text(script)
    commit(folder, "study")
    run(folder, "dvc", "repro", "--quiet", "cache_images", "build_cooccurrence")
    run(study, "dvc", "repro", "--quiet", "dvc.yaml")
    commit(folder, "run")
    return folder


def fewer_arms(arms: Any) -> None:
    for name in ARMS - set(TINY_ARMS):
        del arms[name]
    arms["trcgl"]["chosen_from"] = {"classifier.attention_strength": [0.0, 0.5]}
    for entry in arms.values():
        entry["references"] = [name for name in entry["references"] if name in TINY_ARMS]


def fewer_stages(dag: Any) -> None:
    dag["vars"][0]["heads"] = ["bce_linear", "trcgl"]
    stages = dag["stages"]
    stages["extra_arm"]["matrix"]["arm"] = ["synthetic"]
    del stages["base_backbone"], stages["base_arm"], stages["base_extra_arm"], stages["rival_arm"]


def edit(path: Path, change: Callable[[Any], object]) -> None:
    yaml = YAML()
    document = yaml.load(path)
    change(document)
    yaml.dump(document, path)


def outdated(folder: Path) -> set[str]:
    """Stages whose inputs or outs are not those of their last run (a dry run would stop at an input still missing)."""
    status = json.loads(run(folder / "studies/ablation", "dvc", "status", "--json", "dvc.yaml"))
    return {name.split(":")[-1] for name in status}


@pytest.mark.slow
def test_what_the_study_leaves(project: Path):
    metrics = pd.read_csv(project / "metrics/ablation.csv")
    assert list(metrics.columns) == ["arm", "seed", "metric", "value"]
    assert len(metrics) == len(TINY_ARMS) * 2 * 13
    values = metrics.set_index(["arm", "seed", "metric"])["value"]
    pd.testing.assert_series_equal(values["real_only"], values["trcgl"])
    summary = pd.read_csv(project / "metrics/ablation_summary.csv")
    assert list(summary.columns) == ["arm", "reference", "metric", "mean", "difference", "low", "high", "seeds"]
    pairs = set(zip(summary["arm"], summary["reference"], strict=True))
    assert pairs == {
        ("trcgl", "bce_linear"), ("synthetic", "real_only"), ("default", "bce_linear"), ("default", "real_only"),
    }  # fmt: skip
    results = (project / "docs/results.md").read_text()
    assert "`synthetic` is best on validation images" in results
    assert "| default | as shipped |" in results
    assert (project / "docs/figures/ablation.png").stat().st_size > 0
    patients = pd.read_parquet(project / "data/labels/labels.parquet")["patient"]
    text = (project / "metrics/ablation.csv").read_text() + results
    assert not any(patient in text for patient in patients.unique() if len(patient) > 3)


@pytest.mark.slow
def test_the_rate_is_the_best_on_validation_images(project: Path):
    """The mean over the seeds, and inside the grid; the knob is chosen at the grid's middle rate before it."""
    runs = project / "studies/ablation/runs"
    for arm in ("bce_linear", "trcgl"):
        found = json.loads((runs / f"learning-rate-{arm}/learning_rate.json").read_text())
        tried = pd.DataFrame(found["tried"])
        at_middle = tried[tried["learning_rate"] == 0.004]
        if arm == "trcgl":
            knob = at_middle.groupby("classifier.attention_strength")["val_mAP"].mean()
            assert set(knob.index) == {0.0, 0.5}
            assert found["knobs"] == {"classifier.attention_strength": knob.idxmax()}
            tried = tried[tried["classifier.attention_strength"] == knob.idxmax()]
        assert set(tried.groupby("learning_rate")["seed"].agg(tuple)) == {(100, 101)}
        means = tried.groupby("learning_rate")["val_mAP"].mean()
        assert {0.0001, 0.004, 1e30} <= set(means.index)
        assert means[1e30] == 0 < means[0.0001]
        assert found["chosen"] == means.idxmax()
        assert means.index.min() < found["chosen"] < means.index.max()
        assert f"| {arm} | {found['chosen']:g}" in (project / "docs/results.md").read_text()


@pytest.mark.slow
def test_a_killed_choice_runs_nothing_twice(project: Path):
    """The script as DVC runs it, killed by its third run; the first two are not run again."""
    study = project / "studies/ablation"
    killed = [
        "import runpy, sys",
        "from trcgl.classifier.training import run",
        "train_and_save, ran = run.train_and_save, []",
        "def counted(name, *args, **kwargs):",
        "    ran.append(name)",
        "    print(name)",
        "    if len(ran) == int(sys.argv[2]):",
        "        raise KeyboardInterrupt",
        "    return train_and_save(name, *args, **kwargs)",
        "run.train_and_save = counted",
        "runpy.run_path('learning_rate.py', run_name='__main__')",
    ]
    (study / "killed.py").write_text("\n".join(killed))
    found = study / "runs/learning-rate-bce_linear/learning_rate.json"
    before = found.read_bytes()
    try:
        command = "PYTHONPATH=../../src:..:. python killed.py bce_linear {} || true"
        first, second = (run(study, "sh", "-c", command.format(at)) for at in (3, 100))
    finally:
        (study / "killed.py").unlink()
    began = [[line for line in said.splitlines() if line.startswith("ablation-learn")] for said in (first, second)]
    assert [name.rsplit("-", 1)[1] for name in began[0]] == ["100", "101", "100"]
    assert began[1][0] == began[0][2]
    assert not set(began[1]) & set(began[0][:2])
    assert found.read_bytes() == before
    assert not list(project.glob("studies/.resume/ablation*/*"))


@pytest.mark.slow
def test_the_judge_is_the_baseline_of_the_seed(project: Path):
    runs = project / "studies/ablation/runs"
    for seed in (0, 1):
        judge = json.loads((runs / f"generator-{seed}/synthetic.json").read_text())["judge"]
        assert Path(judge) == (runs / f"bce_linear-{seed}/model").resolve()
    with_model = {path.parent.parent.name for path in runs.glob("*/model/model.safetensors")}
    assert with_model == {"bce_linear-0", "bce_linear-1"}


@pytest.mark.slow
def test_the_default_takes_the_shipped_number_of_samples(project: Path):
    runs = project / "studies/ablation/runs"
    extra = {
        arm: {json.loads((runs / f"{arm}-{seed}/extra.json").read_text())["extra_images"] for seed in (0, 1)}
        for arm in ("trcgl", "synthetic", "default")
    }
    tail = pd.read_parquet(runs / "generator-0/synthetic/samples.parquet")["target"].nunique()
    assert extra == {"trcgl": {0}, "synthetic": {5 * tail}, "default": {3 * tail}}


@pytest.mark.slow
def test_the_numbers_follow_from_the_predictions(project: Path):
    """Every metric of every run by scikit-learn, and the differences from them."""
    metrics = pd.read_csv(project / "metrics/ablation.csv").set_index(["arm", "seed", "metric"])["value"]
    classes = json.loads((project / "data/labels/classes.json").read_text())["classes"]
    tail = {entry["name"] for entry in classes if entry["group"] == "tail"}
    for arm in ("bce_linear", "trcgl", "synthetic", "default"):
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
            test = table[table["split"] == "test"]
            names = [entry["name"] for entry in classes]
            wide = {
                column: test.pivot(index="image", columns="finding", values=column)[names].astype("float64").to_numpy()
                for column in ("label", "probability")
            }
            weights = prevalence_weights(wide["label"], [entry["prevalence"] for entry in classes])
            expected = plain_map(wide["label"], wide["probability"], weights)
            assert metrics[arm, seed, "mAP_prevalence"] == pytest.approx(expected, abs=1e-6)
    for row in pd.read_csv(project / "metrics/ablation_summary.csv").to_dict(orient="records"):
        ours = [metrics[row["arm"], seed, row["metric"]] for seed in (0, 1)]
        other = [metrics[row["reference"], seed, row["metric"]] for seed in (0, 1)]
        assert row["mean"] == pytest.approx(np.mean(ours))
        assert row["difference"] == pytest.approx(np.mean(ours) - np.mean(other))
        assert row["low"] <= row["high"]


@pytest.mark.slow
def test_seeds_and_arms_really_differ(project: Path):
    runs = project / "studies/ablation/runs"
    tables = [pd.read_parquet(path)["probability"] for path in sorted(runs.glob("*/predictions.parquet"))]
    assert len(tables) == 8
    assert not any(a.equals(b) for i, a in enumerate(tables) for b in tables[:i])
    seeds = [pd.read_parquet(runs / f"generator-{seed}/synthetic/samples.parquet")["seed"] for seed in (0, 1)]
    assert not seeds[0].equals(seeds[1])
    assert not list(project.glob("studies/.resume/ablation*/*"))


@pytest.mark.slow
def test_nothing_runs_again(project: Path):
    assert outdated(project) == set()


@pytest.mark.slow
def test_changed_code_is_known_to_the_stages_that_run_it_alone(project: Path):
    """Of a room and of the comparison; not of runtime, and byte code is no change."""
    cache = project / "src/trcgl/classifier/training/__pycache__"
    try:
        for changed in ("src/trcgl/audit/card.py", "src/trcgl/runtime/disk.py", "studies/comparison/figure.py"):
            with (project / changed).open("a") as module:
                module.write("# changed\n")
        cache.mkdir(exist_ok=True)
        (cache / "train.cpython-300.pyc").write_bytes(b"made by another Python")
        assert outdated(project) == {"generator@0", "generator@1", "summary"}
    finally:
        run(project, "git", "checkout", "-q", ".")


@pytest.mark.slow
def test_one_more_seed_runs_nothing_else(project: Path):
    try:
        set_params(project / "studies/ablation/params.yaml", {"seeds": [0, 1, 2]})
        assert outdated(project) == {
            "head_arm@bce_linear-2", "head_arm@trcgl-2", "generator@2", "extra_arm@synthetic-2",
            "default_arm@default-2", "summary",
        }  # fmt: skip
    finally:
        run(project, "git", "checkout", "-q", "studies")


@pytest.mark.slow
def test_one_more_arm_runs_nothing_else(project: Path):
    study = project / "studies/ablation"
    more = {"group": "heads", "references": ["bce_linear"], "overrides": {"classifier.head": "csra"}}
    try:
        edit(study / "arms.yaml", lambda arms: arms.update(csra=more))
        edit(study / "dvc.yaml", lambda dag: dag["vars"][0]["heads"].append("csra"))
        assert outdated(project) == {"learning_rate@csra", "head_arm@csra-0", "head_arm@csra-1", "summary"}
    finally:
        run(project, "git", "checkout", "-q", "studies")


@pytest.mark.slow
def test_a_pretrained_arm_takes_as_many_steps_before_and_after(project: Path):
    """The two scripts as DVC runs them, with the project's own images in place of the base generator's."""
    study = project / "studies/ablation"
    set_params(project / "params.yaml", {"classifier.epochs": 2})
    for name in ("arms.yaml", "dvc.yaml"):
        shutil.copy(FOLDER / name, study / name)
    try:
        for script in ("pretrain_backbone", "train_arm"):
            run(study, "sh", "-c", f"PYTHONPATH=../../src:.. python {script}.py base_images 0")
        before = pd.read_csv(study / "runs/backbone-base_images-0/history.csv")
        after = pd.read_csv(study / "runs/base_images-0/history.csv")
        assert len(before) == len(after) == 2
    finally:
        run(project, "git", "checkout", "-q", ".")


@pytest.mark.slow
def test_an_arm_with_another_sampler_takes_as_many_steps(project: Path):
    shipped = read_yaml(project / "params.yaml")
    study = replace(load_study(EXTENDED), data=project / "data", shipped=shipped)
    files = real_files(study.data)
    trcgl, class_aware = (
        steps_on_real_images(study.arm_params(arm, 0).classifier, files) for arm in ("trcgl", "class_aware_sampling")
    )
    assert steps_like(study, "class_aware_sampling", files) == trcgl > class_aware
    assert steps_like(study, "gate_only", files) is None
