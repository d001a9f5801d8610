"""Which galleries and checkpoints there are, and the one searcher each gallery has in this process."""

from __future__ import annotations

import gc
import hashlib
import threading
import time
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from crossmodal._files import CHECKPOINTS, PACKAGE, status_of
from crossmodal.app.state.demo import DEMO
from crossmodal.app.state.jobs import JOBS
from crossmodal.errors import CheckpointError, IndexStoreError
from crossmodal.index.manifest import MANIFEST, read_manifest
from crossmodal.inference.backends.export_files import EXPORTED
from crossmodal.inference.backends.export_files import MANIFEST as EXPORT_MANIFEST

if TYPE_CHECKING:
    from crossmodal.index import Manifest
    from crossmodal.inference.base import Encoder
    from crossmodal.inference.pair_scorer import Scorer
    from crossmodal.search.searcher import Searcher

__all__ = [
    "INDEXES", "can", "checkpoints", "encoder_of", "export_starter",
    "galleries", "gallery_can", "has_captions", "labels_of", "make_ready", "scorer_of", "searcher_of", "starter",
]  # fmt: skip

INDEXES = Path("indexes")
CHECKPOINT_FOLDERS = (
    Path("model-checkpoints"),
    Path("runs"),
    *([CHECKPOINTS] if CHECKPOINTS.parent == PACKAGE else []),  # as a wheel has it
)
FIRST_THE_PICTURES = 1.0  # seconds: importing torch stops all threads, also the one that sends the page
_LOADING = threading.Lock()


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


def encoder_of(checkpoint: Path) -> Encoder:
    """The one encoder this process has of a checkpoint, loaded on first use and again when its files change.

    Raises CheckpointError.
    """
    with _LOADING:
        return _loaded(str(checkpoint.resolve()), _stamp(checkpoint))


def scorer_of(checkpoint: Path) -> Scorer:
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
def _loaded(checkpoint: str, stamp: tuple[Any, ...]) -> Encoder:  # noqa: ARG001 - the stamp is part of the key
    from crossmodal.inference.backends.background_export import export_in_background
    from crossmodal.inference.encoder import open_encoder

    encoder = open_encoder(Path(checkpoint))
    if encoder.runtime == "torch":
        export_in_background(encoder.path)
    return encoder


@lru_cache(maxsize=1)
def _loaded_scorer(checkpoint: str, stamp: tuple[Any, ...]) -> Scorer:  # noqa: ARG001 - part of the key, too
    from crossmodal.inference.pair_scorer import open_scorer

    return open_scorer(Path(checkpoint))


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


def _settled(encoder: Encoder) -> Encoder:
    """An opened gallery whose rows and modules, which stay, were taken out of the garbage collector's sight."""
    gc.collect()
    gc.freeze()
    return encoder


def _checkpoint_of(manifest: Manifest) -> Path:
    recorded, shipped = manifest.checkpoint["path"], starter()
    places = [] if recorded is None else [Path(recorded), shipped.parent.parent / recorded]
    return next((place for place in places if place.is_dir()), shipped.parent / str(manifest.checkpoint["name"]))
