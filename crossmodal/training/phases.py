"""What a phase means for a model: which weights move, in which groups, and at which rate."""

from __future__ import annotations

import math
from typing import Any

from torch import nn

from crossmodal.models.dual import CrossModalModel
from crossmodal.models.scorer import PairScorer
from crossmodal.recipes import Phase


def learning_rate_factor(step: int, steps: int, warmup: float) -> float:
    """Linear warm-up over the first share `warmup` of all steps, then half a cosine to 0. In (0, 1].

    >>> [round(learning_rate_factor(step, 4, 0.25), 2) for step in range(4)]
    [1.0, 0.85, 0.5, 0.15]
    """
    rising = (step + 1) / max(1.0, warmup * steps)
    return min(1.0, rising) * (0.5 + 0.5 * math.cos(math.pi * step / steps))


def rates(phase: Phase) -> dict[str, float]:
    """The peak learning rate of each part of a model."""
    return {"image": phase.image_lr, "text": phase.text_lr, "head": phase.head_lr, "decoder": phase.decoder_lr}


def set_trainable(model: CrossModalModel | PairScorer, phase: Phase) -> None:
    """Thaw and freeze for a phase, and put frozen parts and frozen batch norms into eval mode."""
    model.train()
    rate = rates(phase)
    for name, modules in model.parts().items():
        for module in modules:
            module.requires_grad_(bool(rate[name]))
            module.train(bool(rate[name]))
    backbone, trunk = model.image.backbone, model.text.trunk
    backbone.frozen_stages = phase.freeze_image_stages if phase.image_lr else 0
    frozen = backbone.stages[: backbone.frozen_stages]
    frozen.requires_grad_(False).eval()
    if phase.freeze_word_embeddings and hasattr(trunk, "embeddings"):
        trunk.embeddings.requires_grad_(False)
    model.image.dropout.p, model.text.dropout.p = phase.image_dropout, phase.text_dropout
    if phase.freeze_batch_norm:
        for part in (*model.parts()["image"], *model.parts()["decoder"]):
            for module in part.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()


def parameter_groups(model: CrossModalModel | PairScorer, phase: Phase) -> list[dict[str, Any]]:
    """Trainable parameters by part and by whether they decay: none of the 1-d ones do (biases, norms, the scale)."""
    groups = []
    for name, modules in model.parts().items():
        rate = rates(phase)[name]
        trained = [parameter for module in modules for parameter in module.parameters() if parameter.requires_grad]
        for decay, chosen in (
            (phase.weight_decay, [parameter for parameter in trained if parameter.ndim > 1]),
            (0.0, [parameter for parameter in trained if parameter.ndim <= 1]),
        ):
            if chosen and rate:
                groups.append({"params": chosen, "lr": rate, "peak": rate, "weight_decay": decay})
    if model.scalars() and phase.head_lr:
        groups.append({"params": model.scalars(), "lr": phase.head_lr, "peak": phase.head_lr, "weight_decay": 0.0})
    return groups
