"""One pass over all cosines of a gallery's captions with its pictures: what every finding of the doctor is made from.

Shapes: N pictures, M captions, D embedding, K first places.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import InputError
from crossmodal.index import Index, Vectors, build_command

__all__ = ["SURVEYING", "Survey", "closest_siblings", "survey"]


@dataclass(frozen=True)
class Surveying:
    """How captions are compared with pictures.

    places: of the pictures that fit a caption best, how many are kept: as many as a search shows by default, so that
        a hub is a picture that people do see everywhere.
    margin: a difference of cosines; a picture that stands less below a caption's own fits the caption as well.
    closest: siblings that speak for a caption. Two: captions of a picture often tell different things of it, and two
        that say much the same are evidence enough.
    block: captions compared with all pictures at once; their cosines take 8 MB in a gallery of 8,000.
    """

    places: int = 10
    margin: float = 0.05
    closest: int = 2
    block: int = 256


SURVEYING = Surveying()
Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Survey:
    """What is known of each of M captions.

    owner: (M,) the row of its picture.
    cosine: (M,) with its picture.
    mean: (M,) of its cosines with all pictures.
    spread: (M,) standard deviation of these.
    rank: (M,) of its picture among all, from 1; a picture that fits equally well ranks before it.
    within: (M,) how many other pictures fit it as well, but for a margin.
    best: (M, K) rows of the pictures that fit it best, best first.
    best_cosine: (M, K) their cosines.
    sibling: (M,) mean cosine with the two closest of its picture's other captions, nan where there is none; one of the
        very same words is no other.
    """

    owner: Rows
    cosine: Floats
    mean: Floats
    spread: Floats
    rank: Rows
    within: Rows
    best: Rows
    best_cosine: Floats
    sibling: Floats


def survey(index: Index, progress: Callable[[int, int], None] | None = None) -> Survey:
    """Compare every caption of an index with every picture and with its siblings; no picture and no text is read.

    progress: called with captions done and all. Memory: some hundred bytes a caption. Work: 2·N·M·D operations, half a
    minute on one core for 8,000 pictures with five captions each.

    Raises InputError if the index has no captions.
    """
    captions = index.catalogue.captions
    if not captions:
        raise InputError(
            f"the index {index.path} has no captions to examine: give a captions file, "
            f"`{build_command(index.manifest, index.path)} --captions FILE`"
        )
    owner = np.array([caption.picture for caption in captions], dtype=np.int64)
    images = np.ascontiguousarray(index.image_vectors)
    parts = []
    step = SURVEYING.block
    for start in range(0, len(owner), step):
        block = slice(start, start + step)
        parts.append(_compare(index.caption_vectors[block] @ images.T, owner[block]))
        if progress:
            progress(min(start + step, len(owner)), len(owner))
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    sibling = closest_siblings(index, np.arange(len(owner)), owner)
    return Survey(owner=owner, sibling=sibling, **columns)


def _compare(cosines: Vectors, owner: Rows) -> dict[str, NDArray[Any]]:
    """The columns of a survey, from cosine to best_cosine, of some captions with all pictures (m, N)."""
    line = np.arange(len(owner))
    own = cosines[line, owner]
    count = min(SURVEYING.places, cosines.shape[1])
    best = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
    order = np.lexsort((best, -cosines[line[:, None], best]), axis=1)
    best = best[line[:, None], order]
    return {
        "cosine": own.astype(np.float64),
        "mean": cosines.mean(1, dtype=np.float64),
        "spread": cosines.std(1, dtype=np.float64),
        "rank": (cosines >= own[:, None]).sum(1),
        "within": (cosines > own[:, None] - SURVEYING.margin).sum(1) - 1,
        "best": best,
        "best_cosine": cosines[line[:, None], best].astype(np.float64),
    }


def closest_siblings(index: Index, rows: Rows, pictures: Rows) -> Floats:
    """Mean cosine (m,) of captions with the two closest captions of a picture each, their own or another.

    rows, pictures: (m,). A caption of the same words does not count; nan where no other is left.
    """
    texts, first = [caption.text for caption in index.catalogue.captions], index.caption_rows
    found = np.full(len(rows), np.nan)
    for place, (row, picture) in enumerate(zip(rows.tolist(), pictures.tolist(), strict=True)):
        begin, end = int(first[picture]), int(first[picture + 1])
        others = [other for other in range(begin, end) if texts[other] != texts[row]]
        if others:
            cosines = index.caption_vectors[others] @ index.caption_vectors[row]
            found[place] = np.sort(cosines)[-SURVEYING.closest :].mean()
    return found
