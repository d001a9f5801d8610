"""Rows of float32 in plain .npy files, read memory-mapped.

Shapes: N rows, D embedding, M captions, P pictures, Q queries, k rows gathered.
"""

from __future__ import annotations

import mmap
import os
import weakref
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import IndexStoreError
from crossmodal.inference.base import Vectors

__all__ = [
    "CAPTION_VECTORS", "IMAGE_VECTORS", "MeanRows", "RowSource", "SparselyRead", "VectorsByKey", "blocks_of",
    "evenly_chosen", "read_vectors", "vectors_by_key", "write_vectors",
]  # fmt: skip

IMAGE_VECTORS, CAPTION_VECTORS = "images.npy", "captions.npy"
NUMBERS_AT_ONCE = 1_048_576  # numbers handled at once: 4 MB
FEW = 1000  # rows up to which reading one by one is quick
LOOPS = 32  # captions a picture up to which adding one after the other is quicker than numpy's sums of groups


class RowSource(Protocol):
    """Rows (N, D) that can be gathered by number, and all be multiplied with a query."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, D)."""

    def __getitem__(self, rows: Any, /) -> Any:
        """Some rows, (k, D)."""

    def __matmul__(self, query: Any, /) -> Any:
        """The product with each row, (N,)."""


def blocks_of(vectors: RowSource, chosen: NDArray[np.int64] | None = None) -> Iterator[Vectors]:
    """All rows or those chosen, some at a time."""
    count, dimension = vectors.shape
    size = max(NUMBERS_AT_ONCE // dimension, 1)
    for start in range(0, count if chosen is None else len(chosen), size):
        rows = np.arange(start, min(start + size, count)) if chosen is None else chosen[start : start + size]
        yield np.ascontiguousarray(vectors[rows], dtype=np.float32)


def evenly_chosen(count: int, most: int) -> NDArray[np.int64]:
    """The numbers of at most so many of `count` rows, but one at least, as far apart as can be."""
    size = min(count, max(most, 1))
    return np.arange(size) * count // max(size, 1)


def write_vectors(path: Path, blocks: Iterable[Vectors], count: int, dimension: int) -> None:
    """Write blocks (n, D) that together have count rows, one after the other; never more than a block in memory."""
    header = {"descr": "<f4", "fortran_order": False, "shape": (count, dimension)}
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            file.write(np.ascontiguousarray(block, dtype="<f4").tobytes())


def read_vectors(path: Path, count: int, dimension: int) -> Vectors:
    """Map the rows of a file, read-only (N, D). Raises IndexStoreError if it is not float32 of just that shape."""
    try:
        rows = np.load(path, mmap_mode="r" if count else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise IndexStoreError(f"{path} cannot be read: {error}") from error
    if rows.dtype != np.float32 or rows.shape != (count, dimension):
        raise IndexStoreError(f"{path} holds {rows.dtype} {rows.shape}, not float32 {(count, dimension)}")
    if isinstance(rows, np.memmap) and hasattr(mmap, "MADV_NOHUGEPAGE"):
        mapping: Any = rows
        mapping._mmap.madvise(mmap.MADV_NOHUGEPAGE)  # else one row read may count as 2 MB of resident memory
    return np.asarray(rows, dtype=np.float32)


class VectorsByKey(Mapping[str, Vectors]):
    """Vectors (D,) by key, cut out of a row of numbers when they are asked for.

    numbers: (N D,), all vectors one after the other.
    starts: where that of a key begins.
    dimension: D.
    """

    def __init__(self, numbers: Vectors, starts: Mapping[str, int], dimension: int) -> None:
        self._numbers, self._starts, self._dimension = numbers, starts, dimension

    def __getitem__(self, key: str) -> Vectors:
        start = self._starts[key]
        return self._numbers[start : start + self._dimension]

    def __contains__(self, key: object) -> bool:
        return key in self._starts

    def __iter__(self) -> Iterator[str]:
        return iter(self._starts)

    def __len__(self) -> int:
        return len(self._starts)


def vectors_by_key(keys: Iterable[str], rows: Vectors) -> VectorsByKey:
    """Rows (N, D) by their keys, of which there are N."""
    dimension = rows.shape[1]
    return VectorsByKey(rows.reshape(-1), {key: row * dimension for row, key in enumerate(keys)}, dimension)


class SparselyRead:
    """Mapped rows (N, D) of which few are wanted at a time: these are read, not mapped, and leave no page behind.

    A page fault maps far more than a row, so that in the long run the whole file would count as resident memory.
    """

    def __init__(self, rows: Vectors, path: Path) -> None:
        self._rows = rows
        self._file: int | None = None
        if hasattr(os, "pread") and path.is_file():
            self._file = os.open(path, os.O_RDONLY)
            weakref.finalize(self, os.close, self._file)
            self._start = os.fstat(self._file).st_size - rows.nbytes

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, D)."""
        return self._rows.shape

    def __getitem__(self, rows: NDArray[np.int64]) -> Vectors:
        """Some rows, (k, D)."""
        if self._file is None or len(rows) > FEW:
            return np.asarray(self._rows[rows])
        file, start, size, pread = self._file, self._start, self._rows.strides[0], os.pread
        read = b"".join([pread(file, size, start + row * size) for row in rows.tolist()])
        return np.frombuffer(read, dtype=np.float32).reshape(len(rows), self.shape[1])

    def __matmul__(self, query: Any) -> Any:
        """The product with each row, (N,)."""
        return self._rows @ query


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
