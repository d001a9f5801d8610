"""The pair scorer: does this sentence belong to this picture? It gives a score and no vectors.

Shapes: B batch, L tokens, S side in pixels.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from crossmodal.models.encoders import ImageEncoder, TextTower
from crossmodal.models.heads import MatchHead


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
        heads = [self.image.projection, self.text.projection, self.head]
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
