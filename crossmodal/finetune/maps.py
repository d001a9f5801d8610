"""New heads without a picture being encoded again: a linear map on the vectors of each tower.

A head is one linear layer, so a vector is v = (W f + b) / |W f + b|. A map A turns it into A v / |A v|, which is just
what the head with the weights A W and A b gives: the length in between does not matter. So maps that start at the
identity and are learned on an index's own vectors are new heads, and a mixture of old and new head weights (WiSE-FT,
Wortsman et al. 2022, equation 1) is the same mixture of the map and the identity.

Shapes: B batch, N pictures, M texts, D embedding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from crossmodal.errors import TrainingError
from crossmodal.finetune.split import Marked, Progress, Rows, SplitVectors
from crossmodal.index import Vectors
from crossmodal.training.losses import marked as marked_loss
from crossmodal.training.losses import multi_positive_clip
from crossmodal.training.phases import learning_rate_factor

__all__ = ["Learned", "Maps", "learn", "loss_on"]

STEPS, BATCH, EVERY, PATIENCE = 256, 512, 16, 5
RATE, DECAY, WARMUP = 1e-3, 0.02, 0.05
RANK, SAMPLE = 512, 8000  # directions that are learned in; pictures they are found from
SCALE = 20.0  # of the logits at first
SCALES = (5.0, 10.0, 20.0, 35.0, 60.0)  # tried where maps are compared that were not trained with one
MARKED_WEIGHT, MARKED_QUERIES = 0.5, 16  # of what was marked, beside the captions; queries drawn a step


@dataclass(frozen=True)
class Maps:
    """What is applied to vectors, one map a tower.

    image: (D, D), for vectors of pictures.
    text: (D, D), for vectors of sentences.
    """

    image: NDArray[np.float32]
    text: NDArray[np.float32]

    @classmethod
    def identity(cls, dimension: int) -> Maps:
        """Heads as they are."""
        return cls(np.eye(dimension, dtype=np.float32), np.eye(dimension, dtype=np.float32))

    def images(self, vectors: Vectors) -> Vectors:
        """Pictures' vectors (N, D) as the new head gives them."""
        return _mapped(vectors, self.image)

    def texts(self, vectors: Vectors) -> Vectors:
        """Texts' vectors (M, D) as the new head gives them."""
        return _mapped(vectors, self.text)


def _mapped(vectors: Vectors, by: NDArray[np.float32]) -> Vectors:
    moved = torch.from_numpy(np.array(vectors, dtype=np.float32)) @ torch.from_numpy(by).T
    return np.asarray(F.normalize(moved, dim=-1).numpy(), dtype=np.float32)


@dataclass(frozen=True)
class Learned:
    """What was learned, within the directions that the vectors vary in: map = identity + basis · change · basisᵀ.

    basis: (D, R), orthonormal.
    image: (R, R), the change of the image tower's map.
    text: (R, R), the change of the text tower's map.
    """

    basis: Tensor
    image: Tensor
    text: Tensor

    def maps(self, alpha: float = 1.0) -> Maps:
        """(1 - alpha) · identity + alpha · map: WiSE-FT on the head weights."""
        same = torch.eye(len(self.basis))
        image, text = (same + alpha * self.basis @ change @ self.basis.T for change in (self.image, self.text))
        return Maps(image.numpy(), text.numpy())


class _Side:
    """Pictures against texts: of each its coordinates in the basis, and of each pair what lies outside of it.

    The basis is orthonormal, so x · y = (x - its part in the basis) · (the same of y) + coordinates · coordinates, and
    a change of coordinates leaves the first summand alone.
    """

    def __init__(self, images: Vectors, texts: Vectors, basis: Tensor) -> None:
        image, text = torch.from_numpy(images), torch.from_numpy(texts)
        self.image, self.text = image @ basis, text @ basis  # (B, R)
        self.outside = image @ text.T - self.image @ self.text.T  # (B, M)
        self.left = [(1 - part.square().sum(1)).clamp(min=0) for part in (self.image, self.text)]

    def cosines(self, image: Tensor, text: Tensor) -> Tensor:
        """(B, M) under changes (R, R)."""
        moved = [part + part @ change.T for part, change in ((self.image, image), (self.text, text))]
        lengths = [(left + part.square().sum(1)).sqrt() for left, part in zip(self.left, moved, strict=True)]
        return (self.outside + moved[0] @ moved[1].T) / (lengths[0][:, None] * lengths[1][None])


def basis_of(split: SplitVectors, draw: np.random.Generator) -> Tensor:
    """The directions in which training pictures and their texts vary most, (D, R), orthonormal."""
    rows = np.sort(draw.permutation(split.train)[:SAMPLE])
    texts = np.array([draw.choice(split.owned[row]) for row in rows.tolist()])
    vectors = np.concatenate([np.asarray(split.images[rows]), split.texts(texts)]).astype(np.float64)
    directions = np.linalg.eigh(vectors.T @ vectors)[1][:, ::-1][:, :RANK]
    return torch.from_numpy(directions.astype(np.float32).copy())


def learn(split: SplitVectors, seed: int, progress: Progress) -> tuple[Learned, list[dict[str, Any]]]:
    """Train both maps on the training pictures; the best by the loss on the validation pictures, and the history.

    A batch holds pictures with one text each, a caption or a query they were liked for; equal texts and pictures stored
    twice are each other's matches. Of marked queries, liked pictures are drawn above disliked ones. The same seed gives
    the same bits on one machine. Raises TrainingError if the loss is not finite.
    """
    draw = np.random.default_rng(seed)
    basis = basis_of(split, draw)
    image, text = (torch.zeros(basis.shape[1], basis.shape[1], requires_grad=True) for _ in range(2))
    scale = torch.tensor(SCALE).log().requires_grad_()
    groups = [{"params": [image, text], "weight_decay": DECAY}, {"params": [scale], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=RATE)
    own, hard = _texts_of(split), [query for query in split.marked if len(query.disliked)]
    judge = _Judge(split, split.validation, basis)
    learned = Learned(basis, image.detach().clone(), text.detach().clone())
    best, history, stale = (judge.loss(learned, [SCALE]), learned), [], 0
    batches = _batches(split.train, draw)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = RATE * learning_rate_factor(step, STEPS, WARMUP)
        optimizer.zero_grad()
        side, positive = _batch(split, next(batches), own, basis, draw)
        loss = multi_positive_clip(side.cosines(image, text), positive, scale)
        if hard:
            loss = loss + MARKED_WEIGHT * _hard_loss(split, hard, (basis, image, text, scale), draw)
        if not bool(loss.isfinite()):
            raise TrainingError(f"the loss is {float(loss.detach())} at step {step}: the index's vectors are unusual")
        loss.backward()
        optimizer.step()
        progress("Learning", step + 1, STEPS)
        if (step + 1) % EVERY == 0:
            learned = Learned(basis, image.detach().clone(), text.detach().clone())
            value = judge.loss(learned, [float(scale.detach().exp())])
            history.append({"step": step + 1, "loss": float(loss.detach()), "validation loss": value})
            best, stale = ((value, learned), 0) if value < best[0] else (best, stale + 1)
            if stale >= PATIENCE:
                break
    return best[1], history


def loss_on(split: SplitVectors, rows: Rows, learned: Learned, alphas: Sequence[float]) -> list[float]:
    """The contrastive loss of all captions of some pictures under each mixture, at the scale that suits it best."""
    judge = _Judge(split, rows, learned.basis)
    return [judge.loss(Learned(learned.basis, alpha * learned.image, alpha * learned.text), SCALES) for alpha in alphas]


class _Judge:
    """The loss on a part, all of its captions at once."""

    def __init__(self, split: SplitVectors, rows: Rows, basis: Tensor) -> None:
        texts = np.concatenate([split.owned[row] for row in rows])
        owner = np.repeat(np.arange(len(rows)), [len(split.owned[row]) for row in rows])
        self.side = _Side(np.asarray(split.images[rows]), split.texts(texts), basis)
        groups, numbers = split.groups[rows], np.unique(split.said[texts], return_inverse=True)[1]
        says = np.zeros((len(rows), int(numbers.max()) + 1), dtype=bool)
        says[owner, numbers] = True
        self.positive = torch.from_numpy(says[:, numbers] | (groups[:, None] == groups[owner][None]))

    @torch.no_grad()
    def loss(self, learned: Learned, scales: Sequence[float]) -> float:
        """Of the best scale."""
        cosines = self.side.cosines(learned.image, learned.text)
        return min(float(multi_positive_clip(cosines, self.positive, torch.tensor(scale).log())) for scale in scales)


def _texts_of(split: SplitVectors) -> dict[int, Rows]:
    """Rows of all texts of each training picture: its captions, and the queries it was liked for."""
    liked: dict[int, list[int]] = {}
    for query in split.marked:
        for row in query.liked.tolist():
            liked.setdefault(row, []).append(query.text)
    return {
        row: np.concatenate([split.owned[row], np.array(liked.get(row, []), dtype=np.int64)])
        for row in split.train.tolist()
    }


def _batches(rows: Rows, draw: np.random.Generator) -> Iterator[Rows]:
    """Batches without end, every row once before any comes again."""
    size = min(BATCH, len(rows))
    while True:
        order = draw.permutation(rows)
        yield from (order[start : start + size] for start in range(0, len(order) - size + 1, size))


def _batch(
    split: SplitVectors, rows: Rows, own: dict[int, Rows], basis: Tensor, draw: np.random.Generator
) -> tuple[_Side, Tensor]:
    """Pictures with one text each, and which match (B, B)."""
    chances = draw.random(len(rows))
    texts = np.array(
        [own[row][int(chance * len(own[row]))] for row, chance in zip(rows.tolist(), chances, strict=True)]
    )
    said, groups = split.said[texts], split.groups[rows]
    positive = (said[:, None] == said[None]) | (groups[:, None] == groups[None])
    return _Side(np.asarray(split.images[rows]), split.texts(texts), basis), torch.from_numpy(positive)


def _hard_loss(
    split: SplitVectors,
    marked: Sequence[Marked],
    weights: tuple[Tensor, Tensor, Tensor, Tensor],
    draw: np.random.Generator,
) -> Tensor:
    """How far a query's liked pictures, and a disliked picture's own captions, are from standing above the disliked.

    weights: basis, changes of both sides, logit scale.
    """
    basis, image, text, scale = weights
    losses = []
    for query in (marked[place] for place in draw.permutation(len(marked))[:MARKED_QUERIES]):
        captions = np.array([draw.choice(split.owned[row]) for row in query.disliked.tolist()], dtype=np.int64)
        pictures = np.concatenate([query.disliked, query.liked])
        texts = np.concatenate([[query.text], captions])
        side = _Side(np.asarray(split.images[pictures]), split.texts(texts), basis)
        cosines, count = side.cosines(image, text), len(captions)  # (disliked and liked, query and captions)
        losses.append(marked_loss(cosines[:count, 0], cosines[count:, 0], cosines[:count, 1:].diagonal(), scale))
    return torch.stack(losses).mean()
