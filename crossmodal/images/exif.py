"""What an EXIF block says of its picture: which way up it is, and when it was taken.

Pillow's own reader warns of broken blocks, and warnings belong to the whole process: see headers.py.
A block comes from anybody: what lies outside of it, is of another type or makes no sense is as if it were absent.

Source: CIPA DC-008 (Exif 2.3), sections 4.5 and 4.6.
"""

from __future__ import annotations

import re
import struct
from datetime import datetime

__all__ = ["exif_orientation", "exif_taken"]

ORIENTATION, EXIF_DIRECTORY, TAKEN = 274, 34665, 36867
BYTE, ASCII, LONG = 1, 2, 4
TIME = re.compile(r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d:\d\d:\d\d)", re.ASCII)


def exif_orientation(exif: bytes) -> int:
    """Orientation in an EXIF block, 1..8; 1 (upright) where it is absent or damaged."""
    block = exif.removeprefix(b"Exif\0\0")
    try:
        order, first = _start(block)
        kind, _, place = _entry(block, order, first, ORIENTATION)
        (value,) = struct.unpack_from(order + {BYTE: "B", LONG: "L"}.get(kind, "H"), block, place)
    except (struct.error, LookupError):
        return 1
    return int(value) if 1 <= value <= 8 else 1


def exif_taken(exif: bytes) -> str:
    """When the picture was taken by its camera's clock (DateTimeOriginal), "2021-05-03T12:00:00"; "" if it is not said.

    The clock's time zone is not known, and none is pretended.
    """
    block = exif.removeprefix(b"Exif\0\0")
    try:
        order, first = _start(block)
        _, _, place = _entry(block, order, first, EXIF_DIRECTORY)
        (directory,) = struct.unpack_from(order + "L", block, place)
        kind, count, place = _entry(block, order, directory, TAKEN)
        (start,) = struct.unpack_from(order + "L", block, place)
        text = block[start : start + 19].decode("latin-1") if kind == ASCII and count >= 19 else ""
        found = TIME.fullmatch(text)
        return datetime.fromisoformat(found.expand(r"\1-\2-\3T\4")).isoformat() if found else ""
    except (struct.error, LookupError, ValueError):  # ValueError: a 31st of February, a year 0
        return ""


def _start(block: bytes) -> tuple[str, int]:
    """Byte order, as `struct` writes it, and where the first directory lies. Raises LookupError if it is no block."""
    order = {b"II*\0": "<", b"MM\0*": ">"}[block[:4]]
    return order, int(struct.unpack_from(order + "L", block, 4)[0])


def _entry(block: bytes, order: str, directory: int, wanted: int) -> tuple[int, int, int]:
    """Type, count and place of the value of a directory's first entry with a tag; LookupError if it has none."""
    (entries,) = struct.unpack_from(order + "H", block, directory)
    for entry in range(directory + 2, directory + 2 + 12 * entries, 12):
        tag, kind, count = struct.unpack_from(order + "HHL", block, entry)
        if tag == wanted:
            return kind, count, entry + 8
    raise LookupError(wanted)
