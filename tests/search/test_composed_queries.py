"""Composed queries: their vector, their shares and what is left out; on colours that can be told by eye."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crossmodal.errors import ImageError, InputError
from crossmodal.index import build_index, open_index
from crossmodal.search.query import Box, Indexed, Term, compose
from crossmodal.search.ranking import balanced
from crossmodal.search.reranking import rerank
from crossmodal.search.searcher import Searcher
from tests.fakes import FakeEncoder, FakeScorer, paint, paint_many

LEFT = Box(0, 0, 0.5, 1)


@pytest.fixture
def searcher(tmp_path: Path) -> Searcher:
    """Pictures of one colour, one of two colours and one half red, half blue; no captions."""
    colours = {"red": "red", "blue": "blue", "green": "lime", "purple": "#8000ff", "yellow": "#ffff00"}
    for name, colour in colours.items():
        paint(tmp_path / "photos" / f"{name}.png", colour)
    halves = Image.new("RGB", (16, 16), "red")
    halves.paste("blue", (8, 0, 16, 16))
    halves.save(tmp_path / "photos" / "halves.png")
    build_index(tmp_path / "photos", None, FakeEncoder(), tmp_path / "index")
    return Searcher(open_index(tmp_path / "index"), FakeEncoder())


def test_a_picture_and_words_find_what_has_both(searcher: Searcher) -> None:
    hits = searcher.search(searcher.image_path("red.png"), plus=["green"])
    assert hits[0].path == "yellow.png"
    assert searcher.search(Indexed("yellow.png"), minus=["red"], to="images")[0].path == "green.png"


def test_shares_add_up_to_the_score_and_are_weight_times_cosine(searcher: Searcher) -> None:
    answer = searcher.search("red", plus=["2:blue", Indexed("green.png")], minus=["0.5:green"])
    assert answer.weights is not None
    units = [searcher.encode("red"), searcher.encode("blue"), searcher.image_vectors(["green.png"])[0],
             searcher.encode("green")]  # fmt: skip
    for hit in answer.hits:
        assert hit.shares is not None
        assert sum(hit.shares) == pytest.approx(hit.score, abs=1e-6)
        cosines = [float(unit @ searcher.image_vectors([hit.path])[0]) for unit in units]
        assert hit.shares == pytest.approx([w * c for w, c in zip(answer.weights, cosines, strict=True)], abs=1e-6)
    assert hit.as_dict()["shares"] == list(hit.shares or ())


def test_the_score_is_the_cosine_of_the_unit_vector_of_the_whole_query(searcher: Searcher) -> None:
    query = compose("red", plus=["blue"], minus=["0.5:green"])
    vector = searcher.encode(query)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)
    expected = searcher.encode("red") + searcher.encode("blue") - 0.5 * searcher.encode("green")
    assert vector == pytest.approx(expected / np.linalg.norm(expected), abs=1e-6)
    for hit in searcher.search(query):
        assert hit.score == pytest.approx(float(searcher.image_vectors([hit.path])[0] @ vector), abs=1e-6)


def test_shares_add_up_also_where_little_is_left_of_the_terms(searcher: Searcher) -> None:
    answer = searcher.search("red", minus=["0.999:red"])
    assert max(answer.weights or ()) > 900
    assert [hit.score for hit in answer.hits] == pytest.approx([hit.score for hit in searcher.search("red")], abs=1e-3)
    for hit in answer.hits:
        assert sum(hit.shares or ()) == pytest.approx(hit.score, abs=1e-6)


def test_one_term_has_no_shares_and_its_weight_changes_nothing(searcher: Searcher) -> None:
    plain, heavy = searcher.search("red"), searcher.search(Term("red", 7.0))
    assert plain == heavy
    assert (plain.weights, plain.hits[0].shares) == (None, None)
    assert searcher.search(None, plus=["red"]) == plain


def test_a_picture_of_the_gallery_is_not_encoded_and_left_out_where_it_is_wanted(searcher: Searcher) -> None:
    encoder = searcher.encoder
    assert isinstance(encoder, FakeEncoder)
    before = encoder.pictures
    answer = searcher.search(Indexed("red.png"), k=10, plus=["blue"], minus=[Indexed("green.png")])
    assert encoder.pictures == before
    paths = [hit.path for hit in answer.hits]
    assert "red.png" not in paths
    assert "green.png" in paths
    assert answer.total == len(paths) == 5
    kept = searcher.search(Indexed("red.png"), to="images", own=True)
    assert (kept.hits[0].path, kept.total) == ("red.png", 6)


def test_a_part_of_a_picture_is_looked_for_wherever_it_comes_from(searcher: Searcher) -> None:
    path = searcher.image_path("halves.png")
    with Image.open(path) as image:
        ways = [Term(content, crop=LEFT) for content in (path, path.read_bytes(), image, Indexed("halves.png"))]
        vectors = [searcher.encode(term) for term in ways]
    red = searcher.image_vectors(["red.png"])[0]
    for vector in vectors:
        assert float(vector @ red) == pytest.approx(1, abs=1e-6)
    hits = searcher.search(ways[-1], to="images")
    assert hits[0].path == "red.png"
    assert "halves.png" not in [hit.path for hit in hits]


def test_a_turned_photo_is_cropped_upright(searcher: Searcher, tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6  # its left is its top when upright
    with Image.open(searcher.image_path("halves.png")) as image:
        image.save(tmp_path / "turned.png", exif=turned.tobytes())
    vector = searcher.encode(Term(tmp_path / "turned.png", crop=Box(0, 0, 1, 0.5)))
    assert float(vector @ searcher.image_vectors(["red.png"])[0]) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("query", "options", "message"),
    [
        ("red", {"minus": ["red"]}, "the terms cancel each other out"),
        (Indexed("nowhere.png"), {}, "'nowhere.png' is not in the index"),
        (Term(Indexed("../red.png"), crop=LEFT), {}, "'../red.png' is not in the index"),
        ("red", {"minus": [Indexed("nowhere.png")]}, "'nowhere.png' is not in the index"),
    ],
)
def test_what_cannot_be_composed_is_refused(
    searcher: Searcher, query: Term, options: dict[str, list[Term]], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        searcher.search(query, to="images", **options)  # type: ignore[arg-type]


def test_a_term_that_is_no_picture_says_which_file(searcher: Searcher, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nowhere.png: file not found"):
        searcher.search("red", plus=[tmp_path / "nowhere.png"])


def test_a_word_that_a_model_of_labels_does_not_know_is_refused(
    searcher: Searcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(texts: list[str]) -> None:
        raise InputError(f"fake knows no {texts[1]!r}, only its classes: red, blue")

    monkeypatch.setattr(searcher.encoder, "encode_texts", refuse)
    with pytest.raises(InputError, match="knows no 'night'"):
        searcher.search("red", plus=["night"])


class TestBalance:
    """Twenty pictures that differ twice as much along the first number as along the second, and not along the third."""

    gallery = np.array([[2.0, 1, 0], [-2.0, 1, 0], [2.0, -1, 0], [-2.0, -1, 0]] * 5, dtype=np.float32)
    units = np.eye(3, dtype=np.float32)

    def test_what_is_added_is_lifted_to_the_widest_spread(self) -> None:
        assert balanced(np.array([1.0, 1.0]), self.units[:2], self.gallery) == pytest.approx([1, 2])
        assert balanced(np.array([0.5, 3.0]), self.units[:2], self.gallery) == pytest.approx([0.5, 6])

    def test_what_is_taken_away_counts_as_it_is(self) -> None:
        assert balanced(np.array([1.0, -2.0]), self.units[:2], self.gallery) == pytest.approx([1, -2])
        assert balanced(np.array([1.0, -2.0, 1.0]), self.units[[1, 0, 0]], self.gallery) == pytest.approx([2, -2, 1])

    def test_a_term_without_any_spread_does_not_rule_alone(self) -> None:
        assert balanced(np.ones(3), self.units, self.gallery) == pytest.approx([1, 2, 2])
        assert balanced(np.ones(3), self.units, np.ones_like(self.gallery)) == pytest.approx([1, 1, 1])

    def test_few_pictures_say_nothing_about_it(self) -> None:
        assert balanced(np.array([1.0, 1.0]), self.units[:2], self.gallery[:19]) == pytest.approx([1, 1])

    def test_it_is_what_a_gallery_uses(self, tmp_path: Path) -> None:
        paint_many(tmp_path / "photos", 30)
        build_index(tmp_path / "photos", None, FakeEncoder(), tmp_path / "index")
        searcher = Searcher(open_index(tmp_path / "index"), FakeEncoder())
        weights = np.array(searcher.search("red", plus=["blue"]).weights)
        units = np.stack([searcher.encode(word) for word in ("red", "blue")])
        expected = balanced(np.ones(2), units, searcher.index.image_vectors)
        assert expected[0] != pytest.approx(expected[1], rel=0.1)
        assert weights / weights.min() == pytest.approx(expected, rel=1e-6)
        with pytest.raises(InputError, match="cancel each other out"):
            searcher.search("red", plus=["blue"], minus=["red", "blue"])


def test_a_pair_scorer_re_orders_one_term_only(searcher: Searcher) -> None:
    hits = searcher.search("red", plus=["blue"])
    with pytest.raises(InputError, match="cannot re-order a query of several terms"):
        rerank(searcher, compose("red", plus=["blue"]), hits, FakeScorer())
    again = rerank(searcher, compose("red"), hits, FakeScorer())
    assert {hit.path for hit in again[:3]} == {"red.png", "halves.png", "yellow.png"}
    assert [hit.shares for hit in again if hit.path == hits[0].path] == [hits[0].shares]
