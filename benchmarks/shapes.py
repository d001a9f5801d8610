"""Are photos of every shape better squashed to a square, or cut at the centre?

    python -m benchmarks.shapes --images Images --captions captions.csv

The photos must be in their true shape. Each way is judged on the same photos by the same checkpoint: text and pictures
in both directions, as `evaluate` does. Judge only the difference on photos that were trained on.

Shapes: N pictures, S side in pixels, D embedding.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Image

from crossmodal.datasets.records import load_pairs
from crossmodal.errors import CrossmodalError, InputError
from crossmodal.evaluation.retrieval import Report, embed_records, evaluate
from crossmodal.images.transforms import ImageTransform
from crossmodal.models.checkpoint import Checkpoint, load_checkpoint
from crossmodal.models.checkpoint_files import STARTER
from crossmodal.models.dual import CrossModalModel

FITS = ("squash", "crop")


@dataclass(frozen=True)
class Cut:
    """A checkpoint that cuts its pictures in one way or another."""

    checkpoint: Checkpoint
    transform: ImageTransform

    @property
    def model(self) -> CrossModalModel:
        """Its two towers. Raises InputError for a checkpoint without."""
        if not isinstance(self.checkpoint.model, CrossModalModel):
            raise InputError(f"{self.checkpoint.path} scores pairs and gives no vectors: name another --checkpoint")
        return self.checkpoint.model

    def preprocess(self, image: Image) -> NDArray[np.uint8]:
        """One picture → uint8 (3, S, S)."""
        return self.transform.pixels(image)

    def encode_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (N, 3, S, S) → (N, D)."""
        return np.asarray(self.model.embed_images(torch.from_numpy(pixels), self.transform).numpy())

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Sentences → (N, D)."""
        tokenizer = self.checkpoint.tokenizer
        return np.asarray(self.model.embed_texts(tokenizer.ids(texts), tokenizer).numpy())


def judged(checkpoint: Checkpoint, images: Path, captions: Path) -> dict[str, Report]:
    """A report for each of FITS."""
    records = [record for record in load_pairs(images, captions).records if record.captions]
    found = {}
    for fit in FITS:
        cut = Cut(checkpoint, replace(checkpoint.transform, fit=fit))
        found[fit] = evaluate(embed_records(cut, images, records), records, fit)
    return found


def table(reports: dict[str, Report]) -> str:
    """One row a way, in Markdown."""
    lines = [
        "| fit | image → text R@1 / 5 / 10 | text → image R@1 / 5 / 10 | rsum (95 % interval) |",
        "|---|---|---|---|",
    ]
    for fit, report in reports.items():
        sides = [
            " / ".join(f"{side[f'R@{k}']:.1f}" for k in (1, 5, 10))
            for side in (report.image_to_text, report.text_to_image)
        ]
        low, high = report.intervals["rsum"]
        lines.append(f"| {fit} | {' | '.join(sides)} | {report.rsum:.1f} ({low:.1f} to {high:.1f}) |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 0 on success, 2 on an error of ours."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--images", type=Path, required=True, metavar="DIR", help="photos in their true shape")
    options.add_argument("--captions", type=Path, required=True, metavar="FILE")
    options.add_argument("--checkpoint", type=Path, default=STARTER, metavar="DIR")
    chosen = options.parse_args(arguments)
    try:
        print(table(judged(load_checkpoint(chosen.checkpoint), chosen.images, chosen.captions)))
    except CrossmodalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
