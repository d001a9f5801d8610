"""Does this sentence belong to this picture? True and false pairs at equal weight.

Shapes: N pictures, B batch, M captions, P pairs.
"""

from __future__ import annotations

import math

import torch
from accelerate import Accelerator

from crossmodal.errors import InputError
from crossmodal.evaluation.reports import scorer_report
from crossmodal.models.scorer import PairScorer
from crossmodal.recipes import Phase
from crossmodal.training.losses import matching
from crossmodal.training.objectives.base import Batch, Judgement, Objective


class MatchObjective(Objective[PairScorer]):
    """Each picture of a batch with its own caption, and with those of all the others: a random batch draws them
    uniformly. However many false pairs there are, true and false ones weigh the same.
    """

    def chance(self, batch_size: int) -> tuple[str, float] | None:  # noqa: ARG002 - the same for every batch
        """ln 2: both answers equally likely."""
        return "ln 2", math.log(2)

    def backward(self, phase: Phase, batch: Batch, first_epoch: bool, accelerator: Accelerator) -> float:  # noqa: ARG002
        """One batch, every picture with every caption. Raises InputError for a batch of one: it has no false pair."""
        if len(batch.rows) < 2:
            raise InputError("false pairs need a batch of at least two pictures: raise --batch-size")
        captions = self.sources[batch.source].captions
        ids = [captions[row][choice] for row, choice in zip(batch.rows, batch.choices, strict=True)]
        with accelerator.autocast():
            image = self.model.image_side(self.transform.normalise(self.augmented(phase, batch)))
            text = self.model.text_side(*self.padded(ids))
        logits = self.model.head.every_pair(image.float(), text.float())  # (B, B)
        true = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
        loss = matching(logits.flatten(), true.flatten())
        accelerator.backward(loss)
        return float(loss.detach())

    def judge(self, phase: Phase) -> Judgement:  # noqa: ARG002 - judged alike in every phase
        """Balanced accuracy on uniform and on hard false captions, of the first validation source."""
        report = scorer_report(self.model, self.validation[0], self.tokenizer, self.transform)
        return Judgement(report.score, report.entry)
