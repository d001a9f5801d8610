"""The pair page, and that it is offered only where a checkpoint judges pairs."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.app.frame import COLOURS, PAIR, app, checkpoint, html_of, jpeg, offers
from tests.fakes import FakeScorer


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("crossmodal.inference.pair_scorer.open_scorer", lambda _: FakeScorer())
    return checkpoint(Path("runs/match/best"), kind="pair_scorer")


def opened() -> AppTest:
    at = app().run()
    at.switch_page(PAIR).run()
    assert not at.exception
    return at


def said(at: AppTest, sentence: str) -> AppTest:
    at.text_input("pair-text").set_value(sentence).run()
    assert not at.exception
    return at


@pytest.mark.usefixtures("judge", "gallery")
def test_the_probability_follows_the_sentence_and_the_picture():
    at = opened()
    at.selectbox("pair-path").set_value("red-0.jpg").run()
    assert said(at, "a red square").metric[0].value == "90.0 %"
    assert said(at, "a green square").metric[0].value == "10.0 %"
    assert "Probability" in at.metric[0].label
    at.selectbox("pair-path").set_value("green-1.jpg").run()
    assert at.metric[0].value == "90.0 %"


@pytest.mark.usefixtures("judge", "gallery")
def test_an_uploaded_picture_goes_before_the_gallerys():
    at = said(opened(), "blue")
    at.file_uploader[0].set_value(("mine_*.jpg", jpeg(COLOURS["blue"]), "image/jpeg")).run()
    assert at.metric[0].value == "90.0 %"
    assert any("mine_*.jpg" in body for body in html_of(at))
    at.file_uploader[0].set_value(("broken.jpg", b"", "image/jpeg")).run()
    assert "0 bytes" in at.error[0].value
    assert not at.metric


@pytest.mark.usefixtures("judge", "gallery")
def test_a_dual_encoder_gives_a_cosine_and_says_so():
    checkpoint(Path("model-checkpoints/colours"))
    checkpoint(Path("model-checkpoints/classes"), labels=["red"])
    at = opened()
    assert at.selectbox("judge").options == ["runs/match/best", "model-checkpoints/colours"]
    at.selectbox("judge").set_value(Path("model-checkpoints/colours")).run()
    at.selectbox("pair-path").set_value("red-0.jpg").run()
    assert float(said(at, "red").metric[0].value) > 0.99
    assert "Cosine" in at.metric[0].label
    assert "no probability" in at.caption[0].value


@pytest.mark.usefixtures("judge")
def test_without_a_gallery_a_picture_can_be_uploaded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.argv", ["app.py", "--index", "indexes/nowhere"])
    at = said(opened(), "red")
    assert at.info[0].value == "Give a picture."
    at.file_uploader[0].set_value(("mine.jpg", jpeg(COLOURS["red"]), "image/jpeg")).run()
    assert at.metric[0].value == "90.0 %"


@pytest.mark.usefixtures("gallery")
def test_the_page_is_offered_when_a_checkpoint_can_do_it():
    checkpoint(Path("model-checkpoints/colours"))
    assert not offers(app().run(), PAIR)
    checkpoint(Path("runs/match/best"), kind="pair_scorer")
    assert offers(app().run(), PAIR)
