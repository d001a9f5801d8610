"""One face for a trained model: pictures and sentences in, unit vectors out.

Shapes: N pictures or sentences, B batch, S side in pixels, D embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from crossmodal.checkpoint import Checkpoint, fingerprint, load_checkpoint
from crossmodal.models.allocator import keep_freed_memory

if TYPE_CHECKING:
    from PIL.Image import Image

Vectors = NDArray[np.float32]


class Encoder:
    """A checkpoint that encodes. One thread at a time may call `encode_…`; `preprocess` is free of state.

    fingerprint: hex digest of the checkpoint's files. dimension: D. name: the checkpoint directory's name.
    preprocessing: all that shapes the input, as JSON values; an index remembers it.
    """

    def __init__(self, checkpoint: Checkpoint, fingerprint: str) -> None:
        self._checkpoint = checkpoint
        self.fingerprint = fingerprint
        self.name = checkpoint.path.name
        self.path = checkpoint.path
        self.dimension = int(checkpoint.config["dimension"])
        self.preprocessing: dict[str, Any] = {
            "image": checkpoint.transform.as_dict(),
            "text": {"max_length": checkpoint.tokenizer.max_length},
        }

    def preprocess(self, image: Image) -> NDArray[np.uint8]:
        """One RGB picture → uint8 (3, S, S)."""
        return self._checkpoint.transform.pixels(image)

    def encode_pixels(self, pixels: NDArray[np.uint8], batch_size: int = 32) -> Vectors:
        """uint8 (B, 3, S, S) → float32 unit vectors (B, D)."""
        checkpoint = self._checkpoint
        vectors = checkpoint.model.embed_images(torch.from_numpy(pixels), checkpoint.transform, batch_size)
        return np.asarray(vectors.numpy(), dtype=np.float32)

    def encode_images(self, images: Sequence[Image], batch_size: int = 32) -> Vectors:
        """RGB pictures → float32 unit vectors (N, D)."""
        if not images:
            return np.empty((0, self.dimension), dtype=np.float32)
        return self.encode_pixels(np.stack([self.preprocess(image) for image in images]), batch_size)

    def encode_texts(self, texts: Sequence[str], batch_size: int = 64) -> Vectors:
        """Sentences → float32 unit vectors (N, D)."""
        checkpoint = self._checkpoint
        ids = checkpoint.tokenizer.ids(texts)
        vectors = checkpoint.model.embed_texts(ids, checkpoint.tokenizer, batch_size)
        return np.asarray(vectors.numpy(), dtype=np.float32)


def open_encoder(checkpoint: Path | str) -> Encoder:
    """Load a checkpoint directory for encoding. Raises CheckpointError. Touches no network."""
    path = Path(checkpoint)
    keep_freed_memory()
    return Encoder(load_checkpoint(path), fingerprint(path))
