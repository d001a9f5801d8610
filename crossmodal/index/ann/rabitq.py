"""One bit a number: FAISS sweeps the codes of all rows (RaBitQ fast-scan, Gao & Long 2024) and proposes candidates.

Shapes: N rows, D embedding, k hits, F candidates.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crossmodal.errors import IndexStoreError
from crossmodal.index.ann.faiss_files import one_thread, write_faiss
from crossmodal.index.ann.flat import Rows
from crossmodal.index.vectors import RowSource, blocks_of, evenly_chosen
from crossmodal.inference.base import Vectors

__all__ = ["TYPES", "RaBitQ", "opened", "write"]

FACTORY = "HR,RaBitQfs"  # the Hadamard rotation evens the numbers out, in D log D a query
TYPES = ("IndexPreTransform", "IndexRaBitQFastScan")
SAMPLED = 1_600_000  # numbers of the rows that codes are learned from
FEWEST, TIMES, BITS = 150, 10, 76_800  # candidates at least; so many times k; that their codes have together, at least


@dataclass(frozen=True)
class RaBitQ:
    """A `crossmodal.index.ann.nearest.Proposer`.

    index: what FAISS built.
    kind: its name in `crossmodal.index.ann.plan.KINDS`.
    """

    index: Any
    kind: str = "rabitq"

    def depth(self, k: int) -> int:
        """F, of which all are worth an exact look: the order of one-bit codes is a rough one."""
        return int(max(FEWEST, TIMES * k, BITS // self.index.d))

    worth = depth

    def search(self, query: Vectors, count: int) -> tuple[Vectors, Rows]:
        """The best candidates, see `Proposer.search`."""
        with one_thread():
            scores, rows = self.index.search(query[None], count)
        return scores[0], np.asarray(rows[0], dtype=np.int64)


def write(path: Path, vectors: RowSource) -> None:
    """Build the codes of all rows (N, D) and write them. Raises OSError if the disk refuses."""
    import faiss

    count, dimension = vectors.shape
    index: Any = faiss.index_factory(dimension, FACTORY, faiss.METRIC_INNER_PRODUCT)
    index.train(np.asarray(vectors[evenly_chosen(count, SAMPLED // dimension)], dtype=np.float32))
    for block in blocks_of(vectors):
        index.add(block)
    write_faiss(index, path)


def opened(index: Any, path: Path, shape: tuple[int, ...]) -> RaBitQ:
    """What searches by an index that was read from a file. Raises IndexStoreError if it is not of vectors (N, D)."""
    if (index.ntotal, index.d) != shape:
        raise IndexStoreError(f"{path} searches {index.ntotal:,} × {index.d}, not {shape[0]:,} × {shape[1]}")
    return RaBitQ(index)
