"""What stands in an index, row by row: pictures, captions, and what was skipped with its reason.

Rows are sorted: pictures by path, captions by picture and then as the captions file has them. Row i of a vector file
belongs to row i here. Everything is JSON lines: readable, appendable by nobody, and never executed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import IndexStoreError
from crossmodal.index.rows import Lines, Rows, read_bytes, read_rows

__all__ = [
    "CATALOGUE_FILES",
    "Caption",
    "Catalogue",
    "Picture",
    "Skipped",
    "Stamp",
    "caption_lines",
    "picture_lines",
    "read_catalogue",
    "scan",
    "stamp_lines",
    "stamp_of",
    "write_catalogue",
]

CATALOGUE_FILES = PICTURES, CAPTIONS, SKIPPED = "pictures.jsonl", "captions.jsonl", "skipped.jsonl"
STAMP_TYPES, PICTURE_TYPES = (str, int, int), (str, int, int, str)
CAPTION_TYPES, SKIPPED_TYPES = (int, str), (str, str)


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
    """All rows of an index; those of an opened or new one are parsed as they are asked for."""

    pictures: Sequence[Picture] = ()
    captions: Sequence[Caption] = ()
    skipped: tuple[Skipped, ...] = ()

    def owners(self) -> NDArray[np.int64]:
        """(M,): the row of each caption's picture."""
        if isinstance(self.captions, Rows):
            return self.captions.numbers()
        return np.array([caption.picture for caption in self.captions], dtype=np.int64)

    def each_picture(self) -> Iterator[Picture]:
        """One after the other, of which none is kept."""
        return self.pictures.each() if isinstance(self.pictures, Rows) else iter(self.pictures)

    def each_caption(self) -> Iterator[Caption]:
        """One after the other, in their pictures' order, of which none is kept."""
        return self.captions.each() if isinstance(self.captions, Rows) else iter(self.captions)


def scan(root: Path, paths: Iterable[str]) -> Rows[Stamp]:
    """Stamp every path below root, in the order given."""
    return stamp_lines().pack(stamp_of(root, path) for path in paths)


def stamp_of(root: Path, path: str) -> Stamp:
    """A file as it looks now; size -1 marks what is no plain file or cannot be looked at."""
    try:
        path.encode()
        status = os.stat(root / path)
    except (OSError, UnicodeEncodeError):
        return Stamp(path, -1, 0)
    return Stamp(path, status.st_size if stat.S_ISREG(status.st_mode) else -1, status.st_mtime_ns)


def stamp_lines() -> Lines[Stamp]:
    """What stamps are written into."""
    return Lines("stamps", STAMP_TYPES, _stamp, attrgetter("path", "size", "modified_ns"))


def picture_lines() -> Lines[Picture]:
    """What pictures are written into."""
    values = attrgetter("stamp.path", "stamp.size", "stamp.modified_ns", "sha256")
    return Lines(PICTURES, PICTURE_TYPES, _picture, values)


def caption_lines() -> Lines[Caption]:
    """What captions are written into."""
    return Lines(CAPTIONS, CAPTION_TYPES, _caption, attrgetter("picture", "text"))


def _stamp(row: list[Any]) -> Stamp:
    return Stamp(*row)


def _picture(row: list[Any]) -> Picture:
    path, size, modified, sha256 = row
    return Picture(Stamp(path, size, modified), sha256)


def _caption(row: list[Any]) -> Caption:
    return Caption(*row)


def _skipped(row: list[Any]) -> Skipped:
    return Skipped(*row)


def write_catalogue(folder: Path, catalogue: Catalogue) -> None:
    """Write the three files."""
    tables: tuple[Rows[Any], ...] = (
        picture_lines().pack(catalogue.pictures),
        caption_lines().pack(catalogue.captions),
        Lines(SKIPPED, SKIPPED_TYPES, _skipped, attrgetter("path", "reason")).pack(catalogue.skipped),
    )
    for name, rows in zip(CATALOGUE_FILES, tables, strict=True):
        (folder / name).write_bytes(rows.data)


def read_catalogue(folder: Path) -> Catalogue:
    """Read what `write_catalogue` wrote.

    Raises IndexStoreError if a file cannot be read or a caption is no picture's; later, for a row of another shape,
    when it is asked for.
    """
    pictures = Rows(folder / PICTURES, read_bytes(folder / PICTURES), PICTURE_TYPES, _picture)
    captions = Rows(folder / CAPTIONS, read_bytes(folder / CAPTIONS), CAPTION_TYPES, _caption)
    owners = captions.numbers()
    if len(owners) and not 0 <= owners.min() <= owners.max() < len(pictures):
        raise IndexStoreError(f"{folder / CAPTIONS} names a picture that {PICTURES} does not hold")
    return Catalogue(pictures, captions, tuple(map(_skipped, read_rows(folder / SKIPPED, SKIPPED_TYPES))))
