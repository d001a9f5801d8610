"""A trained model at work: opened from its checkpoint, run by the best run time that is present.

Shapes: N pictures or sentences, B batch, S side in pixels, D embedding.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from crossmodal.errors import InputError, NotIndexableError, install_command
from crossmodal.images.transforms import ImageTransform
from crossmodal.inference.backends.export_files import Export, export_command, find_export, has_export, read_export
from crossmodal.inference.backends.exported import ExportedTowers
from crossmodal.inference.backends.openvino_bf16 import NO_BF16, computes_bf16
from crossmodal.inference.backends.towers import EXACT, RUNTIME_VARIABLE, Bulk, Pixels, Towers
from crossmodal.inference.base import Encoder, Vectors
from crossmodal.models.checkpoint_files import checkpoint_name, read_config, read_steadily, read_whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from crossmodal.models.parts import Parts, Weights
    from crossmodal.models.words import Word

__all__ = ["RUNTIMES", "RUNTIME_VARIABLE", "CheckpointEncoder", "open_encoder", "present_runtimes"]

# The best first: exact ones before those that round
RUNTIMES = ("onnx-fp32", "openvino-bf16", "onnx-int8", "torch")
PACKAGES = {"onnx": "onnxruntime", "openvino": "openvino", "torch": "torch"}


class CheckpointEncoder(Encoder):
    """A checkpoint that encodes; see `Encoder`. One thread at a time is in its towers, the others wait.

    Vectors of the run times that are exact agree to float noise, so that an index serves them all.
    """

    can_explain = has_bulk = True

    def __init__(self, path: Path, config: dict[str, Any], towers: Towers, fingerprint: str) -> None:
        self._towers = towers
        self._tokenizer = towers.tokenizer
        self._lock = Lock()  # around the towers alone: pictures are decoded and preprocessed beside each other
        self.runtime = towers.runtime
        self.rounds = "" if towers.runtime in EXACT else towers.runtime
        self.fingerprint = fingerprint
        self.name = checkpoint_name(path)
        self.path = path
        self.dimension = int(config["dimension"])
        self.labels = tuple(config.get("labels") or ())
        self.can_decode = bool(config.get("decoder"))
        self.splits_images = towers.splits_images
        self.splits_texts = towers.splits_texts
        self.preprocessing = {
            "image": ImageTransform.from_dict(config["image"]["transform"]).as_dict(),
            "text": {"max_length": self._tokenizer.max_length},
        }

    def preprocess(self, image: Image) -> Pixels:
        """One RGB picture → uint8 (3, S, S)."""
        return self._towers.pixels(image)

    def encode_pixels(self, pixels: Pixels, batch_size: int = 32) -> Vectors:
        """uint8 (B, 3, S, S) → float32 unit vectors (B, D)."""
        with self._lock:
            return self._towers.embed_pixels(pixels, batch_size)

    def encode_texts(self, texts: Sequence[str], batch_size: int = 64) -> Vectors:
        """Sentences → float32 unit vectors (N, D). Raises InputError for a word no class of a labelled model has."""
        with self._lock:
            return self._towers.embed_ids(self._ids(texts), batch_size)

    def bulk(self) -> AbstractContextManager[Bulk]:
        """The image tower set up for indexing; it is a tower of its own, so that nobody waits for it."""
        return self._towers.bulk()

    def rest(self) -> None:
        """Give back the memory of exported towers; the next call that needs one loads it again, in 0.1 to 0.3 s."""
        self._towers.rest()

    def decode(self, vectors: Vectors) -> NDArray[np.float32]:
        """Unit vectors (N, D) → grey pictures (N, 28, 28) in [0, 1]. Raises InputError without a decoder."""
        if not self.can_decode:
            return super().decode(vectors)
        with self._lock:
            return self._towers.decode(vectors)

    def words(self, text: str) -> tuple[Word, ...]:
        """The words of a sentence as far as it is read, each with the places of its tokens in `text_parts`."""
        return self._tokenizer.words(text)

    def unread(self, text: str) -> str:
        """The end of a sentence that is too long to be read; mostly empty."""
        return self._tokenizer.unread(text)

    def image_parts(self, image: Image) -> Parts:
        """The vector of one RGB picture as a sum over its places. Raises InputError unless `splits_images`."""
        pixels = self.preprocess(image)[None]
        with self._lock:
            return self._towers.image_parts(pixels)

    def text_parts(self, text: str) -> Parts:
        """The vector of one sentence as a sum over its tokens.

        Raises InputError unless `splits_texts`, and for a word no class of a labelled model has.
        """
        with self._lock:
            return self._towers.text_parts(self._ids([text]))

    def image_weights(self, image: Image, towards: Vectors) -> Weights:
        """How much each place of a picture matters to its cosine with a unit vector (D,), by Grad-CAM."""
        pixels = self.preprocess(image)[None]
        with self._lock:
            return self._towers.image_weights(pixels, towards)

    def text_weights(self, text: str, towards: Vectors) -> Weights:
        """How much each token matters to a sentence's cosine with a unit vector (D,), by gradient × input.

        Raises InputError for a word no class of a labelled model has.
        """
        with self._lock:
            return self._towers.text_weights(self._ids([text]), towards)

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        tokenizer = self._tokenizer
        unknown = [text for text in texts if self.labels and not tokenizer.knows(text)]
        if unknown:
            raise InputError(f"{self.name} knows no {unknown[0]!r}, only its classes: {', '.join(self.labels)}")
        return tokenizer.ids(texts)


def open_encoder(checkpoint: Path | str, runtime: str = "auto") -> Encoder:
    """Open a checkpoint directory for encoding. Touches no network.

    runtime: one of RUNTIMES, or "auto" for the best that is present (or the one that CROSSMODAL_RUNTIME names).

    Raises CheckpointError if it cannot be loaded, its export is damaged, or is of other weights and its runtime named;
    NotIndexableError if it scores pairs and has no vectors; InputError for a runtime that is unknown or absent.
    """
    path = Path(checkpoint)
    config = read_steadily(path, [path / "config.json"], lambda: read_config(path))
    if config.get("kind") == "pair_scorer":
        raise NotIndexableError(
            f"{path} scores pairs of a picture and a sentence and gives no vectors, so it cannot be "
            f"indexed or searched: use `python -m crossmodal match --checkpoint {path}`, or let it "
            f"re-order what another checkpoint finds, `python -m crossmodal search … --rerank {path}`"
        )
    if runtime == "auto":
        runtime = os.environ.get(RUNTIME_VARIABLE) or "auto"
    if runtime not in ("auto", *RUNTIMES):
        raise InputError(f"unknown runtime {runtime!r}: one of auto, {', '.join(RUNTIMES)}")
    if runtime != "torch" and has_export(path):
        towers, digest = read_whole(path, lambda digest: _exported_towers(path, runtime, digest()))
        if towers is not None:
            return CheckpointEncoder(path, towers.config, towers, digest)
    else:
        _chosen(path, runtime, None)  # torch, the only one without an export
    from crossmodal.inference.backends.trained import TrainedTowers

    trained = TrainedTowers(path)
    return CheckpointEncoder(path, trained.config, trained, trained.fingerprint)


def _exported_towers(path: Path, runtime: str, digest: str) -> ExportedTowers | None:
    """The towers of an export; None where it is of other weights, or the checkpoint is better run by torch."""
    export = find_export(path, digest) if runtime == "auto" else read_export(path, digest)
    chosen = _chosen(path, runtime, export)
    return None if export is None or chosen == "torch" else ExportedTowers(path, export, chosen)


def _chosen(path: Path, runtime: str, export: Export | None) -> str:
    """The runtime that is asked for or best. Raises InputError if it is absent."""
    chosen = next(_present(export), "torch") if runtime == "auto" else runtime
    if not _is_present(chosen, export):
        raise InputError(_why_absent(path, chosen, export))
    return chosen


def present_runtimes(export: Export | None) -> tuple[str, ...]:
    """The runtimes that could run a checkpoint here, the best first.

    export: what was exported from it, if anything.
    """
    return tuple(_present(export))


def _present(export: Export | None) -> Iterator[str]:
    """One by one, so that the choice of the best imports nothing for those after it."""
    return (name for name in RUNTIMES if _is_present(name, export))


def _is_present(runtime: str, export: Export | None) -> bool:
    library, _, precision = runtime.partition("-")
    offered = runtime == "torch" or (export is not None and precision in export.precisions)
    return offered and bool(find_spec(PACKAGES[library])) and (precision != "bf16" or computes_bf16())


def _why_absent(path: Path, runtime: str, export: Export | None) -> str:
    library, _, precision = runtime.partition("-")
    package = PACKAGES[library]
    if not find_spec(package):
        needs = f"the runtime {runtime} needs {package}: `{install_command(package)}`"
        alone = runtime == "torch" and export is None
        return needs + (f", or run `{export_command(path)}` where it is, to do without torch" if alone else "")
    if precision == "bf16" and not computes_bf16():
        return f"the runtime {runtime} is refused: {NO_BF16}"
    checked = {} if export is None else export.checks.get(precision, {})
    if checked:
        return f"{precision} of {path} failed its check when it was exported ({checked}): take another runtime"
    return f"{path} has no export in {precision}: run `{export_command(path)} --precision {precision}`"
