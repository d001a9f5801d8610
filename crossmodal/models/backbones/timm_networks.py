"""timm's networks as image backbones: what they want of pixels, their stages, and how the mean over places is told.

Shapes: B batch, H×W pixels, h×w places of the feature map, W channels of it.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn

from crossmodal.errors import InputError, WeightsError

PREFIX = "timm/"
# Blocks whose convolutions are followed by the batch norm that stands next to them. In others, such as blocks that
# normalise first, neighbours in the list need not be neighbours in the network.
NORM_AFTER_CONVOLUTION = frozenset(
    {
        *("ConvBnAct", "ConvNormAct", "ConvNormActAa", "DepthwiseSeparableConv", "InvertedResidual", "EdgeResidual"),
        *("EfficientNet", "MobileNetV3", "BasicBlock", "Bottleneck", "ResNet"),
    }
)
PROBE = 2  # pictures of noise that show how a network pools


@dataclass(frozen=True)
class Preprocessing:
    """What a network was trained on.

    size: side of its pictures in pixels.
    mean: per channel, of values in [0, 1].
    std: per channel, of values in [0, 1].
    interpolation: "bicubic" or "bilinear".
    """

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str


class SamePadding(nn.Module):
    """TensorFlow's padding: as many zeros as make the output ceil(side / stride), the odd one at the end."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.window = tuple(
            (kernel - 1) * dilation + 1
            for kernel, dilation in zip(convolution.kernel_size, convolution.dilation, strict=True)
        )
        self.stride = convolution.stride

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, H + rows, W + columns)."""
        lacking = [
            max((-(-side // step) - 1) * step + window - side, 0)
            for side, step, window in zip(images.shape[2:], self.stride, self.window, strict=True)
        ]
        top, left = lacking[0] // 2, lacking[1] // 2
        return nn.functional.pad(images, (left, lacking[1] - left, top, lacking[0] - top))


class _Features(nn.Module):
    """A whole network up to its feature map (B, W, h, w), whichever axis it keeps its channels on."""

    def __init__(self, network: Any, channels_last: bool) -> None:
        super().__init__()
        self.network = network
        self.channels_last = channels_last

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.network.forward_features(images)
        return maps.permute(0, 3, 1, 2) if self.channels_last else maps


class _Head(nn.Module):
    """What a network does with its pooled map before the classifier."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, pooled: Tensor) -> Tensor:
        return cast(Tensor, self.network.forward_head(pooled, pre_logits=True))


def build_timm(name: str) -> nn.Module:
    """A network of timm's with random weights and without a classifier.

    Raises InputError for a name that timm does not know, with near ones.
    """
    import timm

    network: nn.Module = timm.create_model(_known(name), pretrained=False, num_classes=0)
    return network


def _known(name: str) -> str:
    """The name as timm spells it. Raises InputError for one that timm does not know, with near ones."""
    from difflib import get_close_matches

    import timm

    plain = name.removeprefix(PREFIX)
    if timm.is_model(plain):
        return plain
    close = get_close_matches(plain.split(".", maxsplit=1)[0], timm.list_models(), n=5, cutoff=0.5)
    near = f"near ones: {', '.join(PREFIX + other for other in close)}" if close else "see timm.list_models()"
    raise InputError(f"image backbone {name!r} is none of timm's {len(timm.list_models()):,}; {near}")


def downloaded_timm(name: str) -> dict[str, Tensor]:
    """timm's own pretrained weights. Raises WeightsError where they cannot be fetched."""
    import timm

    plain = name.removeprefix(PREFIX)
    try:
        network: nn.Module = timm.create_model(plain, pretrained=True, num_classes=0)
    except Exception as error:  # the hub's client, urllib and timm itself raise kinds without a common ancestor
        raise WeightsError(
            f"pretrained weights of {name} cannot be downloaded ({error}): give a local file with --image-weights "
            "PATH, or start from random weights with --image-weights none"
        ) from error
    return network.state_dict()


def timm_preprocessing(name: str) -> Preprocessing:
    """What the model's own configuration says. Raises InputError for an unknown name."""
    import timm

    config = timm.get_pretrained_cfg(_known(name))
    if config is None:
        return Preprocessing(224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "bicubic")
    interpolation = "bilinear" if config.interpolation == "bilinear" else "bicubic"
    mean, std = ((float(red), float(green), float(blue)) for red, green, blue in (config.mean, config.std))
    return Preprocessing(int(config.input_size[-1]), mean, std, interpolation)


def own_size(backbone: str | None) -> int | None:
    """The side in pixels that a network of timm's was made for; None for others, which take any."""
    return timm_preprocessing(backbone).size if backbone is not None and backbone.startswith(PREFIX) else None


def timm_stages(network: Any, side: int) -> tuple[nn.Sequential, nn.Module, bool]:
    """Stages, what follows the mean over places, and whether there is such a mean: read off with noise, not by name.

    side: pixels the network is tried with.
    """
    network = network.eval()
    with torch.no_grad():
        images = torch.randn(PROBE, 3, side, side, generator=torch.Generator().manual_seed(0))
        maps = network.forward_features(images)
        pooled = network.forward_head(maps, pre_logits=True)
        for channels_last in (False, True):
            if not isinstance(maps, Tensor) or maps.ndim != 4 or pooled.ndim != 2:
                break
            mean = maps.mean((1, 2) if channels_last else (2, 3))
            if mean.shape == pooled.shape and torch.allclose(mean, pooled, rtol=1e-4, atol=1e-5):
                return _split(network, channels_last), nn.Identity(), True
            head = _on_a_point(network, mean, channels_last)
            if head is not None and torch.allclose(head, pooled, rtol=1e-4, atol=1e-5) and not channels_last:
                after = _Head(_cut_off(network, mean[:, :, None, None]))
                return _split(network, channels_last), after, True
    return nn.Sequential(network), nn.Identity(), False


def _on_a_point(network: Any, mean: Tensor, channels_last: bool) -> Tensor | None:
    """What the network's head gives for a map of one place, (B, W); None where it takes none."""
    place = mean[:, None, None] if channels_last else mean[:, :, None, None]
    try:
        head: Tensor = network.forward_head(place, pre_logits=True)
    except (RuntimeError, ValueError):
        return None
    return head if head.ndim == 2 else None


def _cut_off(network: Any, place: Tensor) -> Any:
    """The part of a network that makes features of its pooled map; the network itself loses it.

    place: a pooled map (B, W, 1, 1), which shows what that part is.
    """
    used: set[str] = set()
    handles = [
        child.register_forward_hook(lambda *_, key=key: used.add(key)) for key, child in network.named_children()
    ]
    network.forward_head(place, pre_logits=True)
    for handle in handles:
        handle.remove()
    head = copy.copy(network)
    head._modules = {key: child if key in used else nn.Identity() for key, child in network.named_children()}
    for key in used:
        setattr(network, key, nn.Identity())
    return head


def _split(network: Any, channels_last: bool) -> nn.Sequential:
    """A network up to its map: in stages where its structure is known, as one stage elsewhere."""
    parts = dict(network.named_children())
    pair_norms(network)
    if not channels_last and {"conv_stem", "bn1", "blocks"} <= set(parts):
        stages = [nn.Sequential(network.conv_stem, network.bn1), *network.blocks]
        if type(network).__name__ == "EfficientNet":
            stages.append(nn.Sequential(network.conv_head, network.bn2))
        return nn.Sequential(*stages)
    if not channels_last and {"conv1", "bn1", "act1", "maxpool", "layer4"} <= set(parts):
        stem = OrderedDict((key, parts[key]) for key in ("conv1", "bn1", "act1", "maxpool"))
        return nn.Sequential(nn.Sequential(stem), network.layer1, network.layer2, network.layer3, network.layer4)
    return nn.Sequential(_Features(network, channels_last))


def pair_norms(network: nn.Module) -> None:
    """Join every convolution with the batch norm after it in one Sequential, so that frozen norms can be folded."""
    for module in list(network.modules()):
        if type(module).__name__ not in NORM_AFTER_CONVOLUTION:
            continue
        children = [(key, child) for key, child in module.named_children() if not isinstance(child, nn.Identity)]
        for (key, convolution), (norm_key, norm) in pairwise(children):
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, key, nn.Sequential(*_padded(convolution), *_plain(norm)))
                setattr(module, norm_key, nn.Identity())


def _padded(convolution: nn.Conv2d) -> list[nn.Module]:
    """The convolution as torch's own class, with the padding that timm's computes from the picture before it."""
    if type(convolution) is nn.Conv2d:
        return [convolution]
    plain = nn.Conv2d(
        convolution.in_channels,
        convolution.out_channels,
        cast("tuple[int, int]", convolution.kernel_size),
        cast("tuple[int, int]", convolution.stride),
        0,
        cast("tuple[int, int]", convolution.dilation),
        convolution.groups,
        convolution.bias is not None,
    )
    plain.load_state_dict(convolution.state_dict())
    return [SamePadding(convolution), plain]


def _plain(norm: nn.BatchNorm2d) -> list[nn.Module]:
    """timm's batch norm with an activation inside, as one after the other."""
    if type(norm) is nn.BatchNorm2d:
        return [norm]
    plain = nn.BatchNorm2d(norm.num_features, norm.eps, norm.momentum)
    plain.load_state_dict(norm.state_dict())
    after = [cast(nn.Module, getattr(norm, key)) for key in ("drop", "act") if hasattr(norm, key)]
    return [plain, *(module for module in after if not isinstance(module, nn.Identity))]
