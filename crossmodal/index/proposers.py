"""What proposes the rows worth an exact look, chosen from a set's size by what was measured (benchmarks/RESULTS.md).

"exact": every row is scanned, nothing is built; up to SCANNED numbers. "rabitq": one bit a number in FAISS fast-scan
(Gao & Long 2024); up to SWEPT numbers. "hnsw": a graph (Malkov & Yashunin 2020) over the strongest directions in eight
bits each. The latter two are built with an index and stored in it.

Shapes: N rows, D embedding, F candidates.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from crossmodal.errors import IndexStoreError
from crossmodal.index.embedder import Vectors

__all__ = ["KINDS", "Plan", "Proposer", "RowSource", "Scan", "build_proposer", "plan_search", "read_proposer"]

KINDS = ("exact", "rabitq", "hnsw")
SCANNED = 4_000_000  # numbers, 16 MB: a scan takes about a millisecond
SWEPT = 120_000_000  # numbers: the one-bit codes are 15 MB and a sweep takes about 1.5 ms
BLOCK = 65_536  # rows handled at once
SEED = 5
LINKS = 16  # of a row in the graph, twice that in its lowest layer
BREADTH = 64  # of the search for links while building
DIRECTIONS = 128  # that the graph's codes keep at most
SAMPLED = 50_000  # rows that directions and ranges are learned from
RABITQ_RATE, HNSW_RATE = 5e-9, 1.2e-6  # seconds a number to build on one core, as measured


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
        kind = "exact" if numbers <= SCANNED else "rabitq" if numbers <= SWEPT else "hnsw"
    cores = os.cpu_count() or 1
    if kind == "exact":
        return Plan(kind, 0, 0.0)
    if kind == "rabitq":
        return Plan(kind, count * (-(-dimension // 8) + 8) + 4 * dimension**2, numbers * RABITQ_RATE)
    kept = min(dimension, DIRECTIONS)
    return Plan(kind, count * (kept + 8 * LINKS + 24), count * kept * HNSW_RATE / cores)


def build_proposer(vectors: RowSource, kind: str | None = None) -> Any | None:
    """The FAISS index that `plan_search` asks for over the rows, or None where they are simply scanned."""
    count, dimension = vectors.shape
    plan = plan_search(count, dimension, kind)
    if plan.kind == "exact" or not count:
        return None
    sample = np.asarray(vectors[np.arange(min(count, SAMPLED)) * count // min(count, SAMPLED)], dtype=np.float32)
    index = _rabitq(dimension) if plan.kind == "rabitq" else _hnsw(sample)
    index.train(sample)
    for start in range(0, count, BLOCK):
        index.add(np.ascontiguousarray(vectors[np.arange(start, min(start + BLOCK, count))], dtype=np.float32))
    return index


def _rabitq(dimension: int) -> Any:
    import faiss

    rotation = faiss.RandomRotationMatrix(dimension, dimension)
    rotation.init(SEED)
    codes = faiss.IndexRaBitQFastScan(dimension, faiss.METRIC_INNER_PRODUCT)
    codes.qb = 8
    return _joined(rotation, codes)


def _hnsw(sample: Vectors) -> Any:
    """An empty graph over the directions in which the sample's second moment is largest."""
    import faiss

    dimension = sample.shape[1]
    kept = min(dimension, DIRECTIONS)
    strongest = np.linalg.eigh((sample.T @ sample).astype(np.float64))[1][:, ::-1][:, :kept].T
    projection = faiss.LinearTransform(dimension, kept, False)
    faiss.copy_array_to_vector(np.ascontiguousarray(strongest, dtype=np.float32).ravel(), projection.A)
    projection.is_trained = True
    bare: Any = faiss  # its stubs know no enumerations
    graph = bare.IndexHNSWSQ(kept, faiss.ScalarQuantizer.QT_8bit, LINKS, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = BREADTH
    return _joined(projection, graph)


def _joined(transform: Any, codes: Any) -> Any:
    import faiss

    return faiss.IndexPreTransform(transform, codes)


def kind_of(index: Any) -> str:
    """Which of KINDS a proposer is."""
    if index is None or isinstance(index, Scan):
        return "exact"
    import faiss

    return "hnsw" if isinstance(faiss.downcast_index(index.index), faiss.IndexHNSWSQ) else "rabitq"


def write_proposer(path: Path, index: Any) -> None:
    """Store it as FAISS does."""
    import faiss

    faiss.write_index(index, str(path))


def read_proposer(path: Path, shape: tuple[int, ...]) -> Any:
    """Read what `write_proposer` wrote for vectors (N, D). Raises IndexStoreError if it is something else."""
    import faiss

    try:
        index: Any = faiss.read_index(str(path))
    except RuntimeError as error:
        raise IndexStoreError(f"{path} cannot be read by FAISS {faiss.__version__}") from error
    inner = faiss.downcast_index(index.index) if isinstance(index, faiss.IndexPreTransform) else index
    if not isinstance(inner, (faiss.IndexRaBitQFastScan, faiss.IndexHNSWSQ)) or (index.ntotal, index.d) != shape:
        raise IndexStoreError(f"{path} searches {index.ntotal:,} × {index.d}, not {shape[0]:,} × {shape[1]}")
    return index
