"""The generator's folder: a card that says what it is, the adapter, the prompt tokens, and a small base as a whole."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from trcgl.diffusion.generator.base import cast, load_pipeline
from trcgl.diffusion.generator.lora import load_lora
from trcgl.diffusion.generator.prompts import PromptTokens
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import check_tensors, directory_beside, read_json, write_json

CARD = "trcgl.json"


@dataclass(frozen=True)
class GeneratorCard:
    """What a generator was made from and how it is spoken to.

    Attributes:
        base: the folder or hub id that the adapter belongs to.
        base_inside: whether the base lies in the generator's own folder.
        size: side of its images in pixels.
        phrases: the English phrase of each finding, as it was trained.
    """

    base: str
    base_revision: str | None
    base_inside: bool
    prompt_template: str
    prompt_tokens: int
    lora_rank: int
    text_lora_rank: int
    size: int
    phrases: dict[str, str]

    def write(self, folder: Path) -> None:
        write_json(folder / CARD, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> "GeneratorCard":
        try:
            return cls(**read_json(folder / CARD))
        except (OSError, TypeError):
            raise InputError(f"{folder}: no readable {CARD}; run finetune_diffusion first") from None


def write_no_generator(folder: str | Path) -> None:
    """Replace `folder` by one that says that stage one is left out."""
    with directory_beside(folder) as beside:
        write_json(beside / CARD, {"base": None})


def has_generator(folder: str | Path) -> bool:
    """Whether there is a generator in a folder that finetune_diffusion has written."""
    return read_json(Path(folder) / CARD, ["base"])["base"] is not None


@dataclass(frozen=True)
class Generator:
    """A generator that is ready to draw: stock pipeline with the adapter loaded, tokens, card."""

    pipeline: Any
    tokens: PromptTokens
    card: GeneratorCard


def _check_files(folder: Path) -> None:
    """Every JSON file, and the length of every file of tensors: the libraries' errors name the pipeline, not the file.

    Raises:
        InputError: one is damaged.
    """
    for path in sorted(folder.rglob("*.json")):
        read_json(path)
    for path in sorted(folder.rglob("*.safetensors")):
        check_tensors(path)


def load_generator(folder: str | Path, device: torch.device, dtype: torch.dtype = torch.float32) -> Generator:
    """Read what `finetune` wrote, ready to draw: the adapters are added into the weights they adapt.

    They are added in float32 and only then rounded to `dtype`. The autoencoder stays in float32: near white, bfloat16
    has fewer steps than a picture has grey levels.

    Raises:
        InputError: a file in the folder is damaged, or the base cannot be loaded.
    """
    folder = Path(folder)
    card = GeneratorCard.read(folder)
    _check_files(folder)
    base, revision = (str(folder), None) if card.base_inside else (card.base, card.base_revision)
    pipeline = load_pipeline(base, revision, size=card.size, dtype=torch.float32)
    load_lora(pipeline, folder, with_text=card.text_lora_rank > 0)
    pipeline.fuse_lora(components=["unet", "text_encoder"] if card.text_lora_rank else ["unet"])
    pipeline.unload_lora_weights()
    cast(pipeline.unet, dtype)
    cast(pipeline.text_encoder, dtype)
    return Generator(pipeline.to(device), PromptTokens.load(folder / "prompt_tokens.safetensors").to(device), card)
