"""The vectors page: what a vector looks like, drawn by the decoder of the open gallery's checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from crossmodal.app.state.galleries import searcher_of
from crossmodal.app.state.groups import classes_of
from crossmodal.app.state.sphere import between, middle
from crossmodal.app.state.thumbnails import grey_address, thumbnail
from crossmodal.app.widgets.picture.choice import choose_picture
from crossmodal.app.widgets.sidebar import gallery
from crossmodal.app.widgets.theme import heading, plain_markdown, row, shown
from crossmodal.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crossmodal.inference.base import Encoder
    from crossmodal.search.searcher import Searcher

STEPS = 9
MEMBERS = 8
PIXELS = 160


def main() -> None:
    """Draw the page."""
    st.html(heading("Vectors", "What a vector looks like: the decoder draws it."))
    searcher = searcher_of(gallery())
    encoder = searcher.encoder
    if not searcher.image_count:
        st.info("This gallery holds no picture.")
        return
    _way(searcher, encoder)
    _average(searcher, encoder)


def _way(searcher: Searcher, encoder: Encoder) -> None:
    """Nine steps at even angles from one picture's vector to another's."""
    st.subheader("From one picture to another")
    left, right = st.columns(2)
    with left:
        first = choose_picture(searcher, "From", "way-from")
    with right:
        second = choose_picture(searcher, "To", "way-to", searcher.image_count - 1)
    if first is None or second is None:
        return
    start, end = searcher.image_vectors([first, second])
    try:
        drawn = encoder.decode(between(start, end, STEPS))
    except InputError as error:
        st.error(plain_markdown(str(error)))
        return
    shares = [f"{100 * step / (STEPS - 1):.0f} %" for step in range(STEPS)]
    ends = [thumbnail(searcher.image_path(path), PIXELS) for path in (first, second)]
    pictures = [(ends[0], "original"), *_addressed(drawn, shares), (ends[1], "original")]
    st.html(row(pictures))
    angle = float(np.degrees(np.arccos(np.clip(start @ end, -1, 1))))
    st.caption(f"Even steps on the sphere; the two vectors stand {angle:.0f}° apart.")


def _average(searcher: Searcher, encoder: Encoder) -> None:
    """The middle of the vectors of pictures that share a folder or a word."""
    classes = classes_of(searcher)
    if not classes:
        return
    st.subheader("The average of many")
    name = st.selectbox("Pictures of", list(classes), key="class", format_func=shown)
    paths = classes[name]
    try:
        drawn = encoder.decode(middle(searcher.image_vectors(paths))[None])
    except InputError as error:
        st.error(plain_markdown(str(error)))
        return
    members = paths[:: max(len(paths) // MEMBERS, 1)][:MEMBERS]
    some = [(thumbnail(searcher.image_path(path), PIXELS), "") for path in members]
    st.html(row([*_addressed(drawn, ["average"]), *some]))
    st.caption(plain_markdown(f"Drawn from the mean of {len(paths):,} vectors; beside it, some of the pictures."))


def _addressed(drawn: NDArray[np.float32], labels: list[str]) -> list[tuple[str | None, str]]:
    return [(grey_address(grey), label) for grey, label in zip(drawn, labels, strict=True)]


main()
