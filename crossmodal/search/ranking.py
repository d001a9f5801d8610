"""How a question ranks a gallery: its terms as one vector, and what that is compared with.

Shapes: T terms, N pictures, M captions, I items that can be found (N or M), D embedding, k hits.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import ImageError, InputError
from crossmodal.index import Index, Vectors, exact_cosines
from crossmodal.index.ann.flat import PRECISE_ROWS
from crossmodal.index.ann.nearest import NOISE, Nearest
from crossmodal.inference.base import Encoder
from crossmodal.search.query import Indexed, Query, Term

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = [
    "CAPTION_SHARE", "Channel", "Composed", "Found", "Mask", "balanced", "channel_of", "compose_vectors",
    "gather_evidence", "open_picture", "picture_of", "row_of",
]  # fmt: skip

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]

CAPTION_SHARE = 0.7  # of the captions in a score by both; chosen in benchmarks/scoring.py
FEWEST = 20  # pictures of which a spread says something
EVENED = 2.0  # how many times heavier a small spread can make a term
SMALLEST = 1e-4  # length of a sum of vectors, of which the longest has length 1, below which nothing is left
_PNG_MODES = {"1", "L", "LA", "P", "RGB", "RGBA", "I;16"}


@dataclass(frozen=True)
class Composed:
    """A query as one vector: vector = weights @ units.

    vector: (D,), of unit length.
    units: (T, D), the terms' own.
    weights: (T,), what each term counts.
    """

    vector: Vectors
    units: Vectors
    weights: NDArray[np.float64]


def compose_vectors(query: Query, index: Index, encoder: Callable[[], Encoder]) -> Composed:
    """Encode the terms and add them up: Σ aᵢ uᵢ / |Σ aᵢ uᵢ|, with the weights aᵢ of `balanced`.

    encoder: gives the encoder; called only where a term is not a whole picture of the index.

    Raises InputError if the terms cancel each other out, or an indexed picture is not in the index; ImageError if a
    picture cannot be decoded.
    """
    units = term_vectors(query.terms, index, encoder)
    if query.single:
        return Composed(units[0], units, np.ones(1))
    asked = np.array([term.weight for term in query.terms], dtype=np.float64)
    asked /= np.abs(asked).max()
    precise = units.astype(np.float64)
    weights = balanced(asked, units, index.image_vectors)
    total = weights @ precise
    length = float(np.linalg.norm(total))
    if min(length, float(np.linalg.norm(asked @ precise))) < SMALLEST:
        raise InputError("the terms cancel each other out: nothing is left to look for")
    return Composed((total / length).astype(np.float32), units, weights / length)


def balanced(weights: NDArray[np.float64], units: Vectors, gallery: Vectors) -> NDArray[np.float64]:
    """What each term counts, (T,): what is added, its weight by the spread of its cosines with the gallery.

    A picture's cosines with other pictures lie further apart than those of words, so that with equal weights it alone
    would decide. So what is added is lifted to the widest spread among it; what is taken away counts its weight, since
    more would take along what usually stands beside it. Measured in benchmarks/composed.py.

    weights: (T,), at least one above 0.
    units: (T, D).
    gallery: (N, D), pictures.
    """
    added = weights > 0
    if len(gallery) < FEWEST or added.sum() < 2:
        return weights
    spread = np.maximum((gallery @ units[added].T).std(0, dtype=np.float64), np.finfo(np.float64).tiny)
    counted = weights.copy()
    counted[added] *= np.minimum(spread.max() / spread, EVENED)
    return counted


def term_vectors(terms: Sequence[Term], index: Index, encoder: Callable[[], Encoder]) -> Vectors:
    """The unit vector of each term, (T, D), whatever its weight. Raises what `compose_vectors` does."""
    vectors = np.empty((len(terms), index.manifest.dimension), dtype=np.float32)
    words = [place for place, term in enumerate(terms) if term.is_words]
    stored = [
        (place, term.content)
        for place, term in enumerate(terms)
        if isinstance(term.content, Indexed) and term.crop is None
    ]
    seen = sorted(set(range(len(terms))) - {*words, *(place for place, _ in stored)})
    if words:
        vectors[words] = encoder().encode_texts([str(terms[place].content) for place in words])
    if seen:
        vectors[seen] = encoder().encode_images([picture_of(terms[place], index) for place in seen])
    for place, content in stored:
        vectors[place] = index.image_vectors[row_of(content.path, index)]
    return vectors


def row_of(path: str, index: Index) -> int:
    """The row of a picture in the index. Raises InputError if it is not indexed."""
    row = index.row_of.get(path)
    if row is None:
        raise InputError(f"{path!r} is not in the index {index.path}, whose paths start below {index.root}")
    return row


def picture_of(term: Term, index: Index) -> Image:
    """The upright RGB picture, or the part of it, that a term shows.

    Raises InputError if it is words or not in the index, ImageError if it cannot be decoded.
    """
    content = term.content
    if isinstance(content, Indexed):
        row_of(content.path, index)
        content = index.root / content.path
    if isinstance(content, str):
        raise InputError(f"{content!r} are words, no picture")
    picture = open_picture(content)
    return picture if term.crop is None else picture.crop(term.crop.pixels(*picture.size))


def open_picture(content: Path | Image | bytes) -> Image:
    """The upright RGB picture. Raises ImageError if it cannot be decoded."""
    from PIL.Image import Image as Picture

    from crossmodal.images.decode import load_image

    return load_image(_lossless(content) if isinstance(content, Picture) else content)


def _lossless(image: Image) -> bytes:
    """An opened picture as the bytes of a file, so that it is seen just as a file on the disk would be."""
    from PIL import ImageOps

    stream = io.BytesIO()
    try:
        upright = ImageOps.exif_transpose(image)
        (upright if upright.mode in _PNG_MODES else upright.convert("RGB")).save(stream, "PNG")
    except OSError as error:
        raise ImageError(f"cannot be decoded ({error})") from error
    return stream.getvalue()


@dataclass(frozen=True)
class Found:
    """The best items, best first.

    rows: (k,), the items' rows.
    scores: (k,), of each.
    total: how many items could be found.
    """

    rows: Rows
    scores: Floats
    total: int


@dataclass(frozen=True)
class Channel:
    """Items that a query is compared with; scores are linear in the query, so that those of its terms add up.

    vectors: (I, D).
    proposes: searches all of them where they are of unit length; None where they are means of unit vectors, so that a
        product with one is a mean of cosines.
    usable: (I,), which can be found; None for all.
    """

    vectors: Vectors
    proposes: Nearest | None = None
    usable: Mask | None = None

    def nearest(self, query: Composed, k: int, allowed: Mask | None = None) -> Found:
        """The best items, equal scores in the order of their rows.

        query: what they are compared with.
        k: how many.
        allowed: (I,), what may be found; None for all.
        """
        if self.usable is None and self.proposes is not None:
            total = len(self.vectors) if allowed is None else int(np.count_nonzero(allowed))
            return Found(*self.proposes.search(query.vector, k, allowed), total)
        kept = np.ones(len(self.vectors), dtype=bool) if allowed is None else allowed
        rows = np.flatnonzero(kept if self.usable is None else kept & self.usable)
        total, wanted = len(rows), min(k, len(rows))
        if wanted < total:
            scores = (self.vectors @ query.vector)[rows]
            rows = rows[scores >= np.partition(scores, total - wanted)[total - wanted] - NOISE]
        exact = self.scores(query.vector, rows)
        order = np.lexsort((rows, -exact))[:wanted]
        return Found(rows[order], exact[order], total)

    def shares(self, query: Composed, rows: Rows) -> Floats:
        """What each term adds to the scores of some items: (k, T), each row sums to its score."""
        units, found = query.units.astype(np.float64), np.empty((len(rows), len(query.units)))
        for start in range(0, len(rows), PRECISE_ROWS):
            block = self.vectors[rows[start : start + PRECISE_ROWS]].astype(np.float64)
            lengths = np.linalg.norm(block, axis=1, keepdims=True) if self.proposes is not None else 1.0
            found[start : start + PRECISE_ROWS] = block @ units.T / lengths
        return np.asarray(found * query.weights)

    def scores(self, vector: Vectors, rows: Rows) -> Floats:
        """The scores of some items, (k,), in double precision, each summed by itself."""
        if self.proposes is not None:
            return exact_cosines(vector, self.vectors, rows)
        precise, scores = vector.astype(np.float64), np.empty(len(rows), dtype=np.float64)
        for start in range(0, len(rows), PRECISE_ROWS):
            block = self.vectors[rows[start : start + PRECISE_ROWS]].astype(np.float64)
            scores[start : start + PRECISE_ROWS] = (block * precise).sum(axis=1)
        return scores / np.linalg.norm(precise)


def channel_of(index: Index, target: str, by: str) -> Channel:
    """How a query is compared with what is looked for.

    index: the gallery.
    target: "images" or "captions".
    by: of images, the cosine with the "pictures"; the mean cosine with their "captions", where a picture without any
        cannot be found; or "both", CAPTION_SHARE of the latter and the rest of the former, where a picture without
        captions is judged by itself alone.

    Raises InputError for another `by`.
    """
    if target == "captions":
        return Channel(index.caption_vectors, index.nearest_captions)
    captioned = np.diff(index.caption_rows) > 0
    if by == "pictures":
        return Channel(index.image_vectors, index.nearest_images)
    if by == "captions":
        return Channel(index.caption_means, None, captioned)
    if by != "both":
        raise InputError(f"no vectors are ranked by {by!r}: take pictures, captions or both")
    mixed = (1 - CAPTION_SHARE) * index.image_vectors + CAPTION_SHARE * index.caption_means
    return Channel(np.where(captioned[:, None], mixed, index.image_vectors).astype(np.float32))


def gather_evidence(index: Index, vector: Vectors, target: str, channels: int, rows: Rows) -> tuple[Floats, Floats]:
    """What the probabilities of hits rest on: features (C, 4) of a query and the cosines (C, k) of its hits.

    Where the gallery is large, all its other cosines enter by their mean and spread in closed form.

    index: the gallery.
    vector: (D,), the query's.
    target: "images" or "captions".
    channels: C; the second is the mean cosine with each picture's captions.
    rows: (k,), of the hits.
    """
    if target == "captions":
        return index.caption_background.features(vector)[None], index.nearest_captions.scores(vector, rows)[None]
    features = [index.image_background.features(vector)]
    own = [index.nearest_images.scores(vector, rows)]
    if channels > 1:
        features.append(index.mean_background.features(vector))
        place = np.searchsorted(index.mean_rows.pictures, rows)
        place[place == len(index.mean_rows.pictures)] = 0
        captioned = index.mean_rows.pictures[place] == rows
        exact = index.nearest_means.scores(vector, place)
        own.append(np.where(captioned, exact, features[1][2]))
    return np.stack(features), np.stack(own)
