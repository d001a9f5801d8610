"""The search page: what is asked, what is shown, and what a user's text may not do."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from crossmodal.app.state import galleries
from crossmodal.app.state.galleries import make_ready  # itself, which the fixture takes off the pages
from crossmodal.app.state.jobs import JOBS
from crossmodal.index import build_index
from crossmodal.search.searcher import Searcher
from tests.app.frame import (
    COLOURS,
    HOSTILE,
    SEARCH,
    TRAINING,
    ColourEncoder,
    LabelEncoder,
    app,
    asked_for,
    checkpoint,
    html_of,
    jpeg,
    pressed,
    rows,
    said,
    tiles,
    uploaded,
)


def test_a_text_finds_the_pictures_it_describes(page: AppTest):
    at = asked_for(page, "a red square")
    assert len(tiles(at)) == 12
    assert all("red" in body for body in tiles(at)[:3])
    assert said(at, "Showing 12 of 12 pictures")


def test_tiles_carry_rank_and_score_best_first(page: AppTest):
    bodies = tiles(asked_for(page, "green"))
    scores = [float(re.search(r'cm-score"[^>]*>(-?[\d.]+)', body).group(1)) for body in bodies]  # type: ignore[union-attr]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0.99
    assert [f'cm-rank">{rank}<' in body for rank, body in enumerate(bodies, 1)] == [True] * 12


def test_that_nothing_matches_is_said_above_the_nearest(page: AppTest, monkeypatch: pytest.MonkeyPatch):
    assert not any("seems to match" in info.value for info in asked_for(page, "a red square").info)
    plain = Searcher.search
    doubtful = lambda *asked, **to: replace(plain(*asked, **to), match=0.02, anything_here=False)  # noqa: E731
    monkeypatch.setattr(Searcher, "search", doubtful)
    at = asked_for(page, "tax report")
    assert [info.value for info in at.info if "seems to match" in info.value] == [
        "Nothing in this gallery seems to match (a match is 2 % probable). The nearest pictures all the same:"
    ]
    assert len(tiles(at)) == 12


def test_an_uploaded_picture_finds_its_captions(page: AppTest):
    at = uploaded(page, "mine.jpg", jpeg(COLOURS["blue"]))
    assert len(rows(at)) == 12
    assert all("a blue square" in body for body in rows(at)[:3])
    assert said(at, "mine.jpg")
    assert said(at, "The link of this page cannot carry a picture from outside the gallery")
    assert dict(at.query_params) == {}


@pytest.mark.parametrize("itself", [True, False])
def test_a_page_that_runs_itself_keeps_a_picture_given_just_now(page: AppTest, itself: bool):
    at = uploaded(asked_for(page, "red"), "mine.jpg", jpeg(COLOURS["blue"]))
    at.query_params["q"] = "red"  # as a browser says that has not heard of the new address yet
    if itself:
        at.session_state["drawn_again"] = True
    assert said(at.run(), "mine.jpg") == itself  # an address that a person edited counts


def test_the_direction_may_be_turned(page: AppTest):
    at = uploaded(page, "mine.jpg", jpeg(COLOURS["blue"]))
    at.segmented_control("target").set_value("images").run()
    assert len(tiles(at)) == 12
    at = asked_for(at, "yellow")
    at.segmented_control("target").set_value("captions").run()
    assert "a yellow square" in rows(at)[0]
    assert dict(at.query_params) == {"q": "yellow", "to": "captions"}


@pytest.mark.usefixtures("gallery")
def test_all_results_can_be_paged_through():
    at = app()
    at.query_params.update({"q": "red", "k": "5"})
    at.run()
    seen = [body for body in tiles(at)]
    assert said(at, "Showing 1–5 of 12 pictures")
    seen += tiles(at.button("page-forward").click().run())
    assert dict(at.query_params) == {"q": "red", "k": "5", "page": "2"}
    at.number_input("page_number").set_value(3).run()
    assert said(at, "Showing 11–12 of 12 pictures")
    assert len({*seen, *tiles(at)}) == 12
    assert at.button("page-forward").disabled
    at.selectbox("count").set_value(12).run()
    assert [len(tiles(at)), dict(at.query_params)] == [12, {"q": "red", "k": "12"}]


@pytest.mark.usefixtures("gallery")
def test_a_page_beyond_the_last_one_is_the_last_one():
    at = app()
    at.query_params.update({"q": "red", "k": "5", "page": "999999"})
    at.run()
    assert not at.exception
    assert said(at, "Showing 11–12 of 12 pictures")


def test_more_like_this_leaves_the_picture_itself_out(page: AppTest):
    at = asked_for(page, "blue")
    pressed(at, "like", "a blue square, number 0")
    assert at.text_input("text").value == ""
    assert at.query_params["like"] == "blue-0.jpg"
    assert said(at, "Showing 11 of 11 pictures")
    assert not any("a blue square, number 0" in body for body in tiles(at))


def test_a_picture_is_opened_in_detail_and_the_address_says_so(page: AppTest):
    at = pressed(asked_for(page, "green"), "open", "a green square, number 0")
    assert said(at, 'class="cm-title"><b dir="auto">green-0.jpg')
    assert at.query_params["picture"] == "green-0.jpg"
    at.button("turn-next").click().run()
    assert at.query_params["picture"] == "green-1.jpg"
    assert said(at, 'class="cm-title"><b dir="auto">green-1.jpg')


@pytest.mark.usefixtures("gallery")
def test_a_link_opens_a_picture_in_detail_without_a_question():
    at = app()
    at.query_params["picture"] = "blue-2.jpg"
    at.run()
    assert not at.exception
    assert said(at, 'class="cm-title"><b dir="auto">blue-2.jpg')


@pytest.mark.parametrize("name", ["../captions.txt", "nowhere.jpg", "<b>x</b>"])
@pytest.mark.usefixtures("gallery")
def test_a_link_to_no_picture_says_so_and_lets_it_go(name: str):
    at = app()
    at.query_params.update({"q": "red", "picture": name})
    at.run()
    assert "not in this gallery" in at.error[0].value.replace("\\", "")
    assert dict(at.query_params) == {"q": "red"}


@pytest.mark.usefixtures("gallery")
def test_a_link_brings_back_the_question():
    at = app()
    at.query_params.update({"q": "blue", "k": "4", "to": "captions"})
    at.run()
    assert [len(rows(at)), at.text_input("text").value, at.selectbox("count").value] == [4, "blue", 4]


@pytest.mark.parametrize("like", ["../captions.txt", "/etc/hostname", "photos/../../x.jpg"])
@pytest.mark.usefixtures("gallery")
def test_a_link_cannot_show_a_file_outside_the_gallery(like: str):
    at = app()
    at.query_params["like"] = like
    at.run()
    assert "not in this gallery" in at.error[0].value.replace("\\", "")
    assert not tiles(at)


def test_the_question_is_kept_while_another_page_is_looked_at(page: AppTest):
    at = asked_for(page, "red")
    at.selectbox("by").set_value("both").run()
    at.switch_page(TRAINING).run()
    at.switch_page(SEARCH).run()
    assert not at.exception
    assert [at.text_input("text").value, at.selectbox("by").value, len(tiles(at))] == ["red", "both", 12]
    assert dict(at.query_params) == {"q": "red", "by": "both"}


def test_an_example_is_asked_by_one_click(page: AppTest):
    at = page
    at.button("example-1").click().run()
    assert at.text_input("text").value.startswith("a ")
    assert tiles(at)


def test_the_heatmap_of_the_results_is_drawn_on_demand(page: AppTest):
    at = asked_for(page, "red")
    assert not said(at, "cm-heatmap")
    at.toggle("heatmap").set_value(True).run()
    assert not at.exception
    assert said(at, 'class="cm-heatmap"><img src="data:image/png')
    assert dict(at.query_params) == {"q": "red", "heatmap": "1"}


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "0 bytes"), (jpeg((1, 2, 3))[:200], "truncated"), (b"GIF89a not a picture", "")]
)
def test_a_broken_upload_is_refused_with_its_reason_and_the_page_lives_on(page: AppTest, content: bytes, reason: str):
    at = uploaded(page, "broken_*name*.jpg", content)
    assert len(at.error) == 1
    assert "cannot be used" in at.error[0].value
    assert reason in at.error[0].value
    assert asked_for(at, "red").error == []
    assert tiles(at)


def test_markup_in_captions_and_queries_stays_text(page: AppTest):
    at = asked_for(page, f"red {HOSTILE}")
    assert not said(at, "<script")
    assert any("&lt;script&gt;alert(1)&lt;/script&gt;" in body for body in tiles(at))


def test_without_captions_none_are_offered_and_a_picture_finds_its_like(photos: Path, monkeypatch: pytest.MonkeyPatch):
    build_index(photos, None, ColourEncoder(), Path("indexes/bare"))
    monkeypatch.setattr("sys.argv", ["app.py", "--index", "indexes/bare"])
    at = app()
    at.query_params["to"] = "captions"  # a link from a gallery that has some
    at = uploaded(at.run(), "mine.jpg", jpeg(COLOURS["red"]))
    assert "target" not in [control.key for control in at.segmented_control]
    assert len(tiles(at)) == 12
    assert all("red" in body for body in tiles(at)[:3])


def test_an_index_that_is_absent_is_an_error_with_the_next_command(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.argv", ["app.py", "--index", "indexes/nowhere"])
    at = app().run()
    assert not at.exception
    assert "crossmodal index" in at.error[0].value


def test_a_picture_gone_from_the_disk_leaves_its_tile_empty(page: AppTest, photos: Path):
    (photos / "red-0.jpg").unlink()
    at = asked_for(page, "red")
    assert sum("cannot be shown" in body for body in tiles(at)) == 1


def test_a_rebuilt_index_is_opened_again_without_a_restart(gallery: Path, photos: Path):
    at = asked_for(app().run(), "red")
    (photos / "red-9.jpg").write_bytes(jpeg((222, 31, 29)))
    build_index(photos, photos.parent / "captions.txt", ColourEncoder(), gallery)
    assert said(at.run(), "of 13 pictures")


@pytest.mark.usefixtures("gallery")
def test_the_model_is_loaded_once_for_all_runs_and_sessions(monkeypatch: pytest.MonkeyPatch):
    loaded: list[Path] = []
    monkeypatch.setattr(
        "crossmodal.inference.encoder.open_encoder", lambda path: loaded.append(path) or ColourEncoder()
    )
    asked_for(asked_for(app().run(), "red"), "blue")
    asked_for(app().run(), "green")
    assert len(loaded) == 1


@pytest.mark.usefixtures("gallery")
def test_the_first_pictures_are_shown_without_the_model(monkeypatch: pytest.MonkeyPatch):
    loaded: list[Path] = []
    monkeypatch.setattr(
        "crossmodal.inference.encoder.open_encoder", lambda path: loaded.append(path) or ColourEncoder()
    )
    at = app().run()
    assert sum("<figure" in body for body in html_of(at)) == 12
    assert loaded == []
    at.query_params["picture"] = "red-0.jpg"
    at.run()
    assert said(at, "red-0.jpg")
    assert len(loaded) == 1


def test_the_model_is_loaded_beside_the_page_before_anything_is_asked(gallery: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(galleries, "FIRST_THE_PICTURES", 0.0)
    searcher = galleries.searcher_of(gallery)
    make_ready(searcher)
    job = JOBS.get(f"encoder of {gallery.resolve()}")
    assert job
    assert job.wait(30)
    assert searcher.is_ready


def test_two_galleries_of_one_checkpoint_share_its_encoder(gallery: Path, photos: Path):
    build_index(photos, None, ColourEncoder(), Path("indexes/second"))
    first, second = galleries.searcher_of(gallery), galleries.searcher_of(Path("indexes/second"))
    assert first.encoder is second.encoder


@pytest.fixture
def labelled(photos: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The photos without captions, indexed with a checkpoint that knows only the names of its classes."""
    encoders = {"labels": LabelEncoder(), "colours": ColourEncoder()}
    monkeypatch.setattr("crossmodal.inference.encoder.open_encoder", lambda path: encoders[path.name])
    index = Path("indexes/labelled")
    encoders["labels"].path = checkpoint(Path("model-checkpoints/labels"), labels=list(LabelEncoder.labels))
    build_index(photos, None, encoders["labels"], index)
    monkeypatch.setattr("sys.argv", ["app.py", "--index", str(index)])
    return index


@pytest.mark.usefixtures("labelled")
def test_a_checkpoint_that_knows_labels_only_offers_them_instead_of_the_text_line():
    at = app().run()
    assert not at.text_input
    assert at.selectbox("text").options[1:] == list(COLOURS)
    assert at.button("example-1").label == "green"
    at.selectbox("text").set_value("blue").run()
    assert not at.exception
    assert all("blue" in body for body in tiles(at)[:3])
    assert dict(at.query_params) == {"q": "blue"}
    assert pressed(at, "like", "blue-0.jpg").selectbox("text").value == ""


@pytest.mark.parametrize(("asked", "chosen"), [("GREEN", "green"), ("a green dog", "")])
@pytest.mark.usefixtures("labelled")
def test_a_link_to_other_words_asks_nothing_of_a_checkpoint_of_labels(asked: str, chosen: str):
    at = app()
    at.query_params["q"] = asked
    at.run()
    assert not at.exception
    assert at.selectbox("text").value == chosen
    assert bool(tiles(at)) == bool(chosen)


def test_going_from_free_words_to_a_gallery_of_labels_leaves_the_words_behind(gallery: Path, labelled: Path):
    at = app().run()
    at.selectbox("gallery").set_value(str(gallery)).run()
    at = asked_for(at, "a red square")
    at.selectbox("gallery").set_value(str(labelled)).run()
    assert not at.exception
    assert at.selectbox("text").value == ""
