"""The rows nearest to a query: something quick proposes, exact cosines decide.

Shapes: N rows, D embedding, k hits, F candidates.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmodal.index.embedder import Vectors
from crossmodal.index.proposers import Proposer, Scan, ask, kind_of
from crossmodal.index.vectors import RowSource

__all__ = ["Nearest", "exact_cosines", "exact_products"]

SPARE = 16  # candidates beyond k of a scan, so that rounding cannot push a true hit out
ORDERED = 8  # rows beyond k, or one for so many of k, that exact cosines look at where bytes put candidates in order
NOISE = 2e-5  # how far float32 sums of D products may be off
BLOCK = 4096  # rows whose float64 copy is in memory at once
FEWEST = {"rabitq": 150, "ivf": 300}  # candidates at least, and
TIMES = {"rabitq": 10, "ivf": 15}  # so many times k
BITS = 76_800  # that their codes have together, at least
SWEPT = 8  # where this share of the rows or more would be candidates, or less of them may be found, all are scanned

Rows = NDArray[np.int64]
Floats = NDArray[np.float64]


class Nearest:
    """Search among rows, by cosine or by the mere product with them; the scores are exact whatever proposes.

    vectors: (N, D); kept, not copied. index: the FAISS index that proposes; None scans, which misses nothing. unit:
    whether scores are cosines, not products. kind: one of KINDS. Any number of threads may search at once.
    """

    def __init__(self, vectors: RowSource, index: Any = None, unit: bool = True) -> None:
        self._vectors = vectors
        self._scan: Proposer = _choose(vectors)
        self._index = index
        self._exact = exact_cosines if unit else exact_products
        self.kind = kind_of(index)

    def search(self, query: Vectors, k: int, allowed: NDArray[np.bool_] | None = None) -> tuple[Rows, Floats]:
        """The min(k, N) best rows for a query (D,), and their exact scores, best first.

        Equal scores stand in the order of their rows, however many there are, also where k cuts through them. allowed:
        (N,), what may be found, None for all. Where FAISS proposes, a row that it overlooks is missed: index-stats
        measures how many.
        """
        found = None if self._index is None else self._proposed(query, k, allowed)
        if found is not None:
            return found
        return self._scanned(query, k) if allowed is None else self._scanned_within(query, k, allowed)

    def _scanned(self, query: Vectors, k: int) -> tuple[Rows, Floats]:
        count = self._vectors.shape[0]
        wanted = min(k, count)
        fetched = min(wanted + SPARE, count)
        while True:
            rows, floor = self._candidates(query, fetched)
            scores = self.scores(query, rows)
            order = np.lexsort((rows, -scores))[:wanted]
            if fetched == count or floor < scores[order[-1]] - NOISE:
                return rows[order], scores[order]
            fetched = min(fetched * 4, count)

    def _candidates(self, query: Vectors, fetched: int) -> tuple[Rows, float]:
        """Rows proposed by the scan, and the score of the worst of them."""
        if fetched == self._vectors.shape[0]:
            return np.arange(fetched, dtype=np.int64), 1.0
        scores, rows = self._scan.search(query[None], fetched)
        return np.asarray(rows[0], dtype=np.int64), float(scores[0, -1])

    def _scanned_within(self, query: Vectors, k: int, allowed: NDArray[np.bool_]) -> tuple[Rows, Floats]:
        """Only the allowed rows are looked at where they are few."""
        rows = np.flatnonzero(allowed)
        wanted = min(k, len(rows))
        if wanted < len(rows):
            few = len(rows) * SWEPT < len(allowed)
            scores = self._products(query, rows) if few else np.asarray(self._vectors @ query)[rows]
            rows = rows[scores >= np.partition(scores, len(rows) - wanted)[len(rows) - wanted] - NOISE]
        return self._best(query, rows, wanted)

    def _proposed(self, query: Vectors, k: int, allowed: NDArray[np.bool_] | None) -> tuple[Rows, Floats] | None:
        """The best of FAISS's candidates; None where they are not enough to trust."""
        count, kind = self._vectors.shape[0], self.kind
        total = count if allowed is None else int(np.count_nonzero(allowed))
        wanted = min(k, total)
        fetched = max(FEWEST[kind], TIMES[kind] * k)
        if kind == "rabitq":
            fetched = max(fetched, BITS // self._vectors.shape[1])
        fetched = fetched if allowed is None else fetched * count // max(total, 1)
        if fetched * SWEPT > count or total * SWEPT < count:
            return None
        enough = wanted + (max(ORDERED, wanted // ORDERED) if kind == "ivf" else SPARE)
        ordered = fetched if allowed is not None else min(fetched, enough)  # that bytes put first
        estimates, rows = ask(self._index, query, ordered, fetched)
        kept = rows >= 0 if allowed is None else (rows >= 0) & allowed[rows]
        if np.count_nonzero(kept) < min(enough, total):
            return None
        floor, estimates, rows = estimates[-1], estimates[kept], rows[kept]
        few = len(rows) <= BLOCK  # so that each is fetched once
        source, places = (self._vectors[rows], np.arange(len(rows))) if few else (self._vectors, rows)
        # unlike @, vecdot keeps to this thread: numpy's others would stay awake and take a core from what comes next
        quick = np.vecdot(np.asarray(source), query) if few else self._products(query, rows)
        last = np.partition(quick, len(quick) - wanted)[len(quick) - wanted]
        if (estimates[np.abs(quick - last) <= NOISE] <= floor).any():
            return None  # equals of the last hit may have been cut off
        best = np.flatnonzero(quick >= last - NOISE)
        scores = self._exact(query, source, places[best])
        order = np.lexsort((rows[best], -scores))[:wanted]
        return rows[best][order], scores[order]

    def _best(self, query: Vectors, rows: Rows, wanted: int) -> tuple[Rows, Floats]:
        scores = self.scores(query, rows)
        order = np.lexsort((rows, -scores))[:wanted]
        return rows[order], scores[order]

    def _products(self, query: Vectors, rows: Rows) -> Vectors:
        """Quick products of a query with some rows, (k,)."""
        parts = [self._vectors[rows[start : start + BLOCK]] @ query for start in range(0, len(rows), BLOCK)]
        return np.concatenate(parts)

    def scores(self, query: Vectors, rows: Rows) -> Floats:
        """The exact scores of some rows, (k,)."""
        return self._exact(query, self._vectors, rows)


def _choose(vectors: RowSource) -> Proposer:
    """What looks at every row: numpy's product, which needs no copy and is faster than FAISS's flat index."""
    return Scan(vectors)


def exact_cosines(query: Vectors, vectors: RowSource, rows: Rows) -> Floats:
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


def exact_products(query: Vectors, vectors: RowSource, rows: Rows) -> Floats:
    """As `exact_cosines`, by the direction of the query alone: the lengths of the rows count."""
    precise = query.astype(np.float64)
    scores = np.empty(len(rows), dtype=np.float64)
    for start in range(0, len(rows), BLOCK):
        scores[start : start + BLOCK] = (vectors[rows[start : start + BLOCK]].astype(np.float64) * precise).sum(axis=1)
    return np.asarray(scores / np.sqrt((precise * precise).sum()))
