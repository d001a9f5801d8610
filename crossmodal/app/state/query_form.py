"""What is asked, and how it changes: one View in the session, from the widgets, the tiles or the address.

Every widget shows the view and every callback puts another one in its place; the address follows when a page is drawn.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from crossmodal.app.state.view import ADDRESS_TEXT, KEYS, MAX_PART_TEXT, MAX_PARTS, MAX_TEXT, Part, View
from crossmodal.app.widgets.theme import plain_markdown, shown
from crossmodal.errors import ImageError
from crossmodal.images.decode import IMAGE_SUFFIXES, load_image

if TYPE_CHECKING:
    from crossmodal.search.searcher import Searcher

__all__ = [
    "add", "ask", "ask_for_more_like", "ask_text", "change", "clear", "current", "default_target", "examples", "give",
    "given", "publish", "selected", "target_of",
]  # fmt: skip

ROLES = {"ask": "Search with it", "plus": "More of it", "minus": "Less of it"}
SELECTED = "selected_paths"


def current() -> View:
    """What is asked now."""
    view: View | None = st.session_state.get("view")
    return view or View()


def change(view: View) -> None:
    """Ask this from now on; for callbacks, which run before the page is drawn."""
    st.session_state.view = view


def given(key: str) -> tuple[str, bytes] | None:
    """Name and bytes of a picture given in this session; None where it is forgotten."""
    found: tuple[str, bytes] | None = st.session_state.get("given", {}).get(key)
    return found


def selected(searcher: Searcher) -> tuple[str, ...]:
    """Paths of this gallery chosen on the map, which answers are limited to; empty for no limit."""
    return tuple(path for path in st.session_state.get(SELECTED) or () if path in searcher.index.row_of)


def default_target(view: View, captioned: bool) -> str:
    """What a question looks for unless told: a picture given by itself captions, if there are any; else pictures."""
    return "captions" if captioned and len(view.parts) == 1 and view.parts[0].upload else "images"


def target_of(view: View, captioned: bool) -> str:
    """What a question looks for: "images" or "captions"."""
    return (view.to if captioned else None) or default_target(view, captioned)


def ask_text(text: str) -> None:
    """Ask this text instead of whatever is asked, of the whole gallery."""
    _begin(Part(words=text.strip()[:MAX_TEXT]) if text.strip() else None)


def ask_for_more_like(path: str) -> None:
    """Ask for pictures like an indexed one instead of whatever is asked, of the whole gallery."""
    _begin(Part(picture=path))


def clear() -> None:
    """Ask nothing."""
    _begin(None)


def add(part: Part) -> None:
    """Ask for one thing more, or less."""
    view = current()
    if len(view.parts) >= MAX_PARTS:
        st.session_state.refusal = f"A question has at most {MAX_PARTS} parts: take one away first."
    elif view.asks and not view.with_added(part).asks:
        st.session_state.refusal = "This is all that is looked for, so it cannot be taken away."
    else:
        change(view.with_added(part))


def give(name: str, content: bytes, role: str = "ask") -> None:
    """Ask with a picture given now, or add it or take it away; one that cannot be decoded is refused in words."""
    try:
        load_image(content)
    except ImageError as error:
        st.session_state.refusal = f"{name} cannot be used: {error.reason}. Try another picture."
        return
    key = hashlib.sha256(content).hexdigest()[:16]
    used = {part.upload for part in current().parts}
    kept = {old: picture for old, picture in st.session_state.get("given", {}).items() if old in used}
    st.session_state.given = {**kept, key: (name, content)}
    part = Part(upload=key, minus=role == "minus")
    if role == "ask":
        change(replace(current(), parts=(part,), to=None, page=1, picture="", copies=()))
    else:
        add(part)


def ask(labels: Sequence[str] = (), captioned: bool = True) -> View:
    """Draw the text line and the upload, and return what is asked now.

    labels: the only words that can be asked; they are offered to choose from in place of the text line.
    captioned: whether the gallery has captions to find.
    """
    _adopt_address()
    if labels:
        _only(labels)
    view, state = current(), st.session_state
    state.text = view.text
    with st.container(horizontal=True, vertical_alignment="bottom", key="cm-asking"):
        if labels:
            _choice(labels)
        else:
            st.text_input(
                "Describe a picture",
                key="text",
                placeholder="Describe a picture, or paste one …",
                label_visibility="collapsed",
                icon=":material/search:",
                on_change=_text_changed,
            )
        with st.popover("Search by picture", icon=":material/photo_camera:"):
            _upload(view, captioned)
    refusal = state.pop("refusal", None)
    if refusal:
        st.error(plain_markdown(refusal))
    if len(view.text) > ADDRESS_TEXT:
        st.caption(f"{len(view.text):,} characters are asked; the link carries the first {ADDRESS_TEXT:,}.")
    return view


def examples(texts: Sequence[str]) -> None:
    """Queries to begin with; choosing one asks it."""
    st.html('<div class="cm-label">Try</div>')
    with st.container(horizontal=True, gap="small", key="cm-examples"):
        for number, text in enumerate(texts):
            st.button(plain_markdown(text), key=f"example-{number}", on_click=ask_text, args=(text,))


def publish(also: dict[str, str]) -> None:
    """Put the view into the address, so that the link can be shared."""
    parameters = {**_shown(current().parameters()), **also}
    st.session_state.published = parameters
    if _address() != parameters:
        st.query_params.from_dict(parameters)


def _begin(first: Part | None) -> None:
    change(View(parts=(first,) if first else (), count=current().count))
    st.session_state.pop(SELECTED, None)


def _upload(view: View, captioned: bool) -> None:
    state = st.session_state
    role = "ask"
    if view.parts:
        role = st.segmented_control(
            "What it is for", list(ROLES), key="role", format_func=ROLES.__getitem__, required=True, default="ask"
        )
    st.file_uploader(
        "A picture to search with",
        type=sorted(suffix[1:] for suffix in IMAGE_SUFFIXES),
        key=f"upload-{state.setdefault('uploads', 0)}",
        on_change=_picture_given,
        args=(role,),
        help=("Its captions are found, or pictures" if captioned else "Pictures are found that are")
        + " like it. It stays on this machine.",
    )
    st.caption("A picture can also be pasted or dropped anywhere on this page.")


def _only(labels: Sequence[str]) -> None:
    """Words of another gallery or of an edited address are not asked of one that knows labels only."""
    known, view = {label.casefold(): label for label in labels}, current()
    meant = [replace(part, words=known.get(part.words.casefold(), "")) if part.words else part for part in view.parts]
    parts = tuple(part for part in meant if part.words or part.picture or part.upload)
    if parts != view.parts:
        change(replace(view, parts=parts))


def _choice(labels: Sequence[str]) -> None:
    st.selectbox(
        "Choose what the pictures show",
        ["", *labels],
        key="text",
        format_func=lambda label: shown(label) or "Choose what the pictures show …",
        label_visibility="collapsed",
        on_change=_text_changed,
    )


def _text_changed() -> None:
    text = st.session_state.text.strip()[:MAX_TEXT]
    weight = current().parts[0].weight if current().text else 1.0
    change(current().with_first(Part(words=text, weight=weight) if text else None))


def _picture_given(role: str) -> None:
    state = st.session_state
    file = state[f"upload-{state.uploads}"]
    if file is not None:
        state.uploads += 1  # a new key empties the uploader
        give(file.name, file.getvalue(), role)


def _adopt_address() -> None:
    """Take over an address that was opened or edited; keep what was asked when coming back from another page."""
    state = st.session_state
    if state.pop("drawn_again", False) and "view" in state:
        return
    address = _address()
    came_back = state.get("page_before", "search") != "search"
    edited = address != state.get("published") and (bool(KEYS & set(address)) or not came_back)
    if "view" not in state or (edited and "published" in state and not _asked_meanwhile()):
        change(View.from_parameters(address))


def _asked_meanwhile() -> bool:
    """Whether a callback has changed the view since the address was written."""
    return _shown(current().parameters()) != {
        name: value for name, value in st.session_state.published.items() if name in KEYS
    }


def _address() -> dict[str, str | list[str]]:
    """The address: names that may stand more than once as lists."""
    several = {"plus", "minus", "copies"}
    query = st.query_params
    return {name: query.get_all(name) if name in several else query[name] for name in query}


def _shown(parameters: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
    """Parameters as an address can carry them."""
    return {
        name: shown(value) if isinstance(value, str) else [shown(one) for one in value]
        for name, value in parameters.items()
    }


def part_of_words(text: str, minus: bool = False) -> Part | None:
    """Typed words as a part; None where there are none."""
    words = " ".join(text.split())[:MAX_PART_TEXT]
    return Part(words=words, minus=minus) if words else None
