"""What is asked, as chips: each part with its sign, weight and a way out; filters, the map's choice and marks, too."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from crossmodal.app.state import marks as marking
from crossmodal.app.state import query_form
from crossmodal.app.state.results import path_of
from crossmodal.app.state.view import MAX_PART_TEXT, MAX_WEIGHT, MIN_WEIGHT, Part, View
from crossmodal.app.widgets.picture.crop import choose_crop
from crossmodal.app.widgets.theme import plain_markdown, shortened
from crossmodal.app.widgets.tiles import COLOURS

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from crossmodal.app.state.marks import Marks
    from crossmodal.search.searcher import Searcher

__all__ = ["chips", "name_of", "refine"]

SIGNS = {False: "More of it", True: "Less of it"}
LETTERS = 34


def chips(searcher: Searcher, view: View, marks: Marks | None) -> None:
    """Draw the chips of a view; none for a text alone, which the line shows."""
    limits = view.chosen.chips()
    chosen = query_form.selected(searcher)
    composed = len(view.parts) > 1 or (bool(view.parts) and not view.text)
    if not (composed or marks or limits or chosen):
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="cm-chips"):
        if composed:
            for number, part in enumerate(view.parts):
                _part(searcher, view, number, part)
        if marks:
            words = f"{len(marks.liked)} :material/thumb_up: {len(marks.disliked)} :material/thumb_down:"
            _removable("marks", words, "Take these marks back", marking.take_back, (marks,), COLOURS)
        for key, words in limits.items():
            _removable(f"filter-{key}", plain_markdown(words), "Do not filter by this", _unfilter, (key,))
        if chosen:
            words = f"{len(chosen):,} pictures chosen on the map"
            _removable("selected", words, "Search the whole gallery", _deselect, ())
        if composed or limits or chosen:
            st.button("Clear all", key="clear", on_click=query_form.clear, type="tertiary")
    if chosen or any(part.upload for part in view.parts):
        what = "a picture from outside the gallery" if not chosen else "what was chosen on the map"
        st.html(f'<p class="cm-quiet cm-hint">The link of this page cannot carry {what}.</p>')


def name_of(part: Part) -> str:
    """What a part is called, in one line."""
    if part.words:
        return shortened(part.words, LETTERS)
    picture = query_form.given(part.upload) if part.upload else None
    name = picture[0] if picture else part.picture.rpartition("/")[2] or "picture"
    return ("part of " if part.crop else "") + shortened(name, LETTERS)


def _part(searcher: Searcher, view: View, number: int, part: Part) -> None:
    sign = "−" if part.minus else "+" if number else ""
    weight = "" if part.weight == 1 else f" × {part.weight:g}"
    key = f"cm-chip-{'less' if part.minus else 'more'}-{number % COLOURS}-{number}"
    with st.container(horizontal=True, vertical_alignment="center", gap=None, width="content", key=key):
        icon = ":material/image:" if not part.words else None
        label = f"{sign} {plain_markdown(name_of(part))}{weight}".strip()
        with st.popover(label, icon=icon, key=f"part-{number}", type="tertiary"):
            _edit(searcher, view, number, part)
        st.button(
            f"Without {plain_markdown(name_of(part))}", key=f"drop-{number}", icon=":material/close:",
            help="Ask without it", on_click=_drop, args=(number,), type="tertiary",
        )  # fmt: skip


def _edit(searcher: Searcher, view: View, number: int, part: Part) -> None:
    state = st.session_state
    if part.words:
        st.html(f'<p class="cm-full" dir="auto">{_full(part.words)}</p>')
    else:
        picture = query_form.given(part.upload) if part.upload else None
        path = path_of(searcher, part.picture) if part.picture else None
        if picture or path:
            choose_crop(number, part, picture[1] if picture else searcher.image_path(path or ""), name_of(part))
    if len(view.parts) > 1:
        state[f"weight-{number}"] = part.weight
        st.slider(
            "Weight",
            MIN_WEIGHT,
            MAX_WEIGHT,
            key=f"weight-{number}",
            step=0.1,
            on_change=_weighted,
            args=(number,),
            width=260,
        )
        if sum(not other.minus for other in view.parts) > 1 or part.minus:
            state[f"sign-{number}"] = part.minus
            st.segmented_control(
                "Sign", list(SIGNS), key=f"sign-{number}", format_func=SIGNS.__getitem__, required=True,
                label_visibility="collapsed", on_change=_signed, args=(number,),
            )  # fmt: skip


def _full(words: str) -> str:
    from crossmodal.app.widgets.theme import escaped

    return escaped(words if len(words) <= 2_000 else words[:2_000] + " …")


def refine(labels: tuple[str, ...]) -> None:
    """Draw the way to add words and to take some away. labels: the only words that can be asked, if there are such."""
    with st.popover("Refine", icon=":material/add:", key="refine", help="Add words, or take some away"), _narrow():
        for name, words, example in (("plus", "More of", "at night"), ("minus", "Less of", "people")):
            if labels:
                st.selectbox(
                    words,
                    labels,
                    index=None,
                    key=f"refine-{name}",
                    on_change=_refined,
                    args=(name,),
                    placeholder="Choose …",
                )
            else:
                st.text_input(
                    words, key=f"refine-{name}", on_change=_refined, args=(name,), placeholder=example,
                    max_chars=MAX_PART_TEXT, icon=":material/add:" if name == "plus" else ":material/remove:",
                )  # fmt: skip
        st.caption("Pictures: + and − on any tile, or give one with *Search by picture*.")


def _narrow() -> DeltaGenerator:
    return st.container(width=320)


def _removable(
    name: str, label: str, words: str, act: object, arguments: tuple[object, ...], colour: int | None = None
) -> None:
    marked = "" if colour is None else f"-more-{colour}"
    with st.container(key=f"cm-limit{marked}-{name}", width="content"):
        st.button(
            label, key=f"remove-{name}", icon=":material/close:", icon_position="right", help=words,
            on_click=act, args=arguments, type="tertiary",  # type: ignore[arg-type]
        )  # fmt: skip


def _drop(number: int) -> None:
    query_form.change(replace(query_form.current().with_part(number, None), to=None))


def _weighted(number: int) -> None:
    _replace(number, weight=round(float(st.session_state[f"weight-{number}"]), 2))


def _signed(number: int) -> None:
    _replace(number, minus=bool(st.session_state[f"sign-{number}"]))


def _replace(number: int, **changes: object) -> None:
    view = query_form.current()
    if number < len(view.parts):
        query_form.change(view.with_part(number, replace(view.parts[number], **changes)))  # type: ignore[arg-type]


def _refined(name: str) -> None:
    state = st.session_state
    part = query_form.part_of_words(state[f"refine-{name}"] or "", name == "minus")
    state[f"refine-{name}"] = (
        None if isinstance(state[f"refine-{name}"], str) and name in state.get("labels", ()) else ""
    )
    if part:
        query_form.add(part)


def _unfilter(key: str) -> None:
    view = query_form.current()
    query_form.change(replace(view, chosen=view.chosen.without(key), page=1))


def _deselect() -> None:
    st.session_state.pop("selected_paths", None)
    query_form.change(replace(query_form.current(), page=1))
