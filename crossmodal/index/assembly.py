"""From what a build kept and what it read to the rows of the next generation.

Everything comes in the order of the pictures' paths, one after the other, and stays lines in memory or on the disk.

Shapes: N pictures.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
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

__all__ = ["Assembly", "Changes", "Matches", "assemble", "changes_between", "match_rows"]


@dataclass(frozen=True)
class Assembly:
    """Rows of all pictures that can be read, and of their captions.

    facts: of each picture, UNKNOWN where nothing was read of it. starts: where its vector begins among the journal's
    numbers, of twins that of the first; -1 where it is at hand under the SHA-256. embedded: how many pictures were.
    unread: pictures that could not be read now and stand as they were in the former index, and why.
    """

    catalogue: Catalogue
    facts: Rows[Facts]
    starts: NDArray[np.int64]
    embedded: int
    unread: tuple[Skipped, ...] = ()

    def wanted(self) -> Iterator[tuple[str, int]]:
        """Each picture's SHA-256 and where its vector begins, as a shelf gathers them."""
        for picture, start in zip(self.catalogue.each_picture(), self.starts, strict=True):
            yield picture.sha256, int(start)


@dataclass(frozen=True)
class Matches:
    """Files of a folder beside the pictures of a former index.

    rows: (stamps,) the former row of each path, -1 where it had none. untouched: (stamps,) whether the file there
    still looks as it did. gone: stamps of the former pictures whose path is not among these.
    """

    rows: NDArray[np.int64]
    untouched: NDArray[np.bool_]
    gone: list[Stamp]


def match_rows(stamps: Rows[Stamp], former: Catalogue) -> Matches:
    """Find each path in a former catalogue. Both are sorted by path."""
    rows = np.full(len(stamps), -1, dtype=np.int64)
    untouched = np.zeros(len(stamps), dtype=np.bool_)
    gone: list[Stamp] = []
    pictures = enumerate(former.each_picture())
    row, picture = next(pictures, (-1, None))
    for place, stamp in enumerate(stamps.each()):
        while picture is not None and picture.stamp.path < stamp.path:
            gone.append(picture.stamp)
            row, picture = next(pictures, (-1, None))
        if picture is not None and picture.stamp.path == stamp.path:
            rows[place], untouched[place] = row, picture.stamp == stamp
            row, picture = next(pictures, (-1, None))
    if picture is not None:
        gone += [picture.stamp, *(each.stamp for _, each in pictures)]
    return Matches(rows, untouched, gone)


def assemble(
    stamps: Rows[Stamp],
    kept: NDArray[np.int64],
    outcomes: Iterator[tuple[Outcome, int]],
    former: Index | None,
    texts: Rows[Caption],
    before: NDArray[np.int64] | None = None,
) -> Assembly:
    """Put kept rows of the former index and what was read of the other files, in their order, side by side.

    outcomes: with where the vector begins, as a journal gives them. texts: captions, `picture` a row of stamps.
    before: (stamps,) the former row of each path, -1 where it had none; it stays where the file cannot be read now.
    """
    pictures, facts = picture_lines(), fact_lines()
    skipped: list[Skipped] = []
    unread: list[Skipped] = []
    starts, digests, embedded = array("q"), bytearray(), 0
    places = np.full(len(stamps), -1, dtype=np.int64)
    for place, (stamp, kept_row) in enumerate(zip(stamps.each(), kept, strict=True)):
        row = kept_row
        outcome, start = (None, -1) if row >= 0 else next(outcomes)
        if outcome is not None and outcome.unread and before is not None and before[place] >= 0:
            row = before[place]
            unread.append(Skipped(stamp.path, outcome.reason))
        if row >= 0 and former is not None:
            picture = former.catalogue.pictures[row]
            facts.add(UNKNOWN if former.facts is None else former.facts[row])
        elif outcome is not None and not outcome.reason:
            picture = Picture(stamp, outcome.key)
            embedded += outcome.embedded
            facts.add(Facts(*outcome.facts) if outcome.facts else UNKNOWN)
        else:
            skipped.append(Skipped(stamp.path, outcome.reason if outcome is not None else ""))
            continue
        places[place] = len(starts)
        sha256 = picture.sha256
        pictures.add(picture)
        starts.append(start)
        digests += bytes.fromhex(sha256) if start >= 0 else bytes(SHA256)
    said = ((int(places[caption.picture]), caption.text) for caption in texts.each())
    captions = caption_lines().pack(Caption(picture, text) for picture, text in said if picture >= 0)
    catalogue = Catalogue(pictures.rows(), captions, tuple(skipped))
    first, group = first_of_each(digests)
    return Assembly(catalogue, facts.rows(), np.array(starts, dtype=np.int64)[first[group]], embedded, tuple(unread))


@dataclass(frozen=True)
class Changes:
    """How many pictures differ between two catalogues; one that moved counts as renamed only. lost: paths removed."""

    added: int
    changed: int
    renamed: int
    removed: int
    lost: tuple[str, ...] = field(default=(), compare=False)


def changes_between(former: Catalogue, catalogue: Catalogue) -> Changes:
    """Compare pictures by path and SHA-256; both are sorted by path."""
    gone, new, changed = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list), 0
    before = ((picture.stamp.path, 0, picture.sha256) for picture in former.each_picture())
    after = ((picture.stamp.path, 1, picture.sha256) for picture in catalogue.each_picture())
    for path, found in groupby(merge(before, after), key=itemgetter(0)):
        (_, side, sha256), *other = found
        if other:
            changed += sha256 != other[0][2]
        else:
            (gone, new)[side][sha256].append(path)
    lost = sorted(path for sha256, paths in gone.items() for path in paths[len(new.get(sha256, ())) :])
    renamed = sum(map(len, gone.values())) - len(lost)
    return Changes(sum(map(len, new.values())) - renamed, changed, renamed, len(lost), tuple(lost))
