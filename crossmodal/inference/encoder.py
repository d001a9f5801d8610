"""One face for a trained model: pictures and sentences in, unit vectors out, whatever runs it.

Shapes: N pictures or sentences, B batch, S side in pixels, D embedding.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import InputError, NotIndexableError, install_command
from crossmodal.images.transforms import ImageTransform
from crossmodal.inference.backends.export_files import Export, export_command, find_export, has_export, read_export
from crossmodal.inference.backends.exported import ExportedTowers
from crossmodal.inference.backends.openvino_bf16 import NO_BF16, computes_bf16
from crossmodal.inference.backends.towers import EXACT, RUNTIME_VARIABLE, Bulk, Towers, Vectors
from crossmodal.models.checkpoint_files import checkpoint_name, copy_checkpoint, read_config, read_steadily, read_whole

if TYPE_CHECKING:
    from PIL.Image import Image

    from crossmodal.models.parts import Parts, Weights
    from crossmodal.models.words import Word

__all__ = ["RUNTIMES", "RUNTIME_VARIABLE", "Encoder", "Vectors", "open_encoder", "present_runtimes"]

# The best first: exact ones before those that round
RUNTIMES = ("onnx-fp32", "openvino-bf16", "onnx-int8", "torch")
PACKAGES = {"onnx": "onnxruntime", "openvino": "openvino", "torch": "torch"}


class Encoder:
    """A checkpoint that encodes. One thread at a time may call `encode_…`; `preprocess` is free of state.

    fingerprint: hex digest of the checkpoint's files. dimension: D. name: see `checkpoint_name`. runtime: what runs it,
    one of RUNTIMES; vectors of the exact ones agree to float noise, so that an index serves them all. rounds: the run
    time again if it computes with fewer digits, "" if it is exact; an index holds vectors of one such kind alone.
    preprocessing: all that shapes the input, as JSON values; an index remembers it. labels: the only words it knows;
    empty where it knows any. can_decode: whether it can draw what a vector looks like. splits_images, splits_texts:
    whether a vector is an exact sum over places or tokens, which `image_parts` and `text_parts` give.
    """

    def __init__(self, path: Path, config: dict[str, Any], towers: Towers, fingerprint: str) -> None:
        self._towers = towers
        self._tokenizer = towers.tokenizer
        self.runtime = towers.runtime
        self.rounds = "" if towers.runtime in EXACT else towers.runtime
        self.fingerprint = fingerprint
        self.name = checkpoint_name(path)
        self.path = path
        self.dimension = int(config["dimension"])
        self.labels: tuple[str, ...] = tuple(config.get("labels") or ())
        self.can_decode = bool(config.get("decoder"))
        self.splits_images = towers.splits_images
        self.splits_texts = towers.splits_texts
        self.preprocessing: dict[str, Any] = {
            "image": ImageTransform.from_dict(config["image"]["transform"]).as_dict(),
            "text": {"max_length": self._tokenizer.max_length},
        }

    def preprocess(self, image: Image) -> NDArray[np.uint8]:
        """One RGB picture → uint8 (3, S, S)."""
        return self._towers.pixels(image)

    def encode_pixels(self, pixels: NDArray[np.uint8], batch_size: int = 32) -> Vectors:
        """uint8 (B, 3, S, S) → float32 unit vectors (B, D)."""
        return self._towers.embed_pixels(pixels, batch_size)

    def bulk(self) -> AbstractContextManager[Bulk]:
        """The image tower set up for indexing, as long as the context lasts; see `Bulk`.

        Its pixels agree with those of `preprocess` to within a grey level on average, its vectors to float noise.
        """
        return self._towers.bulk()

    def rest(self) -> None:
        """Give back the memory of exported towers; the next call that needs one loads it again, in 0.1 to 0.3 s."""
        self._towers.rest()

    def encode_images(self, images: Sequence[Image | str | PathLike[str]], batch_size: int = 32) -> Vectors:
        """RGB pictures, or paths of picture files → float32 unit vectors (N, D).

        Raises ImageError for a file that cannot be decoded.
        """
        from crossmodal.images.decode import load_image  # here: a question in words needs no decoder

        if not images:
            return np.empty((0, self.dimension), dtype=np.float32)
        opened = (load_image(Path(image)) if isinstance(image, str | PathLike) else image for image in images)
        return self.encode_pixels(np.stack([self.preprocess(image) for image in opened]), batch_size)

    def encode_texts(self, texts: Sequence[str], batch_size: int = 64) -> Vectors:
        """Sentences → float32 unit vectors (N, D). Raises InputError for a word no class of a labelled model has."""
        return self._towers.embed_ids(self._ids(texts), batch_size)

    def save_pretrained(self, folder: Path | str) -> None:
        """Copy the checkpoint to another folder, which `load_model` opens.

        Raises CheckpointError if the folder holds anything but a checkpoint, or cannot be written.
        """
        copy_checkpoint(self.path, Path(folder))

    def words(self, text: str) -> tuple[Word, ...]:
        """The words of a sentence as far as it is read, each with the places of its tokens in `text_parts`."""
        return self._tokenizer.words(text)

    def unread(self, text: str) -> str:
        """The end of a sentence that is too long to be read; mostly empty."""
        return self._tokenizer.unread(text)

    def image_parts(self, image: Image) -> Parts:
        """The vector of one RGB picture as a sum over its places. Raises InputError unless `splits_images`."""
        return self._towers.image_parts(self.preprocess(image)[None])

    def text_parts(self, text: str) -> Parts:
        """The vector of one sentence as a sum over its tokens.

        Raises InputError unless `splits_texts`, and for a word no class of a labelled model has.
        """
        return self._towers.text_parts(self._ids([text]))

    def image_weights(self, image: Image, towards: Vectors) -> Weights:
        """How much each place of a picture matters to its cosine with a unit vector (D,), by Grad-CAM."""
        return self._towers.image_weights(self.preprocess(image)[None], towards)

    def text_weights(self, text: str, towards: Vectors) -> Weights:
        """How much each token matters to a sentence's cosine with a unit vector (D,), by gradient × input.

        Raises InputError for a word no class of a labelled model has.
        """
        return self._towers.text_weights(self._ids([text]), towards)

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        tokenizer = self._tokenizer
        unknown = [text for text in texts if self.labels and not tokenizer.knows(text)]
        if unknown:
            raise InputError(f"{self.name} knows no {unknown[0]!r}, only its classes: {', '.join(self.labels)}")
        return tokenizer.ids(texts)

    def decode(self, vectors: Vectors) -> NDArray[np.float32]:
        """Unit vectors (N, D) → grey pictures (N, 28, 28) in [0, 1]. Raises InputError without a decoder."""
        return self._towers.decode(vectors)


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
            return Encoder(path, towers.config, towers, digest)
    else:
        _chosen(path, runtime, None)  # torch, the only one without an export
    from crossmodal.inference.backends.trained import TrainedTowers

    trained = TrainedTowers(path)
    return Encoder(path, trained.config, trained, trained.fingerprint)


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
    """The runtimes that could run a checkpoint here, the best first. export: what was exported from it, if anything."""
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
