"""Losses: pure functions on a batch's matrix of cosines, and the dict of their names.

Shapes: B pictures, M texts, N pairs. similarity (B, M) holds cosines in [-1, 1]; positive (B, M) is bool and says which
picture and text belong together, wherever in the batch they stand. Every loss is a scalar that may be differentiated
at any cosine, 1 and -1 included.
The two matrices fit when similarity is a floating (B, M) tensor with B, M >= 1 and positive a bool tensor of the same
shape with at least one match; what does not fit raises InputError.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from crossmodal.errors import InputError

__all__ = [
    "LOSSES",
    "Loss",
    "arcface",
    "contrastive",
    "loss_named",
    "marked",
    "matching",
    "multi_positive_clip",
    "reconstruction",
    "siglip",
    "softmax",
    "symmetric_clip",
    "triplet",
]


def symmetric_clip(similarity: Tensor, positive: Tensor, logit_scale: Tensor) -> Tensor:
    """Mean of the two cross-entropies, picture → text and text → picture, over the batch's own pairs.

    similarity, positive: (B, B), one match in every row and column, in any order.
    logit_scale: scalar s; logits are exp(s) · cosine.

    A collapsed or untrained model sits at ln B.

    Raises InputError if the matrices do not fit, or if a row or column has no match or several.
    Source: Radford et al. 2021, figure 3.

    >>> symmetric_clip(torch.eye(2), torch.eye(2) > 0, torch.tensor(0.0))   # ln(1 + 1/e)
    tensor(0.3133)
    """
    _check(similarity, positive)
    if not bool((positive.sum(0) == 1).all() and (positive.sum(1) == 1).all()):
        raise InputError(
            "symmetric_clip needs exactly one match in every row and column: use multi_positive_clip where a picture "
            "has several texts or two pictures share one"
        )
    logits = logit_scale.exp() * similarity
    return (F.cross_entropy(logits, _places(positive)) + F.cross_entropy(logits.T, _places(positive.T))) / 2


def siglip(similarity: Tensor, positive: Tensor, logit_scale: Tensor, logit_bias: Tensor) -> Tensor:
    """Sigmoid cross-entropy of every pair on its own, summed over all pairs and divided by B.

    similarity, positive: (B, M), any number of matches.
    logit_scale, logit_bias: scalars s and b; logits are exp(s) · cosine + b.

    The paper starts at s = ln 10 and b = -10, so that the many false pairs weigh little.

    Raises InputError if the matrices do not fit.
    Source: Zhai et al. 2023, equation 1 and algorithm 1.

    >>> siglip(torch.zeros(2, 2), torch.eye(2) > 0, torch.tensor(0.0), torch.tensor(0.0))   # 4 ln 2 / 2
    tensor(1.3863)
    """
    _check(similarity, positive)
    logits = logit_scale.exp() * similarity + logit_bias
    return -F.logsigmoid(torch.where(positive, logits, -logits)).sum() / len(similarity)


def multi_positive_clip(similarity: Tensor, positive: Tensor, logit_scale: Tensor) -> Tensor:
    """Symmetric CLIP with any number of matches: each query's -log softmax, averaged over its matches.

    similarity, positive: (B, M).
    logit_scale: scalar s; logits are exp(s) · cosine.

    A query's mean over its matches comes first, then the mean over queries, then that of both directions; a row or
    column without a match is left out. A query of P matches is content (ln P) when they share the softmax evenly: none
    of them is pushed away as a false negative. With one match in every row and column it is `symmetric_clip`; collapsed
    it is (ln M + ln B) / 2.

    Raises InputError if the matrices do not fit.
    Source: Khosla et al. 2020, equation 2 (L_out), with queries and gallery of two modalities.

    >>> twice = torch.tensor([[1.0, 1.0]])   # both captions are the one picture's
    >>> multi_positive_clip(twice, twice > 0, torch.tensor(0.0))   # (ln 2 + ln 1) / 2
    tensor(0.3466)
    """
    _check(similarity, positive)
    logits = logit_scale.exp() * similarity
    return (_shared_cross_entropy(logits, positive) + _shared_cross_entropy(logits.T, positive.T)) / 2


def triplet(similarity: Tensor, positive: Tensor, margin: float = 0.2, hardest: bool = True) -> Tensor:
    """Hinge on how far each match must stand above the wrong ones, picture → text and text → picture.

    similarity, positive: (B, M).
    margin: a difference of cosines, >= 0.
    hardest: take only the highest wrong score w of a query; otherwise all are summed.

    A match scoring m costs max(0, margin + w - m). A query with several matches takes their mean. As in VSE++ the costs
    are summed over the queries of both directions; here the sum is divided by B, so that the learning rate need not
    change with the batch. A query without match or without wrong one costs nothing. Collapsed, with one match each: 2 ·
    margin, or 2 · (B - 1) · margin over all.

    Raises InputError if the matrices do not fit, or if margin < 0.
    Source: Faghri et al. 2018 (VSE++), equation 6; hardest=False is its equation 5 (Kiros et al. 2014).

    >>> triplet(torch.tensor([[0.9, 0.8], [0.3, 0.6]]), torch.eye(2) > 0)   # (0.1 + 0.4) / 2, from 0.8 and its column
    tensor(0.2500)
    """
    _check(similarity, positive)
    _check_option("margin", margin, 0, math.inf)
    both = ((similarity, positive), (similarity.T, positive.T))
    return sum((_hinges(*side, margin, hardest) for side in both), similarity.new_zeros(())) / len(similarity)


def contrastive(similarity: Tensor, positive: Tensor, margin: float = 1.0) -> Tensor:
    """Squared distance of true pairs, and of false pairs what they lack of `margin`, squared: half the sum of means.

    similarity, positive: (B, M), any number of matches. The distance is d = 1 - cosine, in [0, 2]; margin, in (0, 2],
    is one too. True and false pairs weigh the same however many they are; without a false pair their half is 0.
    Collapsed it is margin² / 2, so matching everything with everything does not pay.

    Raises InputError if the matrices do not fit, or if margin is outside (0, 2].
    Source: Hadsell et al. 2006, equation 4, on the cosine distance and balanced.

    >>> contrastive(torch.tensor([[0.5, 0.4]]), torch.tensor([[True, False]]))   # (0.5² + 0.4²) / 2
    tensor(0.2050)
    """
    _check(similarity, positive)
    _check_option("margin", margin, 0, 2, open_low=True)
    distance = 1 - similarity
    return _balanced(torch.where(positive, distance, (margin - distance).clamp(min=0)).square(), positive)


def arcface(similarity: Tensor, positive: Tensor, margin: float = 28.6, scale: float = 30.0) -> Tensor:
    """Cross-entropy of each picture against the centre of its class, after turning it `margin` away from that centre.

    similarity: (B, M) cosines of pictures with class centres.
    positive: one match in every row.
    margin: degrees in [0, 90].
    scale: > 0, factor from cosine to logit.

    The match's cos θ becomes cos(θ + margin); past 180° that would rise again, so there it goes on as cos θ - margin ·
    sin margin (radians), as in the authors' code. The sine is kept off 0, where its slope has no end.

    Raises InputError if the matrices do not fit, a row has no match or several, margin is outside [0, 90], or
    scale <= 0.
    Source: Deng et al. 2019, equation 3; the same angles as ArcFaceLoss of PyTorch Metric Learning.

    >>> arcface(torch.tensor([[1.0, 0.0]]), torch.tensor([[True, False]]), margin=60.0, scale=1.0)  # ln(1 + 1/√e)
    tensor(0.4741)
    """
    _check(similarity, positive)
    _check_one_match("arcface", positive)
    _check_option("margin", margin, 0, 90)
    _check_option("scale", scale, 0, math.inf, open_low=True)
    turn = math.radians(margin)
    smallest = torch.finfo(similarity.dtype).eps ** 2
    sine = ((1 - similarity) * (1 + similarity)).clamp(min=smallest).sqrt()
    turned = similarity * math.cos(turn) - sine * math.sin(turn)
    turned = torch.where(similarity > -math.cos(turn), turned, similarity - turn * math.sin(turn))
    return F.cross_entropy(scale * torch.where(positive, turned, similarity), _places(positive))


def softmax(similarity: Tensor, positive: Tensor, scale: float = 1.0) -> Tensor:
    """Cross-entropy of each picture against the one text or class that is its own.

    similarity, positive: (B, M), one match in every row; a column may have many.
    scale: > 0, factor from cosine to logit.

    Collapsed it is ln M.

    Raises InputError if the matrices do not fit, a row has no match or several, or scale <= 0.
    Source: Deng et al. 2019, equation 1, on cosines.

    >>> softmax(torch.zeros(1, 4), torch.tensor([[False, True, False, False]]))   # ln 4
    tensor(1.3863)
    """
    _check(similarity, positive)
    _check_one_match("softmax", positive)
    _check_option("scale", scale, 0, math.inf, open_low=True)
    return F.cross_entropy(scale * similarity, _places(positive))


def matching(logits: Tensor, true: Tensor) -> Tensor:
    """Binary cross-entropy of pairs: half the sum of the mean over true pairs and the mean over false ones.

    logits: (N,) of the pairs, sigmoid gives the probability that they belong together.
    true: (N,) bool, whether they do.

    A kind that is absent counts 0. An undecided model (all logits 0) sits at ln 2.

    Raises InputError unless logits is a floating (N,) tensor with N >= 1 and true a bool tensor of the same shape.

    >>> matching(torch.tensor([0.0, 0.0, 0.0]), torch.tensor([True, False, False]))   # ln 2
    tensor(0.6931)
    """
    if logits.dim() != 1 or not len(logits) or logits.shape != true.shape:
        raise InputError(f"logits {tuple(logits.shape)} and true {tuple(true.shape)} must both be (N,) with N >= 1")
    _check_types("logits", logits, "true", true)
    return _balanced(-F.logsigmoid(torch.where(true, logits, -logits)), true)


def marked(wrong: Tensor, right: Tensor, own: Tensor, logit_scale: Tensor) -> Tensor:
    """What a person said of one query's answers: disliked pictures are hard negatives, both ways.

    Cosines: wrong (K,) of the query with each disliked picture; right (L,) of it with each liked one, L may be 0; own
    (K,) of each disliked picture with a caption of its own. logit_scale: scalar s. The logistic cost of every liked
    picture against every disliked one, averaged, and the same of each disliked picture's caption against the query.

    Raises InputError unless K >= 1 and own is as long as wrong.

    >>> marked(torch.tensor([0.5]), torch.tensor([0.5]), torch.tensor([0.5]), torch.tensor(0.0))   # 2 ln 2
    tensor(1.3863)
    """
    if wrong.dim() != 1 or not len(wrong) or own.shape != wrong.shape or right.dim() != 1:
        raise InputError(f"wrong {tuple(wrong.shape)}, right {tuple(right.shape)}, own {tuple(own.shape)} do not fit")
    scale = logit_scale.exp()
    cost = F.softplus(scale * (wrong - own)).mean()
    return cost + F.softplus(scale * (wrong[None] - right[:, None])).mean() if len(right) else cost


def reconstruction(drawn: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared error of drawn pixels; both of one shape, such as (N, 1, H, W), in the same unit.

    Raises InputError if the shapes differ or are empty.

    >>> reconstruction(torch.tensor([[0.0, 0.5]]), torch.tensor([[1.0, 0.5]]))
    tensor(0.5000)
    """
    if drawn.shape != wanted.shape or not drawn.numel():
        raise InputError(f"drawn {tuple(drawn.shape)} and wanted {tuple(wanted.shape)} must have one shape, not empty")
    return (drawn - wanted).square().mean()


@dataclass(frozen=True)
class Loss:
    """A loss on (similarity, positive, …) and what a training loop must hand it.

    compute: the function.
    texts: what the columns are: "one" caption a picture, "all" its captions, or "labels", every label.
    scalars: the model's own scalars that follow the two matrices, in order.
    first_epoch: options of a run's first epoch only.
    unit: whether the matrix holds cosines, or plain products of vectors of any length.
    """

    compute: Callable[..., Tensor]
    texts: str
    scalars: tuple[str, ...] = ()
    first_epoch: Mapping[str, Any] = field(default_factory=dict)
    unit: bool = True


LOSSES: dict[str, Loss] = {
    "symmetric_clip": Loss(symmetric_clip, "one", ("logit_scale",)),
    "siglip": Loss(siglip, "one", ("logit_scale", "logit_bias")),
    "multi_positive_clip": Loss(multi_positive_clip, "all", ("logit_scale",)),
    "triplet": Loss(triplet, "one", first_epoch={"hardest": False}),
    "contrastive": Loss(contrastive, "one"),
    "arcface": Loss(arcface, "labels"),
    "softmax": Loss(softmax, "labels", unit=False),
}


def loss_named(name: str) -> Loss:
    """The entry of LOSSES. Raises InputError for an unknown name; its message lists the known ones.

    >>> loss_named("siglip").scalars
    ('logit_scale', 'logit_bias')
    """
    if name not in LOSSES:
        raise InputError(f"no loss is called {name!r}: choose one of {', '.join(LOSSES)}")
    return LOSSES[name]


def _shared_cross_entropy(logits: Tensor, positive: Tensor) -> Tensor:
    """Mean over the rows that have a match, of the mean over its matches, of -log softmax."""
    matches = positive.sum(1)
    own = torch.where(positive, logits.log_softmax(1), 0.0).sum(1) / matches.clamp(min=1)
    return -own.sum() / (matches > 0).sum()


def _hinges(similarity: Tensor, positive: Tensor, margin: float, hardest: bool) -> Tensor:
    """Sum over rows of the mean cost of a row's matches."""
    wrong = similarity.masked_fill(positive, -torch.inf)
    if hardest:
        cost = (margin + wrong.amax(1, keepdim=True) - similarity).clamp(min=0)  # (B, M), read where positive
        costs = torch.where(positive, cost, 0.0).sum(1)
    else:
        rows = positive.nonzero()[:, 0]  # one entry for each of P true pairs, in the order of masked_select
        own = similarity.masked_select(positive)
        # index_select, since indexing with [rows] would sum its gradient in an order that varies on a CPU
        cost = (margin + wrong.index_select(0, rows) - own[:, None]).clamp(min=0).sum(1)  # (P,)
        costs = similarity.new_zeros(len(similarity)).index_add(0, rows, cost)
    return (costs / positive.sum(1).clamp(min=1)).sum()


def _balanced(cost: Tensor, true: Tensor) -> Tensor:
    """Half the sum of the mean cost of true pairs and that of false ones; a kind that is absent counts 0."""
    kinds = (true, ~true)
    return sum((torch.where(k, cost, 0.0).sum() / k.sum().clamp(min=1) for k in kinds), cost.new_zeros(())) / 2


def _places(positive: Tensor) -> Tensor:
    """The column of each row's one match: (B,) int64."""
    return positive.int().argmax(1)


def _check(similarity: Tensor, positive: Tensor) -> None:
    if similarity.dim() != 2 or not similarity.numel():
        raise InputError(f"similarity must be a matrix (B, M) with B, M >= 1, not {tuple(similarity.shape)}")
    if similarity.shape != positive.shape:
        raise InputError(f"similarity is {tuple(similarity.shape)} but positive {tuple(positive.shape)}")
    _check_types("similarity", similarity, "positive", positive)
    if not bool(positive.any()):
        raise InputError("no picture matches any text: positive is False everywhere")


def _check_types(scores_name: str, scores: Tensor, truth_name: str, truth: Tensor) -> None:
    if not scores.is_floating_point():
        raise InputError(f"{scores_name} must be floating, not {scores.dtype}")
    if truth.dtype != torch.bool:
        raise InputError(f"{truth_name} must be bool, not {truth.dtype}")


def _check_one_match(name: str, positive: Tensor) -> None:
    wrong = (positive.sum(1) != 1).nonzero()
    if len(wrong):
        row = int(wrong[0])
        raise InputError(f"{name} needs exactly one match in every row: row {row} has {int(positive[row].sum())}")


def _check_option(name: str, value: float, low: float, high: float, open_low: bool = False) -> None:
    if not (low < value <= high or (value == low and not open_low)):
        raise InputError(f"{name} must be in {'(' if open_low else '['}{low}, {high}], not {value}")
