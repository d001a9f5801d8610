"""What a query is compared with: the pictures of a gallery, their captions, or both.

Shapes: N pictures, M captions, I items that can be found (N or M), T terms, D embedding, k hits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import InputError
from crossmodal.index import Index, Vectors, exact_cosines
from crossmodal.index.ann.nearest import Nearest
from crossmodal.search.composition import Composed

__all__ = ["BY", "CAPTION_SHARE", "Channel", "Found", "Mask", "channel_of", "gather_evidence"]

BY = ("pictures", "captions", "both", "words", "all")
CAPTION_SHARE = 0.7  # of the captions in a score by both; chosen in benchmarks/scoring.py
NOISE = 2e-5  # how far float32 sums of D products may be off
BLOCK = 4096  # rows whose float64 copy is in memory at once

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Found:
    """The best items, best first.

    rows: (k,), the items' rows.
    scores: (k,), of each.
    total: how many items could be found.
    """

    rows: Rows
    scores: Floats
    total: int


@dataclass(frozen=True)
class Channel:
    """Items that a query is compared with; scores are linear in the query, so that those of its terms add up.

    vectors: (I, D).
    proposes: searches all of them where they are of unit length; None where they are means of unit vectors, so that a
        product with one is a mean of cosines.
    usable: (I,), which can be found; None for all.
    """

    vectors: Vectors
    proposes: Nearest | None = None
    usable: Mask | None = None

    def nearest(self, query: Composed, k: int, allowed: Mask | None = None) -> Found:
        """The best items, equal scores in the order of their rows.

        query: what they are compared with.
        k: how many.
        allowed: (I,), what may be found; None for all.
        """
        if self.usable is None and self.proposes is not None:
            total = len(self.vectors) if allowed is None else int(np.count_nonzero(allowed))
            return Found(*self.proposes.search(query.vector, k, allowed), total)
        kept = np.ones(len(self.vectors), dtype=bool) if allowed is None else allowed
        rows = np.flatnonzero(kept if self.usable is None else kept & self.usable)
        total, wanted = len(rows), min(k, len(rows))
        if wanted < total:
            scores = (self.vectors @ query.vector)[rows]
            rows = rows[scores >= np.partition(scores, total - wanted)[total - wanted] - NOISE]
        exact = self.scores(query.vector, rows)
        order = np.lexsort((rows, -exact))[:wanted]
        return Found(rows[order], exact[order], total)

    def shares(self, query: Composed, rows: Rows) -> Floats:
        """What each term adds to the scores of some items: (k, T), each row sums to its score."""
        units, found = query.units.astype(np.float64), np.empty((len(rows), len(query.units)))
        for start in range(0, len(rows), BLOCK):
            block = self.vectors[rows[start : start + BLOCK]].astype(np.float64)
            lengths = np.linalg.norm(block, axis=1, keepdims=True) if self.proposes is not None else 1.0
            found[start : start + BLOCK] = block @ units.T / lengths
        return np.asarray(found * query.weights)

    def scores(self, vector: Vectors, rows: Rows) -> Floats:
        """The scores of some items, (k,), in double precision, each summed by itself."""
        if self.proposes is not None:
            return exact_cosines(vector, self.vectors, rows)
        precise, scores = vector.astype(np.float64), np.empty(len(rows), dtype=np.float64)
        for start in range(0, len(rows), BLOCK):
            block = self.vectors[rows[start : start + BLOCK]].astype(np.float64)
            scores[start : start + BLOCK] = (block * precise).sum(axis=1)
        return scores / np.linalg.norm(precise)


def channel_of(index: Index, target: str, by: str) -> Channel:
    """How a query is compared with what is looked for.

    index: the gallery.
    target: "images" or "captions".
    by: of images, the cosine with the "pictures"; the mean cosine with their "captions", where a picture without any
        cannot be found; or "both", CAPTION_SHARE of the latter and the rest of the former, where a picture without
        captions is judged by itself alone.

    Raises InputError for another `by`.
    """
    if target == "captions":
        return Channel(index.caption_vectors, index.nearest_captions)
    captioned = np.diff(index.caption_rows) > 0
    if by == "pictures":
        return Channel(index.image_vectors, index.nearest_images)
    if by == "captions":
        return Channel(index.caption_means, None, captioned)
    if by != "both":
        raise InputError(f"no vectors are ranked by {by!r}: take pictures, captions or both")
    mixed = (1 - CAPTION_SHARE) * index.image_vectors + CAPTION_SHARE * index.caption_means
    return Channel(np.where(captioned[:, None], mixed, index.image_vectors).astype(np.float32))


def gather_evidence(index: Index, vector: Vectors, target: str, channels: int, rows: Rows) -> tuple[Floats, Floats]:
    """What the probabilities of hits rest on: features (C, 4) of a query and the cosines (C, k) of its hits.

    Where the gallery is large, all its other cosines enter by their mean and spread in closed form.

    index: the gallery.
    vector: (D,), the query's.
    target: "images" or "captions".
    channels: C; the second is the mean cosine with each picture's captions.
    rows: (k,), of the hits.
    """
    if target == "captions":
        return index.caption_background.features(vector)[None], index.nearest_captions.scores(vector, rows)[None]
    features = [index.image_background.features(vector)]
    own = [index.nearest_images.scores(vector, rows)]
    if channels > 1:
        features.append(index.mean_background.features(vector))
        place = np.searchsorted(index.mean_rows.pictures, rows)
        place[place == len(index.mean_rows.pictures)] = 0
        captioned = index.mean_rows.pictures[place] == rows
        exact = index.nearest_means.scores(vector, place)
        own.append(np.where(captioned, exact, features[1][2]))
    return np.stack(features), np.stack(own)
