"""What a phase means for a model: which weights move, in which groups, and at which rate."""

from __future__ import annotations

import math
from typing import Any

from torch import nn

from crossmodal.models.dual import CrossModalModel
from crossmodal.recipes import Phase


def learning_rate_factor(step: int, steps: int, warmup: float) -> float:
    """Linear warm-up over the first share `warmup` of all steps, then half a cosine to 0. In (0, 1].

    >>> [round(learning_rate_factor(step, 4, 0.25), 2) for step in range(4)]
    [1.0, 0.85, 0.5, 0.15]
    """
    rising = (step + 1) / max(1.0, warmup * steps)
    return min(1.0, rising) * (0.5 + 0.5 * math.cos(math.pi * step / steps))


def set_trainable(model: CrossModalModel, phase: Phase) -> None:
    """Thaw and freeze for a phase, and put frozen parts and frozen batch norms into eval mode."""
    backbone, transformer = model.image.backbone, model.text.transformer
    backbone.requires_grad_(bool(phase.image_lr))
    transformer.requires_grad_(bool(phase.text_lr))
    backbone.frozen_stages = phase.freeze_image_stages if phase.image_lr else 0
    backbone.stages[: backbone.frozen_stages].requires_grad_(False)
    if phase.freeze_word_embeddings and hasattr(transformer, "embeddings"):
        transformer.embeddings.requires_grad_(False)
    model.image.dropout.p, model.text.dropout.p = phase.image_dropout, phase.text_dropout
    model.train()
    backbone.train(bool(phase.image_lr))
    transformer.train(bool(phase.text_lr))
    backbone.stages[: backbone.frozen_stages].eval()
    if phase.freeze_batch_norm:
        for module in backbone.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


def parameter_groups(model: CrossModalModel, phase: Phase) -> list[dict[str, Any]]:
    """Trainable parameters by part and by whether they decay: none of the 1-d ones do (biases, norms, the scale)."""
    parts: tuple[tuple[float, nn.Module], ...] = (
        (phase.image_lr, model.image.backbone),
        (phase.text_lr, model.text.transformer),
        (phase.head_lr, nn.ModuleList([model.image.projection, model.text.projection])),
    )
    groups = []
    for rate, part in parts:
        trained = [parameter for parameter in part.parameters() if parameter.requires_grad]
        for decay, chosen in (
            (phase.weight_decay, [parameter for parameter in trained if parameter.ndim > 1]),
            (0.0, [parameter for parameter in trained if parameter.ndim <= 1]),
        ):
            if chosen and rate:
                groups.append({"params": chosen, "lr": rate, "peak": rate, "weight_decay": decay})
    if model.logit_scale.requires_grad:
        groups.append({"params": [model.logit_scale], "lr": phase.head_lr, "peak": phase.head_lr, "weight_decay": 0.0})
    return groups
