"""What a tower's vector is made of, place by place or token by token. No torch: an exported tower gives the same.

Shapes: P parts (places of a picture, row by row, or tokens of a sentence), D embedding, h×w places.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Parts", "Weights"]

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Parts:
    """A vector as an exact sum: vector = (parts.sum(0) + bias) / |parts.sum(0) + bias|.

    vector: (D,), unit length, the one that the tower gives.
    parts: (P, D), one a place or token.
    bias: (D,), of the projection.
    shape: (h, w) of a picture, (L,) of a sentence of L tokens; its product is P.
    """

    vector: Array
    parts: Array
    bias: Array
    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Weights:
    """How much each part matters to the cosine of the vector with another one, by gradients: an approximation.

    vector: (D,), unit length.
    weights: (P,), which add up to nothing in particular; None for an image tower without a feature map.
    shape: as in `Parts`; None where the weights are.
    """

    vector: Array
    weights: Array | None
    shape: tuple[int, ...] | None
