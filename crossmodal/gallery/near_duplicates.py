"""One picture stored twice: the same bytes, or the same picture recompressed, resized or slightly cropped.

Shapes: N pictures, D embedding.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import InputError
from crossmodal.index import Index

__all__ = ["THRESHOLD", "group_of", "near_duplicates"]

THRESHOLD = 0.94  # cosine; `near_duplicates` says how it was chosen
PICTURES_AT_ONCE = 512
"""Compared with all later ones in one product, whose cosines take 60 MB in a gallery of 31,000."""


def near_duplicates(index: Index, threshold: float = THRESHOLD) -> tuple[tuple[int, ...], ...]:
    """Groups of rows that hold one picture more than once, each ascending, by their first row.

    A picture belongs to a group if its bytes are those of a member, or if its vector's cosine with the group's first
    picture is at least `threshold`: with the first, not with any, so that no chain of pictures that each resemble the
    next can grow into one group. Every pair is compared.

    The default was chosen on photos, with the starter. Of Flickr8k's 25 million pairs one is a true copy (equal bytes);
    the next, from 0.932 down, are different photos of one scene or one sport. Of copies made by code of 60 photos of
    500 pixels, 0.94 finds all at JPEG quality 60, shrunk to 224×224 or cropped by 2 %; 97 % cropped by 5 %, 90 % at
    quality 30, 75 % to 88 % at half their side, and few that lost more: no cosine tells those from other photos.

    Raises InputError unless 0 < threshold <= 1.
    """
    first = group_of(index, threshold)
    order = np.argsort(first, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(first[order])) + 1)
    return tuple(tuple(group.tolist()) for group in groups if len(group) > 1)


def group_of(index: Index, threshold: float = THRESHOLD) -> NDArray[np.int64]:
    """(N,): the first row of each picture's group; its own row for a picture that is in none.

    Raises InputError unless 0 < threshold <= 1.
    """
    if not 0 < threshold <= 1:
        raise InputError(f"the threshold must be a cosine above 0 and at most 1, not {threshold}")
    same = _same_bytes(index)
    rows = np.unique(same)  # one of each content
    leader = _nearest_leader(np.asarray(index.image_vectors)[rows], threshold)
    return rows[leader][np.searchsorted(rows, same)]


def _same_bytes(index: Index) -> NDArray[np.int64]:
    """(N,): the first row with the same bytes."""
    seen: dict[str, int] = {}
    pictures = enumerate(index.catalogue.pictures)
    return np.array([seen.setdefault(picture.sha256, row) for row, picture in pictures], dtype=np.int64)


def _nearest_leader(vectors: NDArray[np.float32], threshold: float) -> NDArray[np.int64]:
    """(N,): each row's leader. In their order, rows that no earlier leader resembles lead; the others go to the
    leader they resemble most."""
    leader = np.arange(len(vectors))
    best = np.full(len(vectors), threshold, dtype=np.float32)  # cosine with the leader so far
    for start in range(0, len(vectors), PICTURES_AT_ONCE):
        block = vectors[start : start + PICTURES_AT_ONCE] @ vectors[start:].T
        near = (block >= threshold).sum(1) > 1  # a row resembles itself
        for row in np.flatnonzero(near):
            own = start + row
            if leader[own] != own:
                continue
            cosines = block[row, row + 1 :]
            closer = own + 1 + np.flatnonzero(cosines >= best[own + 1 :])
            leader[closer] = own
            best[closer] = cosines[closer - own - 1]
    return leader
