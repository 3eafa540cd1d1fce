"""Depthwise convolutions whose gradients do not dominate a training step on a CPU.

Their forward pass is fast on a CPU. Some gradients are not (bfloat16 with a kernel larger than 3 x 3 or with a stride,
float32 with a dilation): torch's only code for them takes up to 200 times as long as the forward pass. Here the same
sums are computed by operations that are fast: the forward pass, the gradients of 3 x 3 weights in bfloat16, and
gradients in float32 without dilation.
"""

from itertools import product
from typing import cast

import torch
import torch.nn.functional as F
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.padding import pad_same
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

Pair = tuple[int, int]
BLOCK = 3
"""Side of the kernel whose weight gradients are fast in bfloat16."""


class DepthwiseConv2d(nn.Conv2d):
    """nn.Conv2d with one input channel per group, and with the fast gradients of this module on a CPU."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return depthwise_conv(
            input, weight, bias, cast(Pair, self.stride), cast(Pair, self.padding), cast(Pair, self.dilation)
        )


class DepthwiseConv2dSame(Conv2dSame):
    """As DepthwiseConv2d, for timm's convolution that pads as TensorFlow does."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, ceil(H / stride), ceil(W / stride)]."""
        stride, dilation = cast(Pair, self.stride), cast(Pair, self.dilation)
        weight, bias = cast(Tensor, self.weight), cast("Tensor | None", self.bias)
        padded = pad_same(x, list(weight.shape[2:]), list(stride), list(dilation))
        return depthwise_conv(padded, weight, bias, stride, (0, 0), dilation)


def quicken_depthwise(model: nn.Module) -> None:
    """Give every depthwise convolution of a model the fast gradients; weights and outputs stay the same."""
    quick = {nn.Conv2d: DepthwiseConv2d, Conv2dSame: DepthwiseConv2dSame}
    for module in model.modules():
        if (kind := quick.get(type(module))) is not None:
            convolution = cast(nn.Conv2d, module)
            depthwise = convolution.groups == convolution.in_channels == convolution.out_channels
            if depthwise and convolution.padding_mode == "zeros" and not isinstance(convolution.padding, str):
                module.__class__ = kind


def depthwise_conv(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: Pair, padding: Pair, dilation: Pair
) -> Tensor:
    """conv2d of x [B, C, H, W] with weight [C, 1, k, l], one group per channel; under autocast in autocast's dtype."""
    if x.device.type != "cpu" or not torch.is_grad_enabled():
        return F.conv2d(x, weight, bias, stride, padding, dilation, len(weight))
    if torch.is_autocast_enabled("cpu"):
        kind = torch.get_autocast_dtype("cpu")
        x, weight, bias = x.to(kind), weight.to(kind), None if bias is None else bias.to(kind)
    result = _Depthwise.apply(x, weight, bias, stride, padding, dilation)
    return cast(Tensor, result)


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx, x: Tensor, weight: Tensor, bias: Tensor | None, stride: Pair, padding: Pair, dilation: Pair
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = (stride, padding, dilation)  # pyright: ignore[reportAttributeAccessIssue]
        return F.conv2d(x, weight, bias, stride, padding, dilation, len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: "_Saved", grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, weight = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        return (
            _input_gradient(grad, x, weight, *ctx.geometry) if wanted[0] else None,
            _weight_gradient(grad, x, weight, *ctx.geometry).to(weight.dtype) if wanted[1] else None,
            grad.sum((0, 2, 3)) if wanted[2] else None,
            None,
            None,
            None,
        )


class _Saved(FunctionCtx):
    saved_tensors: tuple[Tensor, Tensor]
    needs_input_grad: tuple[bool, ...]
    geometry: tuple[Pair, Pair, Pair]


def _input_gradient(grad: Tensor, x: Tensor, weight: Tensor, stride: Pair, padding: Pair, dilation: Pair) -> Tensor:
    reach = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
    if stride == (1, 1) and all(p <= r for p, r in zip(padding, reach, strict=True)):
        # Without a stride the input gradient is a convolution with the kernel flipped in both directions
        outer = [r - p for r, p in zip(reach, padding, strict=True)]
        return F.conv2d(grad, weight.flip((2, 3)), None, 1, outer, dilation, len(weight))
    if dilation == (1, 1) and all(k >= s for k, s in zip(weight.shape[2:], stride, strict=True)):
        return _strided_input_gradient(grad, x, weight, stride, padding)
    return _torch_gradients(grad, x, weight, stride, padding, dilation, [True, False, False])[0].to(x.dtype)


def _strided_input_gradient(grad: Tensor, x: Tensor, weight: Tensor, stride: Pair, padding: Pair) -> Tensor:
    """Input gradient with a stride: pixels of equal (row, column) modulo the stride meet the same kernel weights."""
    result = torch.empty_like(x)
    for down, across in product(*map(range, stride)):
        part = weight[:, :, down :: stride[0], across :: stride[1]].flip((2, 3))
        outer = (part.shape[2] - 1, part.shape[3] - 1)
        found = F.conv2d(grad, part, None, 1, outer, 1, len(weight))
        first = [(place - pad) % step for place, pad, step in zip((down, across), padding, stride, strict=True)]
        # Skip the gradients of padding pixels
        before = [
            max(0, -(-(pad - place) // step)) for place, pad, step in zip((down, across), padding, stride, strict=True)
        ]
        mine = result[:, :, first[0] :: stride[0], first[1] :: stride[1]]
        found = found[:, :, before[0] : before[0] + mine.shape[2], before[1] : before[1] + mine.shape[3]]
        # The kernel may not reach the last pixels
        mine[:, :, found.shape[2] :] = 0
        mine[:, :, :, found.shape[3] :] = 0
        mine[:, :, : found.shape[2], : found.shape[3]] = found
    return result


def _weight_gradient(grad: Tensor, x: Tensor, weight: Tensor, stride: Pair, padding: Pair, dilation: Pair) -> Tensor:
    step = dilation[0]
    same = stride == (1, 1) and dilation == (step, step) and x.shape == grad.shape
    if step > 1 and same and not any(size % step for size in (*x.shape[2:], *padding)):
        # Each subset of every step-th row and column is an image on which the convolution has no dilation
        inner = (padding[0] // step, padding[1] // step)
        grad, x, padding, dilation = _phases(grad, step), _phases(x, step), inner, (1, 1)
    blocks = min(weight.shape[2:]) >= BLOCK >= max(stride)
    if x.dtype == torch.bfloat16 and dilation == (1, 1) and blocks:
        return _weight_gradient_in_blocks(grad, x, weight, stride, padding)
    return _torch_gradients(grad, x, weight, stride, padding, dilation, [False, True, False])[1]


def _weight_gradient_in_blocks(grad: Tensor, x: Tensor, weight: Tensor, stride: Pair, padding: Pair) -> Tensor:
    """Weight gradient in blocks of 3 x 3, by torch's own code in x's dtype; the last blocks may overlap others."""
    if padding != (0, 0):
        x = F.pad(x, (padding[1], padding[1], padding[0], padding[0]))
    result, block = torch.empty_like(weight), weight[:, :, :BLOCK, :BLOCK].contiguous()
    rows, columns = (s * (n - 1) + BLOCK for s, n in zip(stride, grad.shape[2:], strict=True))
    for top, left in product(*({*range(0, k - BLOCK, BLOCK), k - BLOCK} for k in weight.shape[2:])):
        seen = x[:, :, top : top + rows, left : left + columns]
        found = torch.ops.aten.convolution_backward(
            grad, seen, block, None, stride, (0, 0), (1, 1), False, [0, 0], len(weight), [False, True, False]
        )[1]
        result[:, :, top : top + BLOCK, left : left + BLOCK] = found
    return result


def _phases(images: Tensor, step: int) -> Tensor:
    """[B, C, H, W] -> [step * step * B, C, H / step, W / step]; one image per (row, column) modulo `step`."""
    return torch.cat([images[:, :, down::step, across::step] for down, across in product(range(step), repeat=2)])


def _torch_gradients(
    grad: Tensor, x: Tensor, weight: Tensor, stride: Pair, padding: Pair, dilation: Pair, wanted: list[bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """torch's own gradients, computed in float32 or a wider dtype."""
    kind = torch.promote_types(x.dtype, torch.float32)
    return torch.ops.aten.convolution_backward(
        grad.to(kind), x.to(kind), weight.to(kind), None, stride, padding, dilation, False, [0, 0], len(weight), wanted
    )
