"""The vectors page: what a decoder draws between two pictures and of the average of many."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from crossmodal.app.state import galleries
from crossmodal.app.state.thumbnails import grey_address
from crossmodal.index import build_index
from tests.app.frame import COLOURS, SEARCH, VECTORS, DrawingEncoder, app, checkpoint, drawn, jpeg, offers

DECODER = {"width": 1}


@pytest.fixture
def drawing(photos: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The photos, indexed with a checkpoint that has a decoder."""
    monkeypatch.setattr("crossmodal.inference.encoder.open_encoder", lambda _: DrawingEncoder())
    encoder = DrawingEncoder()
    encoder.path = checkpoint(Path("model-checkpoints/drawing"), decoder=DECODER)
    index = Path("indexes/drawing")
    build_index(photos, photos.parent / "captions.txt", encoder, index)
    monkeypatch.setattr("sys.argv", ["app.py", "--index", str(index)])
    return index


def opened() -> AppTest:
    at = app().run()
    at.switch_page(VECTORS).run()
    assert not at.exception
    return at


def test_nine_steps_lead_from_the_one_picture_to_the_other(drawing: Path):
    at = opened()
    at.selectbox("way-from").set_value("red-0.jpg").run()
    at.selectbox("way-to").set_value("blue-0.jpg").run()
    pictures = drawn(at)[0]
    assert len(pictures) == 11  # nine steps between the two originals
    ends = galleries.searcher_of(drawing).image_vectors(["red-0.jpg", "blue-0.jpg"])
    assert [pictures[1], pictures[9]] == [grey_address(grey) for grey in DrawingEncoder().decode(ends)]
    assert len(set(pictures)) == 11


def test_the_average_of_the_pictures_with_a_word_is_drawn(drawing: Path):
    at = opened()
    at.selectbox("class").set_value("green").run()
    vectors = galleries.searcher_of(drawing).image_vectors([f"green-{number}.jpg" for number in range(3)])
    mean = vectors.mean(axis=0, keepdims=True)
    wanted = DrawingEncoder().decode(mean / (mean**2).sum() ** 0.5)[0]
    assert drawn(at)[1][0] == grey_address(wanted)
    assert "3 vectors" in at.caption[-1].value


def test_folders_are_classes_where_there_are_several(photos: Path, drawing: Path):
    for name in ("cats", "dogs <b>"):
        (photos / name).mkdir()
        (photos / name / "one.jpg").write_bytes(jpeg(COLOURS["red"]))
    encoder = DrawingEncoder()
    encoder.path = Path("model-checkpoints/drawing")
    build_index(photos, None, encoder, drawing)
    assert opened().selectbox("class").options == ["no folder", "cats", "dogs <b>"]


def test_the_page_is_offered_for_a_gallery_whose_checkpoint_draws(gallery: Path, drawing: Path):
    at = app().run()
    for index, offered in ((drawing, True), (gallery, False)):
        at.selectbox("gallery").set_value(str(index)).run()
        assert not at.exception
        assert offers(at, VECTORS) == offered
        at.switch_page(SEARCH)
