"""SQLite files as an index uses them: written once by one process, or only read, by any number of threads.

Text is kept as it is, also where it is no proper Unicode: names of files and captions may hold anything.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import eq
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

from crossmodal.errors import IndexStoreError

__all__ = ["APPLICATION", "Database", "Table", "as_text", "connect", "is_ours", "write_database"]

T = TypeVar("T")
APPLICATION = 0x43724D64  # "CrMd" in a file's header: that it is one of ours
ROWS_READ = 4096  # rows that are read at once by who goes through all


def as_text(text: str) -> bytes:
    """What `CAST(? AS TEXT)` takes: SQLite's own conversion refuses lone surrogates."""
    return text.encode("utf-8", "surrogatepass")


def is_ours(path: Path) -> bool:
    """Whether a file says in its header that this project wrote it."""
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except OSError:
        return False
    return header.startswith(b"SQLite format 3") and header[68:72] == APPLICATION.to_bytes(4, "big")


def connect(address: str, **options: Any) -> sqlite3.Connection:
    """A connection that gives text back as it was written, and runs nothing that a file's schema holds."""
    connection: sqlite3.Connection = sqlite3.connect(address, check_same_thread=False, **options)
    connection.text_factory = lambda data: data.decode("utf-8", "surrogatepass")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


@contextmanager
def write_database(path: Path, migrations: Sequence[str]) -> Iterator[sqlite3.Connection]:
    """A new file with its tables, whole when the context ends; a former one of that name is replaced.

    Nothing is synced and there is no way back in between: who writes it publishes it only once it is on the disk.

    Raises OSError if the disk refuses.
    """
    path.unlink(missing_ok=True)
    try:
        database = connect(str(path), isolation_level=None)
        try:
            database.execute("PRAGMA journal_mode = OFF")
            database.execute("PRAGMA synchronous = OFF")
            database.execute("BEGIN")
            for number, script in enumerate(migrations, 1):
                _run(database, script, number)
            database.execute(f"PRAGMA application_id = {APPLICATION}")
            yield database
            database.execute("COMMIT")
        finally:
            database.close()
    except sqlite3.Error as error:
        raise OSError(f"{path} cannot be written: {error}") from error


def _run(database: sqlite3.Connection, script: str, number: int) -> None:
    """One migration, statement by statement, so that it stays within the transaction under way."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            database.execute(statement)
            statement = ""
    database.execute(f"PRAGMA user_version = {number}")


class Database:
    """A file that is only read, by any number of threads; it stays readable when another process removes it.

    migrations: scripts that lead from an empty file to what this version reads. A file of an earlier version is brought
    up to it in memory, and left as it is on the disk.

    Raises IndexStoreError if the file is none of ours, of a later version, or damaged.
    """

    def __init__(self, path: Path, migrations: Sequence[str]) -> None:
        self.path = path
        self._lock = threading.Lock()
        address = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
        try:
            self._connection = connect(address, uri=True)
        except sqlite3.Error as error:
            raise IndexStoreError(f"{path} cannot be read: {error}") from error
        version = self._number("PRAGMA user_version")
        strange = self._number("SELECT count(*) FROM sqlite_master WHERE type IN ('view', 'trigger')")
        if self._number("PRAGMA application_id") != APPLICATION or not version or strange:
            raise IndexStoreError(f"{path} is no file of an index")
        if version > len(migrations):
            raise IndexStoreError(f"{path} has version {version}, this one reads up to {len(migrations)}")
        if version < len(migrations):
            self._migrate(migrations, version)

    @classmethod
    def in_memory(cls, migrations: Sequence[str], fill: str, rows: Iterable[tuple[Any, ...]]) -> Database:
        """One that no file holds.

        migrations: the scripts that make its tables, in order.
        fill: a statement, run for each of the rows.
        rows: what the statement is given.
        """
        made = cls.__new__(cls)
        made.path, made._lock, made._connection = Path(":memory:"), threading.Lock(), connect(":memory:")
        for number, script in enumerate(migrations, 1):
            _run(made._connection, script, number)
        made._connection.executemany(fill, rows)
        return made

    def _migrate(self, migrations: Sequence[str], version: int) -> None:
        former, self._connection = self._connection, connect(":memory:")
        former.backup(self._connection)
        former.close()
        for number in range(version, len(migrations)):
            _run(self._connection, migrations[number], number + 1)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _number(self, query: str) -> int:
        return int(self.read(query)[0][0])

    def read(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query. Raises IndexStoreError if the file is damaged."""
        try:
            with self._lock:
                return self._connection.execute(query, values).fetchall()
        except (sqlite3.Error, UnicodeDecodeError, OverflowError) as error:
            raise IndexStoreError(f"{self.path} cannot be read: {error}") from error


class Table(Sequence[T], Generic[T]):
    """The rows of a table in the order of their ids, which count from 0; each is read when it is asked for.

    columns: of a row, which `make` turns into what stands for it. Who goes through all rows by `iter` has them kept.

    Reading a row raises IndexStoreError if it cannot be made.
    """

    def __init__(self, database: Database, name: str, columns: str, make: Callable[[tuple[Any, ...]], T]) -> None:
        self._database, self._make = database, make
        self._name, self._select = name, f"SELECT {columns} FROM {name} WHERE id"
        ends = f"SELECT ifnull(min(id), 0) FROM {name}", f"SELECT ifnull(max(id), -1) FROM {name}"  # each one look
        count, first, last = database.read(f"SELECT (SELECT count(*) FROM {name}), ({ends[0]}), ({ends[1]})")[0]
        if (first, last) != (0, count - 1):
            raise IndexStoreError(f"{database.path} lacks rows of {name}")
        self._count = int(count)
        self._all: tuple[T, ...] | None = None

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, row: int) -> T: ...
    @overload
    def __getitem__(self, row: slice) -> tuple[T, ...]: ...
    def __getitem__(self, row: int | slice) -> T | tuple[T, ...]:
        if self._all is not None:
            return self._all[row]
        if isinstance(row, slice):
            start, stop, step = row.indices(self._count)
            if step == 1:
                return tuple(self._between(start, stop))
            return tuple(self[number] for number in range(start, stop, step))
        number = int(row) + (self._count if row < 0 else 0)
        if not 0 <= number < self._count:
            raise IndexError(f"there is no row {row} of {self._count:,} {self._name}")
        return next(self._made(self._database.read(f"{self._select} = ?", number)))

    def take(self, rows: Sequence[int]) -> list[T]:
        """Some rows, in the order asked for, by one query."""
        if self._all is not None:
            return [self._all[row] for row in rows]
        select = self._select.replace("SELECT ", "SELECT id, ", 1)
        found = self._database.read(f"{select} IN ({', '.join('?' * len(rows))})", *rows)
        place = {number: values for number, *values in found}
        return list(self._made([tuple(place[row]) for row in rows]))

    def __iter__(self) -> Iterator[T]:
        if self._all is None:
            self._all = tuple(self.each())
        return iter(self._all)

    def each(self) -> Iterator[T]:
        """One row after the other, of which none is kept."""
        if self._all is not None:
            yield from self._all
            return
        for start in range(0, self._count, ROWS_READ):
            yield from self._between(start, start + ROWS_READ)

    def _between(self, start: int, stop: int) -> Iterator[T]:
        return self._made(self._database.read(f"{self._select} >= ? AND id < ? ORDER BY id", start, stop))

    def _made(self, rows: list[tuple[Any, ...]]) -> Iterator[T]:
        try:
            yield from map(self._make, rows)
        except (TypeError, ValueError, AttributeError) as error:
            raise IndexStoreError(f"{self._database.path} holds a strange row of {self._name}: {error}") from error

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (Table, tuple)):
            return NotImplemented
        rows = other.each() if isinstance(other, Table) else iter(other)
        return len(self) == len(other) and all(map(eq, self.each(), rows))

    def __hash__(self) -> int:
        return hash((self._name, self._count))
