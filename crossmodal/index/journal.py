"""What a build under way has done so far, so that a killed one goes on where it stopped.

A journal is an append-only file of records: length of the JSON part, length of the vectors, CRC-32 of both, JSON,
float32 vectors. The first record is its header; each other one is a unit, a fixed piece of the plan (one batch of
pictures, some hundred captions). A torn last record, as SIGKILL or a power cut leaves it, is cut off on opening.

Shapes: n vectors of a unit, D embedding.
"""

from __future__ import annotations

import errno
import json
import os
import struct
import zlib
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from crossmodal.index.embedder import Vectors
from crossmodal.index.vectors import VectorsByKey

__all__ = ["Journal", "Outcome"]

_PREFIX = struct.Struct("<III")
_MAGIC = {"journal": 1}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item of the plan.

    key: what its vector depends on (a picture's SHA-256, a caption's text); "" when unreadable. reason: why it was
    skipped, "" if it was not. embedded: whether the unit holds a vector for it; a known key needs none. facts: what
    else was read of it, as JSON values. unread: whether it was skipped since its file could not be read, and may be
    as it was.
    """

    key: str
    reason: str = ""
    embedded: bool = False
    facts: tuple[Any, ...] = ()
    unread: bool = False


def _outcome(key: str, reason: str, embedded: bool, facts: Sequence[Any] = (), unread: bool = False) -> Outcome:
    """Of a row in a journal; most are shorter."""
    return Outcome(key, reason, embedded, tuple(facts), unread)


def _row(outcome: Outcome) -> list[Any]:
    """What `_outcome` takes, as short as can be."""
    more = [outcome.facts, True] if outcome.unread else [outcome.facts] if outcome.facts else []
    return [outcome.key, outcome.reason, outcome.embedded, *more]


class Journal:
    """The units that are done. Only the process that holds the index's lock may open one.

    What became of each item stays in the file and is read again when it is asked for. settings: JSON values that the
    vectors depend on; a file with other settings is started again. units: where the record of each begins, in bytes.
    """

    def __init__(self, path: Path, settings: dict[str, Any], dimension: int) -> None:
        self.path = path
        self.units: dict[int, int] = {}
        self._dimension = dimension
        self._counts: dict[int, tuple[int, int]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(path, "a+b", buffering=0)  # noqa: SIM115
        self._end = 0
        try:
            self._load(json.loads(json.dumps({**_MAGIC, "settings": settings, "dimension": dimension})))
        except BaseException:
            self._file.close()
            raise

    def _load(self, header: dict[str, Any]) -> None:
        records = self._records()
        if next(records, None) == (header, 0):
            for content, place in records:
                self._remember(content["unit"], [_outcome(*row) for row in content["outcomes"]], place)
            self._file.truncate(self._end)
        else:
            self._end = 0
            self._file.truncate(0)
            self._write(header, b"")

    def _records(self) -> Iterator[tuple[dict[str, Any], int]]:
        """Each whole record's JSON and where it begins in the file."""
        self._file.seek(0)
        while True:
            prefix = self._file.read(_PREFIX.size)
            if len(prefix) < _PREFIX.size:
                return
            text_size, vector_size, checksum = _PREFIX.unpack(prefix)
            left = os.fstat(self._file.fileno()).st_size - self._end - _PREFIX.size
            if text_size + vector_size > left:
                return
            body = self._file.read(text_size + vector_size)
            if len(body) < text_size + vector_size or zlib.crc32(body) != checksum:
                return
            place = self._end
            self._end += _PREFIX.size + len(body)
            yield json.loads(body[:text_size]), place

    def _write(self, content: dict[str, Any], vectors: bytes) -> int:
        text = json.dumps(content).encode("ascii")
        text += b" " * (-(_PREFIX.size + len(text)) % 4)  # vectors begin where float32 may be mapped
        body = text + vectors
        record = _PREFIX.pack(len(text), len(vectors), zlib.crc32(body)) + body
        if self._file.write(record) != len(record):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        os.fsync(self._file.fileno())
        self._end += len(record)
        return self._end - len(record)

    def append(self, unit: int, outcomes: Sequence[Outcome], vectors: Vectors) -> None:
        """Record a unit for good: vectors (n, D), one for each embedded outcome, in order."""
        rows = list(map(_row, outcomes))
        place = self._write({"unit": unit, "outcomes": rows}, np.ascontiguousarray(vectors, dtype="<f4").tobytes())
        self._remember(unit, outcomes, place)

    def _remember(self, unit: int, outcomes: Sequence[Outcome], place: int) -> None:
        self.units[unit] = place
        self._counts[unit] = len(outcomes), sum(bool(outcome.reason) for outcome in outcomes)

    def counts(self) -> tuple[int, int]:
        """How many items the units hold, and how many of these were skipped."""
        counts = [self._counts[unit] for unit in self.units]
        return sum(done for done, _ in counts), sum(skipped for _, skipped in counts)

    def forget_without(self, known: Container[str]) -> None:
        """Take for undone the units in which a file could not be read, since it may be readable now, and those that
        relied on a vector which was at hand then, but is not among the known now.
        """
        for unit in list(self.units):
            without = (each for each, start in self._unit(unit) if start < 0)
            if any(each.unread or (not each.reason and each.key not in known) for each in without):
                del self.units[unit]

    def outcomes(self) -> Iterator[tuple[Outcome, int]]:
        """What became of each item, unit by unit, and where its vector begins among `numbers`; -1 where it has none."""
        return chain.from_iterable(map(self._unit, sorted(self.units)))

    def _unit(self, unit: int) -> Iterator[tuple[Outcome, int]]:
        self._file.seek(self.units[unit])
        size, _, _ = _PREFIX.unpack(self._file.read(_PREFIX.size))
        rows = json.loads(self._file.read(size))["outcomes"]
        start = (self.units[unit] + _PREFIX.size + size) // 4
        for outcome in (_outcome(*row) for row in rows):
            yield outcome, start if outcome.embedded else -1
            start += self._dimension if outcome.embedded else 0

    def numbers(self) -> Vectors:
        """The file so far as one row of numbers, mapped; a vector (D,) of it is where `outcomes` says."""
        return np.asarray(np.memmap(self.path, dtype="<f4", mode="r", shape=(self._end // 4,)), dtype=np.float32)

    def starts(self) -> dict[str, int]:
        """Where the vector of every key embedded so far begins among `numbers`."""
        starts: dict[str, int] = {}
        for outcome, start in self.outcomes():
            if start >= 0:
                starts.setdefault(outcome.key, start)
        return starts

    def vectors(self) -> Mapping[str, Vectors]:
        """The vector (D,) of every key embedded so far, mapped from the file when it is asked for."""
        return VectorsByKey(self.numbers(), self.starts(), self._dimension)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
