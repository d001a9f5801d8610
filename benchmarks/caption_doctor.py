"""Does the caption doctor find wrong captions? Some are swapped on purpose, then it ranks all.

    python -m benchmarks.caption_doctor --index indexes/flickr8k --split Flickr_8k.devImages.txt

A share of the captions trades places, each going to another picture; the rest of the index stays as it is. Every method
ranks all captions, the most suspicious first, and is judged by how many of the swapped ones are among the first so many
as were swapped, so a perfect method reaches 100 %, chance the share itself. The doctor fits its two weights on the
swapped gallery without being told which captions were swapped. Captions that were wrong from the start count against
every method.

Shapes: N pictures, M captions.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crossmodal.datasets.records import match_names
from crossmodal.datasets.splits import read_split_list
from crossmodal.errors import CrossmodalError, InputError
from crossmodal.gallery.caption_audit import Survey, belonging, survey
from crossmodal.index import Index, open_index
from crossmodal.progress import Bar

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
DOCTOR = "the doctor"


def part(index: Index, pictures: Rows, captions: Rows) -> Index:
    """The index of some of its pictures and some of their captions, both given by ascending rows."""
    place = {int(row): number for number, row in enumerate(pictures)}
    old = index.catalogue
    kept = tuple(replace(old.captions[row], picture=place[old.captions[row].picture]) for row in captions)
    catalogue = replace(old, pictures=tuple(old.pictures[row] for row in pictures), captions=kept)
    return Index(index.path, index.manifest, catalogue, index.image_vectors[pictures], index.caption_vectors[captions])


def owners(index: Index) -> Rows:
    """(M,): the row of each caption's picture."""
    return np.array([caption.picture for caption in index.catalogue.captions], dtype=np.int64)


def swapped(index: Index, share: float, rng: np.random.Generator) -> tuple[Index, NDArray[np.bool_]]:
    """The index with a share of its captions traded, none to its own picture, and which rows hold one (M,).

    Raises InputError if the share gives less than two captions, or all of one picture.
    """
    owner = owners(index)
    count = round(share * len(owner))
    for _ in range(1000):
        rows = rng.permutation(len(owner))[:count]
        if count > 1 and (owner[rows] != owner[np.roll(rows, 1)]).all():
            break
    else:
        raise InputError(f"{share} of {len(owner)} captions cannot be swapped between pictures: give another --share")
    source = np.arange(len(owner))
    source[rows] = np.roll(rows, 1)
    texts = [index.catalogue.captions[int(row)].text for row in source]
    captions = tuple(replace(caption, text=text) for caption, text in zip(index.catalogue.captions, texts, strict=True))
    catalogue = replace(index.catalogue, captions=captions)
    wrong = np.zeros(len(owner), dtype=bool)
    wrong[rows] = True
    return Index(index.path, index.manifest, catalogue, index.image_vectors, index.caption_vectors[source]), wrong


def methods(index: Index, found: Survey, rng: np.random.Generator) -> dict[str, Floats]:
    """How right each caption looks (M,), the lower the more suspicious, by method."""
    scores = {
        DOCTOR: belonging(index, found),
        "cosine with its two closest siblings": found.sibling,
        "cosine with its picture, in spreads above the caption's mean": (found.cosine - found.mean) / found.spread,
        "cosine with its picture": found.cosine,
        "rank of its picture": -found.rank.astype(np.float64),
        "chance": rng.random(len(found.cosine)),
    }
    return {name: values for name, values in scores.items() if np.isfinite(values).all()}


def found_share(right: Floats, wrong: NDArray[np.bool_]) -> float:
    """Share of the wrong captions among as many of the most suspicious, in [0, 1]."""
    count = int(wrong.sum())
    return float(wrong[np.argsort(right, kind="stable")[:count]].sum() / count)


def measure(index: Index, share: float, rng: np.random.Generator) -> tuple[dict[str, float], NDArray[np.int64]]:
    """What each method finds in one drawing; and (3,) of the captions that the doctor names, more likely a stranger's
    than their own: how many there are, how many of them were swapped, and how many were swapped in all."""
    changed, wrong = swapped(index, share, rng)
    scores = methods(changed, survey(changed), rng)
    named = scores[DOCTOR] < 0
    counts = np.array([named.sum(), (named & wrong).sum(), wrong.sum()])
    return {name: found_share(values, wrong) for name, values in scores.items()}, counts


def one_caption(index: Index, rng: np.random.Generator) -> Index:
    """The index with one caption of each picture that has any."""
    begin, many = index.caption_rows[:-1], np.diff(index.caption_rows)
    return part(index, np.arange(len(many)), begin[many > 0] + rng.integers(0, many[many > 0]))


def table(every: Sequence[dict[str, float]], single: Sequence[dict[str, float]], share: float) -> str:
    """A row a method: mean, standard deviation and extremes over the drawings, in both galleries."""
    title = f"| swapped captions among the first {share:.0%}, ranked by | all captions | one caption a picture |"
    return "\n".join(
        [title, "|---|---|---|", *(f"| {name} | {_cell(name, every)} | {_cell(name, single)} |" for name in every[0])]
    )


def _cell(name: str, found: Sequence[dict[str, float]]) -> str:
    if name not in found[0]:
        return "–"
    values = np.array([shares[name] for shares in found]) * 100
    spread = values.std(ddof=1) if len(values) > 1 else 0.0
    return f"{values.mean():.1f} % ± {spread:.1f} ({values.min():.1f} to {values.max():.1f})"


def chosen(index: Index, split: Path | None) -> Index:
    """The index, or the part of it that a list names. Raises InputError if that is none of its captioned pictures."""
    if split is None:
        return index
    names = match_names(read_split_list(split), list(index.row_of)).found.values()
    pictures = np.array(sorted(index.row_of[name] for name in names), dtype=np.int64)
    captions = np.flatnonzero(np.isin(owners(index), pictures))
    if not len(captions):
        raise InputError(f"{split} names no captioned picture of {index.path}: give another --split FILE")
    return part(index, pictures, captions)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=Path, required=True, metavar="DIR", help="made by build_index.py with captions")
    parser.add_argument("--split", type=Path, metavar="FILE", help="list of pictures to use; default: all")
    parser.add_argument("--share", type=float, default=0.05, metavar="X", help="of captions to swap (default 0.05)")
    parser.add_argument("--drawings", type=int, default=5, metavar="N", help="how many drawings (default 5)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the first drawing; the next has the next")
    options = parser.parse_args(arguments)
    try:
        if options.drawings < 1:
            raise InputError(f"--drawings must be at least 1, not {options.drawings}")
        index = chosen(open_index(options.index), options.split)
        every, single, named = [], [], np.zeros(3, dtype=np.int64)
        with Bar("drawings", "drawings") as bar:
            for number in range(options.drawings):
                rng = np.random.default_rng(options.seed + number)
                shares, counts = measure(index, options.share, rng)
                every.append(shares)
                named += counts
                single.append(measure(one_caption(index, rng), options.share, rng)[0])
                bar.update(number + 1, options.drawings)
    except CrossmodalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    manifest, catalogue = index.manifest, index.catalogue
    print(table(every, single, options.share))
    print(
        f"\nOf {named[0]:,} captions (of all) that the doctor names, {named[1] / max(named[0], 1):.0%} were swapped; "
        f"they are {named[1] / named[2]:.0%} of all that were.\n\nProtocol: {len(catalogue.pictures):,} pictures, "
        f"{len(catalogue.captions):,} captions ({options.split.name if options.split else 'all of the index'}), "
        f"checkpoint {manifest.checkpoint['name']} {str(manifest.checkpoint['fingerprint'])[:12]}; {options.drawings} "
        f"drawings from seed {options.seed}: mean ± standard deviation (worst to best); one caption a picture: one is "
        "drawn of each, the rest left out."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
