"""Losses: pure functions on embeddings. Shapes: B batch, D embedding."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def symmetric_clip(image: Tensor, text: Tensor, logit_scale: Tensor) -> Tensor:
    """Mean of the two cross-entropies, picture → sentence and sentence → picture, over the batch's own pairs.

    image, text: unit vectors (B, D), row i of one belongs to row i of the other. logit_scale: s; logits are
    exp(s) · cosine. Returns a scalar; an untrained model sits at ln B.
    Source: Radford et al. 2021, figure 3.

    >>> symmetric_clip(torch.eye(2), torch.eye(2), torch.tensor(0.0)).item()   # ln(1 + 1/e)
    0.31326165795326233
    """
    logits = logit_scale.exp() * image @ text.T  # (B, B)
    own = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
