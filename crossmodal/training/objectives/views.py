"""Augmented views of pictures, sent once through the stages of the image tower that a phase leaves as they are.

Shapes: V views, N pictures, B batch, S side in pixels, W channels and h×w places of the last frozen stage's map.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor

from crossmodal.datasets.sources import Source
from crossmodal.errors import InputError
from crossmodal.images.transforms import augment
from crossmodal.models.dual import CrossModalModel
from crossmodal.recipes import Phase
from crossmodal.training.objectives.base import Objective

PIECE = 64  # pictures at a time


def frozen_views(
    objective: Objective[CrossModalModel], phase: Phase, accelerator: Accelerator | None = None
) -> dict[int, Tensor]:
    """Maps (V, N, W, h, w) of every source by its number, in bfloat16 where steps are computed in it, on the CPU.

    A view's number decides how it is drawn, so that a run which goes on after a stop has the same views.

    Raises InputError for a phase that freezes no stage, or trains a decoder, which needs the pixels.
    """
    if not phase.freeze_image_stages or phase.reconstruction:
        raise InputError(f"phase {phase.name} keeps views, which needs frozen image stages and no decoder")
    total, done = sum(len(source.pixels) for source in objective.sources) * phase.views, 0
    objective.progress(0, total)
    found = {}
    for number, source in enumerate(objective.sources):
        views = []
        for view in range(phase.views):
            pieces = []
            generator = torch.Generator().manual_seed(view)
            for start in range(0, len(source.pixels), PIECE):
                pieces.append(_maps(objective, phase, accelerator, source, start, generator))
                done += len(pieces[-1])
                objective.progress(done, total)
            views.append(torch.cat(pieces))
        found[number] = torch.stack(views)
    return found


def drawn_maps(views: Tensor, rows: NDArray[np.int64]) -> Tensor:
    """A view of each picture, by torch's generator: float32 (B, W, h, w), channels last."""
    drawn = torch.randint(len(views), (len(rows),))
    return views[drawn, torch.from_numpy(rows)].float().contiguous(memory_format=torch.channels_last)


def _maps(
    objective: Objective[CrossModalModel],
    phase: Phase,
    accelerator: Accelerator | None,
    source: Source,
    start: int,
    generator: torch.Generator,
) -> Tensor:
    pixels = torch.from_numpy(np.asarray(source.pixels[start : start + PIECE]))
    values = augment(
        pixels, generator, phase.smallest_crop, phase.mirror and source.mirror, phase.jitter, phase.rotation
    )
    precision: Any = nullcontext() if accelerator is None else accelerator.autocast()
    with precision:
        maps = objective.model.image.backbone.frozen_maps(objective.transform.normalise(values.to(objective.device)))
    half = accelerator is not None and accelerator.mixed_precision == "bf16"
    return maps.to("cpu", torch.bfloat16 if half else torch.float32)
