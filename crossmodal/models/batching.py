"""Running a model over many pictures or sentences, batch by batch, in eval mode.

Shapes: N pictures, M sentences, S side in pixels, W width of what is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from crossmodal.models.tokenizer import TextTokenizer


@contextmanager
def eval_mode(module: nn.Module) -> Iterator[None]:
    """Every part in eval mode; afterwards each as it was, frozen parts included."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    yield
    for part, training in modes:
        part.training = training


@torch.no_grad()
def in_batches(
    module: nn.Module, compute: Callable[[Tensor], Tensor], values: Tensor, batch_size: int, width: int
) -> Tensor:
    """Values (N, …) → compute's float32 (N, W), or (0, W) where there are none."""
    device = next(module.parameters()).device
    with eval_mode(module):
        parts = [compute(part.to(device)).float().cpu() for part in values.split(batch_size)] if len(values) else []
    return torch.cat(parts) if parts else torch.empty(0, width)


@torch.no_grad()
def by_length(
    module: nn.Module,
    compute: Callable[[Tensor, Tensor], Tensor],
    ids: Sequence[Sequence[int]],
    tokenizer: TextTokenizer,
    batch_size: int,
    width: int,
) -> Tensor:
    """Ragged token ids of M sentences → compute's float32 (M, W); sentences of like length share a batch."""
    device = next(module.parameters()).device
    order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
    vectors = torch.empty(len(ids), width)
    with eval_mode(module):
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            tokens, mask = tokenizer.pad([ids[row] for row in rows])
            vectors[rows] = compute(tokens.to(device), mask.to(device)).float().cpu()
    return vectors
