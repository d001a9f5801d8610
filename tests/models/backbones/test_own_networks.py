"""Image networks of our own: shapes, sizes, folding, weights, and that they learn and repeat."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from crossmodal.errors import InputError, WeightsError
from crossmodal.models.backbones.own_networks import NETWORKS, Residual
from crossmodal.models.backbones.registry import build_backbone
from crossmodal.models.encoders import ImageEncoder

WIDTHS = {"digit_cnn": 256, "six_conv": 256, "small_resnet": 128}
SIDES = {"digit_cnn": 28, "six_conv": 64, "small_resnet": 28}


def lively(network: nn.Module) -> nn.Module:
    """Batch norm with statistics of its own, so that leaving it out would show."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    return network


@pytest.mark.parametrize("name", NETWORKS)
def test_pooled_widths(name: str):
    image = ImageEncoder(name, dimension=10).eval()
    assert image.width == image.backbone.width == WIDTHS[name]
    assert image.dimension == 10
    vectors = image(torch.randn(2, 3, SIDES[name], SIDES[name]))
    assert vectors.shape == (2, 10)
    assert vectors.norm(dim=1).tolist() == pytest.approx([1, 1], abs=1e-5)


@pytest.mark.parametrize(("name", "side"), [("six_conv", 64), ("six_conv", 299), ("small_resnet", 28)])
@torch.no_grad()
def test_the_feature_maps_mean_is_the_pooled_feature(name: str, side: int):
    backbone = build_backbone(name).eval()
    images = torch.randn(1, 3, side, side)
    assert torch.allclose(backbone.feature_map(images).mean((2, 3)), backbone(images), atol=1e-6)


@pytest.mark.parametrize("side", [28, 32, 64, 96])
@torch.no_grad()
def test_the_small_resnet_takes_pictures_of_28_to_96_pixels(side: int):
    assert build_backbone("small_resnet").eval()(torch.randn(1, 3, side, side)).shape == (1, 128)


def test_the_digit_network_is_the_one_described():
    backbone = build_backbone("digit_cnn").eval()
    flat = backbone.stages[:3](torch.zeros(1, 3, 28, 28))
    assert flat.shape == (1, 64, 7, 7)
    assert flat.numel() == backbone.stages[3][1].in_features == 3136
    with pytest.raises(InputError, match="no feature map"):
        backbone.feature_map(torch.zeros(1, 3, 28, 28))
    with pytest.raises(InputError, match="28×28 pixels, not 32×32"):
        backbone(torch.zeros(1, 3, 32, 32))


def test_six_blocks_each_halve_the_sides():
    backbone = build_backbone("six_conv").eval()
    maps, shapes = torch.zeros(1, 3, 299, 299), []
    with torch.no_grad():
        for stage in backbone.stages:
            maps = stage(maps)
            shapes.append((maps.shape[1], maps.shape[2]))
    assert shapes == [(64, 149), (64, 74), (128, 37), (128, 18), (256, 9), (256, 4)]


def test_the_small_resnet_is_small():
    assert sum(parameter.numel() for parameter in build_backbone("small_resnet").parameters()) < 2.5e6


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_folding_frozen_batch_norms_changes_nothing(name: str):
    torch.manual_seed(0)
    plain = lively(NETWORKS[name].build()).eval()
    backbone = build_backbone(name).eval()
    backbone.stages.load_state_dict(plain.state_dict())
    images = torch.randn(2, 3, SIDES[name], SIDES[name])
    expected = plain(images)
    assert torch.allclose(backbone.stages(images), expected, atol=1e-5)
    assert expected.std() > 0.01


@pytest.mark.parametrize("stride", [1, 2])
def test_a_residual_block_adds_what_came_in(stride: int):
    block = lively(Residual(4, 4, stride)).eval()
    nn.init.zeros_(block.body[4].weight)  # the body says -2 everywhere
    nn.init.constant_(block.body[4].bias, -2)
    maps = torch.randn(1, 4, 6, 6) + 2
    kept = maps if stride == 1 else block.shortcut(maps)
    assert block(maps).shape == (1, 4, 6 // stride, 6 // stride)
    assert torch.allclose(block(maps), (kept - 2).relu(), atol=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_come_from_a_state_dict_and_never_from_imagenet(name: str, tmp_path: Path):
    first = NETWORKS[name].build()
    save_file(first.state_dict(), tmp_path / "weights.safetensors")
    torch.save(first.state_dict(), tmp_path / "weights.pt")
    for file in ("weights.safetensors", "weights.pt"):
        loaded = build_backbone(name, str(tmp_path / file)).stages.state_dict()
        assert all(torch.equal(loaded[key], value) for key, value in first.state_dict().items())
    with pytest.raises(WeightsError, match=r"no ImageNet weights: .* --image-weights none"):
        build_backbone(name, "imagenet")
    other = "six_conv" if name == "digit_cnn" else "digit_cnn"
    with pytest.raises(WeightsError, match=f"not a state dict of {other}"):
        build_backbone(other, str(tmp_path / "weights.pt"))


def gradients(name: str) -> Tensor:
    torch.manual_seed(3)
    image = ImageEncoder(name, 8, dropout=0.2).train()
    image(torch.randn(4, 3, SIDES[name], SIDES[name])).square().mul(torch.arange(8)).sum().backward()
    return torch.cat([parameter.grad.flatten() for parameter in image.parameters()])


@pytest.mark.parametrize("name", NETWORKS)
def test_every_weight_learns_and_one_seed_repeats_to_the_bit(name: str):
    first = gradients(name)
    assert torch.isfinite(first).all()
    assert first.abs().sum() > 0
    assert torch.equal(first, gradients(name))


def test_the_first_stages_can_be_frozen():
    backbone = build_backbone("small_resnet")
    backbone.frozen_stages = 2
    backbone(torch.randn(2, 3, 28, 28)).sum().backward()
    moved = [any(parameter.grad is not None for parameter in stage.parameters()) for stage in backbone.stages]
    assert moved == [False, False, True, True, True]


def test_an_unknown_name_lists_our_own():
    with pytest.raises(InputError, match="digit_cnn, six_conv, small_resnet"):
        build_backbone("seven_conv")
