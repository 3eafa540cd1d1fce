"""Checks of a base generator's files, before any is loaded: the libraries' errors name neither the file nor a remedy.

This module does not import torch, so that the checks are fast.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trcgl.runtime.damage import damaged, is_lfs_pointer
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import tensor_kinds

PIPELINE = "StableDiffusionPipeline"
NETWORKS = {"vae": "AutoencoderKL", "unet": "UNet2DConditionModel", "text_encoder": "CLIPTextModel"}
LIBRARIES = ("diffusers", "transformers")
TEXT_TYPES = ("clip_text_model", "clip")
"""Allowed `model_type` in text_encoder/config.json: a text encoder, or a whole CLIP whose text encoder is used."""
OTHER_INPUTS = {
    "class_embed_type": "is steered by classes",
    "num_class_embeds": "is steered by classes",
    "addition_embed_type": "has conditions besides the text (as SDXL has sizes and crops)",
    "encoder_hid_dim": "projects what it attends to (as Kandinsky and DeepFloyd do)",
    "encoder_hid_dim_type": "projects what it attends to (as Kandinsky and DeepFloyd do)",
    "time_cond_proj_dim": "is distilled (a latent consistency model)",
}
"""Further conditioning inputs of a U-Net, by the key in its config.json. Here they would be silently ignored."""
STEMS = {"vae": "diffusion_pytorch_model", "unet": "diffusion_pytorch_model", "text_encoder": "model"}
TAUGHT = ("trcgl.json", "prompt_tokens.safetensors")
"""What `finetune_diffusion` writes beside a base."""
ADAPTERS = "pytorch_lora_weights.safetensors"
OTHER_FORMATS = (".bin", ".ckpt", ".pt", ".pth", ".msgpack", ".h5", ".onnx")
QUANTISED = ("I8", "U8", "F8_E4M3", "F8_E5M2", "F4", "BOOL")
WHOLE = "copy the whole base"
CONVERT = (
    "save it once in safetensors: diffusers' StableDiffusionPipeline.from_pretrained(...).save_pretrained(...), where "
    "you trust the files"
)


def own_folder(base: str | None) -> list[Path]:
    """The folder that `diffusion.base` names, in a list; an empty list for a hub id or null."""
    folder = Path(base or "").expanduser()
    return [folder] if base and folder.is_dir() else []


def check_base_files(folder: Path, key: str = "'diffusion.base'") -> dict[str, str | None]:
    """Check that a folder is a Stable Diffusion pipeline with all its parts, in safetensors.

    Args:
        key: the beginning of the message.

    Returns:
        The variant (such as fp16) of each network's weights; None for the usual file.

    Raises:
        InputError: something is missing, damaged, of another kind or in another format.
    """
    if folder.is_file():
        raise InputError(
            f"{key}: '{folder}' is a file; give a diffusers folder (of a single checkpoint file, diffusers' "
            "StableDiffusionPipeline.from_single_file(...).save_pretrained(...) makes one)"
        )
    if not folder.is_dir():
        raise InputError(
            f"{key}: no folder '{folder}'; give a diffusers folder, a hub id owner/name, or null to leave stage one out"
        )
    _check_index(folder, key)
    _check_configurations(folder, key)
    return {part: _variant(folder / part, STEMS[part], key) for part in NETWORKS}


def check_untaught(folder: Path, key: str = "'diffusion.base'") -> None:
    """Check that a base is no fine-tuned generator and has no adapters beside its weights: they would not be loaded.

    Raises:
        InputError: it is one, or has some.
    """
    if any((folder / name).exists() for name in TAUGHT):
        raise InputError(
            f"{key}: '{folder}' is a fine-tuned generator, and its adapters and tokens would be ignored; give the base "
            "it was made from, or merge the adapters first (load_generator(...).pipeline.save_pretrained(...))"
        )
    for file in (place / ADAPTERS for place in (folder, *(folder / part for part in NETWORKS))):
        if file.exists():
            raise InputError(
                f"{key}: {file} would be ignored; merge these adapters first (diffusers' load_lora_weights, fuse_lora, "
                "unload_lora_weights, save_pretrained), or give the base without them"
            )


def _check_index(folder: Path, key: str) -> None:
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
        kind = index.get("_class_name")
    except (OSError, ValueError, AttributeError):
        inside = next((path.parent for path in sorted(folder.glob("*/model_index.json"))), None)
        hint = "" if inside is None else f"; did you mean '{inside}'?"
        raise InputError(
            f"{key}: '{folder}' is not a diffusers pipeline (no readable model_index.json){hint}"
        ) from None
    if kind != PIPELINE:
        raise InputError(f"{key}: '{folder}' holds a {kind}; a {PIPELINE} is needed")
    for part in (*NETWORKS, "tokenizer", "scheduler"):
        match index.get(part):
            case [str(library), str(name)]:
                pass
            case _:
                raise InputError(f"{key}: {folder / 'model_index.json'} names no {part}; {WHOLE}")
        if library not in LIBRARIES:
            raise InputError(
                f"{key}: the {part} of '{folder}' is a {name} of its own code ('{library}'), which is never run; give "
                f"a base whose parts are those of {' and '.join(LIBRARIES)}"
            )
        _check_kind(part, name, folder / "model_index.json", key)
        if not (folder / part).is_dir():
            raise InputError(f"{key}: '{folder}' has no folder {part}; {WHOLE}")


def _check_kind(part: str, kind: object, said_by: Path, key: str) -> None:
    needed = NETWORKS.get(part)
    if needed is not None and kind != needed:
        raise InputError(f"{key}: {said_by} says that the {part} is a {kind}; needed: {needed}")


def _check_configurations(folder: Path, key: str) -> None:
    for part in NETWORKS:
        file = folder / part / "config.json"
        configuration = _json(file, key)
        if part == "text_encoder":
            kind = configuration.get("model_type", TEXT_TYPES[0])
            if kind not in TEXT_TYPES:
                raise InputError(f"{key}: {file} says model_type '{kind}'; needed: {TEXT_TYPES[0]} (a CLIPTextModel)")
        else:
            _check_kind(part, configuration.get("_class_name", NETWORKS[part]), file, key)
        if part == "unet":
            _check_steering(configuration, file, key)
    _json(folder / "scheduler/scheduler_config.json", key)
    words = folder / "tokenizer"
    if not (words / "tokenizer.json").is_file() and not (words / "vocab.json").is_file():
        raise InputError(f"{key}: {words} has neither tokenizer.json nor vocab.json; {WHOLE}")
    for file in sorted(words.iterdir()):
        if is_lfs_pointer(file):
            raise damaged(file, "not the file itself")


def _check_steering(unet: dict[str, Any], file: Path, key: str) -> None:
    for name, what in OTHER_INPUTS.items():
        if unet.get(name) is not None:
            raise InputError(
                f"{key}: {file}: the U-Net {what}: {name} is {unet[name]!r}; give a base that is steered by text alone"
            )


def _json(file: Path, key: str) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except OSError:
        raise InputError(f"{key}: {file} is missing; {WHOLE}") from None
    except ValueError as error:
        if is_lfs_pointer(file):
            raise damaged(file, str(error)) from None
        raise InputError(f"{key}: {file} is not JSON ({error}); copy it again") from None
    if not isinstance(value, dict):
        raise InputError(f"{key}: {file} is not a JSON object; copy it again")
    return value


def _variant(part: Path, stem: str, key: str) -> str | None:
    """The variant of the weights to load: None for the usual file; if it is missing, fp16 or else the only variant."""
    names = sorted(path.name for path in part.iterdir() if path.is_file())
    found = {variant_of(name, stem): name for name in names if name.endswith(".safetensors")}
    found.pop("", None)
    if not found:
        others = [name for name in names if name.endswith(OTHER_FORMATS)]
        if others:
            raise InputError(
                f"{key}: {part} has its weights only as {others[0]}, which is not loaded (a pickle can run code); "
                f"{CONVERT}"
            )
        raise InputError(f"{key}: {part} has no {stem}.safetensors; {WHOLE}")
    if None in found:
        variant = None
    elif "fp16" in found or len(found) == 1:
        variant = "fp16" if "fp16" in found else next(iter(found))
    else:
        raise InputError(
            f"{key}: {part} has the weights {' and '.join(sorted(map(str, found)))} but no {stem}.safetensors; rename "
            "one of them to that"
        )
    for name in names:
        if name.endswith(".safetensors") and variant_of(name, stem) == variant:
            _check_numbers(part / name, key)
    return variant


def _check_numbers(file: Path, key: str) -> None:
    """Reject quantised (one-byte) weights: they mean nothing without their scales, but the loader would accept them."""
    for name, kind in tensor_kinds(file).items():
        if kind in QUANTISED:
            raise InputError(
                f"{key}: {file} holds quantised numbers ({kind} in {name}); give them in half or single precision"
            )


def variant_of(name: str, stem: str) -> str | None:
    """'' if the file is not the network's, None for its usual file (or a shard of it), else the variant's name."""
    if not name.startswith(stem):
        return ""
    middle = name.removeprefix(stem).removesuffix(".safetensors")
    shard = middle.partition("-")[0]
    if not middle or not shard:
        return None
    return shard.removeprefix(".") if shard.startswith(".") else ""


def single_variants(folder: Path, variants: dict[str, str | None]) -> Sequence[tuple[Path, Path]]:
    """Old and new path of every weights file whose name can lose its variant (only weights that are a single file)."""
    moves = []
    for part, variant in variants.items():
        old = folder / part / f"{STEMS[part]}.{variant}.safetensors"
        if variant is not None and old.is_file():
            moves.append((old, folder / part / f"{STEMS[part]}.safetensors"))
    return moves


def sides_of(sample_size: Any) -> tuple[Any, ...]:
    """A U-Net's `sample_size` as height and width: some configurations give one number, some a list."""
    return tuple(sample_size) if isinstance(sample_size, list | tuple) and sample_size else (sample_size, sample_size)
