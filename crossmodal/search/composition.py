"""A query as one vector: its terms encoded, weighted and added up.

Shapes: T terms, N pictures, D embedding.
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
from crossmodal.index import Index, Vectors
from crossmodal.inference.base import Encoder
from crossmodal.search.query import Indexed, Query, Term

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Composed", "balanced", "compose_vectors", "open_picture", "picture_of", "row_of"]

_PNG_MODES = {"1", "L", "LA", "P", "RGB", "RGBA", "I;16"}
FEWEST = 20  # pictures of which a spread says something
EVENED = 2.0  # how many times heavier a small spread can make a term
SMALLEST = 1e-4  # length of a sum of vectors, of which the longest has length 1, below which nothing is left


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
