"""Pictures with the words that belong to them, ready to train on or to validate on.

Shapes: N pictures, S side in pixels, V words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import InputError


@dataclass(frozen=True)
class Words:
    """All that labelled pictures may be called.

    texts: T words or sentences.
    ids: their token ids, T rows of any length.
    labels: int64 (T,), what each stands for.
    withheld: bool (T,), whether it is kept out of training.
    """

    texts: tuple[str, ...]
    ids: tuple[Sequence[int], ...]
    labels: NDArray[np.int64]
    withheld: NDArray[np.bool_]

    def of_label(self, label: int) -> tuple[Sequence[int], ...]:
        """Token ids of what a label is called in training."""
        rows = np.flatnonzero((self.labels == label) & ~self.withheld)
        return tuple(self.ids[row] for row in rows)


@dataclass(frozen=True)
class Marked:
    """What a person said of a query's answers.

    ids: the query's token ids.
    liked: rows of pictures.
    disliked: rows of pictures.
    """

    ids: Sequence[int]
    liked: tuple[int, ...]
    disliked: tuple[int, ...]


@dataclass(frozen=True)
class Source:
    """A set of pictures to train on; a batch never mixes two sources.

    name: of the set.
    pixels: uint8 (N, 3, S, S), may be memory-mapped.
    captions: token ids of each picture's captions; of a labelled picture, of the words for its label.
    mirror: whether a mirrored picture keeps its captions true ("left of" does not).
    share: of the pictures, how many are drawn in an epoch, in (0, 1].
    labels: int64 (N,) classes from 0, None where every picture stands for itself; pictures of one label are positives
        of each other.
    words: all that those labels may be called.
    balanced: draw every label equally often.
    marked: queries with a disliked picture among these.
    """

    name: str
    pixels: NDArray[np.uint8]
    captions: tuple[tuple[Sequence[int], ...], ...]
    mirror: bool = True
    share: float = 1.0
    labels: NDArray[np.int64] | None = None
    words: Words | None = None
    balanced: bool = False
    marked: tuple[Marked, ...] = ()

    def __post_init__(self) -> None:
        if len(self.pixels) != len(self.captions):
            raise InputError(f"{self.name}: {len(self.pixels)} pictures but captions of {len(self.captions)}")
        if not 0 < self.share <= 1:
            raise InputError(f"{self.name}: the share drawn in an epoch must be in (0, 1], not {self.share}")
        if not all(self.captions):
            raise InputError(f"{self.name}: a picture without captions cannot be trained on")
        if self.labels is not None and len(self.labels) != len(self.pixels):
            raise InputError(f"{self.name}: {len(self.pixels)} pictures but {len(self.labels)} labels")

    @property
    def owner(self) -> NDArray[np.int64]:
        """The picture of each caption, all captions one after the other."""
        return np.repeat(np.arange(len(self.captions)), [len(captions) for captions in self.captions])

    @property
    def all_captions(self) -> list[Sequence[int]]:
        """Token ids of every caption, picture by picture."""
        return [ids for captions in self.captions for ids in captions]

    def order(self, draw: np.random.Generator) -> NDArray[np.int64]:
        """The rows of one epoch in random order: every picture once, or as many of every label.

        Balanced, a small class comes again and again, each time in another order, and a large one gives way, so that
        an epoch keeps its length.
        """
        count = len(self.captions)
        if not self.balanced or self.labels is None:
            return draw.permutation(count)
        classes = np.unique(self.labels)
        wanted = -(-count // len(classes))
        rows = []
        for label in classes:
            own = np.flatnonzero(self.labels == label)
            rounds = [draw.permutation(own) for _ in range(-(-wanted // len(own)))]
            rows.append(np.concatenate(rounds)[:wanted])
        return draw.permutation(np.concatenate(rows))[:count]
