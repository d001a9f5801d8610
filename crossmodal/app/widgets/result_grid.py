"""The lower half of the search page: tiles, found captions, and the heatmap of the results."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from io import BytesIO
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import streamlit as st

from crossmodal.app.state.thumbnails import thumbnail
from crossmodal.app.widgets.theme import caption_row, picture
from crossmodal.app.widgets.tiles import COLOURS, Share, Tile, buttons, opener, share_bar, tile_of
from crossmodal.plots import clustered_heatmap

if TYPE_CHECKING:
    from crossmodal.app.state.marks import Marks
    from crossmodal.app.state.results import Found
    from crossmodal.app.state.view import View
    from crossmodal.search.query import Term
    from crossmodal.search.searcher import Hit, Searcher

__all__ = ["caption_list", "heatmap", "picture_grid", "sample_grid", "shares_of"]

HEATMAP_RESULTS = 24
HEATMAP_DPI = 110
SMALL_PIXELS = 160
ACTS = ("like", "plus", "minus")
MARKS = ("up", "down")


def picture_grid(searcher: Searcher, found: Found, view: View, marks: Marks | None) -> None:
    """Found pictures as tiles with badges, shares and buttons."""
    acts = ACTS if marks is None else (*ACTS, *MARKS)
    root = searcher.root  # looked up once: it asks the disk
    with st.container(key="cm-grid-results"):
        for hit in found.hits:
            tile = Tile(
                searcher.index.row_of[hit.path],
                thumbnail(root / hit.path),
                _words_of(searcher, hit.path),
                hit.rank,
                hit.score,
                hit.relevance,
                len(found.copies.get(hit.path, ())),
                hit.path in view.copies,
                0 if marks is None else marks.of(hit.path),
                shares_of(found.terms, hit, len(view.parts)),
                acts,
            )
            st.html(tile_of(tile))


def sample_grid(searcher: Searcher, paths: Sequence[str]) -> None:
    """Some pictures of the gallery, to look at before anything is asked."""
    root = searcher.root
    with st.container(key="cm-grid-sample"):
        for path in paths:
            row = searcher.index.row_of[path]
            st.html(tile_of(Tile(row, thumbnail(root / path), _words_of(searcher, path))))


def caption_list(searcher: Searcher, found: Found, view: View) -> None:
    """Found captions, each with its score and the picture it belongs to."""
    root = searcher.root
    with st.container(key="cm-list"):
        for hit in found.hits:
            address = thumbnail(root / hit.path, SMALL_PIXELS)
            acts = buttons(searcher.index.row_of[hit.path], ACTS)
            shares = share_bar(shares_of(found.terms, hit, len(view.parts)))
            shown = opener(searcher.index.row_of[hit.path], address, hit.path)
            st.html(caption_row(shown, hit.caption or "", hit.path, hit.rank, hit.score, hit.relevance, shares, acts))


def shares_of(terms: Sequence[Term], hit: Hit, asked: int) -> tuple[Share, ...]:
    """What each part of the question adds to a hit's score; all that follows from marks is one."""
    if hit.shares is None:
        return ()
    signs = ["− " if term.weight < 0 else "" for term in terms]
    pairs = zip(signs, terms, hit.shares, strict=True)
    shares = [Share(sign + term.label, value, place % COLOURS) for place, (sign, term, value) in enumerate(pairs)]
    own, marked = shares[:asked], shares[asked:]
    return (*own, Share("your marks", sum(share.value for share in marked), COLOURS)) if marked else tuple(own)


def heatmap(searcher: Searcher, name: str, hits: Sequence[Hit]) -> None:
    """The results of a page among themselves, like beside like, and the question with each of them."""
    shown = hits[:HEATMAP_RESULTS]
    dark = st.context.theme.type == "dark"
    address = _heatmap(str(searcher.index.path), searcher.manifest.generation, name, tuple(shown), dark, searcher)
    st.html(f'<div class="cm-heatmap">{picture(address, f"Similarity of {name} with the results")}</div>')
    if len(hits) > len(shown):
        st.caption(f"The first {len(shown)} of the {len(hits)} results on this page are drawn.")


@st.cache_data(max_entries=16, show_spinner="Drawing …")
def _heatmap(
    index: str,  # noqa: ARG001 - part of the key, like the generation
    generation: str,  # noqa: ARG001
    name: str,
    hits: tuple[Hit, ...],
    dark: bool,
    _searcher: Searcher,
) -> str:
    import numpy as np

    labels = [f"{hit.rank}. {hit.caption or _words_of(_searcher, hit.path)}" for hit in hits]
    vectors = _searcher.hit_vectors(hits)
    scores = np.array([[hit.score for hit in hits]], dtype=np.float32)
    figure = clustered_heatmap(vectors @ vectors.T, labels, scores, [name], dark)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=HEATMAP_DPI)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _words_of(searcher: Searcher, path: str) -> str:
    captions = searcher.captions_of(path)
    return captions[0] if captions else PurePosixPath(path).name
