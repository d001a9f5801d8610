"""The losses' formulas once more, on one pair at a time: loops in numpy that share no line with training/losses.py.

s (B, M) cosines, p (B, M) bool, which of them match.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def log_share(scores: Matrix, place: int) -> float:
    return float(scores[place] - math.log(sum(math.exp(score) for score in scores)))


def looped_multi_positive(s: Matrix, p: Matrix, factor: float) -> float:
    sides = []
    for scores, truth in ((s, p), (s.T, p.T)):
        queries = []
        for row, own in zip(scores * factor, truth, strict=True):
            matches = np.flatnonzero(own)
            if len(matches):
                queries.append(-np.mean([log_share(row, match) for match in matches]))
        sides.append(np.mean(queries))
    return float(np.mean(sides))


def looped_siglip(s: Matrix, p: Matrix, factor: float, bias: float) -> float:
    total = 0.0
    for row, column in np.ndindex(s.shape):
        z = 1 if p[row, column] else -1
        total -= math.log(1 / (1 + math.exp(z * (-factor * s[row, column] - bias))))  # algorithm 1 of the paper
    return total / len(s)


def looped_triplet(s: Matrix, p: Matrix, margin: float, hardest: bool) -> float:
    total = 0.0
    for scores, truth in ((s, p), (s.T, p.T)):
        for row, own in zip(scores, truth, strict=True):
            costs = [[max(0.0, margin - match + wrong) for wrong in row[~own]] for match in row[own]]
            if costs and costs[0]:
                total += sum(max(cost) if hardest else sum(cost) for cost in costs) / len(costs)
    return total / len(s)


def looped_contrastive(s: Matrix, p: Matrix, margin: float) -> float:
    true = [(1 - cosine) ** 2 for cosine in s[p]]
    false = [max(0.0, margin - (1 - cosine)) ** 2 for cosine in s[~p]]
    return (sum(true) / len(true) + sum(false) / len(false)) / 2


def looped_arcface(s: Matrix, p: Matrix, margin: float, scale: float) -> float:
    """ArcFaceLoss of PyTorch Metric Learning: the angle by arccos, plus the margin, back by cos."""
    costs = []
    for row, own in zip(s, p, strict=True):
        place = int(np.flatnonzero(own)[0])
        turned = row.copy()
        turned[place] = math.cos(math.acos(row[place]) + math.radians(margin))
        costs.append(-log_share(scale * turned, place))
    return float(np.mean(costs))
