"""What is taught and what is kept back: an index's own vectors, split by picture, with the marks of its user.

Shapes: N pictures, M captions, Q marked queries, T = M + Q texts, D embedding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import InputError
from crossmodal.gallery.feedback import Feedback, query_of
from crossmodal.gallery.near_duplicates import group_of
from crossmodal.index import Index, Vectors, build_command
from crossmodal.inference.base import Encoder
from crossmodal.search.ranking import compose_vectors

__all__ = ["FEWEST", "HELD_OUT", "Marked", "Progress", "SplitVectors", "split_index"]

HELD_OUT, VALIDATION = 0.2, 0.125  # shares: of all captioned pictures; of those that are left
MOST_HELD_OUT, MOST_VALIDATION = 2000, 500
IN_MEMORY = 1_000_000_000  # bytes of a vector file that are read at once
FEWEST = 50  # captioned pictures, below which nothing can be learned and judged

Rows = NDArray[np.int64]
Progress = Callable[[str, int, int], None]  # what is done, done, total


@dataclass(frozen=True)
class Marked:
    """A query with what was said of its answers.

    text: row among the texts.
    liked: rows of pictures.
    disliked: rows of pictures.
    """

    text: int
    liked: Rows
    disliked: Rows


@dataclass(frozen=True)
class SplitVectors:
    """Vectors and who belongs to whom.

    images: (N, D), unit length.
    captions: (M, D), unit length.
    queries: (Q, D), of the marked queries.
    said: (T,), equal numbers for equal texts; T texts are captions, then queries.
    owned: of each picture the rows of its captions.
    groups: (N,), equal for pictures that are one picture stored twice.
    train: rows of captioned pictures to learn from.
    validation: rows of those that choose the mixture.
    held_out: rows of those that judge it.
    marked: what was said of training pictures alone.
    left_out: how many marks are of other pictures.
    """

    images: Vectors
    captions: Vectors
    queries: Vectors
    said: Rows
    owned: tuple[Rows, ...]
    groups: Rows
    train: Rows
    validation: Rows
    held_out: Rows
    marked: tuple[Marked, ...] = ()
    left_out: int = 0

    def texts(self, rows: Rows) -> Vectors:
        """The vectors of captions and, from row M on, of marked queries."""
        found = np.empty((len(rows), self.images.shape[1]), dtype=np.float32)
        caption = rows < len(self.captions)
        found[caption] = self.captions[rows[caption]]
        found[~caption] = self.queries[rows[~caption] - len(self.captions)]
        return found


def split_index(index: Index, encoder: Encoder, seed: int, feedback: Feedback | None = None) -> SplitVectors:
    """Split an index's captioned pictures by the seed: a fifth held out, at most 2,000; of the rest an eighth, at most
    500, to validate on. Pictures stored twice stay together.

    Marks count for pictures of the training share alone; left_out says how many others there are.
    Raises InputError for too few captioned pictures, or too few that are not one and the same.
    """
    count = len(index.catalogue.pictures)
    owned = tuple(np.arange(*span) for span in zip(index.caption_rows[:-1], index.caption_rows[1:], strict=True))
    captioned = np.array([row for row in range(count) if len(owned[row])], dtype=np.int64)
    if len(captioned) < FEWEST:
        command = build_command(index.manifest, index.path)
        command += "" if index.manifest.captions else " --captions FILE"
        raise InputError(
            f"the index {index.path} has {len(captioned)} pictures with captions, and teaching needs {FEWEST}: write "
            f"captions for more of them and run `{command}`"
        )
    groups = group_of(index)
    train, validation, held_out = _parts(captioned, groups, seed)
    if not all(len(rows) > 1 for rows in (train, validation, held_out)):
        raise InputError(
            f"the checkpoint {index.manifest.checkpoint['name']} hardly tells its pictures apart: nearly all of "
            f"{index.path} counts as one picture stored many times; build the index with another --checkpoint DIR"
        )
    keys, marked, left_out = _marks(index, feedback, set(train.tolist()))
    vectors = [compose_vectors(query_of(key), index, lambda: encoder).vector for key in keys]
    queries = np.array(vectors, dtype=np.float32).reshape(len(keys), index.manifest.dimension)
    numbers: dict[str, int] = {}
    spoken = [*(caption.text for caption in index.catalogue.captions), *keys]
    said = np.array([numbers.setdefault(" ".join(text.casefold().split()), len(numbers)) for text in spoken])
    return SplitVectors(
        _at_hand(index.image_vectors), _at_hand(index.caption_vectors), queries, said, owned, groups, train,
        validation, held_out, marked, left_out,
    )  # fmt: skip


def _at_hand(vectors: Vectors) -> Vectors:
    """Mapped vectors in memory, if there is room: batches are drawn from all over the file."""
    return np.array(vectors) if vectors.nbytes <= IN_MEMORY else vectors


def _parts(captioned: Rows, groups: Rows, seed: int) -> tuple[Rows, Rows, Rows]:
    """Rows to train on, to validate on and to hold out, each ascending; groups are never divided."""
    draw = np.random.default_rng(seed)
    order = draw.permutation(np.unique(groups[captioned]))
    rank = np.empty(int(groups.max()) + 1, dtype=np.int64)
    rank[order] = np.arange(len(order))
    shuffled = captioned[np.argsort(rank[groups[captioned]], kind="stable")]
    held = min(round(HELD_OUT * len(shuffled)), MOST_HELD_OUT)
    kept = min(round(VALIDATION * (len(shuffled) - held)), MOST_VALIDATION)
    edges = [_group_end(groups[shuffled], edge) for edge in (held, held + kept)]
    held_out, validation, train = np.split(shuffled, edges)
    return np.sort(train), np.sort(validation), np.sort(held_out)


def _group_end(groups: Rows, edge: int) -> int:
    """The first edge from here on that does not divide a group."""
    while 0 < edge < len(groups) and groups[edge] == groups[edge - 1]:
        edge += 1
    return edge


def _marks(index: Index, feedback: Feedback | None, train: set[int]) -> tuple[list[str], tuple[Marked, ...], int]:
    """Keys of the queries with a mark on a training picture, those marks, and the number of all others."""
    keys: list[str] = []
    marked: list[Marked] = []
    left_out = 0
    for key in feedback.queries() if feedback is not None else ():
        marks = feedback.marks(key).items() if feedback is not None else ()
        rows = {1: [], -1: []}  # type: dict[int, list[int]]
        for path, mark in marks:
            row = index.row_of.get(path)
            if row is None or row not in train:
                left_out += 1
            else:
                rows[mark].append(row)
        if any(rows.values()):
            text = len(index.catalogue.captions) + len(keys)
            keys.append(key)
            marked.append(Marked(text, *(np.array(rows[mark], dtype=np.int64) for mark in (1, -1))))
    return keys, tuple(marked), left_out
