"""What stands in an index, row by row: pictures, captions, and what was skipped with its reason.

Rows are sorted: pictures by path, captions by picture and then as the captions file has them. Row i of a vector file
belongs to row i here. Everything is JSON lines: readable, appendable by nobody, and never executed.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossmodal.errors import IndexStoreError

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
    """All rows of an index."""

    pictures: tuple[Picture, ...] = ()
    captions: tuple[Caption, ...] = ()
    skipped: tuple[Skipped, ...] = ()


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
    """Read what `write_catalogue` wrote. Raises IndexStoreError if a row has another shape."""
    pictures = tuple(
        Picture(Stamp(path, size, modified), sha256)
        for path, size, modified, sha256 in read_rows(folder / PICTURES, (str, int, int, str))
    )
    captions = tuple(Caption(owner, text) for owner, text in read_rows(folder / CAPTIONS, (int, str)))
    if not all(0 <= caption.picture < len(pictures) for caption in captions):
        raise IndexStoreError(f"{folder / CAPTIONS} names a picture that {PICTURES} does not hold")
    return Catalogue(pictures, captions, tuple(Skipped(*row) for row in read_rows(folder / SKIPPED, (str, str))))


def read_rows(path: Path, types: tuple[type, ...]) -> Iterator[list[Any]]:
    """Read JSON lines, each a list of values of just these types. Raises IndexStoreError if one is anything else."""
    try:
        with open(path, encoding="ascii", newline="\n") as file:
            for number, line in enumerate(file, 1):
                row = json.loads(line)
                if not isinstance(row, list) or tuple(map(type, row)) != types:
                    raise IndexStoreError(f"{path}, line {number}: not a row of {len(types)} values")
                yield row
    except (OSError, ValueError) as error:
        raise IndexStoreError(f"{path} cannot be read: {error}") from error
