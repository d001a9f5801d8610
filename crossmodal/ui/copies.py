"""Which pictures of a gallery are near-duplicates, found once for each state of it and beside the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from crossmodal.ui.jobs import JOBS

if TYPE_CHECKING:
    from crossmodal.search import Searcher

__all__ = ["group_of"]

AT_ONCE = 1_000  # pictures that are compared before the page is drawn; more of them are compared beside it


def group_of(searcher: Searcher) -> NDArray[np.int64] | None:
    """(N,): the first row of each picture's group; None until a large gallery's pictures have been compared."""
    groups: dict[str, NDArray[np.int64]] = _kept(str(searcher.index.path), _state_of(searcher))
    if "groups" not in groups:
        if searcher.image_count <= AT_ONCE:
            _compare(searcher, groups)
        else:
            JOBS.start(f"copies {searcher.index.path} {_state_of(searcher)}", lambda _: _compare(searcher, groups))
    return groups.get("groups")


def _state_of(searcher: Searcher) -> str:
    return f"{searcher.manifest.generation} {searcher.manifest.created}"


@st.cache_resource(max_entries=4, show_spinner=False)
def _kept(index: str, state: str) -> dict[str, NDArray[np.int64]]:  # noqa: ARG001 - the key
    return {}


def _compare(searcher: Searcher, groups: dict[str, NDArray[np.int64]]) -> None:
    from crossmodal import duplicates

    groups["groups"] = duplicates.group_of(searcher.index)
