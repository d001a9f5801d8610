"""Does a pair scorer put what a dual encoder found into a better order? Measured both ways on a split.

Shapes: N pictures, M captions, Q queries, k items re-ordered, D embedding, W side of a pair scorer.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from crossmodal.errors import InputError
from crossmodal.evaluation.metrics import RECALLS
from crossmodal.evaluation.retrieval import Embedded, ScoreReport

Floats = NDArray[np.float32]
ORDERS = ("by cosine", "by probability", "by both")


class JudgesSides(Protocol):
    """What is asked of a pair scorer."""

    def judge(self, pictures: Floats, sentences: Floats) -> Floats:
        """Sides of both, pair by pair → probabilities (N,)."""


def reranking_report(
    embedded: Embedded, pictures: Floats, sentences: Floats, scorer: JudgesSides, depth: int, protocol: dict[str, Any]
) -> ScoreReport:
    """Recall@1, 5 and 10 both ways with the first `depth` hits in the order of their cosines, of the probabilities, and
    of the sum of both, each standardised within the query's hits.

    embedded: a split by the dual encoder. pictures (N, W), sentences (M, W'): the same split by the pair scorer.
    Raises InputError if depth < 1.
    """
    if depth < 1:
        raise InputError(f"depth must be at least 1, not {depth}")
    image, text = np.asarray(embedded.image), np.asarray(embedded.text)
    owner = np.asarray(embedded.owner)
    rows: list[dict[str, Any]] = []
    for direction, queries, gallery in (("text → image", text, image), ("image → text", image, text)):
        from_text = direction.startswith("text")
        found, cosines = _first(queries, gallery, depth)
        query = np.repeat(np.arange(len(queries)), found.shape[1])
        picture, caption = (found.ravel(), query) if from_text else (query, found.ravel())
        scores = scorer.judge(pictures[picture], sentences[caption]).reshape(found.shape)
        right = (owner[caption] == picture).reshape(found.shape)
        for name, order in zip(ORDERS, (cosines, scores, _standard(cosines) + _standard(scores)), strict=True):
            recalls = _recalls(order, right)
            rows.append({"direction": direction, "order": name, **recalls, "sum": round(sum(recalls.values()), 2)})
    sums = {name: sum(row["sum"] for row in rows if row["order"] == name) for name in ORDERS}
    gain, both = (sums[name] - sums[ORDERS[0]] for name in ORDERS[1:])
    verdict = "helps" if gain > 0 else "does not help"
    return ScoreReport(
        kind="reranking",
        score=gain,
        headline=f"re-ordering the first {depth} by probability {verdict}: rsum {gain:+.1f}; by both {both:+.1f}",
        values={f"rsum {name}": round(value, 2) for name, value in sums.items()},
        protocol=protocol
        | {
            "pictures": len(image),
            "captions": len(text),
            "depth": depth,
            "hits": "text → image: the caption's own picture; image → text: any of the picture's own captions",
        },
        curves={},
        rows=tuple(rows),
    )


def _first(queries: Floats, gallery: Floats, depth: int) -> tuple[NDArray[np.int64], Floats]:
    """The `depth` nearest of the gallery, best first, and their cosines: (Q, k) each."""
    similarity = (torch.as_tensor(queries) @ torch.as_tensor(gallery).T).numpy()  # as `evaluate` has it, to the bit
    found = np.argsort(-similarity, axis=1, kind="stable")[:, :depth]
    return found, np.take_along_axis(similarity, found, axis=1)


def _standard(scores: Floats) -> Floats:
    """Zero mean and unit deviation within each row (Q, k)."""
    spread = scores.std(1, keepdims=True)
    return np.asarray((scores - scores.mean(1, keepdims=True)) / np.maximum(spread, 1e-9), dtype=np.float32)


def _recalls(scores: Floats, right: NDArray[np.bool_]) -> dict[str, float]:
    """R@K in percent of hits in the order of scores; right, (Q, k): which hits are what was looked for.

    Ties count against the model; a query whose item is not among the hits is missed.
    """
    best = np.where(right, scores, -np.inf).max(1, keepdims=True)
    before = ((scores >= best) & ~right).sum(1)
    return {f"R@{k}": round(100 * float((right.any(1) & (before < k)).mean()), 2) for k in RECALLS}
