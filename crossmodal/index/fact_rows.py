"""What picture files say of themselves, as rows of a file; gathered by `crossmodal.index.facts`.

No picture is opened here, so that a search needs nothing that can.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import IndexStoreError
from crossmodal.index.catalogue import Stamp
from crossmodal.index.rows import Lines, parse_rows, read_bytes

__all__ = ["FACTS", "UNKNOWN", "Facts", "days_of", "fact_lines", "facts_reader", "read_facts", "write_facts"]

FACTS = "facts.jsonl"
TYPES = (int, int, str)
TAKEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", re.ASCII)
MOST = 1 << 31  # pixels; what a side cannot exceed


@dataclass(frozen=True, slots=True)
class Facts:
    """width, height: pixels of the upright picture, 0 where unknown. taken: EXIF's time, "2021-05-03T12:00:00" or "".

    The time is the camera's, of no known time zone.
    """

    width: int
    height: int
    taken: str = ""


UNKNOWN = Facts(0, 0)


def fact_lines() -> Lines[Facts]:
    """What facts are written into, one a picture."""
    return Lines(FACTS, TYPES, _facts, attrgetter("width", "height", "taken"))


def _facts(row: list[Any]) -> Facts:
    return Facts(*row)


def write_facts(path: Path, facts: Sequence[Facts]) -> None:
    """Write a row a picture."""
    path.write_bytes(fact_lines().pack(facts).data)


def read_facts(path: Path, count: int) -> tuple[Facts, ...]:
    """Read what `write_facts` wrote. Raises IndexStoreError unless there are count rows of such values."""
    return facts_reader(path, count)()


def facts_reader(path: Path, count: int) -> Callable[[], tuple[Facts, ...]]:
    """Read the file now, since a build may replace it, and parse it when it is called. Raises as it is read."""
    return partial(_parsed, path, read_bytes(path), count)


def _parsed(path: Path, data: bytes, count: int) -> tuple[Facts, ...]:
    facts = tuple(map(_facts, parse_rows(path, io.BytesIO(data), TYPES)))
    if len(facts) != count:
        raise IndexStoreError(f"{path} has {len(facts):,} rows for {count:,} pictures")
    for number, row in enumerate(facts, 1):
        if not (0 <= row.width <= MOST and 0 <= row.height <= MOST and _is_time(row.taken)):
            raise IndexStoreError(f"{path}, line {number}: not the size and time of a picture")
    return facts


def _is_time(text: str) -> bool:
    try:
        return not text or (bool(TAKEN.fullmatch(text)) and bool(datetime.fromisoformat(text)))
    except ValueError:
        return False


def days_of(stamps: Sequence[Stamp], facts: Sequence[Facts] | None) -> NDArray[np.datetime64]:
    """The day each picture was taken, else the day here on which its file last changed; NaT where there is neither."""
    taken = [row.taken[:10] for row in facts] if facts is not None else [""] * len(stamps)
    days = [day or _changed(stamp) for day, stamp in zip(taken, stamps, strict=True)]
    return np.array(days, dtype="datetime64[D]")


def _changed(stamp: Stamp) -> str:
    try:
        return datetime.fromtimestamp(stamp.modified_ns // 1_000_000_000).date().isoformat()
    except (OverflowError, OSError, ValueError):  # outside the years 1 to 9999
        return "NaT"
