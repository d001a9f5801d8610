"""Mean and covariance of a set: how one query's products with all of its rows are spread, without computing them.

With μ the mean of the rows and Σ their covariance, the products q·v of a query have the mean q·μ and the variance qᵀΣq
exactly: D² instead of N·D.

Shapes: N rows, D embedding.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import IndexStoreError
from crossmodal.index.ann.flat import Floats
from crossmodal.index.vectors import RowSource
from crossmodal.inference.base import Vectors

__all__ = ["Moments", "moments_of", "read_moments", "worth_moments", "write_moments"]

PRECISE_NUMBERS = 524_288  # whose float64 copy, 4 MB, is in memory at once
STRIP = 128  # columns of a covariance added to at once: what is added is 1 MB
ROWS_A_DIMENSION = 4  # with fewer rows, all products cost no more than the covariance does


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
    size = max(PRECISE_NUMBERS // dimension, 1)
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
