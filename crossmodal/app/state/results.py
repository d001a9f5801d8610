"""A view, answered: which hits stand on its page, near-duplicates folded into one, and how many there are in all.

Answers are kept for the session, so that the next page, another fold or a dialog asks nothing again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from crossmodal.app.state import query_form
from crossmodal.app.state.near_duplicates import group_of
from crossmodal.app.state.view import Part, View
from crossmodal.errors import InputError
from crossmodal.search.query import Indexed, Query, Term

if TYPE_CHECKING:
    from crossmodal.search.searcher import Hit, Searcher, SearchResult

__all__ = ["Asked", "Found", "ask_of", "find", "in_address", "mask_of", "path_of", "terms_of"]

KEPT_ANSWERS = 4
AHEAD = 3  # pages that are found at once


@dataclass(frozen=True)
class Found:
    """One page of answers.

    hits: those of the page, best first; their ranks count tiles.
    terms: what the hits' shares belong to, in their order.
    total: tiles on all pages.
    everything: hits that the tiles hold together with what is folded.
    copies: path of a hit -> paths of the pictures folded into it, which `hits` leaves out unless the view unfolds them.
    match: as a SearchResult's: probability that the gallery holds a match at all, in [0, 1]; None where it is unknown.
    nothing: True where that is so low that nothing seems to match.
    """

    hits: tuple[Hit, ...]
    terms: tuple[Term, ...]
    total: int
    everything: int
    copies: dict[str, tuple[str, ...]]
    match: float | None = None
    nothing: bool = False

    def pages(self, count: int) -> int:
        """How many pages there are; at least one."""
        return max(-(-self.total // count), 1)


@dataclass(frozen=True, eq=False)
class Asked:
    """A view's question, made out once: it can be answered anywhere, also where there is no session.

    searcher: of the gallery.
    terms: what is asked, then what follows from marks.
    target: "images" or "captions".
    by: what pictures are found by, one of `crossmodal.search.query.BY`.
    mask: (N,), the pictures that may answer; None for all.
    own: how many of the terms were asked; the others follow from marks.
    """

    searcher: Searcher
    terms: tuple[Term, ...]
    target: str
    by: str
    mask: NDArray[np.bool_] | None
    own: int

    def answer(self, k: int) -> SearchResult:
        """The k best hits. Raises InputError or ImageError as a search does.

        What was liked is looked for and may yet be found, unlike what was asked.
        """
        marked = len(self.terms) > self.own
        mask = self.without_asked() if marked and self.target == "images" else self.mask
        return self.searcher.search(Query(self.terms), k, self.target, by=self.by, within=mask, own=marked)

    def without_asked(self) -> NDArray[np.bool_]:
        """(N,): the pictures that may answer, without those that are looked for."""
        rows = self.searcher.index.row_of
        allowed = np.ones(self.searcher.image_count, dtype=np.bool_) if self.mask is None else self.mask.copy()
        wanted = [term.content for term in self.terms[: self.own] if term.weight > 0]
        allowed[[rows[content.path] for content in wanted if isinstance(content, Indexed)]] = False
        return allowed


def ask_of(searcher: Searcher, view: View, target: str, marks: Sequence[Term] = ()) -> Asked:
    """What a view asks.

    marks: terms that follow from what was liked and disliked.

    Raises InputError for a picture that is not in the gallery, or a filter by what the index does not hold.
    """
    own = terms_of(searcher, view)
    known = searcher.caption_count or view.by not in ("captions", "both")
    by = view.by if target == "images" and known else "pictures"
    return Asked(searcher, (*own, *marks), target, by, mask_of(searcher, view), len(own))


def find(asked: Asked, view: View) -> Found:
    """The page of answers that a view shows; a page beyond the last one is the last one.

    Raises InputError or ImageError as a search does.
    """
    if asked.mask is not None and not asked.mask.any():
        return Found((), (), 0, 0, {})
    groups = group_of(asked.searcher) if asked.target == "images" and view.copies != ("*",) else None
    wanted = view.page * view.count
    k = wanted + (AHEAD - 1) * view.count
    while True:
        answer = _answer(asked, view, k)
        kept, copies = _folded(asked.searcher, answer.hits, groups, view.copies)
        if len(kept) >= wanted or len(answer.hits) >= answer.total:
            break
        k = 4 * len(answer.hits)
    total = len(kept) if len(answer.hits) >= answer.total else _total(asked, groups, answer.total)
    page = min(view.page, max(-(-total // view.count), 1))
    first = (page - 1) * view.count
    places = enumerate(kept[first : first + view.count], first + 1)
    shown = tuple(replace(hit, rank=place) for place, hit in places)
    return Found(shown, asked.terms, total, answer.total, copies, answer.match, not answer.anything_here)


def terms_of(searcher: Searcher, view: View) -> tuple[Term, ...]:
    """What a view asks. Raises InputError for a picture that is not in the gallery or was given in another session."""
    return tuple(_term(searcher, part) for part in view.parts)


def mask_of(searcher: Searcher, view: View) -> NDArray[np.bool_] | None:
    """Which pictures a view may show, (N,), by its filter and the choice on the map; None for all.

    Raises InputError if the index does not hold what the filter asks for.
    """
    mask = view.chosen.mask(searcher.index) if view.chosen else None
    chosen = query_form.selected(searcher)
    if chosen:
        rows = [searcher.index.row_of[path] for path in chosen]
        among = np.zeros(searcher.image_count, dtype=np.bool_)
        among[rows] = True
        mask = among if mask is None else mask & among
    return mask


def path_of(searcher: Searcher, name: str) -> str | None:
    """The path of a picture that an address names; None where there is none.

    A name whose bytes are no UTF-8 stands in an address with escapes.
    """
    rows = searcher.index.row_of
    if name in rows:
        return name
    return next((path for path in rows if not path.isprintable() and in_address(path) == name), None)


def in_address(path: str) -> str:
    """A path as an address names it."""
    from crossmodal.app.widgets.theme import shown

    return shown(path)


def _term(searcher: Searcher, part: Part) -> Term:
    if part.words:
        return part.term
    if part.upload:
        picture = query_form.given(part.upload)
        if picture is None:
            raise InputError("the picture that was given is gone with its session: give it again")
        return Term(picture[1], -part.weight if part.minus else part.weight, part.crop, picture[0])
    path = path_of(searcher, part.picture)
    if path is None:
        raise InputError(f"{part.picture} is not in this gallery.")
    return replace(part.term, content=Indexed(path))


def _answer(asked: Asked, view: View, k: int) -> SearchResult:
    """At least k hits, from those kept where they are enough."""
    manifest = asked.searcher.manifest
    state = (str(asked.searcher.index.path), manifest.generation, manifest.created)
    key = (*state, asked.terms, asked.own, asked.target, asked.by, view.chosen, query_form.selected(asked.searcher))
    kept: dict[object, SearchResult] = st.session_state.setdefault("answers", {})
    answer = kept.pop(key, None)
    if answer is None or len(answer.hits) < min(k, answer.total):
        began = time.perf_counter()
        answer = asked.answer(k)
        runtime = asked.searcher.encoder.runtime if asked.searcher.is_ready else ""
        st.session_state.searched = (time.perf_counter() - began, runtime)
    kept[key] = answer
    while len(kept) > KEPT_ANSWERS:
        del kept[next(iter(kept))]
    return answer


def _folded(
    searcher: Searcher, hits: Sequence[Hit], groups: NDArray[np.int64] | None, unfolded: Sequence[str]
) -> tuple[list[Hit], dict[str, tuple[str, ...]]]:
    """Hits without the copies of a better one, and the copies by the path of that one."""
    if groups is None:
        return list(hits), {}
    row_of = searcher.index.row_of
    firsts: dict[int, str] = {}
    copies: dict[str, list[str]] = {}
    kept: list[Hit] = []
    for hit in hits:
        group = int(groups[row_of[hit.path]])
        first = firsts.setdefault(group, hit.path)
        if first != hit.path:
            copies.setdefault(first, []).append(hit.path)
        if first == hit.path or first in unfolded:
            kept.append(hit)
    return kept, {first: tuple(paths) for first, paths in copies.items()}


def _total(asked: Asked, groups: NDArray[np.int64] | None, everything: int) -> int:
    """How many tiles all pages have while nothing is unfolded."""
    if groups is None:
        return everything
    allowed = asked.without_asked()
    if asked.by == "captions":
        allowed &= np.diff(asked.searcher.index.caption_rows) > 0
    return int(np.unique(groups[allowed]).size)
