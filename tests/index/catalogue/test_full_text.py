"""Words find pictures by their captions and names."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossmodal.index.catalogue.full_text import FullText, write_words
from crossmodal.index.catalogue.rows import Caption, Catalogue, Picture, Stamp

SAID = {
    "beach/IMG_0412.jpg": ["Two dogs run on the beach", "dogs at the sea"],
    "city/red-car.jpg": ["a car in a street"],
    "city/x.png": ["a dog sleeps in a café ☕", "犬が眠る"],
    "plain.png": [],
}


@pytest.fixture(params=["stored", "in memory"])
def full_text(tmp_path: Path, request: pytest.FixtureRequest) -> FullText:
    pictures = tuple(Picture(Stamp(path, 1, 2), "0" * 64) for path in SAID)
    captions = tuple(Caption(row, text) for row, texts in enumerate(SAID.values()) for text in texts)
    catalogue = Catalogue(pictures, captions)
    if request.param == "stored":
        write_words(tmp_path / "words", catalogue)
    return FullText(tmp_path / "words", catalogue)


@pytest.mark.parametrize(
    ("words", "rows"),
    [
        ("dog", [0, 2]), ("DOGS running", [0, 2]), ("sleeping dog", [2, 0]), ("0412", [0]), ("red car", [1]),
        ("city", [1, 2]), ("Café", [2]), ("☕", [2]), ("犬", [2]), ("plain", [3]), ("the", [0]), ("zebra", []),
        ("", []), ("\" OR * NEAR( -x:", [2]), ("\ud800", []), ("car\0", [1]),
    ],
)  # fmt: skip
def test_words_find_pictures_the_best_first(full_text: FullText, words: str, rows: list[int]) -> None:
    found, scores = full_text.find(words)
    assert found.tolist() == rows
    assert (scores > 0).all()
    assert sorted(scores, reverse=True) == scores.tolist()


def test_what_stands_everywhere_is_not_looked_for_beside_other_words(full_text: FullText) -> None:
    assert full_text.find("the car")[0].tolist() == [1]
