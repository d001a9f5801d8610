"""What a picture file says about itself: how large it is, upright, and when it was taken; row i is picture i's.

It depends on the file's bytes alone and on no encoder. An index built before there were facts has none; the next build
reads the headers of its pictures and adds them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from crossmodal.data.images import describe_image, read_image_file
from crossmodal.errors import ImageError
from crossmodal.index.catalogue import Picture, Stamp, scan
from crossmodal.index.fact_rows import FACTS, UNKNOWN, Facts, days_of, read_facts, write_facts

__all__ = ["FACTS", "UNKNOWN", "Facts", "days_of", "facts_in", "gather_facts", "read_facts", "write_facts"]

TICKS = 64  # pictures between two words about progress
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
