"""The project's pictures of numbers: similarity heatmaps, training curves, the map of a gallery.

Every function returns a sheet of its own (`crossmodal/canvas.py`). Pictures of pictures are in `drawings.py`.
"""

from __future__ import annotations

from crossmodal.canvas import save_figure
from crossmodal.figures.curves import history_curves
from crossmodal.figures.heatmaps import clustered_heatmap, similarity_heatmap, similarity_matrix
from crossmodal.figures.maps import gallery_map

__all__ = [
    "clustered_heatmap",
    "gallery_map",
    "history_curves",
    "save_figure",
    "similarity_heatmap",
    "similarity_matrix",
]
