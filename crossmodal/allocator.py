"""Memory settings for batch work on a CPU."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["hold_memory"]

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
MMAP_THRESHOLDS = (2**30, 2**25)  # bytes; an older glibc takes no more than the second
NEVER = -1  # of trimming: the greatest number of bytes there is room for, 2 GiB, is less than a fine-tuning step frees


def hold_memory() -> None:
    """Tell glibc to keep freed blocks for the next batch instead of giving them back to the kernel.

    A batch's activations are some hundred megabytes, freed and asked for again at every step; the page faults of
    getting them anew halve the speed of inference and training. On other C libraries nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(M_TRIM_THRESHOLD, NEVER)
    any(mallopt(M_MMAP_THRESHOLD, size) for size in MMAP_THRESHOLDS)
