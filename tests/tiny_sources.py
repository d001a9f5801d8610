"""Made-up sources of a few pictures, and one step of an objective on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from crossmodal.datasets.sources import Source, Words
from crossmodal.models.tokenizer import TextTokenizer
from crossmodal.recipes import Phase
from crossmodal.training.objectives import Batch
from crossmodal.training.phases import set_trainable

LABELS = ("ring", "bar", "dot")
# nothing at random, so that two ways to the same numbers can be compared
PLAIN = Phase(
    "plain", 1, batch_size=6, image_lr=1e-3, text_lr=1e-3, smallest_crop=1.0, mirror=False, image_dropout=0.0,
    text_dropout=0.0,
)  # fmt: skip


def pictures(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 3, 28, 28), dtype=np.uint8)


def captioned(count: int = 6) -> tuple[TextTokenizer, Source]:
    """Picture 0 has one caption, 1 two, 2 three, 3 one, …"""
    texts = [[f"picture{row} caption{place}" for place in range(1 + row % 3)] for row in range(count)]
    tokenizer = TextTokenizer.of_words([text for own in texts for text in own])
    return tokenizer, Source("photos", pictures(count), tuple(tuple(tokenizer.ids(own)) for own in texts))


def labelled(count: int = 6) -> tuple[TextTokenizer, Source]:
    """Labels 0, 1, 2, 0, …, each of one name."""
    tokenizer = TextTokenizer.of_labels(LABELS)
    ids = tuple(tokenizer.ids(LABELS))
    labels = np.arange(count) % 3
    words = Words(LABELS, ids, np.arange(3), np.zeros(3, np.bool_))
    captions = tuple((ids[label],) for label in labels)
    return tokenizer, Source("shapes", pictures(count), captions, labels=labels, words=words)


def batch_of(rows: Sequence[int], choices: Sequence[int] | None = None) -> Batch:
    return Batch(0, np.array(rows), np.zeros(len(rows), np.int64) if choices is None else np.array(choices))


def step(objective: Any, phase: Phase, batch: Batch, first_epoch: bool = False) -> tuple[float, dict[str, Tensor]]:
    """Loss and gradients of one batch, under one random state."""
    set_trainable(objective.model, phase)
    objective.model.zero_grad()
    objective.prepare(phase)
    torch.manual_seed(0)
    loss = objective.backward(phase, batch, first_epoch, Accelerator(cpu=True))
    named = objective.model.named_parameters()
    return loss, {name: parameter.grad.clone() for name, parameter in named if parameter.grad is not None}
