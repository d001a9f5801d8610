"""The choice of one picture of the open gallery by its path."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from crossmodal.app.widgets.theme import plain_markdown, shown

if TYPE_CHECKING:
    from crossmodal.search.searcher import Searcher

__all__ = ["choose_picture"]

OFFERED = 300


def choose_picture(searcher: Searcher, label: str, key: str, first: int | None = 0) -> str | None:
    """Draw the choice and return the path chosen, None where there is none.

    Of a large gallery 300 pictures are offered, evenly from all; any other path can be typed.

    first: which one is chosen at the beginning, None for no one.
    """
    pictures = searcher.index.catalogue.pictures
    step = max(-(-len(pictures) // OFFERED), 1)
    paths = [picture.stamp.path for picture in pictures[::step]]
    start = None if first is None else min(first, len(paths) - 1)
    help_text = "Any path in this gallery may be typed." if step > 1 else None
    path = st.selectbox(
        label, paths, index=start, key=key, format_func=shown, accept_new_options=step > 1, help=help_text
    )
    if path is not None and path not in searcher.index.row_of:
        st.error(plain_markdown(f"{path} is not in this gallery."))
        return None
    return path
