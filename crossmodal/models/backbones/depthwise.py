"""Convolutions as training runs them: the same numbers as torch's, with a faster gradient where torch's is slow.

Shapes: B batch, C channels, H×W pixels in, h×w out.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

SIDE, PADDING = 5, 2


def convolved(convolution: nn.Conv2d, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """(B, C, H, W) → (B, D, h, w): the convolution with this weight and this bias in place of its own.

    A depthwise convolution stays in float32 where autocast would round it on a CPU: its gradient in bfloat16 is
    several times slower, and pointwise convolutions, which gain, are most of a network's work.
    """
    if input.device.type == "cpu" and torch.is_autocast_enabled("cpu") and convolution.groups > 1:
        with torch.autocast("cpu", enabled=False):
            return convolved(convolution, input.float(), weight, bias)
    if convolution.training and torch.is_grad_enabled() and has_slow_gradient(convolution, input):
        stride = cast("tuple[int, int]", convolution.stride)
        return cast(Tensor, _Depthwise.apply(input, weight, bias, stride))
    padding = cast("tuple[int, int]", convolution.padding)
    return F.conv2d(input, weight, bias, convolution.stride, padding, convolution.dilation, convolution.groups)


def has_slow_gradient(convolution: nn.Conv2d, input: Tensor) -> bool:
    """Whether it is a 5×5 depthwise convolution in float32 on a CPU, and so of the kind that `_Depthwise` serves."""
    square = (convolution.kernel_size, convolution.padding) == ((SIDE, SIDE), (PADDING, PADDING))
    depthwise = convolution.groups == convolution.in_channels == convolution.out_channels
    plain = convolution.padding_mode == "zeros" and convolution.dilation == (1, 1)
    exact = input.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    return square and depthwise and plain and exact and input.device.type == "cpu" and input.shape[-1] > PADDING


class _Depthwise(torch.autograd.Function):
    """A 5×5 depthwise convolution whose weight gradient is taken from two 5×3 ones.

    oneDNN has a depthwise kernel for gradients up to three columns and one column of padding; a 5×5 falls back to one
    for grouped convolutions that is six to ten times slower, and twice as slow again with a bias.
    """

    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, int]) -> Tensor:
        ctx.save_for_backward(input, weight)
        ctx.stride = stride
        return F.conv2d(input, weight, bias, stride, PADDING, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        input, weight = ctx.saved_tensors
        gradient, wanted = gradients[0], ctx.needs_input_grad
        by_input = _gradient(gradient, input, weight, ctx.stride, PADDING, 0) if wanted[0] else None
        by_weight = _weight_gradient(gradient, input, weight, ctx.stride) if wanted[1] else None
        by_bias = gradient.sum((0, 2, 3)) if wanted[2] else None
        return by_input, by_weight, by_bias, None


def _weight_gradient(gradient: Tensor, input: Tensor, weight: Tensor, stride: tuple[int, int]) -> Tensor:
    """(C, 1, 5, 5) from output gradients (B, C, h, w) and input (B, C, H, W).

    The first three columns are those of the input moved right by one pixel, the last two of it moved left. Moved right,
    it loses its last column, which the middle column of the kernel still meets where a window is centred on it.
    """
    three, one = weight[..., :3].contiguous(), weight[..., :1].contiguous()
    right, left = F.pad(input[..., :-1], (1, 0)), F.pad(input[..., 1:], (0, 1))
    found = torch.empty_like(weight)
    found[..., :3] = _gradient(gradient, right, three, stride, 1, 1)
    found[..., 3:] = _gradient(gradient, left, three, stride, 1, 1)[..., 1:]
    last = input.shape[-1] - 1
    if stride[1] * (gradient.shape[-1] - 1) == last:
        found[..., 2:3] += _gradient(gradient[..., -1:], input[..., last:], one, stride, 0, 1)
    return found


def _gradient(
    gradient: Tensor, input: Tensor, weight: Tensor, stride: tuple[int, int], columns: int, which: int
) -> Tensor:
    """One gradient of a depthwise convolution with two rows and some columns of padding. which: 0 input, 1 weight."""
    channels = len(weight)
    found = torch.ops.aten.convolution_backward(
        gradient.contiguous(memory_format=torch.channels_last),
        input.contiguous(memory_format=torch.channels_last),
        weight,
        None,
        list(stride),
        [PADDING, columns],
        [1, 1],
        False,
        [0, 0],
        channels,
        [which == 0, which == 1, False],
    )
    return cast(Tensor, found[which])
