"""What an encoder asks of a run time.

Shapes: N pictures or sentences, S side in pixels, D embedding, L tokens.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

    from crossmodal.models.parts import Parts, Weights
    from crossmodal.models.tokenizer import TextTokenizer

__all__ = ["EXACT", "PIECE", "RUNTIME_VARIABLE", "Bulk", "Ids", "Pixels", "Towers", "Vectors", "cores"]

Vectors = NDArray[np.float32]
Pixels = NDArray[np.uint8]
Ids = Sequence[Sequence[int]]  # ragged: the tokens of each sentence, special ones included
RUNTIME_VARIABLE = "CROSSMODAL_RUNTIME"  # what "auto" is taken for, where it is set
EXACT = ("onnx-fp32", "torch")  # run times whose vectors agree to float noise; the others round
PIECE = 4  # pictures that one core encodes at a time: their activations stay near it


def cores() -> int:
    """Threads that work side by side: OMP_NUM_THREADS, else as many as this process may use cores."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted):
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Bulk:
    """An image tower set up for many files: each thread decodes and encodes by itself, and none waits for another.

    threads: how many may call at once.
    piece: B, pictures in a call of `encode`.
    read: the bytes of a picture file → (3, S, S); raises ImageError as `load_image` does.
    encode: (B, 3, S, S) → unit vectors (B, D).
    """

    threads: int
    piece: int
    read: Callable[[bytes], Pixels]
    encode: Callable[[Pixels], Vectors]


class Towers(Protocol):
    """Both towers of a checkpoint, ready to run.

    runtime: its name, one of `crossmodal.inference.encoder.RUNTIMES`.
    tokenizer: sentences → ids.
    splits_images: whether a picture's vector is an exact sum over places.
    splits_texts: whether a sentence's vector is an exact sum over tokens.
    """

    runtime: str
    tokenizer: TextTokenizer
    splits_images: bool
    splits_texts: bool

    def pixels(self, image: Image) -> Pixels:
        """One RGB picture → (3, S, S)."""

    def embed_pixels(self, pixels: Pixels, batch_size: int) -> Vectors:
        """(N, 3, S, S) → unit vectors (N, D)."""

    def bulk(self) -> AbstractContextManager[Bulk]:
        """The image tower set up for many files, as long as the context lasts."""

    def rest(self) -> None:
        """Give back the memory of towers that are loaded again when they are needed."""

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
