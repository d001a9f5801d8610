"""Hits put in another order by a pair scorer, which judges a picture with a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import ImageError, InputError
from crossmodal.search.query import QueryLike, compose
from crossmodal.search.ranking import open_picture, picture_of
from crossmodal.search.searcher import Hit, Searcher

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["ScoresPairs", "rerank"]


class ScoresPairs(Protocol):
    """What re-ordering asks of a pair scorer."""

    def probabilities(self, images: Sequence[Image], texts: Sequence[str]) -> NDArray[np.float32]:
        """Pictures and sentences, pair by pair → probability that they belong together (N,)."""


def rerank(searcher: Searcher, query: QueryLike, hits: Sequence[Hit], scorer: ScoresPairs) -> list[Hit]:
    """Hits by the probability of a pair scorer, best first; scores stay the cosines they were found by.

    query: what the hits were found with. A found picture that is gone from the disk or unreadable keeps no probability
    and comes last.

    Raises InputError unless the query is one sentence or one picture, and each pair is a picture and a sentence.
    """
    term = compose(query).single
    if term is None:
        raise InputError(
            "a pair scorer judges one sentence or one picture: it cannot re-order a query of several terms"
        )
    pairs: list[tuple[int, Image, str]] = []
    if isinstance(term.content, str):
        if any(hit.caption is not None for hit in hits):
            raise InputError("a pair scorer judges a picture with a sentence, not two sentences: look for images")
        for place, hit in enumerate(hits):
            with suppress(ImageError):
                pairs.append((place, open_picture(searcher.image_path(hit)), term.content))
    else:
        picture = picture_of(term, searcher.index)
        captions = [hit.caption for hit in hits]
        if None in captions:
            raise InputError("a pair scorer judges a picture with a sentence, not two pictures: look for captions")
        pairs = [(place, picture, caption) for place, caption in enumerate(captions) if caption is not None]
    scores = scorer.probabilities([image for _, image, _ in pairs], [text for _, _, text in pairs])
    found = {place: float(score) for (place, _, _), score in zip(pairs, scores, strict=True)}
    order = sorted(range(len(hits)), key=lambda place: (-found.get(place, -1.0), place))
    return [replace(hits[place], rank=rank, probability=found.get(place)) for rank, place in enumerate(order, 1)]
