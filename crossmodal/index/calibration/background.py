"""What a query's best cosines are judged beside: the spread of its cosines with a whole gallery.

Shapes: N rows, D embedding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmodal.index.ann.flat import Floats
from crossmodal.index.ann.moments import Moments
from crossmodal.index.ann.nearest import Nearest
from crossmodal.index.calibration.relevance import NEXT
from crossmodal.index.vectors import RowSource
from crossmodal.inference.base import Vectors

__all__ = ["Background"]


@dataclass(frozen=True)
class Background:
    """A set that queries are judged beside.

    vectors: the rows (N, D) of the set.
    nearest: searches them for the best products.
    moments: mean and covariance of the rows; None for so small a set that all products are computed.
    absent: how many items have no row here and count as the query's mean, `fill_uncaptioned`.
    """

    vectors: RowSource
    nearest: Nearest
    moments: Moments | None = None
    absent: int = 0

    def features(self, query: Vectors) -> Floats:
        """(4,): best product of the query, mean of the ten next, mean and spread of all, as `query_features` does."""
        count = self.vectors.shape[0]
        if self.moments is None:
            products = np.asarray(self.vectors @ query, dtype=np.float64)
            mean, spread = float(products.mean()), float(products.std())
            best = -np.partition(-products, min(NEXT, count - 1))[: NEXT + 1]
        else:
            mean, spread = self.moments.of(query)
            best = self.nearest.search(query, NEXT + 1)[1]
        best = -np.sort(-np.concatenate([best, np.full(min(self.absent, NEXT + 1), mean)]))[: NEXT + 1]
        following = best[1:].mean() if len(best) > 1 else best[0]
        spread *= np.sqrt(count / (count + self.absent))
        return np.array([best[0], following, mean, spread])
