"""The rows nearest to a query: FAISS proposes, exact cosines decide.

Shapes: N rows, D embedding, k hits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmodal.index.embedder import Vectors

__all__ = ["Nearest", "exact_cosines"]

SPARE = 16  # candidates beyond k, so that rounding in FAISS cannot push a true hit out
NOISE = 1e-5  # how far float32 sums of D products may be off
BLOCK = 4096  # rows whose float64 copy is in memory at once


class Nearest:
    """Exact search among unit vectors.

    vectors: (N, D) float32; kept, not copied, for the exact scores. Any number of threads may search at once.
    """

    def __init__(self, vectors: Vectors) -> None:
        self._vectors = vectors
        self._index: Any = None
        self._asked = False

    def search(self, query: Vectors, k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The min(k, N) best rows for a query (D,), and their exact cosines, best first.

        Equal scores stand in the order of their rows, however many there are, also where k cuts through them.
        """
        count = len(self._vectors)
        wanted = min(k, count)
        fetched = min(wanted + SPARE, count)
        while True:
            rows, floor = self._candidates(query, fetched)
            scores = exact_cosines(query, self._vectors, rows)
            order = np.lexsort((rows, -scores))[:wanted]
            if fetched == count or floor < scores[order[-1]] - NOISE:
                return rows[order], scores[order]
            fetched = min(fetched * 4, count)

    def _candidates(self, query: Vectors, fetched: int) -> tuple[NDArray[np.int64], float]:
        """Rows proposed by FAISS, and the score of the worst of them."""
        if fetched == len(self._vectors):
            return np.arange(fetched, dtype=np.int64), 1.0
        if not self._asked:  # one query alone is sooner answered by a plain product than an index is filled
            self._asked = True
            scores = self._vectors @ query
            rows = np.argpartition(-scores, fetched - 1)[:fetched]
            return rows.astype(np.int64), float(scores[rows].min())
        if self._index is None:
            self._index = _choose(self._vectors)
        scores, rows = self._index.search(query[None], fetched)
        return np.asarray(rows[0], dtype=np.int64), float(scores[0, -1])


def _choose(vectors: Vectors) -> Any:
    """The one place where the kind of FAISS index is chosen: exact for now, at every size."""
    import faiss

    index = faiss.IndexFlatIP(vectors.shape[1])
    if len(vectors):
        index.add(np.ascontiguousarray(vectors))
    return index


def exact_cosines(query: Vectors, vectors: Vectors, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Cosines of a query (D,) with some rows of (N, D), in double precision, within [-1, 1].

    Each row is summed by itself, so its score has the same bits whoever else is asked for.
    """
    precise = query.astype(np.float64)
    length = np.sqrt((precise * precise).sum())
    scores = np.empty(len(rows), dtype=np.float64)
    for start in range(0, len(rows), BLOCK):
        block = vectors[rows[start : start + BLOCK]].astype(np.float64)
        norms = np.sqrt((block * block).sum(axis=1)) * length
        scores[start : start + BLOCK] = (block * precise).sum(axis=1) / np.maximum(norms, np.finfo(np.float64).tiny)
    return np.clip(scores, -1.0, 1.0)
