"""Image backbones by name, from torchvision, timm or our own, with their pooled width read off.

Shapes: B batch, H×W pixels, h×w places of the feature map, W channels of it.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crossmodal.errors import InputError, WeightsError
from crossmodal.models.backbones.depthwise import convolved
from crossmodal.models.backbones.own_networks import NETWORKS
from crossmodal.models.backbones.timm_networks import (
    PREFIX,
    build_timm,
    downloaded_timm,
    timm_preprocessing,
    timm_stages,
)

# torchvision's published DenseNet files name "denselayer1.norm.1.weight" what its network calls "denselayer1.norm1…"
OLD_DENSENET_NAME = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")
HEADS = ("classifier.", "fc.", "heads.", "head.")


class FoldingSequential(nn.Sequential):
    """A Sequential that runs a convolution and the frozen batch norm after it as one convolution.

    Same parameters, same names, same result: with the statistics fixed, batch norm is a scale and a shift of the
    convolution's output, and scaling the small kernel is far cheaper than scaling the large output.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Run the children in order, folding where batch norm is in eval mode."""
        children = list(self)
        position = 0
        while position < len(children):
            child = children[position]
            following = children[position + 1] if position + 1 < len(children) else None
            if isinstance(child, nn.Conv2d) and isinstance(following, nn.BatchNorm2d) and not following.training:
                input = _folded(child, following, input)
                position += 1
            elif isinstance(child, nn.Conv2d):
                input = convolved(child, input, child.weight, child.bias)
            elif isinstance(child, nn.SiLU) and child.training:
                input = F.silu(input)  # in place, autograd would first copy what the gradient needs
            else:
                input = child(input)
            position += 1
        return input


def _folded(convolution: nn.Conv2d, norm: nn.BatchNorm2d, input: Tensor) -> Tensor:
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = norm.weight * (variance + norm.eps).rsqrt()
    bias = norm.bias - mean * scale
    if convolution.bias is not None:
        bias = bias + convolution.bias * scale
    return convolved(convolution, input, convolution.weight * scale.view(-1, 1, 1, 1), bias)


def _fold_frozen_norms(module: nn.Module) -> nn.Module:
    """Replace every Sequential that holds a convolution before a batch norm; names in the state dict stay."""
    for name, child in module.named_children():
        setattr(module, name, _fold_frozen_norms(child))
    if isinstance(module, nn.Sequential):
        children = list(module)
        pairs = pairwise(children)
        if any(isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d) for first, second in pairs):
            return FoldingSequential(OrderedDict(module.named_children()))
    return module


class Backbone(nn.Module):
    """A network without its classifier.

    stages: the blocks up to the feature map, in order, so that the first few can be frozen; a network without that
        structure (a vision transformer) has one stage, which gives pooled features at once.
    width: W, read off with a picture of `side` pixels.
    """

    def __init__(self, stages: nn.Sequential, after: nn.Module, has_map: bool, side: int = 224) -> None:
        super().__init__()
        self.stages = cast(nn.Sequential, _fold_frozen_norms(stages))
        self.after = after
        self.has_map = has_map
        self.frozen_stages = 0
        self.width = self._read_width(side)

    def _read_width(self, side: int) -> int:
        training = self.training
        with torch.no_grad():
            width = int(self.eval()(torch.zeros(1, 3, side, side)).shape[1])
        self.train(training)
        return width

    def frozen_maps(self, images: Tensor) -> Tensor:
        """Normalised (B, 3, H, W) → what the frozen stages make of them, without gradients."""
        with torch.no_grad():
            for stage in self.stages[: self.frozen_stages]:
                images = stage(images)
        return images

    def pooled(self, maps: Tensor) -> Tensor:
        """What the frozen stages gave → pooled features (B, W)."""
        for stage in self.stages[self.frozen_stages :]:
            maps = stage(maps)
        if not self.has_map:
            return maps
        return cast(Tensor, self.after(maps.mean((2, 3), keepdim=True))).flatten(1)

    @property
    def averages_places(self) -> bool:
        """Whether `forward` is the mean of a feature map over its places and nothing more."""
        return self.has_map and isinstance(self.after, nn.Identity)

    def feature_map(self, images: Tensor) -> Tensor:
        """Normalised (B, 3, H, W) → (B, W, h, w), whose mean over places is `forward`.

        Raises InputError for a network that pools in another way.
        """
        if not self.averages_places:
            raise InputError("this image backbone has no feature map whose mean is its pooled feature")
        maps = self.frozen_maps(images)
        for stage in self.stages[self.frozen_stages :]:
            maps = stage(maps)
        return maps

    def forward(self, images: Tensor) -> Tensor:
        """Normalised (B, 3, H, W) → pooled features (B, W)."""
        return self.pooled(self.frozen_maps(images))


def _stages(name: str, network: Any) -> tuple[nn.Sequential, nn.Module, bool]:
    if name.startswith("densenet"):
        return nn.Sequential(*network.features.children(), nn.ReLU()), nn.Identity(), True
    if name.startswith("convnext"):
        return network.features, network.classifier[0], True
    if name.startswith(("resnet", "resnext", "wide_resnet")):
        stem = nn.Sequential(OrderedDict(conv1=network.conv1, bn1=network.bn1, relu=network.relu, pool=network.maxpool))
        layers = (network.layer1, network.layer2, network.layer3, network.layer4)
        return nn.Sequential(stem, *layers), nn.Identity(), True
    if name.startswith(("efficientnet", "mobilenet", "mnasnet", "squeezenet", "vgg")) and hasattr(network, "features"):
        return network.features, nn.Identity(), True
    for head in ("heads", "head", "classifier", "fc"):
        if hasattr(network, head):
            setattr(network, head, nn.Identity())
            return nn.Sequential(network), nn.Identity(), False
    raise InputError(f"image backbone {name!r} has no classifier that could be taken off")


def backbone_names() -> list[str]:
    """Every classification network torchvision offers, and our own; timm's, which are many, timm lists itself."""
    from torchvision import models

    return [*models.list_models(module=models), *NETWORKS]


def build_backbone(name: str, weights: str = "none") -> Backbone:
    """A network by name, without its classifier: "timm/NAME" is timm's, a plain name torchvision's or our own.

    weights: "imagenet" (downloaded by torchvision or timm), "none" (random), or the path of a state dict of the whole
    network under its library's names (.safetensors, or .pt/.pth read with weights_only=True).

    Raises InputError for an unknown name, WeightsError for weights that are absent or do not fit.
    """
    if name.startswith(PREFIX):
        return _timm_backbone(name, weights)
    known = backbone_names()
    if name not in known:
        near = [other for other in known if other[:4] == name[:4]] or ["efficientnet_b0", "mobilenet_v2", "resnet50"]
        own = f"torchvision's nor of our own ({', '.join(NETWORKS)})"
        raise InputError(
            f"image backbone {name!r} is neither one of {own}; near ones: {', '.join(near)}; timm's are called "
            f"{PREFIX}NAME"
        )
    network = NETWORKS[name].build() if name in NETWORKS else _torchvision(name)
    if weights == "imagenet":
        network.load_state_dict(_downloaded(name))
    elif weights != "none":
        _load_file(network, name, Path(weights))
    if name in NETWORKS:
        stages = cast(nn.Sequential, network)
        return Backbone(stages, nn.Identity(), NETWORKS[name].has_map, NETWORKS[name].side)
    return Backbone(*_stages(name, network))


def _timm_backbone(name: str, weights: str) -> Backbone:
    network, side = build_timm(name), timm_preprocessing(name).size
    if weights == "imagenet":
        network.load_state_dict(downloaded_timm(name))
    elif weights != "none":
        _load_file(network, name, Path(weights))
    return Backbone(*timm_stages(network, side), side)


def _torchvision(name: str) -> nn.Module:
    from torchvision import models

    options = {"init_weights": False} if name in {"googlenet", "inception_v3"} else {}
    return cast(nn.Module, models.get_model(name, weights=None, **options))


def _downloaded(name: str) -> dict[str, Tensor]:
    from torchvision import models

    if name in NETWORKS:
        raise WeightsError(
            f"{name} is our own and has no ImageNet weights: start from random ones with --image-weights none"
        )
    try:
        state = models.get_model_weights(name).DEFAULT.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:  # URLError is an OSError; a truncated download is a RuntimeError
        raise WeightsError(
            f"ImageNet weights of {name} cannot be downloaded ({error}): give a local file with "
            "--image-weights PATH, or start from random weights with --image-weights none"
        ) from error
    return _renamed(state)


def _renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """These tensors under the names that torchvision's networks have today."""
    return {OLD_DENSENET_NAME.sub(r"\1\2", name): tensor for name, tensor in state.items()}


def _load_file(network: nn.Module, name: str, path: Path) -> None:
    if not path.is_file():
        raise WeightsError(f"--image-weights {path}: no such file; give a state dict of {name}, 'imagenet' or 'none'")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
        missing, unexpected = network.load_state_dict(_renamed(state), strict=False)
    except Exception as error:  # safetensors, pickle and torch raise many kinds for a file that is not theirs
        raise WeightsError(f"--image-weights {path}: not a state dict of {name} ({error})") from error
    lacking = [key for key in missing if not key.startswith(HEADS)]
    surplus = [key for key in unexpected if not key.startswith(HEADS)]
    if lacking or surplus:
        raise WeightsError(
            f"--image-weights {path}: not a state dict of {name}: {len(lacking)} tensors lacking "
            f"{lacking[:3]}, {len(surplus)} unknown {surplus[:3]}"
        )
