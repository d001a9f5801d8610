"""timm's networks as image backbones, from weights made on the spot in timm's own format."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from crossmodal.errors import InputError, WeightsError
from crossmodal.images.transforms import ImageTransform
from crossmodal.inference.backends.fusing import fused
from crossmodal.models.backbones.registry import Backbone, FoldingSequential, build_backbone
from crossmodal.models.backbones.timm_networks import SamePadding, timm_preprocessing
from crossmodal.models.encoders import ImageEncoder
from crossmodal.training.build import image_transform
from crossmodal.training.config import TrainConfig, chosen_recipe

LITE = "tf_efficientnet_lite0"


def network(name: str) -> nn.Module:
    """timm's own, with weights of another seed and statistics that a fold must respect."""
    torch.manual_seed(3)
    made = timm.create_model(name, num_classes=0).eval()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.8, 1.2)
            nn.init.uniform_(module.weight, 0.8, 1.2)
    return made


def saved(made: nn.Module, folder: Path, suffix: str = "safetensors") -> str:
    path = folder / f"weights.{suffix}"
    (save_file if suffix == "safetensors" else torch.save)(made.state_dict(), path)
    return str(path)


@pytest.fixture
def images() -> Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
@pytest.mark.parametrize("name", [LITE, "mobilenetv4_conv_small", "resnet18", "mobilenetv3_small_050"])
def test_pooled_features_are_timms_own(name: str, suffix: str, images: Tensor, tmp_path: Path):
    made = network(name)
    backbone = build_backbone(f"timm/{name}", saved(made, tmp_path, suffix)).eval()
    torch.testing.assert_close(backbone(images), made(images), rtol=1e-3, atol=1e-4)
    assert backbone.width == made(images).shape[1]


@torch.no_grad()
def test_a_vision_transformer_of_timms_has_vectors_but_no_map(tmp_path: Path):
    made, pixels = network("vit_tiny_patch16_224"), torch.randn(1, 3, 224, 224)
    backbone = build_backbone("timm/vit_tiny_patch16_224", saved(made, tmp_path)).eval()
    torch.testing.assert_close(backbone(pixels), made(pixels), rtol=1e-3, atol=1e-4)
    with pytest.raises(InputError, match="no feature map"):
        backbone.feature_map(pixels)


@torch.no_grad()
@pytest.mark.parametrize("name", [LITE, "resnet18"])
def test_the_mean_of_its_map_is_the_pooled_feature(name: str, images: Tensor):
    backbone = build_backbone(f"timm/{name}").eval()
    assert backbone.averages_places
    torch.testing.assert_close(backbone.feature_map(images).mean((2, 3)), backbone(images))


def test_a_layer_after_the_mean_makes_it_no_plain_mean():
    assert not build_backbone("timm/mobilenetv3_small_050").averages_places


def folding(backbone: Backbone) -> int:
    return sum(isinstance(module, FoldingSequential) for module in backbone.modules())


def test_batch_norms_stand_beside_their_convolutions_so_that_they_fold():
    backbone = build_backbone(f"timm/{LITE}")
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in backbone.modules())
    assert folding(backbone) == norms == 49
    assert len(backbone.stages) == 9


@torch.no_grad()
def test_fused_it_gives_the_same(images: Tensor, tmp_path: Path):
    backbone = build_backbone(f"timm/{LITE}", saved(network(LITE), tmp_path)).eval()
    single = fused(backbone)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in single.modules())
    torch.testing.assert_close(single(images), backbone(images), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("side", "kernel", "stride"), [(7, 3, 2), (8, 3, 2), (8, 5, 2), (9, 5, 3), (6, 1, 2)])
def test_padding_is_tensorflows(side: int, kernel: int, stride: int):
    ours = nn.Conv2d(2, 2, kernel, stride)
    theirs = timm.layers.Conv2dSame(2, 2, kernel, stride)
    theirs.load_state_dict(ours.state_dict())
    pixels = torch.randn(1, 2, side, side)
    torch.testing.assert_close(ours(SamePadding(ours)(pixels)), theirs(pixels))


def test_gradients_are_timms_own(images: Tensor, tmp_path: Path):
    made = network(LITE)
    backbone = build_backbone(f"timm/{LITE}", saved(made, tmp_path)).eval()
    ours, theirs = (model(images).square().sum() for model in (backbone, made))
    ours.backward()
    theirs.backward()
    first, wanted = backbone.stages[0][0][1].weight.grad, made.conv_stem.weight.grad
    torch.testing.assert_close(first, wanted, rtol=1e-2, atol=1e-2 * float(wanted.abs().max()))


def test_pixels_are_what_the_models_own_configuration_says():
    asked = TrainConfig(recipe="flickr8k", image_backbone="timm/tf_efficientnet_lite2")
    half = (0.5, 0.5, 0.5)
    assert image_transform(chosen_recipe(asked)) == ImageTransform(260, mean=half, std=half)
    assert timm_preprocessing("timm/vgg11").interpolation == "bilinear"


def test_a_plain_name_that_timm_knows_too_is_torchvisions(tmp_path: Path):
    from torchvision import models

    torch.manual_seed(0)
    path = saved(models.get_model("efficientnet_b0", weights=None), tmp_path)
    build_backbone("efficientnet_b0", path)
    with pytest.raises(WeightsError, match="not a state dict of timm/efficientnet_b0"):
        build_backbone("timm/efficientnet_b0", path)


@pytest.mark.parametrize("name", ["timm/tf_efficientnet_lte0", "timm/efficientnet_lite"])
def test_an_unknown_name_lists_near_ones(name: str):
    with pytest.raises(InputError, match=r"timm/(tf_)?efficientnet_lite"):
        build_backbone(name)


def test_a_plain_name_that_only_timm_knows_says_how_timms_are_called():
    with pytest.raises(InputError, match="timm/NAME"):
        build_backbone(LITE)


def test_weights_that_cannot_be_downloaded_name_the_way_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("timm.models._builder.load_pretrained", lambda *_, **__: (_ for _ in ()).throw(OSError("net")))
    with pytest.raises(WeightsError, match="--image-weights PATH"):
        build_backbone("timm/mobilenetv4_conv_small", "imagenet")


@torch.no_grad()
def test_the_shared_weights_are_timms(shared: Path, images: Tensor):
    path = shared / "weights" / f"{LITE}.safetensors"
    backbone = build_backbone(f"timm/{LITE}", str(path)).eval()
    made = timm.create_model(LITE, num_classes=0, checkpoint_path=str(path)).eval()
    torch.testing.assert_close(backbone(images), made(images), rtol=1e-3, atol=1e-4)


def test_a_tower_of_timms_trains_and_gives_unit_vectors(images: Tensor):
    vectors = ImageEncoder(f"timm/{LITE}", 8).train()(images)
    vectors.sum().backward()
    assert vectors.norm(dim=1).tolist() == pytest.approx([1, 1], abs=1e-5)
