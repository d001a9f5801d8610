"""Codes in cells: FAISS proposes from the cells next to a query, and a byte a number puts candidates in order.

The codes are product codes of four bits over the strongest directions (IVF PQ fast-scan), of what a row differs in from
the centre of its cell of a k-means. Each row stands in two cells (Sun et al. 2023): of a million, one cell would have
to be looked for among twice as many for nearly the recall. The bytes lie in a plain .npy file, which is mapped, the
steps between them in another; they let only a handful of full vectors be fetched.

Shapes: N rows, D embedding, E directions kept, C cells, k hits, F candidates.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import IndexStoreError
from crossmodal.index.ann.faiss_files import one_thread, write_faiss
from crossmodal.index.ann.flat import Rows
from crossmodal.index.ann.plan import cells_of, directions_of
from crossmodal.index.vectors import RowSource, blocks_of, evenly_chosen
from crossmodal.inference.base import Vectors

__all__ = ["TYPES", "Cells", "opened", "probed", "write"]

TYPES = ("IndexPreTransform", "IndexIVFPQFastScan")
SEED = 5
SAMPLED = 3_200_000  # numbers of the rows that directions are learned from
LEARNED, TURNS = 32, 8  # rows a cell that k-means learns from, and how often it goes through them
PROBED, FEWEST_PROBED = 22, 180  # one of so many cells is looked through, and so many of them at least
NEAR = 8  # cells that a row's two are chosen among
FEWEST, TIMES = 300, 15  # candidates at least, and so many times k
SPARE, SHARE = 32, 8  # rows beyond k, or one for so many of k, that are fetched where bytes put candidates in order
KERNEL = 11  # FAISS's fast-scan kernel with a reservoir and without groups of queries


@dataclass(frozen=True)
class Cells:
    """A `crossmodal.index.ann.nearest.Proposer`.

    codes: what FAISS built, over cells.
    numbers: (N, D), a byte each, mapped.
    steps: (D,), by how much a number grows where its byte grows by one.
    kind: its name in `crossmodal.index.ann.plan.KINDS`.
    """

    codes: Any
    numbers: NDArray[np.uint8]
    steps: Vectors
    kind: str = "ivf"

    def depth(self, k: int) -> int:
        """F, how many candidates the bytes of are looked at."""
        return max(FEWEST, TIMES * k)

    def worth(self, k: int) -> int:
        """How many of them are worth an exact look: bytes err by a thousandth."""
        return k + max(SPARE, k // SHARE)

    def search(self, query: Vectors, count: int) -> tuple[Vectors, Rows]:
        """The best candidates, see `Proposer.search`; fewer than count, since a row stands in two cells."""
        with one_thread():
            found = np.sort(self.codes.search(query[None], count)[1][0])
        found = found[np.diff(found, prepend=-1) > 0]  # once each, and no -1; quicker than np.unique by 0.1 ms
        # up to a constant, which leaves the order as it is: the product with what each number is at byte 0
        scores = np.vecdot(self.numbers.take(found, axis=0).astype(np.float32), query * self.steps)
        order = np.argsort(-scores, kind="stable")
        return scores[order], found[order]


def write(path: Path, bytes_path: Path, steps_path: Path, vectors: RowSource) -> None:
    """Build codes, bytes and steps of all rows (N, D) and write them. Raises OSError if the disk refuses."""
    import faiss

    bare: Any = faiss
    turn = _strongest(vectors)
    with TemporaryDirectory(dir=path.parent) as room:
        quick = bare.IndexIVFPQFastScan(_mapped_codes(vectors, turn, Path(room) / "codes"))
        quick.nprobe = probed(quick.nlist)
        write_faiss(bare.IndexPreTransform(turn, quick), path)
        del quick  # it holds the mapped file
    _write_bytes(bytes_path, steps_path, vectors)


def _mapped_codes(vectors: RowSource, turn: Any, path: Path) -> Any:
    """The codes of all rows in their cells, mapped from a file of this name: another form is made of them next."""
    import faiss

    codes, start = _learned(vectors, turn), 0
    for block in blocks_of(vectors):
        _add_twice(codes, turn.apply(block), np.arange(start, start + len(block)))
        start += len(block)
    if os.name != "posix":
        return codes
    write_faiss(codes, path)
    del codes  # before they are read
    return faiss.read_index(str(path), faiss.IO_FLAG_MMAP)


def probed(cells: int) -> int:
    """How many of so many cells a query looks through."""
    return min(max(cells // PROBED, FEWEST_PROBED), cells)


def _strongest(vectors: RowSource) -> Any:
    """The E directions along which rows differ most, turned so that a strong one shares its code with a weak one.

    It has no bias, so that products with a query stay products. Source: Ge et al. 2013, section 3.2.2.
    """
    import faiss

    bare: Any = faiss
    count, dimension = vectors.shape
    kept = directions_of(dimension)
    principal = bare.PCAMatrix(dimension, kept)
    principal.balanced_bins = kept // 2
    principal.train(np.asarray(vectors[evenly_chosen(count, SAMPLED // dimension)], dtype=np.float32))
    turn = bare.LinearTransform(dimension, kept, False)
    turn.A, turn.is_trained = principal.A, True
    return turn


def _learned(vectors: RowSource, turn: Any) -> Any:
    """Empty cells and codes, learned from rows drawn at random."""
    import faiss

    count, cells = vectors.shape[0], cells_of(vectors.shape[0])
    # "np": codes need not be polysemous, which takes most of the time
    codes: Any = faiss.index_factory(turn.d_out, f"IVF{cells},PQ{turn.d_out // 2}x4np", faiss.METRIC_INNER_PRODUCT)
    codes.by_residual, codes.pq.cp.min_points_per_centroid = True, 1
    means = codes.cp
    means.niter, means.seed, means.spherical = TURNS, SEED, True
    means.min_points_per_centroid, means.max_points_per_centroid = 1, LEARNED
    chosen = np.sort(np.random.default_rng(SEED).choice(count, min(LEARNED * cells, count), replace=False))
    short, start = np.empty((len(chosen), turn.d_out), dtype=np.float32), 0
    for block in blocks_of(vectors, chosen):
        short[start : start + len(block)] = turn.apply(block)
        start += len(block)
    codes.train(short)
    return codes


def _add_twice(codes: Any, short: Vectors, rows: Rows) -> None:
    """Add rows (n, E) to the nearest cell of each, and to a second one whose error points elsewhere.

    Source: Sun et al. 2023, section 3.
    """
    from faiss.contrib import ivf_tools

    tools: Any = ivf_tools  # it has no types
    near, apart = codes.quantizer.search_and_reconstruct(short, min(NEAR, codes.nlist))[1:]
    apart -= short[:, None]  # (n, NEAR, E), in place of the centres
    error = apart[:, 0] / np.maximum(np.linalg.norm(apart[:, 0], axis=1, keepdims=True), 1e-12)
    cost = np.vecdot(apart, apart) + np.vecdot(apart, error[:, None]) ** 2
    cost[:, 0] = np.inf  # the nearest cell is the first
    for cell in (near[:, 0].copy(), near[np.arange(len(near)), cost.argmin(1)]):
        tools.add_preassigned(codes, short, cell, rows)


def _write_bytes(bytes_path: Path, steps_path: Path, vectors: RowSource) -> None:
    """A byte a number, between the least and the greatest that a sample shows in its column; a block at a time."""
    count, dimension = vectors.shape
    sample = evenly_chosen(count, SAMPLED // dimension)
    ends = [(block.min(0), block.max(0)) for block in blocks_of(vectors, sample)]
    least, most = np.min([low for low, _ in ends], 0), np.max([high for _, high in ends], 0)
    steps = np.maximum(most - least, np.finfo(np.float32).tiny * 256) / 255
    np.save(steps_path, steps)
    with bytes_path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": vectors.shape}
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks_of(vectors):
            file.write(np.rint((block - least) / steps).clip(0, 255).astype(np.uint8).tobytes())


def opened(index: Any, path: Path, bytes_path: Path, steps_path: Path, shape: tuple[int, ...]) -> Cells:
    """What searches by an index that was read from a file, with its bytes mapped.

    Raises IndexStoreError if any of it is not of vectors (N, D).
    """
    import faiss

    if (index.ntotal // 2, index.d) != shape:  # each row stands in two cells
        raise IndexStoreError(f"{path} searches {index.ntotal // 2:,} × {index.d}, not {shape[0]:,} × {shape[1]}")
    bare: Any = faiss
    bare.downcast_index(index.index).implem = KERNEL
    steps = _mapped(steps_path, np.float32, shape[1:])
    return Cells(index, _mapped(bytes_path, np.uint8, shape), np.array(steps))


def _mapped(path: Path, kind: type[np.generic], shape: tuple[int, ...]) -> NDArray[Any]:
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise IndexStoreError(f"{path} cannot be read: {error}") from error
    if (values.dtype, values.shape) != (kind, shape):
        raise IndexStoreError(f"{path} holds {values.dtype} {values.shape}, not {np.dtype(kind)} {shape}")
    return np.asarray(values)
