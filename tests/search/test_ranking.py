"""What pictures are ranked by, and searches within a part of a gallery; on colours that can be told by eye."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from crossmodal.errors import InputError
from crossmodal.index import build_index, exact_cosines, open_index
from crossmodal.search.query import Box, Indexed, Term
from crossmodal.search.ranking import CAPTION_SHARE, Channel, Composed
from crossmodal.search.searcher import Hit, Searcher
from tests.fakes import FakeEncoder, paint, paint_many

CAPTIONS = (
    "image,caption\nred.png,a blue thing\nblue.png,something red\nblue.png,red all over\ngreen.png,a green leaf\n"
)


@pytest.fixture
def searcher(tmp_path: Path) -> Searcher:
    """Red and blue pictures whose captions say the opposite, green as it is, and purple without a caption."""
    for name, colour in {"red": "red", "blue": "blue", "green": "lime", "purple": "#8000ff"}.items():
        paint(tmp_path / "photos" / f"{name}.png", colour)
    (tmp_path / "captions.csv").write_text(CAPTIONS)
    build_index(tmp_path / "photos", tmp_path / "captions.csv", FakeEncoder(), tmp_path / "index")
    return Searcher(open_index(tmp_path / "index"), FakeEncoder())


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Searcher:
    """Sixty pictures with two captions each."""
    folder = tmp_path_factory.mktemp("many")
    captions = paint_many(folder / "photos", 60)
    build_index(folder / "photos", captions, FakeEncoder(), folder / "index")
    return Searcher(open_index(folder / "index"), FakeEncoder())


def paths(hits: list[Hit]) -> list[str]:
    return [hit.path for hit in hits]


def test_pictures_are_ranked_by_the_mean_cosine_with_their_captions(searcher: Searcher) -> None:
    answer = searcher.search("red", by="captions")
    assert answer.hits[0].path == "blue.png"
    assert answer.total == len(answer.hits) == 3
    assert "purple.png" not in paths(list(answer.hits))
    for hit in answer.hits:
        cosines = searcher.caption_vectors(hit.path) @ searcher.encode("red")
        assert hit.score == pytest.approx(cosines.mean(), abs=1e-6)
        assert hit.caption is None


def test_both_is_a_mix_and_a_picture_without_captions_is_judged_alone(searcher: Searcher) -> None:
    picture, caption, both = ({hit.path: hit.score for hit in searcher.search("red", by=by)}
                              for by in ("pictures", "captions", "both"))  # fmt: skip
    assert both["purple.png"] == pytest.approx(picture["purple.png"], abs=1e-6)
    for path, score in caption.items():
        assert both[path] == pytest.approx((1 - CAPTION_SHARE) * picture[path] + CAPTION_SHARE * score, abs=1e-6)


@pytest.mark.parametrize("by", ["pictures", "captions", "both"])
def test_shares_add_up_whatever_pictures_are_ranked_by(many: Searcher, by: str) -> None:
    answer = many.search("red", k=60, plus=[many.image_path("003.png")], minus=["green"], by=by)
    assert len(answer.hits) == 60
    for hit in answer.hits:
        assert sum(hit.shares or ()) == pytest.approx(hit.score, abs=1e-6)


ASKED: dict[str, Callable[[Searcher], dict[str, object]]] = {
    "words": lambda _: {"query": "red"},
    "a picture": lambda searcher: {"query": searcher.image_path("007.png"), "to": "images"},
    "several terms": lambda _: {"query": "red", "plus": ["blue"], "minus": [Indexed("001.png")]},
    "by captions": lambda _: {"query": "red", "by": "captions"},
    "by both": lambda _: {"query": "red", "by": "both"},
    "captions": lambda searcher: {"query": searcher.image_path("007.png"), "to": "captions"},
    "captions of several terms": lambda _: {"query": "red", "plus": ["blue"], "to": "captions"},
}


@pytest.mark.parametrize("name", ASKED)
def test_a_part_of_the_gallery_is_searched_as_the_whole_and_then_chosen_from(many: Searcher, name: str) -> None:
    options = ASKED[name](many)
    within = np.arange(60) % 7 == 3
    allowed = {f"{row:03d}.png" for row in np.flatnonzero(within)}
    whole = many.search(k=1000, **options)  # type: ignore[arg-type]
    expected = [(hit.path, hit.caption, hit.score, hit.shares) for hit in whole.hits if hit.path in allowed]
    for k in (1, 4, 1000):
        answer = many.search(k=k, within=within, **options)  # type: ignore[arg-type]
        assert [(hit.path, hit.caption, hit.score, hit.shares) for hit in answer.hits] == expected[:k]
        assert [hit.rank for hit in answer.hits] == list(range(1, min(k, len(expected)) + 1))
        assert answer.total == len(expected)
    assert whole.total == len(whole.hits)


def test_pictures_like_an_indexed_one_within_a_part(many: Searcher) -> None:
    within = np.arange(60) < 5
    hits = many.similar("003.png", k=10, within=within)
    assert set(paths(hits)) == {"000.png", "001.png", "002.png", "004.png"}
    assert within[3]  # the caller's mask is left as it was


def test_nothing_allowed_finds_nothing(many: Searcher) -> None:
    for by in ("pictures", "captions", "both"):
        answer = many.search("red", by=by, within=np.zeros(60, dtype=bool))
        assert (answer.hits, answer.total, answer.match, answer.anything_here) == ((), 0, None, True)


def test_equal_scores_within_a_part_stand_in_the_order_of_paths(tmp_path: Path) -> None:
    for name in ("z", "a", "m", "b"):
        paint(tmp_path / "photos" / f"{name}.png", "red")
    build_index(tmp_path / "photos", None, FakeEncoder(), tmp_path / "index")
    searcher = Searcher(open_index(tmp_path / "index"), FakeEncoder())
    within = np.array([True, False, True, True])
    assert paths(searcher.search("red", k=2, within=within)) == ["a.png", "m.png"]


def test_rounding_pushes_no_item_out_of_the_best() -> None:
    generator = np.random.default_rng(1)
    query = generator.normal(size=512).astype(np.float32)
    query /= np.linalg.norm(query)
    vectors = query + 3e-8 * generator.normal(size=(900, 512)).astype(np.float32)  # closer than a float32 sum can tell
    exact = exact_cosines(query, vectors, np.arange(900)) * np.linalg.norm(vectors.astype(np.float64), axis=1)
    found = Channel(vectors).nearest(Composed(query, query[None], np.ones(1)), 20)
    assert found.rows.tolist() == np.argsort(-exact, kind="stable")[:20].tolist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "sounds"}, "by must be one of pictures, captions, both, words, all, not 'sounds'"),
        ({"by": "both", "to": "captions"}, "by both is a way to rank pictures"),
        ({"within": np.ones(3, dtype=bool)}, r"each of the 4 pictures, not be bool of shape \(3,\)"),
        ({"within": [0, 1, 2, 3]}, "not be int64 of shape"),
    ],
)
def test_bad_ways_to_search_are_refused(searcher: Searcher, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        searcher.search("red", **options)  # type: ignore[arg-type]


def test_without_captions_both_is_by_the_pictures_and_captions_are_refused(tmp_path: Path) -> None:
    paint_many(tmp_path / "photos", 3)
    build_index(tmp_path / "photos", None, FakeEncoder(), tmp_path / "bare")
    bare = Searcher(open_index(tmp_path / "bare"), FakeEncoder())
    assert bare.search("red", by="both") == bare.search("red")
    with pytest.raises(InputError, match=r"no captions to search: .*--captions FILE"):
        bare.search("red", by="captions")


class TestProbabilities:
    def test_a_hit_keeps_its_own_within_a_part_where_nothing_is_said_of_the_whole(self, many: Searcher) -> None:
        whole, part = many.search("red", k=60), many.search("red", k=60, within=np.arange(60) % 2 == 0)
        chances = {hit.path: hit.relevance for hit in whole.hits}
        assert (whole.match is None, part.match, part.anything_here) == (False, None, True)
        assert None not in {hit.relevance for hit in part.hits}
        assert [hit.relevance for hit in part.hits] == pytest.approx([chances[hit.path] for hit in part.hits])

    @pytest.mark.parametrize("by", ["captions", "both"])
    def test_it_holds_for_every_ranking_where_captions_were_part_of_the_fit(self, many: Searcher, by: str) -> None:
        plain, other = many.search("red", k=60), many.search("red", k=60, by=by)
        assert other.match == plain.match is not None
        assert {hit.path: hit.relevance for hit in other.hits} == {hit.path: hit.relevance for hit in plain.hits}

    @pytest.mark.parametrize("by", ["captions", "both"])
    def test_where_they_were_not_only_a_ranking_by_pictures_has_one(self, searcher: Searcher, by: str) -> None:
        assert searcher.search("red").match is not None  # from background sentences: too few captions to fit on
        answer = searcher.search("red", by=by)
        assert (answer.match, {hit.relevance for hit in answer.hits}) == (None, {None})

    def test_a_composed_query_or_a_part_of_a_picture_has_none(self, many: Searcher) -> None:
        part = {"query": Term(many.image_path("007.png"), crop=Box(0, 0, 1, 0.5)), "to": "captions"}
        for options in part, ASKED["several terms"](many), ASKED["captions of several terms"](many):
            answer = many.search(**options)  # type: ignore[arg-type]
            assert (answer.match, answer.anything_here, {hit.relevance for hit in answer.hits}) == (
                None,
                True,
                {None},
            )
