"""What a build has to do: folder and captions as they are now beside the former index. Pure functions, no disk.

Everything comes in the order of the pictures' paths.

Shapes: P files of the folder, M captions.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import merge
from itertools import groupby
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from crossmodal.index.catalogue.rows import UNKNOWN, Catalogue, Picture, Skipped, Stamp
from crossmodal.index.journal import Outcome

__all__ = ["Changes", "Plan", "Row", "caption_order", "changes_between", "plan_pictures", "rows_of"]


@dataclass(frozen=True)
class Plan:
    """Files of a folder beside the pictures of a former index.

    rows: (P,) the former row of each path, -1 where it had none.
    kept: (P,) whether the file looks untouched and all is known of it, so that it is not opened.
    gone: stamps of the former pictures whose path is not among the files.
    """

    rows: NDArray[np.int64]
    kept: NDArray[np.bool_]
    gone: tuple[Stamp, ...]


def plan_pictures(stamps: Iterable[Stamp], former: Catalogue) -> Plan:
    """Find each file in a former catalogue. Both stand by path."""
    rows, kept, gone = array("q"), array("b"), list[Stamp]()
    pictures = enumerate(former.each_picture())
    row, picture = next(pictures, (-1, None))
    for stamp in stamps:
        while picture is not None and picture.stamp.path < stamp.path:
            gone.append(picture.stamp)
            row, picture = next(pictures, (-1, None))
        found = picture is not None and picture.stamp.path == stamp.path
        rows.append(row if found else -1)
        kept.append(picture is not None and picture.stamp == stamp and picture.facts != UNKNOWN)
        if found:
            row, picture = next(pictures, (-1, None))
    if picture is not None:
        gone += [picture.stamp, *(each.stamp for _, each in pictures)]
    return Plan(np.array(rows, dtype=np.int64), np.array(kept, dtype=np.bool_), tuple(gone))


@dataclass(frozen=True, slots=True)
class Row:
    """What becomes of one file.

    row: what the catalogue says of it.
    unread: why it could not be read, where it stands as it was in the former index.
    embedded: whether a vector was made of it.
    """

    row: Picture | Skipped
    unread: str = ""
    embedded: bool = False


def rows_of(
    stamps: Iterable[Stamp], plan: Plan, former: Sequence[Picture], outcome_of: Callable[[Stamp], Outcome | None]
) -> Iterator[Row]:
    """The rows of the next generation: kept, read just now, or as before where a file cannot be read now.

    outcome_of: what became of a file that is not kept.
    """
    for stamp, before, kept in zip(stamps, plan.rows, plan.kept, strict=True):
        outcome = None if kept else outcome_of(stamp)
        if outcome is None:
            yield Row(former[before] if kept else Skipped(stamp.path, "was not read: run again"))
        elif not outcome.reason:
            yield Row(Picture(stamp, outcome.sha256, outcome.facts), embedded=outcome.embedded)
        elif outcome.unread and before >= 0:
            yield Row(former[before], outcome.reason)
        else:
            yield Row(Skipped(stamp.path, outcome.reason))


@dataclass(frozen=True)
class Changes:
    """How many pictures differ between two catalogues.

    added: that are new.
    changed: of another content under the same path.
    renamed: under another path; such a one counts here only.
    removed: that are in the first alone.
    lost: their paths.
    """

    added: int
    changed: int
    renamed: int
    removed: int
    lost: tuple[str, ...] = field(default=(), compare=False)


def changes_between(former: Catalogue, catalogue: Catalogue) -> Changes:
    """Compare pictures by path and SHA-256. Both stand by path."""
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


def caption_order(texts: Iterable[str], known: Container[str]) -> NDArray[np.int64]:
    """Which captions are to be embedded: each text once, by length, so that little is wasted on padding.

    texts: M of them.
    known: those that have a vector.

    Returns the rows (n,) of the texts, the shortest first; texts are told apart by their hashes, however many.
    """
    lengths, hashes, unknown = list[int](), bytearray(), list[bool]()
    for text in texts:
        hashes += hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        lengths.append(len(text))
        unknown.append(text not in known)
    _, first = np.unique(np.frombuffer(hashes, "S32"), return_index=True)
    wanted = first[np.array(unknown, dtype=np.bool_)[first]]
    return np.asarray(wanted[np.lexsort((wanted, np.array(lengths, dtype=np.int64)[wanted]))], dtype=np.int64)
