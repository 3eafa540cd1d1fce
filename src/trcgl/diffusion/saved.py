"""The generator's folder: a card that says what it is, the adapter, the prompt tokens, and a small base as a whole."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from trcgl.diffusion.base import SCRATCH, load_pipeline
from trcgl.diffusion.prompts import PromptTokens
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import read_json, write_json

CARD = "trcgl.json"


@dataclass(frozen=True)
class GeneratorCard:
    """What a generator was made from and how it is spoken to.

    Attributes:
        base: `scratch` (the base lies in the folder), or the folder or hub id that the adapter belongs to.
        size: side of its images in pixels.
        phrases: the English phrase of each finding, as it was trained.
    """

    base: str
    base_revision: str | None
    prompt_template: str
    prompt_tokens: int
    lora_rank: int
    size: int
    phrases: dict[str, str]

    def write(self, folder: Path) -> None:
        write_json(folder / CARD, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> "GeneratorCard":
        try:
            return cls(**read_json(folder / CARD))
        except (OSError, ValueError, TypeError):
            raise InputError(f"{folder}: no readable {CARD}; run finetune_diffusion first") from None


@dataclass(frozen=True)
class Generator:
    """A generator that is ready to draw: stock pipeline with the adapter loaded, tokens, card."""

    pipeline: Any
    tokens: PromptTokens
    card: GeneratorCard


def load_generator(folder: str | Path, device: torch.device, dtype: torch.dtype = torch.float32) -> Generator:
    """Read what `finetune` wrote."""
    folder = Path(folder)
    card = GeneratorCard.read(folder)
    inside = card.base == SCRATCH
    pipeline = load_pipeline(
        str(folder) if inside else card.base, None if inside else card.base_revision, size=card.size, dtype=dtype
    )
    # Not the pipeline's own loader: it also looks for a text encoder adapter and warns that there is none
    pipeline.unet.load_lora_adapter(str(folder), weight_name="pytorch_lora_weights.safetensors", prefix="unet")
    return Generator(pipeline.to(device), PromptTokens.load(folder / "prompt_tokens.safetensors").to(device), card)
