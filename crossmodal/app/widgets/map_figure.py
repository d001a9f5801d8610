"""The map of a gallery as a Plotly figure: a point a picture, coloured by group or by likeness to a sentence.

Plotly reads a bit of HTML in every text, so captions and names come in escaped.

Shapes: N pictures, C groups.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossmodal.app.widgets.theme import shown
from crossmodal.gallery.embedding_map import Atlas, centres
from crossmodal.plots.canvas import ink, paper
from crossmodal.plots.maps import GROUP_COLOURS

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["CONFIG", "hover_texts", "map_figure", "traces"]

LIKENESS = {False: ("#E4E8EE", "#8FB4E8", "#1B3FA8"), True: ("#27303C", "#3D6BC4", "#D8E6FF")}
HEIGHT = 640  # pixels
ONES = np.ones(2, dtype=np.float32)
HOVER_WIDTH, HOVER_LINES = 38, 4
CONFIG: dict[str, Any] = {
    "displayModeBar": True,
    "scrollZoom": True,
    "modeBarButtonsToRemove": ["autoScale2d", "toImage"],
    "doubleClick": "reset",
}


def traces(atlas: Atlas, likeness: NDArray[np.float32] | None = None) -> list[NDArray[np.int64]]:
    """The rows of the pictures in each trace of the figure, in the order of its points."""
    if likeness is not None:
        return [np.argsort(likeness, kind="stable")]  # the likest are drawn last, on top
    return [np.flatnonzero(atlas.labels == number) for number in range(len(atlas.names))]


def map_figure(
    atlas: Atlas, hover: NDArray[np.object_], dark: bool = False, likeness: NDArray[np.float32] | None = None
) -> Figure:
    """The map as a figure.

    hover: (N,) from `hover_texts`.
    likeness: (N,) cosines to colour by, in place of groups.
    """
    from plotly.graph_objects import Figure, Scattergl

    size = 5.0 if len(hover) > 3000 else 7.0 if len(hover) > 500 else 11.0
    figure = Figure(layout=_layout(atlas, dark))
    for number, rows in enumerate(traces(atlas, likeness)):
        points = atlas.points[rows]
        name = "" if likeness is not None else escaped(atlas.names[number])
        ends = f"<br><i>{name}</i>" if name else ""
        marker: dict[str, Any] = {"size": size, "opacity": 0.85, "color": GROUP_COLOURS[dark][number % 12]}
        if likeness is not None:
            marker |= _likeness_marker(likeness[rows], dark)
        figure.add_trace(
            Scattergl(
                x=points[:, 0],
                y=points[:, 1],
                mode="markers",
                name=name,
                hovertext=hover[rows],
                hovertemplate=f"%{{hovertext}}{ends}<extra></extra>",
                marker=marker,
                selected={"marker": {"opacity": 1.0, "size": 1.5 * size}},
                unselected={"marker": {"opacity": 0.18}},
            )
        )
    return figure


def hover_texts(texts: Sequence[str]) -> NDArray[np.object_]:
    """Captions as Plotly may show them: at most four short lines, with nothing in them that reads as markup."""
    return np.array([_hover_text(text) for text in texts], dtype=object)


def _hover_text(text: str) -> str:
    longest = 2 * HOVER_LINES * HOVER_WIDTH  # a caption of any length costs no more
    lines = textwrap.wrap(shown(text)[:longest], HOVER_WIDTH, max_lines=HOVER_LINES, placeholder=" …")
    return "<br>".join(escaped(line) for line in lines)


def escaped(text: str) -> str:
    """Text for Plotly, which knows the entities of these three signs and not that of a quotation mark."""
    return html.escape(shown(text), quote=False)


def _layout(atlas: Atlas, dark: bool) -> dict[str, Any]:
    low, high = (atlas.points.min(axis=0), atlas.points.max(axis=0)) if len(atlas.points) else (-ONES, ONES)
    room = np.maximum(0.05 * (high - low), 0.02)
    across, up = zip((low - room).tolist(), (high + room).tolist(), strict=True)
    axis = {"visible": False, "showgrid": False, "zeroline": False}
    return {
        "height": HEIGHT,
        "margin": {"l": 0, "r": 0, "t": 30, "b": 0},
        "xaxis": {**axis, "range": across},
        "yaxis": {**axis, "range": up},
        "hovermode": "closest",
        "hoverlabel": {"align": "left", "bgcolor": paper(dark), "font": {"color": ink(dark), "size": 12}},
        "legend": {
            "orientation": "h",
            "y": 0,
            "yanchor": "top",
            "x": 0,
            "itemsizing": "constant",
            "font": {"size": 12},
        },
        "annotations": [
            _name(name, x, y, dark) for name, (x, y) in zip(atlas.names, centres(atlas).tolist(), strict=True)
        ],
    }


def _name(name: str, x: float, y: float, dark: bool) -> dict[str, Any]:
    """A group's name where it lies; its first two words, since all of them stand in the legend."""
    halo = ", ".join([f"0 0 2px {paper(dark)}"] * 6 + [f"0 0 5px {paper(dark)}"] * 2)
    return {
        "x": x,
        "y": y,
        "text": "<br>".join(escaped(word) for word in name.split(", ")[:2]),
        "showarrow": False,
        "font": {"size": 13, "color": ink(dark), "weight": 700, "shadow": halo},
    }


def _likeness_marker(likeness: NDArray[np.float32], dark: bool) -> dict[str, Any]:
    """Colours from the middle of the cosines up to the highest: the lower half tells nothing apart."""
    low, high = float(np.median(likeness)), float(likeness.max())
    pale, middle, strong = LIKENESS[dark]
    return {
        "color": likeness,
        "cmin": low,
        "cmax": max(high, low + 1e-3),
        "colorscale": [[0, pale], [0.6, middle], [1, strong]],
        "colorbar": {"title": {"text": "cosine"}, "thickness": 10, "len": 0.5},
    }
