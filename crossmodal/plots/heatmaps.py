"""Heatmaps of similarity matrices: with labels, clustered, and of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import InputError
from crossmodal.plots.canvas import blank, finish, ink, paper, shortened, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["clustered_heatmap", "similarity_heatmap", "similarity_matrix"]

ANNOTATED_CELLS = 160
DIAGONAL_SAMPLE = 200
MOST_LABELS = 60
COLUMN_LETTERS = 14  # rows have the same labels in full


def similarity_heatmap(
    similarity: NDArray[np.float32],
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    title: str = "",
    dark: bool = False,
) -> Figure:
    """Heatmap of a similarity matrix with its labels, cells annotated while they are few.

    similarity: (R, C) cosines in [-1, 1].
    row_labels: R texts, column_labels: C texts; long ones are shortened and characters no installed font can draw are
        replaced by a box.
    dark: for a page with a dark background.

    Raises InputError if the matrix is empty, not two-dimensional or not finite, or if the labels do not fit its shape.
    """
    import seaborn

    matrix = _checked(similarity)
    rows, columns = matrix.shape
    if (len(row_labels), len(column_labels)) != (rows, columns):
        raise InputError(f"{len(row_labels)} row and {len(column_labels)} column labels for a {rows}×{columns} matrix")
    longest = max(len(shortened(label)) for label in row_labels)
    width, height = 2.4 + 0.07 * longest + 0.62 * columns, 1.7 + 0.4 * rows
    figure, axes = _one(min(max(width, 9.0), 26.0), min(height, 24.0), dark)
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
    titled(figure, axes, title, dark)
    return figure


def clustered_heatmap(
    similarity: NDArray[np.float32],
    labels: Sequence[str],
    query: NDArray[np.float32] | None = None,
    query_labels: Sequence[str] = (),
    dark: bool = False,
) -> Figure:
    """Heatmap of results × results ordered so that like stands beside like, under the tree that orders them.

    similarity: (N, N) cosines of N results with each other, in [-1, 1].
    labels: N texts, shortened and made drawable.
    query: (M, N) cosines of M queries with the results, drawn above in the same order and in other colours, which have
        a range of their own: a text stands further from pictures than pictures from each other.
    query_labels: M texts.

    The tree: average linkage of 1 − cosine, leaves ordered so that neighbours are nearest (Bar-Joseph et al. 2001).

    Raises InputError if similarity is not square, empty or not finite, or if the query or labels do not fit.
    """
    matrix = _checked(similarity)
    asked = np.empty((0, len(matrix)), dtype=np.float32) if query is None else _checked(query)
    if matrix.shape != (len(labels), len(labels)):
        raise InputError(f"{len(labels)} labels for results × results of the shape {matrix.shape}")
    if asked.shape != (len(query_labels), len(labels)):
        raise InputError(f"{len(query_labels)} queries × {len(labels)} results, but their cosines are {asked.shape}")
    links = _linkage(matrix)
    order = _leaves(links)
    figure, tree, above, below = _tree_sheet(labels, query_labels, dark)
    _draw_tree(tree, links, order, dark)
    names = [labels[row] for row in order]
    if len(query_labels):
        _cells(above, asked[:, order], query_labels, [], "rocket")
    _cells(below, matrix[np.ix_(order, order)], names, [_beginning(name) for name in names], "mako")
    bar = figure.colorbar(below.collections[0], ax=below, fraction=0.05, pad=0.015, aspect=18)
    bar.outline.set_visible(False)
    bar.ax.locator_params(nbins=5)
    bar.set_label("cosine" if len(matrix) > 2 else "")
    finish(figure, dark)
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
    figure, axes = _one(6.4, 5.8, dark)
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
    titled(figure, axes, f"{title}\n{summary}" if title else summary, dark)
    return figure


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


def _tick_labels(axes: Axes, row_labels: Sequence[str], column_labels: Sequence[str]) -> None:
    rows, columns = len(row_labels), len(column_labels)
    steep = max((len(shortened(label)) for label in column_labels), default=0) > 4
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


def _linkage(matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    """Merges (N - 1, 4) as scipy has them: two clusters, their distance, how many leaves."""
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import squareform

    if len(matrix) < 2:
        return np.empty((0, 4))
    distance = np.maximum(1 - (matrix + matrix.T) / 2, 0).astype(np.float64)
    np.fill_diagonal(distance, 0)
    merges: NDArray[np.float64] = linkage(squareform(distance), method="average", optimal_ordering=True)
    return merges


def _leaves(links: NDArray[np.float64]) -> NDArray[np.int64]:
    from scipy.cluster.hierarchy import leaves_list

    return np.asarray(leaves_list(links) if len(links) else [0], dtype=np.int64)


def _tree_sheet(labels: Sequence[str], query_labels: Sequence[str], dark: bool) -> tuple[Figure, Axes, Axes, Axes]:
    """A sheet with a tree above the queries' cells above the results' cells, all with the same columns."""
    side, asked = len(labels), len(query_labels)
    cell = 0.45 if side <= 24 else max(10.8 / side, 0.12)
    longest = max(len(shortened(label)) for label in (*labels, *query_labels))
    heights = (0.7, max(0.42 * asked, 0.01), max(cell * side, 0.5))
    figure = blank(max(2.0 + 0.075 * longest + cell * side, 6.0), 1.5 + sum(heights), dark)
    grid = figure.add_gridspec(3, 1, height_ratios=heights, hspace=0.01)
    tree, above, below = (figure.add_subplot(grid[row], facecolor=paper(dark)) for row in range(3))
    for axes in (tree, above):
        axes.axis("off")
    return figure, tree, above, below


def _draw_tree(axes: Axes, links: NDArray[np.float64], order: NDArray[np.int64], dark: bool) -> None:
    from matplotlib.collections import LineCollection

    across = {int(leaf): place + 0.5 for place, leaf in enumerate(order)}
    height = dict.fromkeys(across, 0.0)
    forks = []
    for number, (left, right, distance, _) in enumerate(links, len(order)):
        ends = [(across[int(child)], height[int(child)]) for child in (left, right)]
        forks.append([ends[0], (ends[0][0], distance), (ends[1][0], distance), ends[1]])
        across[number], height[number] = (ends[0][0] + ends[1][0]) / 2, distance
    axes.add_collection(LineCollection(forks, colors=ink(dark), linewidths=0.9, alpha=0.7))
    axes.set_xlim(0, len(order))
    merged = links[:, 2] if len(links) else np.zeros(1)
    axes.set_ylim(0.85 * merged.min(), 1.03 * merged.max() + 1e-3)  # below the nearest two there is nothing to see


def _beginning(label: str) -> str:
    line = " ".join(label.split())
    return line if len(line) <= COLUMN_LETTERS else f"{line[:COLUMN_LETTERS].rstrip()}…"


def _cells(axes: Axes, matrix: NDArray[np.float32], rows: Sequence[str], columns: Sequence[str], colours: str) -> None:
    import seaborn

    low, high = _colour_range(matrix)
    axes.axis("on")
    seaborn.heatmap(
        matrix,
        ax=axes,
        vmin=low,
        vmax=high,
        cmap=colours,
        cbar=False,
        linewidths=0.6 if matrix.shape[1] <= 50 else 0.0,
        linecolor=axes.get_facecolor(),
        annot=matrix.size <= ANNOTATED_CELLS,
        fmt=".2f",
        annot_kws={"fontsize": 7},
        xticklabels=False,
        yticklabels=False,
    )
    if len(rows) <= MOST_LABELS:
        _tick_labels(axes, rows, columns)


def _one(width: float, height: float, dark: bool) -> tuple[Figure, Axes]:
    figure = blank(width, height, dark)
    return figure, figure.add_subplot(facecolor=paper(dark))
