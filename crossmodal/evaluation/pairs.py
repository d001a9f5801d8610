"""How well a scorer tells true pairs of a picture and a sentence from false ones.

Shapes: N pictures, M captions, P pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from crossmodal.errors import InputError
from crossmodal.evaluation.metrics import area_under_curve, balanced_accuracy
from crossmodal.evaluation.retrieval import ScoreReport

Score = Callable[[Tensor, Tensor], Tensor]


def pair_report(
    score: Score, owner: Tensor, captions: Sequence[Sequence[int]], protocol: dict[str, Any], seed: int = 0
) -> ScoreReport:
    """Every caption once with its own picture and once with another one's, at equal numbers.

    score: rows of pictures (P,) and of captions (P,) → probabilities (P,). owner (M,): each caption's picture.
    captions: token ids, by which hard false captions are found.
    Raises InputError for fewer than two pictures.
    """
    rows = torch.arange(len(owner))
    true = score(owner, rows)
    values: dict[str, float] = {}
    for name, others in (("", uniform_false(owner, seed)), ("hard ", hard_false(owner, captions))):
        false = score(owner, others)
        values[f"{name}balanced accuracy (%)"] = 100 * balanced_accuracy(true, false)
        values[f"{name}area under the curve (%)"] = 100 * area_under_curve(true, false)
        values[f"{name}mean probability of false pairs"] = float(false.double().mean())
    values["mean probability of true pairs"] = float(true.double().mean())
    accuracy, hard = values["balanced accuracy (%)"], values["hard balanced accuracy (%)"]
    return ScoreReport(
        kind="pairs",
        score=accuracy,
        headline=f"balanced accuracy {accuracy:.2f} %, on hard false captions {hard:.2f} %",
        values={name: round(value, 4) for name, value in values.items()},
        protocol=protocol
        | {
            "pictures": int(owner.max()) + 1,
            "pairs": f"{len(owner)} true and {len(owner)} false",
            "false captions": f"drawn uniformly from the other pictures of the split (seed {seed})",
            "hard false captions": "the other pictures' caption with the most words in common (TF-IDF cosine)",
            "threshold": "probability 0.5, fixed beforehand",
        },
        curves={
            "balanced accuracy": accuracy,
            "hard balanced accuracy": hard,
            "area under the curve": values["area under the curve (%)"],
        },
    )


def uniform_false(owner: Tensor, seed: int = 0) -> Tensor:
    """For each caption, the row of a caption of another picture drawn uniformly: (M,).

    owner: (M,) in ascending order. Raises InputError for fewer than two pictures.
    """
    counts = torch.bincount(owner)
    if (counts > 0).sum() < 2:
        raise InputError("false pairs need captions of at least two pictures")
    first = counts.cumsum(0) - counts
    generator = torch.Generator().manual_seed(seed)
    others = len(owner) - counts[owner]  # captions that are not the picture's own
    drawn = (torch.rand(len(owner), generator=generator, dtype=torch.float64) * others).long()
    return torch.where(drawn >= first[owner], drawn + counts[owner], drawn)


def hard_false(owner: Tensor, captions: Sequence[Sequence[int]], block: int = 512) -> Tensor:
    """For each caption, the row of the caption of another picture with the most words in common: (M,).

    Words are weighted by inverse document frequency and compared by cosine; of equal ones the first is taken.
    """
    texts = [sorted(set(ids)) for ids in captions]
    places = torch.tensor([[row, word] for row, words in enumerate(texts) for word in words]).T  # (2, words of all)
    frequency = torch.bincount(places[1])
    weights = (len(texts) / frequency).log()[places[1]]
    lengths = torch.zeros(len(texts)).index_add_(0, places[0], weights.square()).sqrt().clamp(min=1e-9)
    shape = (len(texts), len(frequency))
    vectors = torch.sparse_coo_tensor(places, weights / lengths[places[0]], shape, check_invariants=True).coalesce()
    found = []
    for start in range(0, len(captions), block):
        asked = vectors.index_select(0, torch.arange(start, min(start + block, len(captions)))).to_dense()
        similarity = torch.sparse.mm(vectors, asked.T).T  # (b, M)
        own = owner[start : start + block, None] == owner[None, :]
        found.append(similarity.masked_fill(own, -1.0).argmax(1))
    return torch.cat(found)
