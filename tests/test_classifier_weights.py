"""Initial weights: what is honoured, against timm's own full models on three equal channels."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tests.doc_pages import blocks
from tests.import_graph import ROOT
from trcgl.classifier.network import weights as weights_module
from trcgl.classifier.network.backbone import create_backbone, feature_maps, map_shape
from trcgl.classifier.network.weights import load_weights
from trcgl.runtime.errors import InputError

Tensors = dict[str, Tensor]
TINY: dict[str, tuple[dict[str, Any], int]] = {
    "test_resnet": ({}, 64),
    "test_efficientnet": ({}, 64),
    "test_maxvit": ({"img_size": 64}, 64),
    "test_vit": ({}, 160),
    "beit_base_patch16_224": ({"img_size": 64, "depth": 2, "embed_dim": 24, "num_heads": 2}, 64),
    "eva02_tiny_patch14_224": ({"img_size": 56, "depth": 2, "embed_dim": 24, "num_heads": 2}, 56),
    "vit_base_patch16_siglip_224": ({"img_size": 64, "depth": 2, "embed_dim": 24, "num_heads": 2}, 64),
    "swin_tiny_patch4_window7_224": ({"img_size": 64, "depths": [1, 1, 1, 1], "embed_dim": 24}, 64),
}
"""Options and image size of tiny models; the last five are not loaded by names and shapes alone."""


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(weights_module.log, "info", lambda text, *values: lines.append(text % values))
    return lines


def published(name: str, **options: Any) -> nn.Module:
    """A model with pooling and classifier, as timm publishes them, with numbers of its own in every tensor."""
    torch.manual_seed(0)
    model = timm.create_model(name, **options)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.uniform_(-0.1, 0.1)  # pyright: ignore[reportOptionalMemberAccess]
    return model.eval()


def saved(tensors: Tensors, path: Path) -> Path:
    save_file({name: value.clone() for name, value in tensors.items()}, path)
    return path


@torch.no_grad()
def check_same(name: str, options: dict[str, Any], size: int, full: nn.Module, file: Path) -> None:
    """The backbone's map of a grey image is what the full model has before its pooling."""
    backbone = create_backbone(name, options)
    load_weights(backbone, file, options)
    grey = torch.rand(2, 1, size, size)
    expected = full.forward_features(grey.repeat(1, 3, 1, 1))  # pyright: ignore[reportCallIssue]
    if isinstance(getattr(full, "fc_norm", None), nn.LayerNorm):
        expected = full.fc_norm(expected)  # pyright: ignore[reportCallIssue]
    if expected.ndim == 3:
        expected = expected[:, full.num_prefix_tokens :]  # pyright: ignore[reportIndexIssue]
    elif getattr(full, "output_fmt", "NCHW") == "NHWC":
        expected = expected.flatten(1, 2)
    else:
        expected = expected.flatten(2).transpose(1, 2)
    maps = feature_maps(backbone.eval(), grey).flatten(2).transpose(1, 2)
    torch.testing.assert_close(maps, expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("prefix", ["", "module.", "model.", "backbone.", "encoder.", "_orig_mod.", "module.model."])
def test_published_models_load_below_any_wrapper(name: str, prefix: str, tmp_path: Path, said: list[str]):
    options, size = TINY[name]
    full = published(name, **options)
    wrapped = {prefix + key: value for key, value in full.state_dict().items()}
    check_same(name, options, size, full, saved(wrapped, tmp_path / "w.safetensors"))
    assert len(said) == 1
    assert (f"'{prefix}' taken off the names" in said[0]) == bool(prefix)


def test_what_is_not_taken_is_said(tmp_path: Path, said: list[str]):
    options, _ = TINY["test_resnet"]
    tensors = {f"module.{name}": value for name, value in published("test_resnet").state_dict().items()}
    saved(tensors | {"optimizer.step": torch.zeros(1)}, tmp_path / "w.safetensors")
    load_weights(create_backbone("test_resnet", options), tmp_path / "w.safetensors", options)
    assert "left out, outside of it: optimizer (1 tensors)" in said[0]
    assert "left out, its pooling or classifier: fc (2 tensors)" in said[0]
    options, _ = TINY["vit_base_patch16_siglip_224"]
    saved(published("vit_base_patch16_siglip_224", **options).state_dict(), tmp_path / "w.safetensors")
    load_weights(create_backbone("vit_base_patch16_siglip_224", options), tmp_path / "w.safetensors", options)
    assert "left out, its pooling or classifier: attn_pool (13 tensors)" in said[1]


@pytest.mark.parametrize(
    "name", ["beit_base_patch16_224", "vit_base_patch16_siglip_224", "swin_tiny_patch4_window7_224"]
)
def test_another_image_size_is_resized_as_timm_does(name: str, tmp_path: Path, said: list[str]):
    options, size = TINY[name]
    larger = published(name, **(options | {"img_size": 2 * size}))
    file = saved(larger.state_dict(), tmp_path / "w.safetensors")
    classes = larger.num_classes
    timms = timm.create_model(
        name, pretrained=True, num_classes=classes,
        pretrained_cfg_overlay={"file": str(file), "num_classes": classes, "custom_load": False}, **options,
    ).eval()  # fmt: skip
    check_same(name, options, size, timms, file)
    assert "resized by timm to these images" in said[0]


def test_grey_models_load_as_they_are(tmp_path: Path):
    options, size = TINY["beit_base_patch16_224"]
    torch.manual_seed(0)
    grey = timm.create_model("beit_base_patch16_224", in_chans=1, **options)
    backbone = create_backbone("beit_base_patch16_224", options)
    load_weights(backbone, saved(grey.state_dict(), tmp_path / "w.safetensors"), options)
    assert torch.equal(backbone.get_parameter("patch_embed.proj.weight"), grey.get_parameter("patch_embed.proj.weight"))
    assert map_shape(backbone, size) == (24, 4, 4)


def test_a_layer_before_the_classifier_reads_every_place(tmp_path: Path, said: list[str]):
    """MaxViT's: linear after pooling, a 1 x 1 convolution on the map; on a map of one place they are the same."""
    full = published("convnext_atto", depths=[1] * 4, dims=[8, 8, 16, 16], head_hidden_size=12)
    options = {"depths": [1] * 4, "dims": [8, 8, 16, 16], "head_hidden_size": 12}
    backbone = create_backbone("convnext_atto", options)
    load_weights(backbone, saved(full.state_dict(), tmp_path / "w.safetensors"), options)
    grey = torch.rand(2, 1, 32, 32)
    with torch.no_grad():
        expected = full.forward_head(full.forward_features(grey.repeat(1, 3, 1, 1)), pre_logits=True)  # pyright: ignore[reportCallIssue]
        torch.testing.assert_close(feature_maps(backbone.eval(), grey)[:, :, 0, 0], expected, atol=1e-3, rtol=1e-3)
    assert "head.pre_logits.fc.weight, which reads one place, taken as a convolution over all" in said[0]


def test_names_of_torchvision_are_converted(tmp_path: Path):
    options = {"growth_rate": 4, "block_config": [1, 1, 1, 1]}
    full = published("densenet121", **options)
    theirs = {
        re.sub(r"(denselayer\d+)\.(norm|conv)([12])", r"\1.\2.\3", name): value
        for name, value in full.state_dict().items()
        if "num_batches" not in name
    }
    check_same("densenet121", options, 64, full, saved(theirs, tmp_path / "w.safetensors"))


def test_counters_that_older_files_lack_are_not_missed(tmp_path: Path):
    tensors = {
        name: value for name, value in published("test_resnet").state_dict().items() if "num_batches" not in name
    }
    load_weights(create_backbone("test_resnet", {}), saved(tensors, tmp_path / "w.safetensors"))


WRAPPED: dict[str, Callable[[Tensors], object]] = {
    "plain": lambda tensors: tensors,
    "state_dict": lambda tensors: {"state_dict": tensors, "epoch": 3},
    "model": lambda tensors: {"model": tensors, "optimizer": {"lr": 0.1}},
    "with a prefix": lambda tensors: {"state_dict": {f"module.{name}": value for name, value in tensors.items()}},
}


@pytest.mark.parametrize("wrapping", WRAPPED)
def test_a_pickle_is_refused_and_the_documented_lines_convert_it(
    wrapping: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    page = ROOT / "docs/datasets/README.md"
    (lines,) = (block.text for block in blocks(page) if "torch.load" in block.text)
    full = published("test_resnet")
    monkeypatch.chdir(tmp_path)
    torch.save(WRAPPED[wrapping](full.state_dict()), "weights.pth")
    with pytest.raises(InputError, match=r"weights\.pth: not a safetensors file but a pickle"):
        load_weights(create_backbone("test_resnet", {}), "weights.pth")
    exec(lines, {})  # noqa: S102 - the page's own lines
    check_same("test_resnet", {}, 64, full, tmp_path / "weights.safetensors")
    assert np.isfinite([float(value.float().sum()) for value in load_file("weights.safetensors").values()]).all()
