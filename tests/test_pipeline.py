"""The whole pipeline as DVC runs it, at a tiny scale: what it leaves, what reruns, what never mixes."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from tests.import_graph import ROOT
from tests.test_report import check_page
from tests.tiny_project import commit, copy_project, run, set_params

pytestmark = pytest.mark.slow
DAG = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
STAGES = list(DAG)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished, committed run."""
    folder = copy_project(tmp_path_factory.mktemp("pipeline") / "project")
    run(folder, "dvc", "repro", "--quiet")
    commit(folder, "run")
    return folder


def ran(output: str) -> set[str]:
    """Stages that DVC says it runs."""
    return {name for name in STAGES if f"Running stage '{name}'" in output}


def downstream(names: set[str]) -> set[str]:
    """The stages and all that read, directly or through others, what they write."""
    reached = set(names)
    for name in STAGES * len(STAGES):  # as often as needed whatever their order
        outs = {path for other in reached for path in written(other)}
        if any(str(dep) == out or str(dep).startswith(f"{out}/") for dep in DAG[name]["deps"] for out in outs):
            reached.add(name)
    return reached


def written(name: str) -> set[str]:
    entries = [entry for kind in ("outs", "metrics", "plots") for entry in DAG[name].get(kind, [])]
    return {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}


def with_params(folder: Path, **sections: dict[str, object]) -> set[str]:
    """Stages that start with some knobs changed, and those that may follow; the change is taken back.

    A dry run lists the stages whose own inputs differ now; whether others follow depends on what these write.
    """
    before = (folder / "params.yaml").read_text()
    set_params(folder / "params.yaml", {f"{s}.{k}": v for s, knobs in sections.items() for k, v in knobs.items()})
    try:
        return downstream(ran(run(folder, "dvc", "repro", "--dry")))
    finally:
        (folder / "params.yaml").write_text(before)


def test_every_out_of_the_contract_is_there(project: Path):
    for path in (
        "data/phantom/labels.csv",
        "data/manifest.parquet",
        "data/labels/selected.parquet",
        "data/labels/labels.parquet",
        "data/labels/classes.json",
        "data/labels/rejected.parquet",
        "data/images/classifier/index.parquet",
        "data/images/diffusion/index.parquet",
        "data/images/unreadable.parquet",
        "data/places/places.parquet",
        "data/graph/cooccurrence.npz",
        "data/models/diffusion/model_index.json",
        "data/synthetic/samples.parquet",
        "data/synthetic_audit.parquet",
        "data/models/baseline/model.safetensors",
        "data/models/classifier/model.safetensors",
        "data/models/classifier/config.json",
        "data/models/classifier/classes.json",
        "data/models/classifier/thresholds.json",
        "data/predictions.parquet",
        "metrics/labels.json",
        "metrics/synthetic.json",
        "metrics/synthetic_card.md",
        "metrics/validation.json",
        "metrics/model_card.md",
        "metrics/per_class.csv",
        "metrics/differences.csv",
        "metrics/subgroups.csv",
        "metrics/localisation.csv",
        "metrics/intervals.csv",
    ):
        assert (project / path).stat().st_size > 0, path


def test_metrics_have_the_contract_keys(project: Path):
    metrics = json.loads((project / "metrics/metrics.json").read_text())
    block = ["mAP", "head_mAP", "medium_mAP", "tail_mAP", "mAUC", "mF1", "ECE"]
    assert list(metrics["trcgl"]) == block
    assert list(metrics["baseline"]) == block
    assert list(metrics["gain"]) == ["mAP", "tail_mAP", "tail_mAP_low", "tail_mAP_high"]
    assert metrics["scored_classes"] >= 1
    assert sum(len(v) if isinstance(v, dict) else 1 for v in metrics.values()) <= 20
    assert all(np.isfinite(v) for v in metrics["trcgl"].values())
    per_class = pd.read_csv(project / "metrics/per_class.csv")
    assert list(per_class.columns[:8]) == ["model", "class", "group", "positives", "AP", "AUC", "F1", "threshold"]
    predictions = pd.read_parquet(project / "data/predictions.parquet")
    assert list(predictions.columns) == ["model", "image", "finding", "label", "probability"]


def test_the_page_of_files_names_every_output_and_column(project: Path):
    page = (ROOT / "docs/reference/files.md").read_text()
    named = [
        entry if isinstance(entry, str) else next(iter(entry))
        for stage in DAG.values()
        for entry in (*stage.get("outs", ()), *stage.get("metrics", ()))
    ]
    pictures_and_phantom = ("metrics/plots", "data/phantom")
    assert [path for path in named if path not in page and not path.startswith(pictures_and_phantom)] == []
    findings = [entry["name"] for entry in json.loads((project / "data/labels/classes.json").read_text())["classes"]]
    tables = [path for path in (project / "data").rglob("*.parquet") if "phantom" not in path.parts]
    tables += [project / path for path in named if path.endswith(".csv")]
    columns = {
        column
        for path in tables
        for column in (pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)).columns
    }
    assert len(columns) > 60
    assert sorted(column for column in columns - set(findings) if f"`{column}`" not in page) == []


def test_figures_to_choose_by_are_the_best_epochs_on_validation_images(project: Path):
    figures = json.loads((project / "metrics/validation.json").read_text())["val"]
    assert list(figures) == ["mAP", "head_mAP", "medium_mAP", "tail_mAP"]
    history = pd.read_csv(project / "metrics/classifier_history.csv")
    # The history's scores are in the precision of training, those of the saved model in float32
    assert figures["mAP"] == pytest.approx(history["val_mAP"].max(), abs=0.01)


def test_metrics_follow_from_the_predictions(project: Path):
    """AP recomputed by scikit-learn from the predictions that were written."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    predictions = pd.read_parquet(project / "data/predictions.parquet").dropna(subset=["label"])
    for row in pd.read_csv(project / "metrics/per_class.csv").to_dict(orient="records"):
        part = predictions[(predictions["model"] == row["model"]) & (predictions["finding"] == row["class"])]
        label = part["label"].to_numpy(dtype=int)
        if 0 < label.sum() < len(label):
            assert row["AP"] == pytest.approx(average_precision_score(label, part["probability"]), abs=1e-9)
            assert row["AUC"] == pytest.approx(roc_auc_score(label, part["probability"]), abs=1e-9)
            assert row["positives"] == label.sum()


@pytest.mark.parametrize("model", ["baseline", "classifier"])
def test_a_model_says_how_its_pictures_are_made(project: Path, model: str):
    config = json.loads((project / "data/models" / model / "config.json").read_text())
    assert config["preparation"] == {"window_low": 0.5, "window_high": 99.5, "resize": "pad"}
    assert config["weights_have_seen"] == ["phantom"]
    assert config["extra_source"] == ("none" if model == "baseline" else "synthetic")


def test_the_page_tells_the_run(project: Path):
    check_page(project)


def test_localisation_covers_both_models(project: Path):
    table = pd.read_csv(project / "metrics/localisation.csv")
    assert set(zip(table["model"], table["method"], strict=True)) == {
        ("baseline", "class_map"), ("baseline", "grad_cam"), ("trcgl", "class_map"), ("trcgl", "grad_cam"),
        ("none", "mean_training_mask"),
    }  # fmt: skip
    assert table["pointing"].between(0, 1).all()


def test_no_patient_is_in_two_splits(project: Path):
    labels = pd.read_parquet(project / "data/labels/labels.parquet")
    assert labels.groupby("patient")["split"].nunique().max() == 1
    assert set(labels["split"]) == {"train", "val", "test"}


def test_rows_and_images_add_up(project: Path):
    raw = pd.read_csv(project / "data/phantom/labels.csv", dtype=str)
    labels = pd.read_parquet(project / "data/labels/labels.parquet")
    rejected = pd.read_parquet(project / "data/labels/rejected.parquet")
    assert len(raw) == len(labels) + len(rejected)
    assert (rejected["reason"] != "").all()
    selected = pd.read_parquet(project / "data/labels/selected.parquet")
    unreadable = pd.read_parquet(project / "data/images/unreadable.parquet")
    for size in ("classifier", "diffusion"):
        index = pd.read_parquet(project / f"data/images/{size}/index.parquet")
        assert len(selected) == len(index) + len(unreadable)


def test_no_synthetic_image_outside_training(project: Path):
    samples = set(pd.read_parquet(project / "data/synthetic/samples.parquet")["sample"])
    assert samples
    assert not samples & set(pd.read_parquet(project / "data/labels/labels.parquet")["image"])
    assert not samples & set(pd.read_parquet(project / "data/predictions.parquet")["image"])


def test_nothing_runs_again_and_status_is_clean(project: Path):
    assert ran(run(project, "dvc", "repro")) == set()
    assert "up to date" in run(project, "dvc", "status", "dvc.yaml")


@pytest.mark.parametrize("knob", [{"lr": 0.01}, {"loss": "asl"}, {"graph_strength": 1.0}, {"adjacency": "identity"}])
def test_a_classifier_knob_reruns_training_and_evaluation_only(project: Path, knob: dict[str, object]):
    assert with_params(project, classifier=knob) == {"train_classifier", "evaluate", "report"}


def test_a_sampling_knob_reruns_nothing_upstream(project: Path):
    assert with_params(project, sampling={"guidance_scale": 5.0}) == {
        "sample_tail", "audit_synthetic", "train_classifier", "evaluate", "report",
    }  # fmt: skip


def test_other_knobs_rerun_what_depends_on_them(project: Path):
    assert with_params(project, evaluation={"bootstrap_samples": 30}) == {"evaluate", "report"}
    assert with_params(project, compute={"workers": 2, "device": "cpu"}) == set()
    assert with_params(project, dataset={"boxes": "None"}) == {"read_boxes", "train_classifier", "evaluate", "report"}
    assert with_params(project, baseline={"lr": 0.01}) == {
        "train_baseline", "audit_synthetic", "train_classifier", "evaluate", "report",
    }  # fmt: skip


@pytest.mark.parametrize("knob", [{"min_positives": 2}, {"tail_below": 0.04}, {"split_seed": 5}])
def test_new_classes_or_splits_never_decode_an_image(project: Path, tmp_path: Path, knob: dict[str, object]):
    """The label stage runs; the images selected come out byte for byte the same, so the cache stays."""
    set_params(project / "params.yaml", {f"labels.{key}": value for key, value in knob.items()})
    if "split_seed" in knob:
        set_params(project / "params.yaml", {"dataset.split_file": None})
    try:
        run(project, "dvc", "repro", "--quiet", "parse_labels")
        assert "up to date" in run(project, "dvc", "status", "cache_images")
    finally:
        run(project, "git", "checkout", "-q", "params.yaml", "dvc.lock", "metrics")
        run(project, "dvc", "checkout", "--quiet", "--force")


def test_experiments_run_and_compare(project: Path):
    """`dvc exp run -S` on a knob of the classifier: what really ran, shown beside the commit it started from."""
    output = run(project, "dvc", "exp", "run", "--name", "asymmetric", "-S", "classifier.loss=asl")
    assert ran(output) == {"train_classifier", "evaluate", "report"}
    shown = pd.read_csv(_saved(project, "shown.csv", run(project, "dvc", "exp", "show", "--csv")))
    experiment = shown.loc[shown["Experiment"] == "asymmetric"].iloc[0]
    assert experiment["classifier.loss"] == "asl"
    assert np.isfinite(experiment["trcgl.mAP"])
    changed = json.loads(run(project, "dvc", "metrics", "diff", "--json"))["metrics/metrics.json"]
    assert "trcgl.mAP" in changed
    assert "baseline.mAP" not in changed
    run(project, "git", "checkout", "-q", ".")
    run(project, "dvc", "checkout", "--quiet", "--force")


def _saved(folder: Path, name: str, text: str) -> Path:
    path = folder.parent / name
    path.write_text(text[text.index("Experiment") :])
    return path


def test_a_queued_experiment_runs_the_code_it_was_queued_with(project: Path):
    source = project / "stages" / "evaluate.py"
    original = source.read_text()
    marked = original.replace("def main() -> None:\n", 'def main() -> None:\n    print("queued code")\n')
    source.write_text(marked)
    run(project, "dvc", "exp", "run", "--quiet", "--queue", "--name", "queued", "-S", "evaluation.bootstrap_samples=16")
    source.write_text(
        original.replace("def main() -> None:\n", 'def main() -> None:\n    raise SystemExit("edited")\n')
    )
    try:
        run(project, "dvc", "exp", "run", "--run-all")
    finally:
        source.write_text(original)
    shown = run(project, "dvc", "exp", "show", "--csv")
    assert "queued" in shown
    run(project, "dvc", "exp", "apply", "queued")
    assert json.loads((project / "metrics/metrics.json").read_text())["scored_classes"] >= 1
    assert 'print("queued code")' in source.read_text()
    run(project, "git", "checkout", "-q", ".")


def test_stage_one_can_be_left_out(project: Path):
    """Empty, valid outputs of its three stages, a classifier of real images alone, and a report that says so."""
    before = (project / "params.yaml").read_text()
    set_params(project / "params.yaml", {"diffusion.base": None})
    try:
        run(project, "dvc", "repro", "--quiet", "report")
        assert json.loads((project / "data/models/diffusion/trcgl.json").read_text()) == {"base": None}
        assert pd.read_parquet(project / "data/synthetic/samples.parquet").empty
        assert pd.read_parquet(project / "data/synthetic_audit.parquet").empty
        synthetic = json.loads((project / "metrics/synthetic.json").read_text())
        assert (synthetic["drawn"], synthetic["accepted"]) == (0, 0)
        config = json.loads((project / "data/models/classifier/config.json").read_text())
        assert config["extra_images"] == 0
        assert "Stage one was left out" in (project / "metrics/report.html").read_text()
        assert run(project, "dvc", "status").splitlines()[-1] == "Data and pipelines are up to date."
    finally:
        (project / "params.yaml").write_text(before)
        run(project, "dvc", "repro", "--quiet")


@pytest.mark.slow
def test_predictions_are_of_all_test_images_and_no_others(project: Path):
    labels = pd.read_parquet(project / "data/labels/labels.parquet")
    cached = set(pd.read_parquet(project / "data/images/classifier/index.parquet")["image"])
    wanted = set(labels.loc[labels["split"] == "test", "image"]) & cached
    parts = dict(tuple(pd.read_parquet(project / "data/predictions.parquet").groupby("model")))
    assert set(parts) == {"baseline", "trcgl"}
    for part in parts.values():
        assert set(part["image"]) == wanted
