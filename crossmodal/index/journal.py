"""What a build under way has done so far, so that a killed one goes on where it stopped.

    building/journal.sqlite   what became of each picture, and where each vector begins
    building/vectors.f32      the vectors, one after the other, as they came

A unit (one batch of pictures, some hundred captions) is recorded in one step: its vectors reach the disk first, then
the rows that name them. What a kill leaves of a unit without rows is cut off at the next start, so that the unit is
encoded again as a whole, in the company in which an unbroken build encodes it.

Shapes: n vectors of a unit, D embedding.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from crossmodal.index.catalogue.database import APPLICATION, as_text, connect
from crossmodal.index.catalogue.rows import UNKNOWN, Facts, Stamp
from crossmodal.index.vectors import VectorsByKey
from crossmodal.inference.base import Vectors

__all__ = ["JOURNAL", "Journal", "Outcome", "remove_journal"]

JOURNAL, VECTORS = "journal.sqlite", "vectors.f32"
OURS = (JOURNAL, f"{JOURNAL}-wal", f"{JOURNAL}-shm", f"{JOURNAL}-journal", VECTORS)
OF_BEFORE = "*-*.journal"  # what an earlier version left, which nothing reads any more
SCHEMA = """
    CREATE TABLE settings (settings TEXT NOT NULL) STRICT;
    CREATE TABLE plans (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, digest TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE pictures (            -- what became of each file, as it looked then
        path TEXT PRIMARY KEY, size INTEGER NOT NULL, modified_ns INTEGER NOT NULL,
        sha256 TEXT NOT NULL, reason TEXT NOT NULL, unread INTEGER NOT NULL,
        width INTEGER NOT NULL, height INTEGER NOT NULL, taken TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE picture_vectors (     -- of twins, that of the first in the plan, whichever was done first
        key TEXT PRIMARY KEY, start INTEGER NOT NULL, plan INTEGER NOT NULL, place INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE caption_vectors (
        key TEXT PRIMARY KEY, start INTEGER NOT NULL, plan INTEGER NOT NULL, place INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
"""
GATHERED = 1024  # vectors gathered at once


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one picture that was read.

    sha256: of its bytes, in hex; "" where they could not be read.
    reason: why it was skipped; "" if it was not.
    embedded: whether a vector was made of it; a picture with known bytes needs none.
    facts: what its file says of itself.
    unread: whether it was skipped since its file could not be read, and may be as it was.
    """

    sha256: str
    reason: str = ""
    embedded: bool = False
    facts: Facts = UNKNOWN
    unread: bool = False


class Journal:
    """The journal in a folder; only the process that holds the index's lock may open one.

    settings: JSON values that the vectors depend on; a journal with others, or a damaged one, is started over.
    dimension: D.
    is_new: whether nothing was in it when it was opened.

    Raises OSError if the disk refuses.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], dimension: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path, self._dimension = folder / JOURNAL, dimension
        self._file: FileIO | None = None
        self._plan: dict[str, int] = {}
        wanted = json.dumps({**settings, "dimension": dimension}, sort_keys=True)
        self._database = connect(str(self._path), isolation_level=None)
        try:
            with _disk_errors(self._path):
                self._end = self._resume(wanted)
                self.is_new = not self._rows("SELECT 1 FROM plans")
            self._file = FileIO(folder / VECTORS, "ab")
        except BaseException:
            self.close()
            raise

    def _resume(self, wanted: str) -> int:
        """Go on with the journal that is there, or start over; returns the bytes of its vectors."""
        try:
            self._set_up()
            return self._whole(wanted)
        except sqlite3.OperationalError:
            raise  # of the disk, not of what is on it
        except sqlite3.DatabaseError:
            self._database.close()
            _remove_files(self._path.parent)
            self._database = connect(str(self._path), isolation_level=None)
            self._set_up()
            self._database.executescript(f"BEGIN; {SCHEMA} PRAGMA application_id = {APPLICATION}; COMMIT;")
            self._database.execute("INSERT INTO settings VALUES (?)", (wanted,))
            return 0

    def _set_up(self) -> None:
        self._database.execute("PRAGMA locking_mode = EXCLUSIVE")  # no shared memory: also on a network drive
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")  # a power cut may take back the last units, never halves

    def _whole(self, wanted: str) -> int:
        """Cut off vectors that no row names; returns the bytes that stay.

        wanted: the settings. Raises DatabaseError if the journal is of others, or damaged.
        """
        if not self._rows("SELECT 1 FROM sqlite_master WHERE name = 'settings'"):
            raise sqlite3.DatabaseError
        last = "SELECT max(start) FROM (SELECT start FROM picture_vectors UNION ALL SELECT start FROM caption_vectors)"
        start, path = self._rows(last)[0][0], self._path.with_name(VECTORS)
        end = 0 if start is None else 4 * (start + self._dimension)
        size = path.stat().st_size if path.exists() else 0
        if self._rows("SELECT settings FROM settings") != [(wanted,)] or size < end:
            raise sqlite3.DatabaseError
        if size > end:
            os.truncate(path, end)
        return int(end)

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._database.execute(query, values).fetchall()

    def begin(self, kind: str, about: Iterable[bytes]) -> None:
        """Say what is to be embedded from now on; units of just this plan go on where they were left.

        kind: "picture" or "caption".
        about: all that says what the units are.
        """
        digest = hashlib.sha256(kind.encode())
        for piece in about:
            digest.update(piece)
        with _disk_errors(self._path):
            self._database.execute(
                "INSERT OR IGNORE INTO plans (kind, digest) VALUES (?, ?)", (kind, digest.hexdigest())
            )
            self._plan[kind] = self._rows("SELECT id FROM plans WHERE digest = ?", digest.hexdigest())[0][0]

    def add_pictures(self, first: int, stamps: Sequence[Stamp], outcomes: Sequence[Outcome], vectors: Vectors) -> None:
        """Record a unit of pictures for good.

        first: place of the first of them in the plan.
        vectors: (n, D), one for each embedded outcome, in order.
        """
        keys = [(each.sha256, place) for place, each in enumerate(outcomes, first) if each.embedded]
        rows = [
            (as_text(stamp.path), stamp.size, stamp.modified_ns, each.sha256, as_text(each.reason), each.unread,
             each.facts.width, each.facts.height, each.facts.taken)
            for stamp, each in zip(stamps, outcomes, strict=True)
        ]  # fmt: skip
        self._record("picture", keys, vectors, rows)

    def add_captions(self, texts: Sequence[str], vectors: Vectors) -> None:
        """Record a unit of captions for good.

        texts: n of them.
        vectors: (n, D), one for each text.
        """
        self._record("caption", [(text, 0) for text in texts], vectors, [])

    def _record(
        self, kind: str, keys: Sequence[tuple[str, int]], vectors: Vectors, pictures: Sequence[tuple[Any, ...]]
    ) -> None:
        assert self._file is not None
        data = memoryview(np.ascontiguousarray(vectors, dtype="<f4").tobytes()) if keys else memoryview(b"")
        first, size, plan = self._end // 4, self._dimension, self._plan[kind]
        with _disk_errors(self._path), self._database:
            while data:  # a disk that is nearly full takes less than all
                data = data[self._file.write(data) :]
            os.fsync(self._file.fileno())
            self._database.execute("BEGIN")
            self._database.executemany(
                f"INSERT INTO {kind}_vectors VALUES (CAST(? AS TEXT), ?, ?, ?) ON CONFLICT DO UPDATE "
                "SET start = excluded.start, plan = excluded.plan, place = excluded.place WHERE excluded.place < place",
                [(as_text(key), first + size * nth, plan, place) for nth, (key, place) in enumerate(keys)],
            )
            self._database.executemany(
                "INSERT OR REPLACE INTO pictures VALUES (CAST(? AS TEXT), ?, ?, ?, CAST(? AS TEXT), ?, ?, ?, ?)",
                pictures,
            )
        self._end += 4 * size * len(keys)

    def outcome(self, stamp: Stamp) -> Outcome | None:
        """What became of a file that looked just so; None if it was not read yet."""
        found = self._rows(
            "SELECT sha256, reason, unread, width, height, taken FROM pictures "
            "WHERE path = CAST(? AS TEXT) AND size = ? AND modified_ns = ?",
            as_text(stamp.path), stamp.size, stamp.modified_ns,
        )  # fmt: skip
        if not found:
            return None
        sha256, reason, unread, *facts = found[0]
        embedded = not reason and self._start("picture", sha256) >= 0
        return Outcome(sha256, reason, embedded, Facts(*facts), bool(unread))

    def holds(self, kind: str, key: str) -> bool:
        """Whether the plan under way has made a vector.

        kind: "picture" or "caption".
        key: the SHA-256 of a picture, the text of a caption.
        """
        return self._start(kind, key) >= 0

    def _start(self, kind: str, key: str) -> int:
        query = f"SELECT start FROM {kind}_vectors WHERE key = CAST(? AS TEXT) AND plan = ?"
        found = self._rows(query, as_text(key), self._plan[kind])
        return int(found[0][0]) if found else -1

    def earlier(self, kind: str) -> VectorsByKey:
        """Vectors (D,) of other plans by their keys: the folder, or the captions, changed since a build was killed."""
        rows = self._rows(f"SELECT key, start FROM {kind}_vectors WHERE plan <> ?", self._plan[kind])
        return VectorsByKey(self._numbers(), dict(rows), self._dimension)

    def gather(self, kind: str, keys: Iterable[str], known: Mapping[str, Vectors]) -> Iterator[Vectors]:
        """The vectors of some keys, in order, as blocks (n, D).

        kind: "picture" or "caption".
        keys: the SHA-256 of pictures, or the texts of captions.
        known: those that need not be here.
        """
        numbers, size, wanted = self._numbers(), self._dimension, iter(keys)
        query = f"SELECT key, start FROM {kind}_vectors WHERE plan = ? AND key IN "
        while some := list(islice(wanted, GATHERED)):
            own = [as_text(key) for key in some if key not in known]
            places = ", ".join(["CAST(? AS TEXT)"] * len(own))
            starts = dict(self._rows(f"{query} ({places})", self._plan[kind], *own))
            yield np.stack([known[key] if key in known else numbers[starts[key] : starts[key] + size] for key in some])

    def _numbers(self) -> Vectors:
        """All vectors so far as one row of numbers, mapped."""
        if not self._end:
            return np.empty(0, dtype=np.float32)
        path = self._path.with_name(VECTORS)
        return np.asarray(np.memmap(path, dtype="<f4", mode="r", shape=(self._end // 4,)), dtype=np.float32)

    def close(self) -> None:
        """Let go of the files."""
        self._database.close()
        if self._file is not None:
            self._file.close()


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """What SQLite cannot do, as the OSError that it is."""
    try:
        yield
    except sqlite3.Error as error:
        raise OSError(f"{path}: {error}") from error


def _remove_files(folder: Path) -> None:
    for path in (*(folder / name for name in OURS), *folder.glob(OF_BEFORE)):
        path.unlink(missing_ok=True)


def remove_journal(folder: Path) -> None:
    """Remove what builds left, and the folder if nothing else is in it."""
    with suppress(OSError):
        _remove_files(folder)
        folder.rmdir()
