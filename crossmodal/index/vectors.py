"""Rows of float32 in plain .npy files, read memory-mapped.

Shapes: N rows, D embedding.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from crossmodal.errors import IndexStoreError
from crossmodal.index.embedder import Vectors

__all__ = ["CAPTION_VECTORS", "IMAGE_VECTORS", "read_vectors", "write_vectors"]

IMAGE_VECTORS, CAPTION_VECTORS = "images.npy", "captions.npy"


def write_vectors(path: Path, blocks: Iterable[Vectors], count: int, dimension: int) -> None:
    """Write blocks (n, D) that together have count rows, one after the other; never more than a block in memory."""
    header = {"descr": "<f4", "fortran_order": False, "shape": (count, dimension)}
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            file.write(np.ascontiguousarray(block, dtype="<f4").tobytes())


def read_vectors(path: Path, count: int, dimension: int) -> Vectors:
    """Map the rows of a file, read-only (N, D). Raises IndexStoreError if it is not float32 of just that shape."""
    try:
        rows = np.load(path, mmap_mode="r" if count else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise IndexStoreError(f"{path} cannot be read: {error}") from error
    if rows.dtype != np.float32 or rows.shape != (count, dimension):
        raise IndexStoreError(f"{path} holds {rows.dtype} {rows.shape}, not float32 {(count, dimension)}")
    return np.asarray(rows, dtype=np.float32)
