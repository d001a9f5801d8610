"""The choice of a part of a picture to search with, by sliders, with the part outlined as they move."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import streamlit as st

from crossmodal.app.state import query_form
from crossmodal.app.state.thumbnails import cropped_address
from crossmodal.app.state.view import Part
from crossmodal.app.widgets.theme import picture
from crossmodal.search.query import Box

__all__ = ["choose_crop"]

PIXELS = 560
FEWEST_PER_CENT = 5
WHOLE = (0, 100)


@st.fragment
def choose_crop(number: int, part: Part, source: Path | bytes, name: str) -> None:
    """Draw a picture that is asked with, the sliders that enclose a part of it, and the button that takes the part.

    number: of the part in the question.
    source: the picture's file or its bytes.
    """
    box = part.crop
    across, down = WHOLE, WHOLE
    if box is not None:
        across = (round(100 * box.left), round(100 * (box.left + box.width)))
        down = (round(100 * box.top), round(100 * (box.top + box.height)))
    place = st.container()
    key = f"{number}-{box or 'whole'}-{name}"
    left, right = st.slider("Left to right, per cent", *WHOLE, across, key=f"across-{key}")
    top, bottom = st.slider("Top to bottom, per cent", *WHOLE, down, key=f"down-{key}")
    wide, high = right - left, bottom - top
    image = picture(cropped_address(source, None, PIXELS), name)
    outline = f"left:{left}%;top:{top}%;width:{wide}%;height:{high}%"
    place.html(f'<div class="cm-cropping"><div>{image}<i style="{outline}"></i></div></div>')
    usable = min(wide, high) >= FEWEST_PER_CENT
    if not usable:
        st.caption(f"A part is at least {FEWEST_PER_CENT} per cent wide and high.")
    whole = (left, right) == WHOLE == (top, bottom)
    words = "Search with all of it" if whole else "Search with this part"
    same = ((left, right), (top, bottom)) == (across, down)
    if st.button(words, key=f"use-crop-{number}", disabled=same or not usable, icon=":material/crop:"):
        crop = None if whole else Box(left / 100, top / 100, wide / 100, high / 100)
        query_form.change(query_form.current().with_part(number, replace(part, crop=crop)))
        st.rerun()
