"""What an encoder is, whatever runs it: pictures and sentences in, unit vectors out.

Shapes: N pictures or sentences, B batch, S side in pixels, D embedding.
"""

# ruff: noqa: ARG002 - what is refused by default needs no arguments

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from crossmodal.errors import CheckpointError, InputError
from crossmodal.inference.backends.towers import Bulk, Pixels, Vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from crossmodal.models.parts import Parts, Weights
    from crossmodal.models.words import Word

__all__ = ["Encoder", "Vectors"]


class Encoder(Protocol):
    """Pictures and sentences in, unit vectors out; any number of threads may call all of it at once.

    What it can do beyond that it declares; by default it can do nothing more.

    fingerprint: hex digest of the checkpoint's files.
    name: the checkpoint's name.
    dimension: D, the length of every vector.
    preprocessing: all that shapes the input, as JSON values; an index remembers it.
    path: the checkpoint's folder; None where it has none.
    runtime: what runs it, as `crossmodal.inference.encoder.RUNTIMES` names it; "" where that has no name.
    rounds: the run time again if it computes with fewer digits, "" if it is exact; an index holds vectors of one kind.
    labels: the only words it knows; empty where it knows any.
    can_decode: whether `decode` draws what a vector looks like.
    can_explain: whether `words`, `unread`, `image_parts`, `text_parts` and both weights answer.
    splits_images: whether a picture's vector is an exact sum over places, which `image_parts` gives.
    splits_texts: whether a sentence's vector is an exact sum over tokens, which `text_parts` gives.
    has_bulk: whether `bulk` sets the image tower up for many files; else one batch at a time is as fast as it gets.
    """

    fingerprint: str
    name: str
    dimension: int
    preprocessing: dict[str, Any]
    path: Path | None = None
    runtime: str = ""
    rounds: str = ""
    labels: tuple[str, ...] = ()
    can_decode: bool = False
    can_explain: bool = False
    splits_images: bool = False
    splits_texts: bool = False
    has_bulk: bool = False

    @abstractmethod
    def preprocess(self, image: Image) -> Pixels:
        """One RGB picture → uint8 (3, S, S)."""

    @abstractmethod
    def encode_pixels(self, pixels: Pixels, batch_size: int = 32) -> Vectors:
        """uint8 (B, 3, S, S) → float32 unit vectors (B, D)."""

    @abstractmethod
    def encode_texts(self, texts: Sequence[str], batch_size: int = 64) -> Vectors:
        """Sentences → float32 unit vectors (N, D). Raises InputError for a word that is none of the `labels`."""

    def encode_images(self, images: Sequence[Image | str | PathLike[str]], batch_size: int = 32) -> Vectors:
        """RGB pictures, or paths of picture files → float32 unit vectors (N, D).

        Raises ImageError for a file that cannot be decoded.
        """
        if not images:
            return np.empty((0, self.dimension), dtype=np.float32)
        from crossmodal.images.decode import load_image  # here: a question in words needs no decoder

        opened = (load_image(Path(image)) if isinstance(image, str | PathLike) else image for image in images)
        return self.encode_pixels(np.stack([self.preprocess(image) for image in opened]), batch_size)

    def bulk(self) -> AbstractContextManager[Bulk]:
        """The image tower set up for indexing, as long as the context lasts; see `Bulk`. Only where it `has_bulk`.

        Its pixels agree with those of `preprocess` to within a grey level on average, its vectors to float noise.
        """
        raise InputError(f"{self.name} encodes one batch at a time and has no way of its own with many files")

    def rest(self) -> None:
        """Give back the memory of what is loaded again by the next call that needs it; by default nothing."""

    def save_pretrained(self, folder: Path | str) -> None:
        """Copy the checkpoint to another folder, which `load_model` opens.

        Raises CheckpointError if it has no folder, if the other holds anything but a checkpoint, or cannot be written.
        """
        from crossmodal.models.checkpoint_files import copy_checkpoint

        if self.path is None:
            raise CheckpointError(f"{self.name} was loaded from no folder, so it cannot be copied to {folder}")
        copy_checkpoint(self.path, Path(folder))

    def decode(self, vectors: Vectors) -> NDArray[np.float32]:
        """Unit vectors (N, D) → grey pictures (N, 28, 28) in [0, 1]. Raises InputError unless it `can_decode`."""
        raise InputError(f"{self.name} has no decoder: the recipe arcface trains one, `python -m crossmodal recipes`")

    def words(self, text: str) -> tuple[Word, ...]:
        """The words of a sentence as far as it is read, each with the places of its tokens in `text_parts`.

        This and all below raise InputError unless it `can_explain`.
        """
        raise self._unexplained()

    def unread(self, text: str) -> str:
        """The end of a sentence that is too long to be read; mostly empty."""
        raise self._unexplained()

    def image_parts(self, image: Image) -> Parts:
        """The vector of one RGB picture as a sum over its places. Raises InputError unless `splits_images`."""
        raise self._unexplained()

    def text_parts(self, text: str) -> Parts:
        """The vector of one sentence as a sum over its tokens.

        Raises InputError unless `splits_texts`, and for a word that is none of the `labels`.
        """
        raise self._unexplained()

    def image_weights(self, image: Image, towards: Vectors) -> Weights:
        """How much each place of a picture matters to its cosine with a unit vector (D,), by Grad-CAM."""
        raise self._unexplained()

    def text_weights(self, text: str, towards: Vectors) -> Weights:
        """How much each token matters to a sentence's cosine with a unit vector (D,), by gradient × input.

        Raises InputError for a word that is none of the `labels`.
        """
        raise self._unexplained()

    def _unexplained(self) -> InputError:
        return InputError(f"{self.name} cannot say what its scores are made of")
