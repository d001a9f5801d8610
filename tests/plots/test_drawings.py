"""What crossmodal/plots/drawings.py draws. Warnings are errors here, so a text no font can draw would fail a test."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from crossmodal.errors import InputError
from crossmodal.plots.drawings import caption_with_pictures, picture_with_captions, reconstructions
from crossmodal.search.searcher import Hit
from tests.fakes import paint

AWKWARD = [
    "🐶 dogs",
    "كلب يركض على الشاطئ",
    "狗在跑" * 40,
    "costs $5^2 and $",
    "<b>bold</b>",
    "a " * 80,
    "x" * 300,
    "\u202eback\x00",
    "",
]


def rendered(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def words(figure: Figure) -> list[str]:
    """Every text on the sheet."""
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text()]


def found(captions: list[str], probability: float | None = None) -> list[Hit]:
    return [
        Hit(rank, 0.5 - rank / 100, f"{rank}.png", caption, probability) for rank, caption in enumerate(captions, 1)
    ]


@pytest.fixture
def picture() -> Image.Image:
    return Image.new("RGB", (40, 30), "green")


def test_a_picture_stands_beside_its_captions_with_their_scores(picture: Image.Image):
    figure = picture_with_captions(picture, found(["a dog", "a cat"]), "my picture")
    assert {"a dog", "0.490", "a cat", "0.480", "cosine", "my picture"} <= set(words(figure))
    assert "probability" not in words(figure)
    assert figure.axes[0].images[0].get_array()[0, 0].tolist() == [0, 128, 0]


def test_a_probability_stands_in_a_column_of_its_own(picture: Image.Image):
    assert {"probability", "0.25", "0.490"} <= set(words(picture_with_captions(picture, found(["a dog"], 0.25))))


def test_pictures_stand_in_the_order_of_the_hits_with_rank_and_score(tmp_path: Path):
    paths = [paint(tmp_path / f"{colour}.png", colour) for colour in ("red", "blue")]
    figure = caption_with_pictures("a red square", [Hit(1, 0.9, "red.png"), Hit(2, 0.1, "blue.png", None, 0.3)], paths)
    assert [axes.get_title() for axes in figure.axes] == ["1 · 0.900", "2 · 0.100 · probability 0.30"]
    assert [axes.images[0].get_array()[0, 0].tolist() for axes in figure.axes] == [[255, 0, 0], [0, 0, 255]]
    assert {"a red square", "red.png", "blue.png"} <= set(words(figure))


def test_the_picture_asked_with_comes_first(tmp_path: Path, picture: Image.Image):
    figure = caption_with_pictures("mine", [Hit(1, 0.9, "red.png")], [paint(tmp_path / "red.png", "red")], picture)
    assert [axes.get_title() for axes in figure.axes] == ["asked with", "1 · 0.900"]


@pytest.mark.parametrize(("content", "reason"), [(None, "not found"), (b"", "0 bytes")])
def test_an_unreadable_picture_is_a_grey_box_with_the_reason(tmp_path: Path, content: bytes | None, reason: str):
    path = tmp_path / "broken.jpg"
    if content is not None:
        path.write_bytes(content)
    for figure in (
        caption_with_pictures("a", [Hit(1, 0.9, "broken.jpg")], [path]),
        picture_with_captions(path, found(["a"])),
    ):
        assert any(reason in text for text in words(figure))
        assert np.unique(figure.axes[0].images[0].get_array()).size == 1


def test_any_script_markup_or_formula_is_drawn_as_text_without_a_warning(tmp_path: Path, picture: Image.Image):
    hits, paths = found(AWKWARD), [paint(tmp_path / "a.png", "red")] * len(AWKWARD)
    assert rendered(picture_with_captions(picture, hits, AWKWARD[3])).startswith(b"\x89PNG")
    assert rendered(caption_with_pictures("$broken^ 🐶" * 60, hits, paths, dark=True)).startswith(b"\x89PNG")


def test_a_long_caption_takes_two_lines_and_ends_in_dots(picture: Image.Image):
    shown = next(text for text in words(picture_with_captions(picture, found(["word " * 99]))) if "word" in text)
    assert shown.count("\n") == 1
    assert shown.endswith("…")


def test_beyond_a_hundred_hits_the_rest_is_left_out_and_said(picture: Image.Image):
    texts = words(picture_with_captions(picture, found([f"number {number}" for number in range(120)])))
    assert "number 99" in texts
    assert "number 100" not in texts
    assert any("the first 100 of 120" in text for text in texts)


def test_nothing_found_and_paths_that_do_not_fit_are_refused(picture: Image.Image):
    with pytest.raises(InputError, match="no hit to draw"):
        picture_with_captions(picture, [])
    with pytest.raises(InputError, match="0 paths for 1 hits"):
        caption_with_pictures("a", found(["a"]), [])


def test_each_original_stands_above_its_reconstruction_with_their_cosine(picture: Image.Image):
    drawn = np.stack([np.full((28, 28), grey, dtype=np.float32) for grey in (0.25, 0.75)])
    figure = reconstructions([picture, picture], drawn, [0.9, 0.5], ["one", "two"])
    originals, redrawn = figure.axes[::2], figure.axes[1::2]
    assert [axes.get_title() for axes in originals] == ["one", "two"]
    assert [axes.get_xlabel() for axes in redrawn] == ["0.900", "0.500"]
    assert [float(axes.images[0].get_array()[0, 0]) for axes in redrawn] == [0.25, 0.75]
    assert redrawn[0].images[0].get_clim() == (0, 1)
    assert any("mean cosine 0.700" in text for text in words(figure))


def test_reconstructions_that_do_not_fit_are_refused(picture: Image.Image):
    with pytest.raises(InputError, match="1 originals, 0 reconstructions"):
        reconstructions([picture], np.zeros((0, 28, 28), dtype=np.float32), [0.5], ["a"])
