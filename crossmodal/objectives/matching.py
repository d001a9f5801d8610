"""Does this sentence belong to this picture? True and false pairs at equal weight.

Shapes: N pictures, B batch, M captions, P pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from crossmodal.data.sources import Source
from crossmodal.data.text import TextTokenizer
from crossmodal.data.transforms import ImageTransform
from crossmodal.errors import InputError
from crossmodal.evaluation import ScoreReport
from crossmodal.losses import matching
from crossmodal.models.scorer import PairScorer
from crossmodal.objectives.base import Batch, Judgement, Objective
from crossmodal.pair_evaluation import pair_report
from crossmodal.recipes import Phase


class MatchObjective(Objective[PairScorer]):
    """Each picture of a batch with its own caption and with `false_captions` of other pictures, drawn uniformly.

    Raises InputError unless 1 <= false_captions.
    """

    def __init__(
        self,
        model: PairScorer,
        tokenizer: TextTokenizer,
        transform: ImageTransform,
        sources: Sequence[Source],
        validation: Sequence[Source],
        false_captions: int = 1,
    ) -> None:
        super().__init__(model, tokenizer, transform, sources, validation)
        if false_captions < 1:
            raise InputError(f"a picture needs at least 1 false caption, not {false_captions}")
        self.false_captions = false_captions

    def chance(self, batch_size: int) -> tuple[str, float] | None:  # noqa: ARG002 - the same for every batch
        """ln 2: both answers equally likely."""
        return "ln 2", float(np.log(2))

    def backward(self, phase: Phase, batch: Batch, first_epoch: bool, accelerator: Accelerator) -> float:  # noqa: ARG002
        """One batch of true and false pairs."""
        pairs, false = len(batch.rows), self._false(batch)
        captions = [
            self._caption(batch.source, row, choice) for row, choice in zip(batch.rows, batch.choices, strict=True)
        ]
        captions += [self._caption(batch.source, row, choice) for row, choice in false]
        with accelerator.autocast():
            image = self.model.image_side(self.transform.normalise(self.augmented(phase, batch)))
            text = self.model.text_side(*self.padded(captions))
            logits = self.model.head(image.repeat(1 + self.false_captions, 1), text)
        true = torch.arange(len(logits), device=logits.device) < pairs
        loss = matching(logits.float(), true)
        accelerator.backward(loss)
        return float(loss.detach())

    def _caption(self, source: int, row: int, choice: int) -> Sequence[int]:
        return self.sources[source].captions[row][choice]

    def _false(self, batch: Batch) -> list[tuple[int, int]]:
        """For each picture, as often as asked, another picture and one of its captions."""
        count, wanted = len(self.sources[batch.source].captions), len(batch.rows) * self.false_captions
        if count < 2:
            raise InputError("false pairs need captions of at least two pictures")
        others = torch.randint(count - 1, (wanted,)).numpy()
        own = np.tile(batch.rows, self.false_captions)
        others = others + (others >= own)
        shares = torch.rand(wanted).tolist()
        captions = self.sources[batch.source].captions
        return [(int(row), int(share * len(captions[row]))) for row, share in zip(others, shares, strict=True)]

    def judge(self, phase: Phase) -> Judgement:  # noqa: ARG002 - judged alike in every phase
        """Balanced accuracy on uniform and on hard false captions, of the first validation source."""
        report = scorer_report(self.model, self.validation[0], self.tokenizer, self.transform)
        return Judgement(report.score, report.entry)


def scorer_report(
    model: PairScorer,
    source: Source,
    tokenizer: TextTokenizer,
    transform: ImageTransform,
    protocol: dict[str, Any] | None = None,
) -> ScoreReport:
    """Encode every picture and every caption once, then score pairs of them."""
    image = model.image_sides(torch.from_numpy(np.asarray(source.pixels)), transform)
    text = model.text_sides(source.all_captions, tokenizer)

    def score(pictures: Tensor, captions: Tensor) -> Tensor:
        return model.probabilities(image[pictures], text[captions])

    return pair_report(score, torch.from_numpy(source.owner), source.all_captions, protocol or {"split": source.name})
