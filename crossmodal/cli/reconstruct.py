"""The command `reconstruct`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from crossmodal.errors import ImageError, InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from crossmodal.inference.base import Encoder

Item = TypeVar("Item")


def add_reconstruct_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `reconstruct`."""
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="DIR", help="one with a decoder")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--images", type=Path, metavar="DIR", help="folder of pictures")
    source.add_argument("--data", metavar="NAME", help="a labelled data set's test split, mnist for example")
    parser.add_argument("--root", type=Path, metavar="DIR", help="where the files of --data lie")
    parser.add_argument("--count", type=int, default=16, metavar="N", help="how many pictures (default 16)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the picture to write")


def run_reconstruct(options: argparse.Namespace) -> int:
    """Draw originals beside what the decoder makes of their vectors; prints the mean cosine of the embeddings."""
    from crossmodal.inference.encoder import open_encoder
    from crossmodal.plots import save_figure
    from crossmodal.plots.drawings import reconstructions

    if options.count < 1:
        raise InputError(f"--count must be at least 1, not {options.count}")
    if options.data is not None and options.root is None:
        raise InputError("--data needs --root DIR, where its files lie")
    encoder = open_encoder(options.checkpoint)
    if not encoder.can_decode:
        raise InputError(f"{options.checkpoint} has no decoder: {_decoder_advice()}")
    images, names = _folder_pictures(options) if options.data is None else _labelled_pictures(options, encoder)
    drawn, cosines = _redrawn(encoder, images)
    save_figure(reconstructions(images, drawn, cosines, names), options.out)
    print(f"mean cosine {sum(cosines) / len(cosines):.4f} of {len(images)} pictures: {options.out}")
    return 0


def _decoder_advice() -> str:
    from crossmodal.recipes import RECIPES

    names = [name for name, make in RECIPES.items() if make().decoder]
    return f"`python -m crossmodal train --recipe {' | '.join(names) or 'arcface'}` trains one"


def _folder_pictures(options: argparse.Namespace) -> tuple[list[Image], list[str]]:
    """Evenly from a folder, names with them; what cannot be read is left out and said."""
    from crossmodal.images.decode import list_images, load_image

    pictures, names = [], []
    for name in _evenly(list_images(options.images), options.count):
        try:
            pictures.append(load_image(options.images / name))
            names.append(name)
        except ImageError as error:
            print(f"left out: {error}", file=sys.stderr)
    if not pictures:
        raise InputError(f"no picture can be read below {options.images}: name another folder with --images DIR")
    return pictures, names


def _labelled_pictures(options: argparse.Namespace, encoder: Encoder) -> tuple[list[Image], list[str]]:
    """Evenly from a labelled test split, at the size the encoder sees, labels with them."""
    from PIL import Image as PictureFile

    from crossmodal.datasets.labelled.pictures import load_labelled

    data = load_labelled(options.data, options.root, "test", int(encoder.preprocessing["image"]["size"]))
    rows = _evenly(range(len(data.labels)), options.count)
    pictures = [PictureFile.fromarray(data.pixels[row].transpose(1, 2, 0)) for row in rows]
    return pictures, [data.label_names[data.labels[row]] for row in rows]


def _evenly(items: Sequence[Item], count: int) -> list[Item]:
    return [items[row * len(items) // count] for row in range(count)] if len(items) > count else list(items)


def _redrawn(encoder: Encoder, pictures: Sequence[Image]) -> tuple[NDArray[np.float32], list[float]]:
    """What the decoder draws of each picture's vector, (N, 28, 28), and the cosine of both pictures' vectors."""
    from PIL import Image as PictureFile

    vectors = encoder.encode_images(pictures)
    drawn = encoder.decode(vectors)
    again = encoder.encode_images(
        [PictureFile.fromarray((255 * grey).round().astype("uint8")).convert("RGB") for grey in drawn]
    )
    return drawn, (vectors * again).sum(axis=1).tolist()
