"""How well does the index know that nothing matches? `python benchmarks/relevance.py --images DIR --captions FILE …`.

Half of the pictures of a split lend their captions to the fit, the captions of the other half are the queries that are
judged; all pictures are the gallery. For half of the judged pictures (drawn with the seed) the right picture is removed
from the gallery with all its captions. The query itself is never among its picture's captions. Prints one table.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from crossmodal.index.calibration.examples import background_sentences, picture_examples, word_examples
from crossmodal.index.calibration.relevance import (
    Example,
    Relevance,
    fit_logistic,
    fit_relevance,
    logistic,
    query_features,
    relevance_above_background,
)
from crossmodal.models.checkpoint_files import STARTER

Floats = NDArray[np.float64]
BINS = 15
SAMPLES = 1000
LENT = 1000
ABSENT = """a spreadsheet with quarterly tax figures|the signature page of a rental contract|an x-ray of a broken wrist
a screenshot of a login form|a wiring diagram of a dishwasher|a jar of pickled cucumbers on a pantry shelf
a chess board in the middle of an endgame|the cockpit instruments of an airliner|a microscope slide of onion cells
a grand piano on an empty concert stage|a bar chart of monthly rainfall|a submarine surfacing between ice floes
an astronaut floating outside a space station|a passport photo of an elderly man|a satellite image of a hurricane
handwritten lecture notes about thermodynamics|a plate of sushi with wasabi and ginger|a wedding cake with three tiers
a giraffe eating leaves from a tall tree|penguins huddling together in antarctica|a server rack with blinking lights
a marble statue in a museum hall|an open suitcase full of folded shirts|a crossword puzzle with a pencil
the moon through a telescope|a lighthouse on a cliff in a storm|a bowl of tomato soup with basil
a bathroom with a freshly tiled shower|an oil tanker being loaded in a harbour|a bouquet of tulips in a glass vase"""


@dataclass(frozen=True)
class Gallery:
    """Vectors of a split: images (N, D), captions (M, D), owner (M,); absent (A, D): sentences about nothing in it."""

    images: NDArray[np.float32]
    captions: NDArray[np.float32]
    owner: NDArray[np.int64]
    absent: NDArray[np.float32]
    background: NDArray[np.float32]


@dataclass(frozen=True)
class Judged:
    """What a method says: probability (Q,) for each judged query, its truth and picture; absent (A,) for ABSENT.

    threshold: below it the index says that nothing matches; None for a method that it does not use.
    """

    name: str
    probability: Floats
    truth: NDArray[np.bool_]
    picture: NDArray[np.int64]
    absent: Floats
    threshold: float | None = None


def area(score: Floats, truth: NDArray[np.bool_]) -> float:
    """AUROC: probability that a query with a match scores above one without, ties half."""
    false = np.sort(score[~truth])
    below = np.searchsorted(false, score[truth]) + np.searchsorted(false, score[truth], side="right")
    return float(below.mean() / 2 / len(false))


def false_accepts(score: Floats, truth: NDArray[np.bool_]) -> float:
    """Share of queries without a match at or above the score that 90 % of those with one reach."""
    return float((score[~truth] >= np.quantile(score[truth], 0.1)).mean())


def calibration_error(probability: Floats, truth: NDArray[np.bool_]) -> float:
    """Expected calibration error in 15 bins of equal width. Source: Guo et al. 2017, section 2."""
    bins = np.minimum((probability * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, probability - truth, minlength=BINS)
    return float(np.abs(gaps).sum() / len(truth))


MEASURES: dict[str, Callable[[Floats, NDArray[np.bool_]], float]] = {
    "AUROC": area,
    "false accepts at 90 % true": false_accepts,
    "ECE": calibration_error,
}


def cells(judged: Judged, seed: int) -> list[str]:
    """Each measure with its 95 % interval by bootstrap over pictures, and how many of ABSENT pass at 90 %."""
    rng = np.random.default_rng(seed)
    pictures, place = np.unique(judged.picture, return_inverse=True)
    rows = [np.flatnonzero(place == number) for number in range(len(pictures))]
    drawn: dict[str, list[float]] = {name: [] for name in MEASURES}
    for _ in range(SAMPLES):
        sample = np.concatenate([rows[number] for number in rng.integers(len(rows), size=len(rows))])
        for name, measure in MEASURES.items():
            drawn[name].append(measure(judged.probability[sample], judged.truth[sample]))
    shown = []
    for name, measure in MEASURES.items():
        low, high = np.quantile(drawn[name], [0.025, 0.975])
        shown.append(f"{measure(judged.probability, judged.truth):.3f} [{low:.3f}, {high:.3f}]")
    passed = judged.absent >= np.quantile(judged.probability[judged.truth], 0.1)
    return [*shown, f"{passed.mean():.2f}" if len(passed) else "–"]


def asked(examples: Iterable[Example], removed: Callable[[int], bool]) -> Iterable[NDArray[Any]]:
    """The cosines (C, N or less) of each query; where it is to be removed, without what matches."""
    number = 0
    for example in examples:
        for row, own in enumerate(example.own):
            cosines = np.stack([channel[row] for channel in example.cosines])
            yield cosines[:, ~own] if removed(number) else cosines
            number += 1


Feature = Callable[[NDArray[Any]], Floats]  # (C, N) of one query → (F,)


def best_of(channel: int) -> Feature:
    """The raw cosine of the best item."""
    return lambda cosines: np.array([cosines[channel].max()], dtype=np.float64)


def standard_score(cosines: NDArray[Any]) -> Floats:
    """The best cosine in spreads above the mean of the query's cosines with the gallery."""
    best, _, mean, spread = query_features(cosines[:1])[0]
    return np.array([(best - mean) / spread])


def margin(cosines: NDArray[Any]) -> Floats:
    """How far the best cosine stands above the mean of the ten next."""
    best, following, _, _ = query_features(cosines[:1])[0]
    return np.array([best - following])


def threshold_on(feature: Feature, examples: Sequence[Example]) -> Callable[[NDArray[Any]], float]:
    """A threshold on one number, with a logistic of its own for a probability."""
    kept = [
        np.stack([feature(cosines) for cosines in asked(examples, removed)])
        for removed in (lambda _: False, lambda _: True)
    ]
    weights = fit_logistic(np.concatenate(kept), np.repeat([True, False], [len(part) for part in kept]))
    return lambda cosines: float(logistic(feature(cosines) @ weights[1:] + weights[0]))


def locally_scaled(gallery: Gallery, bank: NDArray[np.int64]) -> NDArray[np.float32]:
    """(N,): what CSLS subtracts from a picture's cosines, 0.75 of the mean of its ten best with a bank of captions."""
    cosines = gallery.captions[bank] @ gallery.images.T
    cosines[gallery.owner[bank][:, None] == np.arange(len(gallery.images))] = -1
    return np.asarray(0.75 * np.sort(cosines, axis=0)[-10:].mean(0), dtype=np.float32)


def lent_of(captions: int) -> int:
    """How many of the fitting half's captions the fit takes: as many as a build does, the rest are CSLS's bank."""
    return min(LENT, captions // 2)


def judge(gallery: Gallery, seed: int) -> tuple[list[Judged], list[Judged]]:
    """Every method on the judged half; and the hits' probabilities, apart."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(gallery.images))
    fitting = np.zeros(len(order), dtype=bool)
    fitting[order[: len(order) // 2]] = True
    gone = np.zeros(len(order), dtype=bool)
    gone[order[len(order) // 2 :][::2]] = True
    data = (gallery.images, gallery.captions, gallery.owner)
    lent, queries = np.flatnonzero(fitting[gallery.owner]), np.flatnonzero(~fitting[gallery.owner])
    count = lent_of(len(lent))
    lent = lent[np.arange(count) * len(lent) // count]
    picture = gallery.owner[queries]
    fit, test = list(word_examples(*data, lent)), list(word_examples(*data, queries))
    full, alone = fit_relevance(fit), fit_relevance(pictures_only(fit))
    scaling = locally_scaled(gallery, np.setdiff1d(np.flatnonzero(fitting[gallery.owner]), lent))
    generated = relevance_above_background([gallery.background @ gallery.images.T])
    means = off_topic(gallery)
    methods: list[tuple[str, Callable[[NDArray[Any]], float], Sequence[Example], list[NDArray[Any]]]] = [
        ("raw cosine", threshold_on(best_of(0), fit), test, means),
        ("tried: spreads above the query's mean", threshold_on(standard_score, fit), test, means),
        ("tried: margin to the next ten", threshold_on(margin, fit), test, means),
        ("tried: raw cosine, locally scaled (CSLS)", threshold_on(best_of(0), shifted(fit, scaling)),
         shifted(test, scaling), [cosines - scaling for cosines in means]),
        ("pictures alone, normalised", alone.match, pictures_only(test), [cosines[:1] for cosines in means]),
        ("raw cosine with the mean caption", threshold_on(best_of(1), fit), test, means),
        ("pictures and captions, normalised (the index)", full.match, test, means),
        ("no captions: from generated sentences", generated.match, pictures_only(test), [c[:1] for c in means]),
    ]  # fmt: skip
    rows = []
    for name, method, examples, absent in methods:
        said = np.array([method(cosines) for cosines in asked(examples, lambda row: bool(gone[picture[row]]))])
        off = np.array([method(cosines) for cosines in absent])
        used = next((model.threshold for model in (full, generated) if model.match == method), None)
        rows.append(Judged(name, said, ~gone[picture], picture, off, used))
    return [*rows, *backwards(data, fitting, gone)], hits(full, test, gone[picture], picture)


def backwards(data: tuple[Any, Any, Any], fitting: NDArray[np.bool_], gone: NDArray[np.bool_]) -> list[Judged]:
    """The other direction, a picture looking for captions: raw and normalised."""
    fit = list(picture_examples(*data, np.flatnonzero(fitting)))
    test, pictures = list(picture_examples(*data, np.flatnonzero(~fitting))), np.flatnonzero(~fitting)
    rows = []
    for name, method in (
        ("picture → captions: raw cosine", threshold_on(best_of(0), fit)),
        ("picture → captions: normalised (the index)", fit_relevance(fit).match),
    ):
        said = np.array([method(cosines) for cosines in asked(test, lambda row: bool(gone[pictures[row]]))])
        rows.append(Judged(name, said, ~gone[pictures], pictures, np.empty(0)))
    return rows


def hits(relevance: Relevance, test: Sequence[Example], gone: NDArray[np.bool_], owner: NDArray[Any]) -> list[Judged]:
    """Each of the ten best hits of every judged query: how probable it is said to be, and whether it is the one."""
    said: list[Floats] = []
    true: list[NDArray[np.bool_]] = []
    owns = np.concatenate([example.own for example in test])
    for row, cosines in enumerate(asked(test, lambda row: bool(gone[row]))):
        best = np.argsort(-cosines[0])[:10]
        said.append(relevance.of(cosines, best))
        true.append(np.zeros(10, dtype=bool) if gone[row] else owns[row][best])
    place = np.repeat(owner, 10)
    return [Judged("ten best hits (the index)", np.concatenate(said), np.concatenate(true), place, np.empty(0))]


def pictures_only(examples: Sequence[Example]) -> list[Example]:
    """These queries without the channel of captions."""
    return [Example(example.cosines[:1], example.own) for example in examples]


def shifted(examples: Sequence[Example], scaling: NDArray[Any]) -> list[Example]:
    """These queries with something taken from each picture's cosines."""
    return [Example((example.cosines[0] - scaling,), example.own) for example in examples]


def off_topic(gallery: Gallery) -> list[NDArray[Any]]:
    """The cosines (2, N) of sentences about nothing in the gallery."""
    from crossmodal.index.calibration.examples import caption_means

    means = caption_means(gallery.captions, gallery.owner, len(gallery.images))
    return [np.stack([gallery.images @ vector, means @ vector]) for vector in gallery.absent]


def embed(options: argparse.Namespace) -> tuple[Gallery, dict[str, Any]]:
    """Encode the split, and the facts for the protocol."""
    from crossmodal.datasets.records import load_pairs
    from crossmodal.datasets.splits import listed_records
    from crossmodal.evaluation.retrieval import embed_records, split_hash
    from crossmodal.inference.encoder import open_encoder

    pairs = load_pairs(options.images, options.captions)
    records = listed_records(pairs.records, options.split)
    encoder = open_encoder(options.checkpoint)
    facts = {"split": options.split.name, "split hash": split_hash(records), "checkpoint": encoder.fingerprint[:16]}
    cache = options.cache and options.cache / f"relevance-{facts['split hash']}-{facts['checkpoint']}.npz"
    if cache and cache.is_file():
        with np.load(cache) as kept:
            images, captions, owner = kept["images"], kept["captions"], kept["owner"]
    else:
        found = embed_records(encoder, pairs.root, records)
        images, captions, owner = (part.numpy() for part in (found.image, found.text, found.owner))
        if cache:
            np.savez(cache, images=images, captions=captions, owner=owner)
    absent = [sentence for line in ABSENT.split("\n") for sentence in line.split("|")]
    vectors = encoder.encode_texts(absent), encoder.encode_texts(background_sentences())
    return Gallery(images, captions, owner, *vectors), facts


def report(rows: Sequence[Judged], parts: Sequence[Judged], gallery: Gallery, facts: dict[str, Any], seed: int) -> str:
    """The table in Markdown, with its protocol."""
    title = ["Is there a match?", *MEASURES, "off-topic sentences accepted"]
    table = [title, ["---"] * len(title), *([row.name, *cells(row, seed)] for row in rows)]
    said = parts[0]
    low, high = np.quantile(resampled_error(said, seed), [0.025, 0.975])
    error = calibration_error(said.probability, said.truth)
    lines = ["| " + " | ".join(row) + " |" for row in table]
    judged = rows[0]
    return "\n".join([
        *lines,
        "",
        f"Each of the ten best hits, is it the one? ECE {error:.3f} [{low:.3f}, {high:.3f}], "
        f"AUROC {area(said.probability, said.truth):.3f}, {said.truth.mean():.1%} of {len(said.truth):,} are.",
        "",
        *(verdicts(row) for row in rows if row.threshold is not None),
        "",
        f"Protocol: {facts}; gallery {len(gallery.images):,} pictures, {len(gallery.captions):,} captions; fitted on "
        f"{lent_of(len(gallery.captions) - len(judged.truth)):,} captions of one half of the pictures, judged on the "
        f"{len(judged.truth):,} captions of the other half, the right picture and its captions removed for "
        f"{int((~judged.truth).sum()):,} of them; a query is left out of its picture's captions; "
        f"ECE in {BINS} bins of equal width; raw cosines have a logistic of their own; "
        f"95 % bootstrap over pictures, {SAMPLES:,} samples; {len(gallery.absent)} off-topic sentences (in the file), "
        f"accepted at the threshold that 90 % of queries with a match reach; seed {seed}.",
    ])  # fmt: skip


def verdicts(row: Judged) -> str:
    """Of how many queries the index says that nothing matches."""
    threshold = row.threshold or 0.0
    parts = (("with a match", row.probability[row.truth]), ("with the match removed", row.probability[~row.truth]))
    shares = [f"{(said < threshold).mean():.1%} {name}" for name, said in (*parts, ("off-topic", row.absent))]
    return f'{row.name}: says "nothing matches" (p < {threshold:.2f}) of queries ' + ", ".join(shares) + "."


def resampled_error(judged: Judged, seed: int) -> list[float]:
    """Calibration errors of bootstrap samples over pictures."""
    rng = np.random.default_rng(seed)
    pictures, place = np.unique(judged.picture, return_inverse=True)
    rows = [np.flatnonzero(place == number) for number in range(len(pictures))]
    samples = (np.concatenate([rows[n] for n in rng.integers(len(rows), size=len(rows))]) for _ in range(SAMPLES // 5))
    return [calibration_error(judged.probability[sample], judged.truth[sample]) for sample in samples]


def plot(rows: Sequence[Judged], path: Path) -> None:
    """The reliability diagram: what was said against what was true, bin by bin, with each bin's share below."""
    from crossmodal.plots import save_figure
    from crossmodal.plots.canvas import blank, finish

    figure = blank(10, 5.6, False)
    axes = figure.subplots(2, len(rows), sharex=True, squeeze=False, height_ratios=[4, 1])
    for (upper, lower), row in zip(axes.T, rows, strict=True):
        bins = np.minimum((row.probability * BINS).astype(int), BINS - 1)
        used = np.unique(bins)
        upper.plot([0, 1], [0, 1], color="#8a8f98", linestyle=":")
        upper.plot([row.probability[bins == b].mean() for b in used], [row.truth[bins == b].mean() for b in used], "o-")
        upper.set(
            xlim=(0, 1), ylim=(0, 1), title=f"{row.name}\nECE {calibration_error(row.probability, row.truth):.3f}"
        )
        lower.bar((np.arange(BINS) + 0.5) / BINS, np.bincount(bins, minlength=BINS) / len(bins), width=0.9 / BINS)
        lower.set(xlabel="probability of a match, as said")
    axes[0, 0].set(ylabel="share with a match")
    axes[1, 0].set(ylabel="share of queries")
    finish(figure)
    save_figure(figure, path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=STARTER, metavar="DIR")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--captions", type=Path, required=True, metavar="FILE")
    parser.add_argument("--split", type=Path, required=True, metavar="FILE", help="list of the pictures to judge on")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keep the vectors here for the next run")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the reliability diagram")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    gallery, facts = embed(options)
    rows, parts = judge(gallery, options.seed)
    print(report(rows, parts, gallery, facts, options.seed))
    if options.plot:
        plot([row for row in rows if row.name in {"raw cosine", "pictures and captions, normalised (the index)"}],
             options.plot)  # fmt: skip
        print(f"drawn: {shlex.quote(str(options.plot))}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
