"""Several processes train one generator: what one comes to, and how they leave together."""

import contextlib
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from diffusers.training_utils import EMAModel
from ruamel.yaml import YAML
from safetensors.torch import load_file
from torch import Tensor

from tests.diffusion_cases import CLASSES, label_table, write_images
from tests.import_graph import ROOT
from tests.stage_scripts import script
from tests.tiny_base import shared_base
from tests.tiny_project import set_params
from trcgl.cli import main as command
from trcgl.config import load_params
from trcgl.diffusion.finetuning import loop
from trcgl.diffusion.finetuning.heldout import HeldOut
from trcgl.diffusion.finetuning.journal import Journal
from trcgl.diffusion.finetuning.loop import train
from trcgl.diffusion.finetuning.phase import Phase
from trcgl.diffusion.finetuning.schedule import Schedule
from trcgl.diffusion.finetuning.state import restore_average
from trcgl.diffusion.pretraining import base_folder
from trcgl.diffusion.pretraining.base_folder import pretrain_folder
from trcgl.diffusion.pretraining.settings import load_pretrain_params
from trcgl.numerics.processes import Processes
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import read_json, write_json
from trcgl.runtime.stopping import Stopped

TINY = {
    "base": "base",
    "steps": 4,
    "batch_size": 4,
    "prompt_tokens": 3,
    "lora_rank": 2,
    "text_lora_rank": 2,
    "warmup_steps": 1,
    "prompt_dropout": 0.5,
}
TINY_BASE = {
    "start": None,
    "latent_channels": 8,
    "autoencoder_channels": [8, 8],
    "autoencoder_steps": 3,
    "autoencoder_batch": 4,
    "autoencoder_lr": 0.003,
    "text_width": 16,
    "text_layers": 1,
    "unet_channels": [8, 8],
    "unet_steps": 3,
    "unet_batch": 4,
    "unet_lr": 0.002,
    "unet_ema": 0.99,
    "repeat_threshold": 0.0,
    "repeat_max": 10.0,
}


def project(folder: Path) -> Path:
    """What `trcgl pretrain` and finetune_diffusion read."""
    (folder / "data/labels").mkdir(parents=True)
    label_table().to_parquet(folder / "data/labels/labels.parquet")
    write_json(folder / "data/labels/classes.json", CLASSES)
    (folder / "data/images/diffusion").mkdir(parents=True)
    write_images(folder / "data/images/diffusion")
    (folder / "data/assets").symlink_to(ROOT / "data/assets")
    shutil.copy(ROOT / "params.yaml", folder)
    compute = {"compute.threads": 1, "compute.device": "cpu", "compute.precision": "fp32"}
    set_params(folder / "params.yaml", {f"diffusion.{name}": value for name, value in TINY.items()} | compute)
    YAML().dump(TINY_BASE, folder / "pretrain.yaml")
    return folder


def launched(folder: Path, processes: int, *words: str) -> str:
    """What a script says as that many processes."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DVC_")}
    environment = kept | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*launcher, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    return done.stderr


PRETRAIN = ("pretrain", "--settings", "pretrain.yaml", "--out", "base")


def trained_alone(folder: Path) -> None:
    """A base from nothing, and stages/finetune_diffusion.py on it, in this process: it has the imports."""
    with contextlib.chdir(folder):
        assert command(PRETRAIN) == 0
        script("finetune_diffusion").main()


def trained_by_two(folder: Path) -> str:
    """Likewise by two processes; what the second script says."""
    launched(folder, 2, "-m", "trcgl.cli", *PRETRAIN)
    return launched(folder, 2, str(ROOT / "stages/finetune_diffusion.py"))


def left(folder: Path) -> tuple[dict[str, Tensor], pd.DataFrame, float]:
    """Weights, loss curves and held-out loss."""
    weights = {
        f"{path.parent.name}/{name}": weight
        for path in sorted((folder / "data/models/diffusion").rglob("*.safetensors"))
        for name, weight in load_file(path).items()
    }
    curve = pd.concat([pd.read_csv(folder / file) for file in ("base/loss.csv", "metrics/diffusion_loss.csv")])
    return weights, curve, read_json(folder / "metrics/diffusion.json")["held_out_tail_loss"]["finetuned"]


@pytest.mark.slow
def test_two_processes_train_the_generator_of_one(tmp_path: Path):
    """All three phases: autoencoder, base, and prompt tokens with LoRA on U-Net and text encoder."""
    trained_alone(project(tmp_path / "one"))
    log = trained_by_two(project(tmp_path / "two"))
    one, curve, loss = left(tmp_path / "one")
    two, curve_of_two, loss_of_two = left(tmp_path / "two")
    assert curve_of_two["phase"].tolist() == curve["phase"].tolist()
    assert set(curve["phase"]) == {"autoencoder", "base", "prompt"}
    assert curve_of_two["loss"].to_numpy() == pytest.approx(curve["loss"].to_numpy(), rel=1e-4)
    assert loss_of_two == pytest.approx(loss, rel=1e-4)
    assert one.keys() == two.keys()
    # Not of the base: biases before a norm have no gradient but rounding, which Adam makes as large as any
    learned = [name for name in one if name.startswith("diffusion/")]
    assert any("lora" in name for name in learned)
    for name in learned:
        assert (two[name] - one[name]).norm() <= 1e-2 * one[name].norm() + 1e-4, name
    assert log.count("denoising loss on") == 1  # the second process is silent
    assert not list(tmp_path.glob("*/.resume/finetune_diffusion/*"))


def one_layer(processes: Processes, batch_size: int = 4, steps: int = 5) -> tuple[torch.nn.Linear, Any]:
    layer, journal = torch.nn.Linear(2, 1), Journal()
    phase = Phase(
        name="layer", modules=[layer], groups=[{"params": list(layer.parameters()), "lr": 0.1}],
        batch_of=lambda step: torch.ones(4, 2)[processes.share(4)],
        loss_of=lambda batch, noise: layer(batch).square().mean(), images_of=lambda step: [],
        batch_size=batch_size, epoch_images=4, seed=0, schedule=Schedule(steps, 1), clip_norm=0.0,
    )  # fmt: skip
    train(phase, journal, processes)
    return layer, journal


def test_a_batch_that_does_not_divide_is_one_line():
    with pytest.raises(
        InputError, match=r"'batch_size' is 4, which does not divide .* 3 processes; make it a multiple of 3"
    ):
        one_layer(Processes(0, 3))


def test_a_process_leaves_when_another_was_asked(monkeypatch: pytest.MonkeyPatch):
    """From the third step on the other one has been asked; nobody leaves before the next row of the curve."""
    steps: list[int] = []

    def with_another(self: Processes, tensors: list[Tensor]) -> None:
        steps.append(len(steps))
        tensors[1].fill_(0.5 if len(steps) >= 3 else 0.0)

    monkeypatch.setattr(Processes, "average", with_another)
    monkeypatch.setattr(Processes, "add", lambda self, places: None)
    monkeypatch.setattr(loop, "CURVE_ROWS", 2)  # A row every fourth of eight steps
    with pytest.raises(Stopped):
        one_layer(Processes(0, 2), steps=8)
    assert len(steps) == 4


def test_processes_that_continue_from_different_steps_stop(monkeypatch: pytest.MonkeyPatch):
    """One found a kept state, another did not: their averaged gradients would belong to different weights."""
    monkeypatch.setattr(Processes, "add", lambda self, places: places.copy_(torch.tensor([0, 3])))
    with pytest.raises(InputError, match=r"different steps of phase 'layer' \(\[0, 3\]\).*let them share"):
        one_layer(Processes(0, 2))


def test_a_kept_average_goes_to_the_weights_device():
    """Kept states are read into the CPU's memory, and the average of weights on a GPU must not stay there."""
    weights = [torch.nn.Parameter(torch.ones(2, device="meta"))]
    state = EMAModel([torch.nn.Parameter(torch.ones(2))], decay=0.9).state_dict()
    average = EMAModel(weights, decay=0.9)
    restore_average(average, state, weights[0].device)
    assert [shadow.device.type for shadow in average.shadow_params] == ["meta"]


def test_the_stage_teaches_training_images_and_asks_of_validation_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project(tmp_path))
    set_params(Path("params.yaml"), {"diffusion.base": str(shared_base())})
    stage, given = script("finetune_diffusion"), list[Any]()

    def noted(params: Any, rows: Any, held_out: Any, *_: Any, **__: Any) -> HeldOut:
        given.extend([rows.images, held_out.images])
        return HeldOut(0.5, 0.25, 1)

    monkeypatch.setattr(stage, "finetune", noted)
    stage.main()
    assert given == [tuple(f"{k}.png" for k in range(9)), ("9.png",)]
    assert read_json("metrics/diffusion.json")["held_out_tail_loss"] == {"base": 0.5, "finetuned": 0.25, "images": 1}


def test_a_base_learns_training_images_the_rarer_the_oftener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """3.png has the rarest finding, 1.png the other, 2.png none; 9.png is the validation image."""
    monkeypatch.chdir(project(tmp_path))
    given: dict[str, Any] = {}

    def judged_on(pipeline: Any, images: Any, held_out: Any) -> None:
        given["held_out"] = held_out.images
        raise Stopped(15)

    monkeypatch.setattr(base_folder, "pretrain", lambda *_, **asked: given.update(asked))
    monkeypatch.setattr(base_folder, "errors_of_base", judged_on)
    with pytest.raises(Stopped):
        pretrain_folder(
            load_params(), replace(load_pretrain_params("pretrain.yaml"), repeat_threshold=1.0), Path("base")
        )
    assert (given["names"], given["held_out"]) == ([f"{k}.png" for k in range(9)], ["9.png"])
    assert given["shares"][[3, 1, 2]] / given["shares"][2] == pytest.approx([np.sqrt(9 / 3), np.sqrt(9 / 5), 1])
