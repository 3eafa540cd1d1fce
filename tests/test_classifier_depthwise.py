"""Depthwise convolutions against torch's own gradients, in float64, for every geometry that backbones use."""

import copy
from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn

from trcgl.classifier.network.backbone import create_backbone
from trcgl.classifier.network.depthwise import (
    DepthwiseConv2d,
    DepthwiseConv2dSame,
    _weight_gradient_in_blocks,
    depthwise_conv,
    quicken_depthwise,
)

# kernel, stride, padding, dilation, height, width
GEOMETRIES = [
    ((3, 3), (1, 1), (1, 1), (1, 1), 8, 8),
    ((5, 5), (1, 1), (4, 4), (2, 2), 8, 6),  # dilated and of the same size: taken apart
    ((5, 5), (1, 1), (4, 4), (2, 2), 7, 8),  # of an odd size: not taken apart
    ((3, 3), (1, 1), (3, 3), (3, 3), 9, 6),
    ((3, 3), (1, 1), (1, 1), (2, 2), 8, 8),  # the output is smaller
    ((3, 5), (1, 1), (2, 2), (2, 1), 8, 8),
    ((7, 7), (1, 1), (3, 3), (1, 1), 8, 8),
    ((3, 3), (1, 1), (3, 3), (1, 1), 5, 5),  # the output is larger: padded beyond what the kernel reaches
    ((5, 5), (2, 2), (2, 2), (1, 1), 9, 8),
    ((3, 3), (2, 1), (0, 1), (1, 1), 9, 8),
    ((3, 3), (2, 2), (0, 0), (1, 1), 9, 8),  # the last column meets no kernel
    ((3, 3), (2, 2), (1, 1), (1, 1), 8, 9),
    ((5, 3), (3, 2), (4, 1), (1, 1), 11, 7),
    ((2, 2), (2, 2), (0, 0), (1, 1), 7, 6),
    ((3, 3), (3, 3), (2, 2), (1, 1), 10, 6),
    ((2, 3), (3, 3), (0, 0), (1, 1), 9, 9),  # a stride beyond the kernel
    ((3, 3), (2, 2), (2, 2), (2, 2), 9, 9),
    ((7, 4), (1, 4), (4, 0), (1, 1), 2, 4),
    ((1, 1), (1, 1), (0, 0), (1, 1), 4, 4),
]


def gradients(result: Tensor, inputs: list[Tensor], seed: int = 1) -> list[Tensor]:
    outer = torch.randn(result.shape, dtype=result.dtype, generator=torch.Generator().manual_seed(seed))
    return list(torch.autograd.grad(result, inputs, outer))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation", "height", "width"), GEOMETRIES)
def test_values_and_gradients_are_torchs_own(
    kernel: Any, stride: Any, padding: Any, dilation: Any, height: int, width: int, layout: torch.memory_format
):
    torch.manual_seed(0)
    x = torch.randn(3, 4, height, width, dtype=torch.float64).to(memory_format=layout).requires_grad_()
    weight = torch.randn(4, 1, *kernel, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(4, dtype=torch.float64, requires_grad=True)
    expected = F.conv2d(x, weight, bias, stride, padding, dilation, 4)
    found = depthwise_conv(x, weight, bias, stride, padding, dilation)
    assert torch.equal(found, expected)
    for ours, theirs in zip(gradients(found, [x, weight, bias]), gradients(expected, [x, weight, bias]), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kernel", [(3, 3), (5, 5), (7, 7), (3, 4), (6, 5), (9, 3)])
@pytest.mark.parametrize(("stride", "padding"), [((1, 1), (2, 2)), ((2, 2), (0, 0)), ((2, 1), (1, 3))])
def test_gradients_of_weights_in_blocks_are_torchs_own(kernel: Any, stride: Any, padding: Any):
    torch.manual_seed(0)
    x = torch.randn(3, 4, 12, 11, dtype=torch.float64).to(memory_format=torch.channels_last)
    weight = torch.randn(4, 1, *kernel, dtype=torch.float64, requires_grad=True)
    result = F.conv2d(x, weight, None, stride, padding, 1, 4)
    outer = torch.randn(result.shape, dtype=torch.float64)
    (expected,) = torch.autograd.grad(result, [weight], outer)
    found = _weight_gradient_in_blocks(outer, x, weight.detach(), stride, padding)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_only_what_is_asked_for_has_a_gradient():
    x, weight = torch.randn(2, 3, 6, 6), torch.randn(3, 1, 3, 3, requires_grad=True)
    depthwise_conv(x, weight, None, (1, 1), (1, 1), (1, 1)).sum().backward()
    assert weight.grad is not None
    assert x.grad is None
    with torch.no_grad():
        assert not depthwise_conv(x, weight, None, (1, 1), (1, 1), (1, 1)).requires_grad


@pytest.mark.parametrize(
    ("side", "stride", "padding", "dilation"),
    [
        (5, (1, 1), (4, 4), (2, 2)),
        (3, (2, 2), (0, 0), (1, 1)),
        (5, (2, 2), (2, 2), (1, 1)),
        (7, (1, 1), (3, 3), (1, 1)),
    ],
)
def test_under_autocast_its_gradients_are_no_farther_from_the_true_ones_than_torchs(
    side: int, stride: Any, padding: Any, dilation: Any
):
    torch.manual_seed(0)
    x = torch.randn(8, 16, 8, 8, requires_grad=True)
    weight = torch.randn(16, 1, side, side, requires_grad=True)
    true = gradients(F.conv2d(x, weight, None, stride, padding, dilation, 16), [x, weight])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        theirs = F.conv2d(x, weight, None, stride, padding, dilation, 16)
        ours = depthwise_conv(x, weight, None, stride, padding, dilation)
    assert ours.dtype == torch.bfloat16
    assert torch.equal(ours, theirs)
    outer = torch.randn(theirs.shape, generator=torch.Generator().manual_seed(1))
    for own, other, exact in zip(
        torch.autograd.grad(ours, [x, weight], outer.bfloat16()),
        torch.autograd.grad(theirs, [x, weight], outer.bfloat16()),
        true,
        strict=True,
    ):
        assert own.dtype == torch.float32
        scale = exact.norm()
        # On a processor without bfloat16, torch rounds fewer sums: there, two roundings are allowed
        limit = max(1.1 * (other - exact).norm() / scale + 1e-3, torch.finfo(torch.bfloat16).eps)
        assert (own - exact).norm() / scale <= limit


def test_a_backbone_keeps_its_names_values_and_gradients():
    """tf_efficientnet_lite0 has both kinds; without its drop path, which draws random numbers."""
    own = create_backbone("tf_efficientnet_lite0", {"output_stride": 16, "drop_path_rate": 0.0}).double()
    kinds = [type(module) for module in own.modules()]
    assert kinds.count(DepthwiseConv2d) == 13
    assert kinds.count(DepthwiseConv2dSame) == 3
    plain = timm.create_model(
        "tf_efficientnet_lite0", num_classes=0, global_pool="", in_chans=1, output_stride=16, drop_path_rate=0.0
    ).double()
    plain.load_state_dict(own.state_dict())
    images = torch.randn(2, 1, 64, 64, dtype=torch.float64)
    results = [model.train()(images) for model in (own, plain)]
    assert torch.equal(*results)
    ours, theirs = (
        gradients(result, list(model.parameters())) for result, model in zip(results, (own, plain), strict=True)
    )
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-9)


def test_other_convolutions_stay_what_they_are():
    model = nn.Sequential(
        nn.Conv2d(4, 8, 3, groups=4),  # two outputs a channel
        nn.Conv2d(4, 4, 3, groups=2),
        nn.Conv2d(4, 4, 3, groups=4, padding="same"),
        nn.Conv2d(4, 4, 3, groups=4, padding=1, padding_mode="reflect"),
        nn.Conv1d(4, 4, 3, groups=4),
        Conv2dSame(4, 4, 3),
        nn.Conv2d(4, 4, 3, groups=4),
    )
    quicken_depthwise(model)
    assert [type(module) for module in model] == [nn.Conv2d] * 4 + [nn.Conv1d, Conv2dSame, DepthwiseConv2d]
    assert type(copy.deepcopy(model)[-1]) is DepthwiseConv2d
