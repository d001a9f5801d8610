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

from crossmodal.checkpoint import Checkpoint, load_checkpoint
from crossmodal.checkpoint_files import checkpoint_name, fingerprint
from crossmodal.errors import InputError, NotIndexableError
from crossmodal.models.allocator import keep_freed_memory
from crossmodal.models.attribution import image_parts, place_weights, token_parts, token_weights
from crossmodal.models.parts import Parts, Weights
from crossmodal.models.scorer import PairScorer

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from crossmodal.data.words import Word

Vectors = NDArray[np.float32]


class Encoder:
    """A checkpoint that encodes. One thread at a time may call `encode_…`; `preprocess` is free of state.

    fingerprint: hex digest of the checkpoint's files. dimension: D. name: see `checkpoint_name`.
    preprocessing: all that shapes the input, as JSON values; an index remembers it. labels: the only words it knows;
    empty where it knows any. can_decode: whether it can draw what a vector looks like. splits_images, splits_texts:
    whether a vector is an exact sum over places or tokens, which `image_parts` and `text_parts` give.

    Raises NotIndexableError for a checkpoint that scores pairs.
    """

    def __init__(self, checkpoint: Checkpoint, fingerprint: str) -> None:
        if isinstance(checkpoint.model, PairScorer):
            raise NotIndexableError(
                f"{checkpoint.path} scores pairs of a picture and a sentence and gives no vectors, so it cannot be "
                f"indexed or searched: use `python -m crossmodal match --checkpoint {checkpoint.path}`, or let it "
                f"re-order what another checkpoint finds, `python -m crossmodal search … --rerank {checkpoint.path}`"
            )
        self._checkpoint = checkpoint
        self._model = checkpoint.model
        self.fingerprint = fingerprint
        self.name = checkpoint_name(checkpoint.path)
        self.path = checkpoint.path
        self.dimension = int(checkpoint.config["dimension"])
        self.labels: tuple[str, ...] = tuple(checkpoint.config.get("labels") or ())
        self.can_decode = self._model.decoder is not None
        self.splits_images = self._model.image.averages_places
        self.splits_texts = self._model.text.averages_tokens
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
        vectors = self._model.embed_images(torch.from_numpy(pixels), checkpoint.transform, batch_size)
        return np.asarray(vectors.numpy(), dtype=np.float32)

    def encode_images(self, images: Sequence[Image], batch_size: int = 32) -> Vectors:
        """RGB pictures → float32 unit vectors (N, D)."""
        if not images:
            return np.empty((0, self.dimension), dtype=np.float32)
        return self.encode_pixels(np.stack([self.preprocess(image) for image in images]), batch_size)

    def encode_texts(self, texts: Sequence[str], batch_size: int = 64) -> Vectors:
        """Sentences → float32 unit vectors (N, D). Raises InputError for a word no class of a labelled model has."""
        tokenizer = self._checkpoint.tokenizer
        vectors = self._model.embed_texts(self._ids(texts), tokenizer, batch_size)
        return np.asarray(vectors.numpy(), dtype=np.float32)

    def words(self, text: str) -> tuple[Word, ...]:
        """The words of a sentence as far as it is read, each with the places of its tokens in `text_parts`."""
        return self._checkpoint.tokenizer.words(text)

    def unread(self, text: str) -> str:
        """The end of a sentence that is too long to be read; mostly empty."""
        return self._checkpoint.tokenizer.unread(text)

    def image_parts(self, image: Image) -> Parts:
        """The vector of one RGB picture as a sum over its places. Raises InputError unless `splits_images`."""
        return image_parts(self._model.image, self._normalised(image))

    def text_parts(self, text: str) -> Parts:
        """The vector of one sentence as a sum over its tokens.

        Raises InputError unless `splits_texts`, and for a word no class of a labelled model has.
        """
        return token_parts(self._model.text, *self._checkpoint.tokenizer.pad(self._ids([text])))

    def image_weights(self, image: Image, towards: Vectors) -> Weights:
        """How much each place of a picture matters to its cosine with a unit vector (D,), by Grad-CAM."""
        return place_weights(self._model.image, self._normalised(image), torch.from_numpy(towards))

    def text_weights(self, text: str, towards: Vectors) -> Weights:
        """How much each token matters to a sentence's cosine with a unit vector (D,), by gradient × input.

        Raises InputError for a word no class of a labelled model has.
        """
        ids, mask = self._checkpoint.tokenizer.pad(self._ids([text]))
        return token_weights(self._model.text, ids, mask, torch.from_numpy(towards))

    def _normalised(self, image: Image) -> Tensor:
        """One RGB picture → normalised (1, 3, S, S)."""
        return self._checkpoint.transform.normalise(torch.from_numpy(self.preprocess(image)[None]))

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        tokenizer = self._checkpoint.tokenizer
        unknown = [text for text in texts if self.labels and not tokenizer.knows(text)]
        if unknown:
            raise InputError(f"{self.name} knows no {unknown[0]!r}, only its classes: {', '.join(self.labels)}")
        return tokenizer.ids(texts)

    def decode(self, vectors: Vectors) -> NDArray[np.float32]:
        """Unit vectors (N, D) → grey pictures (N, 28, 28) in [0, 1]. Raises InputError without a decoder."""
        drawn = self._model.decode(torch.from_numpy(np.asarray(vectors, dtype=np.float32)))
        return np.asarray(drawn[:, 0].numpy(), dtype=np.float32)


def open_encoder(checkpoint: Path | str) -> Encoder:
    """Load a checkpoint directory for encoding. Touches no network.

    Raises CheckpointError if it cannot be loaded, NotIndexableError if it scores pairs and has no vectors.
    """
    path = Path(checkpoint)
    keep_freed_memory()
    return Encoder(load_checkpoint(path), fingerprint(path))
