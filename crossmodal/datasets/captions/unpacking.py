"""The bytes of a captions file, and how many there may be: what a small file unpacks to has bounds.

Only regular files are read, since a pipe may never end and a device like /dev/zero never does.
"""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from crossmodal.errors import CaptionsError

__all__ = ["LIMITS", "Limits", "allowance", "read_bytes", "read_start", "refuse_size"]


@dataclass(frozen=True)
class Limits:
    """How much text a captions file may hold, in bytes.

    A packed file of a few kilobytes can unpack to more than the memory; real captions shrink to about a fifth, and to a
    tenth with every picture's name repeated, so what unpacks to a hundred times its size is no captions file.

    most: in all; a gigabyte is tens of millions of captions.
    ratio: how many times its own size a packed file may unpack to.
    always: what it may unpack to whatever its size.
    block: how much is unpacked at a time, so that little more than the limit is ever in memory.
    """

    most: int = 1 << 30
    ratio: int = 100
    always: int = 64 << 20
    block: int = 1 << 20


LIMITS = Limits()
GZIP = b"\x1f\x8b"


def allowance(size: int) -> int:
    """How many bytes a packed file of so many bytes may unpack to."""
    return min(LIMITS.most, max(LIMITS.always, LIMITS.ratio * size))


def refuse_size(path: Path, size: int, limit: int, packed: bool) -> CaptionsError:
    """The error for a file that holds more text than the limit."""
    verb = "unpacks to" if packed else "holds"
    return CaptionsError(
        f"{path} ({size:,} bytes) {verb} more than {limit >> 20:,} MiB of text, the most that is read from it: split "
        "it into smaller files"
    )


def read_start(path: Path, count: int = 4) -> bytes:
    """The first bytes of a file. Raises CaptionsError if it cannot be read or is no regular file."""
    with _opened(path) as file:
        return file.read(count)


def read_bytes(path: Path) -> bytes:
    """All bytes of a file, unpacked if it is gzipped.

    Raises CaptionsError if it cannot be read, is no regular file, is damaged, or holds more than LIMITS allow.
    """
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if file.peek(2).startswith(GZIP):
            return b"".join(_unpacked(path, file, size))
        content = file.read(LIMITS.most + 1) if size <= LIMITS.most else b""
        if max(size, len(content)) > LIMITS.most:
            raise refuse_size(path, size, LIMITS.most, packed=False)
        return content


def _unpacked(path: Path, file: BufferedReader, size: int) -> Iterator[bytes]:
    total, limit = 0, allowance(size)
    try:
        with gzip.GzipFile(fileobj=file) as unpacked:
            while block := unpacked.read(LIMITS.block):
                total += len(block)
                if total > limit:
                    raise refuse_size(path, size, limit, packed=True)
                yield block
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CaptionsError(f"{path} is a damaged gzip file: fetch or pack it again", str(error)) from None


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    """A regular file, opened; without O_NONBLOCK, opening a pipe waits for its writer for ever."""
    try:
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(number, "rb") as file:
            if not stat.S_ISREG(os.fstat(number).st_mode):
                raise CaptionsError(
                    f"{path} is a pipe, a device or a folder, not a captions file: write the captions into a file "
                    "first and give that with --captions FILE"
                )
            yield file
    except FileNotFoundError:
        raise CaptionsError(f"{path} does not exist: give the captions file with --captions FILE") from None
    except OSError as error:
        raise CaptionsError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # a path with a zero byte
        raise CaptionsError(f"{str(path)!r} cannot be read: {error}") from None
