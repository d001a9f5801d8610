"""What every objective offers the training loop.

Shapes: N pictures, B batch, M texts, S side in pixels, D embedding.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor

from crossmodal.datasets.sources import Source
from crossmodal.errors import InputError
from crossmodal.images.transforms import ImageTransform, augment
from crossmodal.models.dual import CrossModalModel
from crossmodal.models.scorer import PairScorer
from crossmodal.models.tokenizer import TextTokenizer
from crossmodal.recipes import Phase
from crossmodal.training.objectives.reading import Reader

COLLAPSED = 0.95
STUCK = 0.01

Model = TypeVar("Model", CrossModalModel, PairScorer)


@dataclass(frozen=True)
class Batch:
    """What a step is computed on.

    source: number of the source.
    rows: int64 (B,), its pictures.
    choices: int64 (B,), which caption of each.
    """

    source: int
    rows: NDArray[np.int64]
    choices: NDArray[np.int64]

    def part(self, start: int, size: int) -> Batch:
        """`size` pictures from `start` on."""
        return Batch(self.source, self.rows[start : start + size], self.choices[start : start + size])


@dataclass(frozen=True)
class Judgement:
    """An epoch's verdict.

    score: decides the best epoch, higher is better.
    entry: what the history keeps, as JSON values.
    image: unit vectors (N, D) of the first validation source, where there are any.
    similarity: (n, n) for drawing, where it means something.
    warnings: what the reports warn of.
    """

    score: float
    entry: dict[str, Any]
    image: Tensor | None = None
    similarity: NDArray[np.float32] | None = None
    warnings: tuple[str, ...] = ()


class Objective(ABC, Generic[Model]):
    """Data, model and loss of a training; the loop asks it for gradients and for verdicts.

    sources: what is trained on.
    validation: what decides the best epoch, by its first source.
    progress: told how many pictures of how many are prepared, where a phase prepares them.
    Raises InputError without either.
    """

    def __init__(
        self,
        model: Model,
        tokenizer: TextTokenizer,
        transform: ImageTransform,
        sources: Sequence[Source],
        validation: Sequence[Source],
    ) -> None:
        if not sources or not validation:
            raise InputError(
                f"training needs pictures to train and to validate on, not {len(sources)}, {len(validation)}"
            )
        self.model: Model = model
        self.tokenizer = tokenizer
        self.transform = transform
        self.sources = tuple(sources)
        self.validation = tuple(validation)
        self._reader = Reader()
        self.progress: Callable[[int, int], None] = lambda *_: None

    @property
    def device(self) -> torch.device:
        """Where the model lies."""
        device: torch.device = next(self.model.parameters()).device
        return device

    def prepare(self, phase: Phase, accelerator: Accelerator | None = None) -> None:
        """Get ready for the steps of a phase, which are computed as the accelerator says."""

    def read_ahead(self, batches: Sequence[Batch]) -> None:
        """Begin to read the pixels of the batches that come next, in a thread beside the step."""
        self._reader.begin([(self.sources[batch.source].pixels, batch.rows) for batch in batches])

    @abstractmethod
    def backward(self, phase: Phase, batch: Batch, first_epoch: bool, accelerator: Accelerator) -> float:
        """Add the gradients of one batch; returns its loss. first_epoch: of the whole training."""

    def after_step(self) -> None:
        """Put right what an optimiser step may have moved too far."""

    @abstractmethod
    def judge(self, phase: Phase) -> Judgement:
        """Validate the model as it stands."""

    @abstractmethod
    def chance(self, batch_size: int) -> tuple[str, float] | None:
        """The loss of guessing and how it is written, where the loss has one."""

    def augmented(self, phase: Phase, batch: Batch) -> Tensor:
        """The batch's pictures as training sees them: float32 (B, 3, S, S), values 0..255."""
        source = self.sources[batch.source]
        pixels = self._reader.read(source.pixels, batch.rows, self.device)
        mirror = phase.mirror and source.mirror
        return augment(pixels, torch.default_generator, phase.smallest_crop, mirror, phase.jitter, phase.rotation)

    def padded(self, ids: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Ids and mask (M, L) on the model's device."""
        tokens, mask = self.tokenizer.pad(ids)
        return tokens.to(self.device), mask.to(self.device)


def diagnose(loss: float, chance: tuple[str, float] | None, image: Tensor | None) -> Iterator[str]:
    """Say when nothing is learned: the loss sits at that of guessing, or all pictures have nearly one vector.

    loss: mean of an epoch.
    image: unit vectors of the validation pictures (N, D).
    """
    if chance is not None and abs(loss - chance[1]) < STUCK * chance[1]:
        yield (
            f"the loss {loss:.3f} sits at {chance[0]} = {chance[1]:.3f}, as if captions were drawn at random: check "
            "the pairs with `python -m crossmodal validate`, start from pretrained weights, or raise --lr-scale"
        )
    count = 0 if image is None else len(image)
    if image is not None and count > 1:
        mean_cosine = float((image.sum(0).square().sum() - count) / (count * (count - 1)))
        if mean_cosine > COLLAPSED:
            yield (
                f"the embeddings collapse: two pictures have cosine {mean_cosine:.3f} on average; lower --lr-scale "
                "or raise the batch size"
            )


def ln_of_batch(size: int) -> tuple[str, float]:
    """The loss of guessing one of a batch."""
    return f"ln(batch) = ln({size})", math.log(size)
