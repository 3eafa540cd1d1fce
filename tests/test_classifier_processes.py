"""Several processes train one model: what they average, and that two come to what one comes to."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from tests.classifier_cases import CONVNEXT, NAMES, baseline_params, separable, with_synthetic
from tests.import_graph import ROOT
from tests.stage_scripts import script
from tests.tiny_project import set_params
from trcgl.artifacts.places import FRAME, encode_mask
from trcgl.artifacts.shards import ShardWriter
from trcgl.classifier.training.build import build_model
from trcgl.classifier.training.data import TrainingData
from trcgl.classifier.training.together import gradients_and_statistics, predict_together
from trcgl.graph.cooccurrence import count_cooccurrence
from trcgl.numerics import processes as launch
from trcgl.numerics.processes import Processes, join_processes, stop_unless_together
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import write_json, write_parquet


def test_the_mean_over_the_processes(monkeypatch: pytest.MonkeyPatch):
    """Two others hold 10 more in every place."""
    monkeypatch.setattr(launch.distributed, "all_reduce", lambda tensor: tensor.copy_(3 * tensor + 20))
    images = torch.rand(2, 3, 4, 4).to(memory_format=torch.channels_last)
    scalars = torch.zeros(2)
    expected = images + 20 / 3
    Processes(0, 3).average([scalars[1], images])
    assert torch.allclose(images, expected)
    assert scalars.tolist() == pytest.approx([0, 20 / 3])


def test_one_gpu_by_its_number_is_not_for_several_processes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match=r"^'compute\.device' is 'cuda:1', but 2 processes were started.*to auto$"):
        join_processes(torch.device("cuda:1"))


def test_statistics_are_averaged_where_they_move():
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.BatchNorm2d(2))
    model[2].eval()
    model[2].requires_grad_(False)
    model(torch.rand(3, 1, 4, 4)).sum().backward()
    averaged = [id(tensor) for tensor in gradients_and_statistics(model)]
    wanted = [model[0].weight.grad, model[0].bias.grad, model[1].weight.grad, model[1].bias.grad]
    assert averaged == [id(tensor) for tensor in (*wanted, model[1].running_mean, model[1].running_var)]


def test_every_image_is_predicted_by_one_process(monkeypatch: pytest.MonkeyPatch):
    data = separable()
    model = build_model(baseline_params(), data, None)
    parts: list[torch.Tensor] = []
    monkeypatch.setattr(Processes, "add", lambda self, tensor: parts.append(tensor.clone()))
    for index in range(3):
        predict_together(model, data, Processes(index, 3), batch_size=8, precision="fp32", section="baseline")
    assert (torch.stack([(part != 0).any(dim=1) for part in parts]).sum(dim=0) == 1).all()
    whole = predict_together(model, data, Processes(), batch_size=8, precision="fp32", section="baseline")
    assert torch.stack(parts[:3]).sum(dim=0).numpy() == pytest.approx(whole, abs=1e-6)


def test_processes_that_continue_from_different_places_stop(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Processes, "add", lambda self, tensor: tensor.copy_(torch.tensor([4, 0])))
    for index, done in enumerate((4, 0)):
        with pytest.raises(InputError, match=r"different epochs \(\[4, 0\]\).*let them share the project folder"):
            stop_unless_together(done, "epochs", Processes(index, 2), torch.device("cpu"))


def project(folder: Path, data: TrainingData) -> Path:
    """What stages/train_classifier.py reads."""
    count = len(data.names) - len(data.synthetic)
    real = np.setdiff1d(np.arange(len(data.names)), data.synthetic)
    for name, rows in (("data/images/classifier", real), ("data/synthetic", data.synthetic)):
        (folder / name).mkdir(parents=True)
        writer = ShardWriter(folder / name, data.image_size, 4096)
        for row in rows:
            writer.add(str(data.names[row]), data.images[np.array([row])][0])
        writer.close()
    split = np.where(np.isin(real, data.train), "train", "val")
    labels = pd.DataFrame({"image": [data.names[row] for row in real], "split": split})
    findings = pd.DataFrame(data.targets[real], columns=pd.Index(NAMES)).astype("Int8")
    assert len(labels) == count
    write_parquet(folder / "data/labels/labels.parquet", pd.concat([labels, findings], axis=1))
    classes = zip(NAMES, data.class_groups, strict=True)
    write_json(
        folder / "data/labels/classes.json", {"classes": [{"name": name, "group": group} for name, group in classes]}
    )
    (folder / "data/graph").mkdir()
    count_cooccurrence(data.targets[data.train], NAMES, 1.0).save(folder / "data/graph/cooccurrence.npz")
    samples = pd.DataFrame(
        {
            "sample": [data.names[row] for row in data.synthetic],
            "target": [NAMES[target] for target in data.synthetic_target],
            "findings": [[NAMES[target]] for target in data.synthetic_target],
            "unknown": [[] for _ in data.synthetic_target],
        }
    )
    write_parquet(folder / "data/synthetic/samples.parquet", samples)
    verdicts = samples[["sample"]].assign(
        accepted=True, unverified=pd.Series([[] for _ in range(len(samples))], dtype=object)
    )
    write_parquet(folder / "data/synthetic_audit.parquet", verdicts)
    # Of the first finding in every other of its training images
    mask = np.zeros((FRAME, FRAME), dtype=bool)
    mask[40:120, 150:220] = True
    shown = [data.names[row] for row in data.train[data.targets[data.train, 0] == 1][::2]]
    places = pd.DataFrame({"image": shown, "finding": NAMES[0], "mask": encode_mask(mask)})
    write_parquet(folder / "data/places/places.parquet", places)
    shutil.copy(ROOT / "params.yaml", folder)
    classifier = {
        "backbone": "convnext_atto",  # No BatchNorm: its statistics are those of one process's images
        "backbone_options": CONVNEXT,
        "graph_strength": 0.0,  # The graph has dropout
        "frozen_epochs": 1,
        "epochs": 3,
        "retrain_head_epochs": 1,
        "batch_size": 16,
        "accumulate": 2,
        "ema_decay": 0.9,
        "noise": 0.02,
        "label_vectors": None,  # There are none for these findings
    }
    compute = {"threads": 1, "device": "cpu", "precision": "fp32"}
    set_params(
        folder / "params.yaml",
        {f"classifier.{name}": value for name, value in classifier.items()}
        | {f"compute.{name}": value for name, value in compute.items()},
    )
    return folder


def trained_by_two(folder: Path) -> str:
    """The log of stages/train_classifier.py as two processes."""
    launcher = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines", "1", "--num_processes", "2"]
    launcher += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    command = [sys.executable, *launcher, str(ROOT / "stages" / "train_classifier.py")]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DVC_")}
    environment = kept | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stderr


def left(folder: Path) -> tuple[pd.DataFrame, dict[str, torch.Tensor]]:
    """History and weights."""
    weights = load_file(folder / "data/models/classifier/model.safetensors")
    return pd.read_csv(folder / "metrics/classifier_history.csv"), weights


@pytest.mark.slow
def test_two_processes_reach_the_loss_curve_of_one(tmp_path: Path):
    """Through the stage: a frozen phase, extra images of less weight, places, noise, micro-batches and a new head."""
    data = with_synthetic(separable(), 30)
    with contextlib.chdir(project(tmp_path / "one", data)):
        script("train_classifier").main()
    log = trained_by_two(project(tmp_path / "two", data))
    one, weights_of_one = left(tmp_path / "one")
    two, weights_of_two = left(tmp_path / "two")
    assert one["phase"].tolist() == two["phase"].tolist() == ["head", "all", "all", "all", "retrain"]
    assert one["loss"].max() - one["loss"].min() > 0.05
    assert two["loss"].to_numpy() == pytest.approx(one["loss"].to_numpy(), rel=1e-5)
    assert two["val_mAP"].to_numpy() == pytest.approx(one["val_mAP"].to_numpy(), abs=1e-3)
    for name, weight in weights_of_one.items():
        assert (weights_of_two[name] - weight).norm() <= 1e-4 * weight.norm(), name
    assert log.count("epoch 5/5") == 1  # the second process is silent
    assert "class maps learn from" in log
    assert not list(tmp_path.glob("*/.resume/train_classifier/*"))


@pytest.mark.parametrize(
    ("precision", "message"),
    [
        ("fp32", r"is not finite \(float32\); lower 'baseline\.lr' and 'baseline\.head_lr'$"),
        ("bf16", r"is not finite \(bfloat16\); set 'compute\.precision' to fp32, or lower 'baseline\.lr' and"),
    ],
)
def test_scores_that_are_no_numbers_stop_the_training(precision: str, message: str):
    data = separable()
    model = build_model(baseline_params(), data, None)
    with torch.no_grad():
        next(model.head.parameters()).fill_(float("inf"))
    with pytest.raises(InputError, match=message):
        predict_together(model, data, Processes(), batch_size=8, precision=precision, section="baseline")
