"""What is stored beside the vectors so that searching them is quick: proposers and moments of each set.

A set is the pictures, the captions, or the means of each picture's captions. Small sets need neither file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from crossmodal.errors import IndexStoreError
from crossmodal.index.background import Moments, moments_of, read_moments, worth_moments, write_moments
from crossmodal.index.embedder import Vectors
from crossmodal.index.proposers import KINDS, plan_search, read_proposer, write_proposer
from crossmodal.index.vectors import RowSource, SparselyRead

__all__ = ["SEARCH_FILES", "SETS", "SearchFiles", "rows_to_fetch", "write_search_files"]

SETS = ("images", "captions", "means")
PROPOSER, BYTES, MOMENTS = "{}.faiss", "{}.bytes.faiss", "{}.moments.npy"
PARTS = {"exact": (), "rabitq": (PROPOSER,), "ivf": (PROPOSER, BYTES)}  # what searching by each kind needs
SEARCH_FILES = frozenset(name.format(which) for which in SETS for name in (PROPOSER, BYTES, MOMENTS))


def _wanted(shapes: Mapping[str, tuple[int, ...]]) -> set[str]:
    """The files that sets of these shapes (N, D) should have."""
    large = {
        name.format(which) for which, shape in shapes.items() for name in PARTS[plan_search(shape[0], shape[1]).kind]
    }
    return large | {MOMENTS.format(which) for which, shape in shapes.items() if worth_moments(shape[0], shape[1])}


def write_search_files(
    folder: Path, sets: Mapping[str, RowSource], tell: Callable[[str], None] = lambda _: None
) -> tuple[str, ...]:
    """Write what each set needs into a generation folder; returns the names. tell: gets a sentence beforehand."""
    written = []
    for which, rows in sets.items():
        plan = plan_search(rows.shape[0], rows.shape[1])
        if plan.kind != KINDS[0]:
            tell(f"search among {rows.shape[0]:,} {which}: {plan}")
            written += [path.name for path in write_proposer(folder / PROPOSER.format(which), rows)]
        if worth_moments(rows.shape[0], rows.shape[1]):
            write_moments(folder / MOMENTS.format(which), moments_of(rows))
            written.append(MOMENTS.format(which))
    return tuple(written)


def rows_to_fetch(vectors: Vectors, path: Path) -> RowSource:
    """Where a search gets exact rows from: of a set too large to come to lie in memory, by reading its file."""
    return SparselyRead(vectors, path) if plan_search(*vectors.shape).kind == "ivf" else vectors


class SearchFiles:
    """The stored helpers of an opened index; they are read when first asked for.

    names: the files that the manifest vouches for. Missing moments are computed.
    """

    def __init__(self, folder: Path, sets: Mapping[str, RowSource], names: set[str]) -> None:
        self._folder = folder
        self._sets = sets
        self._names = names

    def proposer(self, which: str) -> Any | None:
        """The FAISS index of a set; None where every row is to be scanned, also because another FAISS wrote it."""
        path, codes = (self._path(name.format(which)) for name in (PROPOSER, BYTES))
        with suppress(IndexStoreError):
            return None if path is None else read_proposer(path, self._sets[which].shape, codes)
        return None

    @property
    def lacking(self) -> set[str]:
        """Names of files that sets of this size should have and that are not there or cannot be read."""
        wanted = _wanted({which: rows.shape for which, rows in self._sets.items()})
        unread = {PROPOSER.format(which) for which in self._sets if self.proposer(which) is None}
        return wanted & (unread | (wanted - self._names))

    def moments(self, which: str) -> Moments | None:
        """Mean and covariance of a set, or None where it is so small that they save nothing."""
        rows = self._sets[which]
        if not worth_moments(rows.shape[0], rows.shape[1]):
            return None
        path = self._path(MOMENTS.format(which))
        return moments_of(rows) if path is None else read_moments(path, rows.shape[1])

    def _path(self, name: str) -> Path | None:
        """Where a file lies; None where the index has none, or a build has published another generation since."""
        path = self._folder / name
        return path if name in self._names and path.is_file() else None
