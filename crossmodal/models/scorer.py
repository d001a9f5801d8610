"""The pair scorer: does this sentence belong to this picture? It gives a score and no vectors.

Shapes: B batch, N pictures, M sentences, P pairs, L tokens, S side in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from crossmodal.images.transforms import ImageTransform
from crossmodal.models.batching import by_length, eval_mode, in_batches
from crossmodal.models.encoders import ImageEncoder, TextTower
from crossmodal.models.heads import MatchHead
from crossmodal.models.tokenizer import TextTokenizer


class PairScorer(nn.Module):
    """An image tower, a text tower and a head that looks at what both say of a pair.

    head: as wide on either side as the tower's dimension. A side depends on its picture or its sentence alone, so that
    many pairs cost one run of each tower and one of the small head.
    """

    def __init__(self, image: ImageEncoder, text: TextTower, head: MatchHead | None = None) -> None:
        super().__init__()
        self.image = image
        self.text = text
        self.head = head or MatchHead(image.dimension, text.dimension)

    def parts(self) -> dict[str, list[nn.Module]]:
        """The modules that a phase gives a rate of their own, by the name of the rate."""
        heads: list[nn.Module] = [self.image.projection, self.text.projection, self.head]
        return {"image": [self.image.backbone], "text": [self.text.trunk], "head": heads, "decoder": []}

    def scalars(self) -> list[nn.Parameter]:
        """The trained single numbers: none."""
        return []

    def image_side(self, images: Tensor) -> Tensor:
        """Normalised (B, 3, S, S) → what the head sees of pictures, (B, 512) unless the tower is of another width."""
        tower = self.image
        return cast(Tensor, tower.projection(tower.dropout(tower.features(images)))).relu()

    def text_side(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids and mask (B, L) → what the head sees of sentences, (B, 256) unless the tower is of another width."""
        tower = self.text
        return cast(Tensor, tower.projection(tower.dropout(tower.features(ids, mask)))).relu()

    def forward(self, images: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """Normalised (B, 3, S, S), ids and mask (B, L), pair by pair → logits (B,)."""
        return cast(Tensor, self.head(self.image_side(images), self.text_side(ids, mask)))

    def image_sides(self, pixels: Tensor, transform: ImageTransform, batch_size: int = 64) -> Tensor:
        """uint8 (N, 3, S, S) → what the head sees of them (N, 512), in eval mode."""
        return in_batches(
            self, lambda part: self.image_side(transform.normalise(part)), pixels, batch_size, self.image.dimension
        )

    def text_sides(self, ids: Sequence[Sequence[int]], tokenizer: TextTokenizer, batch_size: int = 64) -> Tensor:
        """Ragged token ids of M sentences → what the head sees of them (M, 256), in eval mode, batched by length."""
        return by_length(self, self.text_side, ids, tokenizer, batch_size, self.text.dimension)

    @torch.no_grad()
    def probabilities(self, image: Tensor, text: Tensor, batch_size: int = 4096) -> Tensor:
        """What the head sees of both, pair by pair, (P, 512) and (P, 256) → probabilities (P,) in [0, 1]."""
        device = next(self.parameters()).device
        with eval_mode(self):
            parts = zip(image.split(batch_size), text.split(batch_size), strict=True)
            return torch.cat([self.head(i.to(device), t.to(device)).sigmoid().float().cpu() for i, t in parts])
