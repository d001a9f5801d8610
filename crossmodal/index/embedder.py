"""What the index asks of an encoder, so that any run time (torch, exported, a test's fake) may stand behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Embedder", "Vectors", "rest", "rounding"]

Vectors = NDArray[np.float32]  # (N, D), unit length


class Embedder(Protocol):
    """Pictures and sentences in, unit vectors out. Shapes: B batch, N items, S side in pixels, D embedding."""

    @property
    def fingerprint(self) -> str:
        """Hex digest of the checkpoint's files."""

    @property
    def name(self) -> str:
        """The checkpoint's name."""

    @property
    def dimension(self) -> int:
        """D, the length of every vector."""

    @property
    def preprocessing(self) -> dict[str, Any]:
        """All that shapes the input, as JSON values."""

    def preprocess(self, image: Image) -> NDArray[np.uint8]:
        """One RGB picture → (3, S, S); any number of threads may call it at once."""

    def encode_pixels(self, pixels: NDArray[np.uint8]) -> Vectors:
        """(B, 3, S, S) → (B, D)."""

    def encode_images(self, images: Sequence[Image]) -> Vectors:
        """RGB pictures → (N, D)."""

    def encode_texts(self, texts: Sequence[str], batch_size: int = 64) -> Vectors:
        """Sentences → (N, D)."""


def rounding(encoder: Embedder) -> str:
    """The run time of an encoder that computes with fewer digits than were trained, "" of an exact one."""
    return str(getattr(encoder, "rounds", ""))


def rest(encoder: Embedder) -> None:
    """Let an encoder give back the memory of what it can load again, where it can."""
    getattr(encoder, "rest", lambda: None)()
