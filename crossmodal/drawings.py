"""Pictures of pictures: what a search found, and what a decoder draws. Every function returns a sheet of its own.

A picture comes opened or as the path of a file. One that cannot be read is drawn as a grey box with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crossmodal.canvas import blank, finish, ink, paper, shortened, wrapped
from crossmodal.data.images import load_image
from crossmodal.errors import ImageError, InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL.Image import Image

    from crossmodal.search import Hit

__all__ = ["caption_with_pictures", "picture_with_captions", "reconstructions"]

MOST = 100
COLUMNS = 5
PAIRS_A_ROW = 8
PIXELS = 360
ACCENT = "#2E86AB"
GREY = "#9AA3AE"


def picture_with_captions(picture: Path | Image, hits: Sequence[Hit], title: str = "", dark: bool = False) -> Figure:
    """A picture with its best captions, best first, each with its score; beyond 100 the rest is left out.

    Raises InputError if there is no hit.
    """
    shown = _leading(hits)
    figure = blank(11.5, max(4.0, 1.1 + 0.52 * len(shown)), dark)
    grid = figure.add_gridspec(1, 2, width_ratios=(1.0, 1.7))
    _draw_picture(figure.add_subplot(grid[0, 0]), picture, dark)
    axes = figure.add_subplot(grid[0, 1], facecolor=paper(dark))
    axes.set_xlim(0, 1)
    axes.set_ylim(len(shown) - 0.4, -1.1)
    _bare(axes)
    judged = any(hit.probability is not None for hit in shown)
    columns = ((0.0, "cosine"), (0.12, "probability")) if judged else ((0.0, "cosine"),)
    for left, name in columns:
        axes.text(left, -0.85, name, fontsize=8, color=GREY, va="center")
    starts = 0.26 if judged else 0.12
    for row, hit in enumerate(shown):
        axes.axhline(row - 0.5, color=GREY, alpha=0.3, linewidth=0.6)
        axes.text(0.0, row, f"{hit.score:.3f}", fontsize=9.5, color=ACCENT, va="center")
        if hit.probability is not None:
            axes.text(0.12, row, f"{hit.probability:.2f}", fontsize=9.5, color=ACCENT, va="center")
        words = wrapped(hit.caption if hit.caption is not None else hit.path, 66 if judged else 80)
        axes.text(starts, row, words, fontsize=9.5, color=ink(dark), va="center", linespacing=1.25)
    for text in axes.texts:
        text.set_in_layout(False)  # a long line must not make the picture small
    _head(figure, title or "The best captions of a picture", hits, dark)
    return figure


def caption_with_pictures(
    text: str,
    hits: Sequence[Hit],
    image_paths: Sequence[Path],
    asked: Path | Image | None = None,
    dark: bool = False,
) -> Figure:
    """What was asked with its best pictures, best first, each with its score; beyond 100 the rest is left out.

    image_paths: where the picture of each hit lies. asked: a picture that was asked with, drawn first. Under each
    picture stands the caption that was found, else the picture's name.

    Raises InputError if there is no hit, or not one path a hit.
    """
    shown = _leading(hits)
    if len(hits) != len(image_paths):
        raise InputError(f"{len(image_paths)} paths for {len(hits)} hits: give the path of each hit's picture")
    tiles: list[tuple[Path | Image, str, str]] = [] if asked is None else [(asked, "asked with", text)]
    tiles += [
        (path, f"{hit.rank} · {_score(hit)}", hit.path if hit.caption is None else hit.caption)
        for hit, path in zip(shown, image_paths, strict=False)
    ]
    rows, columns = -(-len(tiles) // COLUMNS), min(COLUMNS, len(tiles))
    figure = blank(max(2.5 * columns, 6.0), 0.6 + 2.95 * rows, dark)
    grid = figure.add_gridspec(rows, columns)
    for number, (picture, above, below) in enumerate(tiles):
        axes = figure.add_subplot(grid[number // columns, number % columns])
        _draw_picture(axes, picture, dark)
        axes.set_title(above, fontsize=9, color=ACCENT)
        axes.set_xlabel(wrapped(below, 32))
    _head(figure, text, hits, dark)
    return figure


def reconstructions(
    originals: Sequence[Image],
    drawn: NDArray[np.float32],
    cosines: Sequence[float],
    names: Sequence[str],
    dark: bool = False,
) -> Figure:
    """N originals, each above its reconstruction, with the cosine between the embeddings of the two.

    drawn: (N, 28, 28) grey values in [0, 1]. cosines: N values in [-1, 1]. names: N texts.

    Raises InputError if there is no picture, or if the four differ in length.
    """
    total = len(originals)
    if not total or not total == len(drawn) == len(cosines) == len(names):
        raise InputError(f"{total} originals, {len(drawn)} reconstructions, {len(cosines)} cosines, {len(names)} names")
    rows, columns = -(-total // PAIRS_A_ROW), min(PAIRS_A_ROW, total)
    figure = blank(max(1.25 * columns, 5.0), 0.7 + 2.75 * rows, dark)
    grid = figure.add_gridspec(2 * rows, columns)
    for number, (original, redrawn, cosine, name) in enumerate(zip(originals, drawn, cosines, names, strict=True)):
        row, column = 2 * (number // PAIRS_A_ROW), number % PAIRS_A_ROW
        above, below = (figure.add_subplot(grid[row + step, column]) for step in (0, 1))
        _draw_picture(above, original, dark)
        _bare(below)
        below.imshow(redrawn, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        above.set_title(shortened(name, 14), fontsize=8, color=ink(dark))
        below.set_xlabel(f"{cosine:.3f}")
        if column == 0:
            above.set_ylabel("original")
            below.set_ylabel("reconstruction")
    figure.suptitle(
        f"{total} pictures and what the decoder draws of their vectors · mean cosine {float(np.mean(cosines)):.3f}",
        fontsize=10,
        color=ink(dark),
    )
    finish(figure, dark)
    return figure


def _leading(hits: Sequence[Hit]) -> Sequence[Hit]:
    if not hits:
        raise InputError("there is no hit to draw: search for something else, or for more with -k")
    return hits[:MOST]


def _score(hit: Hit) -> str:
    return f"{hit.score:.3f}" if hit.probability is None else f"{hit.score:.3f} · probability {hit.probability:.2f}"


def _head(figure: Figure, title: str, hits: Sequence[Hit], dark: bool) -> None:
    left_out = f" · the first {MOST} of {len(hits)}" if len(hits) > MOST else ""
    width = int(9 * figure.get_figwidth())
    figure.suptitle(wrapped(title, width) + left_out, fontsize=12, color=ink(dark))
    finish(figure, dark)


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_picture(axes: Axes, picture: Path | Image, dark: bool) -> None:
    _bare(axes)
    try:
        image = (load_image(picture) if isinstance(picture, Path) else picture).convert("RGB")
    except ImageError as error:
        axes.imshow(np.full((3, 3, 3), 40 if dark else 222, dtype=np.uint8))
        axes.text(1, 1, wrapped(error.reason, 22, 4), ha="center", va="center", fontsize=8, color=ink(dark))
        return
    small = max(image.size) <= 64
    image.thumbnail((PIXELS, PIXELS))
    axes.imshow(np.asarray(image), interpolation="nearest" if small else "antialiased")
