"""The towers as they were trained, run by torch: the one module of this room that imports it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from crossmodal._memory import hold_memory
from crossmodal.errors import CheckpointError
from crossmodal.images.decode import load_resized
from crossmodal.images.transforms import one_torch_thread, resize_by_torch
from crossmodal.inference.backends.fusing import fused
from crossmodal.inference.backends.towers import PIECE, Bulk, Ids, Pixels, Vectors, cores
from crossmodal.models.attribution import image_parts, place_weights, token_parts, token_weights
from crossmodal.models.checkpoint import load_checkpoint
from crossmodal.models.dual import CrossModalModel
from crossmodal.models.parts import Parts, Weights

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["TrainedTowers"]


class TrainedTowers:
    """A loaded checkpoint; see `Towers`.

    path: the checkpoint's folder.
    config: of what was loaded.
    fingerprint: of what was loaded.

    Raises CheckpointError if it cannot be loaded.
    """

    runtime = "torch"

    def __init__(self, path: Path) -> None:
        hold_memory()
        checkpoint = load_checkpoint(path)
        if not isinstance(checkpoint.model, CrossModalModel):
            raise CheckpointError(f"{path} holds no two towers with vectors")
        self.config, self.fingerprint = checkpoint.config, checkpoint.fingerprint
        self._model = checkpoint.model
        self._transform = checkpoint.transform
        self.tokenizer = checkpoint.tokenizer
        self.splits_images = self._model.image.averages_places
        self.splits_texts = self._model.text.averages_tokens

    def pixels(self, image: Image) -> Pixels:
        """One RGB picture → (3, S, S)."""
        return self._transform.pixels(image)

    def embed_pixels(self, pixels: Pixels, batch_size: int) -> Vectors:
        """(N, 3, S, S) → unit vectors (N, D)."""
        vectors = self._model.embed_images(torch.from_numpy(pixels), self._transform, batch_size)
        return np.asarray(vectors.numpy(), dtype=np.float32)

    @contextmanager
    def bulk(self) -> Iterator[Bulk]:
        """The image tower, batch norms folded for good, on one core for each thread."""
        tower, transform = fused(self._model.image), self._transform
        resize = partial(resize_by_torch, interpolation=transform.interpolation)

        def read(data: bytes) -> Pixels:
            return transform.cut(load_resized(data, transform.scaled, resize))

        def encode(pixels: Pixels) -> Vectors:
            with torch.inference_mode():
                vectors = tower(transform.normalise(torch.from_numpy(pixels)))
            return np.asarray(vectors.numpy(), dtype=np.float32)

        with one_torch_thread():
            yield Bulk(cores(), PIECE, read, encode)

    def rest(self) -> None:
        """Nothing: its networks stay loaded."""

    def embed_ids(self, ids: Ids, batch_size: int) -> Vectors:
        """Sentences → unit vectors (N, D)."""
        return np.asarray(self._model.embed_texts(ids, self.tokenizer, batch_size).numpy(), dtype=np.float32)

    def image_parts(self, pixels: Pixels) -> Parts:
        """(1, 3, S, S) → what each place adds. Raises InputError unless `splits_images`."""
        return image_parts(self._model.image, self._transform.normalise(torch.from_numpy(pixels)))

    def text_parts(self, ids: Ids) -> Parts:
        """One sentence → what each token adds. Raises InputError unless `splits_texts`."""
        return token_parts(self._model.text, *self.tokenizer.pad(ids))

    def image_weights(self, pixels: Pixels, towards: Vectors) -> Weights:
        """(1, 3, S, S), unit vector (D,) → Grad-CAM of their cosine."""
        images = self._transform.normalise(torch.from_numpy(pixels))
        return place_weights(self._model.image, images, torch.from_numpy(towards))

    def text_weights(self, ids: Ids, towards: Vectors) -> Weights:
        """One sentence, unit vector (D,) → gradient × input of their cosine."""
        return token_weights(self._model.text, *self.tokenizer.pad(ids), torch.from_numpy(towards))

    def decode(self, vectors: Vectors) -> NDArray[np.float32]:
        """Unit vectors (N, D) → grey pictures (N, 28, 28) in [0, 1]. Raises InputError without a decoder."""
        drawn = self._model.decode(torch.from_numpy(np.asarray(vectors, dtype=np.float32)))
        return np.asarray(drawn[:, 0].numpy(), dtype=np.float32)
