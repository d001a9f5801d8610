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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from crossmodal._memory import give_back_memory, use_huge_pages
from crossmodal.errors import IndexStoreError
from crossmodal.index.cells import cells_of, directions_of, write_cells, write_faiss
from crossmodal.index.embedder import Vectors
from crossmodal.index.vectors import RowSource, blocks_of

__all__ = ["KINDS", "Plan", "Proposer", "Scan", "plan_search", "read_proposer", "write_proposer"]

KINDS = ("exact", "rabitq", "ivf")
SCANNED = 4_000_000  # numbers, 16 MB: a scan takes about a millisecond
SWEPT = 64_000_000  # numbers: the one-bit codes are 8 MB and a sweep takes about a millisecond
FEWEST_DIMENSIONS = 192  # for one bit each
SEED = 5
SAMPLED = {"rabitq": 1_600_000, "ivf": 12_800_000}  # numbers of the rows that codes are learned from
ALONE = 11  # FAISS's fast-scan kernel with a reservoir and without groups of queries
RABITQ = ("IndexPreTransform", "IndexRaBitQFastScan")  # FAISS types, from the outside in
CELLS_OF_CODES, BYTES = ("IndexPreTransform", "IndexIVFPQFastScan"), ("IndexScalarQuantizer",)
RABITQ_RATE = 2e-8  # seconds to build, a number, as measured, and
ROW_RATE, CELL_RATE = 6e-5, 4e-11  # of "ivf", on one core, a row and a number compared with a cell's


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
    kept, cells = directions_of(dimension), cells_of(count)
    held = 2 * count * (kept // 4 + 8) + numbers + 4 * kept * (dimension + cells)
    return Plan(kind, held, 1 + count * (ROW_RATE + cells * kept * CELL_RATE) / (os.cpu_count() or 1))


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
        write_faiss(_rabitq(vectors, sample), path)
        return [path]
    write_cells(path, bytes_beside(path), vectors, sample)
    return [path, bytes_beside(path)]


def _rabitq(vectors: RowSource, sample: NDArray[np.int64]) -> Any:
    import faiss

    bare: Any = faiss
    rotation = bare.HadamardRotation(vectors.shape[1])  # evens the numbers out, D log D a query
    rotation.init(SEED)
    codes = bare.IndexRaBitQFastScan(rotation.d_out, faiss.METRIC_INNER_PRODUCT)
    codes.qb = 8
    index = bare.IndexPreTransform(rotation, codes)
    index.train(np.asarray(vectors[sample], dtype=np.float32))
    for block in blocks_of(vectors):
        index.add(block)
    return index


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
