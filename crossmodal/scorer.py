"""One face for a trained pair scorer: a picture and a sentence in, a probability out.

Shapes: N pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from crossmodal.checkpoint import Checkpoint, fingerprint, load_checkpoint
from crossmodal.errors import InputError
from crossmodal.models.allocator import keep_freed_memory
from crossmodal.models.scorer import PairScorer

if TYPE_CHECKING:
    from PIL.Image import Image


class Scorer:
    """A checkpoint that scores pairs. Raises InputError for one that gives vectors instead."""

    def __init__(self, checkpoint: Checkpoint, fingerprint: str) -> None:
        if not isinstance(checkpoint.model, PairScorer):
            raise InputError(
                f"{checkpoint.path} gives vectors, not probabilities of pairs: train a scorer with "
                "`python training_script.py --recipe match`"
            )
        self._checkpoint = checkpoint
        self._model: PairScorer = checkpoint.model
        self.name = checkpoint.path.name
        self.path = checkpoint.path
        self.fingerprint = fingerprint

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
        checkpoint, tokenizer = self._checkpoint, self._checkpoint.tokenizer
        pictures = list({id(image): image for image in images}.values())
        place = {id(image): row for row, image in enumerate(pictures)}
        sentences = list(dict.fromkeys(texts))
        pixels = torch.from_numpy(np.stack([checkpoint.transform.pixels(image) for image in pictures]))
        image_side = self._model.image_sides(pixels, checkpoint.transform)
        text_side = self._model.text_sides(tokenizer.ids(sentences), tokenizer)
        rows = [place[id(image)] for image in images]
        columns = [sentences.index(text) for text in texts]
        return np.asarray(self._model.probabilities(image_side[rows], text_side[columns]).numpy(), dtype=np.float32)


def open_scorer(checkpoint: Path | str) -> Scorer:
    """Load a checkpoint directory for scoring pairs. Touches no network.

    Raises CheckpointError if it cannot be loaded, InputError if it gives vectors.
    """
    path = Path(checkpoint)
    keep_freed_memory()
    return Scorer(load_checkpoint(path), fingerprint(path))
