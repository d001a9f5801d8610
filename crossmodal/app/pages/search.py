"""The search page: words find pictures, a picture finds words, and pictures find their like."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from crossmodal.app.state import demo, query_form
from crossmodal.app.state import marks as marking
from crossmodal.app.state.exports import Results
from crossmodal.app.state.galleries import encoder_of, has_captions, labels_of, make_ready, searcher_of, starter
from crossmodal.app.state.jobs import JOBS, Job
from crossmodal.app.state.near_duplicates import group_of
from crossmodal.app.state.results import Asked, Found, ask_of, find, mask_of
from crossmodal.app.state.thumbnails import thumbnail
from crossmodal.app.state.view import COSINES, Part, View
from crossmodal.app.widgets import result_grid
from crossmodal.app.widgets.chips import chips, name_of, refine
from crossmodal.app.widgets.export_menu import export
from crossmodal.app.widgets.filters import filters
from crossmodal.app.widgets.job_progress import watch
from crossmodal.app.widgets.listener import listen
from crossmodal.app.widgets.paging import pager
from crossmodal.app.widgets.picture import view as picture_view
from crossmodal.app.widgets.sidebar import address_of, gallery
from crossmodal.app.widgets.theme import heading, plain_markdown, thumbs
from crossmodal.errors import ImageError, IndexStoreError, InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from crossmodal.search.searcher import Searcher

SAMPLE = 18
SMALL_PIXELS = 160
LONGEST_EXAMPLE = 60
NOUNS = {"images": "pictures", "captions": "captions"}
TARGETS = {"images": "Pictures", "captions": "Captions"}
WAYS = {
    "pictures": "By the picture", "captions": "By its captions", "both": "By both", "words": "By words in texts",
    "all": "By all of them",
}  # fmt: skip
NOT_YET = "The captions are still being indexed: the answer comes as soon as they are there."
ADVICE = "Index its folder with a captions file, or look for pictures instead."


def main() -> None:
    """Draw the page."""
    labels, captioned = labels_of(gallery()), has_captions(gallery())
    head = st.empty()
    view = query_form.ask(labels, captioned)
    title = "Find pictures with words" + (", words with pictures" if captioned else " and with pictures")
    begin = "Choose what they show" if labels else "Describe what you look for"
    head.html(heading(title, "" if view.parts else f"{begin}, or give a picture."))
    searcher, job = _open()
    if searcher is None:
        _being_made(job)
        query_form.publish(address_of(gallery()))
        return
    if job is not None:
        watch(job)
    if view.asks:
        _asked(searcher, view, labels, captioned, in_making=job is not None)
    else:
        _welcome(searcher, view, labels)
    picture_view.show(searcher)
    listen(searcher.manifest.generation, partial(_act, searcher), _given)
    query_form.publish(address_of(gallery()))
    make_ready(searcher)


def _open() -> tuple[Searcher | None, Job | None]:
    """The gallery's searcher, None while it is being made, and the job that makes it.

    Raises IndexStoreError or CheckpointError where there is nothing to open and nothing to make.
    """
    index = gallery()
    if index != demo.DEMO:
        return searcher_of(index), None
    job = JOBS.get(demo.key())
    try:
        searcher = searcher_of(index)
    except IndexStoreError:
        searcher = None
    if searcher is None or not demo.is_whole(searcher.image_count, searcher.caption_count):
        if job is None or (job.finished and job.error is None):
            job = demo.start(lambda: encoder_of(starter()))
    elif job is not None and job.finished:
        job = None
    if job is not None and job.error is not None:
        JOBS.forget(demo.key())  # the next run of the page tries again
        raise job.error
    return searcher, job


def _being_made(job: Job | None) -> None:
    with st.container(border=True, key="cm-making"):
        st.markdown("**The demo gallery is being made**")
        st.html(
            f'<p class="cm-quiet">{demo.DEMO_COUNT:,} pictures are drawn by code and indexed on this machine. It '
            "happens once and takes about a minute. Ask already: the answer comes as soon as it can.</p>"
        )
        if job is not None:
            watch(job, _drawn_so_far)


def _drawn_so_far() -> None:
    """The first pictures of the demo gallery, as they come."""
    made = [(thumbnail(path, SMALL_PIXELS), path.name) for path in demo.drawn(SAMPLE)]
    if made:
        st.html(thumbs(made))


def _welcome(searcher: Searcher, view: View, labels: Sequence[str]) -> None:
    """Queries to begin with, and some of the pictures that may answer."""
    try:
        mask = mask_of(searcher, view)
    except InputError as error:
        st.error(plain_markdown(str(error)))
        mask = None
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="cm-controls"):
        filters(searcher)
        if view.parts:
            refine(tuple(labels))
    chips(searcher, view, None)
    if view.parts:
        st.info("There is nothing to look for yet, only something to take away: add words or a picture.")
    query_form.examples(labels[:6] or _examples(searcher))
    whose = "this gallery of" if mask is None else "within these limits,"
    count = searcher.image_count if mask is None else int(mask.sum())
    st.html(f'<div class="cm-label">From {whose} {count:,} pictures</div>')
    result_grid.sample_grid(searcher, _paths(searcher, SAMPLE, mask))
    group_of(searcher)  # begun now, it is there when something is asked


def _paths(searcher: Searcher, most: int, mask: NDArray[np.bool_] | None = None) -> list[str]:
    """Paths of some pictures, evenly from all that may answer."""
    pictures = searcher.index.catalogue.pictures
    rows = range(len(pictures)) if mask is None else mask.nonzero()[0].tolist()
    step = max(len(rows) // most, 1)
    return [pictures[row].stamp.path for row in rows[step // 2 :: step][:most]]


def _examples(searcher: Searcher) -> Sequence[str]:
    if gallery() == demo.DEMO:
        return demo.DEMO_EXAMPLES
    firsts = (searcher.captions_of(path)[:1] for path in _paths(searcher, 40))
    own = [caption for captions in firsts for caption in captions if len(caption) <= LONGEST_EXAMPLE]
    return own[:4] or ("two dogs on a beach", "a red car", "people at a table", "a mountain at sunset")


def _asked(searcher: Searcher, view: View, labels: tuple[str, ...], captioned: bool, in_making: bool) -> None:
    target = query_form.target_of(view, captioned)
    marks = marking.marks_of(searcher, view) if target == "images" else None
    _controls(searcher, view, target, captioned, labels)
    chips(searcher, view, marks)
    if target == "captions" and not searcher.caption_count:
        st.info(NOT_YET if in_making else f"This gallery holds no captions to find. {ADVICE}")
        return
    try:
        asked = ask_of(searcher, view, target, () if marks is None else marks.terms())
        with nullcontext() if searcher.is_ready else st.spinner("Loading the model …"):
            found = find(asked, view)
    except (InputError, ImageError) as error:
        st.error(plain_markdown(str(error)))
        return
    if view.page > found.pages(view.count):
        view = replace(view, page=found.pages(view.count))
        query_form.change(view)
    st.session_state.shown, st.session_state.shown_terms = found.hits, found.terms
    if not found.hits:
        st.info("Nothing was found" + (" within these filters." if asked.mask is not None else "."))
        return
    if found.nothing:
        chance = "" if found.match is None else f" (a match is {100 * found.match:.0f} % probable)"
        st.info(f"Nothing in this gallery seems to match{chance}. The nearest {NOUNS[target]} all the same:")
    _bar(asked, found, view)
    if view.heatmap and asked.by in COSINES:
        result_grid.heatmap(searcher, " ".join(name_of(part) for part in view.parts), found.hits)
    with st.container(key="cm-doubtful" if found.nothing else "cm-found"):
        if target == "images":
            result_grid.picture_grid(searcher, found, view, marks)
        else:
            result_grid.caption_list(searcher, found, view)
    pager(found.pages(view.count), found.total)


def _controls(searcher: Searcher, view: View, target: str, captioned: bool, labels: tuple[str, ...]) -> None:
    """What to look for, by what, and which pictures may answer."""
    state = st.session_state
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="cm-controls"):
        if captioned:
            state.target = target
            st.segmented_control(
                "Look for", list(TARGETS), key="target", format_func=TARGETS.__getitem__, required=True,
                label_visibility="collapsed", on_change=_targeted, args=(captioned,),
            )  # fmt: skip
        if target == "images":
            ways = [way for way in WAYS if searcher.caption_count or way not in ("captions", "both")]
            state.by = view.by if view.by in ways else ways[0]
            st.selectbox(
                "Found by", ways, key="by", format_func=WAYS.__getitem__, label_visibility="collapsed",
                on_change=_turned, width=165,
            )  # fmt: skip
        filters(searcher)
        refine(labels)


def _bar(asked: Asked, found: Found, view: View) -> None:
    """How many were found, and what can be done with all of them."""
    noun = NOUNS[asked.target]
    first = (view.page - 1) * view.count + 1
    span = f"{first:,}–{first + len(found.hits) - 1:,}" if found.pages(view.count) > 1 else f"{len(found.hits):,}"
    folded = found.everything - found.total
    hidden = f" · {folded:,} near-duplicate{'s' if folded > 1 else ''} folded" if folded > 0 else ""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", key="cm-bar"):
        words = f"Showing {span} of {found.total:,} {noun}{hidden}"
        st.html(f'<p class="cm-quiet cm-total">{words}</p>', width="content")
        with st.container(horizontal=True, width="content", vertical_alignment="center", gap="small"):
            if folded > 0 or view.copies == ("*",):
                st.session_state.fold = view.copies != ("*",)
                st.toggle("Fold near-duplicates", key="fold", on_change=_folded)
            st.session_state.heatmap = view.heatmap
            st.toggle("Similarity heatmap", key="heatmap", on_change=_drawn, disabled=asked.by not in COSINES)
            name = " ".join(name_of(part) for part in view.parts)
            searcher, terms = asked.searcher, asked.terms
            export(
                name,
                found.everything,
                lambda count: Results(searcher, terms, asked.answer(count).hits),
                asked.target == "images",
            )


def _targeted(captioned: bool) -> None:
    view, target = query_form.current(), st.session_state.target
    to = None if target == query_form.default_target(view, captioned) else target
    query_form.change(replace(view, to=to, page=1))


def _turned() -> None:
    query_form.change(replace(query_form.current(), by=st.session_state.by, page=1))


def _folded() -> None:
    query_form.change(replace(query_form.current(), copies=() if st.session_state.fold else ("*",), page=1))


def _drawn() -> None:
    query_form.change(replace(query_form.current(), heatmap=bool(st.session_state.heatmap)))


def _act(searcher: Searcher, act: str, row: int, generation: str) -> None:
    """Do what a tile's button says, unless the index has been rebuilt since the tile was drawn."""
    pictures = searcher.index.catalogue.pictures
    if generation != searcher.manifest.generation or not 0 <= row < len(pictures):
        return
    view, path = query_form.current(), pictures[row].stamp.path
    if act == "like":
        query_form.change(View(parts=(Part(picture=path),), count=view.count, chosen=view.chosen, by=view.by))
    elif act in ("plus", "minus"):
        query_form.add(Part(picture=path, minus=act == "minus"))
        _closed()
    elif act in ("up", "down"):
        marking.toggle(searcher, path, 1 if act == "up" else -1)
    elif act == "open":
        query_form.change(replace(view, picture=path))
    elif act == "copies":
        left = tuple(other for other in view.copies if other != path)
        query_form.change(replace(view, copies=left if path in view.copies else (*left, path)))


def _closed() -> None:
    query_form.change(replace(query_form.current(), picture=""))


def _given(name: str, content: bytes) -> None:
    if content:
        query_form.give(name, content)
    else:
        st.session_state.refusal = f"{name} is too large to be pasted or dropped: 40 MB at most."


main()
