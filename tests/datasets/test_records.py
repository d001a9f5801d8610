"""Names in a captions file find their own picture, or none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from crossmodal.datasets.records import Record, load_pairs, match_names
from crossmodal.errors import CaptionsError, DataError, InputError


def folder(root: Path, *pictures: str) -> Path:
    for picture in pictures:
        path = root / "images" / picture
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"never opened")
    return root / "images"


def captions(root: Path, rows: str) -> Path:
    path = root / "captions.txt"
    path.write_text("image,caption\n" + rows, encoding="utf-8")
    return path


def test_one_record_a_picture_sorted_without_empty_and_repeated_captions(tmp_path: Path) -> None:
    images = folder(tmp_path, "b.jpg", "a.jpg", "c.jpg")
    pairs = load_pairs(
        images, captions(tmp_path, "b.jpg,A cat\na.jpg,A dog\nb.jpg,\nb.jpg,A cat\nd.jpg,A cow\nc.jpg,\n")
    )
    assert pairs.records == (Record("a.jpg", ("A dog",)), Record("b.jpg", ("A cat",)))
    assert (pairs.missing, pairs.uncaptioned) == (("d.jpg",), ("c.jpg",))
    assert (pairs.root, pairs.format, pairs.problems) == (images, "CSV", ())


def test_without_captions_every_picture_is_a_record(tmp_path: Path) -> None:
    pairs = load_pairs(folder(tmp_path, "x/b.png", "a.jpg"), None)
    assert pairs.records == (Record("a.jpg", ()), Record("x/b.png", ()))
    assert pairs.uncaptioned == ("a.jpg", "x/b.png")


def test_pictures_beside_their_text_are_paired(tmp_path: Path) -> None:
    images = folder(tmp_path, "x/a.jpg", "b.PNG")
    (images / "x" / "a.txt").write_text("A dog\nTwo dogs\n")
    (images / "b.txt").write_text("A cat\n")
    assert [record.captions for record in load_pairs(images, images).records] == [("A cat",), ("A dog", "Two dogs")]


def test_the_split_of_the_file_reaches_the_record(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("file,text,split\na.jpg,A dog,val\n./a.jpg,Dogs,test\nb.jpg,A cat,\n")
    pairs = load_pairs(folder(tmp_path, "a.jpg", "b.jpg"), path)
    assert pairs.records == (Record("a.jpg", ("A dog", "Dogs"), "val"), Record("b.jpg", ("A cat",), None))
    assert pairs.problems == ("a.jpg: stands in splits 'val' and 'test': the first one kept",)


@pytest.mark.parametrize(
    ("name", "pictures", "expected"),
    [
        ("x/a.jpg", ["a.jpg", "x/a.jpg", "y/a.jpg"], "x/a.jpg"),
        ("./x//a.jpg", ["a.jpg", "x/a.jpg"], "x/a.jpg"),
        ("x\\a.jpg", ["a.jpg", "x/a.jpg"], "x/a.jpg"),
        ("/somewhere/else/a.jpg", ["y/a.jpg", "b.jpg"], "y/a.jpg"),
        ("a.jpg", ["x/a.jpg", "y/a.jpg"], None),
        ("A.JPG", ["a.jpg"], "a.jpg"),
        ("A.jpg", ["a.jpg", "A.jpg"], "A.jpg"),
        ("A.JPG", ["a.jpg", "A.jpg"], None),
        ("cafe\u0301.jpg", ["café.jpg"], "café.jpg"),
        ("a", ["x/a.jpeg", "ab.jpeg"], "x/a.jpeg"),
        ("a.png", ["a.jpg"], "a.jpg"),
        ("a", ["a.jpg", "a.png"], None),
        ("photo.v2", ["photo.jpg", "photo.v1.jpg"], None),
        ("../a.jpg", ["a.jpg"], None),
        ("x/../../a.jpg", ["a.jpg"], None),
        ("..\\a.jpg", ["a.jpg"], None),
        ("x/../a.jpg", ["a.jpg"], "a.jpg"),
        ("..", ["a.jpg"], None),
    ],
)
def test_a_name_finds_its_picture_only_when_that_is_certain(
    name: str, pictures: Sequence[str], expected: str | None
) -> None:
    match = match_names([name], pictures)
    assert match.found == ({name: expected} if expected else {})
    assert match.missing == (() if expected else (name,))


def test_two_names_for_one_picture_are_refused_unless_one_is_exact() -> None:
    match = match_names(["x/a.jpg", "y/a.jpg", "b.jpg", "z/b.jpg"], ["a.jpg", "b.jpg"])
    assert match.found == {"b.jpg": "b.jpg"}
    assert match.missing == ("x/a.jpg", "y/a.jpg", "z/b.jpg")
    assert match.problems == (
        "'x/a.jpg' and 'y/a.jpg' both fit 'a.jpg': neither taken; write paths below the images folder",
    )


def test_a_refused_name_is_recorded(tmp_path: Path) -> None:
    pairs = load_pairs(folder(tmp_path, "a.jpg", "b.jpg"), captions(tmp_path, "a.jpg,A dog\n../b.jpg,A cat\n"))
    assert [record.image for record in pairs.records] == ["a.jpg"]
    assert pairs.missing == ("../b.jpg",)
    assert pairs.problems == ("'../b.jpg' points outside the images folder: refused",)


def test_names_that_fit_nothing_show_an_example_of_each_side(tmp_path: Path) -> None:
    images = folder(tmp_path, "0001.jpg")
    with pytest.raises(CaptionsError, match=r"none of the 2 names .*--images") as caught:
        load_pairs(images, captions(tmp_path, "dog.jpg,A dog\ncat.jpg,A cat\n"))
    assert caught.value.excerpt == "the file names 'dog.jpg', the folder holds '0001.jpg'"


def test_an_images_folder_must_exist_and_hold_pictures(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--images"):
        load_pairs(tmp_path / "none", None)
    with pytest.raises(DataError, match=r"holds no pictures .*\.jpg"):
        load_pairs(tmp_path, None)


def test_flickr8k_pairs_every_photo_with_five_captions(shared: Path) -> None:
    pairs = load_pairs(shared / "data/flickr8k/Images", shared / "data/flickr8k/captions.txt")
    assert (len(pairs.records), pairs.missing, pairs.uncaptioned, pairs.problems) == (7091, (), (), ())
    assert pairs.records[0].image == "1000268201_693b08cb0e.jpg"
    assert pairs.records[0].captions[1] == "A girl going into a wooden building ."
