"""What a picture file says about itself: how large it is, upright, and when it was taken; row i is picture i's.

It depends on the file's bytes alone and on no encoder. An index built before there were facts has none; the next build
reads the headers of its pictures and adds them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crossmodal.data.images import describe_image, read_image_file
from crossmodal.errors import ImageError, IndexStoreError
from crossmodal.index.catalogue import Picture, Stamp, scan
from crossmodal.index.rows import parse_rows, read_bytes

__all__ = [
    "FACTS",
    "UNKNOWN",
    "Facts",
    "days_of",
    "facts_in",
    "facts_reader",
    "gather_facts",
    "read_facts",
    "write_facts",
]

FACTS = "facts.jsonl"
TAKEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", re.ASCII)
TICKS = 64  # pictures between two words about progress
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
BEGINNING = 1 << 18  # bytes; most JPEG files say all of it there


def facts_in(data: bytes) -> Facts:
    """What the bytes of a picture say; UNKNOWN if they are none's."""
    try:
        return Facts(*describe_image(data))
    except ImageError:
        return UNKNOWN


def gather_facts(
    root: Path, pictures: Sequence[Picture], known: Mapping[str, Facts], tick: Callable[[int, int], None]
) -> tuple[Facts, ...]:
    """The facts of every picture, from those known by SHA-256, else from the headers of its file.

    UNKNOWN where the file can no longer be read or is not the one that was indexed. tick: told how many of the files to
    be read are done, and 0.
    """
    unread = [row for row, picture in enumerate(pictures) if picture.sha256 not in known]
    facts = [known.get(picture.sha256, UNKNOWN) for picture in pictures]
    for done, row in enumerate(unread):
        if done % TICKS == 0:
            tick(done, 0)
        facts[row] = _read(root, pictures[row].stamp)
    if unread:
        tick(len(unread), 0)
    return tuple(facts)


def _read(root: Path, stamp: Stamp) -> Facts:
    """The facts of a file, if it still looks as its stamp says."""
    try:
        facts = UNKNOWN
        beginning = read_image_file(root / stamp.path, BEGINNING)
        if beginning.startswith(b"\xff\xd8") or len(beginning) < BEGINNING:
            facts = facts_in(beginning)
        if facts == UNKNOWN and len(beginning) == BEGINNING:
            facts = facts_in(read_image_file(root / stamp.path))
    except ImageError:
        return UNKNOWN
    return facts if scan(root, [stamp.path]) == [stamp] else UNKNOWN


def write_facts(path: Path, facts: Sequence[Facts]) -> None:
    """Write a row a picture."""
    with open(path, "w", encoding="ascii", newline="\n") as file:
        file.writelines(json.dumps(astuple(row)) + "\n" for row in facts)


def read_facts(path: Path, count: int) -> tuple[Facts, ...]:
    """Read what `write_facts` wrote. Raises IndexStoreError unless there are count rows of such values."""
    return facts_reader(path, count)()


def facts_reader(path: Path, count: int) -> Callable[[], tuple[Facts, ...]]:
    """Read the file now, since a build may replace it, and parse it when it is called. Raises likewise, by and by."""
    return partial(_parsed, path, read_bytes(path), count)


def _parsed(path: Path, data: bytes, count: int) -> tuple[Facts, ...]:
    facts = tuple(Facts(*row) for row in parse_rows(path, data.splitlines(keepends=True), (int, int, str)))
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
