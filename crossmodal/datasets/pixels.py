"""Decoded pictures kept on disk as one memory-mapped array, so that no epoch decodes a file twice.

Shapes: N pictures, S side in pixels.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crossmodal._files import whole_file
from crossmodal.datasets.records import Record
from crossmodal.errors import DataError, ImageError
from crossmodal.images.decode import load_image
from crossmodal.images.transforms import ImageTransform

DECODING_THREADS = 2


@dataclass(frozen=True)
class DecodedPictures:
    """The pictures of a folder as pixels.

    pixels: uint8 (N, 3, S, S), memory-mapped.
    records: N, one a row.
    skipped: (name, reason) of each unreadable picture.
    """

    pixels: NDArray[np.uint8]
    records: tuple[Record, ...]
    skipped: tuple[tuple[str, str], ...]


def decode_pictures(
    root: Path,
    records: Sequence[Record],
    transform: ImageTransform,
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
) -> DecodedPictures:
    """Decode every record's picture below root once, into folder; a later call with the same files reads it back.

    Unreadable pictures are left out of rows and records alike.
    Raises DataError if none can be read.
    """
    key = _key(root, records, transform)
    array_path, notes_path = folder / f"pixels-{key}.npy", folder / f"pixels-{key}.json"
    if not notes_path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        skipped = _decode(root, records, transform, array_path, progress)
        with whole_file(notes_path) as staging:  # last: its presence says that the array is whole
            staging.write_text(json.dumps(skipped), "utf-8")
    skipped = [(name, reason) for name, reason in json.loads(notes_path.read_text("utf-8"))]
    unreadable = {name for name, _ in skipped}
    kept = tuple(record for record in records if record.image not in unreadable)
    if not kept:
        raise DataError(f"none of the {len(records)} pictures in {root} can be read; first: {skipped[:1]}")
    return DecodedPictures(np.load(array_path, mmap_mode="c", allow_pickle=False), kept, tuple(skipped))


def _key(root: Path, records: Sequence[Record], transform: ImageTransform) -> str:
    digest = hashlib.sha256(json.dumps(transform.as_dict(), sort_keys=True).encode())
    for record in records:
        path = root / record.image
        facts = path.stat() if path.exists() else None
        stamp = (facts.st_size, facts.st_mtime_ns) if facts else None
        digest.update(f"{record.image}\0{stamp}\1".encode())
    return digest.hexdigest()[:16]


def _decode(
    root: Path,
    records: Sequence[Record],
    transform: ImageTransform,
    path: Path,
    progress: Callable[[int, int], None] | None,
) -> list[tuple[str, str]]:
    def decoded(record: Record) -> NDArray[np.uint8] | str:
        try:
            return transform.pixels(load_image(root / record.image))
        except ImageError as error:
            return error.reason

    skipped: list[tuple[str, str]] = []
    shape = (len(records), 3, transform.size, transform.size)
    with ThreadPoolExecutor(DECODING_THREADS) as threads, whole_file(path, alone=True) as staging:
        array = np.lib.format.open_memmap(staging, mode="w+", dtype=np.uint8, shape=shape)
        row = 0
        for number, (record, result) in enumerate(zip(records, _in_order(threads, decoded, records), strict=True), 1):
            if isinstance(result, str):
                skipped.append((record.image, result))
            else:
                array[row] = result
                row += 1
            if progress:
                progress(number, len(records))
        array.flush()
        del array
    return skipped


def _in_order(
    threads: ThreadPoolExecutor,
    decoded: Callable[[Record], NDArray[np.uint8] | str],
    records: Sequence[Record],
    ahead: int = 256,
) -> Iterator[NDArray[np.uint8] | str]:
    """Results in the records' order, with at most `ahead` pictures in memory."""
    for start in range(0, len(records), ahead):
        yield from threads.map(decoded, records[start : start + ahead])
