"""What an encoder asks of a run time.

Shapes: N pictures or sentences, S side in pixels, D embedding, L tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

    from crossmodal.data.text import TextTokenizer
    from crossmodal.models.parts import Parts, Weights

__all__ = ["Ids", "Pixels", "Towers", "Vectors"]

Vectors = NDArray[np.float32]
Pixels = NDArray[np.uint8]
Ids = Sequence[Sequence[int]]  # ragged: the tokens of each sentence, special ones included


class Towers(Protocol):
    """Both towers of a checkpoint, ready to run.

    runtime: its name, one of `crossmodal.encoder.RUNTIMES`. splits_images, splits_texts: whether a vector is an exact
    sum over places or tokens.
    """

    runtime: str
    tokenizer: TextTokenizer
    splits_images: bool
    splits_texts: bool

    def pixels(self, image: Image) -> Pixels:
        """One RGB picture → (3, S, S)."""

    def embed_pixels(self, pixels: Pixels, batch_size: int) -> Vectors:
        """(N, 3, S, S) → unit vectors (N, D)."""

    def embed_ids(self, ids: Ids, batch_size: int) -> Vectors:
        """Sentences → unit vectors (N, D)."""

    def image_parts(self, pixels: Pixels) -> Parts:
        """(1, 3, S, S) → what each place adds."""

    def text_parts(self, ids: Ids) -> Parts:
        """One sentence → what each token adds."""

    def image_weights(self, pixels: Pixels, towards: Vectors) -> Weights:
        """(1, 3, S, S), unit vector (D,) → Grad-CAM of their cosine."""

    def text_weights(self, ids: Ids, towards: Vectors) -> Weights:
        """One sentence, unit vector (D,) → gradient × input of their cosine."""

    def decode(self, vectors: Vectors) -> NDArray[np.float32]:
        """Unit vectors (N, D) → grey pictures (N, 28, 28) in [0, 1]."""
