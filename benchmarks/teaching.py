"""What does teaching bring, what does it cost, and what is forgotten?

    python -m benchmarks.teaching --index indexes/photos --also indexes/other
    python -m benchmarks.teaching --class-folders cifar10/train --also indexes/other

Teaches the index's checkpoint its captions and prints recall on the held-out part before and after, the old skill
(generated scenes, and the captions of other indexes of the same checkpoint, none of which is trained on), and every
mixture of old and new weights with what it would have given. With --class-folders the index is made here, a picture in
a folder "cat" gets the caption "a photo of a cat", and a hit is any picture or caption of the right class. The index
and its checkpoint stay as they are; the candidate is thrown away.
"""

from __future__ import annotations

import argparse
import csv
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from crossmodal.errors import CrossmodalError, InputError
from crossmodal.evaluation.retrieval import Report
from crossmodal.finetune import TeachResult, teach
from crossmodal.finetune.heads import maps_between
from crossmodal.finetune.judging import ranks_on
from crossmodal.finetune.maps import Maps
from crossmodal.finetune.split import SplitVectors, split_index
from crossmodal.images.decode import list_images
from crossmodal.index import build_index, check_encoder, open_index
from crossmodal.inference.base import Encoder
from crossmodal.inference.encoder import open_encoder
from crossmodal.models.checkpoint_files import STARTER
from crossmodal.progress import Bar
from crossmodal.search.searcher import recorded_checkpoint


def class_index(folder: Path, index: Path, encoder: Encoder) -> None:
    """Index class folders, each picture captioned by the name of its folder."""
    names = list_images(folder)
    classes = {Path(name).parts[0] for name in names if len(Path(name).parts) > 1}
    if len(classes) < 2:
        raise InputError(f"{folder} holds no class folders: name one with a folder a class")
    captions = index.with_suffix(".csv")
    with captions.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("image", "caption"))
        rows.writerows((name, f"a photo of {_article(Path(name).parts[0])}") for name in names)
    build_index(folder, captions, encoder, index)


def _article(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def mixed(maps: Maps | None, share: float, dimension: int) -> Maps:
    """Identity and map in the given share of the map."""
    same = np.eye(dimension, dtype=np.float32)
    if maps is None:
        return Maps(same, same)
    return Maps(same + share * (maps.image - same), same + share * (maps.text - same))


def recall_on(split: SplitVectors, maps: Maps) -> float:
    """Mean of the six recalls of all captioned pictures of another index, in percent."""
    rows = np.sort(np.concatenate([split.train, split.validation, split.held_out]))
    return ranks_on(split, rows, maps).metrics["rsum"] / 6


def table(taught: TeachResult) -> str:
    """Before and after."""
    lines = [
        "| | pictures | image → text R@1 / 5 / 10 | text → image R@1 / 5 / 10 | rsum (95 % interval) |",
        "|---|---|---|---|---|",
        _row("held out, before", taught.before),
        _row("held out, after", taught.after),
    ]
    for name, both in taught.skills.items():
        lines += [_row(f"{name}, {when}", report) for when, report in zip(("before", "after"), both, strict=True)]
    return "\n".join(lines)


def _row(name: str, report: Report) -> str:
    sides = (
        " / ".join(f"{side[f'R@{k}']:.1f}" for k in (1, 5, 10)) for side in (report.image_to_text, report.text_to_image)
    )
    low, high = report.intervals["rsum"]
    cells = [name, f"{report.protocol['pictures']:,}", *sides, f"{report.rsum:.1f} ({low:.1f} to {high:.1f})"]
    return f"| {' | '.join(cells)} |"


def mixtures(taught: TeachResult, others: dict[str, SplitVectors], maps: Maps | None, dimension: int) -> str:
    """A line a share of the new weights, mean recalls in percent."""
    lines = [
        f"| new weights | validation loss | held out | {' | '.join([*taught.skills, *others])} |",
        "|---|---|---|" + "---|" * (len(taught.skills) + len(others)),
    ]
    for choice in taught.choices:
        if choice.recall is None:
            continue
        share = choice.alpha / taught.alpha if taught.alpha else 0.0
        known = maps is not None or not choice.alpha
        found = [
            f"{recall_on(split, mixed(maps, share, dimension)):.1f}" if known else "–" for split in others.values()
        ]
        skills = [f"{value:.1f}" for value in choice.skills.values()]
        name = f"**{choice.alpha:g}, chosen**" if choice.alpha == taught.alpha else f"{choice.alpha:g}"
        cells = [name, f"{choice.loss:.4f}", f"{choice.recall:.1f}", *skills, *found]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def run(index: Path, also: Sequence[Path], keep: Sequence[Path], seed: int, folder: Path) -> None:
    """Teach an index and print what came of it."""
    manifest = open_index(index).manifest
    source = recorded_checkpoint(manifest, index)
    worked = time.process_time()
    with Bar() as bar:
        taught = teach(index, folder / "candidate", seed=seed, keep=keep, progress=bar.show, remember=False)
    worked = time.process_time() - worked
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    encoder = open_encoder(source)
    others = {}
    for path in also:
        other = open_index(path)
        check_encoder(other.manifest, encoder, path)
        others[path.name] = split_index(other, encoder, seed)
    maps = None if taught.candidate is None else maps_between(source, taught.candidate)
    train, validation, held = taught.pictures
    print(f"{index.name}, {manifest.checkpoint['name']} {str(manifest.checkpoint['fingerprint'])[:12]}: ", end="")
    print(f"taught {train:,} pictures, chosen on {validation:,}, judged on {held:,}, seed {seed}; ", end="")
    print(f"{taught.seconds:.0f} s by the clock, {worked:.0f} s on the processor, at most {memory:.1f} GB resident")
    print(f"\n{table(taught)}\n")
    print(f"Mean of the six recalls in per cent:\n\n{mixtures(taught, others, maps, manifest.dimension)}\n")
    print(taught.verdict)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--index", type=Path, metavar="DIR", help="to be taught; it stays as it is")
    what.add_argument("--class-folders", type=Path, metavar="DIR", help="a folder a class, to be indexed and taught")
    parser.add_argument("--checkpoint", type=Path, default=STARTER, metavar="DIR", help="for --class-folders")
    parser.add_argument("--also", type=Path, nargs="*", default=[], metavar="DIR", help="indexes of the old skill")
    parser.add_argument("--keep", type=Path, nargs="*", default=[], metavar="DIR", help="indexes that must not suffer")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    options = parser.parse_args(arguments)
    try:
        with TemporaryDirectory() as folder:
            index = options.index
            if index is None:
                index = Path(folder) / options.class_folders.resolve().name
                class_index(options.class_folders, index, open_encoder(options.checkpoint))
            run(index, options.also, options.keep, options.seed, Path(folder))
    except CrossmodalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
