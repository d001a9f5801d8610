"""Every row looked at, and exact scores of some of them; nothing is built.

Shapes: N rows, D embedding, k rows scored, F candidates.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crossmodal.index.vectors import RowSource
from crossmodal.inference.base import Vectors

__all__ = ["PRECISE_ROWS", "Floats", "Rows", "exact_cosines", "exact_products", "scan"]

PRECISE_ROWS = 4096  # rows whose float64 copy is in memory at once

Rows = NDArray[np.int64]
Floats = NDArray[np.float64]


def scan(vectors: RowSource, query: Vectors, count: int) -> tuple[Vectors, Rows]:
    """The products (F,) and rows (F,) of the best `count`, best first, up to rounding.

    It is numpy's product, which needs no copy of the vectors and is faster than FAISS's flat index.
    """
    scores = np.asarray(vectors @ query)
    rows = np.argpartition(-scores, count - 1)[:count]
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    return scores[rows], rows


def exact_cosines(query: Vectors, vectors: RowSource, rows: Rows) -> Floats:
    """Cosines of a query (D,) with some rows of (N, D), in double precision, within [-1, 1].

    Each row is summed by itself, so its score has the same bits whoever else is asked for.
    """
    precise = query.astype(np.float64)
    length = np.sqrt((precise * precise).sum())
    scores = np.empty(len(rows), dtype=np.float64)
    for start in range(0, len(rows), PRECISE_ROWS):
        block = vectors[rows[start : start + PRECISE_ROWS]].astype(np.float64)
        norms = np.sqrt((block * block).sum(axis=1)) * length
        scores[start : start + PRECISE_ROWS] = (block * precise).sum(axis=1) / np.maximum(
            norms, np.finfo(np.float64).tiny
        )
    return np.clip(scores, -1.0, 1.0)


def exact_products(query: Vectors, vectors: RowSource, rows: Rows) -> Floats:
    """Products of a query's direction (D,) with some rows of (N, D), in double precision.

    The query counts by its direction alone, and the lengths of the rows count.
    """
    precise = query.astype(np.float64)
    scores = np.empty(len(rows), dtype=np.float64)
    for start in range(0, len(rows), PRECISE_ROWS):
        scores[start : start + PRECISE_ROWS] = (
            vectors[rows[start : start + PRECISE_ROWS]].astype(np.float64) * precise
        ).sum(axis=1)
    return np.asarray(scores / np.sqrt((precise * precise).sum()))
