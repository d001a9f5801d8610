"""The choice of a part of a picture to search with, by sliders, with the part outlined as they move."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from crossmodal.query import Box
from crossmodal.ui import asking
from crossmodal.ui.look import picture
from crossmodal.ui.thumbnails import cropped_address

if TYPE_CHECKING:
    from crossmodal.search import Searcher

__all__ = ["choose_crop"]

LARGE_PIXELS = 700
FEWEST_PER_CENT = 5


@st.dialog("Choose a part of the picture", width="medium")
def choose_crop(searcher: Searcher, number: int) -> None:
    """Draw the picture of a part of the question, with the sliders and the button that takes what they enclose."""
    view = asking.current()
    if number >= len(view.parts):
        return
    part = view.parts[number]
    given = asking.given(part.upload) if part.upload else None
    source = given[1] if given else searcher.image_path(part.picture)
    box = part.crop or Box(0.2, 0.2, 0.6, 0.6)
    first = [round(100 * share) for share in (box.left, box.left + box.width, box.top, box.top + box.height)]
    place = st.container()
    across = st.slider("From left to right, in per cent", 0, 100, (first[0], first[1]), key=f"across-{number}")
    down = st.slider("From top to bottom, in per cent", 0, 100, (first[2], first[3]), key=f"down-{number}")
    wide, high = across[1] - across[0], down[1] - down[0]
    with place:
        image = picture(cropped_address(source, None, LARGE_PIXELS), given[0] if given else part.picture)
        outline = f"left:{across[0]}%;top:{down[0]}%;width:{wide}%;height:{high}%"
        st.html(f'<div class="cm-cropping"><div>{image}<i style="{outline}"></i></div></div>')
    usable = min(wide, high) >= FEWEST_PER_CENT
    if not usable:
        st.caption(f"A part is at least {FEWEST_PER_CENT} per cent wide and high.")
    if st.button("Search with this part", type="primary", disabled=not usable, key="use-crop"):
        crop = Box(across[0] / 100, down[0] / 100, wide / 100, high / 100)
        asking.change(view.with_part(number, replace(part, crop=crop)))
        st.rerun()
