"""The map page: the whole gallery at a glance, like beside like; a lasso chooses many pictures, a click opens one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from crossmodal.app.state.galleries import labels_of, searcher_of
from crossmodal.app.state.jobs import JOBS, Job, Report, Step
from crossmodal.app.state.query_form import ask_for_more_like
from crossmodal.app.state.thumbnails import thumbnail
from crossmodal.app.state.view import MAX_TEXT
from crossmodal.app.widgets.job_progress import watch
from crossmodal.app.widgets.map_figure import CONFIG, hover_texts, map_figure, traces
from crossmodal.app.widgets.sidebar import gallery
from crossmodal.app.widgets.theme import heading, large, shown, thumbs
from crossmodal.gallery.embedding_map import Atlas, best_method, make_atlas, read_atlas

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from plotly.graph_objects import Figure

    from crossmodal.search.searcher import Searcher

SEARCH = Path(__file__).with_name("search.py")
SHOWN = 24
NEIGHBOURS = 6
SMALL_PIXELS, LARGE_PIXELS = 160, 700
METHODS = {
    "umap": "Laid out by UMAP: what is near is alike, distances across the map mean little.",
    "pca": "Laid out by PCA: along the two directions in which the pictures differ most.",
}


def main() -> None:
    """Draw the page."""
    searcher = searcher_of(gallery())
    count = searcher.image_count
    st.html(heading("Map", f"{count:,} pictures, like beside like. Colours and names tell groups of them."))
    if not count:
        st.info("This gallery holds no picture.")
        return
    atlas, job = _atlas(searcher)
    if job is not None:
        watch(job)
    if atlas is not None:
        _map(searcher, atlas)


def _atlas(searcher: Searcher) -> tuple[Atlas | None, Job | None]:
    """The best map there is by now, and the job that makes a better one.

    Raises what the job raised.
    """
    index = searcher.index
    wanted = best_method(searcher.image_count)
    key = f"map {index.path.resolve()} {index.manifest.created} {index.manifest.generation}"
    job = JOBS.get(key)
    if job is None:
        kept = _kept(searcher, wanted, key)
        if kept is not None:
            return kept, None
        job = JOBS.start(key, lambda report: _make(searcher, wanted, report))
    if job.error is not None:
        JOBS.forget(key)  # the next run of the page tries again
        raise job.error
    if job.finished:
        return job.result, None
    return read_atlas(index, "pca"), job


@st.cache_resource(max_entries=4, show_spinner=False)
def _kept(_searcher: Searcher, method: str, key: str) -> Atlas | None:  # noqa: ARG001 - the key tells indexes apart
    return read_atlas(_searcher.index, method)


def _make(searcher: Searcher, method: str, report: Report) -> Atlas:
    """First the quick map, which the page shows meanwhile, then the good one."""
    atlas = make_atlas(searcher.index, "pca", lambda words: report(Step(words)))
    if method != "pca":
        report(Step("Laying out a better map (UMAP), once for this gallery"))
        atlas = make_atlas(searcher.index, method)
    return atlas


@st.fragment
def _map(searcher: Searcher, atlas: Atlas) -> None:
    """The figure, and what is chosen on it; drawn again by itself when something is chosen."""
    likeness = _likeness(searcher)
    left, right = st.columns([0.68, 0.32], gap="medium")
    with left:
        figure = _figure(searcher, atlas, likeness, dark=st.context.theme.type == "dark")
        turn = st.session_state.setdefault("map-turn", 0)
        event: Any = st.plotly_chart(
            figure,
            key=f"map-{turn}",
            on_select="rerun",
            selection_mode=("points", "box", "lasso"),
            config=CONFIG,
            alt=f"Map of {searcher.image_count} pictures in {len(atlas.names)} groups: {'; '.join(atlas.names)}",
        )
        st.caption(METHODS[atlas.method])
    with right:
        rows = _rows(event["selection"]["points"], traces(atlas, likeness)) or _group(atlas, turn)
        _chosen(searcher, rows)


def _likeness(searcher: Searcher) -> NDArray[np.float32] | None:
    """Cosines (N,) of the pictures with the words to highlight; None where there are none."""
    hint: dict[str, Any] = {"label_visibility": "collapsed"}
    labels = labels_of(gallery())
    if labels:
        hint |= {"placeholder": "Highlight a label …", "key": f"map-label-{gallery().name}"}
        text = st.selectbox("Highlight", labels, index=None, format_func=shown, **hint)
    else:
        hint |= {"placeholder": "Highlight: describe something, and see where it lies …", "icon": ":material/flare:"}
        text = st.text_input("Highlight", key="map-highlight", **hint)
    text = (text or "").strip()[:MAX_TEXT]
    return searcher.index.image_vectors @ searcher.encode(text) if text else None


def _figure(searcher: Searcher, atlas: Atlas, likeness: NDArray[np.float32] | None, dark: bool) -> Figure:
    manifest = searcher.manifest
    key = f"{searcher.index.path.resolve()} {manifest.created} {manifest.generation}"
    hover = _hover(searcher, key)
    if likeness is not None:
        return map_figure(atlas, hover, dark, likeness)
    return _grouped_figure(atlas, hover, f"{key} {atlas.method}", dark)


@st.cache_resource(max_entries=4, show_spinner=False)
def _hover(_searcher: Searcher, key: str) -> NDArray[np.object_]:  # noqa: ARG001 - the key tells indexes apart
    texts = [picture.stamp.path for picture in _searcher.index.catalogue.pictures]
    for caption in reversed(_searcher.index.catalogue.captions):
        texts[caption.picture] = caption.text
    return hover_texts(texts)


@st.cache_resource(max_entries=8, show_spinner=False)
def _grouped_figure(_atlas: Atlas, _hover: NDArray[np.object_], key: str, dark: bool) -> Figure:  # noqa: ARG001
    return map_figure(_atlas, _hover, dark)


def _rows(points: Sequence[Any], drawn: Sequence[NDArray[np.int64]]) -> list[int]:
    """The chosen pictures' rows, in order; points of a figure drawn before that do not fit are left out."""
    rows = set()
    for point in points:
        curve, place = point.get("curve_number"), point.get("point_index")
        if isinstance(curve, int) and isinstance(place, int) and curve < len(drawn) and place < len(drawn[curve]):
            rows.add(int(drawn[curve][place]))
    return sorted(rows)


def _group(atlas: Atlas, turn: int) -> list[int]:
    """The rows of a group chosen by its name, which needs no mouse."""
    st.html(
        '<p class="cm-quiet">Click a picture to see it. To choose many, take the lasso or the box from the bar above '
        "the map and draw around them, or choose a group:</p>"
    )
    number = st.selectbox(
        "Group",
        range(len(atlas.names)),
        index=None,
        format_func=lambda number: shown(atlas.names[number]),
        key=f"map-group-{gallery().name}-{turn}",
        placeholder="A group …",
        label_visibility="collapsed",
    )
    return [] if number is None else np.flatnonzero(atlas.labels == number).tolist()


def _chosen(searcher: Searcher, rows: Sequence[int]) -> None:
    """What is chosen on the map, and what can be done with it."""
    paths = [searcher.index.catalogue.pictures[row].stamp.path for row in rows]
    if len(paths) == 1:
        _one(searcher, paths[0])
    elif paths:
        _many(searcher, paths)


def _one(searcher: Searcher, path: str) -> None:
    st.html(large(thumbnail(searcher.image_path(path), LARGE_PIXELS), path, searcher.captions_of(path)))
    with st.container(horizontal=True):
        if st.button("More like this", type="primary", key="map-like", icon=":material/search:"):
            ask_for_more_like(path)
            st.switch_page(SEARCH)
        st.button("Clear", key="map-clear", on_click=_clear)
    if searcher.image_count > 1:
        st.html('<div class="cm-label">Nearest</div>')
        _thumbs(searcher, [hit.path for hit in searcher.similar(path, NEIGHBOURS)])


def _many(searcher: Searcher, paths: Sequence[str]) -> None:
    first = f", the first {SHOWN} of them shown" if len(paths) > SHOWN else ""
    st.html(f'<p class="cm-quiet">{len(paths):,} pictures chosen{first}</p>')
    with st.container(horizontal=True):
        if st.button("Search among these", type="primary", key="map-search", icon=":material/search:"):
            st.session_state.selected_paths = list(paths)
            st.switch_page(SEARCH)
        st.button("Clear", key="map-clear", on_click=_clear)
    _thumbs(searcher, paths[:SHOWN])


def _thumbs(searcher: Searcher, paths: Sequence[str]) -> None:
    named = [(path, (searcher.captions_of(path) or [path])[0]) for path in paths]
    st.html(thumbs((thumbnail(searcher.image_path(path), SMALL_PIXELS), text) for path, text in named))


def _clear() -> None:
    """Choose nothing: the figure keeps its choice as long as it keeps its key."""
    st.session_state["map-turn"] = st.session_state.get("map-turn", 0) + 1


main()
