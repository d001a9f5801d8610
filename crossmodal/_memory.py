"""Memory settings for batch work on a CPU."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

__all__ = ["give_back_memory", "hold_memory", "sparing_memory"]

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
MMAP_THRESHOLDS = (2**30, 2**25)  # bytes; an older glibc takes no more than the second
USUAL = 1 << 17  # bytes, glibc's own start for both
NEVER = -1  # of trimming: the greatest number of bytes there is room for, 2 GiB, is less than a fine-tuning step frees


def hold_memory(one_heap: bool = False) -> None:
    """Tell glibc to keep freed blocks for the next batch instead of giving them back to the kernel.

    A batch's activations are some hundred megabytes, freed and asked for again at every step; the page faults of
    getting them back halve the speed of inference and training. On other C libraries nothing happens.

    one_heap: for all threads that begin from now on; else what a thread freed last stays with its own heap (60 MB after
    indexing by ONNX Runtime), whatever `give_back_memory` asks for. It costs ONNX Runtime and OpenVINO nothing, which
    keep blocks themselves, and torch a thirteenth of its speed.
    """
    if one_heap:
        _libc("mallopt", M_ARENA_MAX, 1)
    _set(NEVER, MMAP_THRESHOLDS)


@contextmanager
def sparing_memory() -> Iterator[None]:
    """Inside, freed blocks go back to the kernel at once, also those of before; afterwards they are held (again).

    For work between batches that is large in itself and should not come on top of a batch's freed memory.
    """
    _set(USUAL, (USUAL,))
    give_back_memory()
    try:
        yield
    finally:
        hold_memory()


def give_back_memory() -> None:
    """Let the kernel have what is free now, also between blocks in use, as glibc by itself does at its heap's end only.

    It is worth while after work with very many small blocks.
    """
    _libc("malloc_trim", 0)


def _set(trim: int, mmap_thresholds: Iterable[int]) -> None:
    _libc("mallopt", M_TRIM_THRESHOLD, trim)
    any(_libc("mallopt", M_MMAP_THRESHOLD, size) for size in mmap_thresholds)


def _libc(name: str, *values: int) -> int:
    """What a function of glibc returns; 0 where there is none."""
    if not sys.platform.startswith("linux"):
        return 0
    try:
        return int(getattr(ctypes.CDLL("libc.so.6"), name)(*values))
    except (OSError, AttributeError):
        return 0
