"""The search page: words find pictures, a picture finds words, and pictures find their like."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from crossmodal.data.images import load_image
from crossmodal.errors import ImageError, IndexStoreError
from crossmodal.ui import asking, demo, results
from crossmodal.ui.asking import Question
from crossmodal.ui.galleries import encoder_of, has_captions, labels_of, searcher_of, starter
from crossmodal.ui.jobs import JOBS, Job
from crossmodal.ui.look import asked, heading, plain_markdown
from crossmodal.ui.sidebar import address_of, gallery
from crossmodal.ui.thumbnails import as_data_address, thumbnail
from crossmodal.ui.watch import watch

if TYPE_CHECKING:
    from crossmodal.search import Answer, Hit, Searcher

SAMPLE = 15
SMALL_PIXELS = 168
LONGEST_EXAMPLE = 60
NOUNS = {"images": "pictures", "captions": "captions"}
NOT_YET = "The captions are still being indexed: the answer comes as soon as they are there."
ADVICE = "Index its folder with a captions file, or look for pictures instead."


def main() -> None:
    """Draw the page."""
    labels, captioned = labels_of(gallery()), has_captions(gallery())
    title = "Find pictures with words" + (", words with pictures" if captioned else " and with pictures")
    ask = "Choose what they show" if labels else "Describe what you look for"
    st.html(heading(title, f"{ask}, or give a picture."))
    question = asking.ask(labels, captioned)
    searcher, job = _open()
    if searcher is None:
        _being_made(job)
        asking.publish(question, question.default_target, st.session_state.count, address_of(gallery()))
        return
    target, count = asking.controls(question)
    asking.publish(question, target, count, address_of(gallery()))
    if job is not None:
        watch(job)
    if question:
        _answer(searcher, question, target, count, in_making=job is not None)
    else:
        _welcome(searcher, labels)


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
            "happens once and takes less than a minute. Ask already: the answer comes as soon as it can.</p>"
        )
        if job is not None:
            watch(job)


def _welcome(searcher: Searcher, labels: Sequence[str]) -> None:
    asking.examples(labels[:6] or _examples(searcher))
    st.html(f'<div class="cm-label">From this gallery of {searcher.image_count:,} pictures</div>')
    results.sample_grid(searcher, _paths(searcher, SAMPLE))


def _paths(searcher: Searcher, most: int) -> list[str]:
    """Paths of some pictures, evenly from the whole gallery."""
    pictures = searcher.index.catalogue.pictures
    step = max(len(pictures) // most, 1)
    return [picture.stamp.path for picture in pictures[step // 2 :: step][:most]]


def _examples(searcher: Searcher) -> Sequence[str]:
    if gallery() == demo.DEMO:
        return demo.DEMO_EXAMPLES
    firsts = (searcher.captions_of(path)[:1] for path in _paths(searcher, 40))
    own = [caption for captions in firsts for caption in captions if len(caption) <= LONGEST_EXAMPLE]
    return own[:4] or ("two dogs on a beach", "a red car", "people at a table", "a mountain at sunset")


def _answer(searcher: Searcher, question: Question, target: str, count: int, in_making: bool) -> None:
    total = searcher.image_count if target == "images" else searcher.caption_count
    if not _asked(searcher, question):
        return
    if total == 0:
        st.info(NOT_YET if in_making else f"This gallery holds no {NOUNS[target]} to find. {ADVICE}")
        return
    began = time.perf_counter()
    answer = _found(searcher, question, target, count)
    st.session_state.seconds = time.perf_counter() - began
    if question.like and target == "images":
        total -= 1  # a picture is not its own like
    if not answer.hits:
        st.info("Nothing was found.")
        return
    if answer.nothing:
        chance = "" if answer.match is None else f" (a match is {100 * answer.match:.0f} % probable)"
        st.info(f"Nothing in this gallery seems to match{chance}. The nearest {NOUNS[target]} all the same:")
    with st.container(key="cm-doubtful" if answer.nothing else "cm-found"):
        _listed(searcher, question, answer.hits, target, total)


def _listed(searcher: Searcher, question: Question, hits: Sequence[Hit], target: str, total: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.html(f'<p class="cm-quiet cm-total">Showing {len(hits):,} of {total:,} {NOUNS[target]}</p>', width="content")
        with st.container(horizontal=True, width="content", vertical_alignment="center"):
            drawn = st.toggle("Similarity heatmap", key="heatmap")
            results.download(question, hits)
    if drawn:
        results.heatmap(searcher, question, hits)
    if target == "images":
        results.picture_grid(searcher, hits)
    else:
        results.caption_list(searcher, hits)


def _asked(searcher: Searcher, question: Question) -> bool:
    """Show the picture that is asked with; False when it cannot be used."""
    if question.text:
        return True
    usable = True
    with st.container(horizontal=True, vertical_alignment="center", key="cm-asked"):
        if question.picture:
            name, content = question.picture
            try:
                st.html(asked(as_data_address(load_image(content), SMALL_PIXELS), "Searching with", name))
            except ImageError as error:
                st.error(plain_markdown(f"{name} cannot be used: {error.reason}. Try another picture."))
                usable = False
        elif question.like in searcher.index.row_of:  # an edited address must not show any other file
            address = thumbnail(searcher.image_path(question.like), SMALL_PIXELS)
            st.html(asked(address, "More like", question.like))
        else:
            st.error(plain_markdown(f"{question.like} is not in this gallery."))
            usable = False
        st.button("Clear", icon=":material/close:", on_click=asking.clear, key="clear")
    return usable


def _found(searcher: Searcher, question: Question, target: str, count: int) -> Answer:
    from crossmodal.search import Answer

    if question.picture:
        return searcher.answer(question.picture[1], count, to=target)
    if question.like and target == "images":
        return Answer(tuple(searcher.similar(question.like, count)))
    if question.like:
        return searcher.answer(searcher.image_path(question.like), count, to=target)
    return searcher.answer(question.text, count, to=target)


main()
