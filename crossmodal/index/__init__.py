"""The index on disk: what was embedded, its vectors, what searches them, and how sure an answer is.

Takes a folder of pictures with captions and an encoder; gives an index that is built in one step and opened to read.
Knows images, datasets, models and inference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crossmodal.index.ann.flat import exact_cosines
from crossmodal.index.calibration.examples import PICTURE_TO_CAPTIONS, WORDS_TO_IMAGES, fill_uncaptioned
from crossmodal.index.catalogue.rows import Facts, Skipped
from crossmodal.index.catalogue.words import split_words
from crossmodal.index.manifest import Manifest, build_command, check_encoder, read_manifest
from crossmodal.index.report import BuildReport, Note, Progress
from crossmodal.index.store import Index, open_index
from crossmodal.inference.base import Vectors

if TYPE_CHECKING:
    from crossmodal.index.build import build_index

__all__ = [
    "PICTURE_TO_CAPTIONS", "WORDS_TO_IMAGES", "BuildReport", "Facts", "Index", "Manifest", "Note",
    "Progress", "Skipped", "Vectors", "build_command", "build_index", "check_encoder", "exact_cosines",
    "fill_uncaptioned", "open_index", "read_manifest", "split_words",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """What builds, on first use: a search needs no captions files, no decoders and no threads."""
    if name == "build_index":
        from crossmodal.index.build import build_index

        return build_index
    raise AttributeError(f"module 'crossmodal.index' has no attribute {name!r}")
