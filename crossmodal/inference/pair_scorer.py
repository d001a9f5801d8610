"""One face for a trained pair scorer: a picture and a sentence in, a probability out.

Shapes: N pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from crossmodal._memory import hold_memory
from crossmodal.errors import InputError
from crossmodal.models.checkpoint import Checkpoint, load_checkpoint
from crossmodal.models.checkpoint_files import checkpoint_name
from crossmodal.models.scorer import PairScorer

if TYPE_CHECKING:
    from PIL.Image import Image


Sides = NDArray[np.float32]


class Scorer:
    """A checkpoint that scores pairs; any number of threads may call it, of which one at a time is in its network.

    Raises InputError for one that gives vectors instead.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        if not isinstance(checkpoint.model, PairScorer):
            raise InputError(
                f"{checkpoint.path} gives vectors, not probabilities of pairs: train a scorer with "
                "`python -m crossmodal train --recipe match`"
            )
        self._checkpoint = checkpoint
        self._model: PairScorer = checkpoint.model
        self._lock = Lock()
        self.name = checkpoint_name(checkpoint.path)
        self.path = checkpoint.path
        self.fingerprint = checkpoint.fingerprint

    def probabilities(self, images: Sequence[Image], texts: Sequence[str]) -> NDArray[np.float32]:
        """RGB pictures and sentences, pair by pair → probability that they belong together (N,) in [0, 1].

        A picture or a sentence that comes several times is encoded once.
        Raises InputError if their numbers differ or a sentence holds no word.
        """
        if len(images) != len(texts):
            raise InputError(f"{len(images)} pictures and {len(texts)} sentences make no pairs")
        if not images:
            return np.empty(0, dtype=np.float32)
        empty = next((text for text in texts if not text.strip()), None)
        if empty is not None:
            raise InputError("the sentence is empty: give at least one word")
        pictures = list({id(image): image for image in images}.values())
        place = {id(image): row for row, image in enumerate(pictures)}
        column = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        image_side = self.picture_sides(np.stack([self.preprocess(image) for image in pictures]))
        text_side = self.sentence_sides(list(column))
        rows = [place[id(image)] for image in images]
        columns = [column[text] for text in texts]
        return self.judge(image_side[rows], text_side[columns])

    def preprocess(self, image: Image) -> NDArray[np.uint8]:
        """One RGB picture → uint8 (3, S, S)."""
        return self._checkpoint.transform.pixels(image)

    def picture_sides(self, pixels: NDArray[np.uint8]) -> Sides:
        """uint8 (N, 3, S, S) → what is known of each picture before any sentence, float32 (N, W)."""
        transform = self._checkpoint.transform
        with self._lock:
            sides = self._model.image_sides(torch.from_numpy(pixels), transform)
        return np.asarray(sides.numpy(), dtype=np.float32)

    def sentence_sides(self, texts: Sequence[str]) -> Sides:
        """Sentences → what is known of each before any picture, float32 (N, W')."""
        tokenizer = self._checkpoint.tokenizer
        with self._lock:
            sides = self._model.text_sides(tokenizer.ids(texts), tokenizer)
        return np.asarray(sides.numpy(), dtype=np.float32)

    def judge(self, pictures: Sides, sentences: Sides) -> NDArray[np.float32]:
        """Sides of both, pair by pair, (N, W) and (N, W') → probabilities (N,)."""
        with self._lock:
            scores = self._model.probabilities(torch.from_numpy(pictures), torch.from_numpy(sentences))
        return np.asarray(scores.numpy(), dtype=np.float32)


def open_scorer(checkpoint: Path | str) -> Scorer:
    """Load a checkpoint directory for scoring pairs. Touches no network.

    Raises CheckpointError if it cannot be loaded, InputError if it gives vectors.
    """
    path = Path(checkpoint)
    hold_memory()
    return Scorer(load_checkpoint(path))
