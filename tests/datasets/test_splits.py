"""Splits are made by picture, from lists, from the file itself, or by a seeded share."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from crossmodal.datasets.records import Record, load_pairs
from crossmodal.datasets.splits import listed_records, photo_id, read_split_list, split_records, split_role
from crossmodal.errors import CaptionsError, InputError

RECORDS = tuple(Record(f"{i:04}.jpg", ("A dog",)) for i in range(1000))


def lists(folder: Path, **files: str) -> Path:
    for name, names in files.items():
        (folder / f"{name}.txt").write_text(names)
    return folder


def images(split: tuple[Record, ...]) -> list[str]:
    return [record.image for record in split]


def test_list_files_are_told_by_their_names_and_unlisted_pictures_are_left_out(tmp_path: Path) -> None:
    names = {
        "Flickr_8k.trainImages": "0002.jpg\r\n\n0001\n0002.jpg\n",
        "my-devImages": "\ufeff0003.jpg",
        "latest": "0004.jpg",
    }
    splits = split_records(RECORDS, lists(tmp_path, **names))
    assert images(splits["train"]) == ["0001.jpg", "0002.jpg"]
    assert (images(splits["val"]), splits["test"]) == (["0003.jpg"], ())


def test_a_picture_in_two_lists_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CaptionsError, match=r"0001\.jpg stands in train and in test .*validate"):
        split_records(RECORDS, lists(tmp_path, train="0001.jpg", test="0001"))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no split list"),
        ({"train": "a.jpg", "Train2": "b.jpg"}, "two lists for train"),
        ({"train": "\n"}, "empty"),
        ({"train": "a.jpg#0\tA dog"}, "no split list .*first line is 'a.jpg#0"),
        ({"train": "elsewhere.jpg"}, r"names 'elsewhere\.jpg', the captions '0000\.jpg'"),
    ],
)
def test_unusable_lists_say_why(tmp_path: Path, files: dict[str, str], message: str) -> None:
    with pytest.raises(CaptionsError) as caught:
        split_records(RECORDS, lists(tmp_path, **files))
    assert re.search(message, caught.value.in_full)


def test_one_list_chooses_its_records_and_none_chooses_all(tmp_path: Path) -> None:
    path = lists(tmp_path, some="0003\n0001.jpg\nelsewhere.jpg\n") / "some.txt"
    assert images(listed_records(RECORDS, path)) == ["0001.jpg", "0003.jpg"]
    assert listed_records(RECORDS, None) == RECORDS
    with pytest.raises(InputError, match=r"names none of the 1 pictures.*--split"):
        listed_records(RECORDS[:1], path)


def test_an_absent_folder_of_lists_names_the_option(tmp_path: Path) -> None:
    with pytest.raises(CaptionsError, match=r"does not exist: .*--splits"):
        split_records(RECORDS, tmp_path / "none")


def test_the_files_own_splits_win_over_a_share() -> None:
    written = {"a": "restval", "b": "dev", "c": "TEST ", "d": "unassigned", "e": None}
    splits = split_records([Record(name, ("x",), split) for name, split in written.items()])
    assert {role: images(split) for role, split in splits.items()} == {"train": ["a"], "val": ["b"], "test": ["c"]}


def test_splits_with_unknown_names_are_an_error() -> None:
    with pytest.raises(CaptionsError, match=r"names splits \['fold1'\]"):
        split_records([Record("a", ("x",), "fold1")])


def test_a_captions_file_may_say_the_splits_of_another(tmp_path: Path) -> None:
    path = tmp_path / "karpathy.json"
    path.write_text('{"images": [{"filename": "0004.jpg", "split": "val", "sentences": [{"raw": "A dog"}]}]}')
    assert images(split_records(RECORDS, path)["val"]) == ["0004.jpg"]
    path.write_text('{"0004.jpg": "A dog"}')
    with pytest.raises(CaptionsError, match="says no splits"):
        split_records(RECORDS, path)


def test_a_seeded_share_divides_every_picture_once_in_about_its_share() -> None:
    splits = split_records(RECORDS, seed=1)
    assert sorted(images(splits["train"]) + images(splits["val"]) + images(splits["test"])) == images(RECORDS)
    assert 760 < len(splits["train"]) < 840
    assert 70 < len(splits["val"]) < 130
    assert splits == split_records(RECORDS, seed=1)
    assert splits != split_records(RECORDS, seed=2)


def test_a_new_picture_moves_no_other() -> None:
    before, after = split_records(RECORDS), split_records([Record("new.jpg", ("x",)), *RECORDS])
    for role in before:
        assert set(before[role]) <= set(after[role])


def test_both_names_of_a_flickr_photo_fall_on_one_side() -> None:
    ids = [str(1000268201 + i) for i in range(50)]
    splits = split_records([Record(f"{i}_693b08cb0e.jpg", ()) for i in ids] + [Record(f"30k/{i}.jpg", ()) for i in ids])
    assert all(len(split) == 2 * len({photo_id(record.image) for record in split}) for split in splits.values())


def test_shares_of_nothing_stay_empty() -> None:
    assert len(split_records(RECORDS, shares=(1.0, 0.0, 0.0))["train"]) == 1000
    with pytest.raises(InputError, match="sum to 1"):
        split_records(RECORDS, shares=(0.8, 0.1, 0.2))
    with pytest.raises(InputError, match="0 or more"):
        split_records(RECORDS, shares=(1.2, -0.1, -0.1))


def test_photo_ids_are_shared_by_flickr8k_and_flickr30k_names() -> None:
    assert photo_id("Images/1000268201_693b08cb0e.jpg") == photo_id("1000268201.jpg") == "1000268201"
    assert photo_id("3640443200_b8066f37f6_a.jpg") == "3640443200"
    assert photo_id("COCO_val2014_000000391895.jpg") == "COCO_val2014_000000391895"
    assert photo_id("100_dogs.jpg") == "100_dogs"


def test_split_roles_cover_the_fields_names() -> None:
    assert [split_role(name) for name in ("Train", "restval", "dev", "validation", "test", "x")] == [
        "train", "train", "val", "val", "test", None,
    ]  # fmt: skip


def test_the_flickr8k_lists_hold_6000_and_1000_photos(shared: Path) -> None:
    data = shared / "data/flickr8k"
    assert len(read_split_list(data / "Flickr_8k.trainImages.txt")) == 6000
    splits = split_records(load_pairs(data / "Images", data / "captions.txt").records, data)
    assert [len(splits[role]) for role in ("train", "val", "test")] == [6000, 1000, 0]
