"""The caption doctor: what looks wrong in the open gallery, each finding with its evidence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from crossmodal.app.state.demo import DEMO
from crossmodal.app.state.galleries import searcher_of
from crossmodal.app.state.query_form import ask_for_more_like, ask_text
from crossmodal.app.state.thumbnails import thumbnail
from crossmodal.app.state.view import MAX_TEXT
from crossmodal.app.widgets.finding_rows import finding_row
from crossmodal.app.widgets.sidebar import address_of, gallery
from crossmodal.app.widgets.theme import heading, plain_markdown
from crossmodal.errors import CrossmodalError, IndexStoreError
from crossmodal.gallery.caption_audit import (
    Duplicates,
    Finding,
    ambiguous_captions,
    as_csv,
    duplicate_pictures,
    hubs,
    splits_of,
    survey,
    with_splits,
    wrong_captions,
)
from crossmodal.gallery.caption_audit.findings import AmbiguousCaption, WrongCaption
from crossmodal.gallery.near_duplicates import THRESHOLD

if TYPE_CHECKING:
    from crossmodal.search.searcher import Searcher

STYLE = Path(__file__).with_name("captions_check.css")
SEARCH = Path(__file__).with_name("search.py")
CHECKS = {"wrong": "Likely wrong", "duplicates": "Duplicates", "hubs": "Hubs", "ambiguous": "Ambiguous"}
PER_PAGE = 20
PIXELS = 240
ADDRESS_TEXT = 500  # characters of a caption that an address carries
SUMS = {
    "wrong": "of {captions} captions look more like another picture's than like their own, the least fitting first.",
    "duplicates": "of {pictures} pictures are stored more than once, those in two splits first.",
    "alike": "of {pictures} pictures are much alike, those in two splits first.",
    "hubs": "of {pictures} pictures come up for far more captions of other pictures than the rest do.",
    "ambiguous": "of {captions} captions fit their picture, and many other pictures as well.",
}
WHY = {
    "wrong": "Judged by the cosine of the caption with its picture and with the picture's other captions. The number "
    "on a picture is the probability that the caption belongs to it rather than to one drawn at random.",
    "duplicates": "The same bytes, or so high a cosine that different photos hardly reach it; from 0.93 down there are "
    "also photos of one scene. A picture in two splits flatters what is measured on the second.",
    "hubs": "A hub pushes itself into the answers to questions that are not about it.",
    "ambiguous": "By such a caption the picture is hardly found, and a model trained on it is taught that the other "
    "pictures are wrong answers.",
}


def main() -> None:
    """Draw the page."""
    st.html(STYLE)
    st.html(
        heading("Caption doctor", "What looks wrong in this gallery, from the model's own scores: hints, not verdicts.")
    )
    searcher = _opened()
    if searcher is None:
        return
    check = _chosen()
    found = _found(searcher, check)
    _publish(check)
    counts = {"captions": f"{searcher.caption_count:,}", "pictures": f"{searcher.image_count:,}"}
    number = sum(len(group.paths) for group in found if isinstance(group, Duplicates)) or len(found)
    with st.container(horizontal=True, horizontal_alignment="distribute", key="cm-dr-sum"):
        alike = check == "duplicates" and st.session_state["doctor-threshold"] < THRESHOLD
        said = SUMS["alike" if alike else check].format(**counts)
        st.html(f'<p class="cm-dr-sum"><b>{number:,}</b> {said}</p><p class="cm-quiet">{WHY[check]}</p>')
        if found:
            table = as_csv(found) if check == "duplicates" else _table(*_state(searcher), check, found)
            st.download_button(
                "Save as CSV", table, f"{check}.csv", "text/csv", icon=":material/download:", on_click="ignore",
                type="tertiary",
            )  # fmt: skip
    if not found:
        st.success("Nothing was found.", icon=":material/check:")
        return
    _rows(searcher, check, found)


def _opened() -> Searcher | None:
    """The gallery's searcher; None, and a word about it, while there is nothing to examine."""
    try:
        searcher = searcher_of(gallery())
    except IndexStoreError:
        if gallery() != DEMO:
            raise
        st.info("The demo gallery is still being made: the search page shows how far it is.")
        return None
    if searcher.caption_count:
        return searcher
    st.info("This gallery has no captions to examine yet.")
    return None


def _chosen() -> str:
    """The check to show: as chosen, else as the address says."""
    state = st.session_state
    if state.get("doctor-check") not in CHECKS:
        wanted = st.query_params.get("check", "")
        state["doctor-check"] = state.get("doctor-kept", wanted if wanted in CHECKS else "wrong")
    chosen = st.segmented_control(
        "What to look for",
        list(CHECKS),
        key="doctor-check",
        format_func=CHECKS.__getitem__,
        required=True,
        label_visibility="collapsed",
    )
    state["doctor-kept"] = chosen
    return str(chosen)


def _found(searcher: Searcher, check: str) -> Sequence[Finding]:
    if check == "duplicates":
        return _duplicates(searcher)
    captions, pictures = searcher.caption_count, searcher.image_count
    with st.spinner(
        f"Comparing {captions:,} captions with {pictures:,} pictures, once for this gallery …", show_time=True
    ):
        return _examined(*_state(searcher), searcher)[check]


@st.cache_resource(max_entries=3, show_spinner=False)
def _examined(index: str, generation: str, _searcher: Searcher) -> dict[str, Sequence[Finding]]:  # noqa: ARG001
    surveyed = survey(_searcher.index)
    return {
        "wrong": wrong_captions(_searcher.index, surveyed),
        "hubs": hubs(_searcher.index, surveyed),
        "ambiguous": ambiguous_captions(_searcher.index, surveyed),
    }


def _state(searcher: Searcher) -> tuple[str, str]:
    """What findings are kept by: the index and its generation."""
    return str(searcher.index.path), f"{searcher.manifest.generation} {searcher.manifest.created}"


def _duplicates(searcher: Searcher) -> Sequence[Duplicates]:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        folder = st.text_input(
            "Split lists (optional)",
            key="doctor-splits",
            placeholder="folder of train.txt, val.txt, test.txt",
            help="Which pictures a model was trained on and which it is judged on. Left out, the captions file is "
            "asked, if it says so.",
        )
        threshold = st.slider(
            "From which cosine on", 0.8, 1.0, THRESHOLD, 0.01, key="doctor-threshold", width=260,
            help="Lower it to see different photos of one scene, too.",
        )  # fmt: skip
    with st.spinner(f"Comparing {searcher.image_count:,} pictures with one another …"):
        found = _copies(*_state(searcher), threshold, searcher)
    try:
        splits = _splits(*_state(searcher), folder.strip(), _stamp(folder.strip()), searcher)
    except CrossmodalError as error:
        st.error(plain_markdown(str(error)))
        splits = {}
    return with_splits(found, splits)


@st.cache_resource(max_entries=24, show_spinner=False)
def _copies(index: str, generation: str, threshold: float, _searcher: Searcher) -> Sequence[Duplicates]:  # noqa: ARG001
    return duplicate_pictures(_searcher.index, threshold=threshold)


def _stamp(folder: str) -> tuple[tuple[str, int], ...]:
    """What changes when a list does; nothing for no folder."""
    path = Path(folder).expanduser()
    try:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        return tuple((file.name, file.stat().st_mtime_ns) for file in files) if folder else ()
    except OSError:
        return ()


@st.cache_resource(max_entries=8, show_spinner=False)
def _splits(
    index: str,  # noqa: ARG001 - the first, second and fourth are the key
    generation: str,  # noqa: ARG001
    folder: str,
    stamp: tuple[tuple[str, int], ...],  # noqa: ARG001
    _searcher: Searcher,
) -> dict[str, str]:
    return splits_of(_searcher.index, Path(folder).expanduser() if folder else None)


@st.cache_resource(max_entries=8, show_spinner=False)
def _table(index: str, generation: str, check: str, _found: Sequence[Finding]) -> str:  # noqa: ARG001
    return as_csv(_found)


def _rows(searcher: Searcher, check: str, found: Sequence[Finding]) -> None:
    """One page of the findings, with what leads to the others above and below."""
    pages = -(-len(found) // PER_PAGE)
    key = f"doctor-page-{check}"
    page = min(max(int(st.session_state.get(key, 1)), 1), pages)
    first = (page - 1) * PER_PAGE
    words = f"{first + 1:,} to {min(first + PER_PAGE, len(found)):,} of {len(found):,}"
    _pager(key, page, pages, words, "above")
    with st.container(key="cm-list-doctor"):
        for number, finding in enumerate(found[first : first + PER_PAGE], first):
            with st.container(key=f"cm-row-doctor-{check}-{number}"):
                st.html(finding_row(finding, lambda path: thumbnail(searcher.image_path(path), PIXELS)))
                _buttons(finding, f"{check}-{number}")
    _pager(key, page, pages, words, "below")


def _buttons(finding: Finding, key: str) -> None:
    path = finding.paths[0] if isinstance(finding, Duplicates) else finding.path
    with st.container(key=f"cm-dr-acts-{key}", horizontal=True, gap="small"):
        if isinstance(finding, WrongCaption | AmbiguousCaption):
            words = finding.caption.strip()[:MAX_TEXT]
            if st.button("Search with this caption", key=f"words-{key}", type="tertiary", icon=":material/search:"):
                ask_text(words)
                st.switch_page(SEARCH, query_params={"q": words[:ADDRESS_TEXT]})
        if st.button("Open in search", key=f"picture-{key}", type="tertiary", icon=":material/photo_library:"):
            ask_for_more_like(path)
            st.switch_page(SEARCH, query_params={"like": path})


def _pager(key: str, page: int, pages: int, words: str, place: str) -> None:
    """Which findings are shown, and what leads to the others; place: "above" or "below" them."""
    if pages == 1:
        return
    with st.container(
        horizontal=True, horizontal_alignment="center", vertical_alignment="center", key=f"cm-dr-pages-{place}"
    ):
        _turner("Previous", ":material/chevron_left:", key, page - 1, pages, place)
        st.html(f'<span class="cm-quiet">{words}</span>', width="content")
        _turner("Next", ":material/chevron_right:", key, page + 1, pages, place)


def _turner(label: str, icon: str, key: str, to: int, pages: int, place: str) -> None:
    st.button(
        label,
        key=f"{key}-{place}-{label}",
        icon=icon,
        disabled=not 1 <= to <= pages,
        on_click=_turn,
        args=(key, to),
        type="tertiary",
    )


def _turn(key: str, to: int) -> None:
    st.session_state[key] = to


def _publish(check: str) -> None:
    """Put the check into the address, so that the link can be shared."""
    parameters = {} if check == "wrong" else {"check": check}
    parameters |= address_of(gallery())
    if st.query_params.to_dict() != parameters:
        st.query_params.from_dict(parameters)


main()
