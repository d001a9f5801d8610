"""JSON lines as a sequence of which each row is parsed when it is asked for, and takes little memory until then."""

from __future__ import annotations

import io
import json
import mmap
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import eq
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import IndexStoreError

__all__ = ["Lines", "Rows", "parse_rows", "read_bytes", "read_rows"]

T = TypeVar("T")
DIGITS = 18  # of the largest number that is read
NEWLINE, ZERO, COMMA, BRACKET = b"\n0,["
AT_ONCE = 4096  # rows that are gone through
HELD = 1 << 20  # bytes that are looked through at once, and of new lines kept in memory


class Rows(Sequence[T]):
    """The rows of a file, parsed one by one, or all at once as soon as somebody goes through all of them.

    path: for messages. data: its bytes, perhaps mapped. types: of a row's values. make: turns the values into a row.
    Reading a row raises IndexStoreError if it is no list of just these types.
    """

    def __init__(
        self, path: Path, data: bytes | memoryview, types: tuple[type, ...], make: Callable[[list[Any]], T]
    ) -> None:
        self.data = memoryview(data)
        self._path, self._types, self._make = path, types, make
        letters = np.frombuffer(data, dtype=np.uint8)
        found = (
            np.flatnonzero(letters[start : start + HELD] == NEWLINE) + start + 1 for start in range(0, len(data), HELD)
        )
        self._starts = np.concatenate([[0], *found])
        if self._starts[-1] != len(data):
            self._starts = np.append(self._starts, len(data))
        self._all: tuple[T, ...] | None = None

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, row: int) -> T: ...
    @overload
    def __getitem__(self, row: slice) -> tuple[T, ...]: ...
    def __getitem__(self, row: int | slice) -> T | tuple[T, ...]:
        if self._all is not None:
            return self._all[row]
        if isinstance(row, slice):
            return tuple(self._parsed(number) for number in range(*row.indices(len(self))))
        number = int(row)
        number += len(self) if number < 0 else 0
        if not 0 <= number < len(self):
            raise IndexError("row index out of range")
        return self._parsed(number)

    def __iter__(self) -> Iterator[T]:
        if self._all is None:
            self._all = tuple(self.each())
        return iter(self._all)

    def each(self) -> Iterator[T]:
        """One row after the other, of which none is kept."""
        if self._all is not None:
            return iter(self._all)
        return (self._make(row) for row in parse_rows(self._path, self._lines(), self._types))

    def _lines(self) -> Iterator[bytes]:
        for first in range(0, len(self), AT_ONCE):
            start, end = self._starts[first], self._starts[min(first + AT_ONCE, len(self))]
            yield from io.BytesIO(self.data[start:end])

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Rows):
            return self.data == other.data or (len(self) == len(other) and all(map(eq, self.each(), other.each())))
        return isinstance(other, tuple) and tuple(self) == other

    def __hash__(self) -> int:
        return hash(tuple(self))

    def numbers(self) -> NDArray[np.int64]:
        """The first value of each row, (len,), where that is a number. Raises IndexStoreError where it is none."""
        data = np.frombuffer(self.data, dtype=np.uint8)
        places = self._starts[:-1] + 1
        found = np.zeros(len(places), dtype=np.int64)
        going = data[self._starts[:-1]] == BRACKET
        whole = going.copy()
        last = max(len(data) - 1, 0)
        for digit in range(DIGITS + 1):
            letters = data[np.minimum(places + digit, last)] if len(data) else data
            ended = letters == COMMA
            whole &= ~going | (ended & (digit > 0)) | ((letters >= ZERO) & (letters <= ZERO + 9))
            going &= ~ended & whole
            if not going.any():
                break
            found = np.where(going, found * 10 + (letters.astype(np.int64) - ZERO), found)
        if going.any() or not whole.all():
            raise IndexStoreError(
                f"{self._path}, line {int((going | ~whole).argmax()) + 1}: does not begin with a number"
            )
        return found

    def _parsed(self, number: int) -> T:
        line = bytes(self.data[self._starts[number] : self._starts[number + 1]])
        return self._make(next(parse_rows(self._path, [line], self._types, number + 1)))


class Lines(Generic[T]):
    """Rows as they are made: the lines of a file of this name, which nobody need write. values: of a row, for JSON.

    Many go into a temporary file without a name and are mapped, so that they come to lie in no memory of ours.
    """

    def __init__(
        self,
        name: str,
        types: tuple[type, ...],
        make: Callable[[list[Any]], T],
        values: Callable[[T], Sequence[Any]],
    ) -> None:
        self._name, self._types, self._make, self._values = name, types, make, values
        self._written = SpooledTemporaryFile(HELD)  # noqa: SIM115
        weakref.finalize(self, self._written.close)

    def add(self, row: T) -> None:
        """Write the next line; in ASCII, since names of files may hold bytes that are no UTF-8."""
        self._written.write(json.dumps(self._values(row)).encode("ascii") + b"\n")

    def rows(self) -> Rows[T]:
        """What was added; nothing can be added any more."""
        with self._written as file:
            size = file.tell()
            if size > HELD:
                file.flush()
                data = memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ))
            else:
                file.seek(0)
                data = memoryview(file.read())
        return Rows(Path(self._name), data, self._types, self._make)

    def pack(self, rows: Iterable[T]) -> Rows[T]:
        """Add all rows; those that are lines already are taken as they are."""
        if isinstance(rows, Rows):
            return rows
        for row in rows:
            self.add(row)
        return self.rows()


def read_bytes(path: Path) -> bytes:
    """The bytes of a file. Raises IndexStoreError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise IndexStoreError(f"{path} cannot be read: {error}") from error


def read_rows(path: Path, types: tuple[type, ...]) -> Iterator[list[Any]]:
    """Read JSON lines, each a list of values of just these types. Raises IndexStoreError if one is anything else."""
    return parse_rows(path, io.BytesIO(read_bytes(path)), types)


def parse_rows(path: Path, lines: Iterable[bytes], types: tuple[type, ...], first: int = 1) -> Iterator[list[Any]]:
    """Rows of lines that were read already. first: the number of the first one."""
    try:
        for number, line in enumerate(lines, first):
            row = json.loads(line.decode("ascii"))
            if not isinstance(row, list) or tuple(map(type, row)) != types:
                raise IndexStoreError(f"{path}, line {number}: not a row of {len(types)} values")
            yield row
    except ValueError as error:
        raise IndexStoreError(f"{path} cannot be read: {error}") from error
