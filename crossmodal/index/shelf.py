"""The vectors a build has at hand, by what they depend on: from the former index, from killed builds, and its own.

Shapes: n vectors gathered at once, D embedding.
"""

from __future__ import annotations

import hashlib
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from crossmodal.index.embedder import Embedder, Vectors, rounding
from crossmodal.index.journal import Journal

__all__ = ["Shelf", "remove_journals"]

BLOCK = 1024


class Shelf:
    """Vectors of one kind, "pictures" or "captions", and the journal of the plan under way.

    plan: bytes that say what is to be embedded, and how it is divided. former: vectors (D,) by key, the first to hold
    a key counts. journal: of just this plan, so that a resumed build repeats the units of the killed one. known: all
    vectors at hand before this plan began; journals of other plans (the folder changed since the kill) count last.
    """

    def __init__(
        self,
        folder: Path,
        kind: str,
        plan: Iterable[bytes | memoryview],
        encoder: Embedder,
        former: Iterable[Mapping[str, Vectors]],
    ) -> None:
        settings = {"fingerprint": encoder.fingerprint, "preprocessing": encoder.preprocessing}
        settings |= {"runtime": rounds} if (rounds := rounding(encoder)) else {}
        digest = hashlib.sha256()
        for piece in plan:
            digest.update(piece)
        name = f"{kind}-{digest.hexdigest()[:16]}.journal"
        at_hand: list[Any] = list(former)
        for path in sorted(folder.glob(f"{kind}-*.journal"), reverse=True):
            if path.name != name:
                earlier = Journal(path, settings, encoder.dimension)
                at_hand.append(earlier.vectors())
                earlier.close()
        self.known: Mapping[str, Vectors] = ChainMap(*at_hand)
        self.journal = Journal(folder / name, settings, encoder.dimension)
        self.journal.forget_without(self.known)
        self._dimension = encoder.dimension

    def gather(self, wanted: Iterable[tuple[str, int]]) -> Iterator[Vectors]:
        """The vectors of some keys, in order, as blocks (n, D); each known, or else where the journal's numbers say."""
        numbers, size = self.journal.numbers(), self._dimension
        rows = (self.known[key] if key in self.known else numbers[start : start + size] for key, start in wanted)
        while block := list(islice(rows, BLOCK)):
            yield np.stack(block)

    def close(self) -> None:
        """Let go of the journal."""
        self.journal.close()


def remove_journals(folder: Path) -> None:
    """Remove what killed builds left, and the folder if nothing else is in it."""
    with suppress(OSError):
        for path in folder.glob("*-*.journal"):
            path.unlink()
        folder.rmdir()
