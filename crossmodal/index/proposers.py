"""What proposes the rows worth an exact look, chosen from a set's size by what was measured (benchmarks/RESULTS.md).

"exact": every row is scanned, nothing is built; up to SCANNED numbers. "rabitq": one bit a number in FAISS fast-scan
(Gao & Long 2024); up to SWEPT numbers. "ivf": product codes of four bits over the strongest directions, of what a row
differs in from the centre of its cell of a k-means, each row in two cells (Sun et al. 2023); only the cells next to a
query are looked through, and what they propose is put in order by a byte a number, so that few full vectors are
fetched. The latter two are built with an index and stored in it. Of few dimensions one bit each says too little: no
"rabitq" there.

Shapes: N rows, D embedding, E directions kept, C cells, F candidates.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from crossmodal.allocator import give_back_memory, use_huge_pages
from crossmodal.errors import IndexStoreError
from crossmodal.index.embedder import Vectors

__all__ = ["KINDS", "Plan", "Proposer", "RowSource", "Scan", "plan_search", "read_proposer", "write_proposer"]

KINDS = ("exact", "rabitq", "ivf")
SCANNED = 4_000_000  # numbers, 16 MB: a scan takes about a millisecond
SWEPT = 64_000_000  # numbers: the one-bit codes are 8 MB and a sweep takes about a millisecond
FEWEST_DIMENSIONS = 192  # for one bit each
BLOCK = 1_048_576  # numbers handled at once: 4 MB
SEED = 5
DIRECTIONS = 128  # that the product codes keep at most; to find them,
SPARE, TURNS = 16, 6  # more are looked for, and the rows gone through so many times
CELLS = 4  # times the square root of N
PROBED = 22  # cells of which one is looked through
LEARNED = 32  # rows a cell that k-means learns from
COMPARED = 512  # rows that FAISS compares with cells at once; its own 4,096 take 16 MB
SAMPLED = {"rabitq": 1_600_000, "ivf": 12_800_000}  # numbers of the rows that codes are learned from
ALONE = 11  # FAISS's fast-scan kernel with a reservoir and without groups of queries
NEAR = 8  # cells that a row's second one is chosen among
RABITQ = ("IndexPreTransform", "IndexRaBitQFastScan")  # FAISS types, from the outside in
CELLS_OF_CODES, BYTES = ("IndexPreTransform", "IndexIVFPQFastScan"), ("IndexScalarQuantizer",)
RABITQ_RATE = 2e-8  # seconds to build, a number, as measured, and
ROW_RATE, CELL_RATE = 6e-5, 4e-11  # of "ivf", on one core, a row and a number compared with a cell's


class RowSource(Protocol):
    """Rows (N, D) that can be gathered by number, and all be multiplied with a query."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, D)."""

    def __getitem__(self, rows: Any, /) -> Any:
        """Some rows, (k, D)."""

    def __matmul__(self, query: Any, /) -> Any:
        """The product with each row, (N,)."""


class Proposer(Protocol):
    """What finds candidates."""

    def search(self, queries: Vectors, count: int, /) -> tuple[Any, Any]:
        """Estimated scores and rows of the best `count`, best first: (1, F) each; row -1 where it found no more."""


@dataclass(frozen=True)
class Plan:
    """How a set is to be searched. kind: one of KINDS. bytes: in memory, beside the vectors. seconds: to build."""

    kind: str
    bytes: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.kind}, about {self.bytes / 1e6:,.1f} MB and {self.seconds:,.1f} s to build"


@dataclass(frozen=True)
class Scan:
    """Looks at every row; only rounding lies between its scores and exact ones."""

    vectors: RowSource

    def search(self, queries: Vectors, count: int, /) -> tuple[Any, Any]:
        """As `Proposer`."""
        scores = np.asarray(self.vectors @ queries[0])
        rows = np.argpartition(-scores, count - 1)[:count]
        rows = rows[np.argsort(-scores[rows], kind="stable")]
        return scores[rows][None], rows[None]


def plan_search(count: int, dimension: int, kind: str | None = None) -> Plan:
    """What so many rows are searched by, and what it costs. kind: asks for another than is best."""
    numbers = count * dimension
    if kind is None:
        simple = dimension < FEWEST_DIMENSIONS
        kind = "exact" if numbers <= SCANNED * (1 + 3 * simple) else "ivf" if simple or numbers > SWEPT else "rabitq"
    if kind == "exact":
        return Plan(kind, 0, 0.0)
    if kind == "rabitq":
        return Plan(kind, count * ((1 << (dimension - 1).bit_length()) // 8 + 8), numbers * RABITQ_RATE)
    kept, cells = _kept(dimension), _cells(count)
    held = 2 * count * (kept // 4 + 8) + numbers + 4 * kept * (dimension + cells)
    return Plan(kind, held, 1 + count * (ROW_RATE + cells * kept * CELL_RATE) / (os.cpu_count() or 1))


def _kept(dimension: int) -> int:
    return min(dimension // 2 * 2, DIRECTIONS)


def _cells(count: int) -> int:
    return max(int(CELLS * count**0.5), 1)


def write_proposer(path: Path, vectors: RowSource, kind: str | None = None) -> list[Path]:
    """Build what `plan_search` asks for over the rows and store it as FAISS does; returns the files that it wrote.

    There are none where rows are simply scanned. The bytes of "ivf" lie in a file of their own, which is mapped.

    Raises OSError if the disk refuses.
    """
    count, dimension = vectors.shape
    plan = plan_search(count, dimension, kind)
    if plan.kind == "exact" or not count:
        return []
    import faiss  # noqa: F401, here for the next line

    give_back_memory()  # of importing it: 20 MB
    size = min(count, max(SAMPLED[plan.kind] // dimension, 1))
    sample = np.arange(size) * count // size
    if plan.kind == "rabitq":
        _write(_rabitq(vectors, sample), path)
        return [path]
    with _few_compared(), TemporaryDirectory(dir=path.parent) as room:
        _write(_ivf(vectors, sample, Path(room)), path)
    _write_bytes(bytes_beside(path), vectors, sample)
    return [path, bytes_beside(path)]


def _write(index: Any, path: Path) -> None:
    """As FAISS writes it."""
    import faiss

    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:
        raise OSError(f"{path} cannot be written: {error}") from error


def _blocks(vectors: RowSource, chosen: NDArray[np.int64] | None = None) -> Iterator[Vectors]:
    """All rows or those chosen, some at a time."""
    count, dimension = vectors.shape
    size = max(BLOCK // dimension, 1)
    for start in range(0, count if chosen is None else len(chosen), size):
        rows = np.arange(start, min(start + size, count)) if chosen is None else chosen[start : start + size]
        yield np.ascontiguousarray(vectors[rows], dtype=np.float32)


def _rabitq(vectors: RowSource, sample: NDArray[np.int64]) -> Any:
    import faiss

    bare: Any = faiss
    rotation = bare.HadamardRotation(vectors.shape[1])  # evens the numbers out, D log D a query
    rotation.init(SEED)
    codes = bare.IndexRaBitQFastScan(rotation.d_out, faiss.METRIC_INNER_PRODUCT)
    codes.qb = 8
    index = bare.IndexPreTransform(rotation, codes)
    index.train(np.asarray(vectors[sample], dtype=np.float32))
    for block in _blocks(vectors):
        index.add(block)
    return index


def _strongest(vectors: RowSource, sample: NDArray[np.int64], kept: int) -> Vectors:
    """The directions (D, E) along which the rows are longest, orthonormal, with no covariance in memory.

    Source: subspace iteration, Halko, Martinsson & Tropp 2011, algorithm 4.4.
    """
    dimension = vectors.shape[1]
    size = min(kept + SPARE, dimension)
    found = np.random.default_rng(SEED).standard_normal((dimension, size), dtype=np.float32)
    for _ in range(TURNS):
        products = sum((block.T @ (block @ found) for block in _blocks(vectors, sample)), np.zeros(found.shape))
        found = np.linalg.qr(products)[0].astype(np.float32)
    return found[:, :kept]


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


def _ivf(vectors: RowSource, sample: NDArray[np.int64], room: Path) -> Any:
    """room: a folder for what would take much memory."""
    import faiss

    bare: Any = faiss  # its stubs know neither enumerations nor pointers
    (count, dimension), kept = vectors.shape, _kept(vectors.shape[1])
    turn = np.linalg.qr(np.random.default_rng(SEED).standard_normal((kept, kept)))[0]  # evens the directions out
    project = np.ascontiguousarray(_strongest(vectors, sample, kept) @ turn.astype(np.float32))  # (D, E)
    quick = bare.IndexIVFPQFastScan(_codes(vectors, project, room / "codes"))
    quick.nprobe = max(_cells(count) // PROBED, 1)
    transform = bare.LinearTransform(dimension, kept, False)
    bare.copy_array_to_vector(project.T.ravel().copy(), transform.A)
    transform.is_trained = True
    proposing = bare.IndexPreTransform(transform, quick)
    proposing.ntotal = count  # rows, not entries in cells: both halves must agree
    return proposing


def _codes(vectors: RowSource, project: Vectors, path: Path) -> Any:
    """The codes of all rows in their cells, one after the other, mapped from a file of this name where that can be.

    project: (D, E).
    """
    import faiss

    bare: Any = faiss
    count, kept = vectors.shape[0], project.shape[1]
    cells = _cells(count)
    coarse = faiss.IndexFlatIP(kept)
    codes = bare.IndexIVFPQ(coarse, kept, cells, kept // 2, 4, faiss.METRIC_INNER_PRODUCT)
    codes.by_residual, codes.pq.cp.min_points_per_centroid = True, 1
    _learn(coarse, codes, cells, _few(vectors, project, LEARNED * cells, path.with_name("learned")))
    start = 0
    for block in _blocks(vectors):
        rows, short = np.arange(start, start + len(block)), block @ project
        for cell in _two_cells(short, coarse):
            codes.add_core(len(rows), *map(bare.swig_ptr, (short, rows, cell)), None)
        start += len(block)
    if os.name != "posix":
        return codes
    _write(codes, path)
    del codes  # before they are read
    return faiss.read_index(str(path), faiss.IO_FLAG_MMAP)


def _few(vectors: RowSource, project: Vectors, most: int, path: Path) -> Vectors:
    """At most so many rows, drawn at random, by their directions (n, E), mapped from a new file."""
    count, kept = vectors.shape[0], project.shape[1]
    chosen = np.sort(np.random.default_rng(SEED).choice(count, min(most, count), replace=False))
    with path.open("wb") as file:  # written, since a full disk is fatal to what writes to a mapping
        for block in _blocks(vectors, chosen):
            file.write((block @ project).tobytes())
    return np.asarray(np.memmap(path, np.float32, "r", shape=(len(chosen), kept)))


def _learn(coarse: Any, codes: Any, cells: int, few: Vectors) -> None:
    """Learn cells and codes of rows (n, E)."""
    import faiss

    means = faiss.Clustering(few.shape[1], cells)
    means.niter, means.seed, means.spherical = 8, SEED, True
    means.min_points_per_centroid, means.max_points_per_centroid = 1, LEARNED
    means.train(few, coarse)
    codes.train(few)


def _write_bytes(path: Path, vectors: RowSource, sample: NDArray[np.int64]) -> None:
    """A byte a number, in the very file that FAISS would write of them, with no more than a block in memory."""
    import faiss

    count, dimension = vectors.shape
    codes = faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
    ends = [np.stack([block.min(0), block.max(0)]) for block in _blocks(vectors, sample)]
    codes.train(np.concatenate(ends))  # all that it asks for are the least and the greatest of each number
    empty = faiss.serialize_index(codes).tobytes()  # the type's four letters, D, N, …, the number of bytes
    rows, held = (number.to_bytes(8, sys.byteorder) for number in (count, count * dimension))
    with path.open("wb") as file:
        file.write(empty[:8] + rows + empty[16:-8] + held)
        for block in _blocks(vectors):
            file.write(codes.sa_encode(block).tobytes())


@dataclass(frozen=True)
class Cells:
    """Codes in cells, and a byte a number that puts in order what they propose.

    codes: the FAISS index over cells. numbers: uint8 (N, D), mapped. least, step: (D,), so that a number is about
    least + step × its byte.
    """

    codes: Any
    numbers: NDArray[np.uint8]
    least: Vectors
    step: Vectors

    def search(self, queries: Vectors, count: int, /) -> tuple[Any, Any]:
        """As `Proposer`, each row once; fewer than count, since a row stands in two cells."""
        rows = np.sort(self.codes.search(queries, count)[1][0])
        rows = rows[np.diff(rows, prepend=-1) > 0]  # once each, and no -1; a tenth of a millisecond less than by unique
        bytes_of_rows = self.numbers[rows].astype(np.float32)
        scores = np.vecdot(bytes_of_rows, queries[0] * self.step) + np.float32(np.vecdot(queries[0], self.least))
        order = np.argsort(-scores, kind="stable")
        return scores[order][None], rows[order][None]


def ask(index: Any, query: Vectors, count: int, looked_at: int) -> tuple[Vectors, NDArray[np.int64]]:
    """Estimated scores (F,) and rows (F,) of the best, each row once, best first; row -1 where no more were found.

    query: (D,). count: F at most, of "ivf". looked_at: how many rows are proposed to choose them from.
    """
    with _one_thread():
        scores, rows = index.search(query[None], looked_at)
    if kind_of(index) == "ivf":
        return scores[0, :count], rows[0, :count]
    return scores[0], np.asarray(rows[0], dtype=np.int64)


@contextmanager
def _one_thread() -> Iterator[None]:
    """FAISS works on the calling thread alone: one query gains nothing by more, and loses much where they wait.

    FAISS's idle threads and numpy's each keep a core busy for a while after their work; where both took turns on two
    cores, a search of 0.4 ms took 4. The number of threads is the calling thread's own.
    """
    import faiss

    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


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


def kind_of(index: Any) -> str:
    """Which of KINDS a proposer is."""
    if index is None or isinstance(index, Scan):
        return "exact"
    return "ivf" if isinstance(index, Cells) else "rabitq"


def bytes_beside(path: Path) -> Path:
    """Where a byte a number lies beside a stored proposer of "ivf"."""
    return path.with_name(f"{path.stem}.bytes{path.suffix}")


def read_proposer(path: Path, shape: tuple[int, ...], bytes_path: Path | None = None) -> Any:
    """Read what `write_proposer` wrote for vectors (N, D). bytes_path: where the bytes of "ivf" lie.

    Raises IndexStoreError if it is something else.
    """
    import faiss

    index = _read(path, shape, mapped=False)
    if _parts(index) == RABITQ:
        return index
    if _parts(index) != CELLS_OF_CODES:
        raise IndexStoreError(f"{path} holds {' of '.join(_parts(index))}, which nothing here searches by")
    if bytes_path is None:
        raise IndexStoreError(f"{path} lacks the bytes beside it")
    codes = _read(bytes_path, shape, mapped=True)
    if _parts(codes) != BYTES:
        raise IndexStoreError(f"{bytes_path} holds {' of '.join(_parts(codes))}, not a byte a number")
    least, span = np.array_split(faiss.vector_to_array(codes.sq.trained), 2)
    try:
        numbers = np.memmap(bytes_path, np.uint8, "r", bytes_path.stat().st_size - shape[0] * shape[1], shape)
    except OSError as error:
        raise IndexStoreError(f"{bytes_path} cannot be read: {error}") from error
    least, step = (np.asarray(part, dtype=np.float32) for part in (least + span / 510, span / 255))
    return Cells(_tuned(index), np.asarray(numbers), least, step)


def _read(path: Path, shape: tuple[int, ...], mapped: bool) -> Any:
    import faiss

    bare: Any = faiss
    try:
        index: Any = faiss.read_index(str(path), bare.IO_FLAG_MMAP_IFC if mapped and os.name == "posix" else 0)
    except RuntimeError as error:
        raise IndexStoreError(f"{path} cannot be read by FAISS {faiss.__version__}") from error
    if (index.ntotal, index.d) != shape:
        raise IndexStoreError(f"{path} searches {index.ntotal:,} × {index.d}, not {shape[0]:,} × {shape[1]}")
    return index


def _tuned(index: Any) -> Any:
    """With what makes one query at a time the quickest, and no file says: the kernel, and large pages for the codes."""
    import faiss

    bare: Any = faiss
    codes = bare.downcast_index(index.index)
    codes.implem = ALONE
    lists = codes.invlists
    use_huge_pages([int(lists.get_codes(cell)) for cell in range(codes.nlist) if lists.list_size(cell)])
    return index


def _parts(index: Any) -> tuple[str, ...]:
    """The names of the FAISS types that an index is made of, from the outside in."""
    import faiss

    name = type(index).__name__
    return (name, *_parts(faiss.downcast_index(index.index))) if name == "IndexPreTransform" else (name,)
