"""How much of a checkpoint's recall does bf16 cost, whole and with its image tower's first layers in fp32?

    python -m crossmodal export --precision fp32
    python -m benchmarks.bf16_emulated --images Images --captions captions.txt --split Flickr_8k.devImages.txt

Emulated by torch, where the processor has no bf16: weights and what every operation gives are rounded to bf16, sums are
made in fp32. The image tower is cut where OpenVINO's model is, in front of the same layer. Needs openvino.

Shapes: N pictures, M sentences, D embedding.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from crossmodal.datasets.records import load_pairs
from crossmodal.datasets.splits import listed_records
from crossmodal.errors import CrossmodalError, InputError
from crossmodal.evaluation.metrics import image_to_text_ranks, recall_at_k, text_to_image_ranks
from crossmodal.inference.backends.export_files import EXPORTED, export_command
from crossmodal.inference.backends.fusing import fused
from crossmodal.inference.backends.openvino_bf16 import LAYERS, split
from crossmodal.inference.export import Samples, record_samples
from crossmodal.models.checkpoint import Checkpoint, load_checkpoint
from crossmodal.models.checkpoint_files import STARTER
from crossmodal.models.dual import CrossModalModel

aten = torch.ops.aten
PRODUCTS = (aten.convolution, aten.conv2d, aten.linear, aten.addmm, aten.mm)  # layers with weights, whatever calls them


class Rounding(TorchDispatchMode):
    """While it is entered, a tower's tensors are rounded to bf16 as they are made, and weights as they are used.

    first: how many layers with weights stay exact, with all before the next.
    """

    def __init__(self, tower: nn.Module, first: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own has no types
        self._first, self._passed, self._inside = first, 0, False
        tower.register_forward_pre_hook(lambda *_: self._begin())
        tower.register_forward_hook(lambda *_: self._end())

    def _begin(self) -> None:
        self._passed, self._inside = 0, True

    def _end(self) -> None:
        self._inside = False

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What PyTorch calls for each operation."""
        product = function.overloadpacket in PRODUCTS
        self._passed += product
        if not self._inside or (self._first and self._passed <= self._first):
            return function(*args, **(kwargs or {}))
        result = function(*(tree_map(_rounded, args) if product else args), **(kwargs or {}))
        if function._schema.is_mutable and isinstance(result, Tensor):
            return result.copy_(_rounded(result))
        return tree_map(_rounded, result)


def _rounded(value: Any) -> Any:
    return value.bfloat16().to(value.dtype) if isinstance(value, Tensor) and value.is_floating_point() else value


def first_layers(checkpoint: Path) -> int:
    """How many layers of an exported image tower OpenVINO computes in fp32. Raises InputError if it is not exported."""
    try:
        import openvino
    except ImportError as error:
        raise InputError("where the tower is cut is asked of openvino: `pip install openvino`") from error
    path = checkpoint / EXPORTED / "image-fp32.onnx"
    if not path.exists():
        raise InputError(f"{path} is not there: run `{export_command(checkpoint)} --precision fp32`")
    parts = split(openvino.Core().read_model(str(path)))
    return sum(op.get_type_name() in LAYERS for op in parts[0].get_ops()) if len(parts) > 1 else 0


def embed(checkpoint: Checkpoint, samples: Samples, kept: dict[str, int | None]) -> tuple[Tensor, Tensor]:
    """Vectors (N, D) and (M, D). kept: of each tower, how many layers stay exact; None for all."""
    model = copy.deepcopy(checkpoint.model)
    if not isinstance(model, CrossModalModel):
        raise InputError(f"{checkpoint.path} scores pairs and gives no vectors: name another --checkpoint")
    model.image = fused(model.image)
    rounding = {
        name: nullcontext() if first is None else Rounding(getattr(model, name), first) for name, first in kept.items()
    }
    with rounding["image"]:
        images = model.embed_images(torch.from_numpy(samples.pixels), checkpoint.transform)
    with rounding["text"]:
        return images, model.embed_texts(checkpoint.tokenizer.ids(samples.texts), checkpoint.tokenizer)


def table(checkpoint: Checkpoint, samples: Samples, first: int) -> str:
    """One row a way, in Markdown."""
    owner = torch.from_numpy(samples.owner)
    ways: dict[str, dict[str, int | None]] = {
        "exact": {"image": None, "text": None},
        "bf16 throughout": {"image": 0, "text": 0},
        f"bf16 but for the image tower's first {first} layers": {"image": first, "text": 0},
    }
    lines = [
        "| emulated | cosine of pictures | of captions | image → text R@10 | text → image R@10 |",
        "|---|" + "---|" * 4,
    ]
    exact: tuple[Tensor, Tensor] | None = None
    for name, kept in ways.items():
        images, texts = found = embed(checkpoint, samples, kept)
        exact = exact or found
        cosines = [
            f"{float(cosine_similarity(one.double(), other.double()).mean()):.6f}"
            for one, other in zip(found, exact, strict=True)
        ]
        recalls = [
            f"{recall_at_k(ranks(images, texts, owner), 10):.2f}"
            for ranks in (image_to_text_ranks, text_to_image_ranks)
        ]
        print(name, *cosines, *recalls, file=sys.stderr)
        lines.append(f"| {name} | {' | '.join([*cosines, *recalls])} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 0 on success, 2 on an error of ours."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--images", type=Path, required=True, metavar="DIR")
    options.add_argument("--captions", type=Path, required=True, metavar="FILE")
    options.add_argument("--split", type=Path, metavar="FILE", help="a list of the photos to take")
    options.add_argument("--checkpoint", type=Path, default=STARTER, metavar="DIR")
    chosen = options.parse_args(arguments)
    try:
        first = first_layers(chosen.checkpoint)
        checkpoint = load_checkpoint(chosen.checkpoint)
        pairs = load_pairs(chosen.images, chosen.captions)
        records = listed_records(pairs.records, chosen.split)
        print(table(checkpoint, record_samples("photos", pairs.root, records, checkpoint.transform), first))
    except CrossmodalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
