"""Memory settings for batch work on a CPU."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
NEVER = -1  # of trimming: the greatest number of bytes there is room for, 2 GiB, is less than a fine-tuning step frees


def keep_freed_memory() -> bool:
    """Tell glibc to keep freed blocks for the next batch instead of giving them back to the kernel.

    A batch's activations are some hundred megabytes, freed and asked for again at every step; the page faults of
    getting them anew halve the speed of inference and training. Returns whether the setting took; on other C
    libraries nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, 2**30)) and bool(mallopt(M_TRIM_THRESHOLD, NEVER))
