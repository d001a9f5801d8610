"""Retrieval metrics: pure functions on vectors.

Shapes: N pictures, M captions, D embedding. owner (M,) names the row of each caption's picture. A rank is the number
of wrong items that come before the right one, so 0 is best. Ties count against the model.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from crossmodal.errors import InputError

RECALLS = (1, 5, 10)


def _check(image: Tensor, text: Tensor, owner: Tensor) -> None:
    if len(text) != len(owner):
        raise InputError(f"{len(text)} caption vectors but {len(owner)} owners")
    if len(owner) and (int(owner.min()) < 0 or int(owner.max()) >= len(image)):
        raise InputError(f"owner names row {int(owner.max())}, but there are {len(image)} pictures")
    if not (bool(torch.isfinite(image).all()) and bool(torch.isfinite(text).all())):
        raise InputError("vectors hold NaN or infinity: the model has diverged")


def text_to_image_ranks(image: Tensor, text: Tensor, owner: Tensor, block: int = 1024) -> Tensor:
    """For each caption, how many wrong pictures score at least as high as its own: (M,) int64.

    image (N, D), text (M, D), owner (M,). Works in blocks of `block` captions; never holds N × M scores.
    Raises InputError for owners that do not fit and for vectors that are not finite.

    >>> text_to_image_ranks(torch.tensor([[1.0], [0.5]]), torch.tensor([[1.0], [1.0]]), torch.tensor([0, 1]))
    tensor([0, 1])
    """
    _check(image, text, owner)
    ranks = [torch.empty(0, dtype=torch.int64)]
    for start in range(0, len(text), block):
        scores = text[start : start + block] @ image.T  # (b, N)
        own = scores.gather(1, owner[start : start + block, None])
        ranks.append((scores >= own).sum(1) - 1)
    return torch.cat(ranks)


def image_to_text_ranks(image: Tensor, text: Tensor, owner: Tensor, block: int = 1024) -> Tensor:
    """For each picture, how many wrong captions score at least as high as its best own one: (N,) int64.

    image (N, D), text (M, D), owner (M,). A picture without a caption gets -1. Works in blocks of `block` pictures.
    Raises InputError for owners that do not fit and for vectors that are not finite.
    Source: Hodosh et al. 2013, section 5.1 (the best of a picture's captions counts).
    """
    _check(image, text, owner)
    ranks = [torch.empty(0, dtype=torch.int64)]
    for start in range(0, len(image), block):
        scores = image[start : start + block] @ text.T  # (b, M)
        own = owner[None, :] == torch.arange(start, start + len(scores))[:, None]
        best = scores.masked_fill(~own, -torch.inf).amax(1, keepdim=True) if len(text) else scores.new_empty(0, 1)
        wrong_before = ((scores >= best) & ~own).sum(1)
        ranks.append(torch.where(own.any(1), wrong_before, -1))
    return torch.cat(ranks)


def recall_at_k(ranks: Tensor, k: int) -> float:
    """Share of queries whose right item is among the k first, in percent.

    ranks: (Q,) as above; -1 (nothing to find) is left out. Raises InputError if k < 1 or nothing can be found.

    >>> recall_at_k(torch.tensor([0, 3, 9, 10]), k=10)
    75.0
    """
    if k < 1:
        raise InputError(f"k must be at least 1, not {k}")
    return 100 * float((_findable(ranks) < k).double().mean())


def median_rank(ranks: Tensor) -> float:
    """Median place of the right item, counted from 1. Raises InputError if nothing can be found."""
    return float(_findable(ranks).double().quantile(0.5)) + 1


def _findable(ranks: Tensor) -> Tensor:
    ranks = ranks[ranks >= 0]
    if not len(ranks):
        raise InputError("no query has anything to find: are there pictures with captions in this split?")
    return ranks


def retrieval_metrics(image_ranks: Tensor, caption_ranks: Tensor) -> dict[str, float]:
    """R@1/5/10 in percent and median rank both ways, and rsum, their recalls' sum, by flat names.

    image_ranks (N,): image → text. caption_ranks (M,): text → image.
    """
    values: dict[str, float] = {}
    for direction, ranks in (("image_to_text", image_ranks), ("text_to_image", caption_ranks)):
        values |= {f"{direction} R@{k}": recall_at_k(ranks, k) for k in RECALLS}
    values["rsum"] = sum(values.values())
    values["image_to_text median_rank"] = median_rank(image_ranks)
    values["text_to_image median_rank"] = median_rank(caption_ranks)
    return values


def bootstrap_intervals(
    image_ranks: Tensor, caption_ranks: Tensor, owner: Tensor, samples: int = 1000, level: float = 0.95, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of every recall and of rsum, resampling pictures, each with all of its captions.

    The galleries stay as they are; only which pictures are asked about varies. level: share covered, in (0, 1).
    Source: Efron & Tibshirani 1993, chapter 13 (percentile interval; pictures are the independent units).
    """
    captioned = image_ranks >= 0
    pictures = len(image_ranks)
    counts = torch.zeros(pictures).index_add_(0, owner, torch.ones(len(owner)))
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(pictures, (samples, pictures), generator=generator)
    weights = torch.zeros(samples, pictures).scatter_add_(1, drawn, torch.ones(samples, pictures))  # (samples, N)

    def share(hits: Tensor, possible: Tensor) -> Tensor:
        return 100 * (weights @ hits) / (weights @ possible).clamp(min=1)

    values: dict[str, Tensor] = {}
    for k in RECALLS:
        values[f"image_to_text R@{k}"] = share(((image_ranks < k) & captioned).float(), captioned.float())
    for k in RECALLS:
        hits = torch.zeros(pictures).index_add_(0, owner, (caption_ranks < k).float())
        values[f"text_to_image R@{k}"] = share(hits, counts)
    values["rsum"] = torch.stack(list(values.values())).sum(0)
    edge: Callable[[Tensor, float], float] = lambda value, at: round(float(value.quantile(at)), 2)  # noqa: E731
    return {name: (edge(value, (1 - level) / 2), edge(value, (1 + level) / 2)) for name, value in values.items()}


def precision_at_k(vectors: Tensor, labels: Tensor, k: int, block: int = 1024) -> float:
    """Mean share of an item's own label among its k nearest other items, in [0, 1].

    vectors: unit (N, D).
    labels: (N,) int64.

    With fewer than k others, all of them count.
    Raises InputError for fewer than two items or k < 1.

    >>> precision_at_k(torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]]), torch.tensor([0, 0, 1]), k=1)
    0.6666666666666666
    """
    if len(vectors) < 2 or k < 1:
        raise InputError(f"precision@{k} needs k of at least 1 and two items, not {len(vectors)}")
    k = min(k, len(vectors) - 1)
    shares = []
    for start in range(0, len(vectors), block):
        scores = vectors[start : start + block] @ vectors.T
        rows = torch.arange(len(scores))
        scores[rows, rows + start] = -torch.inf
        nearest = scores.topk(k).indices
        shares.append((labels[nearest] == labels[start : start + block, None]).double().mean(1))
    return float(torch.cat(shares).mean())


def balanced_accuracy(true: Tensor, false: Tensor, threshold: float = 0.5) -> float:
    """Mean of the share of true pairs above the threshold and of false pairs at or below it, in [0, 1].

    >>> balanced_accuracy(torch.tensor([0.9, 0.4]), torch.tensor([0.5, 0.1]))
    0.75
    """
    return (float((true > threshold).double().mean()) + float((false <= threshold).double().mean())) / 2


def area_under_curve(true: Tensor, false: Tensor) -> float:
    """Probability that a true pair scores above a false one, ties counting half, in [0, 1].

    >>> area_under_curve(torch.tensor([0.9, 0.4]), torch.tensor([0.4, 0.1]))
    0.875
    """
    ordered = false.double().sort().values
    below = torch.searchsorted(ordered, true.double())
    upto = torch.searchsorted(ordered, true.double(), right=True)
    return float((below + upto).double().mean()) / (2 * len(false))
