"""What stands in an index, row by row: pictures, captions, and what was skipped with its reason.

Rows are sorted: pictures by path, captions by picture and then as the captions file has them. Row i of a vector file
belongs to row i here. Everything is JSON lines: readable, appendable by nobody, and never executed.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import IndexStoreError
from crossmodal.index.rows import Rows, read_bytes, read_rows

__all__ = [
    "CATALOGUE_FILES",
    "Caption",
    "Catalogue",
    "Picture",
    "Skipped",
    "Stamp",
    "read_catalogue",
    "read_rows",
    "scan",
    "write_catalogue",
]

CATALOGUE_FILES = PICTURES, CAPTIONS, SKIPPED = "pictures.jsonl", "captions.jsonl", "skipped.jsonl"


@dataclass(frozen=True, slots=True)
class Stamp:
    """A file as the folder shows it, without opening it: relative POSIX path, size in bytes, time of last change."""

    path: str
    size: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class Picture:
    """One indexed picture: its stamp when it was read, and the SHA-256 of its bytes."""

    stamp: Stamp
    sha256: str


@dataclass(frozen=True, slots=True)
class Caption:
    """One indexed caption and the row of its picture."""

    picture: int
    text: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A picture that could not be indexed, and why in plain words."""

    path: str
    reason: str


@dataclass(frozen=True)
class Catalogue:
    """All rows of an index; those of an opened one are parsed as they are asked for."""

    pictures: Sequence[Picture] = ()
    captions: Sequence[Caption] = ()
    skipped: tuple[Skipped, ...] = ()

    def owners(self) -> NDArray[np.int64]:
        """(M,): the row of each caption's picture."""
        if isinstance(self.captions, Rows):
            return self.captions.numbers()
        return np.array([caption.picture for caption in self.captions], dtype=np.int64)


def scan(root: Path, paths: Iterable[str]) -> list[Stamp]:
    """Stamp every path below root, in the order given; size -1 marks what is no plain file or cannot be looked at."""
    return [_stamp(root, path) for path in paths]


def _stamp(root: Path, path: str) -> Stamp:
    try:
        path.encode()
        status = os.stat(root / path)
    except (OSError, UnicodeEncodeError):
        return Stamp(path, -1, 0)
    return Stamp(path, status.st_size if stat.S_ISREG(status.st_mode) else -1, status.st_mtime_ns)


def write_catalogue(folder: Path, catalogue: Catalogue) -> None:
    """Write the three files."""
    tables: dict[str, Iterator[list[Any]]] = {
        PICTURES: ([p.stamp.path, p.stamp.size, p.stamp.modified_ns, p.sha256] for p in catalogue.pictures),
        CAPTIONS: ([caption.picture, caption.text] for caption in catalogue.captions),
        SKIPPED: ([skipped.path, skipped.reason] for skipped in catalogue.skipped),
    }
    for name, rows in tables.items():
        with open(folder / name, "w", encoding="ascii", newline="\n") as file:
            file.writelines(
                json.dumps(row) + "\n" for row in rows
            )  # ASCII: file names may hold bytes that are no UTF-8


def read_catalogue(folder: Path) -> Catalogue:
    """Read what `write_catalogue` wrote.

    Raises IndexStoreError if a file cannot be read or a caption is no picture's; later, for a row of another shape,
    when it is asked for.
    """
    pictures = Rows(folder / PICTURES, read_bytes(folder / PICTURES), (str, int, int, str), _picture)
    captions = Rows(folder / CAPTIONS, read_bytes(folder / CAPTIONS), (int, str), _caption)
    owners = captions.numbers()
    if len(owners) and not 0 <= owners.min() <= owners.max() < len(pictures):
        raise IndexStoreError(f"{folder / CAPTIONS} names a picture that {PICTURES} does not hold")
    return Catalogue(pictures, captions, tuple(Skipped(*row) for row in read_rows(folder / SKIPPED, (str, str))))


def _picture(row: list[Any]) -> Picture:
    path, size, modified, sha256 = row
    return Picture(Stamp(path, size, modified), sha256)


def _caption(row: list[Any]) -> Caption:
    return Caption(*row)
