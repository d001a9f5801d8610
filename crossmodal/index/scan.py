"""A folder and its captions as they are at the start of a build, in a file, so that they lie in no memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar, cast, overload

import numpy as np
from numpy.typing import NDArray

from crossmodal.datasets.records import Pairs
from crossmodal.index.catalogue.database import Database, Table, as_text, write_database
from crossmodal.index.catalogue.rows import Caption, Stamp, stamp_of

__all__ = ["SCANNED", "Chosen", "Scan", "paths_of", "scan"]

T = TypeVar("T")
SCANNED = "scanned.sqlite"
CHOSEN_READ = 512  # rows read at once by who goes through all
SCHEMA = """
    CREATE TABLE stamps (
        id INTEGER PRIMARY KEY, path TEXT NOT NULL, size INTEGER NOT NULL, modified_ns INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE captions (id INTEGER PRIMARY KEY, picture INTEGER NOT NULL, text TEXT NOT NULL) STRICT;
"""


class Chosen(Sequence[T]):
    """Some rows of a table, in an order of one's own; they are read when they are asked for.

    rows: (n,) their numbers.
    """

    def __init__(self, table: Sequence[T], rows: NDArray[np.int64]) -> None:
        self._table, self._rows = cast("Table[T]", table), rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> list[T]: ...
    def __getitem__(self, place: int | slice) -> T | list[T]:
        return (
            self._table.take(self._rows[place].tolist()) if isinstance(place, slice) else self._table[self._rows[place]]
        )

    def __iter__(self) -> Iterator[T]:
        for start in range(0, len(self), CHOSEN_READ):
            yield from self[start : start + CHOSEN_READ]


class Scan:
    """What was found.

    stamps: of all files, by path.
    captions: by picture, which is a row of stamps.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path, [SCHEMA])
        self.stamps = Table(self._database, "stamps", "path, size, modified_ns", lambda row: Stamp(*row))
        self.captions = Table(self._database, "captions", "picture, text", lambda row: Caption(*row))

    def close(self) -> None:
        """Remove the file, and the folder if nothing else is in it."""
        self._database.close()
        with suppress(OSError):
            self._database.path.unlink()
            self._database.path.parent.rmdir()


def paths_of(pairs: Pairs) -> list[str]:
    """The files of the pairs, with captions or without, in order."""
    return sorted({*(record.image for record in pairs.records), *pairs.uncaptioned})


def scan(root: Path, pairs: Pairs, folder: Path) -> Scan:
    """Look at every file of the pairs, without opening it.

    root: the pictures' folder.
    pairs: pictures with their captions.
    folder: where what was found goes.

    Raises OSError if the disk refuses.
    """
    captions = {record.image: record.captions for record in pairs.records if record.captions}
    paths = paths_of(pairs)

    def stamps() -> Iterator[tuple[int, bytes, int, int]]:
        for place, path in enumerate(paths):
            stamp = stamp_of(root, path)
            yield place, as_text(path), stamp.size, stamp.modified_ns

    said = ((place, as_text(text)) for place, path in enumerate(paths) for text in captions.get(path, ()))
    folder.mkdir(parents=True, exist_ok=True)
    with write_database(folder / SCANNED, [SCHEMA]) as database:
        database.executemany("INSERT INTO stamps VALUES (?, CAST(? AS TEXT), ?, ?)", stamps())
        database.executemany(
            "INSERT INTO captions VALUES (?, ?, CAST(? AS TEXT))", ((row, *each) for row, each in enumerate(said))
        )
    return Scan(folder / SCANNED)
