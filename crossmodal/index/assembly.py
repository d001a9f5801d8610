"""From what a build kept and what it read to the rows of the next generation.

Everything comes in the order of the pictures' paths, one after the other, and stays lines in memory or on the disk.

Shapes: N pictures.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import merge
from itertools import groupby
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from crossmodal.index.caption_plan import SHA256, first_of_each
from crossmodal.index.catalogue import Caption, Catalogue, Picture, Skipped, Stamp, caption_lines, picture_lines
from crossmodal.index.fact_rows import UNKNOWN, Facts, fact_lines
from crossmodal.index.journal import Outcome
from crossmodal.index.rows import Rows
from crossmodal.index.store import Index

__all__ = ["Assembly", "Changes", "assemble", "changes_between", "rows_kept"]


@dataclass(frozen=True)
class Assembly:
    """Rows of all pictures that can be read, and of their captions.

    facts: of each picture, UNKNOWN where nothing was read of it. starts: where its vector begins among the journal's
    numbers, of twins that of the first; -1 where it is at hand under the SHA-256. embedded: how many pictures were.
    """

    catalogue: Catalogue
    facts: Rows[Facts]
    starts: NDArray[np.int64]
    embedded: int

    def wanted(self) -> Iterator[tuple[str, int]]:
        """Each picture's SHA-256 and where its vector begins, as a shelf gathers them."""
        for picture, start in zip(self.catalogue.each_picture(), self.starts, strict=True):
            yield picture.sha256, int(start)


def rows_kept(stamps: Rows[Stamp], former: Index) -> NDArray[np.int64]:
    """(stamps,): the row in a former index of each file that looks untouched, -1 of the others. Both are sorted."""
    kept = np.full(len(stamps), -1, dtype=np.int64)
    pictures = enumerate(former.catalogue.each_picture())
    row, picture = next(pictures, (-1, None))
    for place, stamp in enumerate(stamps.each()):
        while picture is not None and picture.stamp.path < stamp.path:
            row, picture = next(pictures, (-1, None))
        if picture is not None and picture.stamp == stamp:
            kept[place] = row
    return kept


def assemble(
    stamps: Rows[Stamp],
    kept: NDArray[np.int64],
    outcomes: Iterator[tuple[Outcome, int]],
    former: Index | None,
    texts: Rows[Caption],
) -> Assembly:
    """Put kept rows of the former index and what was read of the other files, in their order, side by side.

    outcomes: with where the vector begins, as a journal gives them. texts: captions, `picture` a row of stamps.
    """
    pictures, facts = picture_lines(), fact_lines()
    skipped: list[Skipped] = []
    starts, digests, embedded = array("q"), bytearray(), 0
    places = np.full(len(stamps), -1, dtype=np.int64)
    for place, (stamp, row) in enumerate(zip(stamps.each(), kept, strict=True)):
        if row >= 0 and former is not None:
            sha256, start = former.catalogue.pictures[row].sha256, -1
            facts.add(UNKNOWN if former.facts is None else former.facts[row])
        else:
            outcome, start = next(outcomes)
            if outcome.reason:
                skipped.append(Skipped(stamp.path, outcome.reason))
                continue
            sha256 = outcome.key
            embedded += outcome.embedded
            facts.add(Facts(*outcome.facts) if outcome.facts else UNKNOWN)
        places[place] = len(starts)
        pictures.add(Picture(stamp, sha256))
        starts.append(start)
        digests += bytes.fromhex(sha256) if start >= 0 else bytes(SHA256)
    said = ((int(places[caption.picture]), caption.text) for caption in texts.each())
    captions = caption_lines().pack(Caption(picture, text) for picture, text in said if picture >= 0)
    catalogue = Catalogue(pictures.rows(), captions, tuple(skipped))
    first, group = first_of_each(digests)
    return Assembly(catalogue, facts.rows(), np.array(starts, dtype=np.int64)[first[group]], embedded)


@dataclass(frozen=True)
class Changes:
    """How many pictures differ between two catalogues; one that moved counts as renamed only."""

    added: int
    changed: int
    renamed: int
    removed: int


def changes_between(former: Catalogue, catalogue: Catalogue) -> Changes:
    """Compare pictures by path and SHA-256; both are sorted by path."""
    gone, new, changed = Counter[str](), Counter[str](), 0
    before = ((picture.stamp.path, 0, picture.sha256) for picture in former.each_picture())
    after = ((picture.stamp.path, 1, picture.sha256) for picture in catalogue.each_picture())
    for _, found in groupby(merge(before, after), key=itemgetter(0)):
        (_, side, sha256), *other = found
        if other:
            changed += sha256 != other[0][2]
        else:
            (gone, new)[side][sha256] += 1
    renamed = (gone & new).total()
    return Changes(new.total() - renamed, changed, renamed, gone.total() - renamed)
