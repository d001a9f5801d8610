"""`validate` finds every kind of problem, each with its place, and says so by its exit status."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from crossmodal.cli import main
from crossmodal.datasets.validation import CHECKS, Validation, describe, validate
from crossmodal.errors import CaptionsError, DataError, InputError


def jpeg(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (shade, 0, 0)).save(buffer, "JPEG")
    return buffer.getvalue()


class Room:
    """A folder with pictures, a captions file and split lists."""

    def __init__(self, root: Path) -> None:
        self.root, self.images, self.captions = root, root / "images", root / "captions.csv"
        self.images.mkdir()

    def pictures(self, *names: str) -> None:
        for shade, name in enumerate(names):
            (self.images / name).parent.mkdir(parents=True, exist_ok=True)
            (self.images / name).write_bytes(jpeg(40 * shade))

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def found(self, splits: Path | None = None, against: Path | None = None) -> dict[str, list[dict[str, Any]]]:
        """The problems, without the kinds of which there is none."""
        report = validate(self.images, self.captions, splits, against)
        return {problem.kind: list(problem.items) for problem in report.problems}


@pytest.fixture
def room(tmp_path: Path) -> Room:
    """Two pictures, a caption each, nothing wrong."""
    room = Room(tmp_path)
    room.pictures("a.jpg", "b.jpg")
    room.write("captions.csv", "image,caption\na.jpg,A dog\nb.jpg,A cat\n")
    return room


def test_a_clean_folder_is_clean(room: Room) -> None:
    report = validate(room.images, room.captions)
    assert report.clean
    assert (report.facts["pictures"], report.facts["usable_captions"]) == (2, 2)
    assert report.facts["captions_per_picture"] == {"1": 2}
    assert "clean: nothing found" in describe(report)


def test_names_captions_and_rows_are_checked(room: Room) -> None:
    room.write(
        "captions.csv",
        "image,caption\na.jpg,A dog\nb.jpg,\na.jpg,A  dog\na.jpg,Dogs\nc.jpg,A cow\n../b.jpg,Out\nb.jpg\n",
    )
    assert room.found() == {
        "rows": [
            {"what": "line 8: 1 field instead of 2: left out"},
            {"what": "'../b.jpg' points outside the images folder: refused"},
        ],
        "missing": [{"name": "c.jpg"}, {"name": "../b.jpg"}],
        "uncaptioned": [{"image": "b.jpg"}],
        "empty_captions": [{"image": "b.jpg", "count": 1}],
        "duplicate_captions": [{"image": "a.jpg", "caption": "A dog", "count": 2}],
    }


def test_every_picture_is_decoded_and_progress_reaches_the_end(room: Room) -> None:
    (room.images / "b.jpg").write_bytes(b"")
    (room.images / "c.jpg").write_bytes(jpeg(9)[:-40])
    (room.images / "d.jpg").symlink_to("nowhere")
    seen: list[tuple[int, int]] = []
    report = validate(room.images, room.captions, progress=lambda done, total: seen.append((done, total)))
    unreadable = next(problem for problem in report.problems if problem.kind == "unreadable")
    assert [item["image"] for item in unreadable.items] == ["b.jpg", "c.jpg", "d.jpg"]
    assert unreadable.items[0]["reason"] == "0 bytes"
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_lists_that_share_a_picture_or_name_an_absent_one(room: Room) -> None:
    room.write("lists/train.txt", "a.jpg\nb.jpg\n")
    lists = room.write("lists/devImages.txt", "b\nc.jpg\n").parent
    assert room.found(lists) == {
        "listed_without_picture": [{"split": "val", "name": "c.jpg"}],
        "in_two_splits": [
            {"pictures": {"b.jpg": ["train", "val"]}, "splits": ["train", "val"], "why": "the same file"}
        ],
    }


def test_the_files_own_splits_are_checked_too(room: Room) -> None:
    room.write("captions.csv", "image,caption,split\na.jpg,A dog,train\nb.jpg,A cat,dev\na.jpg,Dogs,test\n")
    assert room.found()["in_two_splits"] == [
        {"pictures": {"a.jpg": ["train", "test"]}, "splits": ["train", "test"], "why": "the same file"}
    ]
    assert validate(room.images, room.captions).facts["splits"]["val"] == {"pictures": 1, "captions": 1}


def test_one_photo_under_two_names_is_one_photo(room: Room) -> None:
    room.pictures(
        "a.jpg", "b.jpg", "1000268201_693b08cb0e.jpg", "more/1000268201.jpg", "x/1.jpg", "y/1.jpg", "copy.jpg"
    )
    (room.images / "copy.jpg").write_bytes((room.images / "b.jpg").read_bytes())
    room.write("lists/train.txt", "1000268201_693b08cb0e.jpg\nx/1.jpg\nb.jpg\n")
    lists = room.write("lists/test.txt", "1000268201.jpg\ny/1.jpg\ncopy.jpg\n").parent
    items = room.found(lists)["in_two_splits"]
    assert [(list(item["pictures"]), item["why"]) for item in items] == [
        (["1000268201_693b08cb0e.jpg", "more/1000268201.jpg"], "the same Flickr photo"),
        (["b.jpg", "copy.jpg"], "the same bytes"),
    ]


@pytest.fixture
def flickr(room: Room) -> tuple[Room, Path]:
    """Three Flickr8k photos: one to train on, one to judge on, one in no list."""
    names = [f"100000000{i}_693b08cb0e.jpg" for i in range(3)]
    room.pictures(*names)
    room.write("captions.csv", "image,caption\n" + "".join(f"{name},A dog {name}\n" for name in names))
    room.write("lists/train.txt", names[0])
    return room, room.write("lists/dev.txt", names[1]).parent


def test_photos_that_another_file_puts_in_another_split_leak(flickr: tuple[Room, Path]) -> None:
    room, lists = flickr
    rows = "".join(f"100000000{i}.jpg,A dog,{split}\n" for i, split in enumerate(("train", "train", "val")))
    other = room.write("other.csv", "image_name,comment,split\n" + rows)
    assert room.found(lists, other)["leaks"] == [
        {"image": "1000000001_693b08cb0e.jpg", "ours": "val", "name": "1000000001.jpg", "theirs": "train"}
    ]
    assert validate(room.images, room.captions, lists, other).facts["against"] == {
        "file": str(other),
        "photos": 3,
        "shared": [
            {"ours": "train", "theirs": "train", "pictures": 1},
            {"ours": "val", "theirs": "train", "pictures": 1},
            {"ours": "no split", "theirs": "val", "pictures": 1},
        ],
    }


@pytest.mark.parametrize(
    ("name", "text", "theirs"),
    [
        ("flickr30k_train.txt", "1000000001\n", "train"),
        ("names.txt", "1000000001.jpg\n", "no split"),
        ("results.csv", "image| number| comment\n1000000001.jpg| 0| A dog\n", "no split"),
    ],
)
def test_against_takes_a_list_or_captions_without_splits(
    flickr: tuple[Room, Path], name: str, text: str, theirs: str
) -> None:
    room, lists = flickr
    leaks = room.found(lists, room.write(name, text))["leaks"]
    assert [(leak["ours"], leak["theirs"]) for leak in leaks] == [("val", theirs)]


def test_without_our_own_splits_every_shared_photo_counts(flickr: tuple[Room, Path]) -> None:
    room, lists = flickr
    assert [leak["theirs"] for leak in room.found(None, lists)["leaks"]] == ["train", "val"]
    assert [leak["theirs"] for leak in room.found(None, room.captions)["leaks"]] == ["no split"] * 3


def test_what_is_no_list_of_names_is_not_taken_for_one(room: Room) -> None:
    with pytest.raises(CaptionsError, match="no known format"):
        validate(room.images, room.captions, against=room.write("notes.txt", "hello\nworld\n"))


def test_lists_of_other_pictures_are_an_error(room: Room) -> None:
    lists = room.write("lists/train.txt", "z.jpg\n").parent
    with pytest.raises(CaptionsError, match="--splits") as caught:
        validate(room.images, room.captions, lists)
    assert caught.value.excerpt == "it names 'z.jpg', the folder holds 'a.jpg'"


def test_absent_and_empty_folders_are_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--images"):
        validate(tmp_path / "none", tmp_path)
    with pytest.raises(DataError, match=r"holds no pictures.*--images"):
        validate(tmp_path, tmp_path)


def test_every_kind_of_finding_can_be_shown(room: Room) -> None:
    facts = validate(room.images, room.captions).facts
    text = describe(Validation(facts, tuple(CHECKS), ()))
    assert all(check.fine in text for check in CHECKS.values())


def test_long_lists_are_cut_and_odd_names_escaped(room: Room) -> None:
    room.write(
        "captions.csv", "image,caption\na.jpg,A dog\n\x1b[31m.jpg,Red\n" + "".join(f"{i}.jpg,x\n" for i in range(9))
    )
    text = describe(validate(room.images, room.captions), examples=2)
    assert "names in the captions file without a picture: 10\n             \\x1b[31m.jpg\n             0.jpg\n" in text
    assert "… and 8 more" in text
    assert "\x1b" not in text


def run(room: Room, *options: str) -> int:
    return main(["validate", "--images", str(room.images), "--captions", str(room.captions), *options])


def test_the_command_exits_0_when_clean_1_on_problems_2_on_errors(
    room: Room, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(room) == 0
    (room.images / "b.jpg").write_bytes(b"")
    assert run(room) == 1
    assert "PROBLEM  pictures that cannot be decoded: 1\n             b.jpg: 0 bytes" in capsys.readouterr().out
    assert run(room, "--splits", str(room.root / "none")) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err[:7]) == ("", "error: ")


def test_the_command_prints_json(room: Room, capsys: pytest.CaptureFixture[str]) -> None:
    room.pictures("a.jpg", "b.jpg", "c.jpg")
    assert run(room, "--json") == 1
    printed = json.loads(capsys.readouterr().out)
    assert (printed["pictures"], printed["clean"]) == (3, False)
    assert (printed["problems"]["uncaptioned"], printed["problems"]["missing"]) == ([{"image": "c.jpg"}], [])


def test_real_photos_are_decoded_and_found_in_flickr30k(shared: Path) -> None:
    data = shared / "data"
    report = validate(
        data / "flickr8k_originals",
        data / "flickr8k/captions.txt",
        against=data / "flickr30k_text/captions.csv.gz",
    )
    found = {problem.kind: len(problem.items) for problem in report.problems}
    assert (report.facts["pictures"], found["missing"]) == (60, 7031)
    assert "unreadable" not in found
    assert found["leaks"] == sum(row["pictures"] for row in report.facts["against"]["shared"]) > 40
