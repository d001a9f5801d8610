"""The two-tower model: both towers and the temperature between them.

Shapes: B batch, D embedding, L tokens, S side in pixels, N pictures, M sentences.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from crossmodal.data.text import TextTokenizer
from crossmodal.data.transforms import ImageTransform
from crossmodal.models.encoders import ImageEncoder, TextEncoder

LARGEST_LOGIT_SCALE = math.log(100)


class CrossModalModel(nn.Module):
    """Image tower, text tower and a logit scale s, so that logits = exp(s) · image · textᵀ.

    temperature: exp(-s) at the start. learn_temperature: whether s is trained. s is kept in [0, ln 100].
    """

    def __init__(
        self, image: ImageEncoder, text: TextEncoder, temperature: float = 0.07, learn_temperature: bool = True
    ) -> None:
        super().__init__()
        self.image = image
        self.text = text
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / temperature)), requires_grad=learn_temperature)

    def clamp_logit_scale(self) -> None:
        """Keep s in [0, ln 100]; call after each optimiser step. Source: Radford et al. 2021, section 2.5."""
        with torch.no_grad():
            self.logit_scale.clamp_(0, LARGEST_LOGIT_SCALE)

    def forward(self, images: Tensor, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised (B, 3, S, S), ids and mask (B, L) → unit vectors of both, (B, D) each."""
        return self.image(images), self.text(ids, mask)

    @torch.no_grad()
    def embed_images(self, pixels: Tensor, transform: ImageTransform, batch_size: int = 64) -> Tensor:
        """uint8 (N, 3, S, S) → float32 unit vectors (N, D), in eval mode."""
        return self._in_eval(lambda part: self.image(transform.normalise(part)), pixels, batch_size)

    @torch.no_grad()
    def image_features(self, pixels: Tensor, transform: ImageTransform, batch_size: int = 64) -> Tensor:
        """uint8 (N, 3, S, S) → pooled backbone features (N, W), in eval mode."""
        return self._in_eval(lambda part: self.image.features(transform.normalise(part)), pixels, batch_size)

    def _in_eval(self, encode: Any, pixels: Tensor, batch_size: int) -> Tensor:
        device = self.logit_scale.device
        with eval_mode(self):
            parts = [encode(part.to(device)).float().cpu() for part in pixels.split(batch_size)]
        return torch.cat(parts) if parts else torch.empty(0, self.image.projection.out_features)

    @torch.no_grad()
    def embed_texts(self, ids: Sequence[Sequence[int]], tokenizer: TextTokenizer, batch_size: int = 64) -> Tensor:
        """Ragged token ids of M sentences → float32 unit vectors (M, D), in eval mode, batched by length."""
        return self._by_length(self.text, ids, tokenizer, batch_size, self.text.projection.out_features)

    @torch.no_grad()
    def text_features(self, ids: Sequence[Sequence[int]], tokenizer: TextTokenizer, batch_size: int = 64) -> Tensor:
        """Ragged token ids of M sentences → pooled transformer features (M, W), in eval mode."""
        return self._by_length(self.text.features, ids, tokenizer, batch_size, self.text.projection.in_features)

    def _by_length(
        self, encode: Any, ids: Sequence[Sequence[int]], tokenizer: TextTokenizer, batch_size: int, width: int
    ) -> Tensor:
        device = self.logit_scale.device
        order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        vectors = torch.empty(len(ids), width)
        with eval_mode(self):
            for start in range(0, len(order), batch_size):
                rows = order[start : start + batch_size]
                tokens, mask = tokenizer.pad([ids[row] for row in rows])
                vectors[rows] = encode(tokens.to(device), mask.to(device)).float().cpu()
        return vectors


@contextmanager
def eval_mode(module: nn.Module) -> Iterator[None]:
    """Every part in eval mode; afterwards each as it was, frozen parts included."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    yield
    for part, training in modes:
        part.training = training
