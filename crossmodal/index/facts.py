"""What a picture file says about itself: how large it is, upright, and when it was taken; row i is picture i's.

It depends on the file's bytes alone and on no encoder. An index built before there were facts has none; the next build
reads the headers of its pictures and adds them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from crossmodal.errors import ImageError
from crossmodal.images.decode import describe_image, read_image_file
from crossmodal.index.catalogue import Picture, Stamp, stamp_of
from crossmodal.index.fact_rows import FACTS, UNKNOWN, Facts, days_of, fact_lines, read_facts, write_facts
from crossmodal.index.rows import Rows

__all__ = ["FACTS", "UNKNOWN", "Facts", "add_unread", "days_of", "facts_in", "read_facts", "write_facts"]

TICKS = 64  # pictures between two words about progress
BEGINNING = 1 << 18  # bytes; most JPEG files say all of it there


def facts_in(data: bytes) -> Facts:
    """What the bytes of a picture say; UNKNOWN if they are none's."""
    try:
        return Facts(*describe_image(data))
    except ImageError:
        return UNKNOWN


def add_unread(
    root: Path, pictures: Sequence[Picture], facts: Rows[Facts], unread: Sequence[int], tick: Callable[[int, int], None]
) -> Rows[Facts]:
    """The facts of every picture: those given, but at some rows from the headers of the files.

    UNKNOWN where a file can no longer be read or is not the one that was indexed. tick: told how many of the files to
    be read are done, and 0.
    """
    if not unread:
        return facts
    read = {}
    for done, row in enumerate(unread):
        if done % TICKS == 0:
            tick(done, 0)
        read[row] = _read(root, pictures[row].stamp)
    tick(len(unread), 0)
    return fact_lines().pack(read.get(row, known) for row, known in enumerate(facts.each()))


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
    return facts if stamp_of(root, stamp.path) == stamp else UNKNOWN
