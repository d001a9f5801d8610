from __future__ import annotations

import pytest
import torch
from torch import nn

from crossmodal.models.backbones import depthwise
from crossmodal.models.backbones.depthwise import convolved, has_slow_gradient
from crossmodal.models.backbones.registry import FoldingSequential, build_backbone


def layer(side: int = 5, stride: int = 1, channels: int = 4, bias: bool = True) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(channels, channels, side, stride, side // 2, groups=channels, bias=bias)


def gradients(convolution: nn.Conv2d, pixels: torch.Tensor, plain: bool) -> list[torch.Tensor]:
    """By input, weight and bias, of a sum that weighs every output differently."""
    pixels = pixels.clone().requires_grad_()
    convolution.zero_grad()
    out = convolution(pixels) if plain else convolved(convolution, pixels, convolution.weight, convolution.bias)
    (out * torch.linspace(-1, 2, out.numel()).view_as(out)).sum().backward()
    return [out.detach(), *(t.grad.clone() for t in (pixels, *convolution.parameters()) if t.grad is not None)]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("shape", [(9, 9), (8, 8), (7, 10), (6, 3), (1, 4)])
@pytest.mark.parametrize("bias", [True, False])
def test_the_fast_gradient_is_torchs(stride: int, shape: tuple[int, int], bias: bool):
    convolution = layer(stride=stride, bias=bias)
    pixels = torch.randn(3, 4, *shape).contiguous(memory_format=torch.channels_last)
    assert has_slow_gradient(convolution, pixels)
    fast, plain = (gradients(convolution, pixels, way) for way in (False, True))
    assert len(fast) == (4 if bias else 3)
    for own, wanted in zip(fast, plain, strict=True):
        torch.testing.assert_close(own, wanted, rtol=1e-4, atol=1e-4)


def test_other_convolutions_go_torchs_way(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(depthwise, "_Depthwise", None)
    pixels = torch.randn(2, 4, 8, 8)
    three, five = layer(3), layer(5)
    assert torch.equal(convolved(three, pixels, three.weight, three.bias), three(pixels))
    with torch.no_grad():
        assert torch.equal(convolved(five, pixels, five.weight, five.bias), five(pixels))
    assert torch.equal(convolved(five.eval(), pixels, five.weight, five.bias), five(pixels))
    assert not has_slow_gradient(five.double(), pixels.double())
    with torch.autocast("cpu", torch.bfloat16):
        assert not has_slow_gradient(layer(), pixels)


@pytest.mark.parametrize("frozen_norms", [True, False])
def test_a_training_step_of_a_whole_network_has_torchs_gradients(frozen_norms: bool, monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(0)
    network = build_backbone("efficientnet_b0").train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train(not frozen_norms)
        if hasattr(module, "p"):
            module.p = 0.0  # no stochastic depth
    pixels = torch.randn(4, 3, 64, 64).contiguous(memory_format=torch.channels_last)

    def taken() -> list[torch.Tensor]:
        network.zero_grad()
        network(pixels).square().sum().backward()
        return [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None]

    fast = taken()
    monkeypatch.setattr(FoldingSequential, "forward", nn.Sequential.forward)
    plain = taken()
    assert len(fast) == len(plain) > 100
    for own, wanted in zip(fast, plain, strict=True):
        assert (own - wanted).norm() <= 1e-3 * wanted.norm() + 1e-7


@pytest.mark.parametrize("groups", [1, 4])
def test_under_autocast_only_depthwise_convolutions_stay_exact(groups: int):
    convolution = nn.Conv2d(4, 4, 3, padding=1, groups=groups)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = convolved(convolution, torch.randn(1, 4, 5, 5).bfloat16(), convolution.weight, convolution.bias)
    assert out.dtype == (torch.float32 if groups > 1 else torch.bfloat16)
