"""What is stored beside the vectors so that searching them is quick: proposers and moments of each set.

A set is the pictures, the captions, or the means of each picture's captions. Small sets need neither file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from crossmodal._memory import give_back_memory
from crossmodal.errors import IndexStoreError
from crossmodal.index.ann import ivf, rabitq
from crossmodal.index.ann.faiss_files import parts, read_faiss
from crossmodal.index.ann.moments import Moments, moments_of, read_moments, worth_moments, write_moments
from crossmodal.index.ann.nearest import Proposer
from crossmodal.index.ann.plan import plan_search
from crossmodal.index.vectors import RowSource, SparselyRead
from crossmodal.inference.base import Vectors

__all__ = [
    "SEARCH_FILES", "SETS", "SearchFiles", "read_proposer", "rows_to_fetch", "write_proposer", "write_search_files",
]  # fmt: skip

SETS = ("images", "captions", "means")
PROPOSER, BYTES, STEPS, MOMENTS = "{}.faiss", "{}.bytes.npy", "{}.steps.npy", "{}.moments.npy"
FORMER = "{}.bytes.faiss"  # of an index of before, which is scanned until it is built again
PARTS = {"exact": (), "rabitq": (PROPOSER,), "ivf": (PROPOSER, BYTES, STEPS)}  # what searching by each kind needs
SEARCH_FILES = frozenset(name.format(which) for which in SETS for name in (PROPOSER, BYTES, STEPS, MOMENTS, FORMER))


def write_proposer(folder: Path, which: str, vectors: RowSource, kind: str | None = None) -> tuple[str, ...]:
    """Build what `plan_search` asks for over the rows of a set into a folder; returns the names of its files.

    There are none where rows are simply scanned.

    Raises OSError if the disk refuses.
    """
    count, dimension = vectors.shape
    kind = plan_search(count, dimension, kind).kind if count else "exact"
    if kind == "exact":
        return ()
    import faiss  # noqa: F401, here for the next line

    give_back_memory()  # of importing it: 20 MB
    paths = [folder / name.format(which) for name in PARTS[kind]]
    if kind == "rabitq":
        rabitq.write(paths[0], vectors)
    else:
        ivf.write(paths[0], paths[1], paths[2], vectors)
    return tuple(path.name for path in paths)


def read_proposer(folder: Path, which: str, shape: tuple[int, ...]) -> Proposer:
    """Read what `write_proposer` wrote for vectors (N, D), whatever this size is best searched by.

    Raises IndexStoreError if it is absent or something else.
    """
    path = folder / PROPOSER.format(which)
    index = read_faiss(path)
    types = parts(index)
    if types == rabitq.TYPES:
        return rabitq.opened(index, path, shape)
    if types == ivf.TYPES:
        return ivf.opened(index, path, folder / BYTES.format(which), folder / STEPS.format(which), shape)
    raise IndexStoreError(f"{path} holds {' of '.join(types)}, which nothing here searches by")


def _wanted(shapes: Mapping[str, tuple[int, ...]]) -> set[str]:
    """The files that sets of these shapes (N, D) should have."""
    large = {
        name.format(which) for which, shape in shapes.items() for name in PARTS[plan_search(shape[0], shape[1]).kind]
    }
    return large | {MOMENTS.format(which) for which, shape in shapes.items() if worth_moments(shape[0], shape[1])}


def write_search_files(
    folder: Path, sets: Mapping[str, RowSource], tell: Callable[[str], None] = lambda _: None
) -> tuple[str, ...]:
    """Write what each set needs into a generation folder; returns the names.

    folder: the generation folder.
    sets: the rows (N, D) of each set, by its name.
    tell: gets a sentence beforehand.
    """
    written: list[str] = []
    for which, rows in sets.items():
        plan = plan_search(rows.shape[0], rows.shape[1])
        if plan.kind != "exact":
            tell(f"search among {rows.shape[0]:,} {which}: {plan}")
        written += write_proposer(folder, which, rows)
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

    def proposer(self, which: str) -> Proposer | None:
        """What proposes in a set; None where every row is to be scanned, also because another FAISS wrote it."""
        if self._path(PROPOSER.format(which)) is not None:
            with suppress(IndexStoreError):
                return read_proposer(self._folder, which, self._sets[which].shape)
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
