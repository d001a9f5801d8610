"""Pictures and captions of a plan to vectors, unit by unit, with what is done kept in a journal.

A unit is a fixed piece of the plan and is always encoded whole and in the same shape, never in company that depends on
where an earlier run was killed: float sums in a network may depend on the batch, and so they cannot here.

A few threads take unit after unit, each from files to vectors, and the calling thread writes the journal: each core has
work as long as there is any, and no thread waits for another. Of an encoder that only one thread may call, the threads
decode ahead and the calling thread encodes. Either way a few units are in memory, however long the plan.

Shapes: B batch, n vectors of a unit, D embedding, S side in pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import CheckpointError, ImageError
from crossmodal.images.decode import describe_image, load_image, read_image_file, soon_read
from crossmodal.index.catalogue.rows import UNKNOWN, Caption, Facts, Stamp, stamp_of
from crossmodal.index.journal import Journal, Outcome
from crossmodal.inference.backends.towers import Bulk
from crossmodal.inference.base import Encoder, Vectors

__all__ = ["CAPTIONS_PER_UNIT", "embed_captions", "embed_pictures", "facts_in"]

DECODERS = 2  # threads beside the one that encodes, where only one may
UNITS_WAITING = 2  # handed to the threads before they ask for them
CAPTIONS_PER_UNIT = 256

Decoded = tuple[Outcome, NDArray[np.uint8] | None]
Tick = Callable[[int, int], None]  # items done, items skipped


def embed_pictures(
    root: Path,
    plan: Sequence[Stamp],
    encoder: Encoder,
    known: Container[str],
    journal: Journal,
    batch_size: int,
    tick: Tick,
) -> None:
    """Embed the pictures of a plan on all cores; what the journal holds is not done again.

    known: SHA-256 of pictures whose vector is at hand already; they are read but not decoded. The journal then holds an
    outcome of every picture of the plan.
    """

    def stamps_of(unit: int) -> Sequence[Stamp]:
        return plan[unit * batch_size : (unit + 1) * batch_size]

    pending, done, skipped = list[int](), 0, 0
    for unit in range(-(-len(plan) // batch_size)):
        outcomes = [] if journal.is_new else _done_before(stamps_of(unit), known, journal)
        done += len(outcomes)
        skipped += sum(bool(outcome.reason) for outcome in outcomes)
        pending += [] if outcomes else [unit]
    tick(done, skipped)
    if not pending:
        return
    with (
        _way(root, encoder, known, batch_size) as way,
        closing(_finished(way, pending, stamps_of)) as coming,
    ):
        for unit, outcomes, vectors in coming:
            journal.add_pictures(unit * batch_size, stamps_of(unit), outcomes, vectors)
            done += len(outcomes)
            skipped += sum(bool(outcome.reason) for outcome in outcomes)
            tick(done, skipped)


def _done_before(stamps: Sequence[Stamp], known: Container[str], journal: Journal) -> list[Outcome]:
    """What a killed build left of a unit, if it is whole: all files read, and every vector at hand."""
    outcomes = []
    for stamp in stamps:
        outcome = journal.outcome(stamp)
        if outcome is None or outcome.unread:
            return []
        if not outcome.reason and not outcome.embedded and outcome.sha256 not in known:
            return []
        outcomes.append(outcome)
    return outcomes


def facts_in(data: bytes) -> Facts:
    """What the bytes of a picture say of it; UNKNOWN if they are none's."""
    try:
        return Facts(*describe_image(data))
    except ImageError:
        return UNKNOWN


@contextmanager
def _way(root: Path, encoder: Encoder, known: Container[str], batch_size: int) -> Iterator[_Way]:
    """The encoder's own way with many files where it has one, else the plain one, a whole unit at a time."""
    if encoder.has_bulk:
        with encoder.bulk() as bulk:
            yield _Way(root, encoder, known, bulk, threads_encode=True)
    else:
        plain = Bulk(DECODERS, batch_size, lambda data: encoder.preprocess(load_image(data)), encoder.encode_pixels)
        yield _Way(root, encoder, known, plain, threads_encode=False)


def _finished(
    way: _Way, pending: Sequence[int], stamps_of: Callable[[int], Sequence[Stamp]]
) -> Generator[tuple[int, list[Outcome], Vectors], None, None]:
    """Each pending unit with its outcomes and vectors, in any order."""
    work: Callable[[Sequence[Stamp]], Any] = way.embed if way.threads_encode else way.decode
    waiting: dict[Future[Any], int] = {}
    coming = iter(pending)
    with ThreadPoolExecutor(way.bulk.threads, thread_name_prefix="embed") as pool:
        try:
            while True:
                while len(waiting) < way.bulk.threads + UNITS_WAITING and (unit := next(coming, None)) is not None:
                    stamps = stamps_of(unit)
                    for stamp in stamps:
                        soon_read(way.root / stamp.path)
                    waiting[pool.submit(work, stamps)] = unit
                if not waiting:
                    return
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    result = future.result()
                    yield waiting.pop(future), *(result if way.threads_encode else way.encode(result))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class _Way:
    """How units become vectors. threads_encode: whether several threads may encode at once."""

    root: Path
    encoder: Encoder
    known: Container[str]
    bulk: Bulk
    threads_encode: bool

    def embed(self, unit: Sequence[Stamp]) -> tuple[list[Outcome], Vectors]:
        """Decode and encode a unit, a few pictures at a time."""
        parts = [
            self.encode(self.decode(unit[start : start + self.bulk.piece]))
            for start in range(0, len(unit), self.bulk.piece)
        ]
        return [outcome for outcomes, _ in parts for outcome in outcomes], np.concatenate([part for _, part in parts])

    def decode(self, stamps: Sequence[Stamp]) -> list[Decoded]:
        """What became of some files, and the pixels of those that are to be encoded."""
        return [self._decode(stamp) for stamp in stamps]

    def _decode(self, stamp: Stamp) -> Decoded:
        try:
            data = read_image_file(self.root / stamp.path)
            key = hashlib.sha256(data).hexdigest()
            if key in self.known:
                return Outcome(key, facts=facts_in(data)), None
            pixels = self.bulk.read(data)
            if stamp_of(self.root, stamp.path) != stamp:
                return Outcome("", "changed while it was read: run again", unread=True), None
            return Outcome(key, embedded=True, facts=facts_in(data)), pixels
        except ImageError as error:
            return Outcome("", error.reason, unread=error.unread), None
        except OSError as error:
            return Outcome("", f"cannot be read ({error.strerror or error})", unread=True), None

    def encode(self, decoded: Sequence[Decoded]) -> tuple[list[Outcome], Vectors]:
        """The outcomes, and vectors (n, D) of those with pixels; the batch is (B, 3, S, S) whatever n is."""
        outcomes = [outcome for outcome, _ in decoded]
        pixels = {row: values for row, (_, values) in enumerate(decoded) if values is not None}
        if not pixels:
            return outcomes, np.empty((0, self.encoder.dimension), dtype=np.float32)
        rows = list(pixels)
        batch = np.zeros((self.bulk.piece, *pixels[rows[0]].shape), dtype=np.uint8)
        for row, values in pixels.items():
            batch[row] = values
        return outcomes, _checked(self.bulk.encode(batch)[rows], len(rows), self.encoder)


def embed_captions(
    plan: Sequence[Caption], encoder: Encoder, known: Container[str], journal: Journal, tick: Tick
) -> None:
    """Embed the captions of a plan, best sorted by length; what the journal holds or is known is not done again."""
    pending = list(range(0, len(plan), CAPTIONS_PER_UNIT))
    if not journal.is_new:
        pending = [
            start for start in pending if _lacks_captions(plan[start : start + CAPTIONS_PER_UNIT], known, journal)
        ]
    done = len(plan) - sum(len(plan[start : start + CAPTIONS_PER_UNIT]) for start in pending)
    tick(done, 0)
    for start in pending:
        part = plan[start : start + CAPTIONS_PER_UNIT]
        wanted = [caption.text for caption in part if caption.text not in known]
        journal.add_captions(wanted, _checked(encoder.encode_texts(wanted), len(wanted), encoder))
        done += len(part)
        tick(done, 0)


def _lacks_captions(part: Sequence[Caption], known: Container[str], journal: Journal) -> bool:
    """Whether a unit of captions is not whole yet."""
    return not all(caption.text in known or journal.holds("caption", caption.text) for caption in part)


def _checked(vectors: Vectors, count: int, encoder: Encoder) -> Vectors:
    if vectors.shape != (count, encoder.dimension):
        raise CheckpointError(
            f"checkpoint {encoder.name} gives vectors of shape {vectors.shape}, not {(count, encoder.dimension)}"
        )
    if not np.isfinite(vectors).all():
        raise CheckpointError(
            f"checkpoint {encoder.name} gives vectors that are not finite: train it again, or take another --checkpoint"
        )
    return vectors
