"""How one query's cosines with a whole gallery are spread, without computing them all.

With μ the mean of the rows and Σ their covariance, the cosines q·v of a unit query have the mean q·μ and the variance
qᵀΣq exactly; the best of them come from the search. So the cost is D² and a search instead of N·D.

Shapes: N rows, D embedding, M captions, Q queries, k rows gathered.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import IndexStoreError
from crossmodal.index.ann.nearest import Nearest
from crossmodal.index.vectors import RowSource
from crossmodal.inference.base import Vectors

__all__ = ["Background", "MeanRows", "Moments", "moments_of", "read_moments", "worth_moments", "write_moments"]

BLOCK = 524_288  # numbers whose float64 copy, 4 MB, is in memory at once
STRIP = 128  # columns of a covariance added to at once: what is added is 1 MB
LOOPS = 32  # captions a picture up to which adding one after the other is quicker than numpy's sums of groups
NEXT = 10  # cosines after the best that are looked at
ROWS_A_DIMENSION = 4  # with fewer rows, all cosines cost no more than the covariance does

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Mean and covariance of the rows of a set, over N rows.

    mean: (D,).
    covariance: (D, D).
    """

    mean: Floats
    covariance: NDArray[Any]

    def of(self, query: Vectors) -> tuple[float, float]:
        """Mean and standard deviation of the products of a query (D,) with every row."""
        precise = query.astype(np.float64)
        # unlike @, vecdot keeps to this thread, see `crossmodal.index.ann.nearest`
        variance = float(np.vecdot(self.covariance, precise) @ precise)
        return float(self.mean @ precise), max(variance, 0.0) ** 0.5


def worth_moments(count: int, dimension: int) -> bool:
    """Whether a set of so many rows is large enough for its covariance to save anything."""
    return count > ROWS_A_DIMENSION * dimension


def moments_of(vectors: RowSource) -> Moments:
    """Read every row once, (N, D), summing in double precision."""
    count, dimension = vectors.shape
    first, mean = np.zeros(dimension), np.zeros(dimension)
    second = np.zeros((dimension, dimension))
    size = max(BLOCK // dimension, 1)
    for start in range(0, count, size):
        block = np.array(vectors[np.arange(start, min(start + size, count))], dtype=np.float64)
        first = block[0].copy() if not start else first  # a shift near the mean keeps the digits
        block -= first
        mean += block.sum(0)
        for row in range(0, dimension, STRIP):  # what lies below the diagonal, some columns at a time
            second[row:, row : row + STRIP] += block[:, row:].T @ block[:, row : row + STRIP]
    mean /= count
    second /= count
    for row, value in enumerate(mean):
        second[row, : row + 1] -= value * mean[: row + 1]
        second[:row, row] = second[row, :row]
    return Moments(mean + first, second)


def write_moments(path: Path, moments: Moments) -> None:
    """Write the mean and, below it, the covariance: (1 + D, D) float64."""
    header = {"descr": "<f8", "fortran_order": False, "shape": (1 + len(moments.mean), len(moments.mean))}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for part in (moments.mean, moments.covariance):
            np.ascontiguousarray(part, dtype="<f8").tofile(file)


def read_moments(path: Path, dimension: int) -> Moments:
    """Map what `write_moments` wrote. Raises IndexStoreError if it is something else."""
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise IndexStoreError(f"{path} cannot be read: {error}") from error
    if rows.dtype != np.float64 or rows.shape != (1 + dimension, dimension):
        raise IndexStoreError(f"{path} holds {rows.dtype} {rows.shape}, not float64 {(1 + dimension, dimension)}")
    plain = np.asarray(rows)
    return Moments(plain[0], plain[1:])


class MeanRows:
    """The mean (N, D) of each captioned picture's caption vectors, gathered from these when asked for.

    captions: (M, D), those of a picture side by side.
    bounds: (P + 1,), captions of picture i are bounds[i] up to bounds[i + 1]; a picture without any has no row here.
    """

    def __init__(self, captions: RowSource, bounds: NDArray[np.int64]) -> None:
        self._captions = captions
        counts = np.diff(bounds)
        self.pictures = np.flatnonzero(counts > 0)
        self._starts, self._counts = bounds[:-1][self.pictures], counts[self.pictures]

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, D)."""
        return len(self.pictures), self._captions.shape[1]

    def __getitem__(self, rows: NDArray[np.int64]) -> Vectors:
        """Some means, (k, D)."""
        if not len(rows):
            return np.empty((0, self.shape[1]), dtype=np.float32)
        starts, counts = self._starts[rows], self._counts[rows]
        if counts.max() > LOOPS:
            first = np.cumsum(counts) - counts
            members = np.arange(counts.sum()) + np.repeat(starts - first, counts)
            sums = np.add.reduceat(self._captions[members], first, axis=0)
        else:
            sums = np.array(self._captions[starts], dtype=np.float32)
            for number in range(1, counts.max()):
                longer = np.flatnonzero(counts > number)
                sums[longer] += self._captions[starts[longer] + number]
        return np.asarray(sums / counts[:, None].astype(np.float32), dtype=np.float32)

    def __matmul__(self, query: Vectors) -> Vectors:
        """The mean product of each picture's captions with a query (D,): (N,)."""
        means: Vectors = self.averaged((self._captions @ query)[None])[0]
        return means

    def averaged(self, products: NDArray[Any]) -> Vectors:
        """Products of queries with every caption, (Q, M), as those with each picture's mean, (Q, N)."""
        sums = np.add.reduceat(products, self._starts, axis=1)
        sums /= self._counts.astype(np.float32)
        return np.asarray(sums, dtype=np.float32)


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
