"""`python -m crossmodal map`: the groups of a gallery, and a picture of its map."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from crossmodal.errors import InputError

__all__ = ["add_map_arguments", "run_map"]


def add_map_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `map`."""
    parser.add_argument("--index", type=Path, required=True, metavar="DIR", help="made by `index`")
    parser.add_argument("--method", choices=("umap", "pca"), default="umap", help="how to lay it out (default umap)")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the map into FILE (PNG, SVG, PDF, …)")
    parser.add_argument("--dark", action="store_true", help="draw it on dark paper")
    parser.add_argument("--json", action="store_true", help="print method, groups, and a point and group a picture")


def run_map(options: argparse.Namespace) -> int:
    """Print the groups, the largest first, each with its number of pictures and its name."""
    import numpy as np

    from crossmodal.gallery.embedding_map import centres, make_atlas
    from crossmodal.index import open_index

    index = open_index(options.index)
    if not index.catalogue.pictures:
        raise InputError(f"the index {options.index} holds no picture to draw a map of")
    atlas = make_atlas(index, options.method, lambda words: print(f"{words} …", file=sys.stderr))
    counts = np.bincount(atlas.labels, minlength=len(atlas.names)).tolist()
    if options.plot:
        from crossmodal.plots import gallery_map, save_figure

        title = f"{options.index.resolve().name}: {len(atlas.points):,} pictures, laid out by {atlas.method.upper()}"
        figure = gallery_map(atlas.points, atlas.labels, atlas.names, centres(atlas), title, options.dark)
        save_figure(figure, options.plot)
    if options.json:
        paths = [picture.stamp.path for picture in index.catalogue.pictures]
        rows = zip(paths, atlas.points.tolist(), atlas.labels.tolist(), strict=True)
        pictures = [{"path": path, "x": x, "y": y, "group": group} for path, (x, y), group in rows]
        groups = [{"name": name, "pictures": count} for name, count in zip(atlas.names, counts, strict=True)]
        print(json.dumps({"method": atlas.method, "groups": groups, "pictures": pictures}))
        return 0
    for count, name in zip(counts, atlas.names, strict=True):
        print(count, name if name.isprintable() else repr(name), sep="\t")
    return 0
