"""The rows nearest to a query: something quick proposes, exact cosines decide.

Shapes: N rows, D embedding, k hits, F candidates.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from crossmodal.index.ann.flat import PRECISE_ROWS, Floats, Rows, exact_cosines, exact_products, scan
from crossmodal.index.vectors import RowSource
from crossmodal.inference.base import Vectors

__all__ = ["Nearest", "Proposer"]

SPARE = 16  # candidates beyond k of a scan, so that rounding cannot push a true hit out
NOISE = 2e-5  # how far float32 sums of D products may be off
SWEPT = 8  # where this share of the rows or more would be candidates, or less of them may be found, all are scanned


class Proposer(Protocol):
    """What finds candidates."""

    @property
    def kind(self) -> str:
        """One of `crossmodal.index.ann.plan.KINDS`."""

    def depth(self, k: int, /) -> int:
        """How many candidates to ask for where k hits are wanted."""

    def worth(self, k: int, /) -> int:
        """How many of the best of them are worth an exact look."""

    def search(self, query: Vectors, count: int, /) -> tuple[Vectors, Rows]:
        """At most the best `count` rows, each once, best first, and estimates that grow as scores do: (F,) each."""


class Nearest:
    """Search among rows, by cosine or by the mere product with them; the scores are exact whatever proposes.

    vectors: (N, D); kept, not copied.
    proposer: None scans, which misses nothing.
    unit: whether scores are cosines, not products.

    Any number of threads may search at once.
    """

    def __init__(self, vectors: RowSource, proposer: Proposer | None = None, unit: bool = True) -> None:
        self._vectors = vectors
        self._proposer = proposer
        self._exact = exact_cosines if unit else exact_products
        self.kind = "exact" if proposer is None else proposer.kind

    def search(self, query: Vectors, k: int, allowed: NDArray[np.bool_] | None = None) -> tuple[Rows, Floats]:
        """The min(k, N) best rows for a query (D,), and their exact scores, best first.

        Equal scores stand in the order of their rows, however many there are, also where k cuts through them. Where
        FAISS proposes, a row that it overlooks is missed: index-stats measures how many.

        allowed: (N,), what may be found, None for all.
        """
        found = None if self._proposer is None else self._proposed(self._proposer, query, k, allowed)
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
        scores, rows = scan(self._vectors, query, fetched)
        return rows, float(scores[-1])

    def _scanned_within(self, query: Vectors, k: int, allowed: NDArray[np.bool_]) -> tuple[Rows, Floats]:
        """Only the allowed rows are looked at where they are few."""
        rows = np.flatnonzero(allowed)
        wanted = min(k, len(rows))
        if wanted < len(rows):
            few = len(rows) * SWEPT < len(allowed)
            scores = self._products(query, rows) if few else np.asarray(self._vectors @ query)[rows]
            rows = rows[scores >= np.partition(scores, len(rows) - wanted)[len(rows) - wanted] - NOISE]
        return self._best(query, rows, wanted)

    def _proposed(
        self, proposer: Proposer, query: Vectors, k: int, allowed: NDArray[np.bool_] | None
    ) -> tuple[Rows, Floats] | None:
        """The best of what is proposed; None where that is not enough to trust."""
        count = self._vectors.shape[0]
        total = count if allowed is None else int(np.count_nonzero(allowed))
        wanted = min(k, total)
        fetched = proposer.depth(k) * count // max(total, 1)
        if fetched * SWEPT > count or total * SWEPT < count:
            return None
        estimates, rows = proposer.search(query, fetched)
        floor = estimates[-1:]  # no row that is left out is estimated higher
        if allowed is not None:
            kept = allowed[rows]
            estimates, rows = estimates[kept], rows[kept]
        worth = proposer.worth(wanted)
        if len(rows) < min(worth, wanted + SPARE, total):
            return None
        if len(rows) > worth and allowed is None:
            estimates, rows = estimates[:worth], rows[:worth]
            floor = estimates[-1:]
        few = len(rows) <= PRECISE_ROWS  # so that each is fetched once
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
        parts = [
            self._vectors[rows[start : start + PRECISE_ROWS]] @ query for start in range(0, len(rows), PRECISE_ROWS)
        ]
        return np.concatenate(parts)

    def scores(self, query: Vectors, rows: Rows) -> Floats:
        """The exact scores of some rows, (k,)."""
        return self._exact(query, self._vectors, rows)
