"""Stand-ins that behave like the real thing, small enough to be understood at a glance."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crossmodal.index import Index
from crossmodal.inference.base import Encoder, Vectors

COLOURS = ("red", "green", "blue")


class FakeEncoder(Encoder):
    """Colours only: a picture's vector starts with its mean colour, a sentence's with the colours it names.

    The rest of the 16 numbers is a small hash of the content, so that no two items are equal. crowded: each vector is
    shifted a little by the others of its batch and by the batch's size, as float sums in a real network may be.
    pause: seconds per batch. pictures, texts: what was encoded so far.
    """

    dimension = 16
    name = "fake"

    def __init__(self, fingerprint: str = "f" * 64, crowded: bool = False, pause: float = 0.0) -> None:
        self.fingerprint = fingerprint
        self.preprocessing = {"image": {"size": 8}, "text": {"max_length": 64}}
        self.pictures = 0
        self.texts: list[str] = []
        self._crowded = crowded
        self._pause = pause

    def preprocess(self, image: Image.Image) -> NDArray[np.uint8]:
        return np.asarray(image.convert("RGB").resize((8, 8)), dtype=np.uint8).transpose(2, 0, 1)

    def encode_pixels(self, pixels: NDArray[np.uint8], batch_size: int = 32) -> Vectors:
        del batch_size
        time.sleep(self._pause)
        self.pictures += int((pixels.reshape(len(pixels), -1).sum(1) > 0).sum())
        colours = pixels.reshape(len(pixels), 3, -1).mean(2) / 255
        return self._unit(colours, [picture.tobytes() for picture in pixels])

    def encode_texts(self, texts: Sequence[str], batch_size: int = 64) -> Vectors:
        del batch_size
        time.sleep(self._pause)
        self.texts += texts
        colours = np.array([[colour in text.lower().split() for colour in COLOURS] for text in texts], dtype=np.float64)
        return self._unit(colours, [text.encode() for text in texts])

    def _unit(self, colours: NDArray[Any], contents: Sequence[bytes]) -> Vectors:
        hashes = [np.frombuffer(hashlib.sha256(content).digest()[:13], dtype=np.uint8) for content in contents]
        vectors = np.concatenate([colours, np.stack(hashes) / 2550], axis=1)
        if self._crowded:
            vectors += 1e-4 * vectors.mean() + 1e-5 * len(vectors)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def paint(path: Path, colour: str, size: int = 12) -> Path:
    """Write a picture of one colour; the suffix says in which format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (size, size), colour).save(path)
    return path


def paint_many(folder: Path, count: int) -> Path:
    """Pictures that all differ, with two captions each; returns the captions file."""
    for number in range(count):
        paint(folder / f"{number:03d}.png", f"#{number:02x}{255 - number:02x}{number * 7 % 256:02x}")
    rows = [f"{number:03d}.png,number {number} is {word}" for number in range(count) for word in ("red", "green here")]
    path = folder.parent / "captions.csv"
    path.write_text("image,caption\n" + "\n".join(rows))
    return path


def contents(index: Index) -> tuple[Any, bytes, bytes]:
    """Everything that a search depends on, to the bit."""
    return index.catalogue, index.image_vectors.tobytes(), index.caption_vectors.tobytes()


class DrawingEncoder(FakeEncoder):
    """One that also draws vectors: an even grey, as light as the picture's three colours on average."""

    can_decode = True

    def decode(self, vectors: Vectors) -> Vectors:
        greys = (vectors[:, :3] / np.linalg.norm(vectors[:, :3], axis=1, keepdims=True)).mean(1)
        return np.broadcast_to(greys[:, None, None], (len(vectors), 28, 28)).astype(np.float32)


class FakeScorer:
    """Sure of a sentence whose first colour is the picture's strongest, doubtful of any other."""

    name = "judge"
    fingerprint = "e" * 64

    def probabilities(self, images: Sequence[Image.Image], texts: Sequence[str]) -> Vectors:
        strongest = [COLOURS[int(np.asarray(image).reshape(-1, 3).mean(0).argmax())] for image in images]
        named = [next((word for word in text.lower().split() if word in COLOURS), "") for text in texts]
        return np.where(np.array(strongest) == np.array(named), 0.9, 0.1).astype(np.float32)


def clustered_vectors(count: int, dimension: int, seed: int = 0) -> Vectors:
    """Unit vectors in clusters of ten, with a falling spectrum."""
    generator = np.random.default_rng(seed)
    spectrum = 1 / (1 + np.arange(dimension) / 10)
    centres = generator.normal(size=(-(-count // 10), dimension))
    vectors = (np.repeat(centres, 10, axis=0)[:count] + 0.7 * generator.normal(size=(count, dimension))) * spectrum
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)
