"""What stands in an index: pictures, captions, and what was skipped with its reason, in one SQLite file a generation.

Pictures stand by path, captions by picture and then as the captions file has them; their ids count from 0, and row i of
a vector file belongs to the picture or caption with id i. The file is written once and from then on only read, so that
readers need no lock, no journal and no right to write.

Shapes: N pictures, M captions.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import IndexStoreError
from crossmodal.index.catalogue.database import Database, Table, as_text, write_database

__all__ = [
    "CATALOGUE", "UNKNOWN", "Caption", "Catalogue", "Facts", "Picture", "Skipped", "Stamp", "days_of",
    "read_catalogue", "stamp_of", "write_catalogue",
]  # fmt: skip

CATALOGUE = "catalogue.sqlite"

# One script a version, in order; a file's user_version says how many have run. Never change one that was released.
MIGRATIONS = (
    """
    CREATE TABLE pictures (
        id INTEGER PRIMARY KEY,        -- from 0, by path: the row of its vector
        path TEXT NOT NULL,            -- below the gallery's root, with slashes
        size INTEGER NOT NULL,         -- bytes of the file
        modified_ns INTEGER NOT NULL,  -- when it last changed, in nanoseconds since 1970
        sha256 BLOB NOT NULL,          -- of its bytes: what its vector depends on
        width INTEGER NOT NULL,        -- pixels of the upright picture, 0 where unknown
        height INTEGER NOT NULL,
        taken TEXT NOT NULL,           -- by the camera's clock, 2021-05-03T12:00:00, or empty
        captions INTEGER NOT NULL      -- how many; they have the ids after those of the pictures before
    ) STRICT;
    CREATE UNIQUE INDEX pictures_by_path ON pictures (path);
    CREATE TABLE captions (
        id INTEGER PRIMARY KEY,        -- from 0, by picture: the row of its vector
        picture INTEGER NOT NULL,
        text TEXT NOT NULL
    ) STRICT;
    CREATE TABLE skipped (
        id INTEGER PRIMARY KEY,
        path TEXT NOT NULL,
        reason TEXT NOT NULL
    ) STRICT;
    """,
)
PICTURE = "path, size, modified_ns, sha256, width, height, taken"


@dataclass(frozen=True, slots=True)
class Stamp:
    """A file as the folder shows it, without opening it.

    path: relative to the gallery's root, with slashes.
    size: in bytes; -1 marks what is no plain file or cannot be looked at.
    modified_ns: time of its last change, in nanoseconds since 1970.
    """

    path: str
    size: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What a picture file says of itself.

    width: pixels of the upright picture, 0 where unknown.
    height: as width.
    taken: EXIF's time, "2021-05-03T12:00:00", by the camera's clock in no known time zone; "" where there is none.
    """

    width: int
    height: int
    taken: str = ""


UNKNOWN = Facts(0, 0)


@dataclass(frozen=True, slots=True)
class Picture:
    """One indexed picture.

    stamp: of its file when it was read.
    sha256: of the file's bytes, in hex.
    facts: what the file says of itself.
    """

    stamp: Stamp
    sha256: str
    facts: Facts = UNKNOWN


@dataclass(frozen=True, slots=True)
class Caption:
    """One indexed caption.

    picture: the row of its picture.
    text: as the captions file has it.
    """

    picture: int
    text: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A picture that could not be indexed.

    path: as a Stamp's.
    reason: why, in plain words.
    """

    path: str
    reason: str


@dataclass(frozen=True)
class Catalogue:
    """All rows of an index; those of an opened one are read from its file as they are asked for.

    pictures: (N,), by path.
    captions: (M,), by picture.
    skipped: what was left out.
    counts: (N,) captions of each picture, where they are known without going through them.
    """

    pictures: Sequence[Picture] = ()
    captions: Sequence[Caption] = ()
    skipped: tuple[Skipped, ...] = ()
    counts: NDArray[np.int64] | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Catalogue):
            return NotImplemented
        return (self.pictures, self.captions, self.skipped) == (other.pictures, other.captions, other.skipped)

    __hash__ = None  # type: ignore[assignment]

    def spans(self) -> NDArray[np.int64]:
        """(N + 1,): the captions of picture i are the rows spans[i] up to spans[i + 1]."""
        counts = self.counts if isinstance(self.captions, Table) else None  # others may have taken their place
        if counts is None:
            owners = np.fromiter((caption.picture for caption in self.captions), np.int64, len(self.captions))
            counts = np.bincount(owners, minlength=len(self.pictures))
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def owners(self) -> NDArray[np.int64]:
        """(M,): the row of each caption's picture."""
        return np.repeat(np.arange(len(self.pictures)), np.diff(self.spans()))

    def each_picture(self) -> Iterator[Picture]:
        """One after the other, of which none is kept."""
        return self.pictures.each() if isinstance(self.pictures, Table) else iter(self.pictures)

    def each_caption(self) -> Iterator[Caption]:
        """One after the other, in their pictures' order, of which none is kept."""
        return self.captions.each() if isinstance(self.captions, Table) else iter(self.captions)


def stamp_of(root: Path, path: str) -> Stamp:
    """A file below root as it looks now."""
    try:
        path.encode()
        status = os.stat(root / path)
    except (OSError, UnicodeEncodeError):
        return Stamp(path, -1, 0)
    return Stamp(path, status.st_size if stat.S_ISREG(status.st_mode) else -1, status.st_mtime_ns)


def write_catalogue(path: Path, rows: Iterable[Picture | Skipped], captions: Iterable[Caption]) -> None:
    """Write a new file, row after row, so that none of them lie in memory.

    rows: pictures and what was skipped, by path.
    captions: by picture; gone through once the pictures are.

    Raises OSError if the disk refuses.
    """
    with write_database(path, MIGRATIONS) as database:
        pictures = skipped = 0
        for row in rows:
            if isinstance(row, Skipped):
                values = (skipped, as_text(row.path), as_text(row.reason))
                database.execute("INSERT INTO skipped VALUES (?, CAST(? AS TEXT), CAST(? AS TEXT))", values)
                skipped += 1
                continue
            database.execute(
                "INSERT INTO pictures VALUES (?, CAST(? AS TEXT), ?, ?, ?, ?, ?, ?, 0)", (pictures, *_values(row))
            )
            pictures += 1
        database.executemany(
            "INSERT INTO captions VALUES (?, ?, CAST(? AS TEXT))",
            ((number, int(row.picture), as_text(row.text)) for number, row in enumerate(captions)),
        )
        database.execute("CREATE TEMP TABLE counted AS SELECT picture, count(*) AS n FROM captions GROUP BY picture")
        database.execute("UPDATE pictures SET captions = n FROM counted WHERE id = picture")


def _values(row: Picture) -> tuple[Any, ...]:
    stamp, facts = row.stamp, row.facts
    known = (stamp.size, stamp.modified_ns, bytes.fromhex(row.sha256), facts.width, facts.height, facts.taken)
    return (as_text(stamp.path), *known)


def read_catalogue(path: Path) -> Catalogue:
    """Open what `write_catalogue` wrote; it stays readable when the file is removed.

    Raises IndexStoreError if it is something else, or its captions are not those of its pictures; later, for a row of
    other types, when that is asked for.
    """
    database = Database(path, MIGRATIONS)
    pictures = Table(database, "pictures", PICTURE, _picture)
    captions = Table(database, "captions", "picture, text", _caption)
    skipped = Table(database, "skipped", "path, reason", _skipped)
    said = database.read("SELECT captions FROM pictures ORDER BY id")
    counts = np.fromiter(chain.from_iterable(said), np.int64, len(said))
    outside = "SELECT count(*) FROM captions WHERE picture NOT BETWEEN 0 AND ?"
    if counts.sum() != len(captions) or database.read(outside, len(pictures) - 1)[0][0]:
        raise IndexStoreError(f"{path} has captions that are no picture's")
    return Catalogue(pictures, captions, tuple(skipped), counts)


def _picture(row: tuple[Any, ...]) -> Picture:
    path, size, modified, sha256, width, height, taken = row
    return Picture(Stamp(path, size, modified), sha256.hex(), Facts(width, height, taken))


def _caption(row: tuple[Any, ...]) -> Caption:
    return Caption(*row)


def _skipped(row: tuple[Any, ...]) -> Skipped:
    return Skipped(*row)


def days_of(pictures: Iterable[Picture]) -> NDArray[np.datetime64]:
    """(N,): the day each was taken, else the day here on which its file last changed; NaT where there is neither."""
    return np.array([_day(picture) for picture in pictures], dtype="datetime64[D]")


def _day(picture: Picture) -> str:
    with suppress(ValueError):
        if picture.facts.taken:
            return date.fromisoformat(picture.facts.taken[:10]).isoformat()
    try:
        return date.fromtimestamp(picture.stamp.modified_ns // 1_000_000_000).isoformat()
    except (OverflowError, OSError, ValueError):  # outside the years 1 to 9999
        return "NaT"
