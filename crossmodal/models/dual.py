"""The two-tower model: both towers and the temperature between them.

Shapes: B batch, D embedding, L tokens, S side in pixels, N pictures, M sentences.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from crossmodal.errors import InputError
from crossmodal.images.transforms import DRAWN_SIZE, ImageTransform
from crossmodal.models.batching import by_length, in_batches
from crossmodal.models.encoders import ImageEncoder, TextTower
from crossmodal.models.heads import ImageDecoder
from crossmodal.models.tokenizer import TextTokenizer

LARGEST_LOGIT_SCALE = math.log(100)


class CrossModalModel(nn.Module):
    """Image tower, text tower and a logit scale s, so that logits = exp(s) · image · textᵀ.

    temperature: exp(-s) at the start.
    learn_temperature: whether s is trained. s is kept in [0, ln 100].
    logit_bias: b at the start where the loss adds one to the logits (SigLIP), else None.
    decoder: draws a picture from a unit vector.
    """

    logit_bias: nn.Parameter | None
    decoder: ImageDecoder | None

    def __init__(
        self,
        image: ImageEncoder,
        text: TextTower,
        temperature: float = 0.07,
        learn_temperature: bool = True,
        logit_bias: float | None = None,
        decoder: ImageDecoder | None = None,
    ) -> None:
        super().__init__()
        self.image = image
        self.text = text
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / temperature)), requires_grad=learn_temperature)
        self.logit_bias = None if logit_bias is None else nn.Parameter(torch.tensor(logit_bias))
        self.decoder = decoder

    def parts(self) -> dict[str, list[nn.Module]]:
        """The modules that a phase gives a rate of their own, by the name of the rate."""
        decoder: list[nn.Module] = [] if self.decoder is None else [self.decoder]
        heads: list[nn.Module] = [self.image.projection, self.text.projection]
        return {"image": [self.image.backbone], "text": [self.text.trunk], "head": heads, "decoder": decoder}

    def scalars(self) -> list[nn.Parameter]:
        """The trained single numbers: logit scale, and bias where there is one."""
        found = [self.logit_scale, self.logit_bias]
        return [scalar for scalar in found if scalar is not None and scalar.requires_grad]

    def clamp_logit_scale(self) -> None:
        """Keep s in [0, ln 100]; call after each optimiser step. Source: Radford et al. 2021, section 2.5."""
        with torch.no_grad():
            self.logit_scale.clamp_(0, LARGEST_LOGIT_SCALE)

    def forward(self, images: Tensor, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised (B, 3, S, S), ids and mask (B, L) → unit vectors of both, (B, D) each."""
        return self.image(images), self.text(ids, mask)

    def embed_images(self, pixels: Tensor, transform: ImageTransform, batch_size: int = 64) -> Tensor:
        """uint8 (N, 3, S, S) → float32 unit vectors (N, D), in eval mode."""
        return in_batches(
            self, lambda part: self.image(transform.normalise(part)), pixels, batch_size, self.image.dimension
        )

    def image_features(self, pixels: Tensor, transform: ImageTransform, batch_size: int = 64) -> Tensor:
        """uint8 (N, 3, S, S) → pooled backbone features (N, W), in eval mode."""
        return in_batches(
            self, lambda part: self.image.features(transform.normalise(part)), pixels, batch_size, self.image.width
        )

    def embed_texts(self, ids: Sequence[Sequence[int]], tokenizer: TextTokenizer, batch_size: int = 64) -> Tensor:
        """Ragged token ids of M sentences → float32 unit vectors (M, D), in eval mode, batched by length."""
        return by_length(self, self.text, ids, tokenizer, batch_size, self.text.dimension)

    def text_features(self, ids: Sequence[Sequence[int]], tokenizer: TextTokenizer, batch_size: int = 64) -> Tensor:
        """Ragged token ids of M sentences → pooled features (M, W), in eval mode."""
        return by_length(self, self.text.features, ids, tokenizer, batch_size, self.text.width)

    def decode(self, vectors: Tensor, batch_size: int = 256) -> Tensor:
        """Unit vectors (N, D) → float32 grey pictures (N, 1, 28, 28) in [0, 1]. Raises InputError without a decoder."""
        if self.decoder is None:
            raise InputError("this model has no decoder: the recipe arcface trains one")
        drawn = in_batches(self, self.decoder, vectors, batch_size, 1)
        return drawn.reshape(len(vectors), 1, DRAWN_SIZE, DRAWN_SIZE)  # of no vectors too
