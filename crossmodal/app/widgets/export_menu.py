"""The button that saves results: how many, and as what. A file is made only when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from crossmodal.app.state.exports import MOST_BYTES, MOST_PICTURES, Results, as_csv, as_json, as_zip, file_stem

__all__ = ["export"]

FORMATS: dict[str, tuple[Callable[[Results], bytes], str]] = {
    "CSV": (as_csv, "text/csv"), "JSON": (as_json, "application/json"), "ZIP": (as_zip, "application/zip")
}  # fmt: skip


def export(question: str, total: int, find: Callable[[int], Results], pictures: bool) -> None:
    """Draw the button.

    find: gives the first so many results, later.
    pictures: whether a ZIP has any to hold.
    """
    with st.popover("Export", icon=":material/download:", type="tertiary", key="export"):
        state = st.session_state
        state.export_count = min(int(state.get("export_count", 100)), total)
        count = int(st.number_input("The first", 1, total, key="export_count", help=f"Of {total:,} results."))
        with st.container(horizontal=True):
            for name, (make, kind) in FORMATS.items():
                st.download_button(
                    name,
                    partial(_made, make, find, count),
                    file_name=f"{file_stem(question)}.{name.lower()}",
                    mime=kind,
                    key=f"export-{name.lower()}",
                    on_click="ignore",
                    disabled=name == "ZIP" and not pictures,
                )
        st.caption(f"A ZIP holds the pictures: at most {MOST_PICTURES} and {MOST_BYTES // 10**6} MB.")


def _made(make: Callable[[Results], bytes], find: Callable[[int], Results], count: int) -> bytes:
    return make(find(count))
