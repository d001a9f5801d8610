"""The lower half of the search page: tiles, found captions, one picture in full, and the heatmap of the results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import streamlit as st

from crossmodal.figures import similarity_heatmap
from crossmodal.ui.asking import Question, ask_for_more_like
from crossmodal.ui.look import caption_row, large, tile
from crossmodal.ui.thumbnails import thumbnail

if TYPE_CHECKING:
    from crossmodal.search import Hit, Searcher

__all__ = ["caption_list", "download", "heatmap", "picture_grid", "sample_grid"]

HEATMAP_RESULTS = 20
SMALL_PIXELS = 160
LARGE_PIXELS = 1100


def picture_grid(searcher: Searcher, hits: Sequence[Hit]) -> None:
    """Found pictures as tiles with score, caption and buttons."""
    with st.container(key="cm-grid-results"):
        for hit in hits:
            _tile(searcher, hit.path, f"{hit.rank}", hit.rank, hit.score)


def sample_grid(searcher: Searcher, paths: Sequence[str]) -> None:
    """Some pictures of the gallery, to look at before anything is asked."""
    with st.container(key="cm-grid-sample"):
        for number, path in enumerate(paths):
            _tile(searcher, path, f"sample-{number}")


def caption_list(searcher: Searcher, hits: Sequence[Hit]) -> None:
    """Found captions, each with its score and the picture it belongs to."""
    with st.container(key="cm-list"):
        for hit in hits:
            with st.container(key=f"cm-row-{hit.rank}", horizontal=True, vertical_alignment="center", gap="small"):
                address = thumbnail(searcher.image_path(hit.path), SMALL_PIXELS)
                st.html(caption_row(address, hit.caption or "", hit.path, hit.rank, hit.score))
                _buttons(searcher, hit.path, f"row-{hit.rank}")


def download(question: Question, hits: Sequence[Hit]) -> None:
    """A button that saves the results as JSON: rank, score, path and, for captions, caption."""
    name = question.text or question.like or "picture"
    kept = "".join(character if character.isascii() and character.isalnum() else "-" for character in name)[:40]
    st.download_button(
        "Save as JSON",
        json.dumps([hit.as_dict() for hit in hits], indent=1),
        file_name=f"{kept.strip('-') or 'results'}.json",
        mime="application/json",
        icon=":material/download:",
        on_click="ignore",
        type="tertiary",
    )


def heatmap(searcher: Searcher, question: Question, hits: Sequence[Hit]) -> None:
    """Similarity of the query with the results and of the results among themselves."""
    import numpy as np

    shown = hits[:HEATMAP_RESULTS]
    labels = [f"{hit.rank}. {hit.caption or _words_of(searcher, hit.path)}" for hit in shown]
    vectors = searcher.hit_vectors(shown)
    asked = question.text or (question.picture[0] if question.picture else PurePosixPath(question.like).name)
    dark = st.context.theme.type == "dark"
    scores = np.array([[hit.score for hit in shown]], dtype=np.float32)
    st.pyplot(similarity_heatmap(scores, [asked], labels, "Query × results", dark))
    st.pyplot(similarity_heatmap(vectors @ vectors.T, labels, labels, "Results × results", dark))
    if len(hits) > len(shown):
        st.caption(f"The first {len(shown)} of {len(hits)} results are drawn.")


def _words_of(searcher: Searcher, path: str) -> str:
    captions = searcher.captions_of(path)
    return captions[0] if captions else PurePosixPath(path).name


def _tile(searcher: Searcher, path: str, key: str, rank: int | None = None, score: float | None = None) -> None:
    with st.container(key=f"cm-tile-{key}"):
        st.html(tile(thumbnail(searcher.image_path(path)), _words_of(searcher, path), rank, score))
        _buttons(searcher, path, key)


def _buttons(searcher: Searcher, path: str, key: str) -> None:
    with st.container(horizontal=True, gap="small", vertical_alignment="center", width="content"):
        st.button("More like this", key=f"like-{key}", type="tertiary", on_click=ask_for_more_like, args=(path,))
        if st.button("", key=f"open-{key}", type="tertiary", icon=":material/open_in_full:", help="Show in full"):
            _in_full(searcher, path)


@st.dialog("Picture", width="large")
def _in_full(searcher: Searcher, path: str) -> None:
    st.html(large(thumbnail(searcher.image_path(path), LARGE_PIXELS), path, searcher.captions_of(path)))
