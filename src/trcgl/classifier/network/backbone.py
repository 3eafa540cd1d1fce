"""Any timm model as a backbone: from a grey image to a feature map."""

import difflib
import inspect
import math
from collections.abc import Sequence
from typing import Any

import timm
import torch
from torch import Tensor, nn

from trcgl.classifier.network.depthwise import quicken_depthwise
from trcgl.classifier.network.relu6 import quicken_relu6
from trcgl.runtime.errors import InputError
from trcgl.runtime.logging import get_logger

log = get_logger("backbone")

OURS = {
    "num_classes": "the head follows the findings",
    "in_chans": "pictures are grey",
    "global_pool": "heads need the map",
    "features_only": "heads need the last map alone",
    "out_indices": "heads need the last map alone",
    "pretrained": "set initial_weights to imagenet",
    "checkpoint_path": "set initial_weights to the file",
    "pretrained_cfg": "set initial_weights",
    "pretrained_cfg_overlay": "set initial_weights",
}
"""Options of timm that the project sets itself, each with the reason or with what to set instead."""
SIZE_OPTIONS = {"img_size": "{{img_size: {size}}}", "dynamic_img_size": "{{dynamic_img_size: true}}"}
ANOTHER = "use another backbone, such as a convolutional network or a plain vision transformer"


class UnfitBackbone(InputError):
    """A backbone that cannot be used; the code that catches this error adds where the backbone is configured.

    Attributes:
        key: key of the setting that causes the error, without its section of the params file.
    """

    def __init__(self, message: str, key: str = "backbone"):
        super().__init__(message)
        self.key = key


def create_backbone(name: str, options: dict[str, Any], *, pretrained: bool = False) -> nn.Module:
    """A timm model for one grey channel, without pooling and classifier.

    Args:
        name: as in `timm.list_models()`.
        options: passed to the model, such as `output_stride` or `drop_path_rate`.
        pretrained: load timm's ImageNet weights of the model, from the hub or its local cache.

    Raises:
        UnfitBackbone: timm has no such model, the model takes no such option, or the weights cannot be downloaded.
    """
    if not timm.is_model(name):
        models = timm.list_models()
        plain = name.lower().rpartition("/")[2].replace("-", "_")
        near = (
            difflib.get_close_matches(plain, models, n=3) or [model for model in models if plain and plain in model][:3]
        )
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "see timm.list_models()"
        raise UnfitBackbone(f"'{name}' is not a timm model; {hint}")
    for option in options:
        if option in OURS:
            raise UnfitBackbone(
                f"the option '{option}' of '{name}' is set by the project ({OURS[option]}); leave it out",
                "backbone_options",
            )
    settings = {"num_classes": 0, "global_pool": "", "in_chans": 1, **options}
    try:
        backbone = timm.create_model(name, pretrained=False, **settings)
    except Exception as error:  # timm's models refuse options in many ways; all of them are the caller's options
        if "pool" in str(error):
            raise UnfitBackbone(f"'{name}' gives no map ({_first_line(error)}); {ANOTHER}") from error
        raise UnfitBackbone(
            f"'{name}' cannot be built with the options {options} ({_first_line(error)}); change them or the backbone "
            "(dvc's -S only adds to them; -S '~SECTION.backbone_options.KEY' takes one away)",
            "backbone_options",
        ) from error
    if pretrained:
        try:
            backbone = timm.create_model(name, pretrained=True, **settings)
        except Exception as error:  # a download fails in many ways, and each library on the way has its own exception
            raise UnfitBackbone(
                f"imagenet: no weights for '{name}' ({_first_line(error)}); without network give the path of a "
                "safetensors file, or null",
                "initial_weights",
            ) from error
    quicken_depthwise(backbone)
    quicken_relu6(backbone)
    return backbone


class NoMap(ValueError):
    """The output of a backbone is not a feature map."""


def feature_maps(backbone: nn.Module, images: Tensor) -> Tensor:
    """The last feature map: [B, 1, S, S] -> [B, F, h, w]; patch tokens are reshaped to a map."""
    features = backbone(images)
    if not isinstance(features, Tensor):
        raise NoMap(f"{len(features)} results instead of one")
    if features.ndim == 3:
        tokens = features[:, getattr(backbone, "num_prefix_tokens", 0) :]
        side = math.isqrt(tokens.shape[1])
        if side < 2 or side**2 != tokens.shape[1]:
            raise NoMap(f"{features.shape[1]} token{'s' * (features.shape[1] > 1)} instead of a square map")
        return tokens.transpose(1, 2).unflatten(2, (side, -1))
    if getattr(backbone, "output_fmt", "NCHW") == "NHWC":
        return features.permute(0, 3, 1, 2)
    return features


def map_shape(backbone: nn.Module, size: int) -> tuple[int, int, int]:
    """(F, h, w) of the map for images of `size` px.

    Raises:
        UnfitBackbone: the backbone cannot read that size or does not give a map.
    """
    training = backbone.training
    backbone.eval()
    try:
        with torch.no_grad():
            shape = feature_maps(backbone, torch.zeros(1, 1, size, size)).shape
    except NoMap as error:
        raise UnfitBackbone(f"'{_architecture(backbone)}' gives {error}; {ANOTHER}") from None
    except (RuntimeError, AssertionError, ValueError) as error:
        raise UnfitBackbone(
            f"'{_architecture(backbone)}' cannot read images of {size} px ({_first_line(error)}); "
            f"set {_sizes_that_fit(backbone, size)}"
        ) from error
    backbone.train(training)
    if len(shape) != 4:
        raise UnfitBackbone(f"'{_architecture(backbone)}' gives features of shape {list(shape)}, not a map; {ANOTHER}")
    return shape[1], shape[2], shape[3]


def _sizes_that_fit(backbone: nn.Module, size: int) -> str:
    """The settings with which the backbone would accept the images, limited to options that its class has."""
    patch = getattr(getattr(backbone, "patch_embed", None), "patch_size", 1)
    patch = max(patch) if isinstance(patch, tuple) else patch
    if isinstance(patch, int) and patch > 1 and size % patch:
        return f"'images.classifier_size' to a multiple of {patch}"
    takes = inspect.signature(type(backbone)).parameters
    ways = [way for option, way in SIZE_OPTIONS.items() if option in takes]
    native: Any = backbone.pretrained_cfg
    ways = [f"backbone_options to {' or '.join(ways).format(size=size)}"] if ways else []
    if native["input_size"][-1] != size:
        ways.append(f"'images.classifier_size' to {native['input_size'][-1]}")
    return " or ".join(ways) or f"'images.classifier_size' to another size, or {ANOTHER}"


def _architecture(backbone: nn.Module) -> str:
    configuration: Any = backbone.pretrained_cfg
    return configuration["architecture"]


def have_seen(weights_have_seen: Sequence[str], dataset: str) -> bool:
    """Whether weights were trained on a data set; `folder` is any hospital's images, so nothing is known about it."""
    return dataset != "folder" and dataset in weights_have_seen


def warn_if_seen(weights_have_seen: Sequence[str], dataset: str) -> None:
    """Log a warning if the initial weights were trained on the data set that the results are measured on."""
    if have_seen(weights_have_seen, dataset):
        log.warning(
            "the initial weights have seen '%s', the data set of this run: its test results are not those of unseen "
            "patients",
            dataset,
        )


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
