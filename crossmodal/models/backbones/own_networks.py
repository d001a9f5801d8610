"""Image networks of our own, small enough to be trained from random weights.

Shapes: B batch, H×W pixels, W' pooled width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

from torch import Tensor, nn

from crossmodal.errors import InputError


@dataclass(frozen=True)
class Network:
    """An image network of ours.

    build: makes its stages, in order.
    has_map: whether they end in a feature map, whose mean over places is the pooled feature; else they end in pooled
        features.
    side: of the pictures it is made for, in pixels.
    """

    build: Callable[[], nn.Sequential]
    has_map: bool
    side: int


class OneSize(nn.Module):
    """Lets pictures of one size through. Raises InputError for others."""

    def __init__(self, network: str, side: int) -> None:
        super().__init__()
        self.network, self.side = network, side

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) → the same."""
        height, width = images.shape[-2:]
        if (height, width) != (self.side, self.side):
            raise InputError(f"{self.network} takes pictures of {self.side}×{self.side} pixels, not {height}×{width}")
        return images


class Residual(nn.Module):
    """Two convolutions with batch norm, added to what came in. Source: He et al. 2016, section 3.3, option B."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, 1, 1, bias=False),
            nn.BatchNorm2d(after),
        )
        changed = stride != 1 or before != after
        shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
        self.shortcut = shortcut if changed else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        """(B, before, H, W) → (B, after, H / stride, W / stride)."""
        return cast(Tensor, (self.body(maps) + self.shortcut(maps)).relu())


def _pooled_block(before: int, after: int) -> nn.Sequential:
    """Convolution, batch norm, ReLU and a pool that halves both sides."""
    convolution = nn.Conv2d(before, after, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2))


def digit_cnn() -> nn.Sequential:
    """28×28 pixels → two blocks of 32 and 64 channels, 3136 values, a dense layer of 256. No feature map."""
    dense = nn.Sequential(nn.Flatten(), nn.Linear(64 * 7 * 7, 256), nn.ReLU())
    return nn.Sequential(OneSize("digit_cnn", 28), _pooled_block(3, 32), _pooled_block(32, 64), dense)


def six_conv(dropout: float = 0.05) -> nn.Sequential:
    """Six blocks of 64, 64, 128, 128, 256 and 256 channels, each halving the sides: 64×64 pixels or more.

    dropout: of whole channels, since neighbouring places of one say nearly the same (Tompson et al. 2015).
    """
    channels = (3, 64, 64, 128, 128, 256, 256)
    blocks = [_pooled_block(before, after) for before, after in pairwise(channels)]
    for block in blocks:
        block.append(nn.Dropout2d(dropout))
    return nn.Sequential(*blocks)


def small_resnet() -> nn.Sequential:
    """A residual network for pictures of 28 to 96 pixels: 0.7 million weights, quick on one CPU core.

    The stem halves the sides at once, since full-size maps of many channels are what costs time.
    """
    channels = (16, 16, 32, 64, 128)
    stages = [_pooled_block(3, channels[0])]
    for before, after in pairwise(channels):
        stages.append(nn.Sequential(Residual(before, after, after // before), Residual(after, after)))
    return nn.Sequential(*stages)


NETWORKS = {
    "digit_cnn": Network(digit_cnn, has_map=False, side=28),
    "six_conv": Network(six_conv, has_map=True, side=299),
    "small_resnet": Network(small_resnet, has_map=True, side=28),
}
