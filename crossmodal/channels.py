"""What a query is compared with: the pictures of a gallery, their captions, or both.

Shapes: N pictures, M captions, I items that can be found (N or M), T terms, D embedding, k hits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from crossmodal.composition import Composed
from crossmodal.index import Index, Vectors, exact_cosines

__all__ = ["BY", "CAPTION_SHARE", "Found", "nearest"]

BY = ("pictures", "captions", "both")
CAPTION_SHARE = 0.5  # of the captions in a score by both
NOISE = 2e-5  # how far float32 sums of D products may be off
BLOCK = 4096  # rows whose float64 copy is in memory at once

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Found:
    """rows: (k,) of the best items, best first. scores: (k,). total: how many items could be found."""

    rows: Rows
    scores: Floats
    total: int


def nearest(index: Index, query: Composed, k: int, target: str, by: str, allowed: NDArray[np.bool_] | None) -> Found:
    """The best items for a query, equal scores in the order of their rows.

    target: "images" or "captions". by: one of BY, for images. allowed: (I,); None for all.
    """
    channel = channel_of(index, target, by)
    usable = channel.usable if allowed is None else allowed & channel.usable
    rows = np.flatnonzero(usable)
    approximate = channel.approximate(query.vector)[rows]
    wanted = min(k, len(rows))
    if wanted < len(rows):
        floor = np.partition(approximate, len(rows) - wanted)[len(rows) - wanted]
        rows = rows[approximate >= floor - NOISE]
    scores = channel.cosines(query.vector, rows)
    order = np.lexsort((rows, -scores))[:wanted]
    return Found(rows[order], scores[order], int(usable.sum()))


def shares(index: Index, query: Composed, rows: Rows, target: str, by: str) -> Floats:
    """What each term adds to the scores of some items: (k, T), each row sums to its score."""
    channel = channel_of(index, target, by)
    terms = zip(query.weights, query.units, strict=True)
    return np.stack([weight * channel.cosines(unit, rows) for weight, unit in terms], axis=1)


@dataclass(frozen=True)
class Channel:
    """Scores linear in the query: (1 - share) · cosine with the item + share · mean cosine with its captions.

    items: (I, D), of unit length. means: (N, D), the mean of each picture's caption vectors; None where share is 0.
    captioned: (I,), which have any. A picture without captions speaks neither for nor against: it gets the mean of the
    others, as long as the picture itself counts too; else it cannot be found.
    """

    items: Vectors
    share: float
    means: Vectors | None
    captioned: NDArray[np.bool_]

    @property
    def usable(self) -> NDArray[np.bool_]:
        """(I,): what can be found."""
        return self.captioned if self.share == 1 else np.ones(len(self.items), dtype=bool)

    def approximate(self, vector: Vectors) -> Vectors:
        """The scores of all items, (I,), up to NOISE."""
        scores = np.asarray(self.items @ vector) if self.share < 1 else np.zeros(len(self.items), dtype=np.float32)
        if self.means is None:
            return scores
        texts = self.means @ vector
        texts[~self.captioned] = self.middle @ vector
        return np.asarray((1 - self.share) * scores + self.share * texts, dtype=np.float32)

    def cosines(self, vector: Vectors, rows: Rows) -> Floats:
        """The scores of some items, (k,), in double precision."""
        scores = exact_cosines(vector, self.items, rows) if self.share < 1 else np.zeros(len(rows))
        if self.means is None:
            return scores
        texts = _products(vector, self.means, rows) / np.linalg.norm(vector.astype(np.float64))
        texts[~self.captioned[rows]] = self.middle @ vector
        return np.asarray((1 - self.share) * scores + self.share * texts)

    @cached_property
    def middle(self) -> Floats:
        """(D,): the mean over the captioned pictures of `means`."""
        return np.asarray(0.0 if self.means is None else self.means[self.captioned].mean(0, dtype=np.float64))


def channel_of(index: Index, target: str, by: str) -> Channel:
    if target == "captions":
        return Channel(index.caption_vectors, 0.0, None, np.ones(len(index.caption_vectors), dtype=bool))
    captioned = np.diff(index.caption_rows) > 0
    if by == "pictures" or not captioned.any():
        return Channel(index.image_vectors, 0.0, None, captioned)
    return Channel(index.image_vectors, 1.0 if by == "captions" else CAPTION_SHARE, index.caption_means, captioned)


def _products(vector: NDArray[np.floating], vectors: Vectors, rows: Rows) -> Floats:
    """Products of a vector (D,) with some rows of (N, D), each row summed by itself, in double precision: (k,)."""
    precise, products = vector.astype(np.float64), np.empty(len(rows), dtype=np.float64)
    for start in range(0, len(rows), BLOCK):
        block = vectors[rows[start : start + BLOCK]].astype(np.float64)
        products[start : start + BLOCK] = (block * precise).sum(axis=1)
    return products
