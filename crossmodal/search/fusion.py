"""Pictures ranked by the words of their captions and names, and several rankings fused to one.

Shapes: N pictures, n ranked pictures.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import InputError
from crossmodal.index import Index
from crossmodal.search.query import Query
from crossmodal.search.ranking import Found, Mask

__all__ = ["DEPTH", "fuse", "ranked_by_words"]

DEPTH = 1000  # of each ranking that is fused: what stands further below adds next to nothing
# How little the first ranks are told apart. The source's 60 was chosen for dozens of rankings; of two or three,
# 10 finds more (benchmarks/RESULTS.md)
DAMPING = 10

Rows = NDArray[np.int64]


def ranked_by_words(index: Index, query: Query, allowed: Mask | None, strict: bool = True) -> Found:
    """All pictures that hold a word of a query, by BM25.

    allowed: (N,), the pictures that may be found; None for all.
    strict: refuse pictures and what is taken away; else only the words that are looked for count.

    Raises InputError for a query that is not words alone, if strict.
    """
    texts = [str(term.content) for term in query.terms if term.is_words and term.weight > 0]
    if strict and len(texts) < len(query.terms):
        raise InputError("by words finds words as they stand, it takes no pictures and nothing away: leave by out")
    rows, scores = index.full_text.find(" ".join(texts))
    if allowed is not None:
        kept = allowed[rows]
        rows, scores = rows[kept], scores[kept]
    return Found(rows, scores, len(rows))


def fuse(rankings: Sequence[Rows]) -> tuple[Rows, NDArray[np.float64]]:
    """Rows that stand in any of the rankings, best first, and their scores, above 0.

    Each ranking (n,) adds 1 / (DAMPING + rank) to what it holds; equal scores stand in the order of their rows. Only
    ranks count, so that rankings of quite different scores can be fused.

    Source: reciprocal rank fusion, Cormack, Clarke & Büttcher 2009.

    >>> fuse([np.array([7, 3]), np.array([3, 5])])[0]
    array([3, 7, 5])
    """
    rows = np.concatenate(rankings)
    gains = np.concatenate([1 / (DAMPING + 1 + np.arange(len(ranking))) for ranking in rankings])
    found, place = np.unique(rows, return_inverse=True)
    scores = np.bincount(place, weights=gains, minlength=len(found)).astype(np.float64)
    order = np.lexsort((found, -scores))
    return found[order], scores[order]
