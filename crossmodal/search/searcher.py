"""Queries to hits: words or a picture in, the nearest pictures or captions of an index out.

Shapes: N items, D embedding, k hits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from crossmodal._files import CHECKPOINTS, PROJECT
from crossmodal.errors import CheckpointError, InputError
from crossmodal.index import (
    PICTURE_TO_CAPTIONS,
    WORDS_TO_IMAGES,
    Index,
    Manifest,
    Vectors,
    build_command,
    check_encoder,
    open_index,
)
from crossmodal.index.calibration.relevance import Relevance
from crossmodal.inference.base import Encoder
from crossmodal.search.fusion import DEPTH, fuse, ranked_by_words
from crossmodal.search.query import BY, TARGETS, Indexed, Query, QueryLike, Term, TermLike, compose
from crossmodal.search.ranking import (
    Channel,
    Composed,
    Found,
    Mask,
    channel_of,
    compose_vectors,
    gather_evidence,
    row_of,
)

__all__ = [
    "DEFAULT_COUNT", "Hit", "SearchResult", "Searcher", "open_searcher", "recorded_checkpoint",
]  # fmt: skip

DEFAULT_COUNT = 10


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer.

    rank: from 1.
    score: what it was ranked by: the exact cosine of the query with what was found, in [-1, 1]; by captions or both,
        what `channel_of` says; by words or all, see `Searcher.search`, above 0.
    path: of the picture, relative to the images folder.
    caption: the caption found; None where the picture itself was.
    probability: of a pair scorer that re-ordered the hits, in [0, 1]; None where none did.
    relevance: calibrated probability that it matches, in [0, 1]; None where the index has none for such a question.
    shares: what each term of a composed query adds to the score, in their order; they sum to it. None for a query of
        one term, and where scores are no sums: by words or all.
    """

    rank: int
    score: float
    path: str
    caption: str | None = None
    probability: float | None = None
    relevance: float | None = None
    shares: tuple[float, ...] | None = None

    def as_dict(self) -> dict[str, int | float | str | list[float]]:
        """All of it as JSON values; what is None is left out."""
        values: dict[str, int | float | str | list[float]] = {"rank": self.rank, "score": self.score, "path": self.path}
        optional = {"caption": self.caption, "probability": self.probability, "relevance": self.relevance}
        values |= {name: value for name, value in optional.items() if value is not None}
        return values if self.shares is None else values | {"shares": list(self.shares)}


@dataclass(frozen=True, slots=True)
class SearchResult(Sequence[Hit]):
    """The hits of a query, best first, as a sequence, and whether they are any good.

    hits: what was found.
    match: probability that the gallery holds a match at all, in [0, 1]; None where the index cannot tell.
    anything_here: False where that is so low that nothing here seems to match.
    total: how many could be found, were k large enough.
    weights: what each term of a composed query counted: its share of a hit's score is this × its own cosine with the
        hit. None for a query of one term.
    """

    hits: tuple[Hit, ...]
    match: float | None = None
    anything_here: bool = True
    total: int = 0
    weights: tuple[float, ...] | None = None

    @overload
    def __getitem__(self, place: int) -> Hit: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Hit, ...]: ...
    def __getitem__(self, place: int | slice) -> Hit | tuple[Hit, ...]:
        return self.hits[place]

    def __len__(self) -> int:
        return len(self.hits)


class Searcher:
    """An index together with the encoder it was built with.

    encoder: the encoder, or what loads it; then the first question that needs it has it loaded.

    Raises IndexMismatchError if the index was built with another checkpoint or other preprocessing; where the encoder
    is yet to be loaded, the use of `encoder` raises it.
    """

    def __init__(self, index: Index, encoder: Encoder | Callable[[], Encoder]) -> None:
        self.index = index
        self._encoder: Encoder | None = None
        self._loading = threading.Lock()
        self._channels: dict[tuple[str, str], Channel] = {}
        if callable(encoder):
            self._load = encoder
        else:
            check_encoder(index.manifest, encoder, index.path)
            self._encoder = encoder

    @property
    def encoder(self) -> Encoder:
        """What encodes questions, loaded by the first use. Raises what its loading does, or IndexMismatchError."""
        with self._loading:
            if self._encoder is None:
                loaded = self._load()
                check_encoder(self.index.manifest, loaded, self.index.path)
                self._encoder = loaded
            return self._encoder

    @property
    def is_ready(self) -> bool:
        """Whether the encoder is loaded."""
        return self._encoder is not None

    @property
    def image_count(self) -> int:
        """Pictures that can be found."""
        return len(self.index.catalogue.pictures)

    @property
    def caption_count(self) -> int:
        """Captions that can be found; 0 for an index built without a captions file."""
        return len(self.index.catalogue.captions)

    @property
    def root(self) -> Path:
        """The folder that the paths of hits start from."""
        return self.index.root

    @property
    def manifest(self) -> Manifest:
        """What the index was built from."""
        return self.index.manifest

    def search(
        self,
        query: QueryLike | None,
        k: int = DEFAULT_COUNT,
        to: str | None = None,
        *,
        plus: Sequence[TermLike] = (),
        minus: Sequence[TermLike] = (),
        by: str = "pictures",
        within: Mask | None = None,
        own: bool = False,
    ) -> SearchResult:
        """The k best hits for a query, best first; all there are where k is larger.

        query: a str is always words; a picture comes as a Path, its bytes, a PIL image, or Indexed for one of the
            gallery; None for plus alone.
        k: how many hits.
        to: "images" or "captions"; left out, a picture alone finds captions, all else images.
        plus: what else to look for, see `compose`.
        minus: what to take away, see `compose`.
        by: what pictures are ranked by and what their score is: cosine with the "pictures", mean cosine with their
            "captions", or "both", see `channel_of`; BM25 of the "words" in captions and file names, for which nothing
            is encoded; or "all", the rankings by pictures, captions and words fused, see `fuse`.
        within: (N,), the pictures that may be found, or whose captions; None for all.
        own: whether pictures of the gallery that are looked for may be found themselves.

        Equal scores are ordered by path. Probabilities are those of one sentence or one whole picture; composed
        queries have none. A hit's is about the whole gallery, so it stays the same within a part of it, where `match`
        and `anything_here` claim nothing. It holds however pictures are ranked, if the index knows several captions of
        them (benchmarks/scoring.py).

        Raises InputError if the query is empty, k < 1, to or by is unknown, captions are asked of an index without
        any, within has another shape, or as `compose`; ImageError if a picture cannot be decoded.
        """
        asked = compose(query, plus, minus)
        target = asked.usual_target if to is None else to
        within = None if within is None else np.asarray(within)
        self._check(k, target, by, within)
        allowed = self._allowed(asked, target, within, own)
        if by == "words":
            found = ranked_by_words(self.index, asked, allowed)
            hits = self._hits(target, found.rows[:k], found.scores[:k])
            return SearchResult(hits, None, bool(hits), found.total)
        by = by if self.caption_count or by == "all" else "pictures"
        composed = compose_vectors(asked, self.index, lambda: self.encoder)
        if by == "all":
            found = self._fused(asked, composed, k, allowed)
        else:
            found = self._channel(target, by).nearest(composed, k, allowed)
        return self._judged(asked, composed, found, target, by, whole=within is None)

    def _judged(
        self, asked: Query, composed: Composed, found: Found, target: str, by: str, whole: bool
    ) -> SearchResult:
        """What was found, with shares of a composed query or probabilities of a single term.

        whole: whether all of the gallery was searched, so that something can be said of it.
        """
        single = asked.single
        if single is None and by != "all":
            parts = self._channel(target, by).shares(composed, found.rows).tolist()
            hits = self._hits(target, found.rows, found.scores, shares=map(tuple, parts))
            return SearchResult(hits, total=found.total, weights=tuple(composed.weights.tolist()))
        relevance = None if single is None else self._relevance(single, target, by)
        if relevance is None or not len(found.rows):
            return SearchResult(self._hits(target, found.rows, found.scores), total=found.total)
        evidence = gather_evidence(self.index, composed.vector, target, relevance.channels, found.rows)
        match, chances = relevance.judge(*evidence)
        hits = self._hits(target, found.rows, found.scores, chances.tolist())
        if not whole:
            return SearchResult(hits, total=found.total)
        return SearchResult(hits, match, not relevance.nothing(match), found.total)

    def similar(self, path: str, k: int = DEFAULT_COUNT, within: Mask | None = None) -> list[Hit]:
        """The k pictures most like an indexed one, itself left out. Raises InputError if it is not indexed or k < 1."""
        return list(self.search(Indexed(path), k, "images", within=within))

    def encode(self, query: QueryLike) -> Vectors:
        """The unit vector (D,) of a query. Raises InputError if it is empty, ImageError if a picture is unreadable."""
        return compose_vectors(compose(query), self.index, lambda: self.encoder).vector

    def image_vectors(self, paths: Sequence[str]) -> Vectors:
        """The vectors (N, D) of indexed pictures. Raises InputError if one is not indexed."""
        return np.array(self.index.image_vectors[[self._row(path) for path in paths]])

    def hit_vectors(self, hits: Sequence[Hit]) -> Vectors:
        """What was compared with the query, (N, D): a caption's vector where a caption was found, else a picture's."""
        vectors = [
            self.index.image_vectors[self._row(hit.path)]
            if hit.caption is None
            else self.index.caption_vectors[self._caption_row(hit.path, hit.caption)]
            for hit in hits
        ]
        return np.array(vectors, dtype=np.float32).reshape(len(hits), self.manifest.dimension)

    def caption_vectors(self, path: str) -> Vectors:
        """The vectors (N, D) of a picture's captions, in the order of `captions_of`. Raises InputError as that does."""
        first, end = self._caption_span(path)
        return np.array(self.index.caption_vectors[first:end])

    def captions_of(self, path: str) -> tuple[str, ...]:
        """The captions of an indexed picture, in file order. Raises InputError if it is not indexed."""
        first, end = self._caption_span(path)
        return tuple(caption.text for caption in self.index.catalogue.captions[first:end])

    def image_path(self, hit: Hit | str) -> Path:
        """Where a picture lies on the disk, if it still does."""
        return self.root / (hit if isinstance(hit, str) else hit.path)

    def _fused(self, query: Query, composed: Composed, k: int, allowed: Mask | None) -> Found:
        """The best pictures by themselves, by their captions and by words, fused."""
        ways = ("pictures", "captions") if self.caption_count else ("pictures",)
        found = [self._channel("images", way).nearest(composed, max(k, DEPTH), allowed) for way in ways]
        words = ranked_by_words(self.index, query, allowed, strict=False)
        rows, scores = fuse([each.rows[: max(k, DEPTH)] for each in (*found, words)])
        return Found(rows[:k], scores[:k], found[0].total)

    def _channel(self, target: str, by: str) -> Channel:
        if (target, by) not in self._channels:
            self._channels[target, by] = channel_of(self.index, target, by)
        return self._channels[target, by]

    def _hits(
        self,
        target: str,
        rows: NDArray[np.int64],
        scores: NDArray[np.float64],
        relevance: Iterable[float | None] = repeat(None),
        shares: Iterable[tuple[float, ...] | None] = repeat(None),
    ) -> tuple[Hit, ...]:
        catalogue = self.index.catalogue
        if target == "images":
            names: list[tuple[str, str | None]] = [(catalogue.pictures[row].stamp.path, None) for row in rows]
        else:
            captions = [catalogue.captions[row] for row in rows]
            names = [(catalogue.pictures[caption.picture].stamp.path, caption.text) for caption in captions]
        facts = zip(range(1, len(names) + 1), scores.tolist(), names, relevance, shares, strict=False)
        return tuple(Hit(rank, score, *name, None, chance, parts) for rank, score, name, chance, parts in facts)

    def _allowed(self, query: Query, target: str, within: Mask | None, own: bool) -> Mask | None:
        """(N,) or (M,): what may be found; None for all."""
        if target == "captions":
            return None if within is None else np.repeat(within, np.diff(self.index.caption_rows))
        asked = [term.content.path for term in query.terms if isinstance(term.content, Indexed) and term.weight > 0]
        if own or not asked:
            return within
        allowed = np.ones(self.image_count, dtype=bool) if within is None else within.copy()
        allowed[[self._row(path) for path in asked]] = False
        return allowed

    def _relevance(self, term: Term, target: str, by: str) -> Relevance | None:
        """How probable the hits of a single term are; None where that was not fitted, or does not hold."""
        names = {(True, "images"): WORDS_TO_IMAGES, (False, "captions"): PICTURE_TO_CAPTIONS}
        fitted = self.index.relevance.get(names.get((term.is_words, target), ""))
        known = fitted is not None and (by in ("pictures", "all") or fitted.channels > 1)
        return fitted if known and term.crop is None else None

    def _check(self, k: int, target: str, by: str, within: Mask | None) -> None:
        if k < 1:
            raise InputError(f"k must be at least 1, not {k}")
        if target not in TARGETS:
            raise InputError(f"to must be one of {', '.join(TARGETS)}, not {target!r}")
        if by not in BY:
            raise InputError(f"by must be one of {', '.join(BY)}, not {by!r}")
        if by != "pictures" and target == "captions":
            raise InputError(f"by {by} is a way to rank pictures: leave it out to look for captions")
        if within is not None and (within.shape != (self.image_count,) or within.dtype != np.bool_):
            raise InputError(
                f"within must say True or False of each of the {self.image_count:,} pictures, "
                f"not be {within.dtype} of shape {within.shape}"
            )
        if "captions" in (target, by) and not self.caption_count:
            command = build_command(self.manifest, self.index.path)
            raise InputError(
                f"the index {self.index.path} has no captions to search: give a captions file, "
                f"`{command} --captions FILE`, or look for pictures instead (to images)"
            )

    def _row(self, path: str) -> int:
        return row_of(path, self.index)

    def _caption_span(self, path: str) -> tuple[int, int]:
        row = self._row(path)
        return int(self.index.caption_rows[row]), int(self.index.caption_rows[row + 1])

    def _caption_row(self, path: str, caption: str) -> int:
        captions = self.captions_of(path)
        if caption not in captions:
            raise InputError(f"{caption!r} is no caption of {path!r} in the index {self.index.path}")
        return self._caption_span(path)[0] + captions.index(caption)


def open_searcher(index: Path | str, checkpoint: Path | str | None = None, lazy: bool = False) -> Searcher:
    """Open an index with the checkpoint it was built with, found by its manifest unless given.

    lazy: load the encoder when a question first needs it, which then raises what opening it would.

    Raises IndexStoreError if there is no usable index; CheckpointError if the checkpoint is not found; and
    IndexMismatchError if it is another one than the index was built with.
    """
    opened = open_index(index)
    path = recorded_checkpoint(opened.manifest, opened.path) if checkpoint is None else Path(checkpoint)
    from crossmodal.inference.encoder import open_encoder  # loads for seconds: only after the quick checks

    return Searcher(opened, (lambda: open_encoder(path)) if lazy else open_encoder(path))


def recorded_checkpoint(manifest: Manifest, index: Path) -> Path:
    """Where the checkpoint of an index lies: at its recorded place, below here or below the project, else by its name.

    Raises CheckpointError if it is at none of them.
    """
    recorded, name = manifest.checkpoint["path"], str(manifest.checkpoint["name"])
    places = [] if recorded is None else [Path(recorded), PROJECT / recorded]
    places.append(CHECKPOINTS / name)
    for place in places:
        if place.is_dir():
            return place
    raise CheckpointError(
        f"the checkpoint {name!r} that {index} was built with is not at {places[0]} any more: name it with "
        f"--checkpoint DIR, or run `{build_command(manifest, index)} --checkpoint DIR` to build with another"
    )
