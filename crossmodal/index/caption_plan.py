"""Which captions of a catalogue are to be embedded: each text once, by length, so that little is wasted on padding.

Texts are told apart by their hashes and stay lines on the disk, however many they are.

Shapes: M captions, P texts to embed.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmodal.index.catalogue import Catalogue
from crossmodal.index.journal import Outcome
from crossmodal.index.rows import Lines, Rows

__all__ = ["CaptionPlan", "first_of_each", "plan_captions"]

SHA256 = 32  # bytes


@dataclass(frozen=True)
class CaptionPlan:
    """What is to be embedded. texts: P of them. places: (M,) that of each caption, -1 where its vector is at hand."""

    texts: Rows[str]
    places: NDArray[np.int64]

    def starts(self, outcomes: Iterable[tuple[Outcome, int]]) -> NDArray[np.int64]:
        """(M,): where the vector of each caption begins among a journal's numbers, -1 where it is at hand.

        outcomes: of all texts in order, as that journal gives them.
        """
        starts = np.fromiter((start for _, start in outcomes), dtype=np.int64, count=len(self.texts))
        return np.append(starts, -1)[self.places]


def plan_captions(catalogue: Catalogue, at_hand: Sequence[Container[str]]) -> CaptionPlan:
    """Plan what is not at hand in any of these."""
    digests, lengths, known = bytearray(), array("q"), array("b")
    for caption in catalogue.each_caption():
        digests += hashlib.sha256(caption.text.encode("utf-8", "surrogatepass")).digest()
        lengths.append(len(caption.text))
        known.append(any(caption.text in each for each in at_hand))
    first, group = first_of_each(digests)
    wanted = first[~np.array(known, dtype=np.bool_)[first]]
    rows = wanted[np.lexsort((wanted, np.array(lengths)[wanted]))]
    place_of = np.full(len(first), -1, dtype=np.int64)
    place_of[group[rows]] = np.arange(len(rows))
    texts = Lines("texts", (str,), _text, lambda text: [text]).pack(catalogue.captions[row].text for row in rows)
    return CaptionPlan(texts, place_of[group])


def first_of_each(digests: bytearray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of hashes (M × 32 bytes): where each is met first, (groups,), and the group of each, (M,)."""
    _, first, group = np.unique(np.frombuffer(digests, f"S{SHA256}"), return_index=True, return_inverse=True)
    return first, group


def _text(row: list[Any]) -> str:
    return str(row[0])
