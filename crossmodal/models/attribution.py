"""Towers taken apart: exact parts where a vector is a sum, weights by gradients where it is not.

Shapes: B = 1, W pooled width, D embedding, L tokens, H×W pixels, h×w places, P = h·w.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from crossmodal.models.batching import eval_mode
from crossmodal.models.encoders import ImageEncoder, TextTower
from crossmodal.models.parts import Parts, Weights


@torch.no_grad()
def image_parts(tower: ImageEncoder, images: Tensor) -> Parts:
    """Normalised (1, 3, H, W) → what each place adds. Raises InputError if the tower does not average over places."""
    with eval_mode(tower):
        maps = tower.feature_map(images)  # (1, W, h, w)
        vector = tower.project(maps.mean((2, 3)))[0]
        places = maps[0].flatten(1).T  # (P, W)
        parts = places @ tower.projection.weight.T / len(places)
    return Parts(_array(vector), _array(parts), _array(tower.projection.bias), tuple(maps.shape[2:]))


@torch.no_grad()
def token_parts(tower: TextTower, ids: Tensor, mask: Tensor) -> Parts:
    """ids and mask (1, L), nothing padded → what each token adds. Raises InputError if the tower does not average."""
    with eval_mode(tower):
        count = mask.sum().clamp(min=1)  # 0 of a sentence in which the tokeniser finds nothing
        tokens = tower.averaged_tokens(ids, mask)[0] * mask[0, :, None] / count  # (L, W)
        vector = tower.project(tokens.sum(0, keepdim=True))[0]
        linear = tower.projection if isinstance(tower.projection, nn.Linear) else None
        parts = tokens if linear is None else tokens @ linear.weight.T
        bias = torch.zeros_like(vector) if linear is None else linear.bias
    return Parts(_array(vector), _array(parts), _array(bias), (len(tokens),))


def place_weights(tower: ImageEncoder, images: Tensor, towards: Tensor) -> Weights:
    """Grad-CAM of the cosine with a unit vector (D,) on the last feature map; no weights where there is none.

    Source: Selvaraju et al. 2017, equations 1 and 2.
    """
    with eval_mode(tower), _outputs(*tower.backbone.stages) as seen, torch.enable_grad():
        vector = tower(images)[0]
        maps = [output for output in seen if output.ndim == 4 and output.requires_grad]
        if not maps:
            return Weights(_array(vector), None, None)
        (gradient,) = torch.autograd.grad(vector @ towards, maps[-1])
    importance = gradient.mean((2, 3), keepdim=True)  # (1, W, 1, 1)
    heat = (importance * maps[-1]).sum(1).relu()[0]  # (h, w)
    return Weights(_array(vector), _array(heat.flatten()), tuple(heat.shape))


def token_weights(tower: TextTower, ids: Tensor, mask: Tensor, towards: Tensor) -> Weights:
    """Gradient × input of the cosine with a unit vector (D,), summed over each token's embedding. ids, mask (1, L).

    Source: Shrikumar et al. 2017, section 2.2; Ancona et al. 2018, section 2.
    """
    with eval_mode(tower), _outputs(tower.token_inputs, cut=True) as seen, torch.enable_grad():
        vector = tower(ids, mask)[0]
        (gradient,) = torch.autograd.grad(vector @ towards, seen[0])
    weights = (gradient * seen[0]).sum(-1).flatten()
    return Weights(_array(vector), _array(weights), (len(weights),))


@contextmanager
def _outputs(*modules: nn.Module, cut: bool = False) -> Iterator[list[Tensor]]:
    """What the modules give while the block runs, in order. cut: gradients end there, whatever came before."""
    seen: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        seen.append(output.detach().requires_grad_() if cut else output)
        return seen[-1]

    handles = [module.register_forward_hook(keep) for module in modules]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _array(tensor: Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.asarray(tensor.detach().float().cpu().numpy(), dtype=np.float32)
