"""Points on the unit sphere: the way from one vector to another, and the middle of many.

Shapes: N vectors, D embedding.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import InputError

__all__ = ["between", "middle"]

Vectors = NDArray[np.float32]


def between(first: Vectors, second: Vectors, count: int) -> Vectors:
    """`count` unit vectors (count, D) at even angles from first (D,) to second (D,), both included.

    Raises InputError if the two point in opposite directions, where no way is the shortest.
    Source: Shoemake 1985, spherical linear interpolation.
    """
    cosine = float(np.clip(first @ second, -1, 1))
    angle = float(np.arccos(cosine))
    share = np.linspace(0, 1, count)[:, None]
    if np.sin(angle) < 1e-4:
        if cosine < 0:
            raise InputError("the vectors of these two pictures point in opposite directions: choose another picture")
        return _unit((1 - share) * first + share * second)
    return _unit(np.sin((1 - share) * angle) * first + np.sin(share * angle) * second)


def middle(vectors: Vectors) -> Vectors:
    """The mean of unit vectors (N, D), put back on the sphere: (D,).

    Raises InputError if there is none, or if they cancel each other out.
    """
    mean = vectors.mean(axis=0) if len(vectors) else np.zeros(1)
    if np.linalg.norm(mean) < 1e-6:
        raise InputError("these pictures have no middle: their vectors cancel each other out")
    return _unit(mean[None])[0, :]


def _unit(vectors: NDArray[np.floating]) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)
