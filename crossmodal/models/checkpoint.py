"""A checkpoint is a directory: what was trained, how its input is prepared, and how well it did.

    model.safetensors   every weight          config.json     towers, dimension, transform
    tokenizer.json      the text tokeniser    metrics.json    evaluation reports by split
    history.json        one entry an epoch    README.md       the model card

Loading touches no network and executes nothing. Writing is atomic: a reader sees the old directory or the new one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from crossmodal._files import whole_directory, whole_file, write_document
from crossmodal.errors import CheckpointError, CrossmodalError
from crossmodal.images.transforms import ImageTransform
from crossmodal.models.checkpoint_files import (
    SCHEMA,
    check_replaceable,
    read_config,
    read_whole,
)
from crossmodal.models.dual import CrossModalModel
from crossmodal.models.encoders import ImageEncoder, TextEncoder
from crossmodal.models.heads import ImageDecoder, MatchHead
from crossmodal.models.scorer import PairScorer
from crossmodal.models.text_towers import build_text_tower
from crossmodal.models.tokenizer import TextTokenizer

AnyModel = CrossModalModel | PairScorer


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint: the model in eval mode and all that prepares its input.

    model: the towers, or the pair scorer.
    tokenizer: sentences to token ids.
    transform: pictures to pixels.
    config: what config.json holds.
    path: the directory.
    fingerprint: hex digest of the files it was loaded from; "" for a model that was not loaded.
    """

    model: AnyModel
    tokenizer: TextTokenizer
    transform: ImageTransform
    config: dict[str, Any]
    path: Path
    fingerprint: str = ""


def model_config(
    model: AnyModel, backbone: str, tokenizer: TextTokenizer, transform: ImageTransform, **facts: Any
) -> dict[str, Any]:
    """What is needed to rebuild a model's shape and its input, as JSON values.

    facts: further entries; "labels", the only words a model of classes knows; "judged_by"; "about", free facts.
    """
    text = {"config": model.text.config, "max_length": tokenizer.max_length}
    config: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": "pair_scorer" if isinstance(model, PairScorer) else "dual_encoder",
        "dimension": model.image.dimension,
        "image": {"backbone": backbone, "transform": transform.as_dict()},
        "text": text | ({"pooling": model.text.pooling} if isinstance(model.text, TextEncoder) else {}),
    }
    if isinstance(model, PairScorer):
        config["text"]["dimension"] = model.text.dimension
    else:
        config["learn_temperature"] = model.logit_scale.requires_grad
        config["logit_bias"] = model.logit_bias is not None
        config["decoder"] = model.decoder is not None
    return config | facts


def save_checkpoint(
    path: Path,
    weights: dict[str, Tensor],
    tokenizer: TextTokenizer,
    config: dict[str, Any],
    *,
    documents: dict[str, Any] | None = None,
    half: bool = False,
) -> None:
    """Write a checkpoint directory, replacing one that is there and nothing else.

    weights: the model's state dict.
    documents: further files by name; a str is written as it is, anything else as JSON.
    half: store float16 weights.

    Raises CheckpointError if something else than a checkpoint is there.
    """
    from safetensors.torch import save_file

    check_replaceable(path)
    with whole_directory(path) as staging:
        save_file({name: _stored(tensor, half) for name, tensor in weights.items()}, staging / "model.safetensors")
        (staging / "model.safetensors").chmod(0o644)  # safetensors writes for the owner alone
        tokenizer.save(staging / "tokenizer.json")
        for name, content in {"config.json": config, **(documents or {})}.items():
            write_document(staging / name, content)


def _stored(tensor: Tensor, half: bool) -> Tensor:
    tensor = tensor.detach().cpu()
    return (tensor.half() if half and tensor.is_floating_point() else tensor).contiguous()


def load_checkpoint(path: Path) -> Checkpoint:
    """Rebuild the model of a checkpoint directory, float32, in eval mode.

    Raises CheckpointError if a file is absent or broken, the weights do not fit the config, or the directory is
    replaced each time it is read.
    """
    checkpoint, digest = read_whole(path, lambda _: _loaded(path))
    return replace(checkpoint, fingerprint=digest)


def _loaded(path: Path) -> Checkpoint:
    from safetensors.torch import load_file

    config = read_config(path)
    try:
        model = _rebuilt(config)
        transform = ImageTransform.from_dict(config["image"]["transform"])
        tokenizer = TextTokenizer.load(path / "tokenizer.json", config["text"]["max_length"])
        weights = {name: tensor.float() for name, tensor in load_file(path / "model.safetensors").items()}
        model.load_state_dict(_as_in(model, weights))
    except CrossmodalError:
        raise
    except Exception as error:  # safetensors and torch raise many kinds for a broken or unfitting file
        raise CheckpointError(f"{path} cannot be loaded", f"{type(error).__name__}: {error}") from error
    return Checkpoint(model.eval(), tokenizer, transform, config, path)


def _rebuilt(config: dict[str, Any]) -> AnyModel:
    """The model of a config, with random weights."""
    dimension, text = config["dimension"], config["text"]
    image = ImageEncoder(config["image"]["backbone"], dimension)
    pooling, text_dimension = text.get("pooling", "mean"), text.get("dimension", dimension)
    tower = build_text_tower("", text_dimension, pooling, text["config"])
    if config["kind"] == "pair_scorer":
        return PairScorer(image, tower, MatchHead(dimension, text_dimension))
    return CrossModalModel(
        image,
        tower,
        learn_temperature=config["learn_temperature"],
        logit_bias=0.0 if config.get("logit_bias") else None,
        decoder=ImageDecoder(dimension) if config.get("decoder") else None,
    )


def _as_in(model: AnyModel, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Counters and other integers back in the model's own types."""
    own = model.state_dict()
    return {name: tensor.to(own[name].dtype) if name in own else tensor for name, tensor in weights.items()}


def save_training_state(path: Path, tensors: dict[str, Tensor], position: dict[str, Any]) -> None:
    """Write where a training stands as one safetensors file, atomically; position travels in its header as JSON."""
    from safetensors.torch import save_file

    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with whole_file(path) as staging:
        save_file(contiguous, staging, metadata={"position": json.dumps(position)})


def load_training_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `save_training_state` wrote. Raises CheckpointError if it cannot be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            position = json.loads(file.metadata()["position"])
            return {name: file.get_tensor(name) for name in file.keys()}, position  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise CheckpointError(
            f"cannot resume from {path}: start from the beginning without --resume", str(error)
        ) from error
