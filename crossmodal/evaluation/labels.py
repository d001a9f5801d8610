"""How well vectors of labelled pictures find the words for them, and one another.

Shapes: N pictures, V words, D embedding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from crossmodal.datasets.sources import Words
from crossmodal.evaluation.metrics import precision_at_k
from crossmodal.evaluation.retrieval import ScoreReport

COLLAPSED_GAP = 0.1
NEIGHBOURS = 10


def label_report(image: Tensor, labels: Tensor, text: Tensor, words: Words, protocol: dict[str, Any]) -> ScoreReport:
    """Pictures against every written form: true and false pairs side by side, withheld forms apart.

    image (N, D) and text (V, D): unit vectors. labels: (N,) int64.
    """
    owner, withheld = torch.from_numpy(words.labels), torch.from_numpy(words.withheld)
    similarity = image @ text.T  # (N, V)
    true = labels[:, None] == owner[None, :]
    values: dict[str, float] = {}
    for name, chosen in (("seen", ~withheld), ("withheld", withheld)):
        if chosen.any():
            part, matching = similarity[:, chosen], true[:, chosen]
            nearest = owner[chosen][part.argmax(1)]
            values[f"retrieval, {name} forms (%)"] = 100 * float((nearest == labels).double().mean())
            values[f"true cosine, {name} forms"] = float(part[matching].double().mean())
            values[f"false cosine, {name} forms"] = float(part[~matching].double().mean())
    both = true.any(0) & ~true.all(0)  # forms that some pictures show and others do not
    rows = [
        _form(similarity[:, column], true[:, column], words, column) for column in both.nonzero().flatten().tolist()
    ]
    for name, kind in (("seen", False), ("withheld", True)):
        chosen_rows = [row for row in rows if row["withheld"] == kind]
        if chosen_rows:
            values[f"least true cosine of a {name} form"] = min(row["true cosine"] for row in chosen_rows)
            values[f"greatest false cosine of a {name} form"] = max(row["false cosine"] for row in chosen_rows)
    retrieval = values["retrieval, seen forms (%)"]
    return ScoreReport(
        kind="labels",
        score=retrieval,
        headline=f"picture → written form {retrieval:.2f} %; mean cosine of true pairs "
        f"{values['true cosine, seen forms']:.3f}, of false pairs {values['false cosine, seen forms']:.3f}",
        values={name: round(value, 4) for name, value in values.items()},
        protocol=protocol
        | {
            "pictures": len(image),
            "forms": f"{int((~withheld).sum())} seen, {int(withheld.sum())} withheld",
            "retrieval": "the form nearest to a picture is of its digit; seen and withheld forms are two galleries",
            "cosines": "means over every picture with every form: true where the form is of its digit, else false",
        },
        curves={
            "retrieval": retrieval,
            "true cosine": 100 * values["true cosine, seen forms"],
            "false cosine": 100 * values["false cosine, seen forms"],
        },
        rows=tuple(rows),
        warnings=_collapse(values["true cosine, seen forms"], values["false cosine, seen forms"]),
    )


def _collapse(true: float, false: float) -> tuple[str, ...]:
    """A warning where true and false pairs have nearly the same mean cosine."""
    if true - false >= COLLAPSED_GAP:
        return ()
    return (
        f"the embeddings collapse: false pairs are as near as true ones (cosines {true - false:.3f} apart); a high "
        "cosine of true pairs alone proves nothing",
    )


def _form(similarity: Tensor, true: Tensor, words: Words, column: int) -> dict[str, Any]:
    """One written form against all pictures."""
    return {
        "form": words.texts[column],
        "label": int(words.labels[column]),
        "withheld": bool(words.withheld[column]),
        "true cosine": round(float(similarity[true].double().mean()), 4),
        "false cosine": round(float(similarity[~true].double().mean()), 4),
        "found first (%)": round(100 * _r_precision(similarity, true), 2),
    }


def _r_precision(similarity: Tensor, true: Tensor) -> float:
    """Share of right pictures among as many first ones as there are right ones."""
    count = int(true.sum())
    return float(true[similarity.topk(count).indices].double().mean()) if count else float("nan")


def class_report(
    image: Tensor,
    labels: Tensor,
    text: Tensor,
    words: Words,
    protocol: dict[str, Any],
    drawn: tuple[Tensor, float] | None = None,
) -> ScoreReport:
    """Pictures against class centres, without any margin, and against one another.

    image (N, D) and text (V, D): unit vectors, one centre a class. drawn: vectors (N, D) of the pictures' own
    reconstructions, and their mean squared error. The score is the accuracy, and with reconstructions their cosine less
    their error as well.
    """
    nearest = torch.from_numpy(words.labels)[(image @ text.T).argmax(1)]
    accuracy = 100 * float((nearest == labels).double().mean())
    precision = 100 * precision_at_k(image, labels, NEIGHBOURS)
    own, other = _mean_cosines(image, labels)
    values = {
        "accuracy (%)": accuracy,
        f"precision@{NEIGHBOURS} (%)": precision,
        "cosine within a class": own,
        "cosine across classes": other,
    }
    curves = {"accuracy": accuracy, f"precision@{NEIGHBOURS}": precision}
    headline = f"accuracy {accuracy:.2f} %, precision@{NEIGHBOURS} {precision:.2f} %"
    score = accuracy
    if drawn is not None:
        cosine = float((image * drawn[0]).sum(1).double().mean())
        values |= {"reconstruction cosine": cosine, "reconstruction error": drawn[1]}
        curves["reconstruction cosine"] = 100 * cosine
        headline += f", reconstruction cosine {cosine:.4f}"
        score += 100 * (cosine - drawn[1])
    return ScoreReport(
        kind="classes",
        score=score,
        headline=headline,
        values={name: round(value, 4) for name, value in values.items()},
        protocol=protocol
        | {
            "pictures": len(image),
            "classes": len(words.texts),
            "accuracy": "the class centre nearest by cosine, no margin",
            "precision": f"share of a picture's own class among its {NEIGHBOURS} nearest other pictures of this split",
        },
        curves=curves,
    )


def _mean_cosines(image: Tensor, labels: Tensor) -> tuple[float, float]:
    """Mean cosine of two different pictures of one class, and of two of different classes."""
    sums = torch.zeros(int(labels.max()) + 1, image.shape[1], dtype=torch.float64).index_add_(0, labels, image.double())
    counts = torch.bincount(labels).double()
    within = float((sums.square().sum(1) - counts).sum())
    pairs = float((counts * (counts - 1)).sum())
    everything = float(sums.sum(0).square().sum())
    across = float(counts.sum() ** 2 - counts.square().sum())
    return within / max(pairs, 1.0), (everything - float(sums.square().sum())) / max(across, 1.0)
