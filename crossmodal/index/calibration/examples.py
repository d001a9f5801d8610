"""What a gallery's probabilities are fitted on: its own captions, or background sentences made by code.

Shapes: Q queries, N pictures, M captions, D embedding.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import CheckpointError, IndexStoreError, InputError
from crossmodal.index.calibration.relevance import (
    Example,
    Relevance,
    fit_relevance,
    relevance_above_background,
    relevance_from_dict,
)
from crossmodal.index.catalogue.rows import Catalogue
from crossmodal.index.vectors import MeanRows
from crossmodal.inference.base import Encoder, Vectors

__all__ = [
    "PICTURE_TO_CAPTIONS", "RELEVANCE", "WORDS_TO_IMAGES", "background_sentences", "calibrate", "caption_means",
    "fill_uncaptioned", "picture_examples", "read_relevance", "word_examples", "write_relevance",
]  # fmt: skip

RELEVANCE = "relevance.json"
WORDS_TO_IMAGES, PICTURE_TO_CAPTIONS = "words to images", "picture to captions"
FRAMES = ("a photo of {}", "{} in the foreground", "a close-up of {}", "someone looks at {}", "{} at night")
THINGS = """
    a bridge|a birthday cake|a motorcycle|a bookshelf|a football match|a waterfall|a keyboard|a wedding|a market
    a mountain lake|a train station|a salad|a crowd|a parrot|a skyscraper|a guitar|a swimming pool|a map|a sailing boat
    a snowman|a kitchen|a castle|a tractor|a newspaper|a baby|a tiger|a coffee cup|a traffic light|a violin|a desert
    a painting|a bicycle|a church|a sunflower|a ski slope|a hospital bed|a rocket|a fish market|a laptop|a tent
    a classroom|a handbag|a campfire|a telescope|a shoe|a staircase|a goat|a vineyard|a police car|a mirror|a bus stop
    a dancer|a robot|a bowl of rice|a clock tower|a garage|a surfer|a receipt|a helicopter|a fountain|a wolf
    a dentist|a ladder|a beach umbrella|a factory|an elephant|an office|an umbrella|an airport|an orchestra
    an ice cream"""


@dataclass(frozen=True)
class Sampling:
    """How much of a gallery a fit looks at: enough to be steady, within some seconds and some MB for any gallery.

    captions: asked for their pictures; evenly spread, not drawn, so that equal input gives equal bits.
    pictures: asked for their captions; fewer, as there are several times as many items to compare each with.
    cosines: that either computes at most, so that large galleries take no longer; below it, fewer ask.
    fewest: that ask all the same, as a fit on a handful says little.
    captioned: pictures that a fit needs; with less, background sentences ask.
    background: sentences that ask then.
    at_once: cosines that are in memory at once, 8 MB of float32, whatever the gallery's size.
    most: queries whose cosines are computed at once.
    least: as most; fewer would read every vector for next to nothing.
    judged: cosines whose features are computed at once, several float64 copies of each; or those of one query.
    """

    captions: int = 1000
    pictures: int = 400
    cosines: int = 8_000_000
    fewest: int = 200
    captioned: int = 20
    background: int = 256
    at_once: int = 2_000_000
    most: int = 64
    least: int = 8
    judged: int = 250_000


SAMPLING = Sampling()


def calibrate(catalogue: Catalogue, images: Vectors, captions: Vectors, encoder: Encoder) -> dict[str, Relevance]:
    """Fit the probabilities of each direction that can be, by its name; none for an empty gallery.

    Equal input gives equal bits.

    catalogue: what was indexed.
    images: (N, D), in the order of the catalogue.
    captions: (M, D), in the order of the catalogue.
    encoder: what made the vectors.
    """
    if not len(images):
        return {}
    owner = catalogue.owners()
    counts = np.bincount(owner, minlength=len(images))
    if (counts > 0).sum() < SAMPLING.captioned:
        return _from_background(images, encoder)
    return {
        WORDS_TO_IMAGES: fit_relevance(word_examples(images, captions, owner)),
        PICTURE_TO_CAPTIONS: fit_relevance(picture_examples(images, captions, owner)),
    }


def _from_background(images: Vectors, encoder: Encoder) -> dict[str, Relevance]:
    if encoder.labels:  # such a model knows its labels and no sentences
        return {}
    vectors = encoder.encode_texts(background_sentences())
    if not np.isfinite(vectors).all():
        raise CheckpointError(f"checkpoint {encoder.name} gives vectors that are not finite: take another --checkpoint")
    encoder.rest()
    size = _queries_at_once(len(images))
    blocks = (vectors[start : start + size] @ images.T for start in range(0, len(vectors), size))
    return {WORDS_TO_IMAGES: relevance_above_background(blocks)}


def word_examples(
    images: Vectors,
    captions: Vectors,
    owner: NDArray[np.int64],
    asked: NDArray[np.int64] | None = None,
    with_captions: bool = True,
) -> Iterator[Example]:
    """Captions as queries for pictures, by the pictures and, where most have several, by the mean of their captions.

    A query is left out of its own picture's mean.

    images: (N, D).
    captions: (M, D).
    owner: (M,), ascending, the row of each caption's picture.
    asked: rows (Q,) of the captions to ask; left out, at most a thousand, evenly spread.
    with_captions: whether that second channel is wanted.
    """
    counts = np.bincount(owner, minlength=len(images))
    several = with_captions and (counts > 1).sum() >= max(SAMPLING.captioned, (counts > 0).sum() / 2)
    rows = np.arange(len(owner)) if asked is None else asked
    rows = rows[counts[owner[rows]] > 1] if several else rows
    rows = _spread(rows, SAMPLING.captions, len(images)) if asked is None else rows
    means = MeanRows(captions, np.searchsorted(owner, np.arange(len(images) + 1)))
    size = _queries_at_once(len(captions) if several else len(images))
    for start in range(0, len(rows), size):
        block = rows[start : start + size]
        queries, picture = np.asarray(captions[block]), owner[block]
        channels = [queries @ images.T]
        if several:
            texts, place, many = np.zeros_like(channels[0]), np.arange(len(block)), counts[picture]
            # `captions @ queries.T` would be the same, and fill OpenBLAS's 32 MB a thread, which it keeps
            texts[:, means.pictures] = means.averaged(queries @ captions.T)
            itself = (queries * queries).sum(1)
            texts[place, picture] = (texts[place, picture] * many - itself) / (many - 1)
            channels.append(fill_uncaptioned(texts, counts))
        yield from _portions(channels, picture, np.arange(len(images)))


def picture_examples(
    images: Vectors, captions: Vectors, owner: NDArray[np.int64], asked: NDArray[np.int64] | None = None
) -> Iterator[Example]:
    """Pictures as queries for captions.

    images: (N, D).
    captions: (M, D).
    owner: (M,), the row of each caption's picture.
    asked: rows (Q,) of the pictures to ask; left out, some hundred of the captioned.
    """
    rows = _spread(np.unique(owner), SAMPLING.pictures, len(captions)) if asked is None else asked
    size = _queries_at_once(len(captions))
    for start in range(0, len(rows), size):
        block = rows[start : start + size]
        yield from _portions([np.asarray(images[block]) @ captions.T], block, owner)


def _queries_at_once(items: int) -> int:
    """Of how many queries the cosines with so many items are computed at once."""
    return min(max(SAMPLING.at_once // items, SAMPLING.least), SAMPLING.most)


def _portions(
    channels: Sequence[NDArray[Any]], wanted: NDArray[np.int64], items: NDArray[np.int64]
) -> Iterator[Example]:
    """Cosines (Q, N) as examples of a few queries each, as what is computed of them takes several times their memory.

    wanted (Q,), items (N,): what is the same for a query and an item that match.
    """
    size = max(SAMPLING.judged // len(items), 1)
    for start in range(0, len(wanted), size):
        some = slice(start, start + size)
        yield Example(tuple(channel[some] for channel in channels), wanted[some, None] == items)


def _spread(rows: NDArray[np.int64], most: int, items: int) -> NDArray[np.int64]:
    """At most so many of the rows, evenly spread; fewer where each is compared with very many items."""
    count = min(most, max(SAMPLING.fewest, SAMPLING.cosines // items))
    if len(rows) <= count:
        return rows
    return rows[np.arange(count) * len(rows) // count]


def caption_means(captions: Vectors, owner: NDArray[np.int64], pictures: int) -> Vectors:
    """The mean (N, D) of each picture's caption vectors, not of unit length; 0 where there is none.

    A cosine with it is the mean of the cosines with each caption.

    captions: (M, D).
    owner: (M,), ascending, the row of each caption's picture.
    pictures: N.
    """
    means = np.zeros((pictures, captions.shape[1]), dtype=np.float32)
    if len(owner):
        captioned, first, counts = np.unique(owner, return_index=True, return_counts=True)
        means[captioned] = np.add.reduceat(captions, first, axis=0) / counts[:, None].astype(np.float32)
    return means


def fill_uncaptioned(cosines: NDArray[Any], counts: NDArray[np.int64]) -> NDArray[Any]:
    """(Q, N): a picture without captions speaks neither for nor against: it gets its query's mean."""
    captioned = counts > 0
    if captioned.all():
        return cosines
    return np.where(captioned, cosines, cosines[:, captioned].mean(1, keepdims=True))


def background_sentences() -> list[str]:
    """Sentences of a broad kind, always the same ones: half about generated scenes, half about everyday things."""
    from crossmodal.scenes.scene import describe_scene, make_scenes

    things = [thing.strip() for thing in THINGS.replace("\n", "|").strip(" |").split("|")]
    half = SAMPLING.background // 2
    scenes = [describe_scene(scene)[number % 5] for number, scene in enumerate(make_scenes(half, seed=0))]
    plain = [FRAMES[number % len(FRAMES)].format(things[number % len(things)]) for number in range(half)]
    return [*scenes, *plain]


def write_relevance(path: Path, relevance: dict[str, Relevance]) -> None:
    """Write the parameters as JSON."""
    content = {name: fitted.as_dict() for name, fitted in relevance.items()}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="ascii")


def read_relevance(path: Path) -> dict[str, Relevance]:
    """Read what `write_relevance` wrote. Raises IndexStoreError if it is something else."""
    try:
        content = json.loads(path.read_bytes())
        return {str(name): relevance_from_dict(values) for name, values in content.items()}
    except (OSError, ValueError, AttributeError, InputError) as error:
        raise IndexStoreError(f"{path} cannot be read: {error}") from error
