"""The detail view of one picture: why it was found, word by word and place by place, and all that is known of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import streamlit as st

from crossmodal.errors import ImageError, InputError
from crossmodal.explain import compare
from crossmodal.ui import why
from crossmodal.ui.asking import ask_text
from crossmodal.ui.explained import Photo, can_explain, explained, likeness, opened, seen_part
from crossmodal.ui.look import _safe, facts, plain_markdown, shown
from crossmodal.ui.overlay import heat_picture, strongest
from crossmodal.ui.thumbnails import as_data_address, thumbnail

if TYPE_CHECKING:
    from PIL.Image import Image

    from crossmodal.explain import Explanation
    from crossmodal.search import Searcher

__all__ = ["detail"]

LONGEST_TEXT = 10_000
NEIGHBOURS = 6
NEIGHBOUR_PIXELS = 240
WHOLE = -1  # the pill of the whole sentence
HEAT, APART, PLAIN = "Heat", "Against the sentence", "Plain"
Open = Callable[[str], None]


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
    on_open: Open | None = None,
    on_search: Open | None = None,
) -> None:
    """Draw all about one picture into the current container, in a dialog or on a page.

    text: the sentence it was found with. asked: the picture it was found with. others: paths of the other hits, to
    compare with. above: the one of them to compare with at first. rank, score, relevance: of the hit. on_open: called
    with the path of a picture to open instead; left out, it is put into the address as `picture`. on_search: called
    with a caption to search for; left out, the search page asks it and the picture leaves the address.
    """
    if path not in searcher.index.row_of:  # an edited address must not show any other file
        st.error(plain_markdown(f"{path[:200]} is not in this gallery."))
        return
    open_, search = on_open or _open, on_search or _search
    _detail(
        searcher,
        path,
        text.strip()[:LONGEST_TEXT],
        asked,
        tuple(others),
        above,
        (rank, score, relevance),
        open_,
        search,
    )


@st.fragment
def _detail(
    searcher: Searcher,
    path: str,
    text: str,
    asked: Image | None,
    others: tuple[str, ...],
    above: str | None,
    found: tuple[int | None, float | None, float | None],
    open_: Open,
    search: Open,
) -> None:
    key = hashlib.sha256(f"{searcher.index.path}\0{path}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()[:10]
    photo: Photo | None = None
    try:
        photo = opened(searcher, path)
    except ImageError as error:
        st.warning(plain_markdown(f"The picture cannot be shown: {error.reason}. What the index knows of it:"))
    _head(path, found)
    with st.container(key="cm-detail"):
        if photo is not None and text:
            _sentence(searcher, photo, text, key)
            _above(searcher, photo, path, text, others, above, key)
        elif photo is not None:
            st.html(_large(as_data_address(photo.whole, 1100), path))
        if photo is not None and asked is not None:
            _alike(searcher, asked, photo)
        left, right = st.columns([3, 2], gap="large")
        with left:
            _captions(searcher, path, search, key)
        with right:
            st.html('<div class="cm-label">The file</div>' + facts(_facts(searcher, path, photo)))
        _neighbours(searcher, path, open_, key)


def _head(path: str, found: tuple[int | None, float | None, float | None]) -> None:
    rank, score, relevance = found
    said = [] if rank is None else [f"hit {rank}"]
    said += [] if score is None else [f"cosine {score:.3f}"]
    said += [] if relevance is None else [f"{100 * relevance:.0f} % likely to match"]
    name = PurePosixPath(path).name
    st.html(f'<div class="cm-title"><b dir="auto">{_safe(name)}</b><span>{_safe(" · ".join(said))}</span></div>')


def _sentence(searcher: Searcher, photo: Photo, text: str, key: str) -> None:
    """The picture under the heat of a sentence or of one word of it, beside the words' shares."""
    try:
        found = explained(searcher, photo, text)
    except InputError as error:
        st.html(_large(as_data_address(photo.whole, 1100), str(photo.path.name)))
        st.info(plain_markdown(f"Why it was found cannot be said: {error}."))
        return
    chosen = _words(found, key)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _heat(searcher, photo, found, chosen, key)
    with right:
        st.html(f'<p class="cm-quoted" dir="auto">{_safe(text)}</p>')
        st.html(why.word_bars(found, None if chosen == WHOLE else chosen))
        if found.unread:
            st.html(f'<p class="cm-quiet" dir="auto">Too long for the model, not read: {_safe(found.unread)}</p>')


def _words(found: Explanation, key: str) -> int:
    """Draw the words to click and return the one chosen, WHOLE for all."""
    if found.matrix is None or found.shape is None:
        return WHOLE
    kept = why.leading(found.word_shares)
    shares = dict(enumerate(found.word_shares.tolist()))
    names = {number: f"{why.short(found.words[number])} {why.signed(shares[number])}" for number in kept}
    names[WHOLE] = "whole sentence"
    chosen = st.pills(
        "Heat of", [WHOLE, *kept], format_func=lambda number: plain_markdown(names[number]), default=WHOLE,
        key=f"word-{key}", required=True, label_visibility="collapsed",
    )  # fmt: skip
    return WHOLE if chosen is None else int(chosen)


def _heat(searcher: Searcher, photo: Photo, found: Explanation, chosen: int, key: str) -> None:
    if found.place_shares is None or found.shape is None:
        st.html(_large(as_data_address(photo.whole, 1100), photo.path.name))
        st.html('<p class="cm-quiet">No heat: this image tower has no map of places.</p>')
        return
    views = [HEAT, PLAIN] if chosen == WHOLE else [HEAT, APART, PLAIN]
    view = st.segmented_control(
        "View", views, default=HEAT, key=f"view-{key}-{len(views)}", required=True, label_visibility="collapsed"
    )
    if view == PLAIN:
        st.html(_large(as_data_address(photo.whole, 1100), photo.path.name))
        return
    places = found.place_shares if chosen == WHOLE or found.matrix is None else found.matrix[chosen]
    unit = "share of the score, a place" if found.exact else f"{found.method}: weight of a place, adds up to nothing"
    if view == APART:
        whole = found.place_shares
        places = places - places.sum() * whole / (whole.sum() or 1.0)
        unit = "more or less of this word's share than of the whole sentence's, a place"
    limit = strongest(places)
    heat = heat_picture(photo.shown, places.reshape(found.shape), seen_part(searcher, photo.shown), limit)
    what = "the whole sentence" if chosen == WHOLE else why.short(found.words[chosen])
    st.html(_large(as_data_address(heat, 1100), f"{photo.path.name} under the heat of {what}"))
    st.html(why.legend(limit, bool((places < -0.02 * limit).any()), unit))


def _above(
    searcher: Searcher, photo: Photo, path: str, text: str, others: Sequence[str], above: str | None, key: str
) -> None:
    """Why this picture stands above or below another hit."""
    offered = [other for other in dict.fromkeys(others if above is None else (above, *others)) if other != path]
    offered = [other for other in offered if other in searcher.index.row_of]
    if not offered or not can_explain(searcher):
        return
    st.html('<div class="cm-label">Why is it above or below another?</div>')
    other = st.selectbox(
        "Compare with", offered, index=0 if above in offered else None, key=f"other-{key}", placeholder="Choose another hit …",
        format_func=shown, label_visibility="collapsed",
    )  # fmt: skip
    if other is None:
        return
    try:
        here, there = explained(searcher, photo, text), explained(searcher, opened(searcher, other), text)
        found = compare(here, there)
    except (ImageError, InputError) as error:
        st.info(plain_markdown(f"{error}."))
        return
    st.html(f'<p dir="auto">{_safe(why.difference(found, PurePosixPath(other).name))}</p>')
    st.html(why.difference_bars(found))


def _alike(searcher: Searcher, asked: Image, photo: Photo) -> None:
    """The two pictures side by side with the places that match best."""
    try:
        found = likeness(searcher, asked.convert("RGB"), photo)
    except InputError as error:
        st.info(plain_markdown(f"{error}."))
        return
    st.html(f'<div class="cm-label">Where the two are alike</div><p class="cm-quiet">{_safe(found.method)}</p>')


def _captions(searcher: Searcher, path: str, search: Open, key: str) -> None:
    captions = searcher.captions_of(path)
    st.html('<div class="cm-label">Captions</div>')
    if not captions:
        st.html('<p class="cm-quiet">This picture has no caption.</p>')
        return
    cosines = searcher.caption_vectors(path) @ searcher.image_vectors([path])[0]
    with st.container(key="cm-list-detail"):
        for number, (caption, cosine) in enumerate(zip(captions, cosines.tolist(), strict=True)):
            with st.container(key=f"cm-row-{key}-{number}", horizontal=True, vertical_alignment="center", gap="small"):
                st.html(
                    f'<div class="cm-own"><span class="cm-text" dir="auto">{_safe(caption)}</span>'
                    f'<span class="cm-score" title="cosine of caption and picture">{cosine:.3f}</span></div>'
                )
                if st.button(
                    "Search", key=f"caption-{key}-{number}", type="tertiary", icon=":material/search:",
                    on_click=search, args=(caption,),
                ):  # fmt: skip
                    st.rerun()


def _facts(searcher: Searcher, path: str, photo: Photo | None) -> list[tuple[str, str]]:
    row = searcher.index.row_of[path]
    picture = searcher.index.catalogue.pictures[row]
    place = PurePosixPath(path)
    about = [("Name", place.name), ("Folder", "/" if str(place.parent) == "." else str(place.parent))]
    if photo is not None:
        about.append(("Size", f"{photo.whole.width:,} × {photo.whole.height:,} pixels"))
    about += [("File", f"{picture.stamp.size / 1024:,.0f} KiB"), ("SHA-256", picture.sha256[:12] + "…")]
    return [*about, ("Path", str(searcher.image_path(path)))]


def _neighbours(searcher: Searcher, path: str, open_: Open, key: str) -> None:
    found = searcher.similar(path, NEIGHBOURS)
    if not found:
        return
    st.html('<div class="cm-label">Most alike</div>')
    with st.container(key="cm-grid-near"):
        for hit in found:
            with st.container(key=f"cm-tile-near-{key}-{hit.rank}"):
                address = thumbnail(searcher.image_path(hit.path), NEIGHBOUR_PIXELS)
                from crossmodal.ui.look import tile

                st.html(tile(address, PurePosixPath(hit.path).name, None, hit.score))
                if st.button("Open", key=f"near-{key}-{hit.rank}", type="tertiary", on_click=open_, args=(hit.path,)):
                    st.rerun()


def _large(address: str, name: str) -> str:
    return f'<div class="cm-shown"><img src="{_safe(address)}" alt="{_safe(name)}"></div>'


def _open(path: str) -> None:
    st.query_params["picture"] = path


def _search(text: str) -> None:
    ask_text(text)
    if "picture" in st.query_params:
        del st.query_params["picture"]
