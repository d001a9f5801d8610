"""Curves of a training run: its loss, and what it is judged by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from crossmodal.errors import InputError
from crossmodal.plots.canvas import blank, ink, paper, shortened, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["history_curves"]

RECALLS = ("R@1", "R@5", "R@10")
RECALL_COLOURS = ("#E4572E", "#2E86AB", "#2A9D6F")
LOSS_COLOUR = "#7A5CC4"
SCORE_COLOURS = (*RECALL_COLOURS, "#D9A021", "#B0457B", "#5B7F1E", "#7A5CC4", "#6B7280")


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
        titled(figure, axes, title, dark)
    return figure


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else float("nan")


def _blank_pair(dark: bool) -> tuple[Figure, tuple[Axes, Axes]]:
    figure = blank(12.0, 4.4, dark)
    grid = figure.add_gridspec(1, 2, width_ratios=(1.0, 1.35))
    left, right = (figure.add_subplot(grid[0, column], facecolor=paper(dark)) for column in (0, 1))
    return figure, (left, right)


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
