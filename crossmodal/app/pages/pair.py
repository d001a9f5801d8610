"""The pair page: does this sentence describe this picture?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from crossmodal.app.state.galleries import can, checkpoints, encoder_of, scorer_of, searcher_of
from crossmodal.app.state.thumbnails import as_data_address
from crossmodal.app.state.view import MAX_TEXT
from crossmodal.app.widgets.picture.choice import choose_picture
from crossmodal.app.widgets.sidebar import gallery
from crossmodal.app.widgets.theme import heading, large, plain_markdown, shown
from crossmodal.errors import CrossmodalError, ImageError
from crossmodal.images.decode import IMAGE_SUFFIXES, load_image

if TYPE_CHECKING:
    from PIL.Image import Image

PIXELS = 640


def main() -> None:
    """Draw the page."""
    st.html(heading("Pair", "Does the sentence describe the picture? A match model says how probable it is."))
    judges = checkpoints("pairs")
    found = judges + [path for path in checkpoints("vectors", "words") if path not in judges]
    if not found:
        st.info("There is no checkpoint that judges pairs: `python -m crossmodal train --recipe match` trains one.")
        return
    left, right = st.columns([2, 3], gap="large")
    with left:
        given = _picture()
    with right:
        checkpoint = st.selectbox("Checkpoint", found, format_func=lambda path: shown(path.as_posix()), key="judge")
        sentence = st.text_input("Sentence", key="pair-text", max_chars=MAX_TEXT, placeholder="A dog runs on the beach")
        if given is None:
            st.info("Give a picture.")
        elif not sentence.strip():
            st.info("Type a sentence.")
        else:
            _judge(checkpoint, given, sentence.strip())


def _picture() -> Image | None:
    """An uploaded picture, else one of the open gallery; None while there is none that can be used."""
    uploaded = st.file_uploader("Picture", type=sorted(suffix[1:] for suffix in IMAGE_SUFFIXES), key="pair-upload")
    name = "" if uploaded is None else uploaded.name
    source: bytes | Path | None = None if uploaded is None else uploaded.getvalue()
    if uploaded is None:
        name, source = _of_gallery()
    if source is None:
        return None
    try:
        image = load_image(source)
    except ImageError as error:
        st.error(plain_markdown(f"{name} cannot be used: {error.reason}. Try another picture."))
        return None
    st.html(large(as_data_address(image, PIXELS), name))
    return image


def _of_gallery() -> tuple[str, Path | None]:
    try:
        searcher = searcher_of(gallery())
    except CrossmodalError:  # no gallery to choose from, a picture can still be uploaded
        return "", None
    path = choose_picture(searcher, "or one of this gallery", "pair-path")
    return (path, searcher.image_path(path)) if path else ("", None)


def _judge(checkpoint: Path, image: Image, sentence: str) -> None:
    if can(checkpoint, "pairs"):
        probability = float(scorer_of(checkpoint).probabilities([image], [sentence])[0])
        st.metric("Probability that the sentence describes the picture", f"{100 * probability:.1f} %")
        st.progress(probability)
        return
    encoder = encoder_of(checkpoint)
    cosine = float(encoder.encode_images([image])[0] @ encoder.encode_texts([sentence])[0])
    st.metric("Cosine similarity of sentence and picture", f"{cosine:.3f}")
    st.caption("A cosine in [−1, 1], no probability: it says which of several fits better, not whether one fits.")


main()
