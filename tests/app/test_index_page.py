"""The page that indexes a folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from crossmodal.index import open_index
from tests.app.frame import INDEX, SEARCH, app, asked_for, checkpoint, tiles, until


def indexing(at: AppTest, images: str, captions: str = "", name: str = "") -> AppTest:
    at.switch_page(INDEX).run()
    at.text_input("index-images").set_value(images)
    at.text_input("index-captions").set_value(captions)
    at.text_input("index-name").set_value(name)
    at.button[-1].click().run()
    assert not at.exception
    return at


def test_a_folder_is_indexed_its_broken_pictures_are_listed_and_it_opens(photos: Path):
    checkpoint(Path("model-checkpoints/starter"))
    (photos / "empty_*.jpg").write_bytes(b"")
    at = indexing(app().run(), str(photos), str(photos.parent / "captions.txt"), "My squares")
    until(at, lambda at: bool(at.success))
    assert "12 pictures and 12 captions indexed, 1 skipped" in at.success[0].value.replace("\\", "")
    assert at.dataframe[0].value.to_numpy().tolist() == [["empty_*.jpg", "0 bytes"]]
    at.button("open-gallery").click().run()
    at.switch_page(SEARCH).run()
    assert at.selectbox("gallery").value == "indexes/My squares"
    assert len(tiles(asked_for(at, "green"))) == 12
    assert at.query_params["gallery"] == "My squares"


@pytest.mark.parametrize(
    ("images", "captions", "name", "message"),
    [
        ("", "", "", "no folder of pictures"),
        ("/nowhere", "", "", "no folder of pictures"),
        (".", "/nowhere.csv", "", "no captions file"),
        (".", "", "../escape", "cannot name a gallery"),
        (".", "", "demo", "cannot name a gallery"),
    ],
)
def test_an_unusable_entry_is_refused_in_words(images: str, captions: str, name: str, message: str):
    checkpoint(Path("model-checkpoints/starter"))
    at = indexing(app().run(), images, captions, name)
    assert message in at.error[0].value


def test_a_folder_of_the_same_name_needs_a_name_of_its_own(photos: Path):
    checkpoint(Path("model-checkpoints/starter"))
    until(indexing(app().run(), str(photos)), lambda at: bool(at.success))
    shutil.copytree(photos, photos.parent / "other" / "photos")
    at = indexing(app().run(), str(photos.parent / "other" / "photos"))
    assert "The gallery 'photos' is that of" in at.error[0].value.replace("\\", "")
    assert "type another name" in at.error[0].value


def test_pictures_that_vanished_are_let_go_when_a_box_is_ticked(photos: Path):
    checkpoint(Path("model-checkpoints/starter"))
    until(indexing(app().run(), str(photos)), lambda at: bool(at.success))
    for path in photos.glob("red-*.jpg"):
        path.unlink()
    for path in photos.glob("green-*.jpg"):
        path.unlink()
    at = indexing(app().run(), str(photos))
    until(at, lambda at: bool(at.error))
    assert "tick “These pictures are really gone”" in at.error[0].value
    at.run()
    at.checkbox("index-prune").check()
    at.button[-1].click().run()
    until(at, lambda at: bool(at.success))
    assert len(open_index("indexes/photos").catalogue.pictures) == 6


def test_a_checkpoint_that_only_judges_pairs_cannot_be_chosen_for_an_index():
    checkpoint(Path("model-checkpoints/starter"))
    checkpoint(Path("runs/match/best"), kind="pair_scorer")
    at = app().run()
    at.switch_page(INDEX).run()
    assert at.main.selectbox[0].options == ["model-checkpoints/starter"]
