"""What stands on top of the towers: a judge of pairs, and a decoder that draws what a vector says.

Shapes: B batch, D embedding, W pooled width of a side.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from crossmodal.errors import InputError


class MatchHead(nn.Module):
    """Both sides of a pair, side by side → one logit: dense, batch norm, ReLU, linear. A sigmoid gives a probability.

    image_width, text_width: W of each side.
    hidden: units of the dense layer.
    """

    def __init__(self, image_width: int = 512, text_width: int = 256, hidden: int = 512) -> None:
        super().__init__()
        self.dense = nn.Linear(image_width + text_width, hidden, bias=False)
        self.norm = nn.BatchNorm1d(hidden)
        self.logit = nn.Linear(hidden, 1)

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        """Rectified features of both sides, (B, W) each → logits (B,)."""
        return self._judged(self.dense(torch.cat([image, text], 1)))

    def every_pair(self, image: Tensor, text: Tensor) -> Tensor:
        """Rectified features of B pictures and M sentences → logits of each with each (B, M).

        The dense layer of a pair is a sum of the picture's share and the sentence's, so each is computed once.
        """
        of_image, of_text = self.dense.weight.split([image.shape[1], text.shape[1]], 1)
        joined = (image @ of_image.T)[:, None] + (text @ of_text.T)[None]  # (B, M, hidden)
        return self._judged(joined.flatten(0, 1)).view(len(image), len(text))

    def _judged(self, joined: Tensor) -> Tensor:
        return cast(Tensor, self.logit(self.norm(joined).relu())).squeeze(1)


class ImageDecoder(nn.Module):
    """Unit vectors → grey pictures of 28×28 pixels: dense to 7×7, two up-sampling residual blocks.

    dimension: D.
    base: channels at 7×7, halved by each block.

    Raises InputError if base is not a multiple of 4.
    """

    def __init__(self, dimension: int = 128, base: int = 64) -> None:
        super().__init__()
        if base < 4 or base % 4:
            raise InputError(f"a decoder's channels must be a multiple of 4, not {base}")
        self.dense = nn.Linear(dimension, base * 7 * 7, bias=False)
        self.norm = nn.BatchNorm2d(base)
        self.blocks = nn.Sequential(_UpSampling(base, base // 2), _UpSampling(base // 2, base // 4))
        self.pixels = nn.Conv2d(base // 4, 1, 3, padding=1)

    def forward(self, vectors: Tensor) -> Tensor:
        """(B, D) → (B, 1, 28, 28) in [0, 1]."""
        maps = self.norm(self.dense(vectors).unflatten(1, (-1, 7, 7))).relu()
        return cast(Tensor, self.pixels(self.blocks(maps))).sigmoid()


class _UpSampling(nn.Module):
    """A residual block that doubles both sides, each place fourfold before the convolutions smooth it."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.larger = nn.Upsample(scale_factor=2, mode="nearest")
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after))

    def forward(self, maps: Tensor) -> Tensor:
        """(B, before, H, W) → (B, after, 2H, 2W)."""
        larger = self.larger(maps)
        return cast(Tensor, (self.body(larger) + self.shortcut(larger)).relu())
