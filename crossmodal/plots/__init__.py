"""Pictures of numbers: similarity heatmaps, training curves, the map of a gallery; and of pictures, in drawings.py.

Takes arrays and what they are called; gives a sheet of its own each time, saved by `save_figure`.
Knows images, inference and search, of which it takes no more than types.
"""

from __future__ import annotations

from crossmodal.plots.canvas import save_figure
from crossmodal.plots.curves import history_curves
from crossmodal.plots.heatmaps import clustered_heatmap, similarity_heatmap, similarity_matrix
from crossmodal.plots.maps import gallery_map

__all__ = [
    "clustered_heatmap",
    "gallery_map",
    "history_curves",
    "save_figure",
    "similarity_heatmap",
    "similarity_matrix",
]
