"""Do explanations point at what matters? Deletion and insertion curves of exact shares, Grad-CAM and chance.

    python -m benchmarks.faithfulness --images Images --captions captions.txt --split Flickr_8k.devImages.txt

Deletion fills places with the picture's mean colour, the most important first: the sooner the score falls, the better
(a small area). Insertion starts from a blurred picture and puts places back: the sooner the score rises, the better (a
large area). Areas are mean cosines over the curve. Source: Petsiuk et al. 2018, section 4.2 (their blank is grey).

Shapes: P = h·w places, S side in pixels, K steps + 1 points of a curve.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmodal.datasets.records import Record, load_pairs
from crossmodal.datasets.splits import listed_records
from crossmodal.errors import CrossmodalError, InputError
from crossmodal.images.decode import load_image
from crossmodal.inference.base import Encoder
from crossmodal.inference.encoder import open_encoder
from crossmodal.inference.explain import explain
from crossmodal.models.checkpoint_files import STARTER
from crossmodal.progress import Bar

Pixels = NDArray[np.uint8]
Array = NDArray[np.float64]
METHODS = ("exact shares", "Grad-CAM", "random order")
SAMPLES = 2000


def importance(encoder: Encoder, picture: Any, text: str, generator: np.random.Generator) -> tuple[Array, Any]:
    """How much each place matters by each of METHODS (3, P), and the grid (h, w)."""
    found = explain(encoder, picture, text)
    if not found.exact or found.place_shares is None or found.shape is None:
        raise InputError(f"{encoder.name} has no exact explanations to measure: name another with --checkpoint DIR")
    grad_cam = encoder.image_weights(picture, encoder.encode_texts([text])[0]).weights
    return np.stack([found.place_shares, np.asarray(grad_cam), generator.random(len(found.place_shares))]), found.shape


def curve_pictures(pixels: Pixels, blank: Pixels, order: NDArray[np.int64], grid: Any, steps: int) -> Iterator[Pixels]:
    """The picture with more and more of its places replaced by those of `blank`, in order, without either end."""
    side = pixels.shape[-1]
    rows, columns = (np.arange(side) * count // side for count in grid)
    place_of = rows[:, None] * grid[1] + columns  # (S, S)
    for step in range(1, steps):
        replaced = np.isin(place_of, order[: round(step * len(order) / steps)])
        yield np.where(replaced, blank, pixels)


def areas(encoder: Encoder, record: Record, root: Path, steps: int, generator: np.random.Generator) -> Array:
    """Areas under the deletion and insertion curves of one photo with its first caption: (methods, 2)."""
    from PIL import Image, ImageFilter

    picture, text = load_image(root / record.image), record.captions[0]
    shares, grid = importance(encoder, picture, text, generator)
    pixels = encoder.preprocess(picture)
    mean = np.broadcast_to(pixels.mean((1, 2), keepdims=True).round().astype(np.uint8), pixels.shape)
    soft = Image.fromarray(pixels.transpose(1, 2, 0)).filter(ImageFilter.GaussianBlur(pixels.shape[-1] / 16))
    blurred = np.asarray(soft).transpose(2, 0, 1)
    shown: list[Pixels] = [pixels, mean, blurred]  # the ends of every curve
    for values in shares:
        order = np.lexsort((generator.random(len(values)), -values))  # equal values in random order
        shown += curve_pictures(pixels, mean, order, grid, steps)
        shown += curve_pictures(blurred, pixels, order, grid, steps)
    scores = (encoder.encode_pixels(np.stack(shown)) @ encoder.encode_texts([text])[0]).astype(np.float64)
    ends = np.array([[scores[0], scores[1]], [scores[2], scores[0]]])  # of deletion and insertion
    inner = scores[3:].reshape(len(shares), 2, steps - 1)
    return np.asarray((inner.sum(-1) + ends.mean(-1)) / steps)  # trapezoids


def interval(values: Array, generator: np.random.Generator) -> str:
    """Mean and 95 % percentile bootstrap over photos."""
    means = values[generator.integers(len(values), size=(SAMPLES, len(values)))].mean(1)
    low, high = np.percentile(means, (2.5, 97.5))
    return f"{values.mean():+.4f} ({low:+.4f} to {high:+.4f})"


def table(found: Array, generator: np.random.Generator) -> str:
    """found: (N, methods, 2). A row a method, then the differences of exact shares to the others, photo by photo."""
    lines = ["| places in order of | deletion (less is better) | insertion (more is better) |", "|---|---|---|"]
    rows = {name: found[:, number] for number, name in enumerate(METHODS)}
    rows |= {f"{METHODS[0]} − {name}": rows[METHODS[0]] - rows[name] for name in METHODS[1:]}
    lines += [
        f"| {name} | {' | '.join(interval(values[:, kind], generator) for kind in (0, 1))} |"
        for name, values in rows.items()
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=STARTER, metavar="DIR", help="default: the starter")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--captions", type=Path, required=True, metavar="FILE")
    parser.add_argument("--split", type=Path, metavar="FILE", help="list of pictures to use; default: all")
    parser.add_argument("--count", type=int, default=200, metavar="N", help="photos, evenly from the split")
    parser.add_argument("--steps", type=int, default=10, metavar="N", help="of each curve (default 10)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of random order and bootstrap")
    options = parser.parse_args(arguments)
    try:
        encoder = open_encoder(options.checkpoint)
        pairs = load_pairs(options.images, options.captions)
        records = [record for record in listed_records(pairs.records, options.split) if record.captions]
        count = min(options.count, len(records))
        if min(count, options.steps) < 1:
            raise InputError("nothing to measure: give captioned pictures, --count and --steps of at least 1")
        chosen = [records[row * len(records) // count] for row in range(count)]
        generator = np.random.default_rng(options.seed)
        found = []
        with Bar("curves") as bar:
            for number, record in enumerate(chosen, 1):
                found.append(areas(encoder, record, pairs.root, options.steps, generator))
                bar.update(number, count)
    except CrossmodalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{encoder.name} {encoder.fingerprint[:12]}, {count} photos, {options.steps} steps, seed {options.seed}\n")
    print(table(np.stack(found), generator))
    return 0


if __name__ == "__main__":
    sys.exit(main())
