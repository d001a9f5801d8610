"""The page that indexes a folder."""

from __future__ import annotations

import gzip
import io
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from crossmodal.index import open_index
from tests.app.frame import INDEX, SEARCH, all_words, app, asked_for, checkpoint, tiles, until


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


SECRET = b"root:x:0:0\nSECRET\n"


def parquet_of(**columns: list[str]) -> bytes:
    import pyarrow as pa  # type: ignore[import-untyped,unused-ignore]
    from pyarrow import parquet  # type: ignore[import-untyped,unused-ignore]

    sink = io.BytesIO()
    parquet.write_table(pa.table(columns), sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        SECRET,
        b"SECRET:x:0:0\nroot\n",
        b"SECRET.jpg\nroot.jpg\n",
        b"image,caption\nSECRET,root:x:0:0\n",
        b"image,caption\nSECRET,root,x,0\n,SECRET\n",
        b"SECRET.jpg#0\troot:x:0:0\n",
        b'{"SECRET": 1, "root:x:0:0": 2}',
        b'{"SECRET": "root:x:0:0"}',
        b'{"SECRET root:x:0:0',
        b'[{"SECRET": "root:x:0:0"}]',
        b'{"SECRET": "root"}\n{"SECRET": "x"}\n',
        b'{"images": [{"id": 1, "file_name": "SECRET"}], "annotations": [{"image_id": "SECRET", "caption": "x"}]}',
        parquet_of(SECRET=["root:x:0:0"]),
        parquet_of(image=["SECRET"], caption=["root:x:0:0"]),
        parquet_of(image=["SECRET"], caption=["root:x:0:0"]).replace(b"SECRET", b"\xff\xfeRET")[:-9] + b"SECRETPAR1",
        gzip.compress(SECRET),
        gzip.compress(SECRET) + SECRET,
    ],
)
def test_an_error_does_not_say_what_a_file_holds(photos: Path, content: bytes):
    checkpoint(Path("model-checkpoints/starter"))
    Path("given").write_bytes(content)
    at = until(indexing(app().run(), str(photos), "given"), lambda at: bool(at.error))
    assert "SECRET" not in all_words(at)
    assert "root:x" not in all_words(at)


def test_what_is_left_out_of_a_captions_file_is_counted_not_quoted(photos: Path):
    checkpoint(Path("model-checkpoints/starter"))
    Path("given").write_text("image,caption\nred-0.jpg,a red square\n../SECRET.jpg,x\nSECRET.jpg,x\nSECRET\n")
    at = until(indexing(app().run(), str(photos), "given"), lambda at: bool(at.success))
    assert "SECRET" not in all_words(at)
    said = [warning.value.replace("\\", "") for warning in at.warning]
    assert "2 captioned pictures are not in the folder" in said[0]
    assert "2 places of the captions file were corrected or left out" in said[1]


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
