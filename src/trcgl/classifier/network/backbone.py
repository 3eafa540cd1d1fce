"""Any timm model as a backbone: grey image in, feature map out, initial weights loaded whole or not at all."""

import difflib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models import adapt_input_conv
from torch import Tensor, nn

from trcgl.classifier.network.depthwise import quicken_depthwise
from trcgl.runtime.errors import InputError
from trcgl.runtime.logging import get_logger

log = get_logger("backbone")

PREFIX = "backbone."


def create_backbone(name: str, options: dict[str, Any], *, pretrained: bool = False) -> nn.Module:
    """A timm model for one grey channel, without pooling and classifier.

    Args:
        name: as in `timm.list_models()`.
        options: passed to the model, such as `output_stride` or `drop_path_rate`.
        pretrained: load the ImageNet weights timm names for the model, from the hub or its local cache.

    Raises:
        InputError: timm has no such model, the model takes no such option, or the weights cannot be fetched.
    """
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=1)
        hint = f"did you mean '{near[0]}'?" if near else "see timm.list_models()"
        raise InputError(f"backbone '{name}' is not a timm model; {hint}")
    settings = {"num_classes": 0, "global_pool": "", "in_chans": 1, **options}
    try:
        backbone = timm.create_model(name, pretrained=False, **settings)
    except Exception as error:  # timm's models refuse options in many ways; all of them are the caller's options
        raise InputError(f"backbone '{name}' cannot be built with backbone_options {options} ({error})") from error
    if pretrained:
        try:
            backbone = timm.create_model(name, pretrained=True, **settings)
        except Exception as error:  # a download fails in many ways, and each library on the way has its own exception
            raise InputError(
                f"initial_weights 'imagenet': no weights for '{name}' ({_first_line(error)}); "
                "without network give the path of a safetensors file, or null"
            ) from error
    quicken_depthwise(backbone)
    return backbone


def feature_maps(backbone: nn.Module, images: Tensor) -> Tensor:
    """The last feature map: [B, 1, S, S] -> [B, F, h, w]; patch tokens are laid out as a map again."""
    features = backbone(images)
    if features.ndim == 3:
        tokens = features[:, getattr(backbone, "num_prefix_tokens", 0) :]
        side = math.isqrt(tokens.shape[1])
        return tokens.transpose(1, 2).unflatten(2, (side, -1))
    if getattr(backbone, "output_fmt", "NCHW") == "NHWC":
        return features.permute(0, 3, 1, 2)
    return features


def map_shape(backbone: nn.Module, size: int) -> tuple[int, int, int]:
    """(F, h, w) of the map for images of `size` px.

    Raises:
        InputError: the backbone cannot read that size or does not give a map.
    """
    training = backbone.training
    backbone.eval()
    try:
        with torch.no_grad():
            shape = feature_maps(backbone, torch.zeros(1, 1, size, size)).shape
    except (RuntimeError, AssertionError, ValueError) as error:
        raise InputError(
            f"the backbone cannot read images of {size} px ({_first_line(error)}); "
            "set images.classifier_size or backbone_options (such as img_size) to fit"
        ) from error
    backbone.train(training)
    if len(shape) != 4:
        raise InputError(f"the backbone gives features of shape {list(shape)}, not a map; use another backbone")
    return shape[1], shape[2], shape[3]


def load_weights(backbone: nn.Module, path: str | Path) -> None:
    """Fill the backbone from a safetensors file; every tensor must find its place.

    The file holds a timm model, or a whole classifier whose backbone tensors begin with `backbone.` (then the others
    are not read). A first convolution for three channels is summed to one, which is what it computes on a grey
    picture. The model's own classifier head is left out.

    Raises:
        InputError: unreadable file, or tensors missing, left over or of another shape; the message names one.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: not a readable safetensors file ({error})") from None
    if any(key.startswith(PREFIX) for key in tensors):
        tensors = {key.removeprefix(PREFIX): value for key, value in tensors.items() if key.startswith(PREFIX)}
    else:
        heads = tuple(f"{module}." for module in _names(backbone, "classifier"))
        tensors = {key: value for key, value in tensors.items() if not key.startswith(heads)}
    wanted = backbone.state_dict()
    for module in _names(backbone, "first_conv"):
        key = f"{module}.weight"
        if key in tensors and key in wanted and tensors[key].shape[1] == 3 and wanted[key].shape[1] == 1:
            tensors[key] = adapt_input_conv(1, tensors[key])
    missing = sorted(wanted.keys() - tensors.keys())
    unknown = sorted(tensors.keys() - wanted.keys())
    shapes = sorted(key for key in wanted.keys() & tensors.keys() if wanted[key].shape != tensors[key].shape)
    for what, keys in (("lacks", missing), ("has unknown", unknown), ("has other shapes for", shapes)):
        if keys:
            more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
            raise InputError(f"{path}: {what} {', '.join(keys[:3])}{more}; it does not fit this backbone")
    backbone.load_state_dict(tensors)
    log.info("initial weights: %d tensors from %s", len(tensors), path)


def warn_if_seen(weights_have_seen: Sequence[str], dataset: str) -> None:
    """Say aloud that the initial weights were trained on the data set the results will be measured on."""
    if dataset in weights_have_seen:
        log.warning(
            "the initial weights have seen '%s', the data set of this run: its test results are not those of unseen "
            "patients",
            dataset,
        )


def _names(backbone: nn.Module, role: str) -> tuple[str, ...]:
    """Module names that timm's configuration gives a role ('first_conv', 'classifier')."""
    configuration: Any = backbone.pretrained_cfg
    names = configuration.get(role) or ()
    return (names,) if isinstance(names, str) else tuple(names)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
