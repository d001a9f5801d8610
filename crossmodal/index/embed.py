"""Pictures and captions of a plan to vectors, unit by unit, with what is done kept in a journal.

A unit is a fixed piece of the plan and is always encoded whole and in the same shape, never in company that depends on
where an earlier run was killed: float sums in a network may depend on the batch, and so they cannot here.

Shapes: B batch, n vectors of a unit, D embedding, S side in pixels.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Container, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import astuple
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crossmodal.data.images import load_image, read_image_file
from crossmodal.errors import CheckpointError, ImageError
from crossmodal.index.catalogue import Stamp, scan
from crossmodal.index.embedder import Embedder, Vectors
from crossmodal.index.facts import facts_in
from crossmodal.index.journal import Journal, Outcome

__all__ = ["CAPTIONS_PER_UNIT", "embed_captions", "embed_pictures"]

DECODERS = 2
UNITS_AHEAD = 3  # decoded batches in memory at once
CAPTIONS_PER_UNIT = 256

Decoded = tuple[Outcome, NDArray[np.uint8] | None]
Tick = Callable[[int, int], None]  # items done, items skipped


def embed_pictures(
    root: Path,
    plan: Sequence[Stamp],
    encoder: Embedder,
    known: Container[str],
    journal: Journal,
    batch_size: int,
    tick: Tick,
) -> list[Outcome]:
    """Embed the pictures of a plan, two threads decoding ahead; what the journal holds is not done again.

    known: SHA-256 of pictures whose vector is at hand already; they are read but not decoded. Returns one outcome per
    picture of the plan.
    """
    units = [plan[start : start + batch_size] for start in range(0, len(plan), batch_size)]
    done = sum(len(units[unit]) for unit in journal.units)
    skipped = sum(bool(outcome.reason) for outcomes in journal.units.values() for outcome in outcomes)
    tick(done, skipped)
    pending = [unit for unit in range(len(units)) if unit not in journal.units]
    with closing(_ahead(pending, units, lambda stamp: _decode(root, stamp, encoder, known))) as coming:
        for unit, decoded in coming:
            pixels = {row: values for row, (_, values) in enumerate(decoded) if values is not None}
            journal.append(unit, [outcome for outcome, _ in decoded], _encode(encoder, pixels, batch_size))
            done += len(decoded)
            skipped += sum(bool(outcome.reason) for outcome, _ in decoded)
            tick(done, skipped)
    return [outcome for unit in range(len(units)) for outcome in journal.units[unit]]


def _ahead(
    pending: Sequence[int], units: Sequence[Sequence[Stamp]], decode: Callable[[Stamp], Decoded]
) -> Generator[tuple[int, list[Decoded]], None, None]:
    """Decode the pending units in order, a few ahead of the one that is asked for."""
    waiting: deque[tuple[int, list[Future[Decoded]]]] = deque()
    coming = iter(pending)
    with ThreadPoolExecutor(DECODERS, thread_name_prefix="decode") as pool:
        try:
            while True:
                while len(waiting) < UNITS_AHEAD and (unit := next(coming, None)) is not None:
                    waiting.append((unit, [pool.submit(decode, stamp) for stamp in units[unit]]))
                if not waiting:
                    return
                unit, futures = waiting.popleft()
                yield unit, [future.result() for future in futures]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _decode(root: Path, stamp: Stamp, encoder: Embedder, known: Container[str]) -> Decoded:
    try:
        data = read_image_file(root / stamp.path)
        key = hashlib.sha256(data).hexdigest()
        if key in known:
            return Outcome(key, facts=astuple(facts_in(data))), None
        pixels = encoder.preprocess(load_image(data))
        if scan(root, [stamp.path]) != [stamp]:
            return Outcome("", "changed while it was read: run again"), None
        return Outcome(key, embedded=True, facts=astuple(facts_in(data))), pixels
    except ImageError as error:
        return Outcome("", error.reason), None
    except OSError as error:
        return Outcome("", f"cannot be read ({error.strerror or error})"), None


def _encode(encoder: Embedder, pixels: dict[int, NDArray[np.uint8]], batch_size: int) -> Vectors:
    """Vectors (n, D) of the pictures in some rows of a batch; the batch is (B, 3, S, S) whatever n is."""
    if not pixels:
        return np.empty((0, encoder.dimension), dtype=np.float32)
    rows = list(pixels)
    batch = np.zeros((batch_size, *pixels[rows[0]].shape), dtype=np.uint8)
    for row, values in pixels.items():
        batch[row] = values
    return _checked(encoder.encode_pixels(batch)[rows], len(rows), encoder)


def embed_captions(
    texts: Sequence[str], encoder: Embedder, known: Container[str], journal: Journal, tick: Tick
) -> None:
    """Embed the sentences of a plan, best sorted by length; what the journal holds or is known is not done again."""
    tick(sum(map(len, journal.units.values())), 0)
    done = 0
    for unit, start in enumerate(range(0, len(texts), CAPTIONS_PER_UNIT)):
        part = texts[start : start + CAPTIONS_PER_UNIT]
        if unit not in journal.units:
            wanted = [text for text in part if text not in known]
            vectors = _checked(encoder.encode_texts(wanted), len(wanted), encoder) if wanted else np.empty((0, 1), "f4")
            journal.append(unit, [Outcome(text, embedded=text not in known) for text in part], vectors)
        done += len(part)
        tick(done, 0)


def _checked(vectors: Vectors, count: int, encoder: Embedder) -> Vectors:
    if vectors.shape != (count, encoder.dimension):
        raise CheckpointError(
            f"checkpoint {encoder.name} gives vectors of shape {vectors.shape}, not {(count, encoder.dimension)}"
        )
    if not np.isfinite(vectors).all():
        raise CheckpointError(
            f"checkpoint {encoder.name} gives vectors that are not finite: train it again, or take another --checkpoint"
        )
    return vectors
