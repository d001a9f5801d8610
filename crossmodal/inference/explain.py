"""Why a picture and a sentence, or two pictures, score as they do.

Where both towers average their features and project them linearly, the cosine is exactly a sum over (word, place):

    v = Σ_p W f_p / P + b      t = Σ_j U g_j / L + c      cosine = v·t / |v||t|

so a share is (U g_j / L)·(W f_p / P) / |v||t|, and what the biases b and c add stands beside them. Elsewhere gradients
give an approximation, which is labelled as one and is no sum.

Shapes: N words, P = h·w places of a picture, row by row, L tokens, D embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

    from crossmodal.inference.base import Encoder
    from crossmodal.models.parts import Parts
    from crossmodal.models.words import Word

__all__ = [
    "APPROXIMATE",
    "EXACT",
    "EXACT_PAIRS",
    "Comparison",
    "Explanation",
    "Likeness",
    "Match",
    "compare",
    "explain",
    "explain_images",
    "seen_box",
]

Array = NDArray[np.float64]
EXACT = "exact sum over words and places"
EXACT_PAIRS = "exact sum over pairs of places"
APPROXIMATE = "Grad-CAM (approximate)"
DIGITS = 9  # of JSON numbers: 1,000 of them still add up to 1e-6


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why a picture and a sentence have their score: of N words and P places.

    score: the encoder's cosine in [-1, 1].
    words: N, as typed, in order; a tokeniser's marks are together one last word.
    spans: where each word stands in the text, None for the marks.
    shape: (h, w), P = h w; None for a tower without a feature map.
    exact: whether the shares add up to the score.
    method: how the shares were found.
    word_shares: (N,), the sums of matrix over places; gradient × input where not exact.
    place_shares: (P,), the sums of matrix over words; Grad-CAM where not exact (never negative, None without a feature
        map).
    matrix: (N, P), the share of each word at each place; None where not exact.
    bias: what the projections' biases add; matrix.sum() + bias is the score up to 1e-5. None where not exact.
    bias_parts: bias in three, by name; empty where not exact.
    unread: the end of a sentence that is too long for the model.

    Grad-CAM and gradient × input are approximations that add up to nothing; only within one of them do sizes compare.
    """

    score: float
    words: tuple[str, ...]
    spans: tuple[tuple[int, int] | None, ...]
    shape: tuple[int, int] | None
    exact: bool
    method: str
    word_shares: Array
    place_shares: Array | None
    matrix: Array | None = None
    bias: float | None = None
    bias_parts: dict[str, float] = field(default_factory=dict)
    unread: str = ""

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON values: a row of matrix a word. Exact: score = sum of matrix + bias."""
        values: dict[str, Any] = {"score": self.score, "exact": self.exact, "method": self.method}
        values |= {"words": list(self.words), "shape": None if self.shape is None else list(self.shape)}
        values |= {"matrix": _rounded(self.matrix), "bias": self.bias}
        if self.exact:
            return values | {"bias_parts": self.bias_parts, "unread": self.unread}
        approximate = {"words": _rounded(self.word_shares), "places": _rounded(self.place_shares)}
        return values | {"approximate_weights": approximate, "unread": self.unread}


def explain(encoder: Encoder, image: Image, text: str) -> Explanation:
    """Why an RGB picture and a sentence score as they do.

    Raises InputError if the sentence is empty, or no class of a labelled model.
    """
    if not text.strip():
        raise InputError("the sentence is empty: give at least one word")
    if encoder.splits_images and encoder.splits_texts:
        return _exact(encoder, encoder.image_parts(image), encoder.text_parts(text), text)
    (picture,), (sentence,) = encoder.encode_images([image]), encoder.encode_texts([text])
    places, tokens = encoder.image_weights(image, sentence), encoder.text_weights(text, picture)
    words = encoder.words(text)
    return Explanation(
        score=_cosine(picture, sentence),
        words=tuple(word.text for word in words),
        spans=tuple(word.span for word in words),
        shape=_grid(places.shape),
        exact=False,
        method=APPROXIMATE,
        word_shares=_by_word(np.asarray(tokens.weights)[:, None], words)[:, 0],
        place_shares=None if places.weights is None else places.weights.astype(np.float64),
        unread=encoder.unread(text),
    )


def _exact(encoder: Encoder, picture: Parts, sentence: Parts, text: str) -> Explanation:
    words = encoder.words(text)
    matrix, bias_parts = _split(sentence, picture, _by_word(sentence.parts, words))
    return Explanation(
        score=_cosine(picture.vector, sentence.vector),
        words=tuple(word.text for word in words),
        spans=tuple(word.span for word in words),
        shape=_grid(picture.shape),
        exact=True,
        method=EXACT,
        word_shares=matrix.sum(1),
        place_shares=matrix.sum(0),
        matrix=matrix,
        bias=sum(bias_parts),
        bias_parts=dict(
            zip(("words × image bias", "text bias × places", "text bias × image bias"), bias_parts, strict=True)
        ),
        unread=encoder.unread(text),
    )


@dataclass(frozen=True)
class Match:
    """Two places that score high together.

    first: (row, column) in the first picture.
    second: (row, column) in the second picture.
    share: of the score.
    """

    first: tuple[int, int]
    second: tuple[int, int]
    share: float


@dataclass(frozen=True, eq=False)
class Likeness:
    """Why two pictures have their score: of P places and P' places.

    score: the encoder's cosine in [-1, 1].
    shapes: (h, w) of each, None for a tower without a feature map.
    exact: whether the shares add up to the score.
    method: how the shares were found.
    first: (P,), the sums of matrix over the second's places; Grad-CAM where not exact, which adds up to nothing.
    second: (P',), the sums of matrix over the first's places; Grad-CAM where not exact.
    matrix: (P, P'), the share of each place of the first with each of the second; None where not exact.
    bias: what the projection's bias adds; matrix.sum() + bias is the score up to 1e-5. None where not exact.
    """

    score: float
    shapes: tuple[tuple[int, int] | None, tuple[int, int] | None]
    exact: bool
    method: str
    first: Array | None
    second: Array | None
    matrix: Array | None = None
    bias: float | None = None

    def matches(self, count: int = 5) -> tuple[Match, ...]:
        """The places that match best, best first, none of them beside an earlier one in either picture.

        Fewer where no room is left or no share is positive. Raises InputError if the likeness is approximate.
        """
        if self.matrix is None or None in self.shapes:
            raise InputError("only an exact explanation says which places match")
        free = self.matrix.copy()
        found: list[Match] = []
        while len(found) < count:
            first, second = (int(place) for place in np.unravel_index(free.argmax(), free.shape))
            if free[first, second] <= 0:
                break
            columns = (self.shapes[0] or (1, 1))[1], (self.shapes[1] or (1, 1))[1]
            match = Match(divmod(first, columns[0]), divmod(second, columns[1]), float(self.matrix[first, second]))
            free[_around(match.first, len(free), columns[0])] = 0
            free[:, _around(match.second, free.shape[1], columns[1])] = 0
            found.append(match)
        return tuple(found)

    def as_dict(self, count: int = 5) -> dict[str, Any]:
        """All of it as JSON values, with the best `count` matches where it is exact."""
        values: dict[str, Any] = {"score": self.score, "exact": self.exact, "method": self.method}
        values |= {"shapes": [None if shape is None else list(shape) for shape in self.shapes]}
        values |= {"matrix": _rounded(self.matrix), "bias": self.bias}
        if not self.exact:
            return values | {
                "approximate_weights": {"first": _rounded(self.first), "second": _rounded(self.second)},
            }
        matches = [
            {"first": list(match.first), "second": list(match.second), "share": match.share}
            for match in self.matches(count)
        ]
        return values | {"matches": matches}


def explain_images(encoder: Encoder, first: Image, second: Image) -> Likeness:
    """Why two RGB pictures score as they do."""
    if encoder.splits_images:
        one, other = encoder.image_parts(first), encoder.image_parts(second)
        matrix, bias_parts = _split(one, other, one.parts.astype(np.float64))
        score, shapes = _cosine(one.vector, other.vector), (_grid(one.shape), _grid(other.shape))
        return Likeness(score, shapes, True, EXACT_PAIRS, matrix.sum(1), matrix.sum(0), matrix, sum(bias_parts))
    vectors = encoder.encode_images([first, second])
    weights = encoder.image_weights(first, vectors[1]), encoder.image_weights(second, vectors[0])
    heats = [None if side.weights is None else side.weights.astype(np.float64) for side in weights]
    shapes = (_grid(weights[0].shape), _grid(weights[1].shape))
    return Likeness(_cosine(*vectors), shapes, False, APPROXIMATE, heats[0], heats[1])


@dataclass(frozen=True, eq=False)
class Comparison:
    """Why one picture stands above another for the same sentence of N words.

    difference: of their scores, the sum of shares and bias.
    words: N, as typed.
    shares: (N,), how much more each word adds in the first.
    bias: how much more the biases add in the first.
    """

    difference: float
    words: tuple[str, ...]
    shares: Array
    bias: float


def compare(above: Explanation, below: Explanation) -> Comparison:
    """What makes the difference. Raises InputError unless both are exact and of the same sentence."""
    if above.bias is None or below.bias is None:
        raise InputError("only exact explanations can be compared: these are approximate")
    if (above.words, above.spans) != (below.words, below.spans):
        raise InputError("the two explanations are of different sentences")
    shares = above.word_shares - below.word_shares
    return Comparison(above.score - below.score, above.words, shares, above.bias - below.bias)


def seen_box(image: Image, fit: str) -> tuple[int, int, int, int]:
    """The part of a picture that the places cover: left, top, right, bottom in pixels.

    fit: of the checkpoint's transform; "crop" sees the square in the middle, "squash" everything.
    """
    width, height = image.size
    if fit != "crop":
        return 0, 0, width, height
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side


def _split(rows: Parts, columns: Parts, row_parts: Array) -> tuple[Array, tuple[float, float, float]]:
    """The cosine as a matrix (rows, columns), and what rows × bias, bias × columns and bias × bias add."""
    parts = columns.parts.astype(np.float64)
    row_bias, column_bias = rows.bias.astype(np.float64), columns.bias.astype(np.float64)
    row_sum, column_sum = row_parts.sum(0), parts.sum(0)
    norms = float(np.linalg.norm(row_sum + row_bias) * np.linalg.norm(column_sum + column_bias))
    pairs = (row_sum, column_bias), (row_bias, column_sum), (row_bias, column_bias)
    of_rows, of_columns, of_both = (float(one @ other) / norms for one, other in pairs)
    return row_parts @ parts.T / norms, (of_rows, of_columns, of_both)


def _by_word(token_values: NDArray[np.float32], words: Sequence[Word]) -> Array:
    """Values of tokens (L, ·) added up to values of words (N, ·)."""
    values = token_values.astype(np.float64)
    return np.array([values[list(word.tokens)].sum(0) for word in words]).reshape(len(words), values.shape[1])


def _cosine(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    return float(first.astype(np.float64) @ second.astype(np.float64))


def _grid(shape: tuple[int, ...] | None) -> tuple[int, int] | None:
    return None if shape is None else (shape[0], shape[1])


def _around(place: tuple[int, int], count: int, columns: int) -> NDArray[np.bool_]:
    rows, cells = np.divmod(np.arange(count), columns)
    return (abs(rows - place[0]) <= 1) & (abs(cells - place[1]) <= 1)


def _rounded(values: Array | None) -> Any:
    return None if values is None else values.round(DIGITS).tolist()
