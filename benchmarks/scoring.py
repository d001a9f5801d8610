"""Are pictures better found by themselves, by their captions, or by both?

    python -m benchmarks.scoring --images Images --captions captions.txt --split Flickr_8k.devImages.txt

Captions of a split look for their picture among all of the split; a query is left out of its own picture's captions. A
seeded half of the pictures chooses how much the captions count in "both" (the best rsum, averaged over the two
galleries); the table is about the other half. In the second gallery half of the pictures have no captions.

Shapes: Q queries, N pictures, M captions, D embedding.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.relevance import calibration_error
from crossmodal.datasets.records import load_pairs
from crossmodal.datasets.splits import listed_records
from crossmodal.errors import CrossmodalError, InputError
from crossmodal.evaluation.retrieval import embed_records, split_hash
from crossmodal.index.calibration.examples import word_examples
from crossmodal.index.calibration.relevance import fit_relevance
from crossmodal.inference.encoder import open_encoder
from crossmodal.models.checkpoint_files import STARTER
from crossmodal.search.ranking import CAPTION_SHARE

Floats = NDArray[Any]
Mask = NDArray[np.bool_]
MIXES = (0.3, 0.5, 0.6, 0.7, 0.8, 0.9)  # shares of the captions
RANKS = (1, 5, 10)
SAMPLES = 1000
FITTED = 1000  # captions that a build takes to fit probabilities


@dataclass(frozen=True)
class Split:
    """images (N, D), captions (M, D), owner (M,), ascending."""

    images: Floats
    captions: Floats
    owner: NDArray[np.int64]


@dataclass(frozen=True)
class Asked:
    """Every caption as a query: pictures (Q, N) cosines, captions (Q, N) mean cosines with each picture's others, best
    (Q, N) the largest of these. own: (Q,) the right row."""

    pictures: Floats
    captions: Floats
    best: Floats
    own: NDArray[np.int64]

    def by(self, share: float, captioned: Mask) -> Floats:
        """Scores (Q, N), as the search makes them. captioned: (N,); the others are judged by themselves."""
        return np.where(captioned, (1 - share) * self.pictures + share * self.captions, self.pictures)


def ask(split: Split) -> Asked:
    """All cosines. Raises InputError unless most pictures have several captions."""
    counts = np.bincount(split.owner, minlength=len(split.images))
    rows = np.flatnonzero(counts[split.owner] > 1)
    examples = list(word_examples(split.images, split.captions, split.owner, rows))
    if not examples or any(len(example.cosines) < 2 for example in examples):
        raise InputError("nothing to measure: give a split whose pictures have several captions each")
    between = split.captions[rows] @ split.captions.T
    between[np.arange(len(rows)), rows] = -1
    captioned, first = np.unique(split.owner, return_index=True)
    best = np.full((len(rows), len(split.images)), -1.0, dtype=np.float32)
    best[:, captioned] = np.maximum.reduceat(between, first, axis=1)
    pictures, captions = (np.concatenate([example.cosines[channel] for example in examples]) for channel in (0, 1))
    return Asked(pictures, captions, best, split.owner[rows])


def ranks(scores: Floats, own: NDArray[np.int64]) -> NDArray[np.int64]:
    """(Q,) from 1; ties count against the right picture."""
    return np.asarray((scores >= scores[np.arange(len(scores)), own][:, None]).sum(1))


def rsum(found: NDArray[np.int64]) -> float:
    """Recall@1 + 5 + 10 in per cent."""
    return float(sum(100 * (found <= k).mean() for k in RANKS))


def cells(found: NDArray[np.int64], own: NDArray[np.int64], seed: int) -> list[str]:
    """Recall@1, 5 and 10, and their sum with its 95 % bootstrap over pictures."""
    pictures, place = np.unique(own, return_inverse=True)
    sums = np.stack([np.bincount(place, found <= k) for k in RANKS]).sum(0)  # (pictures,)
    counts = np.bincount(place)
    drawn = np.random.default_rng(seed).integers(len(pictures), size=(SAMPLES, len(pictures)))
    low, high = np.quantile(100 * sums[drawn].sum(1) / counts[drawn].sum(1), [0.025, 0.975])
    recalls = " / ".join(f"{100 * (found <= k).mean():.1f}" for k in RANKS)
    return [recalls, f"{rsum(found):.1f} [{low:.1f}, {high:.1f}]"]


@dataclass(frozen=True)
class Way:
    """One way to score: (Q, N) where all pictures have captions, and where half of them have; None where it cannot."""

    name: str
    whole: Floats | None
    half: Floats | None


def ways(asked: Asked, captioned: Mask) -> list[Way]:
    """All that are compared. captioned: (N,), in the second gallery."""
    everyone = np.ones_like(captioned)
    filler = np.where(captioned, asked.captions, asked.captions[:, captioned].mean(1, keepdims=True))
    return [
        Way("pictures", asked.pictures, asked.pictures),
        Way("captions (their mean)", asked.captions, None),
        Way("tried: the nearest caption", asked.best, None),
        *(Way(f"both, {mix:.0%} captions", asked.by(mix, everyone), asked.by(mix, captioned)) for mix in MIXES),
        Way(
            f"tried: both, {CAPTION_SHARE:.0%}, missing captions as the mean of the others",
            None,
            (1 - CAPTION_SHARE) * asked.pictures + CAPTION_SHARE * filler,
        ),
    ]


def table(asked: Asked, choosing: Mask, captioned: Mask, seed: int) -> str:
    """Each way on the judged half. choosing, captioned: (N,)."""
    chosen = choosing[asked.own]
    lines = [
        "| ranked by | rsum that chooses | R@1 / 5 / 10 | rsum | half uncaptioned: R@1 / 5 / 10 | rsum |",
        "|---|---|---|---|---|---|",
    ]
    for way in ways(asked, captioned):
        found = [None if scores is None else ranks(scores, asked.own) for scores in (way.whole, way.half)]
        known = [places for places in found if places is not None]
        row = [f"{np.mean([rsum(places[chosen]) for places in known]):.1f}" if len(known) == 2 else "–"]
        for places in found:
            row += ["–", "–"] if places is None else cells(places[~chosen], asked.own[~chosen], seed)
        lines.append(f"| {way.name} | {' | '.join(row)} |")
    return "\n".join(lines)


def probability_errors(split: Split, choosing: Mask, seed: int) -> str:
    """Calibration errors of the ten best hits' probabilities, fitted on pictures' order and on the whole gallery.

    For half of the judged queries the right picture is gone, as in benchmarks/relevance.py.
    """
    rng = np.random.default_rng(seed)
    data = (split.images, split.captions, split.owner)
    lent, judged = np.flatnonzero(choosing[split.owner]), np.flatnonzero(~choosing[split.owner])
    fitted = fit_relevance(word_examples(*data, lent[np.arange(min(FITTED, len(lent))) * len(lent) // FITTED]))
    gone = rng.random(len(split.images)) < 0.5
    lines = ["| ten best hits | calibration error | of which match | said |", "|---|---|---|---|"]
    for name, share, part in (
        ("by pictures", 0.0, 1.0),
        ("by captions", 1.0, 1.0),
        ("by both", CAPTION_SHARE, 1.0),
        ("by pictures, within a tenth of the gallery", 0.0, 0.1),
        ("by both, within a tenth of the gallery", CAPTION_SHARE, 0.1),
    ):
        said: list[Floats] = []
        true: list[Mask] = []
        for cosines, own in one_by_one(word_examples(*data, judged)):
            there = np.flatnonzero(~own | ~gone[np.argmax(own)])
            within = there[rng.random(len(there)) < part]
            scores = (1 - share) * cosines[0] + share * cosines[1]
            best = within[np.argsort(-scores[within], kind="stable")[:10]]
            said.append(fitted.of(cosines[:, there], np.searchsorted(there, best)))
            true.append(own[best])
        probability, truth = np.concatenate(said), np.concatenate(true)
        error = calibration_error(probability, truth)
        lines.append(f"| {name} | {error:.4f} | {truth.mean():.2%} | {probability.mean():.2%} |")
    return "\n".join(lines)


def one_by_one(examples: Iterator[Any]) -> Iterator[tuple[Floats, Mask]]:
    """Cosines (C, N) of each query, and which pictures are its own (N,)."""
    for example in examples:
        for row, own in enumerate(example.own):
            yield np.stack([channel[row] for channel in example.cosines]), own


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=STARTER, metavar="DIR", help="default: the starter")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--captions", type=Path, required=True, metavar="FILE")
    parser.add_argument("--split", type=Path, metavar="FILE", help="list of pictures to use; default: all")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the halves and the bootstrap")
    options = parser.parse_args(arguments)
    try:
        pairs = load_pairs(options.images, options.captions)
        records = [record for record in listed_records(pairs.records, options.split) if record.captions]
        encoder = open_encoder(options.checkpoint)
        found = embed_records(encoder, pairs.root, records)
        split = Split(*(part.numpy() for part in (found.image, found.text, found.owner)))
        asked = ask(split)
        rng = np.random.default_rng(options.seed)
        choosing, captioned = np.zeros((2, len(split.images)), dtype=bool)
        choosing[rng.permutation(len(choosing))[: len(choosing) // 2]] = True
        captioned[rng.permutation(len(choosing))[: len(choosing) // 2]] = True
        print(table(asked, choosing, captioned, options.seed), probability_errors(split, choosing, options.seed),
              sep="\n\n")  # fmt: skip
    except CrossmodalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(
        f"\nProtocol: {encoder.name} {encoder.fingerprint[:16]}; split hash {split_hash(records)}; "
        f"{len(split.images):,} pictures, {len(asked.own):,} queries, {int((~choosing[asked.own]).sum()):,} of them "
        f"judged; 95 % bootstrap over pictures, {SAMPLES:,} samples; seed {options.seed}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
