"""A checkpoint's towers as ONNX files, each precision held against torch before it is kept.

Shapes: N pictures, M sentences, B batch, S side in pixels, L tokens, D embedding, W pooled width, h×w places.
"""

from __future__ import annotations

import logging
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from crossmodal._files import sealed_hash, whole_directory, write_document
from crossmodal.datasets.records import Record
from crossmodal.errors import CheckpointError, ImageError, InputError, install_command
from crossmodal.evaluation.metrics import image_to_text_ranks, recall_at_k, text_to_image_ranks
from crossmodal.images.decode import load_image
from crossmodal.images.transforms import ImageTransform
from crossmodal.inference.backends.background_export import export_lock
from crossmodal.inference.backends.export_files import (
    EXPORTED,
    MANIFEST,
    NEEDED,
    PRECISIONS,
    SCHEMA,
    Export,
    check_export_folder,
    export_command,
)
from crossmodal.inference.backends.exported import ExportedTowers
from crossmodal.inference.backends.fusing import fused
from crossmodal.inference.backends.openvino_bf16 import NO_BF16, computes_bf16
from crossmodal.inference.backends.towers import Vectors
from crossmodal.inference.quantise import quantise_image, quantise_text
from crossmodal.models.checkpoint import Checkpoint, load_checkpoint
from crossmodal.models.checkpoint_files import fingerprint
from crossmodal.models.dual import CrossModalModel
from crossmodal.models.encoders import ImageEncoder, TextTower
from crossmodal.models.tokenizer import TextTokenizer
from crossmodal.scenes.scene import describe_scene, draw_scene, make_scenes

__all__ = ["OPSET", "RECALL_POINTS", "Samples", "Say", "export_checkpoint", "record_samples", "scene_samples"]

OPSET = 20
SCENES = 100  # pictures a check is made on where none are given, five captions each
LOWEST_COSINE = {"fp32": 0.999, "bf16": 0.99, "int8": 0.99}  # on average over all samples of a tower, and
LOWEST_SINGLE = {"fp32": 0.999, "bf16": 0.9, "int8": 0.9}  # of the worst of them
RECALL_POINTS = 0.5  # by which recall@10 may fall
PACKAGES = ("torch", "onnx", "onnxscript", "onnxruntime", "openvino")
BATCH = 32

Say = Callable[[str], None]


@dataclass(frozen=True)
class Samples:
    """What an export is checked on.

    name: what they are called in the checks.
    pixels: (N, 3, S, S).
    texts: M sentences.
    owner: (M,), row of each one's picture.
    """

    name: str
    pixels: NDArray[np.uint8]
    texts: tuple[str, ...]
    owner: NDArray[np.int64]


def scene_samples(transform: ImageTransform, texts: Sequence[str] = (), count: int = SCENES) -> Samples:
    """Generated scenes with their captions.

    transform: what turns pictures into pixels.
    texts: the only words the model knows, shared out in turn, if any.
    count: N, the scenes.
    """
    scenes = make_scenes(count, seed=0, split="val")
    pixels = np.stack([transform.pixels(draw_scene(scene)) for scene in scenes])
    if texts:
        return Samples("generated scenes", pixels, tuple(texts), np.arange(len(texts)) % count)
    captions = [describe_scene(scene) for scene in scenes]
    owner = np.repeat(np.arange(count), [len(group) for group in captions])
    return Samples("generated scenes", pixels, tuple(text for group in captions for text in group), owner)


def record_samples(name: str, root: Path, records: Sequence[Record], transform: ImageTransform) -> Samples:
    """Real pictures below root with their captions; unreadable ones are left out. Raises InputError if none is left."""
    pixels, texts, owner = [], list[str](), list[int]()
    for record in records:
        try:
            pixels.append(transform.pixels(load_image(root / record.image)))
        except ImageError:
            continue
        texts += record.captions
        owner += [len(pixels) - 1] * len(record.captions)
    if not texts:
        raise InputError(f"none of the {len(records):,} pictures in {root} can be read: give others with --images")
    return Samples(name, np.stack(pixels), tuple(texts), np.array(owner, dtype=np.int64))


def export_checkpoint(
    path: Path,
    precisions: Sequence[str] = ("fp32", "int8"),
    samples: Callable[[Checkpoint], Samples] | None = None,
    say: Say = print,
) -> Export:
    """Write `exported/` of a checkpoint, replacing a former one in one step; nothing that fails its check is kept.

    path: the checkpoint's folder.
    precisions: some of "fp32", "int8" and "bf16".
    samples: what to check on, generated scenes unless given.
    say: told what happens, a line at a time.

    Raises CheckpointError if the towers cannot be exported, no precision passes, the folder cannot be written to,
    `exported` holds anything that no export wrote, or the checkpoint is replaced meanwhile; InputError for an unknown
    precision, one that this processor does not compute in, a package that is lacking or a checkpoint without vectors.
    """
    _check_request(precisions)
    check_export_folder(path)
    checkpoint = load_checkpoint(path)
    model = checkpoint.model
    if not isinstance(model, CrossModalModel):
        raise InputError(f"{path} scores pairs and gives no vectors: only a checkpoint that can be indexed is exported")
    if not os.access(path, os.W_OK):
        raise CheckpointError(f"{path} cannot be written to: export a copy of it, and name that with --checkpoint")
    taken = samples(checkpoint) if samples else scene_samples(checkpoint.transform, checkpoint.config.get("labels", ()))
    with export_lock(path, lambda: say("another process exports this checkpoint: waiting for its end")):
        for left in path.glob(f".{EXPORTED}.new-*"):  # by an export that was killed: ours is the only one now
            shutil.rmtree(left, ignore_errors=True)
        with whole_directory(path / EXPORTED) as staging:
            with _quiet():
                export = _write(checkpoint, model, staging, precisions, taken, say)
            write_document(staging / MANIFEST, export.as_dict())
            if fingerprint(path) != checkpoint.fingerprint:
                raise CheckpointError(f"{path} was replaced while it was exported: run `{export_command(path)}` again")
    return export


def _check_request(precisions: Sequence[str]) -> None:
    unknown = [name for name in precisions if name not in PRECISIONS]
    if unknown or not precisions:
        raise InputError(f"precision must be some of {', '.join(PRECISIONS)}, not {', '.join(unknown) or 'none'}")
    lacking = [name for name in (*NEEDED, *(["openvino"] if "bf16" in precisions else [])) if not find_spec(name)]
    if lacking:
        raise InputError(f"an export needs {', '.join(lacking)}: `{install_command(*lacking)}`")
    if "bf16" in precisions and not computes_bf16():
        raise InputError(f"nothing is exported: {NO_BF16}")


def _write(
    checkpoint: Checkpoint,
    model: CrossModalModel,
    folder: Path,
    precisions: Sequence[str],
    samples: Samples,
    say: Say,
) -> Export:
    """Write all files into a folder, check them, and remove those of what does not pass."""
    offered = _write_towers(checkpoint, model, folder, "int8" in precisions, samples, say)
    export = Export(
        schema=SCHEMA,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        fingerprint=checkpoint.fingerprint,
        splits_images=model.image.averages_places,
        splits_texts=model.text.averages_tokens,
        precisions={},
        files=_about(folder, sorted(file.name for file in folder.glob("*.onnx*"))),
        checks={},
        opset=OPSET,
        versions=_versions(),
    )
    reference = _reference(model, checkpoint, samples)
    for precision in precisions:
        for towers in offered[precision]:
            offer = replace(export, precisions={precision: towers})
            found = _check(checkpoint.path, offer, folder, precision, samples, reference)
            export = replace(export, checks=export.checks | {precision: found | towers})
            say(_told(precision, towers, found))
            if found["passed"]:
                export = replace(export, precisions=export.precisions | {precision: towers})
                break
    if not export.precisions:
        raise CheckpointError(
            f"no precision of {checkpoint.path} agrees with torch, so nothing is kept: run it by torch"
        )
    return _without_unused(export, folder)


def _write_towers(
    checkpoint: Checkpoint, model: CrossModalModel, folder: Path, rounded: bool, samples: Samples, say: Say
) -> dict[str, list[dict[str, str]]]:
    """Write both towers, rounded ones too if asked; returns the files that each precision may run, best first."""
    say("writing both towers in fp32")
    side, longest = checkpoint.transform.size, checkpoint.tokenizer.max_length
    _write_graph(_TextGraph(model.text), folder / "text-fp32.onnx", *_text_example(longest))
    _write_graph(
        _ImageGraph(fused(model.image), checkpoint.transform), folder / "image-fp32.onnx", *_image_example(side)
    )
    exact = {"image": "image-fp32.onnx", "text": "text-fp32.onnx"}
    if not rounded:
        return {"fp32": [exact], "bf16": [exact]}
    say("quantising to int8")
    quantise_text(folder / "text-fp32.onnx", folder / "text-int8.onnx")
    quantise_image(folder / "image-fp32.onnx", folder / "image-int8.onnx", samples.pixels)
    half = {"image": "image-fp32.onnx", "text": "text-int8.onnx"}
    for file in folder.iterdir():  # onnx writes weights for their owner's eyes only
        shutil.copymode(folder / exact["text"], file)
    return {"fp32": [exact], "bf16": [exact], "int8": [{"image": "image-int8.onnx", "text": "text-int8.onnx"}, half]}


def _without_unused(export: Export, folder: Path) -> Export:
    """Remove the files of what did not pass."""
    used = {file for towers in export.precisions.values() for file in towers.values()}
    for file in folder.glob("*.onnx*"):
        if file.name.removesuffix(".data") not in used:
            file.unlink()
    return replace(export, files={name: facts for name, facts in export.files.items() if (folder / name).exists()})


class _ImageGraph(nn.Module):
    """uint8 pixels (B, 3, S, S) → unit vectors (B, D), and the feature map (B, W, h, w) where its mean is pooled."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, tower: ImageEncoder, transform: ImageTransform) -> None:
        super().__init__()
        self.tower = tower
        self.register_buffer("mean", torch.tensor(transform.mean).view(3, 1, 1) * 255)
        self.register_buffer("deviation", torch.tensor(transform.std).view(3, 1, 1) * 255)
        self.outputs = ["vectors", "places"] if tower.averages_places else ["vectors"]

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        images = (pixels.float() - self.mean) / self.deviation
        if not self.tower.averages_places:
            return (self.tower(images),)
        places = self.tower.feature_map(images)
        return self.tower.project(places.mean((2, 3))), places


class _TextGraph(nn.Module):
    """ids and mask (B, L) → unit vectors (B, D), and features (B, L, W) of tokens where their mean is pooled."""

    def __init__(self, tower: TextTower) -> None:
        super().__init__()
        self.tower = tower
        self.outputs = ["vectors", "tokens"] if tower.averages_tokens else ["vectors"]

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        if not self.tower.averages_tokens:
            return (self.tower(ids, mask),)
        tokens = self.tower.averaged_tokens(ids, mask)
        weights = mask[:, : tokens.shape[1], None].to(tokens.dtype)
        pooled = (tokens * weights).sum(1) / weights.sum(1).clamp(min=1)
        return self.tower.project(pooled), tokens


Example = tuple[dict[str, Tensor], tuple[dict[int, Any], ...]]  # inputs by name; their dynamic axes


def _image_example(side: int) -> Example:
    batch = torch.export.Dim("batch", min=1, max=4096)
    return {"pixels": torch.zeros(2, 3, side, side, dtype=torch.uint8)}, ({0: batch},)


def _text_example(longest: int) -> Example:
    batch = torch.export.Dim("batch", min=1, max=4096)
    length = torch.export.Dim("length", min=1, max=longest) if longest > 1 else None
    axes = {0: batch} if length is None else {0: batch, 1: length}
    tokens = torch.ones(2, min(3, longest), dtype=torch.int64)
    return {"ids": tokens, "mask": tokens.clone()}, (axes, axes)  # one tensor for both would become one input


def _write_graph(graph: Any, path: Path, inputs: dict[str, Tensor], axes: tuple[dict[int, Any], ...]) -> None:
    try:
        program = torch.onnx.export(
            graph.eval(),
            tuple(inputs.values()),
            dynamo=True,
            dynamic_shapes=axes,
            input_names=list(inputs),
            output_names=graph.outputs,
            opset_version=OPSET,
            verbose=False,
        )
        cast(Any, program).save(path, external_data=True)
    except Exception as error:  # its errors have no common ancestor but Exception
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            f"the tower {type(graph.tower).__name__} cannot be written as ONNX ({reason}): run it by torch"
        ) from error


def _reference(model: CrossModalModel, checkpoint: Checkpoint, samples: Samples) -> tuple[Tensor, Tensor]:
    """What torch gives: (N, D) and (M, D)."""
    tokenizer: TextTokenizer = checkpoint.tokenizer
    images = model.embed_images(torch.from_numpy(samples.pixels), checkpoint.transform, BATCH)
    return images, model.embed_texts(tokenizer.ids(samples.texts), tokenizer)


def _check(
    path: Path, export: Export, folder: Path, precision: str, samples: Samples, reference: tuple[Tensor, Tensor]
) -> dict[str, Any]:
    """Hold an export against torch: cosines of each tower's vectors, and recall@10 both ways."""
    towers = ExportedTowers(path, export, "openvino-bf16" if precision == "bf16" else f"onnx-{precision}", folder)
    images = towers.embed_pixels(samples.pixels, BATCH)
    texts = towers.embed_ids(towers.tokenizer.ids(samples.texts), BATCH)
    found: dict[str, Any] = {"samples": samples.name, "pictures": len(images), "captions": len(texts)}
    passed = True
    for name, vectors, exact in (("image", images, reference[0]), ("text", texts, reference[1])):
        cosines = (vectors * exact.numpy()).sum(1)
        found[f"{name} cosine"] = round(float(cosines.mean()), 6)
        found[f"{name} cosine, worst"] = round(float(cosines.min()), 6)
        passed &= bool(cosines.mean() >= LOWEST_COSINE[precision] and cosines.min() >= LOWEST_SINGLE[precision])
    owner = torch.from_numpy(samples.owner)
    for exact_value, (way, value) in zip(
        _recalls(*reference, owner).values(), _recalls(_tensor(images), _tensor(texts), owner).items(), strict=True
    ):
        found[way] = round(value, 2)
        found[f"{way} by torch"] = round(exact_value, 2)
        passed &= value >= exact_value - RECALL_POINTS
    return found | {"passed": passed}


def _tensor(vectors: Vectors) -> Tensor:
    return torch.from_numpy(vectors)


def _recalls(images: Tensor, texts: Tensor, owner: Tensor) -> dict[str, float]:
    ranks = {"text to image": text_to_image_ranks, "image to text": image_to_text_ranks}
    return {f"{way} R@10": recall_at_k(function(images, texts, owner), 10) for way, function in ranks.items()}


def _told(precision: str, towers: dict[str, str], found: dict[str, Any]) -> str:
    verdict = "kept" if found["passed"] else "not kept: it differs too much from torch"
    left_out = precision == "int8" and towers["image"] == "image-fp32.onnx"
    cosines = f"cosine {found['image cosine']:.4f} of pictures, {found['text cosine']:.4f} of captions"
    recalls = ", ".join(
        f"{way} {found[way]:.2f} (torch {found[f'{way} by torch']:.2f})"
        for way in ("text to image R@10", "image to text R@10")
    )
    return f"{precision}{' (text tower alone)' if left_out else ''}: {cosines}; {recalls}; {verdict}"


def _about(folder: Path, names: Sequence[str]) -> dict[str, dict[str, int | str]]:
    return {name: {"bytes": (folder / name).stat().st_size, "sha256": sealed_hash(folder / name)} for name in names}


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's and the quantiser's own talk, which no user can act on."""
    former = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(former)
