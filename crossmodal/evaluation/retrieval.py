"""Anything that encodes, on a split → a report that carries its protocol. Training uses it every epoch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossmodal.datasets.records import Record
from crossmodal.errors import ImageError, InputError
from crossmodal.evaluation.metrics import (
    RECALLS,
    bootstrap_intervals,
    image_to_text_ranks,
    retrieval_metrics,
    text_to_image_ranks,
)
from crossmodal.images.decode import load_image

if TYPE_CHECKING:
    from PIL.Image import Image


class Encodes(Protocol):
    """What evaluation needs of a model: unit vectors, float32 (N, D)."""

    def preprocess(self, image: Image) -> NDArray[np.uint8]:
        """One picture → uint8 (3, S, S)."""

    def encode_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (B, 3, S, S) → (B, D)."""

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Sentences → (N, D)."""


@dataclass(frozen=True)
class Report:
    """Retrieval in both directions, with intervals and the protocol they hold for.

    rsum: sum of the six recalls, R@1, R@5 and R@10 both ways, in [0, 600].
    image_to_text: "R@1", "R@5" and "R@10" in percent, and "median_rank", from 1.
    text_to_image: as image_to_text.
    intervals: 95 % interval (low, high) of each recall, as "image_to_text R@1", and of "rsum".
    protocol: what was judged and how, as JSON values.
    """

    rsum: float
    image_to_text: dict[str, float]
    text_to_image: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    protocol: dict[str, Any]

    @property
    def score(self) -> float:
        """What decides the best epoch: rsum."""
        return self.rsum

    @property
    def entry(self) -> dict[str, Any]:
        """What a training's history keeps of it."""
        return {"rsum": self.rsum, "image_to_text": self.image_to_text, "text_to_image": self.text_to_image}

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            **self.entry,
            "intervals": {name: list(interval) for name, interval in self.intervals.items()},
            "protocol": self.protocol,
        }

    def __str__(self) -> str:
        lines = []
        for title, recalls in (("image → text", self.image_to_text), ("text → image", self.text_to_image)):
            key = title.replace(" → ", "_to_")
            shown = []
            for k in RECALLS:
                low, high = self.intervals.get(f"{key} R@{k}", (float("nan"), float("nan")))
                shown.append(f"R@{k} {recalls[f'R@{k}']:.1f} [{low:.1f}, {high:.1f}]")
            lines.append(f"{title}  {'  '.join(shown)}  median rank {recalls['median_rank']:g}")
        low, high = self.intervals.get("rsum", (float("nan"), float("nan")))
        lines.append(f"rsum {self.rsum:.1f} [{low:.1f}, {high:.1f}]")
        return "\n".join(lines)


@dataclass(frozen=True)
class ScoreReport:
    """What a recipe without captions is judged by: named numbers, and the protocol they hold for.

    kind: "labels", "classes" or "pairs".
    score: what decides the best epoch, higher is better.
    headline: the numbers that matter, in words.
    values: every number by name, shares in percent, cosines in [-1, 1].
    protocol: what was judged and how, as JSON values.
    curves: which of the values a training's curves show, in percent.
    rows: a table, one dict a row.
    warnings: what should not be overlooked.
    """

    kind: str
    score: float
    headline: str
    values: dict[str, float]
    protocol: dict[str, Any]
    curves: dict[str, float]
    rows: tuple[dict[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def entry(self) -> dict[str, Any]:
        """What a training's history keeps of it."""
        return {"scores": self.curves}

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        facts = {"kind": self.kind, "headline": self.headline, "values": self.values, "rows": list(self.rows)}
        return {**facts, "warnings": list(self.warnings), "protocol": self.protocol}

    def __str__(self) -> str:
        lines = [self.headline, *(f"{name}: {value:.4g}" for name, value in self.values.items())]
        if self.rows:
            lines += ["", "  ".join(self.rows[0]), *("  ".join(map(str, row.values())) for row in self.rows)]
        return "\n".join([*lines, *(f"warning: {warning}" for warning in self.warnings)])


def split_hash(records: Sequence[Record]) -> str:
    """Names the exact split: SHA-256 (first 16 hex digits) over its pictures' names and captions, in order of name."""
    digest = hashlib.sha256()
    for record in sorted(records, key=lambda record: record.image):
        digest.update("\0".join((record.image, *record.captions, "\1")).encode())
    return digest.hexdigest()[:16]


def retrieval_report(
    image: Tensor, text: Tensor, owner: Tensor, protocol: dict[str, Any] | None = None, samples: int = 1000
) -> Report:
    """Exact ranks both ways from unit vectors image (N, D), text (M, D) and owner (M,); samples: of the bootstrap.

    Raises InputError if the vectors are not finite or nothing can be found.
    """
    image_ranks, caption_ranks = image_to_text_ranks(image, text, owner), text_to_image_ranks(image, text, owner)
    values = {name: round(value, 2) for name, value in retrieval_metrics(image_ranks, caption_ranks).items()}
    counts = torch.bincount(owner, minlength=len(image))
    facts = {
        "pictures": len(image),
        "captions": len(text),
        "captions per picture": f"{int(counts.min())} to {int(counts.max())}",
        "image → text": "a hit is any of the picture's own captions among the k first of all captions",
        "text → image": "each caption is one query; a hit is its own picture among the k first of all pictures",
        "ties": "count against the model",
        "intervals": f"95 % bootstrap over pictures, {samples} samples" if samples else "none",
    }

    def side(name: str) -> dict[str, float]:
        return {key.split()[1]: value for key, value in values.items() if key.startswith(name)}

    return Report(
        rsum=values["rsum"],
        image_to_text=side("image_to_text"),
        text_to_image=side("text_to_image"),
        intervals=bootstrap_intervals(image_ranks, caption_ranks, owner, samples) if samples else {},
        protocol=(protocol or {}) | facts,
    )


@dataclass(frozen=True)
class Embedded:
    """The vectors of a split: N pictures with M captions.

    image: (N, D), unit length.
    text: (M, D), unit length.
    owner: (M,) the row of each caption's picture.
    names: N paths below the images folder.
    captions: M sentences.
    skipped: (name, reason) of each unreadable picture.
    """

    image: Tensor
    text: Tensor
    owner: Tensor
    names: tuple[str, ...]
    captions: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]


def embed_records(
    encoder: Encodes,
    root: Path,
    records: Sequence[Record],
    batch_size: int = 64,
    progress: Callable[[int, int], None] | None = None,
) -> Embedded:
    """Encode every readable picture below root and its captions; an unreadable one is left out, captions included."""
    names: list[str] = []
    captions: list[str] = []
    owner: list[int] = []
    skipped: list[tuple[str, str]] = []
    batch: list[NDArray[np.uint8]] = []
    vectors: list[NDArray[np.float32]] = []
    for number, record in enumerate(records, 1):
        try:
            batch.append(encoder.preprocess(load_image(root / record.image)))
        except ImageError as error:
            skipped.append((record.image, error.reason))
        else:
            captions.extend(record.captions)
            owner.extend([len(names)] * len(record.captions))
            names.append(record.image)
        if len(batch) == batch_size or (batch and number == len(records)):
            vectors.append(encoder.encode_pixels(np.stack(batch)))
            batch.clear()
        if progress:
            progress(number, len(records))
    if not names or not captions:
        raise InputError(f"nothing to evaluate: {len(names)} readable pictures with {len(captions)} captions")
    image, text = torch.from_numpy(np.concatenate(vectors)), torch.from_numpy(encoder.encode_texts(captions))
    return Embedded(image, text, torch.tensor(owner), tuple(names), tuple(captions), tuple(skipped))


def evaluate(embedded: Embedded, records: Sequence[Record], split: str, **about: Any) -> Report:
    """The report of a split that was embedded; about: further facts for the protocol (checkpoint, files, …)."""
    protocol = {"split": split, "split hash": split_hash(records), "skipped pictures": len(embedded.skipped), **about}
    return retrieval_report(embedded.image, embedded.text, embedded.owner, protocol)


def leading_pairs(embedded: Embedded, count: int) -> NDArray[np.float32]:
    """Cosines of the first `count` captioned pictures with their first captions, (n, n), own pairs on the diagonal."""
    first: dict[int, int] = {}
    for row, picture in enumerate(embedded.owner.tolist()):
        first.setdefault(picture, row)
    pictures, rows = list(first)[:count], list(first.values())[:count]
    return np.asarray((embedded.image[pictures] @ embedded.text[rows].T).numpy(), dtype=np.float32)
