"""Questions of several parts, filters, marks and near-duplicates on the search page."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from crossmodal.index import build_index
from tests.app.frame import COLOURS, HOSTILE, ColourEncoder, app, asked_for, jpeg, pressed, rows, said, tiles, told


def opened(**parameters: str | list[str]) -> AppTest:
    """The app, opened with an address."""
    at = app()
    for name, value in parameters.items():
        at.query_params[name] = value
    at.run()
    assert not at.exception
    return at


def shares(body: str) -> dict[str, float]:
    """What a tile says each part of the question adds to its score."""
    words = re.search(r'class="cm-shares"[^>]*aria-label="([^"]*)"', body)
    assert words
    return {label: float(value) for label, value in (part.rsplit(" ", 1) for part in words[1].split(" · "))}


def score(body: str) -> float:
    found = re.search(r'cm-score"[^>]*>(-?[\d.]+)', body)
    assert found
    return float(found[1])


def test_words_are_added_and_taken_away_and_the_address_says_so(page: AppTest):
    at = asked_for(page, "yellow")
    at.text_input("refine-plus").set_value("red").run()
    at.text_input("refine-minus").set_value("green").run()
    assert not at.exception
    assert dict(at.query_params) == {"q": "yellow", "plus": "red", "minus": "green"}
    assert [at.text_input(f"refine-{name}").value for name in ("plus", "minus")] == ["", ""]
    assert dict(at.button("drop-2").click().run().query_params) == {"q": "yellow", "plus": "red"}


@pytest.mark.usefixtures("gallery")
def test_what_each_part_adds_sums_to_the_score():
    at = opened(q="yellow", plus=["0.5:red"], minus=["green"])
    for body in tiles(at):
        assert sum(shares(body).values()) == pytest.approx(score(body), abs=0.0021)
    assert list(shares(tiles(at)[0])) == ["yellow", "red", "− green"]


def test_a_tile_is_added_and_another_taken_away(page: AppTest):
    at = pressed(asked_for(page, "a red square"), "plus", "a yellow square, number 1")
    at = pressed(at, "minus", "a green square, number 0")
    assert dict(at.query_params) == {"q": "a red square", "plus": "@yellow-1.jpg", "minus": "@green-0.jpg"}
    assert not any("a yellow square, number 1" in body for body in tiles(at))  # it is looked for itself
    assert any("a green square, number 0" in body for body in tiles(at))


def test_all_that_is_looked_for_cannot_be_taken_away(page: AppTest):
    asked_for(page, "red").text_input("refine-minus").set_value("red").run()
    assert "cannot be taken away" in page.error[0].value
    assert dict(page.query_params) == {"q": "red"}


@pytest.mark.usefixtures("gallery")
def test_a_weight_and_a_sign_can_be_changed():
    at = opened(q="red", plus=["blue"])
    at.slider("weight-1").set_value(2.5).run()
    assert at.query_params["plus"] == "2.5:blue"
    at.segmented_control("sign-1").set_value(True).run()
    assert dict(at.query_params) == {"q": "red", "minus": "2.5:blue"}


@pytest.mark.usefixtures("gallery")
def test_a_part_of_a_picture_is_asked_with():
    at = opened(like="red-1.jpg")
    key = next(slider.key for slider in at.slider if str(slider.key).startswith("across"))
    at.slider(key).set_value((0, 50)).run()
    at.button("use-crop-0").click().run()
    assert not at.exception
    assert at.query_params["crop"] == "percent:0,0,50,100"
    assert opened(like="red-1.jpg", crop="percent:0,0,50,100").button("use-crop-0").disabled


@pytest.mark.usefixtures("gallery")
def test_only_taking_away_asks_nothing_and_says_what_is_missing():
    at = opened(minus=["red"])
    assert "add words or a picture" in at.info[0].value
    assert not tiles(at)
    assert asked_for(at, "blue").query_params["minus"] == "red"


def test_a_picture_pasted_is_asked_with(page: AppTest):
    content = base64.b64encode(jpeg(COLOURS["blue"])).decode()
    at = told(page, "given", {"name": "<b>pasted</b>", "content": content})
    assert all("a blue square" in body for body in rows(at)[:3])
    assert told(at, "given", {"name": "big.jpg", "content": ""}).error[0].value.startswith("big\\.jpg is too large")
    assert "cannot be used" in told(at, "given", {"name": "x", "content": "AAAA"}).error[0].value


@pytest.mark.parametrize("event", [{"act": "like", "row": 99}, {"act": "like", "row": -1}, {"act": "x", "row": 0}, {}])
def test_an_act_that_makes_no_sense_does_nothing(page: AppTest, event: dict[str, object]):
    asked_for(page, "red")
    at = told(page, "act", {"generation": "generation-000001", **event})
    assert dict(at.query_params) == {"q": "red"}


def test_an_act_on_a_tile_of_a_former_index_does_nothing(page: AppTest):
    asked_for(page, "red")
    assert dict(told(page, "act", {"act": "like", "row": 0, "generation": "generation-000000"}).query_params) == {
        "q": "red"
    }


@pytest.mark.usefixtures("gallery")
def test_filters_limit_the_answers_and_stand_as_chips():
    at = opened(q="red", words="number", k="5")
    assert said(at, "Showing 1–5 of 11 pictures")  # one caption has other words
    at.text_input("filter-words").set_value("green").run()
    assert said(at, "Showing 3 of 3 pictures")
    assert at.query_params["words"] == "green"
    assert dict(at.button("remove-filter-words").click().run().query_params) == {"q": "red", "k": "5"}


@pytest.mark.usefixtures("gallery")
def test_a_filter_that_nothing_passes_says_so():
    at = opened(q="red", words="elephant")
    assert "Nothing was found within these filters" in at.info[0].value


@pytest.mark.usefixtures("gallery")
def test_shape_and_size_filter():
    assert said(opened(q="red", shape="landscape", minside="30"), "of 12 pictures")
    assert opened(q="red", shape="portrait").info[0].value.startswith("Nothing was found")


def test_pictures_chosen_on_the_map_limit_the_answers_until_let_go(page: AppTest):
    page.session_state["selected_paths"] = ["red-0.jpg", "blue-1.jpg", "of another gallery.jpg"]
    at = asked_for(page, "red")
    assert said(at, "Showing 2 of 2 pictures")
    assert "2 pictures chosen on the map" in at.button("remove-selected").label
    assert said(at.button("remove-selected").click().run(), "of 12 pictures")


def test_marks_rank_again_at_once_are_kept_and_can_be_taken_back(page: AppTest, gallery: Path):
    at = pressed(asked_for(page, "red"), "up", "a green square, number 1")
    assert "a green square, number 1" in tiles(at)[0] or score(tiles(at)[0]) >= score(tiles(at)[1])
    assert any("cm-liked" in body and "a green square, number 1" in body for body in tiles(at))
    assert list(shares(tiles(at)[0])) == ["red", "your marks"]
    line = json.loads((gallery / "feedback.jsonl").read_text().splitlines()[-1])
    assert [line["path"], line["mark"]] == ["green-1.jpg", 1]
    again = asked_for(app().run(), "red")
    assert again.button("remove-marks").label.startswith("1 :material/thumb_up: 0")
    again.button("remove-marks").click().run()
    assert not any("cm-liked" in body for body in tiles(again))
    assert not any("cm-shares" in body for body in tiles(again))


def test_the_same_mark_once_more_takes_it_back(page: AppTest):
    at = pressed(asked_for(page, "red"), "down", "a blue square, number 1")
    assert any("cm-disliked" in body for body in tiles(at))
    assert not any("cm-disliked" in body for body in tiles(pressed(at, "down", "a blue square, number 1")))


def test_near_duplicates_are_one_tile_that_unfolds(page: AppTest, photos: Path, gallery: Path):
    for name in ("copy-a.jpg", "copy-b.jpg"):
        (photos / name).write_bytes((photos / "green-1.jpg").read_bytes())
    build_index(photos, photos.parent / "captions.txt", ColourEncoder(), gallery)
    at = asked_for(page, "green")
    assert said(at, "Showing 12 of 12 pictures · 2 near-duplicates folded")
    folded = next(body for body in tiles(at) if "cm-copies" in body)
    assert "×3" in folded
    name = re.search(r"<figcaption[^>]*>([^<]*)", folded)
    assert name
    at = pressed(at, "copies", name[1])
    assert len(tiles(at)) == 14
    assert len(tiles(pressed(at, "copies", name[1]))) == 12
    at.toggle("fold").set_value(False).run()
    assert [len(tiles(at)), dict(at.query_params)] == [14, {"q": "green", "copies": "*"}]


@pytest.mark.parametrize("text", ["x" * 10_000, HOSTILE * 100, "\u202eabc \u202e", "\x00\x01", "'; -- %00"])
def test_any_text_is_asked_and_shown_as_text(page: AppTest, text: str):
    at = asked_for(page, text)
    assert len(tiles(at)) == 12
    at.text_input("refine-minus").set_value("not " + text).run()
    assert not at.exception
    assert not said(at, "<script")
    assert len(at.query_params["q"]) <= 2_000
    assert at.text_input("text").value == text.strip()[:10_000]  # the link is shorter, the question is not
    assert any("the link carries the first" in caption.value for caption in at.caption) == (len(text) > 2_000)


@pytest.mark.usefixtures("gallery")
@pytest.mark.parametrize("by", ["captions", "both"])
def test_pictures_are_found_by_their_captions_too(by: str):
    at = opened(q="blue", by=by)
    assert at.selectbox("by").value == by
    assert all("a blue square" in body for body in tiles(at)[:3])


@pytest.mark.usefixtures("gallery")
def test_the_foot_says_what_the_index_holds_and_what_was_skipped(photos: Path, gallery: Path):
    (photos / "broken <b>.jpg").write_bytes(b"no picture")
    build_index(photos, photos.parent / "captions.txt", ColourEncoder(), gallery)
    at = opened(q="red")
    assert said(at, "12 pictures · 12 captions · ")
    assert said(at, "checkpoint colours c0ffeec0ffee")
    assert said(at, "Last search ")
