"""The detail view of one picture, above the page: opened by a tile or an address, with the hits before and after it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from crossmodal.app.state import marks as marking
from crossmodal.app.state import query_form
from crossmodal.app.state.results import path_of
from crossmodal.app.state.view import COSINES
from crossmodal.app.widgets.picture.detail import detail
from crossmodal.app.widgets.result_grid import shares_of
from crossmodal.app.widgets.sidebar import address_of, gallery
from crossmodal.app.widgets.theme import plain_markdown
from crossmodal.app.widgets.tiles import ACTS, buttons, share_sum
from crossmodal.errors import ImageError
from crossmodal.images.decode import load_image

if TYPE_CHECKING:
    from PIL.Image import Image

    from crossmodal.app.state.view import View
    from crossmodal.search.query import Term
    from crossmodal.search.searcher import Hit, Searcher

__all__ = ["show"]


def show(searcher: Searcher) -> None:
    """Open the picture that the view names, if it names one; an address that names no picture is told so."""
    name = query_form.current().picture
    if not name:
        return
    if path_of(searcher, name) is None:
        query_form.change(replace(query_form.current(), picture=""))
        st.error(plain_markdown(f"{name} is not in this gallery."))
        return
    _opened(searcher)


def _closed() -> None:
    query_form.change(replace(query_form.current(), picture=""))


@st.dialog("Picture", width="large", on_dismiss=_closed)
def _opened(searcher: Searcher) -> None:
    view = query_form.current()
    path = path_of(searcher, view.picture)
    if path is None:
        return
    query_form.publish(address_of(gallery()))
    hits: tuple[Hit, ...] = st.session_state.get("shown", ()) if view.asks else ()
    shown = tuple(hit.path for hit in hits)
    place = shown.index(path) if path in shown else None
    hit = None if place is None else hits[place]
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="cm-turning"):
        if place is not None:
            _turn("previous", ":material/chevron_left:", "Previous (←)", shown, place - 1)
            st.html(f'<span class="cm-quiet">{place + 1} of {len(shown)} on this page</span>', width="content")
            _turn("next", ":material/chevron_right:", "Next (→)", shown, place + 1)
        marks = marking.marks_of(searcher, view)
        acts = tuple(ACTS) if marks is not None else tuple(ACTS)[:3]
        st.html(buttons(searcher.index.row_of[path], acts, marks.of(path) if marks is not None else 0), width="content")
    terms: tuple[Term, ...] = st.session_state.get("shown_terms", ())
    if hit is not None and hit.shares is not None and len(hit.shares) == len(terms):
        st.html(share_sum(hit.score, shares_of(terms, hit, len(view.parts))))
    detail(
        searcher,
        path,
        text=view.text,
        asked=_asked_with(searcher, view),
        others=shown,
        rank=hit.rank if hit else None,
        score=hit.score if hit and view.by in COSINES else None,
        relevance=hit.relevance if hit else None,
        on_open=_turned,
        on_search=query_form.ask_text,
    )


def _asked_with(searcher: Searcher, view: View) -> Image | None:
    """The picture that a question begins with, if it does."""
    part = view.parts[0] if view.parts else None
    given = query_form.given(part.upload) if part and part.upload else None
    path = path_of(searcher, part.picture) if part and part.picture else None
    if part is None or (given is None and path is None):
        return None
    try:
        image = load_image(given[1] if given else searcher.image_path(path or ""))
    except ImageError:
        return None
    return image if part.crop is None else image.crop(part.crop.pixels(*image.size))


def _turn(name: str, icon: str, words: str, shown: tuple[str, ...], place: int) -> None:
    possible = 0 <= place < len(shown)
    with st.container(key=f"cm-{name}", width="content"):
        st.button(
            words, key=f"turn-{name}", icon=icon, help=words, disabled=not possible, type="tertiary",
            on_click=_turned, args=(shown[place] if possible else "",),
        )  # fmt: skip


def _turned(path: str) -> None:
    query_form.change(replace(query_form.current(), picture=path))
