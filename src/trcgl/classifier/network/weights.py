"""Initial weights of a backbone from a file: either all tensors are loaded or none.

The file holds a timm model, a whole classifier of this project, or one of these inside a wrapper (a prefix before every
name). If names or sizes differ from what timm builds today, timm's own conversion for that model is used
(`checkpoint_filter_fn`): the file is loaded strictly into a full model with pooling and classifier, and the backbone
takes its own tensors from that model.
"""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import timm
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models import adapt_input_conv
from torch import Tensor, nn

from trcgl.runtime.damage import damaged, is_lfs_pointer
from trcgl.runtime.errors import InputError, some_of
from trcgl.runtime.logging import get_logger

log = get_logger("backbone")

WRAPPERS = {
    "module",
    "model",
    "backbone",
    "encoder",
    "_orig_mod",
    "state_dict",
    "net",
    "network",
    "base_model",
    "trunk",
}
"""Names under which training code stores a network; timm's conversion is tried only for tensors below these names."""
PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
OTHER_SHAPE = "holds {} in another shape"
COUNTER = "num_batches_tracked"
"""A tensor of BatchNorm that only counts batches; older files lack it."""


@dataclass
class Match:
    """How the tensors of a file fit a backbone.

    Attributes:
        tensors: tensors for the backbone, by the backbone's names.
        left_out: names in the file that the backbone does not use.
        problems: problem (such as "lacks {}") -> names of the tensors that have it; empty if the match is complete.
        fitting: number of tensors that have the backbone's names and shapes.
        notes: how tensors were changed, for the log.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    problems: dict[str, list[str]] = field(default_factory=dict)
    fitting: int = 0
    notes: list[str] = field(default_factory=list)


def load_weights(backbone: nn.Module, path: str | Path, options: Mapping[str, Any] | None = None) -> None:
    """Load the backbone's weights from a safetensors file, which must hold every tensor of the backbone.

    The weights of a first convolution with three input channels are summed to one channel, which gives the same output
    on a grey image. A classifier and a pooling layer in the file are left out. One log line says which tensors were
    loaded and which were not.

    Args:
        options: options with which the backbone was built.

    Raises:
        InputError: the file cannot be read, or tensors are missing, unexpected, of another shape or not finite; the
            message names one of them and counts the tensors that fit.
    """
    tensors = _read(Path(path))
    fits, nearest, nearest_prefix = dict[str, Match](), Match(), ""
    for prefix in _prefixes(tensors, backbone):
        match = _as_it_is(backbone, _below(tensors, prefix))
        if not match.problems:
            fits[prefix] = match
        if match.fitting > nearest.fitting or not nearest.problems:
            nearest, nearest_prefix = match, prefix
        if "" in fits:
            break
    for prefix in _prefixes(tensors, backbone) if not fits else ():
        if set(prefix.split(".")[:-1]) <= WRAPPERS and (match := _converted(backbone, tensors, prefix, options or {})):
            fits[prefix] = match
            break
    if len(fits) > 1:
        raise InputError(
            f"{path}: holds this backbone more than once, below {' and '.join(map(repr, sorted(fits)))}; keep one"
        )
    if not fits:
        raise InputError(f"{path}: {_why_not(nearest, nearest_prefix, tensors, backbone)}")
    prefix, match = next(iter(fits.items()))
    for name, tensor in match.tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise InputError(f"{path}: {prefix}{name} has numbers that are not finite; give an intact file")
    backbone.load_state_dict(match.tensors)
    outside = [name for name in tensors if not name.startswith(prefix)]
    notes = [f"'{prefix}' taken off the names"] if prefix else []
    notes += match.notes
    for what, names in (("outside of it", outside), ("its pooling or classifier", match.left_out)):
        if names:
            notes.append(f"left out, {what}: {', '.join(_tops(names))} ({len(names)} tensors)")
    log.info("initial weights: %d tensors from %s%s", len(match.tensors), path, "; ".join(["", *notes]))


def _read(path: Path) -> dict[str, Tensor]:
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give the safetensors file in it")
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        start = path.open("rb").read(4) if path.is_file() else b""
        if start.startswith(PICKLES):
            raise InputError(
                f"{path}: not a safetensors file but a pickle (as .pth, .pt, .bin and .ckpt are), which can run code "
                "and is never loaded; docs/datasets/README.md shows how to convert it"
            ) from None
        if is_lfs_pointer(path):
            raise damaged(path, str(error)) from None
        raise InputError(f"{path}: not a readable safetensors file ({error})") from None
    for name, tensor in tensors.items():
        if tensor.dtype.itemsize == 1:
            raise InputError(
                f"{path}: holds quantised numbers ({tensor.dtype} in {name}), which mean nothing without their scales; "
                "give the weights in half or single precision"
            )
    return tensors


def _prefixes(tensors: Iterable[str], backbone: nn.Module) -> Iterator[str]:
    """First the empty prefix, then every prefix with at least half as many tensors as the backbone has."""
    yield ""
    counts = dict[str, int]()
    for name in tensors:
        parts = name.split(".")[:-1]
        for depth in range(1, len(parts) + 1):
            prefix = ".".join(parts[:depth]) + "."
            counts[prefix] = counts.get(prefix, 0) + 1
    wanted = len(backbone.state_dict())
    yield from (prefix for prefix, count in sorted(counts.items()) if count >= wanted / 2)


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}


def _as_it_is(backbone: nn.Module, tensors: dict[str, Tensor]) -> Match:
    """Match names and shapes exactly as timm builds them now, except for the classifier and the colour channels."""
    wanted, match = backbone.state_dict(), Match()
    heads = tuple(f"{module}." for module in _names(backbone, "classifier"))
    match.left_out = sorted(name for name in tensors if name.startswith(heads) and name not in wanted)
    match.tensors = {name: value for name, value in tensors.items() if name not in match.left_out}
    for name in wanted.keys() - match.tensors.keys():
        if name.endswith(COUNTER):
            match.tensors[name] = wanted[name]
    _adapt(backbone, match)
    found = match.tensors
    same = [name for name in wanted.keys() & found.keys() if wanted[name].shape == found[name].shape]
    match.fitting = sum(name in tensors for name in same)
    other = sorted((wanted.keys() & found.keys()) - set(same))
    problems = {
        "lacks {}": sorted(wanted.keys() - found.keys()),
        "holds {}, not of this backbone": sorted(found.keys() - wanted.keys()),
        OTHER_SHAPE: [f"{name} ({_size(found[name])}, not {_size(wanted[name])})" for name in other],
    }
    match.problems = {what: names for what, names in problems.items() if names}
    return match


def _size(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "one number"


def _adapt(backbone: nn.Module, match: Match) -> None:
    """Reshape tensors to the backbone's shapes where the reshaped weights compute the same."""
    wanted = backbone.state_dict()
    for name in wanted.keys() & match.tensors.keys():
        there, needed = match.tensors[name], wanted[name]
        if needed.ndim == 4 and needed.shape == (*there.shape, 1, 1):
            match.tensors[name] = there[:, :, None, None]
            match.notes.append(f"{name}, which reads one place, taken as a convolution over all")
    for module in _names(backbone, "first_conv"):
        name = f"{module}.weight"
        if name in match.tensors and name in wanted:
            there, needed = match.tensors[name], wanted[name]
            if there.ndim == 4 and needed.ndim == 4 and there.shape[1] == 3 * needed.shape[1]:
                match.tensors[name] = adapt_input_conv(1, there)
                match.notes.append(f"the three colours of {name} summed to grey")


def _converted(
    backbone: nn.Module, tensors: Mapping[str, Tensor], prefix: str, options: Mapping[str, Any]
) -> Match | None:
    """The backbone's tensors from a full model loaded by timm's own conversion; None if the file does not fill it."""
    given = _below(tensors, prefix)
    if not given:
        return None  # timm would treat an empty dictionary as a request to download from the hub
    classes, (channels, *size) = _class_count(backbone, given), _configuration(backbone)["input_size"]
    for module in _names(backbone, "first_conv"):
        if f"{module}.weight" in given and given[f"{module}.weight"].shape[1] == 1:
            channels = 1
    overlay = {
        "state_dict": given, "source": "", "custom_load": False, "label_offset": 0,
        "num_classes": classes, "input_size": (channels, *size),
    }  # fmt: skip
    try:
        with warnings.catch_warnings(action="ignore"):
            full = timm.create_model(
            _configuration(backbone)["architecture"], pretrained=True, pretrained_cfg_overlay=overlay,
            num_classes=classes, in_chans=channels, **options,
        )  # fmt: skip
    except Exception:  # each model's conversion fails in its own way on a file of another model
        return None
    loaded, wanted, match = full.state_dict(), backbone.state_dict(), Match()
    # In a model without pooling, the normalisation layer after the pooling has another name
    takes = {name: name if name in loaded else f"fc_{name}" for name in wanted}
    match.tensors = {name: loaded[source] for name, source in takes.items() if source in loaded}
    match.left_out = sorted(loaded.keys() - set(takes.values()))
    moved = [f"{source} taken for {name}" for name, source in takes.items() if source != name]
    resized = [name for name in takes.values() if name in given and given[name].shape != loaded[name].shape]
    _adapt(backbone, match)
    match.notes += moved
    if resized:
        match.notes.append(f"resized by timm to these images: {', '.join(_tops(resized))} ({len(resized)} tensors)")
    shapes = {name: value.shape for name, value in match.tensors.items()}
    return match if shapes == {name: value.shape for name, value in wanted.items()} else None


def _class_count(backbone: nn.Module, tensors: Mapping[str, Tensor]) -> int:
    """Number of classes of the classifier in the file, under its current or an older name; 0 without a classifier."""
    own = [f"{module}.weight" for module in _names(backbone, "classifier")]
    for name in (*own, "head.fc.weight", "head.weight", "fc.weight", "classifier.weight"):
        if name in tensors and tensors[name].ndim >= 2:
            return tensors[name].shape[0]
    return 0


def _why_not(match: Match, prefix: str, tensors: Mapping[str, Tensor], backbone: nn.Module) -> str:
    wanted = backbone.state_dict()
    if not tensors:
        return "holds no tensor; give weights of this backbone"
    if not match.fitting:
        return (
            f"no tensor (such as {min(tensors)}) has the name and shape of one of this backbone (such as "
            f"{min(wanted)}); give weights of this backbone"
        )
    what, names = next(iter(match.problems.items()))
    first_conv = tuple(f"{module}." for module in _names(backbone, "first_conv"))
    channels = ", for 1 or 3 channels" if what == OTHER_SHAPE and names[0].startswith(first_conv) else ""
    named = f"the {'tensor' if len(names) == 1 else 'tensors'} {some_of(names)}{f' below {prefix!r}' if prefix else ''}"
    return (
        f"{what.format(named)}; {match.fitting} of this backbone's {len(wanted)} tensors fit in name and shape; give "
        f"weights of this backbone{channels}"
    )


def _tops(names: Iterable[str]) -> list[str]:
    """The first parts of tensor names, for messages; at most three, then "..."."""
    tops = sorted({name.split(".")[0] for name in names})
    return tops if len(tops) <= 3 else [*tops[:3], "..."]


def _names(backbone: nn.Module, role: str) -> tuple[str, ...]:
    """Module names that have a role ('first_conv', 'classifier') in timm's configuration."""
    names = _configuration(backbone).get(role) or ()
    return (names,) if isinstance(names, str) else tuple(names)


def _configuration(backbone: nn.Module) -> dict[str, Any]:
    configuration: Any = backbone.pretrained_cfg
    return configuration
