"""The command `explain`: which words and which places a score comes from."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from crossmodal.errors import InputError
from crossmodal.models.checkpoint_files import STARTER

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from PIL.Image import Image

    from crossmodal.inference.explain import Explanation, Likeness

BAR = 30  # letters of the longest bar
NOISE = 1e-7  # weights below it are rounding


def add_explain_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `explain`."""
    parser.add_argument("--checkpoint", type=Path, default=STARTER, metavar="DIR", help="default: the starter")
    parser.add_argument("--image", type=Path, required=True, metavar="FILE")
    other = parser.add_mutually_exclusive_group(required=True)
    other.add_argument("--text", metavar="WORDS", help="a sentence")
    other.add_argument("--other", type=Path, metavar="FILE", help="a second picture: where are the two alike?")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw the picture under the heat of all and each word"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object: score = sum of matrix + bias")
    parser.epilog = (
        "Where both towers average and project linearly the shares are exact and add up to the score; elsewhere "
        "Grad-CAM and gradient × input are shown, labelled approximate."
    )


def run_explain(options: argparse.Namespace) -> int:
    """Print the score and what it is made of."""
    from crossmodal.images.decode import load_image
    from crossmodal.inference.backends.background_export import export_in_background
    from crossmodal.inference.encoder import open_encoder
    from crossmodal.inference.explain import explain, explain_images, seen_box
    from crossmodal.plots import save_figure

    if options.text is not None and not options.text.strip():
        raise InputError("the --text is empty: give a sentence")
    pictures = [load_image(path) for path in (options.image, options.other) if path is not None]
    encoder = open_encoder(options.checkpoint)
    fit = encoder.preprocessing["image"]["fit"]
    found: Explanation | Likeness
    if options.other is None:
        found = explain(encoder, pictures[0], options.text)
        lines = _sentence_lines(found)
    else:
        found = explain_images(encoder, pictures[0], pictures[1])
        lines = _picture_lines(found)
    if options.plot:
        seen = [picture.crop(seen_box(picture, fit)) for picture in pictures]
        save_figure(_figure(seen, found, options), options.plot)
    if options.json:
        print(json.dumps(found.as_dict(), ensure_ascii=False))
    else:
        print(f"score {found.score:.4f}  {found.method}")
        print("\n".join(lines))
    if encoder.runtime == "torch":
        export_in_background(encoder.path)
    return 0


def _figure(seen: Sequence[Image], found: Explanation | Likeness, options: argparse.Namespace) -> Figure:
    from crossmodal.inference.explain import Likeness
    from crossmodal.plots.drawings import explained_pair, explained_pictures

    if isinstance(found, Likeness):
        return explained_pictures(seen[0], seen[1], found)
    return explained_pair(seen[0], found, options.text)


def _sentence_lines(found: Explanation) -> Iterator[str]:
    """Words in the order of the sentence with a bar each, the bias, and the grid of places."""
    rows = list(zip(map(_printable, found.words), found.word_shares.tolist(), strict=True))
    if found.bias is not None:
        rows.append(("(bias)", found.bias))
    largest = max((abs(share) for _, share in rows if abs(share) > NOISE), default=1.0)
    scale, digits = (1.0, 4) if found.exact else (largest, 2)
    yield "words, by their share of the score" if found.exact else "words, by gradient × input, largest = 1"
    for word, share in rows:
        bar = ("+" if share > 0 else "-") * round(BAR * abs(share) / largest)
        yield f"{share / scale:+.{digits}f}  {bar:<{BAR}}  {word}"
    if found.unread:
        yield f"not read, since the sentence is too long: {_printable(found.unread)}"
    if found.place_shares is None:
        yield "places: none, this image tower has no feature map"
    else:
        yield from _grid_lines("places", found.place_shares, found.shape, found.exact)


def _printable(text: str) -> str:
    return text if text.isprintable() else repr(text)


def _picture_lines(found: Likeness) -> Iterator[str]:
    """The best matches, the bias, and the grids of both pictures."""
    if found.exact:
        yield "best matching places, (row, column) from 1"
        for match in found.matches():
            first, second = ((row + 1, column + 1) for row, column in (match.first, match.second))
            yield f"{match.share:+.5f}  {first} with {second}"
        yield f"{found.bias:+.5f}  (bias)"
    for name, heat, shape in zip(
        ("first picture", "second picture"), (found.first, found.second), found.shapes, strict=True
    ):
        if heat is None:
            yield f"{name}: no places, this image tower has no feature map"
        else:
            yield from _grid_lines(name, heat, shape, found.exact)


def _grid_lines(name: str, values: NDArray[np.float64], shape: tuple[int, int] | None, exact: bool) -> Iterator[str]:
    """Signed whole numbers, row by row."""
    largest = max(float(abs(values).max()), NOISE)
    yield f"{name}, in thousandths of the score" if exact else f"{name}, by Grad-CAM, largest = 100"
    numbers = values * 1000 if exact else values / largest * 100
    for row in numbers.reshape(shape):
        yield " ".join(f"{round(value):+4d}" if round(value) else "   ·" for value in row.tolist())
