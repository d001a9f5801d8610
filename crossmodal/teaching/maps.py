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
from torch import Tensor, nn

from crossmodal.errors import TrainingError
from crossmodal.index import Vectors
from crossmodal.losses import multi_positive_clip
from crossmodal.phases import learning_rate_factor
from crossmodal.teaching.lesson import Lesson, Marked, Progress, Rows

__all__ = ["Maps", "learn", "loss_on"]

STEPS, BATCH, EVERY, PATIENCE = 400, 256, 16, 5
RATE, DECAY, WARMUP = 3e-4, 0.02, 0.05
SCALE = 20.0  # of the logits at first
SCALES = (5.0, 10.0, 20.0, 35.0, 60.0)  # tried where maps are compared that were not trained with one
MARKED_WEIGHT, MARKED_QUERIES = 0.5, 16  # of what was marked, beside the captions; queries drawn a step


@dataclass(frozen=True)
class Maps:
    """image, text: (D, D), applied to the vectors of each tower."""

    image: NDArray[np.float32]
    text: NDArray[np.float32]

    @classmethod
    def identity(cls, dimension: int) -> Maps:
        """Heads as they are."""
        return cls(np.eye(dimension, dtype=np.float32), np.eye(dimension, dtype=np.float32))

    def mixed(self, alpha: float) -> Maps:
        """(1 - alpha) · identity + alpha · map: WiSE-FT on the head weights."""
        same = np.eye(len(self.image), dtype=np.float32)
        return Maps(same + alpha * (self.image - same), same + alpha * (self.text - same))

    def images(self, vectors: Vectors) -> Vectors:
        """Pictures' vectors (N, D) as the new head gives them."""
        return _mapped(vectors, self.image)

    def texts(self, vectors: Vectors) -> Vectors:
        """Texts' vectors (M, D) as the new head gives them."""
        return _mapped(vectors, self.text)


def _mapped(vectors: Vectors, by: NDArray[np.float32]) -> Vectors:
    moved = np.asarray(vectors, dtype=np.float32) @ by.T
    return np.asarray(moved / np.linalg.norm(moved, axis=1, keepdims=True), dtype=np.float32)


class _Learner(nn.Module):
    """Both maps as the identity and a difference from it, so that weight decay draws them back to the identity."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.image = nn.Parameter(torch.zeros(dimension, dimension))
        self.text = nn.Parameter(torch.zeros(dimension, dimension))
        self.scale = nn.Parameter(torch.tensor(SCALE).log())

    def images(self, vectors: Vectors) -> Tensor:
        """(B, D) → unit vectors."""
        given = torch.from_numpy(vectors)
        return F.normalize(given + given @ self.image.T, dim=-1)

    def texts(self, vectors: Vectors) -> Tensor:
        """(B, D) → unit vectors."""
        given = torch.from_numpy(vectors)
        return F.normalize(given + given @ self.text.T, dim=-1)

    def maps(self) -> Maps:
        """As they stand."""
        same = torch.eye(len(self.image))
        return Maps((same + self.image.detach()).numpy(), (same + self.text.detach()).numpy())


def learn(lesson: Lesson, seed: int, progress: Progress) -> tuple[Maps, list[dict[str, Any]]]:
    """Train both maps on the training pictures; the best by the loss on the validation pictures, and the history.

    A batch holds pictures with one text each, a caption or a query they were liked for; equal texts and pictures stored
    twice are each other's matches. Of marked queries, liked pictures are drawn above disliked ones. The same seed gives
    the same bits on one machine. Raises TrainingError if the loss is not finite.
    """
    torch.manual_seed(seed)
    draw = np.random.default_rng(seed)
    learner = _Learner(lesson.images.shape[1])
    groups = [
        {"params": [learner.image, learner.text], "weight_decay": DECAY},
        {"params": [learner.scale], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE)
    own, hard = _texts_of(lesson), [query for query in lesson.marked if len(query.disliked)]
    judge = _Judge(lesson, lesson.validation)
    best, history, stale = (judge.loss(learner.maps(), [SCALE]), learner.maps()), [], 0
    batches = _batches(lesson.train, draw)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = RATE * learning_rate_factor(step, STEPS, WARMUP)
        optimizer.zero_grad()
        loss = _batch_loss(learner, lesson, next(batches), own, draw)
        if hard:
            loss = loss + MARKED_WEIGHT * _hard_loss(learner, lesson, hard, draw)
        if not bool(loss.isfinite()):
            raise TrainingError(f"the loss is {float(loss.detach())} at step {step}: the index's vectors are unusual")
        loss.backward()
        optimizer.step()
        progress("Learning", step + 1, STEPS)
        if (step + 1) % EVERY == 0:
            value = judge.loss(learner.maps(), [float(learner.scale.detach().exp())])
            history.append({"step": step + 1, "loss": float(loss.detach()), "validation loss": value})
            best, stale = ((value, learner.maps()), 0) if value < best[0] else (best, stale + 1)
            if stale >= PATIENCE:
                break
    return best[1], history


def loss_on(lesson: Lesson, rows: Rows, maps: Sequence[Maps]) -> list[float]:
    """The contrastive loss of all captions of some pictures under each of the maps, at the scale that suits it best."""
    judge = _Judge(lesson, rows)
    return [judge.loss(each, SCALES) for each in maps]


class _Judge:
    """The loss on a part, all of its captions at once."""

    def __init__(self, lesson: Lesson, rows: Rows) -> None:
        texts = np.concatenate([lesson.owned[row] for row in rows])
        owner = np.repeat(np.arange(len(rows)), [len(lesson.owned[row]) for row in rows])
        self.images, self.texts = np.asarray(lesson.images[rows]), lesson.texts(texts)
        said, groups = lesson.said[texts], lesson.groups[rows]
        numbers = np.unique(said, return_inverse=True)[1]
        says = np.zeros((len(rows), int(numbers.max()) + 1), dtype=bool)
        says[owner, numbers] = True
        positive = says[:, numbers] | (groups[:, None] == groups[owner][None])
        self.positive = torch.from_numpy(positive)

    @torch.no_grad()
    def loss(self, maps: Maps, scales: Sequence[float]) -> float:
        """Of the best scale."""
        cosines = torch.from_numpy(maps.images(self.images) @ maps.texts(self.texts).T)
        return min(float(multi_positive_clip(cosines, self.positive, torch.tensor(scale).log())) for scale in scales)


def _texts_of(lesson: Lesson) -> dict[int, Rows]:
    """Rows of all texts of each training picture: its captions, and the queries it was liked for."""
    liked: dict[int, list[int]] = {}
    for query in lesson.marked:
        for row in query.liked.tolist():
            liked.setdefault(row, []).append(query.text)
    return {
        row: np.concatenate([lesson.owned[row], np.array(liked.get(row, []), dtype=np.int64)])
        for row in lesson.train.tolist()
    }


def _batches(rows: Rows, draw: np.random.Generator) -> Iterator[Rows]:
    """Batches without end, every row once before any comes again."""
    size = min(BATCH, len(rows))
    while True:
        order = draw.permutation(rows)
        yield from (order[start : start + size] for start in range(0, len(order) - size + 1, size))


def _batch_loss(
    learner: _Learner, lesson: Lesson, rows: Rows, own: dict[int, Rows], draw: np.random.Generator
) -> Tensor:
    chances = draw.random(len(rows))
    texts = np.array(
        [own[row][int(chance * len(own[row]))] for row, chance in zip(rows.tolist(), chances, strict=True)]
    )
    said, groups = lesson.said[texts], lesson.groups[rows]
    positive = (said[:, None] == said[None]) | (groups[:, None] == groups[None])
    cosines = learner.images(np.asarray(lesson.images[rows])) @ learner.texts(lesson.texts(texts)).T
    return multi_positive_clip(cosines, torch.from_numpy(positive), learner.scale)


def _hard_loss(learner: _Learner, lesson: Lesson, marked: Sequence[Marked], draw: np.random.Generator) -> Tensor:
    """How far liked pictures, or a disliked one's own captions, are from standing above what was disliked."""
    chosen = [marked[place] for place in draw.permutation(len(marked))[:MARKED_QUERIES]]
    queries = learner.texts(lesson.texts(np.array([query.text for query in chosen])))
    losses = []
    for query, vector in zip(chosen, queries, strict=True):
        disliked = learner.images(np.asarray(lesson.images[query.disliked]))
        wrong = disliked @ vector
        if len(query.liked):
            right = learner.images(np.asarray(lesson.images[query.liked])) @ vector
            losses.append(F.softplus(learner.scale.exp() * (wrong[None] - right[:, None])).mean())
        captioned = [row for row in query.disliked.tolist() if len(lesson.owned[row])]
        rows = np.array([draw.choice(lesson.owned[row]) for row in captioned], dtype=np.int64)
        true = (learner.texts(lesson.texts(rows)) * disliked).sum(1)
        losses.append(F.softplus(learner.scale.exp() * (wrong - true)).mean())
    return torch.stack(losses).mean()
