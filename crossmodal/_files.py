"""Files as the whole package writes and trusts them: in one step, by their hashes, and as tables for a spreadsheet.

A reader sees the old file or folder or the new one, never half of one; `durable`, that holds through a power cut.

SHA-256 of files is remembered beside them for as long as the files are untouched. A hash is trusted again only if the
system still gives the file's inode, size, time of change and time of status change to the nanosecond. The last one no
program can set: writing, truncating, replacing or restoring a file moves it. A file that changed less than two seconds
before it was hashed is not remembered, since a clock may tick too slowly to tell a second change apart (as git holds it
with its index). What this cannot see is a disk that loses bits by itself.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

__all__ = [
    "CHECKPOINTS", "PACKAGE", "PROJECT", "SEALS", "csv_table", "has_settled", "hash_file", "is_being_replaced",
    "replace_directory", "sealed_hash", "status_of", "sync_folder", "whole_directory", "whole_file", "write_document",
]  # fmt: skip

PACKAGE = Path(__file__).resolve().parent
PROJECT = PACKAGE.parent  # the clone that the package lies in, or where it is installed
CHECKPOINTS = next(  # a wheel holds the shipped checkpoint in the package
    (folder for folder in (PROJECT / "model-checkpoints", PACKAGE / "model-checkpoints") if folder.is_dir()),
    PROJECT / "model-checkpoints",
)
SEALS = ".sha256.json"
SETTLED_NS = 2_000_000_000
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for the start of one
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


@contextmanager
def whole_file(path: Path, durable: bool = False, alone: bool = False) -> Iterator[Path]:
    """A name to write to; what is written there takes the place of a file in one step, or not at all.

    durable: also through a power cut: its bytes reach the disk first, and its name last.
    alone: there is one writer at a time, so the name is always the same and what a killed one left is overwritten.
    """
    writer = "" if alone else f"-{os.getpid()}-{threading.get_ident()}"
    staging = path.with_name(f".{path.name.lstrip('.')}.new{writer}")
    try:
        yield staging
        if durable:
            with open(staging, "rb+") as file:
                os.fsync(file.fileno())
        os.replace(staging, path)
    except BaseException:
        staging.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


@contextmanager
def whole_directory(path: Path) -> Iterator[Path]:
    """An empty folder to write to, which takes the place of another in one step once it is whole."""
    staging = path.with_name(f".{path.name}.new-{os.getpid()}")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        yield staging
        replace_directory(staging, path)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def replace_directory(new: Path, path: Path) -> None:
    """Move a finished directory into place; the former one is kept aside until the new one stands."""
    old = path.with_name(f".{path.name}.old-{os.getpid()}")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        os.replace(path, old)
    os.replace(new, path)
    shutil.rmtree(old, ignore_errors=True)


def is_being_replaced(path: Path) -> bool:
    """Whether `replace_directory` has just moved a directory aside."""
    return not path.exists() and any(path.parent.glob(f".{path.name}.old-*"))


def write_document(path: Path, content: Any) -> None:
    """Write text as it is, anything else as JSON, in one step."""
    text = content if isinstance(content, str) else json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    with whole_file(path) as staging:
        staging.write_text(text.rstrip() + "\n", "utf-8")


def sync_folder(folder: Path) -> None:
    """Make names in a folder survive a power cut, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sealed_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex; read from the file itself unless it is untouched since it was last read.

    Raises OSError if it cannot be read.
    """
    before = status_of(path)
    known = _read(path.parent)
    entry = known.get(path.name)
    if os.name == "posix" and isinstance(entry, list) and entry[:-1] == before and _is_digest(entry[-1]):
        return str(entry[-1])
    began = time.time_ns()
    digest = hash_file(path)
    if status_of(path) == before and has_settled(before, began):
        _write(path.parent, _read(path.parent) | {path.name: [*before, digest]})
    return digest


def status_of(path: Path) -> list[int]:
    """What of a file changes with its content: inode, size, time of change and of status change in nanoseconds.

    Raises OSError if there is none.
    """
    status = os.stat(path)
    return [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def has_settled(status: list[int], now: int) -> bool:
    """Whether a file has not changed so lately that its times may miss a second change."""
    return max(status[-2:]) < now - SETTLED_NS


def csv_table(rows: Iterable[Sequence[object]], exact: bool = False) -> str:
    """Rows as CSV that no spreadsheet runs: a text that it would take for a formula begins with an apostrophe.

    rows: the header first; numbers stay as they are.
    exact: for a file that a program of ours reads back to the letter: every text as it is, and lines end in LF.
    Source: RFC 4180, and OWASP, CSV Injection.

    >>> csv_table([("rank", "caption"), (1, "=1+1"), (-2, "a dog")])
    "rank,caption\\r\\n1,'=1+1\\r\\n-2,a dog\\r\\n"
    """
    out = io.StringIO()
    line_end = "\n" if exact else "\r\n"  # which Python before 3.13 needs to quote a cell with a carriage return
    writer = csv.writer(out, lineterminator=line_end)
    writer.writerows(rows if exact else ([_defused(cell) for cell in row] for row in rows))
    return out.getvalue()


def _defused(cell: object) -> object:
    if not isinstance(cell, str) or NUMBER.fullmatch(cell):
        return cell
    return f"'{cell}" if cell.startswith(FORMULA) or cell.lstrip().startswith(FORMULA) else cell


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64


def _read(folder: Path) -> dict[str, Any]:
    try:
        known = json.loads((folder / SEALS).read_bytes())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _write(folder: Path, known: dict[str, Any]) -> None:
    """Remember; a folder that cannot be written to is hashed again each time."""
    with suppress(OSError), whole_file(folder / SEALS) as staging:
        staging.write_text(json.dumps(known), "ascii")
