"""The project's pictures of numbers: similarity heatmaps and training curves.

Every function returns a sheet of its own (`crossmodal/canvas.py`). Pictures of pictures are in `drawings.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossmodal.canvas import blank, finish, ink, paper, shortened
from crossmodal.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["history_curves", "save_figure", "similarity_heatmap", "similarity_matrix"]

ANNOTATED_CELLS = 160
DIAGONAL_SAMPLE = 200
RECALLS = ("R@1", "R@5", "R@10")
RECALL_COLOURS = ("#E4572E", "#2E86AB", "#2A9D6F")
LOSS_COLOUR = "#7A5CC4"
SCORE_COLOURS = (*RECALL_COLOURS, "#D9A021", "#B0457B", "#5B7F1E", "#7A5CC4", "#6B7280")


def similarity_heatmap(
    similarity: NDArray[np.float32],
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    title: str = "",
    dark: bool = False,
) -> Figure:
    """Heatmap of a similarity matrix with its labels, cells annotated while they are few.

    similarity: (R, C) cosines in [-1, 1]. row_labels: R texts, column_labels: C texts; long ones are shortened and
    characters no installed font can draw are replaced by a box. dark: for a page with a dark background.

    Raises InputError if the matrix is empty, not two-dimensional or not finite, or if the labels do not fit its shape.
    """
    import seaborn

    matrix = _checked(similarity)
    rows, columns = matrix.shape
    if (len(row_labels), len(column_labels)) != (rows, columns):
        raise InputError(f"{len(row_labels)} row and {len(column_labels)} column labels for a {rows}×{columns} matrix")
    longest = max(len(shortened(label)) for label in row_labels)
    width, height = 2.4 + 0.07 * longest + 0.62 * columns, 1.7 + 0.4 * rows
    figure, axes = _blank_one(min(max(width, 9.0), 26.0), min(height, 24.0), dark)
    low, high = _colour_range(matrix)
    seaborn.heatmap(
        matrix,
        ax=axes,
        vmin=low,
        vmax=high,
        cmap="mako",
        linewidths=0.6 if matrix.size <= 2500 else 0.0,
        linecolor=figure.get_facecolor(),
        annot=matrix.size <= ANNOTATED_CELLS,
        fmt=".2f",
        annot_kws={"fontsize": 8},
        xticklabels=False,
        yticklabels=False,
        cbar_kws={"label": "cosine similarity" if rows > 3 else "", "fraction": 0.04, "pad": 0.02},
    )
    _tick_labels(axes, row_labels, column_labels)
    _titled(figure, axes, title, dark)
    return figure


def similarity_matrix(similarity: NDArray[np.float32], title: str = "", dark: bool = False) -> Figure:
    """Square similarity matrix of N pictures (rows) with their N captions (columns): training lights up the diagonal.

    similarity: (N, N) cosines, row i and column i belong together. Beyond 200 pairs an even sample of the pairs is
    drawn, since a diagonal thinner than a pixel would vanish; the title then says so.

    Raises InputError if the matrix is not square, empty or not finite.
    """
    import seaborn

    matrix = _checked(similarity)
    total = len(matrix)
    if matrix.shape != (total, total):
        raise InputError(f"a similarity matrix of pairs is square, this one is {matrix.shape[0]}×{matrix.shape[1]}")
    diagonal = float(np.diagonal(matrix).mean())
    elsewhere = float((matrix.sum() - np.trace(matrix)) / max(total * total - total, 1))
    if total > DIAGONAL_SAMPLE:
        chosen = np.linspace(0, total - 1, DIAGONAL_SAMPLE).round().astype(int)
        matrix = matrix[np.ix_(chosen, chosen)]
    figure, axes = _blank_one(6.4, 5.8, dark)
    low, high = _colour_range(matrix)
    seaborn.heatmap(
        matrix,
        ax=axes,
        vmin=low,
        vmax=high,
        cmap="mako",
        square=True,
        xticklabels=False,
        yticklabels=False,
        cbar_kws={"label": "cosine similarity", "fraction": 0.045, "pad": 0.03},
    )
    axes.set_xlabel("captions")
    axes.set_ylabel("pictures")
    shown = f"{len(matrix)} of {total} pairs" if total > len(matrix) else f"{total} pairs"
    summary = f"{shown} · mean on the diagonal {diagonal:.2f}, elsewhere {elsewhere:.2f}"
    _titled(figure, axes, f"{title}\n{summary}" if title else summary, dark)
    return figure


def history_curves(history: dict[str, Any], dark: bool = False) -> Figure:
    """Curves of a training run: loss on the left, what the run is judged by on the right, phases marked.

    history: the content of `history.json`: {"recipe": name, "epochs": [{"epoch", "phase", "loss", …}, …]}, each epoch
    with either "image_to_text", "text_to_image" and "rsum", or "scores": {name: percent}. Recalls and scores are
    percentages in [0, 100]; an epoch without a value leaves a gap.

    Raises InputError if the history holds no epoch.
    """
    epochs = [epoch for epoch in history.get("epochs", []) if isinstance(epoch, dict)]
    if not epochs:
        raise InputError("the history holds no epoch yet: train for at least one")
    from matplotlib.ticker import MaxNLocator

    numbers = [int(epoch.get("epoch", index + 1)) for index, epoch in enumerate(epochs)]
    figure, (loss, judged) = _blank_pair(dark)
    loss.plot(numbers, [_number(epoch.get("loss")) for epoch in epochs], color=LOSS_COLOUR, marker="o", markersize=4)
    loss.set_ylabel("loss")
    names = list(dict.fromkeys(name for epoch in epochs for name in _scores(epoch)))
    if names:
        _draw_scores(figure, judged, numbers, epochs, names, dark)
    else:
        _draw_recalls(figure, judged, numbers, epochs, dark)
    right = "Scores" if names else "Recall"
    for axes, title in ((loss, "Loss"), (judged, f"{right} on the validation split")):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_xlabel("epoch")
        axes.set_xlim(min(numbers) - 0.5, max(numbers) + 0.5)
        _mark_phases(axes, numbers, [str(epoch.get("phase", "")) for epoch in epochs], dark)
        axes.grid(axis="y", alpha=0.25, linewidth=0.7)
        axes.spines[["top", "right"]].set_visible(False)
        _titled(figure, axes, title, dark)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure to path, making the folder where needed.

    Raises InputError if the path's suffix is of no format that can be written (PNG, SVG, PDF, JPEG, …).
    """
    known = figure.canvas.get_supported_filetypes()
    if path.suffix[1:].lower() not in known:
        raise InputError(f"{path} cannot be written: its suffix must be one of {', '.join(sorted(known))}")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, bbox_inches="tight", facecolor=figure.get_facecolor())


def _checked(similarity: NDArray[np.float32]) -> NDArray[np.float32]:
    matrix = np.asarray(similarity, dtype=np.float32)
    if matrix.ndim != 2 or matrix.size == 0:
        raise InputError(f"a heatmap needs a matrix with at least one cell, got the shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise InputError("the similarity matrix holds values that are not finite")
    return matrix


def _colour_range(matrix: NDArray[np.float32]) -> tuple[float, float]:
    low, high = float(matrix.min()), float(matrix.max())
    return (low, high) if high - low > 1e-4 else (low - 0.05, high + 0.05)


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else float("nan")


def _blank_one(width: float, height: float, dark: bool) -> tuple[Figure, Axes]:
    figure = blank(width, height, dark)
    return figure, figure.add_subplot(facecolor=paper(dark))


def _blank_pair(dark: bool) -> tuple[Figure, tuple[Axes, Axes]]:
    figure = blank(12.0, 4.4, dark)
    grid = figure.add_gridspec(1, 2, width_ratios=(1.0, 1.35))
    left, right = (figure.add_subplot(grid[0, column], facecolor=paper(dark)) for column in (0, 1))
    return figure, (left, right)


def _titled(figure: Figure, axes: Axes, title: str, dark: bool) -> None:
    axes.set_title(title, fontsize=11, loc="left", pad=14 if title else 6, color=ink(dark))
    finish(figure, dark)


def _tick_labels(axes: Axes, row_labels: Sequence[str], column_labels: Sequence[str]) -> None:
    rows, columns = len(row_labels), len(column_labels)
    steep = max(len(shortened(label)) for label in column_labels) > 4
    axes.set_yticks(np.arange(rows) + 0.5)
    axes.set_xticks(np.arange(columns) + 0.5)
    axes.set_yticklabels([shortened(label) for label in row_labels], rotation=0, parse_math=False)
    axes.set_xticklabels(
        [shortened(label) for label in column_labels],
        rotation=35 if steep else 0,
        ha="right" if steep else "center",
        rotation_mode="anchor" if steep else "default",
        parse_math=False,
    )


def _draw_recalls(figure: Figure, axes: Axes, numbers: list[int], epochs: list[dict[str, Any]], dark: bool) -> None:
    from matplotlib.lines import Line2D

    for direction, style in (("image_to_text", "-"), ("text_to_image", "--")):
        for name, colour in zip(RECALLS, RECALL_COLOURS, strict=True):
            values = [_number((epoch.get(direction) or {}).get(name)) for epoch in epochs]
            axes.plot(numbers, values, color=colour, linestyle=style, marker="o", markersize=3, linewidth=1.6)
    axes.set_ylabel("recall (%)")
    axes.set_ylim(0, 100)
    beside = axes.twinx()
    rsums = [_number(epoch.get("rsum")) for epoch in epochs]
    beside.plot(numbers, rsums, color=ink(dark), linestyle=":", marker=".", linewidth=1.8)
    beside.set_ylabel("rsum (0–600)")
    beside.set_ylim(0, 600)
    beside.spines[["top", "left"]].set_visible(False)
    keys = [Line2D([], [], color=colour, label=name) for name, colour in zip(RECALLS, RECALL_COLOURS, strict=True)]
    keys += [
        Line2D([], [], color=ink(dark), linestyle="-", label="picture → text"),
        Line2D([], [], color=ink(dark), linestyle="--", label="text → picture"),
        Line2D([], [], color=ink(dark), linestyle=":", linewidth=1.8, label="rsum"),
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=6, frameon=False, fontsize=8, labelcolor=ink(dark))


def _scores(epoch: dict[str, Any]) -> dict[str, Any]:
    scores = epoch.get("scores")
    return scores if isinstance(scores, dict) else {}


def _draw_scores(
    figure: Figure, axes: Axes, numbers: list[int], epochs: list[dict[str, Any]], names: list[str], dark: bool
) -> None:
    shown: list[float] = []
    for order, name in enumerate(names):
        values = [_number(_scores(epoch).get(name)) for epoch in epochs]
        shown += [value for value in values if math.isfinite(value)]
        colour = SCORE_COLOURS[order % len(SCORE_COLOURS)]
        axes.plot(numbers, values, color=colour, marker="o", markersize=3, linewidth=1.6, label=shortened(name))
    axes.set_ylabel("percent")
    axes.set_ylim(*_percent_range(shown))
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8, labelcolor=ink(dark))


def _percent_range(values: Sequence[float]) -> tuple[float, float]:
    """Lower and upper end of an axis in percent: from 0 to 100, from below 0 for negative values, and closer to values
    that are all high, whose differences would not show.
    """
    lowest = min(values, default=0.0)
    if lowest < 0:
        return 1.2 * lowest, 100.0
    if lowest < 80:
        return 0.0, 100.0
    room = 0.1 * (100 - lowest)
    return lowest - room, 100 + room


def _mark_phases(axes: Axes, numbers: list[int], phases: list[str], dark: bool) -> None:
    """Shade every second phase and name each where it begins; a run of one phase is left plain."""
    starts = [index for index, phase in enumerate(phases) if index == 0 or phase != phases[index - 1]]
    if len(starts) < 2:
        return
    for order, start in enumerate(starts):
        end = starts[order + 1] if order + 1 < len(starts) else len(phases)
        left, right = numbers[start] - 0.5, numbers[end - 1] + 0.5
        if order % 2:
            axes.axvspan(left, right, color=ink(dark), alpha=0.07, linewidth=0)
        axes.annotate(
            phases[start],
            ((left + right) / 2, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=ink(dark),
        )
