"""A checkpoint, whatever its kind, on pictures → the report of its kind.

Shapes: N pictures, V words, D embedding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from crossmodal.datasets.sources import Source, Words
from crossmodal.errors import InputError
from crossmodal.evaluation.labels import class_report, label_report
from crossmodal.evaluation.pairs import pair_report
from crossmodal.evaluation.retrieval import Report, ScoreReport, retrieval_report
from crossmodal.images.transforms import ImageTransform, as_drawn, as_seen
from crossmodal.models.checkpoint import Checkpoint
from crossmodal.models.dual import CrossModalModel
from crossmodal.models.scorer import PairScorer
from crossmodal.models.tokenizer import TextTokenizer

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


def labelled_report(
    judged_by: str,
    image: Tensor,
    text: Tensor,
    source: Source,
    protocol: dict[str, Any],
    drawn: tuple[Tensor, float] | None = None,
) -> ScoreReport:
    """The report of labelled pictures: image (N, D), text (V, D) of their words. Raises InputError without labels."""
    words: Words | None = source.words
    if words is None or source.labels is None:
        raise InputError(f"{source.name} has no labels to be judged by")
    labels = torch.from_numpy(source.labels)
    if judged_by == "labels":
        return label_report(image, labels, text, words, protocol)
    return class_report(image, labels, text, words, protocol, drawn)


def redrawn(model: CrossModalModel, image: Tensor, source: Source, transform: ImageTransform) -> tuple[Tensor, float]:
    """The vectors (N, D) of pictures drawn from `image` (N, D), and their mean squared error against the pictures."""
    drawn = model.decode(image)
    vectors = model.embed_images(as_seen(drawn, transform.size), transform)
    parts = torch.from_numpy(np.asarray(source.pixels)).split(1024)
    wanted = torch.cat([as_drawn(part.float()) for part in parts])
    return vectors, float(F.mse_loss(drawn, wanted))
