"""Ways to spoil a base generator."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.input_cases.case import Case, Spoil
from tests.input_cases.spoiling import params
from tests.tiny_base import shared_base, stock

GROUP, STAGE, SIZE = "Base", "finetune_diffusion", 32
UNET, VAE, TEXT = "unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model", "text_encoder/model"
NETWORKS = {"unet": UNET, "vae": VAE, "text_encoder": TEXT}
SCHEDULER, TOKENIZER = "scheduler/scheduler_config", "tokenizer/tokenizer_config"


def base(*changes: Spoil) -> Spoil:
    """A project with a tiny base in the folder `base`, to which `changes` are made."""

    def spoil(folder: Path) -> None:
        shutil.copytree(shared_base(SIZE), folder / "base")
        params(diffusion__base="base", diffusion__steps=1, sampling__images_per_finding=1)(folder)
        for change in changes:
            change(folder / "base")

    return spoil


def configured(name: str, **changes: Any) -> Spoil:
    """Sets values of a JSON file; `...` removes one."""

    def spoil(folder: Path) -> None:
        path = folder / f"{name}.json"
        values = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({key: value for key, value in values.items() if value is not ...}))

    return spoil


def tensors(name: str, change: Callable[[dict[str, Tensor]], object]) -> Spoil:
    def spoil(folder: Path) -> None:
        path = folder / f"{name}.safetensors"
        values = load_file(path)
        change(values)
        save_file(values, path, metadata={"format": "pt"})

    return spoil


def rebuilt(part: str, kind: str, **changes: Any) -> Spoil:
    """Another network of the stock class, whole, with other values in its configuration."""

    def spoil(folder: Path) -> None:
        values = json.loads((folder / part / "config.json").read_text()) | changes
        shutil.rmtree(folder / part)
        getattr(stock, kind).from_config(values).save_pretrained(folder / part)

    return spoil


def renamed(old: str, new: str) -> Spoil:
    return lambda folder: (folder / old).rename(folder / new) and None


def first(values: dict[str, Tensor]) -> str:
    return min(values)


def fill(number: float) -> Callable[[dict[str, Tensor]], object]:
    def change(values: dict[str, Tensor]) -> None:
        values[first(values)].view(-1)[0] = number

    return change


def all_named(prefix: str) -> Callable[[dict[str, Tensor]], object]:
    def change(values: dict[str, Tensor]) -> None:
        for name in list(values):
            values[prefix + name] = values.pop(name)

    return change


def case(what: str, seen: str, *changes: Spoil) -> Case:
    return Case(GROUP, what, STAGE, base(*changes), f"'diffusion.base': {seen}")
