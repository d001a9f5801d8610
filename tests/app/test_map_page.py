"""The map page: what is drawn, what a click and a lasso choose, and what a user's text may not do."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from crossmodal.app.widgets.map_figure import hover_texts, map_figure, traces
from crossmodal.gallery import embedding_map
from crossmodal.index import build_index
from tests.app.frame import COLOURS, ColourEncoder, LabelEncoder, app, html_of, jpeg, until

MAP = "crossmodal/app/pages/map.py"


def charts(at: AppTest) -> list[dict[str, Any]]:
    return [json.loads(element.proto.spec) for element in at.get("plotly_chart")]


def opened() -> AppTest:
    at = app().run()
    at.switch_page(MAP).run()
    assert not at.exception
    return until(at, lambda at: bool(charts(at)))


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Stands for the mouse, which this way of running an app has not: makes points chosen on whatever map is drawn."""
    chosen: list[dict[str, int]] = []
    monkeypatch.setattr("streamlit.plotly_chart", lambda *_, **__: {"selection": {"points": chosen}})
    return lambda *points: chosen.extend({"curve_number": curve, "point_index": place} for curve, place in points)


@pytest.mark.usefixtures("gallery")
def test_every_picture_is_a_point_of_a_named_group():
    spec = charts(opened())[0]
    names = [trace["name"] for trace in spec["data"]]
    assert sum(len(trace["hovertext"]) for trace in spec["data"]) == 12
    assert all(any(colour in name for colour in COLOURS) for name in names)
    assert len(spec["layout"]["annotations"]) == len(names)


@pytest.mark.usefixtures("gallery")
def test_captions_are_text_under_the_pointer():
    hover = [text for trace in charts(opened())[0]["data"] for text in trace["hovertext"]]
    hostile = next(text for text in hover if "script" in text)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in hostile.replace("<br>", "")
    assert "<script" not in hostile


def test_a_click_shows_the_picture_with_its_captions_and_more_like_it(gallery: Path, choose: Any):
    choose((0, 0))
    at = app().run()
    at.switch_page(MAP).run()
    until(at, lambda at: any(button.key == "map-like" for button in at.button))
    row = int(np.flatnonzero(kept(gallery).labels == 0)[0])
    name = f"{sorted(COLOURS)[row // 3]}-{row % 3}.jpg"
    assert any("cm-large" in body and name in body for body in html_of(at))
    assert any("cm-thumbs" in body for body in html_of(at))
    at.button("map-like").click().run()
    assert not at.exception
    assert at.query_params["like"] == name


@pytest.mark.usefixtures("gallery")
def test_a_lasso_hands_its_pictures_to_the_search(choose: Any):
    choose((0, 0), (0, 1), (0, 1), (99, 0), (0, 99))  # the last two are of a figure that is gone
    at = app().run()
    at.switch_page(MAP).run()
    until(at, lambda at: any(button.key == "map-search" for button in at.button))
    assert any("2 pictures chosen" in body for body in html_of(at))
    at.button("map-search").click().run()
    assert not at.exception
    assert len(set(at.session_state["selected_paths"])) == 2
    assert at.text_input("text")


def test_a_group_may_be_chosen_by_its_name_and_let_go_again(gallery: Path):
    at = opened()
    at.selectbox("map-group-squares-0").set_value(0).run()
    count = int((kept(gallery).labels == 0).sum())
    assert any(f"{count} pictures chosen" in body for body in html_of(at))
    at.button("map-clear").click().run()
    assert not at.exception
    assert not any("pictures chosen" in body for body in html_of(at))


@pytest.mark.usefixtures("gallery")
def test_a_sentence_colours_the_pictures_by_their_cosine():
    at = opened()
    at.text_input("map-highlight").set_value("red").run()
    assert not at.exception
    (trace,) = charts(at)[0]["data"]
    assert all("red" in text for text in trace["hovertext"][-3:])


@pytest.mark.usefixtures("gallery")
def test_where_only_labels_are_known_one_is_chosen(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("crossmodal.inference.encoder.open_encoder", lambda _: LabelEncoder())
    monkeypatch.setattr("crossmodal.app.state.galleries.labels_of", lambda _: LabelEncoder.labels)
    at = opened()
    at.selectbox("map-label-squares").set_value("green").run()
    assert not at.exception
    assert all("green" in text for text in charts(at)[0]["data"][0]["hovertext"][-3:])


@pytest.mark.usefixtures("gallery")
def test_the_quick_map_is_shown_while_the_better_one_is_made(monkeypatch: pytest.MonkeyPatch):
    go_on = threading.Event()
    plain = embedding_map.layout

    def slow(vectors: Any, method: str) -> Any:
        if method == "umap":
            assert go_on.wait(60)
        return plain(vectors, "pca")[0], method

    monkeypatch.setattr(embedding_map, "layout", slow)
    monkeypatch.setattr(embedding_map, "LEAST_FOR_UMAP", 5)
    at = opened()
    assert "PCA" in at.caption[0].value
    go_on.set()
    until(at, lambda at: "UMAP" in at.caption[0].value)


def test_an_empty_gallery_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "broken.jpg").write_bytes(jpeg((1, 2, 3))[:50])
    build_index(tmp_path / "none", None, ColourEncoder(), Path("indexes/none"))
    monkeypatch.setattr("sys.argv", ["app.py", "--index", "indexes/none"])
    at = app().run()
    at.switch_page(MAP).run()
    assert "holds no picture" in at.info[0].value


def test_a_very_long_caption_is_cut_to_four_lines():
    (text,) = hover_texts(["word " * 2000])
    assert text.count("<br>") == 3
    assert text.endswith(" …")


def test_names_of_groups_are_text_in_the_figure():
    two = embedding_map.Atlas(np.eye(2, dtype=np.float32), "pca", np.array([0, 0]), ("<b>cats</b>",))
    figure = map_figure(two, hover_texts(["a", "b"]), dark=True)
    assert figure.data[0].name == "&lt;b&gt;cats&lt;/b&gt;"
    assert "<b>" not in figure.layout.annotations[0].text
    assert [rows.tolist() for rows in traces(two, np.array([0.9, 0.1], np.float32))] == [[1, 0]]


def kept(gallery: Path) -> embedding_map.Atlas:
    from crossmodal.index import open_index

    found = embedding_map.read_atlas(open_index(gallery), "pca")
    assert found is not None
    return found
