"""Backbones that cannot be built or give no map, and initial weights that do not fit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.input_cases.case import BASELINE, Case, Spoil
from tests.input_cases.spoiling import both, params, put

GROUP = "Backbone"
Tensors = dict[str, Tensor]


def built(name: str, **options: Any) -> Spoil:
    return params(baseline__backbone=name, baseline__backbone_options=options)


def weights(change: Callable[[Tensors], Tensors], of: str = "test_resnet", file: str = "w.safetensors") -> Spoil:
    """A `test_resnet` that begins with changed weights of a model of timm's, as timm saves them."""

    def spoil(folder: Path) -> None:
        built("test_resnet")(folder)
        params(baseline__initial_weights=file)(folder)
        torch.manual_seed(0)
        tensors = change(timm.create_model(of, num_classes=5).state_dict())
        if file.endswith(".safetensors"):
            save_file(tensors, folder / file)
        else:
            torch.save({"state_dict": tensors}, folder / file)

    return spoil


def below(prefix: str, tensors: Tensors) -> Tensors:
    return {prefix + name: value.clone() for name, value in tensors.items()}


def without(name: str, tensors: Tensors) -> Tensors:
    return {key: value for key, value in tensors.items() if key != name}


def shape(*sizes: int) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {**tensors, "conv1.0.weight": torch.zeros(*sizes)}


OPTIONS = {
    "num_classes": 3, "in_chans": 3, "global_pool": "avg", "features_only": True, "out_indices": [1], "pretrained": True,
    "checkpoint_path": "w.pth", "pretrained_cfg": {}, "pretrained_cfg_overlay": {},
}  # fmt: skip

BACKBONES = (
    *(
        Case(GROUP, f"'{name}' instead of a name of timm's", BASELINE, built(name), seen)
        for name, seen in {
            "ResNet50d": "'baseline.backbone': 'ResNet50d' is not a timm model; did you mean 'resnet50d' or '...' or '...'?",
            "timm/convnext_tinyy": "'baseline.backbone': 'timm/convnext_tinyy' is not a timm model; did you mean 'convnext_tiny' or ...?",
            "vit-tiny-patch16-224": "'baseline.backbone': 'vit-tiny-patch16-224' is not a timm model; did you mean "
            "'vit_tiny_patch16_224' or ...?",
            "vit": "'baseline.backbone': 'vit' is not a timm model; did you mean '...vit...' or '...vit...' or '...vit...'?",
            "hf-hub:timm/resnet18x": "'baseline.backbone': 'hf-hub:timm/resnet18x' is not a timm model; did you mean 'resnet18' or ...?",
            "zzzzzz": "'baseline.backbone': 'zzzzzz' is not a timm model; see timm.list_models()",
        }.items()
    ),
    *(
        Case(
            GROUP,
            f"the option {option}",
            BASELINE,
            built("test_resnet", **{option: value}),
            f"'baseline.backbone_options': the option '{option}' of 'test_resnet' is set by the project (...); leave it out",
        )
        for option, value in OPTIONS.items()
    ),
    *(
        Case(
            GROUP,
            what,
            BASELINE,
            built(name, **options),
            f"'baseline.backbone': '{name}' gives {seen}; use another backbone, such as ...",
        )
        for what, name, options, seen in (
            (
                "a class token instead of a map",
                "pit_ti_224",
                {"img_size": 32},
                "1 token instead of a square map",
            ),
            ("several results instead of a map", "efficientvim_m1", {}, "4 results instead of one"),
            ("no map without pooling", "crossvit_tiny_240", {}, "no map (Only token or avg pooling is supported.)"),
            ("no map without pooling, in other words", "inception_next_atto", {}, "no map (Cannot disable pooling)"),
        )
    ),
    *(
        Case(
            GROUP,
            what,
            BASELINE,
            built(name, **options),
            f"'baseline.backbone': '{name}' cannot read images of 32 px (...); set {seen}",
        )
        for what, name, options, seen in (
            (
                "a vision transformer for images of another size",
                "vit_tiny_patch16_224",
                {"depth": 1},
                "backbone_options to {img_size: 32} or {dynamic_img_size: true} or 'images.classifier_size' to 224",
            ),
            (
                "a Swin transformer for images of another size",
                "swin_tiny_patch4_window7_224",
                {"depths": [1, 1, 1, 1]},
                "backbone_options to {img_size: 32} or {dynamic_img_size: true} or 'images.classifier_size' to 224",
            ),
            (
                "patches that do not divide the image",
                "eva02_tiny_patch14_224",
                {"depth": 1},
                "'images.classifier_size' to a multiple of 14",
            ),
            ("a network for larger images alone", "levit_128s", {}, "'images.classifier_size' to 224"),
        )
    ),
    Case(
        GROUP,
        "one image at once, of which BatchNorm sees one place",
        BASELINE,
        both(built("test_resnet"), params(baseline__batch_size=4, baseline__accumulate=4)),
        "'baseline.batch_size' / 'accumulate' is 1 image, too few for BatchNorm on a map of 1 x 1; lower accumulate, ...",
    ),
    *(
        Case(
            GROUP,
            f"initial weights as {suffix}",
            BASELINE,
            weights(lambda tensors: tensors, file=f"w{suffix}"),
            f"w{suffix}: not a safetensors file but a pickle (...), which can run code and is never loaded; "
            "docs/datasets/README.md shows how to convert it",
        )
        for suffix in (".pth", ".pt", ".bin", ".ckpt")
    ),
    Case(
        GROUP,
        "initial weights that are a folder",
        BASELINE,
        both(built("test_resnet"), params(baseline__initial_weights="images")),
        "images: is a folder; give the safetensors file in it",
    ),
    Case(
        GROUP,
        "initial weights that are a pointer of Git LFS",
        BASELINE,
        both(
            built("test_resnet"),
            params(baseline__initial_weights="w.safetensors"),
            put("w.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
        ),
        "w.safetensors: a pointer of Git LFS, not the file; fetch it with `git lfs pull`",
    ),
    *(
        Case(GROUP, f"initial weights {what}", BASELINE, weights(change), f"w.safetensors: {seen}")
        for what, change, seen in (
            (
                "that lack a tensor",
                lambda t: without("bn1.bias", t),
                "lacks the tensor bn1.bias; ... of this backbone's ... tensors fit in name and shape; give weights of this backbone",
            ),
            (
                "that lack a tensor below a prefix",
                lambda t: below("module.", without("bn1.bias", t)),
                "lacks the tensor bn1.bias below 'module.'; ... of this backbone's ... tensors fit in name and shape; give ...",
            ),
            (
                "with an unknown tensor",
                lambda t: {**t, "extra": torch.zeros(1)},
                "holds the tensor extra, not of this backbone; ... of this backbone's ... tensors fit in name and shape; give ...",
            ),
            (
                "for four channels",
                shape(16, 4, 3, 3),
                "holds the tensor conv1.0.weight (16 x 4 x 3 x 3, not ... x 1 x 3 x 3) in another shape; ... of this backbone's "
                "... tensors fit in name and shape; give weights of this backbone, for 1 or 3 channels",
            ),
            (
                "with both a model and its average",
                lambda t: below("model.", t) | below("model_ema.", t),
                "holds this backbone more than once, below 'model.' and 'model_ema.'; keep one",
            ),
            (
                "that are not finite",
                lambda t: {**t, "bn1.bias": t["bn1.bias"] * float("nan")},
                "bn1.bias has numbers that are not finite; give an intact file",
            ),
            (
                "in eight bits",
                lambda t: {name: value.to(torch.int8) for name, value in t.items()},
                "holds quantised numbers (torch.int8 in ...), which mean nothing without their scales; give the weights ...",
            ),
            (
                "without a tensor",
                lambda t: {},
                "holds no tensor; give weights of this backbone",
            ),
            (
                "of nothing",
                lambda t: {"step": torch.zeros(1)},
                "no tensor (such as step) has the name and shape of one of this backbone (such as ...); give weights of this "
                "backbone",
            ),
        )
    ),
    Case(
        GROUP,
        "initial weights of another architecture",
        BASELINE,
        weights(lambda tensors: tensors, of="test_vit"),
        "w.safetensors: no tensor (such as ...) has the name and shape of one of this backbone (such as ...); give weights "
        "of this backbone",
    ),
    Case(
        GROUP,
        "initial weights of a relative",
        BASELINE,
        weights(lambda tensors: tensors, of="resnet10t"),
        "w.safetensors: lacks the tensors ... and ... more; ... of this backbone's ... tensors fit in name and shape; give ...",
    ),
)
