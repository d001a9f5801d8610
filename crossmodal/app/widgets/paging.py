"""The foot of the results: which page of how many, and how many tiles a page has."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from crossmodal.app.state import query_form
from crossmodal.app.state.view import COUNTS

__all__ = ["pager"]


def pager(pages: int, total: int) -> None:
    """Draw first, previous, the page's number, next and last, and how many a page has, where any of it is a choice."""
    state, page = st.session_state, min(query_form.current().page, pages)
    if total <= COUNTS[0] and pages == 1:
        return
    state.page_number = page
    with st.container(
        horizontal=True, horizontal_alignment="center", vertical_alignment="center", key="cm-pages", gap="small"
    ):
        _turn("first", ":material/first_page:", "First page", 1, page > 1)
        _turn("back", ":material/chevron_left:", "Previous page", page - 1, page > 1)
        st.number_input(
            "Page", 1, pages, key="page_number", step=1, label_visibility="collapsed", on_change=_numbered, width=110
        )
        st.html(f'<span class="cm-quiet">of {pages:,}</span>', width="content")
        _turn("forward", ":material/chevron_right:", "Next page", page + 1, page < pages)
        _turn("last", ":material/last_page:", "Last page", pages, page < pages)
        _per_page()


def _per_page() -> None:
    count = query_form.current().count
    st.session_state.count = count
    st.selectbox(
        "How many a page",
        sorted({*COUNTS, count}),
        key="count",
        format_func=lambda number: f"{number} a page",
        label_visibility="collapsed",
        on_change=_counted,
        width=132,
    )


def _turn(name: str, icon: str, words: str, page: int, possible: bool) -> None:
    st.button(
        words,
        key=f"page-{name}",
        icon=icon,
        help=words,
        disabled=not possible,
        on_click=_go,
        args=(page,),
        type="tertiary",
    )


def _go(page: int) -> None:
    query_form.change(replace(query_form.current(), page=page))


def _numbered() -> None:
    _go(int(st.session_state.page_number))


def _counted() -> None:
    view, count = query_form.current(), int(st.session_state.count)
    first = (view.page - 1) * view.count  # what was first stays on the page
    query_form.change(replace(view, count=count, page=first // count + 1))
