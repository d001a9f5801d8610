"""The upper half of the detail view: why a picture was found, with widgets to ask for more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from crossmodal.app.state.explanations import Photo, as_it_is, explained, heated, is_exact, likeness, opened, seen_part
from crossmodal.app.state.thumbnails import thumbnail
from crossmodal.app.widgets.picture import score_bars
from crossmodal.app.widgets.picture.score_bars import WHOLE
from crossmodal.app.widgets.theme import _safe, plain_markdown, shown
from crossmodal.errors import ImageError, InputError
from crossmodal.inference.explain import compare
from crossmodal.plots.overlay import strongest

if TYPE_CHECKING:
    from crossmodal.inference.explain import Explanation, Likeness
    from crossmodal.search.searcher import Searcher

__all__ = ["above_or_below", "alike", "plain", "sentence_and_picture"]

HEAT, APART, PLAIN = "Heat", "What sets it apart", "Plain"
BOXES = "Regions"
PLAIN_PIXELS = 1200
MATCHES = 5
FAINT = 0.02  # of the strongest share: below it nothing visibly speaks against


def plain(photo: Photo) -> None:
    """The picture as it is."""
    address = thumbnail(photo.path, PLAIN_PIXELS) or as_it_is(photo)
    st.html(score_bars.picture(address, photo.path.name))


def sentence_and_picture(searcher: Searcher, photo: Photo, text: str, key: str) -> None:
    """The picture under the heat of a sentence or of one word of it, beside the words' shares."""
    try:
        found = explained(searcher, photo, text)
    except (ImageError, InputError) as error:
        plain(photo)
        st.info(plain_markdown(f"{error}."))
        return
    chosen = _word(found, key)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        _heat(searcher, photo, found, chosen, key)
    with right:
        st.html(score_bars.word_bars(found, chosen))
        if found.unread:
            unread = _safe(score_bars.short(found.unread, 300))
            st.html(f'<p class="cm-note" dir="auto">Too long for the model. Not read: {unread}</p>')
        if found.exact:
            st.html(
                '<p class="cm-note">An exact sum, no estimate: every word at every place of the picture. “Start and '
                "end” is what the model adds around a sentence; the bias is there whatever is seen or said.</p>"
            )


def above_or_below(
    searcher: Searcher, photo: Photo, path: str, text: str, others: Sequence[str], first: str | None, key: str
) -> None:
    """Why this picture stands above or below another hit. first: the one to compare with until another is chosen."""
    offered = [other for other in others if other != path and other in searcher.index.row_of]
    if not offered or not is_exact(searcher):
        return
    st.html('<div class="cm-label">Why is it above or below another?</div>')
    other = st.selectbox(
        "Compare with another hit", offered, index=offered.index(first) if first in offered else None,
        key=f"other-{key}", placeholder="Choose another hit …", format_func=shown, label_visibility="collapsed",
    )  # fmt: skip
    if other is None:
        return
    try:
        rival = opened(searcher, other)
        here, there = explained(searcher, photo, text), explained(searcher, rival, text)
        found = compare(here, there)
    except (ImageError, InputError) as error:
        st.info(plain_markdown(f"{error}."))
        return
    left, right = st.columns([1, 1], gap="medium")
    with left:
        st.html(f'<p class="cm-said" dir="auto">{_safe(score_bars.difference(found, PurePosixPath(other).name))}</p>')
        st.html(score_bars.difference_bars(found))
    with right:
        _heats_of_both(searcher, ((photo, here, "this picture"), (rival, there, PurePosixPath(other).name)))


def alike(searcher: Searcher, first: Photo, second: Photo, names: tuple[str, str], key: str) -> None:
    """Two pictures side by side with the places that match best. names: what to call them."""
    st.html('<div class="cm-label">Where the two are alike</div>')
    try:
        found = likeness(searcher, first, second)
    except (ImageError, InputError) as error:
        st.info(plain_markdown(f"{error}."))
        return
    views = ([BOXES] if found.matrix is not None and None not in found.shapes else []) + [HEAT, PLAIN]
    view = st.segmented_control(
        "What to show of the two", views, default=views[0], key=f"alike-view-{key}", required=True,
        label_visibility="collapsed",
    )  # fmt: skip
    _pair(searcher, (first, second), names, found, str(view))


def _word(found: Explanation, key: str) -> int:
    """Draw the words to click and return the one chosen, WHOLE for all."""
    if found.matrix is None or found.shape is None:
        return WHOLE
    names = score_bars.pill_names(found)
    chosen = st.pills(
        "Heat of", list(names), format_func=lambda number: plain_markdown(names[number]), default=WHOLE,
        key=f"word-{key}", required=True, label_visibility="collapsed",
    )  # fmt: skip
    return WHOLE if chosen is None else int(chosen)


def _heat(searcher: Searcher, photo: Photo, found: Explanation, chosen: int, key: str) -> None:
    if found.place_shares is None or found.shape is None:
        plain(photo)
        st.html('<p class="cm-note">No heat: this image tower has no map of places.</p>')
        return
    views = [HEAT, PLAIN] if chosen == WHOLE else [HEAT, APART, PLAIN]
    view = st.segmented_control(
        "What to show", views, default=HEAT, key=f"view-{key}-{len(views)}", required=True, label_visibility="collapsed"
    )
    if view == PLAIN:
        plain(photo)
        return
    rows, columns = found.shape
    places = found.place_shares if chosen == WHOLE or found.matrix is None else found.matrix[chosen]
    unit = f"share of the score at each of {rows} × {columns} places"
    if view == APART:
        whole = found.place_shares
        places = places - places.sum() * whole / (whole.sum() or 1.0)
        unit = "where the word has more or less of its share than the whole sentence has"
    if not found.exact:
        unit = f"{found.method}: weights of {rows} × {columns} places, which add up to nothing"
    seen = seen_part(searcher, photo.shown)
    if seen != (0, 0, *photo.shown.size):
        unit += "; the model does not see the dark edges"
    what = "the whole sentence" if chosen == WHOLE else score_bars.short(found.words[chosen])
    limit = strongest(places)
    address = heated(searcher, photo, places, found.shape, limit)
    badge = "" if found.exact else found.method
    st.html(
        score_bars.picture(address, f"{photo.path.name} under the heat of {what}", badge)
        + score_bars.legend(limit, _speaks_against(places), unit)
    )


def _speaks_against(places: NDArray[np.float64]) -> bool:
    return bool((places < -FAINT * strongest(places)).any())


def _heats_of_both(searcher: Searcher, sides: Sequence[tuple[Photo, Explanation, str]]) -> None:
    """Two pictures under heats of one scale."""
    heats = [found.place_shares for _, found, _ in sides if found.place_shares is not None]
    if len(heats) < len(sides):
        return
    both = np.concatenate(heats)
    limit = strongest(both)
    cells = [
        (
            score_bars.picture(heated(searcher, photo, heat, found.shape or (1, 1), limit), name),
            f"{name} · {found.score:.3f}",
        )
        for (photo, found, name), heat in zip(sides, heats, strict=True)
    ]
    st.html(
        score_bars.side_by_side(cells)
        + score_bars.legend(limit, _speaks_against(both), "share of the score, one scale for both")
    )


def _pair(searcher: Searcher, photos: tuple[Photo, Photo], names: tuple[str, str], found: Likeness, view: str) -> None:
    matches = found.matches(MATCHES) if view == BOXES else ()
    places = [match.first for match in matches], [match.second for match in matches]
    both = np.concatenate([heat for heat in (found.first, found.second) if heat is not None] or [np.zeros(1)])
    badge = "" if found.exact or view == PLAIN else found.method
    cells = []
    sides = zip(photos, names, (found.first, found.second), found.shapes, places, strict=True)
    for photo, name, heat, shape, own in sides:
        address, boxes = as_it_is(photo), ""
        if shape is not None and heat is not None and view == HEAT:
            address = heated(searcher, photo, heat, shape, strongest(both))
        elif shape is not None:
            boxes = score_bars.boxed(own, shape, seen_part(searcher, photo.shown), photo.shown.size)
        cells.append((score_bars.picture(address, name, badge, boxes), name))
    st.html(score_bars.pair_equation(found) + score_bars.side_by_side(cells))
    if matches and found.matrix is not None:
        st.html(score_bars.match_list(matches, float(np.abs(found.matrix).mean())))
    elif view == HEAT and both.any():
        unit = "share of the score at each place" if found.exact else f"{found.method}: adds up to nothing"
        st.html(score_bars.legend(strongest(both), _speaks_against(both), unit))
