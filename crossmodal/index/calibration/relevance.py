"""How sure an answer is: from the cosines of one query with a whole gallery to probabilities.

A cosine alone says little: some sentences score high with everything, others with nothing, and how high is high differs
by model and gallery. So a query's best cosine is judged beside its own background (the ten that come next, and the mean
and spread of its cosines with all of the gallery), by a small logistic model that is fitted for each gallery. Where a
gallery has captions, they are a second channel of evidence beside the pictures themselves.

Shapes: Q queries, N items of the gallery, C channels of evidence, F = 4 C features.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import InputError

__all__ = ["ACCEPTED", "Example", "Relevance", "fit_relevance", "relevance_above_background", "relevance_from_dict"]

Floats = NDArray[np.float64]
FEATURES = 4  # of each channel: best, mean of the next ten, mean, spread
NEXT = 10
SHOWN = 20  # hits of a query that the fit looks at
ACCEPTED = 0.95  # share of matching queries of which "nothing matches" must not be said
SHIFT = 2.0  # spreads of the background between its centre and that of matching queries, where none are known
RIDGE = 1.0
BIAS_RIDGE = 1e-6  # only so that a fit ends where every example says the same
GRADIENT = 1e-7  # below which a fit has ended; rounding may end it sooner, at some 1e-6


@dataclass(frozen=True)
class Relevance:
    """The fitted model.

    gallery: bias and weights (1 + F) of "does the gallery hold a match".
    hit: bias and weights (1 + F) of "is this hit a match".
    threshold: in [0, 1]; with less than this probability, nothing matches.
    fitted_on: "captions" of the gallery itself, or "background": sentences made by code, so that only what does not
        match is known.
    queries: how many it was fitted on.
    """

    gallery: tuple[float, ...]
    hit: tuple[float, ...]
    threshold: float
    fitted_on: str
    queries: int

    @property
    def channels(self) -> int:
        """C, how many channels of evidence (pictures, captions) it was fitted on."""
        return (len(self.gallery) - 1) // FEATURES

    def match(self, cosines: NDArray[Any]) -> float:
        """Probability that the gallery holds a match, in [0, 1].

        cosines: (C, N) of one query with everything in the gallery, a row a channel. Raises InputError for another
        number of channels or an empty gallery.
        """
        return float(logistic(self._checked(cosines) @ np.array(self.gallery[1:]) + self.gallery[0]))

    def of(self, cosines: NDArray[Any], rows: NDArray[np.int64] | Sequence[int]) -> Floats:
        """Probability of each hit that it matches, (k,); never above `match`.

        A match is the very picture that the words were written about: where many pictures show the same, they share
        the probability.

        cosines: (C, N), see `match`, which raises for the same reasons.
        rows: (k,) of the hits in the gallery.
        """
        return self.judge(self._checked(cosines), np.asarray(cosines, dtype=np.float64)[:, rows])[1]

    def judge(self, features: Floats, own: Floats) -> tuple[float, Floats]:
        """`match` and `of` from what they need alone: query_features (C, 4) or (F,) and the hits' cosines (C, k)."""
        flat = np.asarray(features, dtype=np.float64).reshape(-1)
        match = float(logistic(flat @ np.array(self.gallery[1:]) + self.gallery[0]))
        hits = np.repeat(flat[None], own.shape[1], axis=0)
        hits[:, ::FEATURES] = own.T
        probabilities: Floats = logistic(hits @ np.array(self.hit[1:]) + self.hit[0])
        return match, np.minimum(probabilities, match, dtype=np.float64)

    def nothing(self, match: float) -> bool:
        """Whether so low a probability of a match means: nothing here matches."""
        return match < self.threshold

    def as_dict(self) -> dict[str, Any]:
        """The fitted model as JSON values; `relevance_from_dict` reads them."""
        return asdict(self)

    def _checked(self, cosines: NDArray[Any]) -> Floats:
        if cosines.ndim != 2 or len(cosines) != self.channels or not cosines.shape[1]:
            raise InputError(f"cosines of shape {cosines.shape} for {self.channels} channels")
        features: Floats = query_features(cosines).reshape(-1)
        return features


def relevance_from_dict(values: dict[str, Any]) -> Relevance:
    """The model that `as_dict` wrote. Raises InputError if the values are not those of one."""
    try:
        gallery, hit = (tuple(map(float, values[name])) for name in ("gallery", "hit"))
        threshold, queries = float(values["threshold"]), int(values["queries"])
        whole = values.keys() == {"gallery", "hit", "threshold", "fitted_on", "queries"}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"these are no values of a relevance: {error}") from error
    if not whole or len(gallery) != len(hit) or len(gallery) % FEATURES != 1 or len(gallery) == 1:
        raise InputError(f"these are no values of a relevance: {len(gallery)} and {len(hit)} weights")
    if not np.isfinite([*gallery, *hit, threshold]).all():
        raise InputError("these are no values of a relevance: not finite")
    return Relevance(gallery, hit, threshold, str(values["fitted_on"]), queries)


def query_features(cosines: NDArray[Any], left_out: NDArray[np.bool_] | None = None) -> Floats:
    """(Q, N) → (Q, 4): each query's best cosine, mean of the ten next, mean and spread of all that are not left out."""
    values = np.asarray(cosines, dtype=np.float64)
    kept = np.ones(values.shape, dtype=bool) if left_out is None else ~left_out
    counts = kept.sum(1)
    mean = np.where(kept, values, 0).sum(1) / counts
    spread = np.sqrt(np.where(kept, (values - mean[:, None]) ** 2, 0).sum(1) / counts)
    best = np.where(kept, values, -np.inf)
    if best.shape[1] > NEXT + 1:
        best = -np.partition(-best, NEXT, axis=1)[:, : NEXT + 1]
    best = -np.sort(-best, axis=1)
    following = best[:, 1:]
    present = np.isfinite(following)
    ten = np.where(present, following, 0).sum(1) / np.maximum(present.sum(1), 1)
    return np.stack([best[:, 0], np.where(present.any(1), ten, best[:, 0]), mean, spread], axis=1)


@dataclass(frozen=True)
class Example:
    """Queries with known answers.

    cosines: C arrays (Q, N), the first ranks the hits.
    own: (Q, N), what matches.
    """

    cosines: tuple[NDArray[Any], ...]
    own: NDArray[np.bool_]


def fit_relevance(examples: Iterable[Example]) -> Relevance:
    """Fit on queries asked twice: once with what matches them in the gallery, and once with it removed.

    Raises InputError if there is no query, or one without a match.
    """
    asked: list[list[Floats]] = [[], []]
    shown: list[Floats] = []
    labels: list[NDArray[np.bool_]] = []
    for example in examples:
        if not example.own.any(1).all():
            raise InputError("a query to fit on has no match in the gallery")
        for removed in (False, True):
            features, hits, matches = _seen(example, removed)
            asked[removed].append(features)
            shown.append(hits)
            labels.append(matches)
    if not shown:
        raise InputError("no query to fit on")
    present, absent = np.concatenate(asked[0]), np.concatenate(asked[1])
    truth = np.repeat([True, False], [len(present), len(absent)])
    gallery = fit_logistic(np.concatenate([present, absent]), truth)
    hit = fit_logistic(np.concatenate(shown), np.concatenate(labels))
    accepted = float(np.quantile(logistic(present @ gallery[1:] + gallery[0]), 1 - ACCEPTED))
    return Relevance(_rounded(gallery), _rounded(hit), round(min(accepted, 0.5), 6), "captions", len(present))


def _seen(example: Example, removed: bool) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Features (Q, F) of each query, (Q k, F) of its first hits by the first channel, and which hits match (Q k,)."""
    left_out = example.own if removed else np.zeros_like(example.own)
    features = np.concatenate([query_features(channel, left_out) for channel in example.cosines], axis=1)
    ranked = np.where(left_out, -np.inf, example.cosines[0])
    count = min(SHOWN, ranked.shape[1])
    rows = np.argpartition(-ranked, count - 1, axis=1)[:, :count]
    hits = np.repeat(features[:, None], count, axis=1)
    for number, channel in enumerate(example.cosines):
        hits[:, :, FEATURES * number] = np.take_along_axis(channel, rows, axis=1)
    there = ~np.take_along_axis(left_out, rows, axis=1)
    return features, hits[there], np.take_along_axis(example.own, rows, axis=1)[there]


def relevance_above_background(cosines: Iterable[NDArray[Any]]) -> Relevance:
    """Without a query known to match: how far a best cosine stands above those of background sentences.

    cosines: blocks (Q, N) of background sentences with the gallery. Matching queries are taken to lie two spreads
    above the background's centre, equally spread: an assumption, so the probability orders and warns but is not
    calibrated. Nothing matches where not even half of the background is passed. Median and lower spread, since some of
    the sentences may well match. Raises InputError without any.
    """
    best = np.concatenate([np.asarray(block).max(1) for block in cosines] or [np.empty(0)]).astype(np.float64)
    if not len(best):
        raise InputError("no background sentence to fit on")
    centre, low = np.quantile(best, [0.5, 0.16])
    slope = SHIFT / max(float(centre - low), 0.01)
    weights = _rounded(np.array([-slope * float(centre) - SHIFT**2 / 2, slope, 0.0, 0.0, 0.0]))
    threshold = round(float(logistic(np.array(-(SHIFT**2) / 2))), 6)
    return Relevance(weights, weights, threshold, "background", len(best))


def fit_logistic(features: Floats, truth: NDArray[np.bool_]) -> Floats:
    """Bias and weights (1 + F) with a small ridge, the weight of each best cosine at least 0.

    A query's own cosine may only speak for a match: where the data say otherwise (too few, or another channel says it
    all), that feature is left out and the rest is fitted again.
    """
    kept = list(range(features.shape[1]))
    while True:
        weights = np.zeros(1 + features.shape[1])
        weights[[0, *(1 + place for place in kept)]] = _fitted(features[:, kept], truth)
        negative = [place for place in kept if place % FEATURES == 0 and weights[1 + place] < 0]
        if not negative:
            return weights
        kept = [place for place in kept if place not in negative]


def _fitted(features: Floats, truth: NDArray[np.bool_]) -> Floats:
    """Ridge-penalised maximum likelihood, (1 + F). Source: Hastie, Tibshirani & Friedman 2009, section 4.4.1.

    By scipy, loaded here alone, since a search fits nothing; scikit-learn takes three times its memory to load.
    """
    from scipy.optimize import minimize

    centre, scale = features.mean(0), np.maximum(features.std(0), 1e-9)
    design = np.concatenate([np.ones((len(features), 1)), (features - centre) / scale], axis=1)
    ridge = np.array([BIAS_RIDGE, *np.full(features.shape[1], RIDGE)])

    def cost(weights: Floats) -> tuple[float, Floats]:
        logit = design @ weights
        loss = np.logaddexp(0, logit).sum() - logit[truth].sum() + ridge @ weights**2 / 2
        return float(loss), design.T @ (logistic(logit) - truth) + ridge * weights

    def curvature(weights: Floats) -> Floats:
        expected = logistic(design @ weights)
        return np.asarray((design * (expected * (1 - expected))[:, None]).T @ design + np.diag(ridge))

    start, options = np.zeros(design.shape[1]), {"gtol": GRADIENT}
    weights = minimize(cost, start, jac=True, hess=curvature, method="trust-exact", options=options).x
    slopes = weights[1:] / scale
    return np.concatenate([[weights[0] - slopes @ centre], slopes])


def _rounded(weights: Floats) -> tuple[float, ...]:
    return tuple(float(f"{weight:.9g}") for weight in weights)


def logistic(logit: Floats) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(logit / 2)), dtype=np.float64)
