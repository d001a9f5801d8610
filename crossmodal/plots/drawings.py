"""Pictures of pictures: what a search found, what a decoder draws, and where a score comes from.

Every function returns a sheet of its own.

A picture comes opened or as the path of a file. One that cannot be read is drawn as a grey box with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import ImageError, InputError
from crossmodal.images.decode import load_image
from crossmodal.plots.canvas import blank, finish, ink, paper, shortened, wrapped
from crossmodal.plots.overlay import colour, heat_picture, strongest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL.Image import Image

    from crossmodal.inference.explain import Explanation, Likeness
    from crossmodal.search.searcher import Hit

__all__ = ["caption_with_pictures", "explained_pair", "explained_pictures", "picture_with_captions", "reconstructions"]

MOST = 100
COLUMNS = 5
PAIRS_A_ROW = 8
PIXELS = 360
ACCENT = "#2E86AB"
GREY = "#9AA3AE"
MOST_WORDS = 30
WORDS_A_ROW = 6
SIGNS = "blue speaks against"
MATCHES = 5


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

    image_paths: where the picture of each hit lies.
    asked: a picture that was asked with, drawn first.

    Under each picture stands the caption that was found, else the picture's name.

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

    drawn: (N, 28, 28) grey values in [0, 1].
    cosines: N values in [-1, 1].
    names: N texts.

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


def explained_pair(picture: Image, explanation: Explanation, text: str, dark: bool = False) -> Figure:
    """Where a score comes from: the picture under the heat of the whole sentence, and once small for each word.

    picture: the part that the places cover, see `seen_box`. Beyond 30 words, those of the largest shares. Small
    pictures have one scale of colours, the large one its own. An approximate explanation has a bar a word instead.
    """
    words = len(explanation.words) if explanation.exact else 0
    rows = -(-min(words, MOST_WORDS) // WORDS_A_ROW)
    figure = blank(13.5, max(5.0, 1.3 + 1.75 * rows), dark)
    outer = figure.add_gridspec(1, 2, width_ratios=(1.0, 1.55))
    large = figure.add_subplot(outer[0, 0], anchor="N")
    places = explanation.place_shares
    name = f"share of the score, all words ({SIGNS})" if explanation.exact else f"weight by {explanation.method}"
    if places is None or explanation.shape is None:
        _draw_picture(large, picture, dark)
        large.set_xlabel("no heat: this image tower has no feature map")
    else:
        _legend(figure, _heat(large, picture, places.reshape(explanation.shape), strongest(places), 2), [large], name)
    head = f"score {explanation.score:.3f}"
    if explanation.matrix is not None and explanation.shape is not None:
        chosen = np.sort(np.argsort(-np.abs(explanation.word_shares), kind="stable")[:MOST_WORDS])
        head += f" = words and places {explanation.matrix.sum():.3f} {explanation.bias:+.3f} bias, {explanation.method}"
        head += "" if len(chosen) == words else f" · {len(chosen)} of {words} words"
        inner = outer[0, 1].subgridspec(rows, min(WORDS_A_ROW, len(chosen)))
        limit, small = strongest(explanation.matrix[chosen]), []
        for number, row in enumerate(chosen):
            small.append(figure.add_subplot(inner[number // WORDS_A_ROW, number % WORDS_A_ROW]))
            drawn = _heat(small[-1], picture, explanation.matrix[row].reshape(explanation.shape), limit)
            label = shortened(explanation.words[row], 15)
            small[-1].set_title(f"{label}\n{explanation.word_shares[row]:+.3f}", fontsize=8, color=ink(dark))
        _legend(figure, drawn, small, f"share of the score, each word ({SIGNS})")
    else:
        head += f" · {explanation.method}"
        _word_bars(figure.add_subplot(outer[0, 1], facecolor=paper(dark)), explanation, dark)
    figure.suptitle(f"{wrapped(text, 120)}\n{head}", fontsize=11, color=ink(dark))
    finish(figure, dark)
    return figure


def explained_pictures(first: Image, second: Image, likeness: Likeness, dark: bool = False) -> Figure:
    """Two pictures under the heat of what makes them alike, with the best matching places numbered in both."""
    figure = blank(11.0, 5.4, dark)
    grid = figure.add_gridspec(1, 2)
    heats = [heat for heat in (likeness.first, likeness.second) if heat is not None]
    limit = strongest(np.concatenate(heats)) if heats else 1.0
    matches = likeness.matches(MATCHES) if likeness.exact else ()
    sides = (first, likeness.first, likeness.shapes[0]), (second, likeness.second, likeness.shapes[1])
    for side, (picture, heat, shape) in enumerate(sides):
        axes = figure.add_subplot(grid[0, side])
        if heat is None or shape is None:
            _draw_picture(axes, picture, dark)
            continue
        drawn = _heat(axes, picture, heat.reshape(shape), limit, 2)
        right, bottom = axes.get_xlim()[1], axes.get_ylim()[0]
        for number, match in enumerate(matches, 1):
            row, column = match.second if side else match.first
            place = (column + 0.5) / shape[1] * right, (row + 0.5) / shape[0] * bottom
            style: dict[str, Any] = {"boxstyle": "circle", "facecolor": "#FFFFFF", "edgecolor": colour(1)}
            axes.text(*place, str(number), fontsize=9, color="#000000", ha="center", va="center", bbox=style)
    if heats:
        name = f"share of the score ({SIGNS})" if likeness.exact else f"weight by {likeness.method}"
        _legend(figure, drawn, figure.axes[:2], name)
    numbered = " · equal numbers match" if matches else ""
    figure.suptitle(f"score {likeness.score:.3f} · {likeness.method}{numbered}", fontsize=11, color=ink(dark))
    finish(figure, dark)
    return figure


def _heat(axes: Axes, picture: Image, values: NDArray[np.float64], limit: float, size: int = 1) -> Any:
    """A picture under the heat of signed values (h, w), which all of it is covered by; gives what a legend needs."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    _bare(axes)
    shown = picture.convert("RGB")
    shown.thumbnail((size * PIXELS, size * PIXELS))
    axes.imshow(np.asarray(heat_picture(shown, values, (0, 0, *shown.size), limit)))
    colours = ListedColormap([colour(strength) for strength in np.linspace(-1, 1, 255)])
    return ScalarMappable(Normalize(-limit, limit), colours)


def _legend(figure: Figure, drawn: Any, axes: Sequence[Axes], name: str) -> None:
    bar = figure.colorbar(drawn, ax=list(axes), location="bottom", shrink=0.7, aspect=40, pad=0.02, panchor=False)
    bar.set_label(name)
    bar.ax.locator_params(nbins=5)


def _word_bars(axes: Axes, explanation: Explanation, dark: bool) -> None:
    chosen = np.sort(np.argsort(-np.abs(explanation.word_shares), kind="stable")[:MOST_WORDS])
    values = explanation.word_shares[chosen]
    axes.barh(range(len(chosen)), values, color=[colour(np.sign(value)) for value in values])
    axes.set_yticks(range(len(chosen)), [shortened(explanation.words[row], 20) for row in chosen])
    axes.invert_yaxis()
    axes.axvline(0, color=ink(dark), linewidth=0.6)
    axes.set_xlabel("weight by gradient × input (approximate, adds up to nothing)")


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
