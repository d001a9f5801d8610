"""What a gallery's pages need and is slow to find: made once for each state of it, beside the page if it is large."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from crossmodal.app.state.jobs import JOBS
from crossmodal.gallery.near_duplicates import group_of as compare
from crossmodal.search.filters import Filter
from crossmodal.search.query import Indexed

if TYPE_CHECKING:
    from crossmodal.search.searcher import Searcher

__all__ = ["group_of"]

COMPARED_AT_ONCE = 1_000  # pictures that are compared before the page is drawn; more of them are compared beside it


def group_of(searcher: Searcher) -> NDArray[np.int64] | None:
    """(N,): the first row of each picture's group of near-duplicates; None until a large gallery's are compared."""
    state = f"{searcher.manifest.generation} {searcher.manifest.created}"
    kept = _kept(str(searcher.index.path.resolve()), state)
    if "groups" not in kept:
        if searcher.image_count <= COMPARED_AT_ONCE:
            _compare(searcher, kept)
        else:
            JOBS.start(f"copies {searcher.index.path.resolve()} {state}", lambda _: _prepare(searcher, kept))
    return kept.get("groups")


@st.cache_resource(max_entries=4, show_spinner=False)
def _kept(index: str, state: str) -> dict[str, NDArray[np.int64]]:  # noqa: ARG001 - the key
    return {}


def _compare(searcher: Searcher, kept: dict[str, NDArray[np.int64]]) -> None:
    kept["groups"] = compare(searcher.index)


def _prepare(searcher: Searcher, kept: dict[str, NDArray[np.int64]]) -> None:
    """Near-duplicates, and what the first filter by words and the first search by captions would have to wait for."""
    _compare(searcher, kept)
    if searcher.caption_count:
        Filter(words="a").mask(searcher.index)
        for by in ("captions", "both"):
            searcher.search(Indexed(searcher.index.catalogue.pictures[0].stamp.path), 1, "images", by=by)
