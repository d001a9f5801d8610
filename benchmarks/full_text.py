"""Are pictures better found by vectors, by words, or by both together?

    python -m benchmarks.full_text --images Images --captions captions.txt --split Flickr_8k.devImages.txt

A gallery of the split is built twice, as anybody would build it. Captioned: every picture with its captions but the
first, which asks for it. Named: without captions, every file named after its second caption ("two-dogs-run.jpg"), as
people name files. Each first caption then looks for its picture by every way of `Searcher.search`.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from crossmodal.datasets.records import Record, load_pairs
from crossmodal.datasets.splits import listed_records
from crossmodal.errors import CrossmodalError
from crossmodal.index import build_index, split_words
from crossmodal.inference.encoder import open_encoder
from crossmodal.models.checkpoint_files import STARTER
from crossmodal.search.searcher import Searcher, open_searcher

RANKS = (1, 5, 10)
WAYS = {"captioned": ("pictures", "captions", "both", "words", "all"), "named": ("pictures", "words", "all")}


def build(gallery: str, records: Sequence[Record], root: Path, folder: Path, checkpoint: Path) -> list[str]:
    """Make a gallery and its index in a folder; returns the name that each record's picture has there."""
    names = [
        record.image if gallery == "captioned" else f"{'-'.join(split_words(record.captions[1]))[:100]}-{row}.jpg"
        for row, record in enumerate(records)
    ]
    (folder / "photos").mkdir(parents=True)
    for name, record in zip(names, records, strict=True):
        shutil.copyfile(root / record.image, folder / "photos" / name)
    captions = folder / "captions.csv"
    with captions.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "caption"])
        rows.writerows([name, text] for name, each in zip(names, records, strict=True) for text in each.captions[1:])
    said = captions if gallery == "captioned" else None
    build_index(folder / "photos", said, open_encoder(checkpoint), folder / "index")
    return names


def ranks(searcher: Searcher, records: Sequence[Record], names: Sequence[str], way: str) -> tuple[list[int], float]:
    """Rank of each picture for its first caption, a large number where it is not found; median seconds of a search."""
    found, times = list[int](), list[float]()
    for name, record in zip(names, records, strict=True):
        started = time.perf_counter()
        paths = [hit.path for hit in searcher.search(record.captions[0], max(RANKS), "images", by=way)]
        times.append(time.perf_counter() - started)
        found.append(paths.index(name) + 1 if name in paths else sys.maxsize)
    return found, float(np.median(times))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.full_text", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--captions", type=Path, required=True, metavar="FILE")
    parser.add_argument("--split", type=Path, metavar="FILE", help="a list of the photos to take")
    parser.add_argument("--checkpoint", type=Path, default=STARTER, metavar="DIR")
    options = parser.parse_args(arguments)
    try:
        pairs = load_pairs(options.images, options.captions)
        records = [record for record in listed_records(pairs.records, options.split) if len(record.captions) > 1]
        print(f"{len(records):,} pictures, each asked for by one caption")
        print("| gallery | by | " + " | ".join(f"R@{rank}" for rank in RANKS) + " | ms |\n|---|---|---|---|---|---|")
        for gallery, ways in WAYS.items():
            with tempfile.TemporaryDirectory() as room:
                names = build(gallery, records, pairs.root, Path(room) / gallery, options.checkpoint)
                searcher = open_searcher(Path(room) / gallery / "index", options.checkpoint)
                for way in ways:
                    found, seconds = ranks(searcher, records, names, way)
                    shares = " | ".join(f"{100 * np.mean(np.array(found) <= rank):.1f}" for rank in RANKS)
                    print(f"| {gallery} | {way} | {shares} | {1e3 * seconds:.1f} |", flush=True)
    except CrossmodalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
