"""Captions that likely belong to another picture, and captions that fit many.

Shapes: N pictures, M captions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmodal.gallery.caption_audit.findings import EVIDENCE, AmbiguousCaption, Fit, WrongCaption
from crossmodal.gallery.caption_audit.surveying import SURVEYING, Floats, Survey, closest_siblings
from crossmodal.index import Index
from crossmodal.index.calibration.relevance import fit_logistic, logistic

__all__ = ["ambiguous_captions", "belonging", "wrong_captions"]

TINY = 1e-12


@dataclass(frozen=True)
class Judging:
    """How captions are judged.

    sample: captions that the logistic is fitted to, spread evenly over the gallery. It has three weights: more captions
        move them by less than their own error, and cost time.
    siblings: captions with others of their picture, on either side, below which these others are left out of the fit;
        fewer would be learned by heart.
    own_share: how high a caption's own picture stands above the caption's mean cosine, as a share of what the best
        picture reaches. Below it the picture fits badly, and the caption is doubtful rather than ambiguous.
    """

    sample: int = 4000
    siblings: int = 20
    own_share: float = 0.7


JUDGING = Judging()


def wrong_captions(index: Index, survey: Survey, most: int | None = None) -> tuple[WrongCaption, ...]:
    """The captions that look more like those of another picture than like their own, the least fitting first.

    most: how many at most; None for all.
    """
    belongs = logistic(belonging(index, survey))
    suspects = np.argsort(belongs, kind="stable")
    suspects = suspects[belongs[suspects] < 0.5][:most]
    return tuple(_wrong(index, survey, int(row), float(belongs[row])) for row in suspects)


def belonging(index: Index, survey: Survey, seed: int = 0) -> Floats:
    """(M,): log-odds that each caption belongs to its picture rather than to one drawn at random.

    Two features: the cosine with the picture, and the mean cosine with the two closest of the picture's other captions.
    A logistic weighs them, fitted on the gallery itself: captions as they stand against the same captions at pictures
    drawn with the seed. So nothing needs to be known of which are wrong. A caption without siblings is judged by its
    picture alone. (Cosines in spreads above the caption's mean over the gallery were tried: no better, and a little
    worse without siblings.)
    """
    captioned = np.unique(survey.owner)
    if len(captioned) < 2:
        return np.full(len(survey.owner), np.inf)  # there is no other picture that it could belong to
    rng = np.random.default_rng(seed)
    count = min(JUDGING.sample, len(survey.owner))
    rows = np.arange(count) * len(survey.owner) // count
    place = np.searchsorted(captioned, survey.owner[rows])
    drawn = captioned[(place + rng.integers(1, len(captioned), count)) % len(captioned)]
    with_picture = np.einsum("md,md->m", index.caption_vectors[rows], index.image_vectors[drawn])
    strangers = np.stack([with_picture, closest_siblings(index, rows, drawn)], axis=1)
    every = np.stack([survey.cosine, survey.sibling], axis=1)
    odds = _fitted(every[rows, :1], strangers[:, :1], every[:, :1])
    together = np.isfinite(every[:, 1])
    own, other = (part[np.isfinite(part[:, 1])] for part in (every[rows], strangers))
    if min(len(own), len(other)) >= JUDGING.siblings:
        odds[together] = _fitted(own, other, every[together])
    return odds


def _fitted(own: Floats, strangers: Floats, every: Floats) -> Floats:
    """Log-odds (M,) of `every` (M, F) by a logistic that tells `own` (m, F) from `strangers` (n, F)."""
    truth = np.repeat([True, False], [len(own), len(strangers)])
    weights = fit_logistic(np.concatenate([own, strangers]), truth)
    return np.asarray(every @ weights[1:] + weights[0])


def _wrong(index: Index, survey: Survey, row: int, belongs: float) -> WrongCaption:
    owner, captions = int(survey.owner[row]), index.catalogue.captions
    first, end = index.caption_rows[owner : owner + 2].tolist()
    sibling = float(survey.sibling[row])
    return WrongCaption(
        path=_path(index, owner),
        caption=captions[row].text,
        belongs=belongs,
        cosine=float(survey.cosine[row]),
        mean=float(survey.mean[row]),
        rank=int(survey.rank[row]),
        pictures=len(index.catalogue.pictures),
        sibling=sibling if np.isfinite(sibling) else None,
        siblings=tuple(captions[other].text for other in range(first, end) if other != row),
        better=_best_others(index, survey, row),
    )


def ambiguous_captions(index: Index, survey: Survey, most: int | None = None) -> tuple[AmbiguousCaption, ...]:
    """The captions that fit many other pictures as well as their own, those that fit most first.

    Only captions that fit their own picture: it stands at least 0.7 as high above the caption's mean cosine as the best
    picture does. Many: one in a hundred of the gallery. most: how many at most.
    """
    count = len(index.catalogue.pictures)
    best = survey.best_cosine[:, 0] - survey.mean
    fits = survey.cosine - survey.mean >= JUDGING.own_share * np.maximum(best, TINY)
    order = np.lexsort((survey.rank, -survey.within))
    chosen = order[(fits & (survey.within >= max(count // 100, 1)))[order]][:most]
    captions = index.catalogue.captions
    return tuple(
        AmbiguousCaption(
            path=_path(index, int(survey.owner[row])),
            caption=captions[row].text,
            cosine=float(survey.cosine[row]),
            rank=int(survey.rank[row]),
            pictures=count,
            within=int(survey.within[row]),
            margin=SURVEYING.margin,
            others=_best_others(index, survey, row),
        )
        for row in chosen.tolist()
    )


def _best_others(index: Index, survey: Survey, row: int) -> tuple[Fit, ...]:
    pairs: list[tuple[int, float]] = list(zip(survey.best[row].tolist(), survey.best_cosine[row].tolist(), strict=True))
    others = [(picture, cosine) for picture, cosine in pairs if picture != survey.owner[row]]
    return tuple(Fit(_path(index, picture), cosine) for picture, cosine in others[:EVIDENCE])


def _path(index: Index, row: int) -> str:
    return index.catalogue.pictures[row].stamp.path
