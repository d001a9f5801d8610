"""The vectors a build has at hand, by what they depend on: from the former index, from killed builds, and its own.

Shapes: n vectors gathered at once, D embedding.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crossmodal.index.embedder import Embedder, Vectors, rounding
from crossmodal.index.journal import Journal

__all__ = ["Shelf"]

BLOCK = 1024


class Shelf:
    """Vectors of one kind, "pictures" or "captions", and the journal of the plan under way.

    journal: of just this plan, so that a resumed build repeats the units of the killed one. known: the vectors (D,) at
    hand before this plan began, by key; journals of other plans (the folder changed since the kill) count among them.
    """

    def __init__(
        self, folder: Path, kind: str, plan: Sequence[Any], encoder: Embedder, former: Mapping[str, Vectors]
    ) -> None:
        settings = {"fingerprint": encoder.fingerprint, "preprocessing": encoder.preprocessing}
        settings |= {"runtime": rounds} if (rounds := rounding(encoder)) else {}
        name = f"{kind}-{hashlib.sha256(json.dumps(plan).encode()).hexdigest()[:16]}.journal"
        self.known: dict[str, Vectors] = {}
        for path in sorted(folder.glob(f"{kind}-*.journal")):
            if path.name != name:
                earlier = Journal(path, settings, encoder.dimension)
                self.known.update(earlier.vectors())
                earlier.close()
        self.known.update(former)
        self.journal = Journal(folder / name, settings, encoder.dimension)

    def gather(self, keys: Sequence[str]) -> Iterator[Vectors]:
        """The vectors of some keys, in order, as blocks (n, D)."""
        known, own = self.known, self.journal.vectors()
        for start in range(0, len(keys), BLOCK):
            yield np.stack([known[key] if key in known else own[key] for key in keys[start : start + BLOCK]])

    def close(self) -> None:
        """Let go of the journal."""
        self.journal.close()
