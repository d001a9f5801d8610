"""The upper half of the search page: what a person asks, from the widgets or from the address.

Only one thing is asked at a time: typing a text, giving a picture or choosing "more like this" drops the other two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from crossmodal.data.images import IMAGE_SUFFIXES
from crossmodal.ui.look import plain_markdown, shown
from crossmodal.ui.view import DEFAULT_COUNT, MAX_COUNT, MAX_TEXT, View

__all__ = ["Question", "ask", "ask_for_more_like", "ask_text", "clear", "controls", "examples", "publish"]

NAMES = {"images": "Pictures", "captions": "Captions"}


@dataclass(frozen=True)
class Question:
    """text, picture (file name and bytes) or like (path of an indexed picture): at most one of them is set.

    captioned: whether the gallery has captions to find.
    """

    text: str = ""
    picture: tuple[str, bytes] | None = None
    like: str = ""
    captioned: bool = True

    @property
    def default_target(self) -> str:
        """What this question looks for unless told: a text and "more like this" pictures, a picture captions if any."""
        return "captions" if self.picture and self.captioned else "images"

    def __bool__(self) -> bool:
        return bool(self.text or self.picture or self.like)


def ask(labels: Sequence[str] = (), captioned: bool = True) -> Question:
    """Draw the text line and the upload, and return what is asked now.

    labels: the only words that can be asked; they are offered to choose from in place of the text line.
    captioned: whether the gallery has captions to find.
    """
    _adopt_address()
    state = st.session_state
    with st.container(horizontal=True, vertical_alignment="bottom", key="cm-asking"):
        if labels:
            _choice(labels)
        else:
            st.text_input(
                "Describe a picture",
                key="text",
                placeholder="Describe a picture …",
                label_visibility="collapsed",
                icon=":material/search:",
                on_change=_text_changed,
            )
        with st.popover("Search by picture", icon=":material/photo_camera:"):
            st.file_uploader(
                "A picture to search with",
                type=sorted(suffix[1:] for suffix in IMAGE_SUFFIXES),
                key=f"upload-{state.setdefault('uploads', 0)}",
                on_change=_picture_given,
                help=("Its captions are found, or pictures" if captioned else "Pictures are found that are")
                + " like it. It stays on this machine.",
            )
    return Question(state.text.strip()[:MAX_TEXT], state.get("picture"), state.get("like", ""), captioned)


def _choice(labels: Sequence[str]) -> None:
    state = st.session_state
    known = {label.casefold(): label for label in labels}
    state.text = known.get(state.text.strip().casefold(), "")  # words of another gallery or of an edited address
    st.selectbox(
        "Choose what the pictures show",
        ["", *labels],
        key="text",
        format_func=lambda label: shown(label) or "Choose what the pictures show …",
        label_visibility="collapsed",
        on_change=_text_changed,
    )


def controls(question: Question) -> tuple[str, int]:
    """Draw what to look for and how many; returns ("images" or "captions", k)."""
    state = st.session_state
    if not question.captioned:
        state.pop("wanted_target", None)
        return "images", int(st.slider("How many", 1, MAX_COUNT, key="count", width=260))
    key = f"to-{question.default_target}"
    if key not in state:
        wanted = state.pop("wanted_target", None) or state.get(f"kept-{key}", question.default_target)
        state[key] = wanted
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="cm-controls"):
        target = st.segmented_control(
            "Look for", list(NAMES), key=key, format_func=NAMES.__getitem__, required=True, label_visibility="collapsed"
        )
        count = st.slider("How many", 1, MAX_COUNT, key="count", width=260)
    state[f"kept-{key}"] = target
    return str(target), int(count)


def examples(texts: Sequence[str]) -> None:
    """Queries to begin with; choosing one asks it."""
    st.html('<div class="cm-label">Try</div>')
    with st.container(horizontal=True, gap="small", key="cm-examples"):
        for number, text in enumerate(texts):
            st.button(plain_markdown(text), key=f"example-{number}", on_click=ask_text, args=(text,))


def ask_text(text: str) -> None:
    """Ask this text instead of whatever is asked."""
    clear()
    st.session_state.text = text


def ask_for_more_like(path: str) -> None:
    """Ask for pictures like an indexed one instead of whatever is asked."""
    clear()
    st.session_state.like = path


def clear() -> None:
    """Ask nothing, and forget an uploaded picture."""
    state = st.session_state
    state.text, state.like, state.picture = "", "", None
    state.uploads = state.get("uploads", 0) + 1  # a new key empties the uploader


def publish(question: Question, target: str, count: int, also: dict[str, str]) -> None:
    """Put the view into the address, so that the link can be shared. An uploaded picture has no address."""
    to = target if question and target != question.default_target and not question.picture else None
    view = View(question.text, question.like, to, count)
    st.session_state.view = view
    parameters = {**view.parameters(), **also}
    if st.query_params.to_dict() != parameters:
        st.query_params.from_dict(parameters)


def _adopt_address() -> None:
    """Take over an address that was opened or edited; keep what was asked when coming back from another page."""
    state = st.session_state
    known: View | None = state.get("view")
    addressed = {"q", "like", "to", "k"} & set(st.query_params)
    view = View.from_parameters(st.query_params.to_dict()) if addressed else (known or View())
    if known is None or (addressed and view != known):
        if view.text or view.like:
            clear()
        state.text, state.like, state.count, state.wanted_target = view.text, view.like, view.count, view.to
        for key in ("to-images", "to-captions", "kept-to-images", "kept-to-captions"):
            state.pop(key, None)
    state.setdefault("text", view.text)
    state.setdefault("count", view.count or DEFAULT_COUNT)


def _text_changed() -> None:
    text = st.session_state.text
    if text.strip():
        ask_text(text)


def _picture_given() -> None:
    state = st.session_state
    given = state[f"upload-{state.uploads}"]
    if given is not None:
        state.picture = (given.name, given.getvalue())
        state.text, state.like = "", ""
    else:
        state.picture = None
