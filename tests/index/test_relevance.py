"""How sure an answer is, on geometry where the right answer is known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crossmodal import cli
from crossmodal.errors import IndexStoreError, InputError
from crossmodal.index import build_index, open_index
from crossmodal.index.calibration import examples
from crossmodal.index.calibration.examples import (
    WORDS_TO_IMAGES,
    background_sentences,
    calibrate,
    caption_means,
    fill_uncaptioned,
    picture_examples,
    word_examples,
)
from crossmodal.index.calibration.relevance import (
    Example,
    Relevance,
    fit_logistic,
    fit_relevance,
    query_features,
    relevance_above_background,
    relevance_from_dict,
)
from crossmodal.index.catalogue.rows import Catalogue
from crossmodal.search.searcher import Searcher
from tests.fakes import FakeEncoder, paint, paint_many

SMALL = Relevance((-4.0, 8.0, 0.0, 0.0, 0.0), (-5.0, 8.0, 0.0, 0.0, 0.0), 0.3, "captions", 9)


def loud_and_quiet(count: int, seed: int) -> Example:
    """Queries of which half score everything 0.5 higher; a match stands 0.3 above the background of its own query."""
    rng = np.random.default_rng(seed)
    cosines = rng.uniform(-0.05, 0.05, (count, 40)) + np.where(np.arange(count) % 2, 0.5, 0.0)[:, None]
    own = np.arange(40) == rng.integers(40, size=(count, 1))
    return Example((cosines + 0.3 * own,), own)


def test_where_a_flat_threshold_fails_the_fitted_one_does_not() -> None:
    relevance = fit_relevance([loud_and_quiet(200, seed=0)])
    fresh = loud_and_quiet(100, seed=1)
    found = fresh.cosines[0]
    missing = [row[~own] for row, own in zip(found, fresh.own, strict=True)]
    assert max(row.max() for row in missing) > np.median(found.max(1))  # no cosine tells them apart
    assert min(relevance.match(row[None]) for row in found) > 0.8
    assert max(relevance.match(row[None]) for row in missing) < 0.2
    hits = np.stack([relevance.of(row[None], range(40)) for row in found])
    assert hits[fresh.own].min() > 0.7
    assert hits[~fresh.own].max() < 0.1


def test_a_higher_cosine_never_lowers_the_probability() -> None:
    against = np.linspace(1, 0, 100)[:, None]  # the data say: the higher, the less likely
    assert fit_logistic(against, np.arange(100) >= 50)[1] == 0
    rng = np.random.default_rng(0)
    noise = Example((rng.normal(size=(60, 30)), rng.normal(size=(60, 30))), np.eye(60, 30) + np.eye(60, 30, -30) > 0)
    relevance = fit_relevance([noise])
    chances = relevance.of(np.stack([np.linspace(-1, 1, 30)] * 2), range(30))
    assert (np.diff(chances) >= 0).all()


def test_no_hit_is_more_probable_than_a_match_at_all() -> None:
    unequal = Relevance((-4.0, 1.0, 0.0, 0.0, 0.0), (4.0, 1.0, 0.0, 0.0, 0.0), 0.3, "captions", 9)
    assert unequal.of(np.array([[0.5, 0.1]]), [0, 1]).tolist() == [unequal.match(np.array([[0.5, 0.1]]))] * 2


def test_probabilities_of_known_weights() -> None:
    cosines = np.array([[0.5, 0.25]])
    assert SMALL.match(cosines) == 0.5
    assert SMALL.of(cosines, [1, 0]) == pytest.approx([1 / (1 + np.exp(3)), 1 / (1 + np.exp(1))])
    assert (SMALL.nothing(0.29), SMALL.nothing(0.3)) == (True, False)


def test_features_are_the_best_the_ten_next_mean_and_spread_of_what_is_left() -> None:
    row = np.array([[0.9, *[0.5] * 10, *[0.1] * 9]])
    assert query_features(row)[0] == pytest.approx([0.9, 0.5, row.mean(), row.std()])
    gone = row == 0.9
    assert query_features(row, gone)[0] == pytest.approx(
        [0.5, (9 * 0.5 + 0.1) / 10, row[0, 1:].mean(), row[0, 1:].std()]
    )
    assert query_features(np.array([[0.3]]))[0].tolist() == [0.3, 0.3, 0.3, 0.0]


def test_a_fit_finds_the_probability_of_each_group() -> None:
    features = np.repeat([[0.0], [1.0]], 4000, axis=0)
    truth = np.arange(8000) % 4000 < np.repeat([1000, 3000], 4000)
    bias, weight = fit_logistic(features, truth)
    assert [bias, bias + weight] == pytest.approx([-np.log(3), np.log(3)], abs=0.01)


def test_it_survives_json() -> None:
    relevance = fit_relevance([loud_and_quiet(30, seed=0)])
    assert relevance_from_dict(json.loads(json.dumps(relevance.as_dict()))) == relevance


@pytest.mark.parametrize(
    "change",
    [{"gallery": [1.0]}, {"hit": [1.0, 2.0]}, {"threshold": "high"}, {"gallery": [float("nan")] * 5}, {"more": 1}],
)
def test_values_of_something_else_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(InputError, match="no values of a relevance"):
        relevance_from_dict(SMALL.as_dict() | change)


def test_wrong_shapes_and_nothing_to_fit_on_are_refused() -> None:
    with pytest.raises(InputError, match=r"shape \(2, 3\) for 1 channels"):
        SMALL.match(np.zeros((2, 3)))
    with pytest.raises(InputError, match="no query to fit on"):
        fit_relevance([])
    with pytest.raises(InputError, match="no match in the gallery"):
        fit_relevance([Example((np.zeros((1, 3)),), np.zeros((1, 3), dtype=bool))])
    with pytest.raises(InputError, match="no background"):
        relevance_above_background([])


def test_the_background_is_the_same_however_few_cosines_are_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(0).normal(size=(30, 16)).astype(np.float32)
    images /= np.linalg.norm(images, axis=1, keepdims=True)

    def fitted() -> dict[str, Relevance]:
        return calibrate(Catalogue((), (), ()), images, images[:0], FakeEncoder())

    whole = fitted()
    for at_once in (1, 30 * 7):
        monkeypatch.setattr(examples, "SAMPLING", replace(examples.SAMPLING, least=1, at_once=at_once))
        assert fitted()[WORDS_TO_IMAGES].hit == pytest.approx(whole[WORDS_TO_IMAGES].hit, abs=1e-3)


def test_captions_say_the_same_however_few_cosines_are_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    images = draw.normal(size=(90, 16)).astype(np.float32)
    owner = np.sort(draw.integers(0, 60, 200))
    captions = images[owner] + draw.normal(size=(200, 16)).astype(np.float32)
    images /= np.linalg.norm(images, axis=1, keepdims=True)
    captions /= np.linalg.norm(captions, axis=1, keepdims=True)
    whole = fit_relevance(word_examples(images, captions, owner))
    assert len(whole.gallery) == 9
    for at_once, judged in ((1, 1), (200 * 3, 90 * 2), (200 * 20, 90 * 7)):
        smaller = replace(examples.SAMPLING, least=1, at_once=at_once, judged=judged)
        monkeypatch.setattr(examples, "SAMPLING", smaller)
        asked = list(word_examples(images, captions, owner))
        assert max(len(example.own) for example in asked) <= max(judged // 90, 1)
        assert fit_relevance(asked).hit == pytest.approx(whole.hit, rel=1e-3, abs=1e-3)


def test_background_alone_puts_the_middle_two_spreads_above_it() -> None:
    relevance = relevance_above_background([np.linspace(0.2, 0.4, 101)[:, None] * np.ones(3)])
    centre, spread = 0.3, 0.068  # median, and its distance to the 16th percentile
    assert relevance.match(np.full((1, 3), centre + spread)) == pytest.approx(0.5)
    assert relevance.nothing(relevance.match(np.full((1, 3), centre - 0.01)))
    assert not relevance.nothing(relevance.match(np.full((1, 3), centre + 0.01)))
    assert relevance.fitted_on == "background"
    assert len(set(background_sentences())) == 256


def test_a_caption_is_left_out_of_the_mean_it_is_compared_with() -> None:
    captions = np.eye(60, dtype=np.float32)
    owner = np.arange(60) // 3
    (example,) = word_examples(np.zeros((20, 60), dtype=np.float32), captions, owner)
    assert np.abs(example.cosines[1]).max() < 1e-6
    assert example.own.sum(1).tolist() == [1] * 60
    assert caption_means(captions, owner, 21)[:, 0].tolist() == [pytest.approx(1 / 3), *[0] * 20]


def test_a_picture_owns_all_its_captions_and_one_without_any_counts_as_the_mean() -> None:
    vectors = np.eye(3, dtype=np.float32)
    (example,) = picture_examples(vectors, vectors[[0, 0, 2]], np.array([0, 0, 2]))
    assert example.own.tolist() == [[True, True, False], [False, False, True]]
    assert fill_uncaptioned(np.array([[0.2, 0.0, 0.4]]), np.array([1, 0, 2])).tolist() == [
        [0.2, pytest.approx(0.3), 0.4]
    ]


class TestIndex:
    @pytest.fixture
    def index(self, tmp_path: Path) -> Path:
        """Thirty pictures with two captions each."""
        captions = paint_many(tmp_path / "photos", 30)
        build_index(tmp_path / "photos", captions, FakeEncoder(), tmp_path / "index")
        return tmp_path / "index"

    def test_hits_of_words_and_of_pictures_are_judged(self, index: Path) -> None:
        searcher = Searcher(open_index(index), FakeEncoder())
        for query in ("number 7 is red", searcher.image_path("003.png")):
            answer = searcher.search(query, k=4)
            chances = [hit.relevance for hit in answer.hits]
            assert answer.match is not None
            assert [0 < chance <= answer.match < 1 for chance in chances if chance is not None] == [True] * 4
        assert {hit.relevance for hit in searcher.search("red", to="captions")} == {None}
        assert {hit.relevance for hit in searcher.similar("003.png")} == {None}

    @pytest.mark.parametrize("to", ["images", "captions"])
    def test_each_hit_is_judged_by_its_own_score(self, index: Path, to: str) -> None:
        opened = open_index(index)
        opened.relevance = dict.fromkeys(("words to images", "picture to captions"), SMALL)
        searcher = Searcher(opened, FakeEncoder())
        hits = searcher.search("number 7 is red" if to == "images" else searcher.image_path("003.png"), k=60)
        assert [hit.relevance for hit in hits] == pytest.approx(
            [1 / (1 + np.exp(5 - 8 * hit.score)) for hit in hits], 1e-4
        )

    def test_it_is_fitted_on_the_captions_again_only_when_something_changed(self, index: Path) -> None:
        before = open_index(index)
        assert {name: fitted.fitted_on for name, fitted in before.relevance.items()} == {
            "words to images": "captions",
            "picture to captions": "captions",
        }
        captions = index.parent / "captions.csv"
        build_index(index.parent / "photos", captions, FakeEncoder(), index)
        assert open_index(index).manifest == before.manifest
        build_index(index.parent / "photos", captions, FakeEncoder(), index.parent / "again")
        assert (
            open_index(index.parent / "again").manifest.files["relevance.json"]
            == before.manifest.files["relevance.json"]
        )
        paint(index.parent / "photos" / "007.png", "white")
        build_index(index.parent / "photos", captions, FakeEncoder(), index)
        assert open_index(index).relevance != before.relevance

    def test_without_captions_generated_sentences_are_the_background(self, index: Path) -> None:
        build_index(index.parent / "photos", None, FakeEncoder(), index.parent / "bare")
        relevance = open_index(index.parent / "bare").relevance
        assert {name: (fitted.fitted_on, fitted.queries) for name, fitted in relevance.items()} == {
            "words to images": ("background", 256)
        }

    def test_a_model_of_labels_is_left_uncalibrated(self, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(FakeEncoder, "labels", ("red", "green"))
        encoder = FakeEncoder()
        build_index(index.parent / "photos", None, encoder, index.parent / "bare")
        assert encoder.texts == []
        assert open_index(index.parent / "bare").relevance == {}

    def test_a_damaged_file_is_refused(self, index: Path) -> None:
        (index / "generation-000001" / "relevance.json").write_text("{}")
        with pytest.raises(IndexStoreError, match=r"relevance.json has 2 bytes.*run `python -m crossmodal index"):
            open_index(index)

    @pytest.mark.parametrize(("threshold", "doubts"), [(1.0, True), (0.0, False)])
    def test_the_command_says_on_stderr_when_nothing_matches(
        self,
        index: Path,
        threshold: float,
        doubts: bool,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        opened = open_index(index)
        opened.relevance = {"words to images": Relevance(SMALL.gallery, SMALL.hit, threshold, "captions", 9)}
        monkeypatch.setattr("crossmodal.search.searcher.open_searcher", lambda *_: Searcher(opened, FakeEncoder()))
        assert cli.main(["search", "red", "--index", str(index), "-k", "3"]) == 0
        said = capsys.readouterr()
        assert said.err.startswith("nothing in this gallery seems to match (p = 0.") is doubts
        assert [len(line.split("\t")) for line in said.out.splitlines()] == [4] * 3
        assert cli.main(["search", "red", "--index", str(index), "-k", "1", "--json"]) == 0
        (hit,) = json.loads(capsys.readouterr().out)
        assert 0 < hit["relevance"] < 1
