"""The detail view: heat and bars of a sentence and a word, two pictures beside each other, and all that is known."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from PIL import Image
from streamlit.testing.v1 import AppTest

from crossmodal.errors import InputError
from crossmodal.index import build_index, open_index
from crossmodal.inference.explain import APPROXIMATE
from crossmodal.models.parts import Parts, Weights
from crossmodal.models.words import Word
from crossmodal.search.searcher import Searcher
from tests.app.frame import COLOURS, HOSTILE, ColourEncoder, LabelEncoder, html_of, unit

BIAS = np.array([0, 0, 0, 20], dtype=np.float32)
READ = 60  # words that the fake reads


class ReasoningEncoder(ColourEncoder):
    """Its vectors are sums over four quarters of a picture and over the words of a sentence, and it says so."""

    can_explain = splits_images = splits_texts = True
    looked = 0

    def words(self, text: str) -> tuple[Word, ...]:
        ends = np.cumsum([len(word) + 1 for word in text.split()])
        read = enumerate(zip(text.split(), ends.tolist(), strict=True))
        return tuple(Word(word, (end - 1 - len(word), end - 1), (n,)) for n, (word, end) in read if n < READ)

    def unread(self, text: str) -> str:
        return " ".join(text.split()[READ:])

    def image_parts(self, image: Image.Image) -> Parts:
        type(self).looked += 1
        pixels = self.preprocess(image).reshape(3, 2, 4, 2, 4).mean((2, 4)).reshape(3, 4).T
        parts = np.concatenate([pixels - 90.0, np.zeros((4, 1))], axis=1).astype(np.float32) / 4
        return Parts(self.encode_images([image])[0], parts, BIAS, (2, 2))

    def text_parts(self, text: str) -> Parts:
        words = [word.text.lower() for word in self.words(text)]
        named = np.array([[*np.subtract(COLOURS.get(word, (90, 90, 90)), 90.0), 0] for word in words], dtype=np.float32)
        parts = named / max(sum(word in COLOURS for word in words), 1)
        return Parts(unit((parts.sum(0) + BIAS)[None])[0], parts, BIAS, (len(words),))

    def image_weights(self, image: Image.Image, towards: Any) -> Weights:  # noqa: ARG002
        return Weights(self.encode_images([image])[0], np.array([0, 1, 0, 0], dtype=np.float32), (2, 2))

    def text_weights(self, text: str, towards: Any) -> Weights:  # noqa: ARG002
        count = len(self.words(text))
        return Weights(self.encode_texts([text])[0], np.ones(count, dtype=np.float32), (count,))


class GuessingEncoder(ReasoningEncoder):
    """One whose towers are no sums."""

    name = "guesses"
    fingerprint = "9e55ed" * 8
    splits_images = splits_texts = False


def draw(searcher, path, arguments):  # without types: only its source gets into the app
    from crossmodal.app.widgets.picture.detail import detail

    detail(searcher, path, **arguments)


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    st.cache_data.clear()
    ReasoningEncoder.looked = 0


@pytest.fixture
def view(photos: Path) -> Callable[..., AppTest]:
    """Draws the detail view of a picture of the gallery."""

    def drawn(path: str = "red-0.jpg", encoder: Any = None, **arguments: Any) -> AppTest:
        encoder = encoder or ReasoningEncoder()
        captions = None if encoder.labels else photos.parent / "captions.txt"
        build_index(photos, captions, encoder, Path("index"))
        searcher = Searcher(open_index("index"), encoder)
        values = {"searcher": searcher, "path": path, "arguments": arguments}
        at = AppTest.from_function(draw, kwargs=values, default_timeout=30).run()
        assert not at.exception
        return at

    return drawn


def page(at: AppTest) -> str:
    return "\n".join(html_of(at))


def pressed(at: AppTest, key: str) -> AppTest:
    next(button for button in at.button if key in (button.key or "")).click().run()
    assert not at.exception
    return at


def test_a_sentence_is_shown_as_heat_and_as_bars_that_add_up(view: Callable[..., AppTest]):
    at = view(text="a red square", rank=2, score=0.98, relevance=0.5)
    assert "score <b>1.000</b> = words 0." in page(at)
    assert "under the heat of the whole sentence" in page(at)
    assert "hit 2 · cosine 0.980 · the very picture meant: 50 % probable" in page(at)
    assert [option.split()[0] for option in at.button_group[0].options] == ["whole", "a", "red", "square"]


def test_a_word_chosen_redraws_the_heat_without_looking_at_the_picture_again(view: Callable[..., AppTest]):
    at = view(text="a red square")
    before = page(at)
    at.button_group[0].set_value(1).run()
    assert "under the heat of red" in page(at)
    assert "under the heat of red" not in before
    assert ReasoningEncoder.looked == 1


def test_what_sets_a_word_apart_and_the_plain_picture_can_be_chosen(view: Callable[..., AppTest]):
    at = view(text="red blue")
    at.button_group[0].set_value(0).run()
    at.button_group[1].set_value("What sets it apart").run()
    assert "more or less of its share than the whole sentence" in page(at)
    at.button_group[1].set_value("Plain").run()
    assert "under the heat" not in page(at)
    assert not at.exception


def test_the_difference_to_another_hit_is_said_and_drawn(view: Callable[..., AppTest]):
    at = view(text="a red square", others=["red-0.jpg", "blue-1.jpg"], above="blue-1.jpg")
    assert at.selectbox[0].options == ["blue-1.jpg"]
    assert "above blue-1.jpg. “red” adds" in page(at)
    assert "one scale for both" in page(at)


def test_without_another_chosen_nothing_is_compared(view: Callable[..., AppTest]):
    at = view(text="a red square", others=["blue-1.jpg", "not-here.jpg"])
    assert at.selectbox[0].options == ["blue-1.jpg"]
    assert at.selectbox[0].value is None
    assert ReasoningEncoder.looked == 1


def test_two_pictures_show_their_best_matching_regions(view: Callable[..., AppTest]):
    at = view(asked=Image.new("RGB", (40, 30), COLOURS["red"]))
    assert page(at).count('class="cm-box"') == 2
    assert "= pairs of places" in page(at)


def test_a_neighbour_can_be_compared_and_opened(view: Callable[..., AppTest]):
    opened: list[str] = []
    at = view(on_open=opened.append)
    assert 'class="cm-box"' not in page(at)
    assert 'class="cm-box"' in page(pressed(at, "alike-"))
    pressed(at, "near-")
    assert opened == ["red-1.jpg"]


def test_a_neighbour_opens_in_the_address_unless_told_otherwise(view: Callable[..., AppTest]):
    at = pressed(view(), "near-")
    assert at.query_params["picture"] in ("red-1.jpg", ["red-1.jpg"])


def test_captions_come_with_their_cosine_and_can_be_searched_and_explained(view: Callable[..., AppTest]):
    searched: list[str] = []
    at = view("green-1.jpg", on_search=searched.append)
    assert "a green square, number 1" in page(at)
    pressed(at, "caption-")
    assert searched == ["a green square, number 1"]
    assert "score <b>" not in page(at)
    assert "score <b>" in page(pressed(at, "where-"))
    assert at.text_input[0].value == "a green square, number 1"


def test_another_sentence_can_be_typed_and_the_query_comes_back(view: Callable[..., AppTest]):
    at = view(text="a red square")
    at.text_input[0].set_value("blue").run()
    assert "blue" in at.button_group[0].options[1]
    pressed(at, "back-")
    assert at.text_input[0].value == "a red square"
    assert "red" in at.button_group[0].options[2]


def test_the_file_is_described(view: Callable[..., AppTest], photos: Path):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2021:05:03 12:00:01"
    Image.new("RGB", (1200, 30), (0, 0, 0)).save(photos / "dated.jpg", exif=exif)
    told = page(view("dated.jpg"))
    assert "1,200 × 30 pixels" in told
    assert "2021-05-03 12:00:01" in told
    assert str(photos / "dated.jpg") in told


def test_a_picture_changed_since_it_was_indexed_is_said_to_be(view: Callable[..., AppTest], photos: Path):
    at = view(text="red")
    assert "has changed since" not in page(at)
    os.utime(photos / "red-0.jpg", (1, 1))
    assert "has changed since" in page(at.run())


def test_a_picture_gone_keeps_its_captions_and_its_file_name(view: Callable[..., AppTest], photos: Path):
    at = view("green-1.jpg", text="red", others=["blue-1.jpg"])
    (photos / "green-1.jpg").unlink()
    at.run()
    assert not at.exception
    assert "gone from the disk" in at.warning[0].value
    assert "a green square, number 1" in page(at)
    assert "SHA-256" in page(at)
    assert "40 × 30 pixels" in page(at)


def test_a_rival_gone_is_said_to_be(view: Callable[..., AppTest], photos: Path):
    at = view(text="red", others=["blue-1.jpg"])
    (photos / "blue-1.jpg").unlink()
    at.selectbox[0].set_value("blue-1.jpg").run()
    assert not at.exception
    assert "gone from the disk" in at.info[0].value


def test_a_guess_is_labelled_approximate(view: Callable[..., AppTest]):
    at = view(encoder=GuessingEncoder(), text="a red square", others=["blue-1.jpg"], above="blue-1.jpg")
    assert f'<span class="cm-approx">{APPROXIMATE}' in page(at)
    assert "add up to nothing" in page(at)
    assert "= words" not in page(at)
    assert not at.selectbox  # approximations do not compare
    assert "cm-approx" in page(pressed(at, "alike-"))


@pytest.mark.parametrize("encoder", [ColourEncoder(), LabelEncoder()])
def test_an_encoder_without_reasons_shows_all_the_rest(view: Callable[..., AppTest], encoder: ColourEncoder):
    red = Image.new("RGB", (40, 30), COLOURS["red"])
    at = view("red-1.jpg", encoder=encoder, text="red", asked=red, others=["blue-1.jpg"])
    assert "cannot say what its scores are made of" in page(at)
    assert "red-1.jpg" in page(at)
    assert "Most alike" in page(at)
    assert "under the heat" not in page(at)


def test_hostile_texts_of_any_length_show_as_text(view: Callable[..., AppTest]):
    at = view(text=HOSTILE + " dog" * 500 + "w" * 9000)
    assert "<script" not in page(at)
    assert "Not read: dog dog" in page(at)
    assert max(map(len, at.button_group[0].options)) < 80
    assert len(at.button_group[0].options) <= 25


def test_what_a_cropping_model_does_not_see_is_said(view: Callable[..., AppTest]):
    class CroppingEncoder(ReasoningEncoder):
        preprocessing = {"image": {"size": 8, "fit": "crop"}}  # noqa: RUF012

    assert "does not see the dark edges" in page(view(encoder=CroppingEncoder(), text="red"))
    assert "does not see the dark edges" not in page(view(text="red"))


def test_a_model_of_labels_explains_its_labels(view: Callable[..., AppTest]):
    class LabelledEncoder(ReasoningEncoder):
        labels = tuple(COLOURS)

    at = view("red-0.jpg", encoder=LabelledEncoder(), text="RED")
    assert at.selectbox[0].value == "red"
    assert "score <b>1.000</b>" in page(at)
    at = view("red-0.jpg", encoder=LabelledEncoder(), text="a zebra")
    assert at.selectbox[0].value == ""
    assert "score <b>" not in page(at)
    at.selectbox[0].set_value("blue").run()
    assert "score <b>−0." in page(at)


def test_an_address_shows_no_file_outside_the_gallery(view: Callable[..., AppTest]):
    at = view("../captions.txt")
    assert "is not in this gallery" in at.error[0].value
    assert html_of(at) == []


def test_an_encoder_that_cannot_explain_refuses_in_words():
    assert not ColourEncoder().can_explain
    with pytest.raises(InputError, match="colours cannot say what its scores are made of"):
        ColourEncoder().image_parts(Image.new("RGB", (8, 8)))
