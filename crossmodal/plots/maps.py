"""The map of a gallery on a sheet: its pictures as points in named groups.

Shapes: N pictures, C groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import InputError
from crossmodal.plots.canvas import blank, ink, paper, titled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["GROUP_COLOURS", "gallery_map"]

# Twelve colours each for light and dark paper, searched for so that any two stay apart for everybody: the smallest
# distance in CIELAB is 23 (dark: 22), seen with or without red, green or blue cones (Machado et al. 2009).
_LIGHT = "#0086FF #E6B72B #098046 #FC6C8E #553FB2 #0AD6C9 #A30018 #8AD06C #A066B2 #838E00 #C0B8FF #901D62"
_DARK = "#0E86FF #FBD74A #467E5F #FF74B8 #A9A5FF #04EAF9 #BB5323 #A2E3B4 #AF56B6 #AC9E66 #C9E07F #CA8C05"
GROUP_COLOURS = {False: tuple(_LIGHT.split()), True: tuple(_DARK.split())}


def gallery_map(
    points: NDArray[np.float32],
    labels: NDArray[np.int64],
    names: Sequence[str],
    centres: NDArray[np.float32],
    title: str = "",
    dark: bool = False,
) -> Figure:
    """Points of a gallery coloured by group, each group's name where it lies, all names with counts below.

    points: (N, 2).
    labels: (N,) groups.
    names: C texts.
    centres: (C, 2) where names stand.
    dark: for dark paper.

    Raises InputError if there is no picture or the shapes do not fit.
    """
    from matplotlib.patheffects import withStroke

    fits = points.shape == (len(labels), 2) and centres.shape == (len(names), 2)
    if not len(points) or not fits or not np.isin(labels, np.arange(len(names))).all():
        raise InputError(f"no map of points {points.shape}, {len(labels)} labels, {len(names)} names")
    figure = blank(10.0, 8.2, dark)
    axes = figure.add_subplot(facecolor=paper(dark))
    size = float(np.clip(30000 / len(points), 5, 60))
    for number, name in enumerate(names):
        group = points[labels == number]
        colour = GROUP_COLOURS[dark][number % len(GROUP_COLOURS[dark])]
        axes.scatter(
            group[:, 0], group[:, 1], s=size, color=colour, linewidths=0, alpha=0.8, label=f"{name} ({len(group):,})"
        )
    halo = [withStroke(linewidth=3.5, foreground=paper(dark), alpha=0.85)]
    for name, (x, y) in zip(names, centres, strict=True):
        axes.text(
            x,
            y,
            name.replace(", ", "\n"),
            ha="center",
            va="center",
            fontsize=10,
            fontweight="bold",
            color=ink(dark),
            path_effects=halo,
        )
    axes.axis("off")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8.5, labelcolor=ink(dark), markerscale=2)
    titled(figure, axes, title, dark)
    return figure
