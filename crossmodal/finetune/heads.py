"""The heads of a checkpoint directory, read and written without building its model.

Shapes: W pooled width of a backbone, D embedding.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmodal._files import whole_directory, write_document
from crossmodal.errors import CheckpointError, InputError
from crossmodal.finetune.maps import Maps
from crossmodal.models.checkpoint_files import (
    abilities,
    check_replaceable,
    read_config,
    read_whole,
)

__all__ = ["check_teachable", "maps_between", "write_with_heads"]

WEIGHTS, TOKENIZER = "model.safetensors", "tokenizer.json"
SIDES = ("image", "text")
EXACT = 1e-4  # relative error up to which one head counts as a linear map of another


def check_teachable(checkpoint: Path) -> None:
    """Raise InputError unless both heads are linear and words are free, so that maps can become heads.

    Raises CheckpointError if it cannot be read.
    """
    able = abilities(checkpoint)
    advice = "index the folder with another, `python -m crossmodal index … --checkpoint model-checkpoints/starter`"
    if "words" not in able or "decoding" in able:
        what = "draws its vectors again, which new heads would break" if "decoding" in able else "knows no free words"
        raise InputError(f"{checkpoint} {what}, so it cannot be taught captions: {advice}")
    missing = [side for side in SIDES if f"{side}.projection.weight" not in _names(checkpoint)]
    if missing:
        raise InputError(
            f"the {missing[0]} head of {checkpoint} is not one linear layer, so it cannot be taught: {advice}"
        )


def _names(checkpoint: Path) -> set[str]:
    with _opened(checkpoint) as file:
        return set(file.keys())


def _opened(checkpoint: Path) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(checkpoint / WEIGHTS, framework="pt")
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{checkpoint / WEIGHTS} cannot be read", str(error)) from error


def _head(tensors: dict[str, Any], side: str) -> NDArray[np.float64]:
    """Weights and bias side by side, (D, W + 1)."""
    weight, bias = (tensors[f"{side}.projection.{name}"].double().numpy() for name in ("weight", "bias"))
    return np.concatenate([weight, bias[:, None]], axis=1)


def _tensors(checkpoint: Path) -> dict[str, Any]:
    with _opened(checkpoint) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict


def write_with_heads(
    checkpoint: Path, maps: Maps, out: Path, about: dict[str, Any], documents: dict[str, Any], expected: str = ""
) -> None:
    """Write a checkpoint that is another one with mapped heads, in one step.

    All other weights keep their bytes; the new heads are float32. about: replaces that entry of the config. expected:
    the fingerprint that the other one had when the maps were learnt, if that matters.

    Raises CheckpointError if it has another one now, or out is something else than a checkpoint.
    """
    import torch
    from safetensors.torch import save_file

    check_replaceable(out)
    (tensors, config, tokenizer), digest = read_whole(
        checkpoint, lambda _: (_tensors(checkpoint), read_config(checkpoint), (checkpoint / TOKENIZER).read_bytes())
    )
    if expected and digest != expected:
        raise CheckpointError(
            f"{checkpoint} was replaced while it was taught ({expected[:8]}… is now {digest[:8]}…): build the index "
            "with it again, then teach it"
        )
    for side, mapped in zip(SIDES, (maps.image, maps.text), strict=True):
        head = mapped.astype(np.float64) @ _head(tensors, side)
        tensors[f"{side}.projection.weight"] = torch.from_numpy(head[:, :-1].astype(np.float32)).contiguous()
        tensors[f"{side}.projection.bias"] = torch.from_numpy(head[:, -1].astype(np.float32)).contiguous()
    with whole_directory(out) as staging:
        save_file(tensors, staging / WEIGHTS)
        (staging / WEIGHTS).chmod(0o644)  # safetensors writes for the owner alone
        (staging / TOKENIZER).write_bytes(tokenizer)
        for name, content in {"config.json": config | {"about": about}, **documents}.items():
            write_document(staging / name, content)


def maps_between(old: Path, new: Path) -> Maps | None:
    """The maps that turn vectors of one checkpoint into those of another; None unless only their heads differ.

    With heads H = [W b] that is A H_old = H_new, solved by least squares; it counts where it is exact.
    Raises CheckpointError if one of them cannot be read.
    """
    import torch

    configs = [{**read_config(path), "about": None} for path in (old, new)]
    if configs[0] != configs[1] or (old / TOKENIZER).read_bytes() != (new / TOKENIZER).read_bytes():
        return None
    first, second = _tensors(old), _tensors(new)
    heads = {f"{side}.projection.{name}" for side in SIDES for name in ("weight", "bias")}
    if first.keys() != second.keys() or not heads <= first.keys():
        return None
    if not all(torch.equal(first[name], second[name]) for name in first.keys() - heads):
        return None
    found = []
    for side in SIDES:
        before, after = _head(first, side), _head(second, side)
        mapped = np.linalg.lstsq(before.T, after.T, rcond=None)[0].T
        if np.abs(mapped @ before - after).max() > EXACT * np.abs(after).max():
            return None
        found.append(mapped.astype(np.float32))
    return Maps(*found)
