"""Filters pass just the pictures that they say, and an address full of nonsense filters nothing."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pytest
from PIL import Image

from crossmodal.errors import InputError
from crossmodal.index import Index, build_index, open_index, split_words
from crossmodal.index.catalogue.rows import Caption, Catalogue, Picture, Stamp
from crossmodal.index.catalogue.words import CaptionWords
from crossmodal.search.filters import Filter, folder_counts, folders
from tests.fakes import FakeEncoder
from tests.index.test_facts import camera


@dataclass(frozen=True)
class Shot:
    """A picture to take: its size as stored, EXIF's time and orientation, the day its file changed, its captions."""

    size: tuple[int, int]
    taken: str = ""
    changed: str = "2019-06-01"
    orientation: int = 1
    captions: tuple[str, ...] = ()


SHOTS = {
    "beach/a.jpg": Shot((40, 30), "2020:01:01 00:00:00", captions=("A black-and-white dog runs", "Sand and sea")),
    "beach/deep/b.jpg": Shot((40, 30), "2020:12:31 23:59:59", orientation=6, captions=("Two dogs, one red ball!",)),
    "beachy/c.jpg": Shot((31, 30), "garbled by someone..", captions=("Ein Hund auf der Straße", "a ball")),
    "d.jpg": Shot((20, 60), captions=("كلب يركض على الشاطئ",)),
    "z/e.jpg": Shot((60, 60), captions=("happy 🐕🎉 day", "一只狗在草地上")),
}
ALL = "abcde"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    folder = tmp_path_factory.mktemp("filters")
    with open(folder / "captions.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "caption"))
        for name, shot in SHOTS.items():
            path = folder / "photos" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            exif = camera(shot.taken, shot.orientation) if shot.taken else camera("", shot.orientation)
            Image.new("RGB", shot.size, "teal").save(path, exif=exif)
            noon = datetime.fromisoformat(f"{shot.changed}T12:00:00").timestamp()
            os.utime(path, (noon, noon))
            writer.writerows((name, caption) for caption in shot.captions)
    build_index(folder / "photos", folder / "captions.csv", FakeEncoder(), folder / "index")
    return open_index(folder / "index")


def passed(index: Index, **wanted: object) -> str:
    """The letters of the pictures that pass."""
    mask = Filter(**wanted).mask(index)  # type: ignore[arg-type]
    assert mask.dtype == np.bool_
    assert mask.shape == (5,)
    return "".join(letter for letter, passes in zip(ALL, mask, strict=True) if passes)


def test_a_filter_that_asks_nothing_passes_all_and_is_false(index: Index) -> None:
    assert passed(index) == ALL
    assert not Filter()
    assert Filter(words=" ,!").words == ""
    assert not Filter(words=" ,!")


@pytest.mark.parametrize(
    ("folder", "letters"),
    [("beach", "ab"), ("beach/", "ab"), ("beach/deep", "b"), ("beachy", "c"), ("bea", ""), ("d.jpg", ""), (".", ALL)],
)
def test_a_folder_and_what_is_below(index: Index, folder: str, letters: str) -> None:
    assert passed(index, folder=folder) == letters


def test_folders_hold_all_that_lies_below_them(index: Index) -> None:
    assert folders(index) == ("beach", "beach/deep", "beachy", "z")
    assert folder_counts(index) == {"beach": 2, "beach/deep": 1, "beachy": 1, "z": 1}


@pytest.mark.parametrize(
    ("since", "until", "letters"),
    [
        ("2020-01-01", "", "ab"),
        ("2020-01-02", "", "b"),
        ("", "2020-12-31", ALL),
        ("", "2020-12-30", "acde"),
        ("2020-12-31", "2020-12-31", "b"),
        ("2019-06-01", "2019-06-01", "cde"),
        ("2019-06-02", "2019-12-31", ""),
        ("2021-01-01", "2019-01-01", ""),
    ],
)
def test_both_days_are_included_and_files_without_a_time_have_that_of_their_change(
    index: Index, since: str, until: str, letters: str
) -> None:
    assert passed(index, since=since, until=until) == letters


@pytest.mark.parametrize(("side", "letters"), [(20, ALL), (21, "abce"), (30, "abce"), (31, "e"), (61, "")])
def test_the_shorter_side_counts(index: Index, side: int, letters: str) -> None:
    assert passed(index, min_side=side) == letters


@pytest.mark.parametrize(("orientation", "letters"), [("landscape", "a"), ("portrait", "bd"), ("square", "ce")])
def test_the_shape_is_that_of_the_upright_picture(index: Index, orientation: str, letters: str) -> None:
    assert passed(index, orientation=orientation) == letters


@pytest.mark.parametrize(
    ("words", "letters"),
    [
        ("dog", "ab"),
        ("DOGS", "b"),
        ("do ba r", "b"),
        ("white", "a"),
        ("dog sand", ""),
        ("og", ""),
        ("hund ball", ""),
        ("STRASSE", "c"),
        ("straß", "c"),
        ("dog's", ""),
        ("كلب", "d"),
        ("الشاطئ يركض", "d"),
        ("🐕", "e"),
        ("🎉 hap", "e"),
        ("草地", "e"),
        ("nothing", ""),
        ("a" * 10_000, ""),
    ],
)
def test_every_word_begins_a_word_of_one_caption(index: Index, words: str, letters: str) -> None:
    assert passed(index, words=words) == letters


def test_words_are_compared_whatever_their_case_spelling_and_punctuation() -> None:
    assert split_words("L’Été, a_b (naïve)…") == ["l", "été", "a", "b", "naïve"]
    assert split_words("e\u0301te\u0301") == ["été"]
    assert split_words("❤️👨‍👩‍👧dog") == ["❤", "👨", "👩", "👧", "dog"]
    assert split_words("هل؟ نعم،") == ["هل", "نعم"]
    assert split_words("\u202eevil\u202c <b>x</b>") == ["evil", "b", "x", "b"]


def test_captions_are_found_as_by_looking_at_each() -> None:
    chance = np.random.default_rng(0)
    captions = [" ".join("".join(chance.choice(list("ab"), 3)) for _ in range(4)) for _ in range(200)]
    words = CaptionWords(captions)
    for asked in ("a", "ab", "aba", "a b", "aa bb", "aba bab aab", ""):
        rightful = [
            all(any(word.startswith(part) for word in caption.split()) for part in asked.split())
            for caption in captions
        ]
        assert words.holding(asked).tolist() == rightful, asked
    assert CaptionWords([]).holding("a").tolist() == []


def test_filters_are_combined(index: Index) -> None:
    assert passed(index, folder="beach", words="dog", orientation="portrait") == "b"
    assert passed(index, folder="beach", words="dog", until="2020-06-01") == "a"
    assert passed(index, folder="beach", words="ein") == ""
    assert passed(index, min_side=30, since="2019-06-01", until="2019-06-01", orientation="square", words="a") == "c"


class TestAddress:
    FULL = Filter("beach/deep", "2020-01-01", "2020-12-31", 30, "portrait", "red dog")

    def test_it_comes_back_from_an_address(self) -> None:
        assert self.FULL.parameters() == {
            "folder": "beach/deep", "since": "2020-01-01", "until": "2020-12-31", "minside": "30",
            "shape": "portrait", "words": "red dog",
        }  # fmt: skip
        assert Filter.from_parameters({**self.FULL.parameters(), "q": "a dog", "page": "2"}) == self.FULL
        assert Filter().parameters() == {}

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("folder", "../elsewhere"), ("folder", "/etc"), ("folder", "beach/../.."), ("folder", "/"),
            ("since", "yesterday"), ("since", "2020-02-31"), ("since", "20200101"), ("since", "2020-W01-1"),
            ("until", "2020-01-01T00:00:00"), ("until", "٢٠٢٠-01-01"), ("until", "0000-01-01"), ("until", " "),
            ("minside", "big"), ("minside", "-5"), ("minside", "1e3"), ("minside", "9" * 5000), ("minside", "100001"),
            ("shape", "round"), ("shape", "Portrait"), ("words", "…!?"), ("words", "\u200b"),
        ],
    )  # fmt: skip
    def test_nonsense_in_it_filters_nothing_and_harms_nothing_else(self, key: str, value: str) -> None:
        assert not Filter.from_parameters({key: value})
        assert Filter.from_parameters({**self.FULL.parameters(), key: value}) == self.FULL.without(key)

    def test_chips_say_what_is_asked_and_each_can_be_dropped(self) -> None:
        assert self.FULL.describe() == (
            "folder beach/deep", "since 2020-01-01", "until 2020-12-31", "at least 30 px", "portrait",
            "caption words red dog",
        )  # fmt: skip
        assert list(self.FULL.chips()) == ["folder", "since", "until", "minside", "shape", "words"]
        assert self.FULL.without("minside") == replace(self.FULL, min_side=0)
        assert Filter().describe() == ()
        with pytest.raises(InputError, match="a filter has no 'colour': it has folder, since"):
            self.FULL.without("colour")

    @pytest.mark.parametrize(
        ("wanted", "message"),
        [
            ({"since": "1.5.2020"}, "since must be a day like 2021-05-03, not '1.5.2020'"),
            ({"until": "2021-13-01"}, "until must be a day like"),
            ({"min_side": -1}, "min_side must be 0 to 100,000 pixels, not -1"),
            ({"orientation": "wide"}, "orientation must be landscape, portrait, square or empty, not 'wide'"),
            ({"folder": "a/../../b"}, "is not below the images folder"),
        ],
    )
    def test_nonsense_of_a_caller_is_an_error(self, wanted: dict[str, str], message: str) -> None:
        with pytest.raises(InputError, match=message):
            Filter(**wanted)  # type: ignore[arg-type]


def test_a_picture_of_unknown_size_and_day_is_of_none(index: Index) -> None:
    picture = Picture(Stamp("x.jpg", 1, 10**30), "0" * 64)
    empty = np.zeros((0, 16), dtype=np.float32)
    strange = Index(index.path, index.manifest, Catalogue((picture,)), empty, empty)
    for wanted in ({"since": "1990-01-01"}, {"until": "2990-01-01"}, {"min_side": 1}, {"orientation": "square"}):
        assert not Filter(**wanted).mask(strange).any()  # type: ignore[arg-type]


def test_8000_pictures_with_40000_captions_are_filtered_the_same_way_twice(index: Index) -> None:
    chance = np.random.default_rng(0)
    vocabulary = np.array(["".join(letters) for letters in chance.choice(list("abcdefgh"), (3000, 5))])
    facts = [picture.facts for picture in index.catalogue.pictures]
    pictures = tuple(
        Picture(Stamp(f"{n % 50:02d}/{n:04d}.jpg", 1, n * 10**13), f"{n:064d}", facts[n // 50 % 5]) for n in range(8000)
    )
    texts = [" ".join(words) for words in vocabulary[chance.integers(0, 3000, (40_000, 10))]]
    captions = tuple(Caption(number // 5, text) for number, text in enumerate(texts))
    empty = np.zeros((0, 16), dtype=np.float32)
    large = Index(index.path, index.manifest, Catalogue(pictures, captions), empty, empty)
    wanted = Filter("07", "1971-01-01", "2021-01-01", 30, "landscape", "a b c d")
    first = wanted.mask(large)
    assert np.array_equal(first, wanted.mask(large))
    assert first.any()
