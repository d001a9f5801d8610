"""Which pictures may answer: the filters of a gallery, drawn and changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import streamlit as st

from crossmodal.app.state import query_form
from crossmodal.app.widgets.theme import shown
from crossmodal.search.filters import MOST_PIXELS, ORIENTATIONS, Filter, folder_counts

if TYPE_CHECKING:
    from crossmodal.index import Index
    from crossmodal.search.searcher import Searcher

__all__ = ["filters"]

FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2100, 12, 31)
SIDES = (0, 256, 512, 1024, 2048, 4096)


def filters(searcher: Searcher) -> None:
    """Draw the button that opens the filters, and the filters."""
    chosen = query_form.current().chosen
    active = len(chosen.parameters())
    _mirror(chosen)
    with st.popover(f"Filters · {active}" if active else "Filters", icon=":material/tune:"), st.container(width=340):
        _folder(searcher)
        if searcher.caption_count:
            st.text_input(
                "Words of a caption", key="filter-words", placeholder="beach dog", on_change=_changed, args=("words",)
            )
        _dates()
        st.selectbox(
            "Shorter side",
            sorted({*SIDES, chosen.min_side}),
            key="filter-minside",
            format_func=lambda side: f"at least {side:,} pixels" if side else "any size",
            on_change=_changed,
            args=("minside",),
        )
        st.pills(
            "Shape",
            ORIENTATIONS,
            key="filter-shape",
            format_func=str.capitalize,
            on_change=_changed,
            args=("shape",),
        )
        st.button("Clear the filters", key="filter-clear", disabled=not active, on_click=_clear, type="tertiary")


def _mirror(chosen: Filter) -> None:
    """The widgets show the filter, wherever it comes from."""
    state = st.session_state
    state["filter-words"] = chosen.words
    state["filter-folder"] = chosen.folder
    for name, day in (("since", chosen.since), ("until", chosen.until)):
        state[f"filter-{name}"] = min(max(date.fromisoformat(day), FIRST_DAY), LAST_DAY) if day else None
    state["filter-minside"] = min(chosen.min_side, MOST_PIXELS)
    state["filter-shape"] = chosen.orientation or None


def _folder(searcher: Searcher) -> None:
    counts = _folders(str(searcher.index.path), searcher.manifest.generation, searcher.index)
    chosen = query_form.current().chosen.folder
    if not counts and not chosen:
        st.session_state.pop("filter-folder", None)
        return
    names = ["", *counts] if chosen in ("", *counts) else ["", chosen, *counts]
    st.selectbox(
        "Folder",
        names,
        key="filter-folder",
        format_func=lambda name: f"{shown(name)} ({counts.get(name, 0):,})" if name else "every folder",
        on_change=_changed,
        args=("folder",),
    )


@st.cache_data(max_entries=4, show_spinner=False)
def _folders(index: str, generation: str, _index: Index) -> dict[str, int]:  # noqa: ARG001 - the key
    return folder_counts(_index)


def _dates() -> None:
    with st.container(horizontal=True):
        for name, words in (("since", "Taken since"), ("until", "Taken until")):
            st.date_input(
                words, key=f"filter-{name}", min_value=FIRST_DAY, max_value=LAST_DAY, on_change=_changed, args=(name,),
                width=150, format="YYYY-MM-DD",
            )  # fmt: skip


def _changed(key: str) -> None:
    value = st.session_state[f"filter-{key}"]
    text = value.isoformat() if isinstance(value, date) else str(value or "")
    view = query_form.current()
    chosen = Filter.from_parameters({**view.chosen.parameters(), key: text})
    query_form.change(replace(view, chosen=chosen, page=1))


def _clear() -> None:
    query_form.change(replace(query_form.current(), chosen=Filter(), page=1))
