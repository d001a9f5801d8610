"""Which galleries and checkpoints there are, and the one searcher each gallery has in this process."""

from __future__ import annotations

import gc
import hashlib
import threading
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from crossmodal._files import CHECKPOINTS, PACKAGE, status_of
from crossmodal.app.state.demo import DEMO
from crossmodal.app.state.jobs import JOBS
from crossmodal.errors import CheckpointError, IndexStoreError, InputError
from crossmodal.index.manifest import MANIFEST, read_manifest
from crossmodal.inference.backends.export_files import EXPORTED
from crossmodal.inference.backends.export_files import MANIFEST as EXPORT_MANIFEST

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from crossmodal.index import Embedder, Manifest
    from crossmodal.inference.explain import Explainer
    from crossmodal.inference.pair_scorer import Scorer
    from crossmodal.models.parts import Parts, Weights
    from crossmodal.models.words import Word
    from crossmodal.search.searcher import Searcher

__all__ = [
    "EXPLAINER_FACES", "INDEXES", "LockedEncoder", "LockedScorer", "can", "checkpoints", "encoder_of", "export_starter",
    "galleries", "gallery_can", "has_captions", "labels_of", "make_ready", "scorer_of", "searcher_of", "starter",
]  # fmt: skip

INDEXES = Path("indexes")
CHECKPOINT_FOLDERS = (
    Path("model-checkpoints"),
    Path("runs"),
    *([CHECKPOINTS] if CHECKPOINTS.parent == PACKAGE else []),  # as a wheel has it
)
EXPLAINER_FACES = ("words", "unread", "image_parts", "text_parts", "image_weights", "text_weights")
FIRST_THE_PICTURES = 1.0  # seconds: importing torch stops all threads, also the one that sends the page
_LOADING = threading.Lock()


class LockedEncoder:
    """An encoder that several sessions and jobs may share: one thread at a time encodes, the others wait."""

    def __init__(self, encoder: Embedder) -> None:
        self._encoder = encoder
        self._lock = threading.Lock()
        self.fingerprint, self.dimension, self.name = encoder.fingerprint, encoder.dimension, encoder.name
        self.preprocessing = encoder.preprocessing
        self.path: Path | None = getattr(encoder, "path", None)
        self.runtime: str = getattr(encoder, "runtime", "")
        self.rounds: str = getattr(encoder, "rounds", "")
        if hasattr(encoder, "bulk"):  # it sets up towers of its own, so that nobody waits for it
            self.bulk = encoder.bulk
        self.labels: tuple[str, ...] = getattr(encoder, "labels", ())
        self.can_decode: bool = getattr(encoder, "can_decode", False)
        self.can_explain = all(hasattr(encoder, face) for face in EXPLAINER_FACES)
        self.splits_images: bool = getattr(encoder, "splits_images", False)
        self.splits_texts: bool = getattr(encoder, "splits_texts", False)

    def preprocess(self, image: Image) -> NDArray[np.uint8]:
        """As the encoder's."""
        return self._encoder.preprocess(image)

    def encode_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """As the encoder's."""
        with self._lock:
            return self._encoder.encode_pixels(pixels)

    def encode_images(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """As the encoder's."""
        with self._lock:
            return self._encoder.encode_images(images)

    def encode_texts(self, texts: Sequence[str], batch_size: int = 64) -> NDArray[np.float32]:
        """As the encoder's."""
        with self._lock:
            return self._encoder.encode_texts(texts, batch_size)

    def decode(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Unit vectors (N, D) → grey pictures (N, 28, 28) in [0, 1]. Raises InputError where there is no decoder."""
        if not self.can_decode:
            raise InputError(f"{self.name} has no decoder, so its vectors cannot be drawn")
        with self._lock:
            drawn: NDArray[np.float32] = self._encoder.decode(vectors)  # type: ignore[attr-defined]
            return drawn

    def words(self, text: str) -> tuple[Word, ...]:
        """As the encoder's; like all below only where it `can_explain`, else an InputError."""
        return self._explainer.words(text)

    def unread(self, text: str) -> str:
        """As the encoder's."""
        return self._explainer.unread(text)

    def image_parts(self, image: Image) -> Parts:
        """As the encoder's."""
        with self._lock:
            return self._explainer.image_parts(image)

    def text_parts(self, text: str) -> Parts:
        """As the encoder's."""
        with self._lock:
            return self._explainer.text_parts(text)

    def image_weights(self, image: Image, towards: NDArray[np.float32]) -> Weights:
        """As the encoder's."""
        with self._lock:
            return self._explainer.image_weights(image, towards)

    def text_weights(self, text: str, towards: NDArray[np.float32]) -> Weights:
        """As the encoder's."""
        with self._lock:
            return self._explainer.text_weights(text, towards)

    @property
    def _explainer(self) -> Explainer:
        if not self.can_explain:
            raise InputError(f"{self.name} cannot say what its scores are made of")
        return self._encoder  # type: ignore[return-value]


class LockedScorer:
    """A scorer that several sessions may share: one thread at a time scores, the others wait."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._lock = threading.Lock()
        self.name, self.fingerprint = scorer.name, scorer.fingerprint

    def probabilities(self, images: Sequence[Image], texts: Sequence[str]) -> NDArray[np.float32]:
        """As the scorer's."""
        with self._lock:
            return self._scorer.probabilities(images, texts)


def galleries(also: Path | None = None) -> list[Path]:
    """Folders a person may open: the one named at the start, the demo, then those below indexes/ by name."""
    found = sorted(path.parent for path in INDEXES.glob(f"*/{MANIFEST}") if path.parent != DEMO)
    first = [DEMO] if also is None or also.resolve() == DEMO.resolve() else [also, DEMO]
    return first + [path for path in found if also is None or path.resolve() != also.resolve()]


def checkpoints(*abilities: str) -> list[Path]:
    """Checkpoint directories below model-checkpoints/ and runs/ (three levels), the shipped one first.

    abilities: what each of them must be able to do, as `crossmodal.models.checkpoint.abilities` names it.
    """
    found = {
        path.parent
        for folder in CHECKPOINT_FOLDERS
        for depth in ("*", "*/*", "*/*/*")
        for path in folder.glob(f"{depth}/model.safetensors")
        if not any(part.startswith(".") for part in path.parts)
    }
    able = [path for path in found if all(can(path, ability) for ability in abilities)]
    return sorted(able, key=lambda path: (path.name != "starter", path.as_posix()))


def can(checkpoint: Path, ability: str) -> bool:
    """Whether a checkpoint has an ability: "vectors", "words", "labels", "pairs", "decoding"; a broken one none."""
    from crossmodal.models.checkpoint_files import abilities

    try:
        return ability in abilities(checkpoint)
    except CheckpointError:
        return False


def gallery_can(index: Path, ability: str) -> bool:
    """Whether the checkpoint of a gallery has an ability; False while there is no index."""
    try:
        return can(_checkpoint_of(read_manifest(index)), ability)
    except IndexStoreError:
        return False


def labels_of(index: Path) -> tuple[str, ...]:
    """The only words that can be asked of a gallery; empty where any words can."""
    from crossmodal.models.checkpoint_files import read_config

    if not gallery_can(index, "labels"):
        return ()
    return tuple(read_config(_checkpoint_of(read_manifest(index)))["labels"])


def has_captions(index: Path) -> bool:
    """Whether a gallery has captions to find; the demo has, or is just getting them."""
    try:
        return index == DEMO or read_manifest(index).counts["captions"] > 0
    except IndexStoreError:
        return True


def starter() -> Path:
    """The shipped checkpoint."""
    from crossmodal.models.checkpoint_files import STARTER

    return STARTER


@lru_cache(maxsize=1)
def export_starter() -> threading.Thread:
    """Begin once to export the shipped checkpoint where that is lacking; the page waits for nothing of it."""
    from crossmodal.inference.backends.background_export import export_in_background

    thread = threading.Thread(target=export_in_background, args=(starter(),), daemon=True)
    thread.start()
    return thread


def encoder_of(checkpoint: Path) -> LockedEncoder:
    """The one encoder this process has of a checkpoint, loaded on first use and again when its files change.

    Raises CheckpointError.
    """
    with _LOADING:
        return _loaded(str(checkpoint.resolve()), _stamp(checkpoint))


def scorer_of(checkpoint: Path) -> LockedScorer:
    """The one scorer this process has of a checkpoint that judges pairs, loaded as `encoder_of` does.

    Raises CheckpointError or InputError.
    """
    with _LOADING:
        return _loaded_scorer(str(checkpoint.resolve()), _stamp(checkpoint))


def searcher_of(index: Path) -> Searcher:
    """The one searcher of a gallery, opened on first use and again when a build has replaced the index.

    Its encoder is loaded by the first question, or by `make_ready`: pictures can be shown without it.

    Raises IndexStoreError; a question may raise CheckpointError.
    """
    read_manifest(index)  # says what to do where there is none
    manifest = hashlib.sha256((index / MANIFEST).read_bytes()).hexdigest()
    return _opened(str(index.resolve()), manifest)


def make_ready(searcher: Searcher) -> None:
    """Load the encoder beside the page, a moment after its pictures were sent; the first question tells of an error."""
    if not searcher.is_ready:
        JOBS.start(f"encoder of {searcher.index.path.resolve()}", lambda _: _load_later(searcher))


def _load_later(searcher: Searcher) -> None:
    time.sleep(FIRST_THE_PICTURES)
    searcher.encoder  # noqa: B018 - its first use loads it


@lru_cache(maxsize=2)
def _loaded(checkpoint: str, stamp: tuple[Any, ...]) -> LockedEncoder:  # noqa: ARG001 - the stamp is part of the key
    from crossmodal.inference.backends.background_export import export_in_background
    from crossmodal.inference.encoder import open_encoder

    encoder = open_encoder(Path(checkpoint))
    if getattr(encoder, "runtime", "") == "torch":
        export_in_background(encoder.path)
    return LockedEncoder(encoder)


@lru_cache(maxsize=1)
def _loaded_scorer(checkpoint: str, stamp: tuple[Any, ...]) -> LockedScorer:  # noqa: ARG001 - part of the key, too
    from crossmodal.inference.pair_scorer import open_scorer

    return LockedScorer(open_scorer(Path(checkpoint)))


def _stamp(checkpoint: Path) -> tuple[Any, ...]:
    names = ("model.safetensors", "config.json", "tokenizer.json", f"{EXPORTED}/{EXPORT_MANIFEST}")
    files = [checkpoint / name for name in names if (checkpoint / name).is_file()]
    return tuple((file.name, *status_of(file)) for file in files)


@st.cache_resource(max_entries=3, show_spinner="Opening the gallery …")
def _opened(index: str, manifest: str) -> Searcher:  # noqa: ARG001 - the manifest's hash is part of the key
    from crossmodal.index import open_index
    from crossmodal.search.searcher import Searcher

    opened = open_index(index)
    return Searcher(opened, lambda: _settled(encoder_of(_checkpoint_of(opened.manifest))))


def _settled(encoder: LockedEncoder) -> LockedEncoder:
    """An opened gallery whose rows and modules, which stay, were taken out of the garbage collector's sight."""
    gc.collect()
    gc.freeze()
    return encoder


def _checkpoint_of(manifest: Manifest) -> Path:
    recorded, shipped = manifest.checkpoint["path"], starter()
    places = [] if recorded is None else [Path(recorded), shipped.parent.parent / recorded]
    return next((place for place in places if place.is_dir()), shipped.parent / str(manifest.checkpoint["name"]))
