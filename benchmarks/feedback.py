"""Does marking help? A simulated user gives the first hits 👍 and 👎, and Rocchio finds more of what was wanted.

    python -m benchmarks.feedback --scenes 1000 --index indexes/photos

The user asks for a thing at a place, looks at the first ten hits and marks the first k of them: 👍 what shows both, 👎
what does not. Marked pictures are then left out, before and after, so that only what nobody has judged counts (the
residual collection; Chang, Cirillo and Razon 1971). Of generated scenes it is known what they show; of photos a thing
or place counts as shown where at least two of the picture's captions name it. β and γ are chosen on every other query
and judged on the rest.

Shapes: Q queries, N pictures, D embedding.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmodal.datasets.splits import read_split_list
from crossmodal.errors import CrossmodalError, InputError
from crossmodal.gallery.feedback import BETA, GAMMA
from crossmodal.index import Index, open_index
from crossmodal.inference.base import Encoder
from crossmodal.inference.encoder import open_encoder
from crossmodal.models.checkpoint_files import STARTER
from crossmodal.progress import Bar
from crossmodal.scenes.catalogue import KINDS, SETTINGS
from crossmodal.scenes.scene import draw_scene, make_scenes
from crossmodal.search.ranking import balanced
from crossmodal.search.searcher import recorded_checkpoint

Array = NDArray[np.float64]
THINGS = """dog man woman boy girl child baby people ball bicycle bike motorcycle car horse boat surfer skateboard skier
climber snowboarder football soccer hat crowd band shirt"""
PLACES = """snow water beach grass street sand field mountain pool park forest river ocean city sidewalk rock woods road
air dirt fence bench"""
BETAS, GAMMAS = (0.0, 0.1, 0.25, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0), (0.0, 0.05, 0.1, 0.2, 0.3)
SHOWN, SAMPLES = 10, 2000


@dataclass(frozen=True)
class Bank:
    """Queries with known answers. images (N, D), queries (Q, D): unit vectors. relevant: (Q, N)."""

    name: str
    images: NDArray[np.float32]
    queries: NDArray[np.float32]
    relevant: NDArray[np.bool_]

    def part(self, rows: Iterable[int]) -> Bank:
        """Some of its queries."""
        chosen = list(rows)
        return Bank(self.name, self.images, self.queries[chosen], self.relevant[chosen])


def found(bank: Bank, marks: int, weights: Sequence[tuple[float, float]]) -> Array:
    """Precision@10 and recall@10 of unmarked pictures, before and after marking, for each (β, γ): (W, Q, 4).

    nan where nothing is left to find.
    """
    values = np.full((len(weights), len(bank.queries), 4), np.nan)
    for row, (query, relevant) in enumerate(zip(bank.queries, bank.relevant, strict=True)):
        before = bank.images @ query
        marked = np.argsort(-before, kind="stable")[:marks]
        wanted = relevant.copy()
        wanted[marked] = False
        if not wanted.any():
            continue
        liked = relevant[marked]
        cosines = np.column_stack([before, bank.images @ bank.images[marked].T])  # (N, T), a term a column
        for number, (beta, gamma) in enumerate(weights):
            signed = [1.0, *np.where(liked, beta / max(liked.sum(), 1), -gamma / max((~liked).sum(), 1))]
            after = cosines @ balanced(np.array(signed), np.eye(len(signed), dtype=np.float32), cosines)
            for place, scores in enumerate((before.copy(), after)):
                scores[marked] = -np.inf
                hits = wanted[np.argsort(-scores, kind="stable")[:SHOWN]].sum()
                values[number, row, [place, 2 + place]] = hits / SHOWN, hits / wanted.sum()
    return values


def scene_bank(count: int, encoder: Encoder, smallest: int) -> Bank:
    """Unseen scenes; asked is for each thing at each setting that enough of them show."""
    scenes = make_scenes(count, seed=0, split="test")
    vectors = []
    with Bar("drawing and encoding scenes") as bar:
        for start in range(0, count, 32):
            vectors.append(encoder.encode_images([draw_scene(scene) for scene in scenes[start : start + 32]]))
            bar.update(min(start + 32, count), count)
    shown = {name: np.array([name in {g.kind for g in scene.groups} for scene in scenes]) for name in KINDS}
    at = {name: np.array([scene.setting == name for scene in scenes]) for name in SETTINGS}
    pairs = {
        f"a {re.split('[|/]', KINDS[kind].nouns)[0]} {SETTINGS[place].where.split('|')[0]}": shown[kind] & at[place]
        for kind, place in product(KINDS, SETTINGS)
    }
    return _bank(f"{count:,} scenes", np.concatenate(vectors), pairs, encoder, smallest, count)


def photo_bank(index: Index, encoder: Encoder, smallest: int, split: Path | None = None) -> Bank:
    """Indexed photos; asked is for each thing at each place that enough of them show by their captions."""
    names = None if split is None else set(read_split_list(split))
    pictures = [row for row, p in enumerate(index.catalogue.pictures) if names is None or p.stamp.path in names]
    words: list[list[set[str]]] = [[] for _ in index.catalogue.pictures]
    for caption in index.catalogue.captions:
        words[caption.picture].append(set(re.findall(r"[a-z]+", caption.text.lower())))
    shown = {
        word: np.array([sum(bool(said & {word, f"{word}s"}) for said in words[row]) > 1 for row in pictures])
        for word in (THINGS + " " + PLACES).split()
    }
    pairs = {
        f"{thing} {place}": shown[thing] & shown[place] for thing, place in product(THINGS.split(), PLACES.split())
    }
    title = f"{len(pictures):,} photos of {index.path.name}"
    return _bank(title, np.asarray(index.image_vectors)[pictures], pairs, encoder, smallest, len(pictures))


def _bank(
    name: str, images: NDArray[Any], pairs: dict[str, NDArray[np.bool_]], encoder: Encoder, smallest: int, count: int
) -> Bank:
    """Of all pairs those that some pictures show, but no more than a tenth of them."""
    kept = {
        text: relevant for text, relevant in pairs.items() if smallest <= relevant.sum() <= max(smallest, count / 10)
    }
    if len(kept) < 4:
        raise InputError(f"{name}: only {len(kept)} queries have {smallest} pictures to find: give more pictures")
    return Bank(name, images, encoder.encode_texts(list(kept)), np.stack(list(kept.values())))


def chosen(banks: Sequence[Bank], counts: Sequence[int]) -> tuple[float, float]:
    """β and γ with the best precision after marking, on average over galleries and numbers of marks."""
    weights = list(product(BETAS, GAMMAS))
    precision = [np.nanmean(found(bank, marks, weights)[:, :, 1], axis=1) for bank in banks for marks in counts]
    return weights[int(np.mean(precision, axis=0).argmax())]


def row_of(bank: Bank, marks: int, generator: np.random.Generator) -> str:
    """One line of the table, the gain in precision with a 95 % bootstrap interval over queries."""
    values = found(bank, marks, [(BETA, GAMMA)])[0]
    values = values[~np.isnan(values[:, 0])]
    gains = values[:, 1] - values[:, 0]
    means = gains[generator.integers(len(gains), size=(SAMPLES, len(gains)))].mean(1)
    low, high = np.percentile(means, (2.5, 97.5))
    p0, p1, r0, r1 = (100 * float(value) for value in values.mean(0))
    return (
        f"| {bank.name} | {len(values)} | {marks} | {p0:.1f} → {p1:.1f} | {100 * gains.mean():+.1f} "
        f"({100 * low:+.1f} to {100 * high:+.1f}) | {r0:.1f} → {r1:.1f} |"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=0, metavar="N", help="generated pictures to search")
    parser.add_argument("--index", type=Path, metavar="DIR", help="captioned photos to search")
    parser.add_argument("--split", type=Path, metavar="FILE", help="list of the index's pictures to use")
    parser.add_argument("--checkpoint", type=Path, default=STARTER, metavar="DIR", help="of the scenes; the starter")
    parser.add_argument("--marks", type=int, nargs="+", default=[1, 3, 5, 10], metavar="K", help="hits marked")
    parser.add_argument("--smallest", type=int, default=12, metavar="N", help="pictures a query must have to find")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the bootstrap")
    options = parser.parse_args(arguments)
    try:
        banks = []
        if options.scenes:
            banks.append(scene_bank(options.scenes, open_encoder(options.checkpoint), options.smallest))
        if options.index is not None:
            index = open_index(options.index)
            encoder = open_encoder(recorded_checkpoint(index.manifest, index.path))
            banks.append(photo_bank(index, encoder, options.smallest, options.split))
        if not banks or min(options.marks) < 1:
            raise InputError("nothing to measure: give --scenes N or --index DIR, and --marks of at least 1")
    except CrossmodalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    generator = np.random.default_rng(options.seed)
    print(f"β = {BETA}, γ = {GAMMA}; of unmarked pictures, in per cent; gain with 95 % bootstrap over queries\n")
    print("| gallery | queries | marked | precision@10 | gain | recall@10 |\n|---|---|---|---|---|---|")
    for bank in banks:
        judged = bank.part(range(1, len(bank.queries), 2))
        for marks in options.marks:
            print(row_of(judged, marks, generator))
    beta, gamma = chosen([bank.part(range(0, len(bank.queries), 2)) for bank in banks], options.marks)
    print(f"\nbest on the other half of the queries, galleries and marks averaged: β = {beta}, γ = {gamma}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
