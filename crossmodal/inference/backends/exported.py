"""The towers as they were exported: vectors and exact parts without torch.

Each tower is opened at its first use, so that looking for words never loads the tower for pictures. What needs
gradients or a decoder is left to torch, loaded when it is asked for.

Shapes: N pictures or sentences, S side in pixels, D embedding, W pooled width, h×w places, P = h·w, L tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossmodal._memory import hold_memory
from crossmodal.errors import CheckpointError, InputError, install_command
from crossmodal.images.transforms import ImageTransform, resize_by_pillow, resize_by_simd
from crossmodal.inference.backends.export_files import EXPORTED, Export, check_files, export_command
from crossmodal.inference.backends.sessions import OnnxSession, OpenvinoSession, Session
from crossmodal.inference.backends.towers import EXACT, PIECE, Bulk, Ids, Pixels, Towers, Vectors, cores
from crossmodal.models.checkpoint_files import read_config, read_steadily, read_whole
from crossmodal.models.parts import Parts, Weights
from crossmodal.models.tokenizer import TextTokenizer

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["ExportedTowers"]

BF16_HINTS = {"image": ("f32", "bf16"), "text": ("bf16",)}  # the text tower rounded whole loses a cosine of 0.00003


class ExportedTowers:
    """An export; see `Towers`.

    path: the checkpoint's folder.
    export: the manifest of its export.
    runtime: "onnx-fp32", "onnx-int8" or "openvino-bf16".
    folder: where the files lie, `exported` of the checkpoint unless given.
    config: that of the checkpoint.

    Raises CheckpointError if a file is missing or altered, when the tower is first used, or the checkpoint is no longer
    the one that was opened, when something beside its towers is first needed.
    """

    def __init__(self, path: Path, export: Export, runtime: str, folder: Path | None = None) -> None:
        self.config = config = read_config(path)
        self.runtime = runtime
        self.tokenizer = TextTokenizer.load(path / "tokenizer.json", config["text"]["max_length"])
        self.splits_images = export.splits_images
        self.splits_texts = export.splits_texts
        self._transform = ImageTransform.from_dict(config["image"]["transform"])
        self._dimension = int(config["dimension"])
        self._path = path
        self._folder = folder or path / EXPORTED
        self._export = export
        self._library, self._precision = runtime.split("-")

    def pixels(self, image: Image) -> Pixels:
        """One RGB picture → (3, S, S), resized by Pillow: within a grey level of what torch gives."""
        return self._transform.pixels_without_torch(image)

    def embed_pixels(self, pixels: Pixels, batch_size: int) -> Vectors:
        """(N, 3, S, S) → unit vectors (N, D)."""
        vectors = np.empty((len(pixels), self._dimension), dtype=np.float32)
        for start in range(0, len(pixels), batch_size):
            part = np.ascontiguousarray(pixels[start : start + batch_size])
            (vectors[start : start + batch_size],) = self._image.run(["vectors"], {"pixels": part})
        return vectors

    @contextmanager
    def bulk(self) -> Iterator[Bulk]:
        """The image tower on one core for each thread; cykooz.resizer resizes where it is installed."""
        from crossmodal.images.decode import load_resized

        hold_memory(one_heap=True)
        lanes = cores()
        session = self._session("image", lanes)
        chosen = resize_by_simd if find_spec("cykooz_resizer") else resize_by_pillow
        resize = partial(chosen, interpolation=self._transform.interpolation)

        def read(data: bytes) -> Pixels:
            return self._transform.cut(load_resized(data, self._transform.scaled, resize))

        def encode(pixels: Pixels) -> Vectors:
            return session.run(["vectors"], {"pixels": pixels})[0]

        yield Bulk(lanes, PIECE, read, encode)

    def rest(self) -> None:
        """Close both towers until they are needed again; a call under way in another thread ends well."""
        for tower in ("_image", "_text"):
            self.__dict__.pop(tower, None)

    def embed_ids(self, ids: Ids, batch_size: int) -> Vectors:
        """Sentences → unit vectors (N, D); sentences of like length share a batch.

        By int8 each is alone: its values are rounded on the scale of its batch, so neighbours would move its vector.
        """
        if self._precision == "int8":
            batch_size = 1
        vectors = np.empty((len(ids), self._dimension), dtype=np.float32)
        order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            tokens, mask = self.tokenizer.padded([ids[row] for row in rows])
            (vectors[rows],) = self._text.run(["vectors"], {"ids": tokens, "mask": mask})
        return vectors

    def image_parts(self, pixels: Pixels) -> Parts:
        """(1, 3, S, S) → what each place adds. Raises InputError unless `splits_images`."""
        if not self.splits_images:
            raise InputError("this image backbone has no feature map whose mean is its pooled feature")
        vectors, maps = self._image.run(["vectors", "places"], {"pixels": pixels})  # (1, D), (1, W, h, w)
        places = maps[0].reshape(maps.shape[1], -1).T  # (P, W)
        return self._parts("image", vectors[0], places / np.float32(len(places)), tuple(maps.shape[2:]))

    def text_parts(self, ids: Ids) -> Parts:
        """One sentence → what each token adds. Raises InputError unless `splits_texts`."""
        if not self.splits_texts:
            raise InputError("this text tower has no features of tokens whose mean is its pooled feature")
        tokens, mask = self.tokenizer.padded(ids)
        vectors, features = self._text.run(["vectors", "tokens"], {"ids": tokens, "mask": mask})  # (1, D), (1, L, W)
        seen = mask[0, : features.shape[1]].astype(np.float32)
        shares = features[0] * seen[:, None] / max(1, seen.sum())
        return self._parts("text", vectors[0], shares, (features.shape[1],))

    def _parts(self, tower: str, vector: Vectors, features: NDArray[np.float32], shape: tuple[int, ...]) -> Parts:
        """The parts of a vector (D,) from features (P, W) that add up to the pooled one.

        Where the tower rounds, what that adds to the vector counts as bias, so that the parts still add up to it.
        """
        weight, bias = self._projections[tower]
        parts = features if weight is None else features @ weight.T
        bias = np.zeros(parts.shape[1], dtype=np.float32) if bias is None else bias
        whole = parts.sum(0)
        if self.runtime not in EXACT:
            bias = vector * np.float32(np.linalg.norm(whole + bias)) - whole
        whole = whole + bias
        unit = whole / max(float(np.linalg.norm(whole)), 1e-12)
        return Parts(unit.astype(np.float32), parts.astype(np.float32), bias, shape)

    def image_weights(self, pixels: Pixels, towards: Vectors) -> Weights:
        """(1, 3, S, S), unit vector (D,) → Grad-CAM of their cosine, by torch. Raises InputError where it is absent."""
        return self._trained.image_weights(pixels, towards)

    def text_weights(self, ids: Ids, towards: Vectors) -> Weights:
        """One sentence, unit vector (D,) → gradient × input of their cosine. Raises InputError without torch."""
        return self._trained.text_weights(ids, towards)

    def decode(self, vectors: Vectors) -> NDArray[np.float32]:
        """Unit vectors (N, D) → grey pictures (N, 28, 28) in [0, 1], by torch. Raises InputError without torch."""
        return self._trained.decode(vectors)

    @cached_property
    def _image(self) -> Session:
        return self._session("image")

    @cached_property
    def _text(self) -> Session:
        return self._session("text")

    def _session(self, tower: str, lanes: int = 1) -> Session:
        file = self._export.precisions[self._precision][tower]

        def checked() -> Session:
            check_files(self._path, self._folder, self._export, file)
            if self._library == "onnx":
                return OnnxSession(self._folder / file, lanes)
            return OpenvinoSession(self._folder / file, BF16_HINTS[tower], lanes)

        return read_steadily(self._path, [self._folder / file, self._folder / f"{file}.data"], checked)

    @cached_property
    def _projections(self) -> dict[str, tuple[Any, Any]]:
        """Weight (D, W) and bias (D,) of each tower's projection, None where it has none."""
        found, digest = read_whole(self._path, lambda _: self._read_projections())
        self._check_same(digest)
        return found

    def _check_same(self, digest: str) -> None:
        """Raise CheckpointError if the checkpoint is not the one that was opened."""
        if digest != self._export.fingerprint:
            raise CheckpointError(
                f"{self._path} was replaced since it was opened ({self._export.fingerprint[:8]}… is now "
                f"{digest[:8]}…): run `{export_command(self._path)}`, then open it again"
            )

    def _read_projections(self) -> dict[str, tuple[Any, Any]]:
        from safetensors import SafetensorError, safe_open

        found: dict[str, tuple[Any, Any]] = {}
        try:
            with safe_open(self._path / "model.safetensors", framework="np") as file:
                names = set(file.keys())
                for tower in ("image", "text"):
                    weight, bias = (
                        file.get_tensor(name).astype(np.float32) if name in names else None
                        for name in (f"{tower}.projection.weight", f"{tower}.projection.bias")
                    )
                    found[tower] = weight, bias
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{self._path / 'model.safetensors'} cannot be read: {error}") from error
        return found

    @cached_property
    def _trained(self) -> Towers:
        try:
            from crossmodal.inference.backends.trained import TrainedTowers
        except ImportError as error:
            raise InputError(f"gradients and decoders need torch ({error}): `{install_command('torch')}`") from error
        towers = TrainedTowers(self._path)
        self._check_same(towers.fingerprint)
        return towers
