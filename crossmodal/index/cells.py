"""Codes in cells, built: product codes of four bits over the strongest directions, of what a row differs in from the
centre of its cell of a k-means, each row in two cells (Sun et al. 2023); and a byte a number beside them.

What would take much memory lies in files of a temporary folder while it is built.

Shapes: N rows, D embedding, E directions kept, C cells.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmodal.index.embedder import Vectors
from crossmodal.index.vectors import RowSource, blocks_of

__all__ = ["cells_of", "directions_of", "write_cells", "write_faiss"]

SEED = 5
DIRECTIONS = 128  # that the product codes keep at most; to find them,
SPARE, TURNS = 16, 6  # more are looked for, and the rows gone through so many times
CELLS = 4  # times the square root of N
PROBED, OF_FEW = 22, 2.87  # one of so many cells is looked through, or so many times the square root of C if more
LEARNED = 32  # rows a cell that k-means learns from
COMPARED = 512  # rows that FAISS compares with cells at once; its own 4,096 take 16 MB
NEAR = 8  # cells that a row's second one is chosen among


def directions_of(dimension: int) -> int:
    """E, how many directions of D codes keep: an even number, at most DIRECTIONS."""
    return min(dimension // 2 * 2, DIRECTIONS)


def cells_of(count: int) -> int:
    """C, how many cells so many rows are shared out to."""
    return max(int(CELLS * count**0.5), 1)


def write_cells(path: Path, bytes_path: Path, vectors: RowSource, sample: NDArray[np.int64]) -> None:
    """Build both from all rows and write them. sample: the rows that directions and ends of bytes are learned from.

    Raises OSError if the disk refuses.
    """
    with _few_compared(), TemporaryDirectory(dir=path.parent) as room:
        write_faiss(_cells(vectors, sample, Path(room)), path)
    _write_bytes(bytes_path, vectors, sample)


def _cells(vectors: RowSource, sample: NDArray[np.int64], room: Path) -> Any:
    """room: a folder for what would take much memory."""
    import faiss

    bare: Any = faiss  # its stubs know neither enumerations nor pointers
    (count, dimension), kept = vectors.shape, directions_of(vectors.shape[1])
    project = np.ascontiguousarray(_strongest(vectors, sample, kept)[:, _balanced(kept)])  # (D, E)
    quick = bare.IndexIVFPQFastScan(_codes(vectors, project, room / "codes"))
    cells = cells_of(count)
    quick.nprobe = min(max(cells // PROBED, int(OF_FEW * cells**0.5)), cells)
    transform = bare.LinearTransform(dimension, kept, False)
    bare.copy_array_to_vector(project.T.ravel().copy(), transform.A)
    transform.is_trained = True
    proposing = bare.IndexPreTransform(transform, quick)
    proposing.ntotal = count  # rows, not entries in cells: both halves must agree
    return proposing


def _strongest(vectors: RowSource, sample: NDArray[np.int64], kept: int) -> Vectors:
    """The directions (D, E) along which the rows are longest, orthonormal, the strongest first, with no covariance.

    Source: subspace iteration, Halko, Martinsson & Tropp 2011, algorithm 4.4.
    """
    dimension = vectors.shape[1]
    size = min(kept + SPARE, dimension)
    found = np.random.default_rng(SEED).standard_normal((dimension, size), dtype=np.float32)
    for _ in range(TURNS):
        products = sum((block.T @ (block @ found) for block in blocks_of(vectors, sample)), np.zeros(found.shape))
        found = np.linalg.qr(products)[0].astype(np.float32)
    return found[:, :kept]


def _balanced(kept: int) -> NDArray[np.int64]:
    """An order (E,) in which a strong direction shares its code with a weak one, so that most of its bits are its own.

    Source: Ge et al. 2013, section 3.2.2, the allocation of eigenvalues, for codes of two numbers.
    """
    strong = np.arange(kept // 2)
    return np.stack([strong, kept - 1 - strong], axis=1).ravel()


def _codes(vectors: RowSource, project: Vectors, path: Path) -> Any:
    """The codes of all rows in their cells, one after the other, mapped from a file of this name where that can be.

    project: (D, E).
    """
    import faiss

    bare: Any = faiss
    count, kept = vectors.shape[0], project.shape[1]
    cells = cells_of(count)
    coarse = faiss.IndexFlatIP(kept)
    codes = bare.IndexIVFPQ(coarse, kept, cells, kept // 2, 4, faiss.METRIC_INNER_PRODUCT)
    codes.by_residual, codes.pq.cp.min_points_per_centroid = True, 1
    _learn(coarse, codes, cells, _few(vectors, project, LEARNED * cells, path.with_name("learned")))
    start = 0
    for block in blocks_of(vectors):
        rows, short = np.arange(start, start + len(block)), block @ project
        for cell in _two_cells(short, coarse):
            codes.add_core(len(rows), *map(bare.swig_ptr, (short, rows, cell)), None)
        start += len(block)
    if os.name != "posix":
        return codes
    write_faiss(codes, path)
    del codes  # before they are read
    return faiss.read_index(str(path), faiss.IO_FLAG_MMAP)


def _few(vectors: RowSource, project: Vectors, most: int, path: Path) -> Vectors:
    """At most so many rows, drawn at random, by their directions (n, E), mapped from a new file."""
    count, kept = vectors.shape[0], project.shape[1]
    chosen = np.sort(np.random.default_rng(SEED).choice(count, min(most, count), replace=False))
    with path.open("wb") as file:  # written, since a full disk is fatal to what writes to a mapping
        for block in blocks_of(vectors, chosen):
            file.write((block @ project).tobytes())
    return np.asarray(np.memmap(path, np.float32, "r", shape=(len(chosen), kept)))


@contextmanager
def _few_compared() -> Iterator[None]:
    """Inside, FAISS compares fewer rows at once, in 12 MB less memory; its setting is the process's, and put back."""
    import faiss

    bare: Any = faiss
    rows = bare.cvar.distance_compute_blas_query_bs
    bare.cvar.distance_compute_blas_query_bs = COMPARED
    try:
        yield
    finally:
        bare.cvar.distance_compute_blas_query_bs = rows


def _learn(coarse: Any, codes: Any, cells: int, few: Vectors) -> None:
    """Learn cells and codes of rows (n, E)."""
    import faiss

    means = faiss.Clustering(few.shape[1], cells)
    means.niter, means.seed, means.spherical = 8, SEED, True
    means.min_points_per_centroid, means.max_points_per_centroid = 1, LEARNED
    means.train(few, coarse)
    codes.train(few)


def _two_cells(short: Vectors, coarse: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The cell of each row (n, E), and a second one whose error points elsewhere.

    Source: Sun et al. 2023, section 3.
    """
    near = np.asarray(coarse.search(short, min(NEAR, coarse.ntotal))[1], dtype=np.int64)
    if near.shape[1] == 1:
        return near[:, 0].copy(), near[:, 0].copy()
    centres = coarse.reconstruct_n(0, coarse.ntotal)
    error = short - centres[near[:, 0]]
    error /= np.maximum(np.linalg.norm(error, axis=1, keepdims=True), 1e-12)
    others = short[:, None] - centres[near[:, 1:]]
    cost = np.einsum("nce,nce->nc", others, others) + np.einsum("nce,ne->nc", others, error) ** 2
    return near[:, 0].copy(), near[np.arange(len(near)), 1 + cost.argmin(1)]


def _write_bytes(path: Path, vectors: RowSource, sample: NDArray[np.int64]) -> None:
    """A byte a number, in the very file that FAISS would write of them, with no more than a block in memory."""
    import faiss

    count, dimension = vectors.shape
    codes = faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
    ends = [np.stack([block.min(0), block.max(0)]) for block in blocks_of(vectors, sample)]
    codes.train(np.concatenate(ends))  # all that it asks for are the least and the greatest of each number
    empty = faiss.serialize_index(codes).tobytes()  # the type's four letters, D, N, …, the number of bytes
    rows, held = (number.to_bytes(8, sys.byteorder) for number in (count, count * dimension))
    with path.open("wb") as file:
        file.write(empty[:8] + rows + empty[16:-8] + held)
        for block in blocks_of(vectors):
            file.write(codes.sa_encode(block).tobytes())


def write_faiss(index: Any, path: Path) -> None:
    """As FAISS does. Raises OSError if the disk refuses."""
    import faiss

    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:
        raise OSError(f"{path} cannot be written: {error}") from error
