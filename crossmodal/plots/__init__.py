"""The project's pictures of numbers: similarity heatmaps, training curves, the map of a gallery.

Every function returns a sheet of its own (`crossmodal/plots/canvas.py`). Pictures of pictures are in `drawings.py`.
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
