"""Files as the whole package writes and trusts them: content hashes, and tables for a spreadsheet.

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
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["CHECKPOINTS", "PACKAGE", "PROJECT", "SEALS", "csv_table", "has_settled", "sealed_hash", "status_of"]

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
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
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
    staging = folder / f"{SEALS}.new-{os.getpid()}"
    with suppress(OSError):
        staging.write_text(json.dumps(known), "ascii")
        os.replace(staging, folder / SEALS)
