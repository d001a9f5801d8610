"""The detail view of one picture: why it was found, word by word and place by place, and all that is known of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import streamlit as st

from crossmodal.app.state.explanations import Photo, can_explain, given, opened
from crossmodal.app.state.query_form import ask_text
from crossmodal.app.state.thumbnails import thumbnail
from crossmodal.app.widgets.picture.reasons import above_or_below, alike, plain, sentence_and_picture
from crossmodal.app.widgets.theme import _safe, facts, plain_markdown, shown, tile
from crossmodal.errors import ImageError

if TYPE_CHECKING:
    from PIL.Image import Image

    from crossmodal.search.searcher import Searcher

__all__ = ["detail"]

LONGEST_TEXT = 10_000
NEIGHBOURS = 6
NEIGHBOUR_PIXELS = 240


@dataclass(frozen=True)
class _Shown:
    """What the view was asked to show, see `detail`. key: of its widgets, another for each picture and text."""

    searcher: Searcher
    path: str
    text: str
    asked: Image | None
    others: tuple[str, ...]
    above: str | None
    facts: tuple[int | None, float | None, float | None]
    open: Callable[[str], None]
    search: Callable[[str], None]

    @property
    def key(self) -> str:
        about = f"{self.searcher.index.path}\0{self.path}\0{self.text}"
        return hashlib.sha256(about.encode("utf-8", "surrogatepass")).hexdigest()[:10]


def detail(
    searcher: Searcher,
    path: str,
    *,
    text: str = "",
    asked: Image | None = None,
    others: Sequence[str] = (),
    above: str | None = None,
    rank: int | None = None,
    score: float | None = None,
    relevance: float | None = None,
    on_open: Callable[[str], None] | None = None,
    on_search: Callable[[str], None] | None = None,
) -> None:
    """Draw all about one picture into the current container, in a dialog or on a page.

    text: the sentence it was found with.
    asked: the picture it was found with.
    others: paths of the other hits, to compare with.
    above: the one of them to compare with at first.
    rank: of the hit, from 1.
    score: of the hit.
    relevance: of the hit, a probability in [0, 1].
    on_open: called with the path of a picture to open instead; left out, it is put into the address as `picture`.
    on_search: called with a caption to search for; left out, the search page asks it and the picture leaves the
        address.
    """
    if path not in searcher.index.row_of:  # an edited address must not show any other file
        st.error(plain_markdown(f"{path[:200]} is not in this gallery."))
        return
    rivals = tuple(dict.fromkeys(others if above is None else (above, *others)))
    about = (rank, score, relevance)
    text = text.strip()[:LONGEST_TEXT]
    _draw(_Shown(searcher, path, text, asked, rivals, above, about, on_open or _open, on_search or _search))


@st.fragment
def _draw(view: _Shown) -> None:
    """A fragment, so that a word clicked redraws nothing else."""
    _head(view)
    photo: Photo | None = None
    try:
        photo = opened(view.searcher, view.path)
    except ImageError as error:
        st.warning(plain_markdown(f"The picture cannot be shown: {error.reason}. This is what the index knows of it."))
    if photo is not None and not view.searcher.is_ready:
        _meanwhile(view.searcher, photo)
    with st.container(key="cm-detail"):
        if photo is not None:
            _reasons(view, photo)
        left, right = st.columns([3, 2], gap="medium")
        with left:
            _captions(view, photo is not None and can_explain(view.searcher))
        with right:
            st.html('<div class="cm-label">The file</div>' + facts(_facts(view, photo)))
        _neighbours(view, photo)


def _meanwhile(searcher: Searcher, photo: Photo) -> None:
    """The picture by itself, until the model is loaded that can say more of it."""
    place = st.empty()
    with place.container():
        plain(photo)
        with st.spinner("Loading the model …"):
            searcher.encoder  # noqa: B018 - its first use loads it
    place.empty()


def _head(view: _Shown) -> None:
    rank, score, relevance = view.facts
    said = [] if rank is None else [f"hit {rank}"]
    said += [] if score is None else [f"cosine {score:.3f}"]
    said += [] if relevance is None else [f"the very picture meant: {100 * relevance:.0f} % probable"]
    name = PurePosixPath(view.path).name
    st.html(f'<div class="cm-title"><b dir="auto">{_safe(name)}</b><span>{_safe(" · ".join(said))}</span></div>')


def _reasons(view: _Shown, photo: Photo) -> None:
    """Why this picture: for a sentence, beside another hit, and beside the picture that was asked with."""
    if view.asked is not None:
        alike(view.searcher, given(view.asked), photo, ("the picture asked with", "this picture"), view.key)
    sentence = _sentence(view)
    if sentence:
        key = hashlib.sha256(f"{view.key}{sentence}".encode("utf-8", "surrogatepass")).hexdigest()[:10]
        sentence_and_picture(view.searcher, photo, sentence, key)
        above_or_below(view.searcher, photo, view.path, sentence, view.others, view.above, view.key)
    elif view.asked is None:
        plain(photo)


def _sentence(view: _Shown) -> str:
    """The sentence to explain: what was asked, until another is typed, chosen or taken from the captions."""
    key, labels = f"sentence-{view.key}", view.searcher.encoder.labels
    if not can_explain(view.searcher):
        if view.text:
            st.html(
                f'<p class="cm-note">{_safe(view.searcher.encoder.name)} cannot say what its scores are made of.</p>'
            )
        return ""
    st.session_state.setdefault(key, view.text)
    if labels:
        known = {label.casefold(): label for label in labels}
        st.session_state[key] = known.get(st.session_state[key].strip().casefold(), "")
        return str(
            st.selectbox(
                "Where is it?", ["", *labels], key=key, format_func=lambda label: shown(label) or "Where is …?",
                label_visibility="collapsed",
            )
        )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"cm-sentence-{view.key}"):
        typed = st.text_input(
            "A sentence to explain", key=key, max_chars=LONGEST_TEXT, label_visibility="collapsed",
            placeholder="Type what to look for in this picture …", icon=":material/center_focus_strong:",
        )  # fmt: skip
        if view.text and typed.strip() != view.text:
            st.button(
                "Back to the query", key=f"back-{view.key}", type="tertiary", on_click=_explain, args=(key, view.text)
            )
    return str(typed).strip()


def _captions(view: _Shown, explains: bool) -> None:
    searcher, key = view.searcher, view.key
    captions = searcher.captions_of(view.path)
    st.html('<div class="cm-label">Captions</div>')
    if not captions:
        st.html('<p class="cm-quiet">This picture has no caption.</p>')
        return
    cosines = searcher.caption_vectors(view.path) @ searcher.image_vectors([view.path])[0]
    with st.container(key="cm-list-detail"):
        for number, (caption, cosine) in enumerate(zip(captions, cosines.tolist(), strict=True)):
            with st.container(key=f"cm-row-{key}-{number}", horizontal=True, vertical_alignment="center", gap="small"):
                st.html(
                    f'<div class="cm-own"><span class="cm-text" dir="auto">{_safe(caption)}</span>'
                    f'<span class="cm-score" title="cosine of caption and picture">{cosine:.3f}</span></div>'
                )
                if explains:
                    st.button(
                        "Where?", key=f"where-{key}-{number}", type="tertiary", help="Explain this caption",
                        on_click=_explain, args=(f"sentence-{key}", caption),
                    )  # fmt: skip
                search = st.button(
                    "Search", key=f"caption-{key}-{number}", type="tertiary", on_click=view.search, args=(caption,)
                )
            if search:
                st.rerun()


def _facts(view: _Shown, photo: Photo | None) -> list[tuple[str, str]]:
    index = view.searcher.index
    row = index.row_of[view.path]
    picture, place = index.catalogue.pictures[row], PurePosixPath(view.path)
    about = [("Name", place.name), ("Folder", "" if str(place.parent) == "." else str(place.parent))]
    known = picture.facts
    if photo is not None:
        about += [("Size", f"{photo.size[0]:,} × {photo.size[1]:,} pixels"), ("Taken", photo.taken)]
    elif known.width:
        size = f"{known.width:,} × {known.height:,} pixels"
        about += [("Size", size), ("Taken", known.taken.replace("T", " "))]
    about += [("File", f"{picture.stamp.size / 1024:,.0f} KiB"), ("SHA-256", f"{picture.sha256[:12]}…")]
    about += [("Path", os.path.abspath(view.searcher.image_path(view.path)))]
    if photo is not None and photo.stamp != (picture.stamp.modified_ns, picture.stamp.size):
        about += [("Note", "The file has changed since it was indexed; what stands above is of today's.")]
    return [(name, value) for name, value in about if value]


def _neighbours(view: _Shown, photo: Photo | None) -> None:
    """The pictures most like it; each can be opened, and set beside this one."""
    found = view.searcher.similar(view.path, NEIGHBOURS)
    if not found:
        return
    pictures, rows = view.searcher.index.catalogue.pictures, view.searcher.index.row_of
    own = pictures[rows[view.path]].sha256
    st.html('<div class="cm-label">Most alike</div>')
    beside = f"beside-{view.key}"
    with st.container(key="cm-grid-near"):
        for hit in found:
            with st.container(key=f"cm-tile-near-{view.key}-{hit.rank}"):
                name = PurePosixPath(hit.path).name
                if pictures[rows[hit.path]].sha256 == own:
                    name = f"the same file: {name}"
                st.html(tile(thumbnail(view.searcher.image_path(hit.path), NEIGHBOUR_PIXELS), name, None, hit.score))
                with st.container(horizontal=True, gap="small", width="content"):
                    key = f"{view.key}-{hit.rank}"
                    opens = st.button("Open", key=f"near-{key}", type="tertiary", on_click=view.open, args=(hit.path,))
                    if photo is not None and can_explain(view.searcher):
                        st.button(
                            "Compare", key=f"alike-{key}", type="tertiary", on_click=_explain, args=(beside, hit.path)
                        )
            if opens:
                st.rerun()
    chosen = st.session_state.get(beside)
    if photo is not None and chosen in rows:
        try:
            names = PurePosixPath(chosen).name, "this picture"
            alike(view.searcher, opened(view.searcher, chosen), photo, names, f"{view.key}-near")
        except ImageError as error:
            st.info(plain_markdown(f"{error}."))


def _explain(key: str, what: str) -> None:
    st.session_state[key] = what


def _open(path: str) -> None:
    st.query_params["picture"] = path


def _search(text: str) -> None:
    ask_text(text)
    if "picture" in st.query_params:
        del st.query_params["picture"]
