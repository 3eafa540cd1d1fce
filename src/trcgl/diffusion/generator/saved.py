"""The generator's folder: a card that describes it, the adapter, the prompt tokens, and the base if it is small."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trcgl.diffusion.generator.base import cast, load_pipeline
from trcgl.diffusion.generator.base_files import own_folder
from trcgl.diffusion.generator.hub import is_hub_id
from trcgl.diffusion.generator.lora import load_lora
from trcgl.diffusion.generator.prompts import PromptTokens, guided_embeddings
from trcgl.diffusion.generator.solver import use_solver
from trcgl.diffusion.generator.wording import Wording, patient_words, prompt_text
from trcgl.runtime.damage import damaged
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import check_tensors, directory_beside, read_json, write_json

CARD = "trcgl.json"
NO_GENERATOR = {"base": None}


@dataclass(frozen=True)
class GeneratorCard:
    """What a generator was made from, and how its prompts are worded.

    Attributes:
        base: the folder or hub id that the adapter belongs to.
        base_inside: whether the base is stored in the generator's own folder.
        size: side of its images in pixels.
        phrases: the English phrase of each finding in the training prompts.
    """

    base: str
    base_revision: str | None
    base_inside: bool
    prompt_template: str
    prompt_normal: str
    prompt_tokens: int
    lora_rank: int
    text_lora_rank: int
    size: int
    phrases: dict[str, str]

    @property
    def wording(self) -> Wording:
        return Wording(self.prompt_template, self.prompt_normal)

    def write(self, folder: Path) -> None:
        write_json(folder / CARD, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> "GeneratorCard":
        """The card in a generator's folder.

        Raises:
            InputError: there is none, it is damaged, or no generator was trained.
        """
        file = folder / CARD
        if not file.is_file():
            raise InputError(f"{file}: not found; run dvc repro finetune_diffusion, or give a generator's folder")
        if read_json(file) == NO_GENERATOR:
            raise InputError(f"{file}: no generator was trained; set 'diffusion.base' and run dvc repro")
        known = [field.name for field in fields(cls)]
        values = read_json(file, known)
        if unknown := sorted(values.keys() - known):
            raise damaged(file, f"unknown key '{unknown[0]}'")
        return cls(**values)


def write_no_generator(folder: str | Path) -> None:
    """Replace `folder` by one whose card says that stage one is off."""
    with directory_beside(folder) as beside:
        write_json(beside / CARD, NO_GENERATOR)


def has_generator(folder: str | Path) -> bool:
    """Whether a folder written by finetune_diffusion contains a generator."""
    return read_json(Path(folder) / CARD, ["base"])["base"] is not None


@dataclass(frozen=True)
class Generator:
    """A generator that is ready to generate images.

    Attributes:
        pipeline: a stock StableDiffusionPipeline with the adapters merged into its weights and sample_tail's solver.
        tokens: the learned prompt tokens.
        card: what it was made from.
    """

    pipeline: Any
    tokens: PromptTokens
    card: GeneratorCard

    def ask(
        self, findings: Sequence[Sequence[str]], *, view: str = "PA", age: int | None = None, sex: str = ""
    ) -> dict[str, Tensor]:
        """The pipeline's arguments for generating one image for each list of findings.

        Args:
            findings: names as in classes.json; an empty list: an image without findings.
            view: projection, such as PA or L; "" if unknown.
            age, sex: age in years; sex F or M. They matter only for a base whose prompts name the {patient}.

        Returns:
            `prompt_embeds` and `negative_prompt_embeds`.

        Raises:
            InputError: the generator was not trained with one of the findings.
        """
        phrases = self.card.phrases
        for name in (name for names in findings for name in names if name not in phrases):
            raise InputError(f"'{name}' is not a finding of this generator; it has: {', '.join(sorted(phrases))}")
        patient = patient_words(age, sex)
        prompts = [prompt_text(self.card.wording, view, names, phrases, patient) for names in findings]
        positive, negative = guided_embeddings(self.pipeline, self.tokens, prompts, findings)
        return {"prompt_embeds": positive, "negative_prompt_embeds": negative}


def base_outside(folder: str | Path) -> list[Path]:
    """The folder of a base that is too large to be copied into the generator's, in a list; else an empty list."""
    card = GeneratorCard.read(Path(folder))
    return [] if card.base_inside else own_folder(card.base)


def _check_files(folder: Path) -> None:
    """Check every JSON file and every tensor file: the libraries' own errors name the pipeline, not the damaged file.

    Raises:
        InputError: one is damaged.
    """
    for path in sorted(folder.rglob("*.json")):
        read_json(path)
    for path in sorted(folder.rglob("*.safetensors")):
        check_tensors(path)


def load_base(folder: str | Path) -> tuple[Any, GeneratorCard]:
    """The base that a generator was made from, without its adapters, in float32 on the CPU.

    Args:
        folder: such as data/models/diffusion.

    Raises:
        InputError: a file in the folder is damaged, or the base cannot be loaded or is no longer at its path.
    """
    folder = Path(folder)
    card = GeneratorCard.read(folder)
    _check_files(folder)
    base, revision = (str(folder), None) if card.base_inside else (card.base, card.base_revision)
    if not card.base_inside and not is_hub_id(base) and not Path(base).expanduser().exists():
        raise InputError(
            f"{folder / CARD}: the base '{base}' that it names is not there (a large one is not copied; a relative "
            "path starts from the current folder); put it back, write its new path into 'base' of that file, or set "
            "'diffusion.base' and run dvc repro"
        )
    key = str(folder) if card.base_inside else f"{folder / CARD}: base"
    return load_pipeline(base, revision, size=card.size, dtype=torch.float32, key=key), card


def load_generator(
    folder: str | Path,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    *,
    autoencoder: torch.dtype | None = None,
) -> Generator:
    """Load the generator that `finetune_diffusion` wrote, and merge the adapters into the weights that they adapt.

    They are merged in float32; only the result is rounded to `dtype`.

    Args:
        folder: such as data/models/diffusion.
        dtype: of the networks.
        autoencoder: dtype of the autoencoder; None: the same as `dtype`, as a stock pipeline needs it.

    Raises:
        InputError: a file in the folder is damaged, the base cannot be loaded or is no longer at its path, or the
            adapters do not fit it.
    """
    folder = Path(folder)
    pipeline, card = load_base(folder)
    load_lora(pipeline, folder, with_text=card.text_lora_rank > 0)
    pipeline.fuse_lora(components=["unet", "text_encoder"] if card.text_lora_rank else ["unet"])
    pipeline.unload_lora_weights()
    use_solver(pipeline)
    # Each network by itself: the pipeline's own `to` warns about half precision on the CPU, although that works
    for part, kind in ((pipeline.unet, dtype), (pipeline.text_encoder, dtype), (pipeline.vae, autoencoder or dtype)):
        cast(part, kind, device)
    tokens = PromptTokens.load(folder / "prompt_tokens.safetensors")
    width = pipeline.text_encoder.config.hidden_size
    if tokens.shared.shape[1] != width:
        raise InputError(
            f"{folder / 'prompt_tokens.safetensors'}: tokens of width {tokens.shared.shape[1]}, but the text encoder "
            f"has {width}; run dvc repro finetune_diffusion"
        )
    return Generator(pipeline, tokens.to(device), card)
