"""Recall on the part that was held out, and the old skill, under any maps.

Shapes: N pictures, M captions, U different texts, D embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossmodal.errors import InputError
from crossmodal.evaluation.metrics import RECALLS, bootstrap_intervals, retrieval_metrics
from crossmodal.evaluation.retrieval import Report, retrieval_report
from crossmodal.finetune.maps import Maps
from crossmodal.finetune.split import Progress, Rows, SplitVectors
from crossmodal.index import Index, Vectors
from crossmodal.inference.base import Encoder
from crossmodal.scenes.scene import describe_scene, draw_scene, make_scenes

__all__ = ["Bank", "Ranks", "gain_of", "gallery_bank", "ranks_on", "report_of", "scene_bank"]

SAMPLES = 1000
KEPT = 500  # pictures of a gallery that stand for it
QUERIES_AT_ONCE = (
    1024  # whose cosines are in memory together: 8 MB with the 2,000 pictures held out, 40 with their captions
)


@dataclass(frozen=True)
class Ranks:
    """Where N pictures and M captions find each other; 0 is best.

    pictures: (N,) of each picture the rank of its best own text.
    captions: (M,) of each caption the rank of its picture.
    owner: (M,) the picture of each caption.
    """

    pictures: Tensor
    captions: Tensor
    owner: Tensor

    @property
    def metrics(self) -> dict[str, float]:
        """Recalls in percent, median ranks and rsum by flat names."""
        return retrieval_metrics(self.pictures, self.captions)


def ranks_on(split: SplitVectors, rows: Rows, maps: Maps) -> Ranks:
    """Exact ranks both ways of some pictures with their captions; pictures with one and the same caption all own it."""
    texts = np.concatenate([split.owned[row] for row in rows])
    owner = np.repeat(np.arange(len(rows)), [len(split.owned[row]) for row in rows])
    _, first, number = np.unique(split.said[texts], return_index=True, return_inverse=True)
    image = maps.images(np.asarray(split.images[rows]))
    text = maps.texts(split.texts(texts[first]))  # (U, D)
    own_texts = np.split(number, np.flatnonzero(np.diff(owner)) + 1)
    order = np.argsort(number, kind="stable")
    own_pictures = np.split(owner[order], np.flatnonzero(np.diff(number[order])) + 1)
    pictures = _ranks(image, text, own_texts)
    captions = _ranks(text, image, own_pictures)[number]
    return Ranks(torch.from_numpy(pictures), torch.from_numpy(captions), torch.from_numpy(owner))


def _ranks(queries: Vectors, gallery: Vectors, own: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """How many of the others score at least as high as the best of each query's own."""
    ranks = np.empty(len(queries), dtype=np.int64)
    for start in range(0, len(queries), QUERIES_AT_ONCE):
        scores = (torch.from_numpy(queries[start : start + QUERIES_AT_ONCE]) @ torch.from_numpy(gallery).T).numpy()
        for place, row in enumerate(scores, start):
            mine = row[own[place]]
            ranks[place] = (row >= mine.max()).sum() - (mine >= mine.max()).sum()
    return ranks


def report_of(ranks: Ranks, protocol: dict[str, Any]) -> Report:
    """The report of some ranks, with 95 % bootstrap intervals over pictures."""
    values = {name: round(value, 2) for name, value in ranks.metrics.items()}
    facts = {
        "pictures": len(ranks.pictures),
        "captions": len(ranks.captions),
        "image → text": "a hit is any of the picture's own captions among the k first of all different captions",
        "text → image": "each caption is one query; a hit is any picture with that very caption among the k first",
        "ties": "count against the model",
        "intervals": f"95 % bootstrap over pictures, {SAMPLES} samples",
    }

    def side(name: str) -> dict[str, float]:
        return {key.split()[1]: value for key, value in values.items() if key.startswith(name)}

    return Report(
        rsum=values["rsum"],
        image_to_text=side("image_to_text"),
        text_to_image=side("text_to_image"),
        intervals=bootstrap_intervals(ranks.pictures, ranks.captions, ranks.owner, SAMPLES),
        protocol=protocol | facts,
    )


def gain_of(before: Ranks, after: Ranks, seed: int = 0) -> tuple[float, float, float]:
    """What the mean of the six recalls gained, in points, with its 95 % bootstrap interval over pictures."""
    count = len(before.pictures)
    draw = np.random.default_rng(seed)
    weights = draw.multinomial(count, np.full(count, 1 / count), SAMPLES)
    weights = np.concatenate([np.ones((1, count), dtype=np.int64), weights])  # the sample itself comes first
    owned = np.bincount(before.owner.numpy(), minlength=count)
    total = np.zeros(SAMPLES + 1)
    for k in RECALLS:
        pictures = (after.pictures < k).numpy().astype(np.float64) - (before.pictures < k).numpy()
        captions = (after.captions < k).numpy().astype(np.float64) - (before.captions < k).numpy()
        by_picture = np.bincount(before.owner.numpy(), weights=captions, minlength=count)
        total += 100 * (weights @ pictures / count + weights @ by_picture / np.maximum(weights @ owned, 1))
    total /= 2 * len(RECALLS)
    low, high = np.percentile(total[1:], (2.5, 97.5))
    return round(float(total[0]), 2), round(float(low), 2), round(float(high), 2)


@dataclass(frozen=True)
class Bank:
    """Something a checkpoint could do before, held in vectors that are not learned from.

    name: of the skill.
    images: (N, D), unit length.
    texts: (M, D), unit length.
    owner: (M,) the picture of each text.
    """

    name: str
    images: Vectors
    texts: Vectors
    owner: Tensor

    def report(self, maps: Maps, samples: int = 0) -> Report:
        """Recall both ways under maps."""
        images, texts = (torch.from_numpy(side) for side in (maps.images(self.images), maps.texts(self.texts)))
        return retrieval_report(images, texts, self.owner, {"split": self.name}, samples)

    def skill(self, maps: Maps) -> float:
        """The mean of the six recalls, in percent."""
        return self.report(maps).rsum / 6


def scene_bank(encoder: Encoder, count: int, progress: Progress) -> Bank:
    """Draw and encode generated scenes of unseen combinations, one caption each: always the same ones."""
    scenes = make_scenes(count, seed=0, split="test")
    vectors = []
    for start in range(0, count, 32):
        progress("Measuring the old skill", start, count)
        vectors.append(encoder.encode_images([draw_scene(scene) for scene in scenes[start : start + 32]]))
    captions = [describe_scene(scene)[number % 5] for number, scene in enumerate(scenes)]
    texts = encoder.encode_texts(captions)
    return Bank("generated scenes", np.concatenate(vectors), texts, torch.arange(count))


def gallery_bank(index: Index, number: int) -> Bank:
    """The captioned pictures of another gallery, at most 500, evenly spread. number: tells galleries of one name apart.

    Raises InputError if there are none.
    """
    first = index.caption_rows
    captioned = np.flatnonzero(np.diff(first))
    if not len(captioned):
        raise InputError(f"{index.path} has no captions to measure the old skill by: leave it out")
    rows = captioned[np.arange(min(KEPT, len(captioned))) * len(captioned) // min(KEPT, len(captioned))]
    texts = np.concatenate([np.arange(first[row], first[row + 1]) for row in rows])
    owner = np.repeat(np.arange(len(rows)), np.diff(first)[rows])
    images, captions = np.asarray(index.image_vectors[rows]), np.asarray(index.caption_vectors[texts])
    return Bank(f"gallery {number}, {index.path.resolve().name}", images, captions, torch.from_numpy(owner))
