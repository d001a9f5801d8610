"""The mean of each picture's caption vectors, kept beside a large index: a search would else read every caption.

What is kept is not part of the index and is made again when it is lost; it counts only for the very captions it was
made from, and only if its own SHA-256 is the one that was noted.

Shapes: N pictures, M captions, D embedding.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import IndexStoreError
from crossmodal.index.calibrate import caption_means
from crossmodal.index.embedder import Vectors
from crossmodal.index.manifest import hash_file
from crossmodal.index.vectors import read_vectors, write_vectors
from crossmodal.seals import sealed_hash

__all__ = ["LARGE", "MEANS", "keep_means", "kept_means"]

MEANS, NOTE = ".caption-means.npy", ".caption-means.json"
LARGE = 64_000_000  # bytes of caption vectors from which keeping their means is worth it
BLOCK = 4096  # pictures whose captions are in memory at once


def kept_means(folder: Path, made_from: list[str], captions: Vectors, owner: NDArray[np.int64], count: int) -> Vectors:
    """(N, D), as `caption_means`; read where it was kept, else computed, and kept if the captions are many.

    folder: of the generation. made_from: SHA-256 of all that the means depend on.
    """
    if captions.nbytes < LARGE:
        return caption_means(captions, owner, count)
    with suppress(OSError, ValueError, TypeError, KeyError, IndexStoreError):
        note = json.loads((folder / NOTE).read_bytes())
        if note["made_from"] == made_from and note["sha256"] == sealed_hash(folder / MEANS):
            return read_vectors(folder / MEANS, count, captions.shape[1])
    with suppress(OSError):
        keep_means(folder, made_from, captions, owner, count)
        return read_vectors(folder / MEANS, count, captions.shape[1])
    return caption_means(captions, owner, count)


def keep_means(folder: Path, made_from: list[str], captions: Vectors, owner: NDArray[np.int64], count: int) -> None:
    """Write the means into a folder, some thousand at a time, unless the captions are few. Raises OSError."""
    if captions.nbytes < LARGE:
        return
    staging = folder / f"{MEANS}.new-{os.getpid()}"
    write_vectors(staging, _blocks(captions, owner, count), count, captions.shape[1])
    note = {"made_from": made_from, "sha256": hash_file(staging)}
    os.replace(staging, folder / MEANS)
    staging.write_text(json.dumps(note), "ascii")
    os.replace(staging, folder / NOTE)


def _blocks(captions: Vectors, owner: NDArray[np.int64], count: int) -> Iterator[Vectors]:
    for start in range(0, count, BLOCK):
        end = min(start + BLOCK, count)
        first, last = np.searchsorted(owner, [start, end])
        yield caption_means(captions[first:last], owner[first:last] - start, end - start)
