"""A checkpoint, whatever its kind, on pictures → the report of its kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from crossmodal.checkpoint import Checkpoint
from crossmodal.data.sources import Source
from crossmodal.evaluation import Report, ScoreReport, retrieval_report
from crossmodal.models.scorer import PairScorer
from crossmodal.objectives.embedding import labelled_report, redrawn
from crossmodal.objectives.matching import scorer_report

AnyReport = Report | ScoreReport


def checkpoint_report(checkpoint: Checkpoint, source: Source, protocol: dict[str, Any]) -> AnyReport:
    """Retrieval of captions, labels, classes or pairs, as the checkpoint's config says and the source allows.

    Raises InputError if the source has not what the checkpoint is judged by.
    """
    model, transform, tokenizer = checkpoint.model, checkpoint.transform, checkpoint.tokenizer
    if isinstance(model, PairScorer):
        return scorer_report(model, source, tokenizer, transform, protocol)
    image = model.embed_images(torch.from_numpy(np.asarray(source.pixels)), transform)
    if source.words is None:
        text = model.embed_texts(source.all_captions, tokenizer)
        return retrieval_report(image, text, torch.from_numpy(source.owner), protocol)
    text = model.embed_texts(source.words.ids, tokenizer)
    drawn = redrawn(model, image, source, transform) if model.decoder is not None else None
    return labelled_report(checkpoint.config.get("judged_by", "classes"), image, text, source, protocol, drawn)
