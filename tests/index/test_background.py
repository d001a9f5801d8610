"""A query's background in closed form, held against the scan of everything."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from crossmodal.errors import IndexStoreError
from crossmodal.index import build_index, fill_uncaptioned, open_index
from crossmodal.index.ann.files import SEARCH_FILES
from crossmodal.index.ann.moments import Moments, moments_of, read_moments, write_moments
from crossmodal.index.ann.nearest import Nearest
from crossmodal.index.calibration.background import Background
from crossmodal.index.calibration.examples import caption_means
from crossmodal.index.calibration.relevance import query_features
from crossmodal.index.vectors import MeanRows
from crossmodal.search import ranking
from crossmodal.search.searcher import Searcher
from tests.fakes import FakeEncoder, Vectors, paint_many


def unit(count: int, dimension: int = 16, seed: int = 0) -> Vectors:
    vectors = np.random.default_rng(seed).normal(0.3, 1, size=(count, dimension))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


BY_CODES = {name for name in SEARCH_FILES if not re.search("bytes|steps", name)}  # what a middling size is searched by
GALLERY, QUERIES = unit(5000), unit(20, seed=1)
BOUNDS = np.concatenate([[0], np.cumsum(np.arange(2000) % 6)])  # captions of 2000 pictures, every sixth without any


def test_moments_of_two_rows_by_hand() -> None:
    moments = moments_of(np.array([[1, 0], [0, 1]], dtype=np.float32))
    assert moments.mean.tolist() == [0.5, 0.5]
    assert moments.covariance.tolist() == [[0.25, -0.25], [-0.25, 0.25]]
    assert moments.of(np.array([1, 0], dtype=np.float32)) == (0.5, 0.5)
    assert moments.of(np.array([0.6, 0.6], dtype=np.float32)) == (pytest.approx(0.6), pytest.approx(0.0, abs=1e-7))


def test_rows_that_are_nearly_equal_keep_their_spread() -> None:
    close = np.asarray(1 + 1e-4 * np.random.default_rng(0).normal(size=(9000, 4)), dtype=np.float32)
    query = np.array([0.5, 0.5, 0.5, 0.5], dtype=np.float32)
    assert moments_of(close).of(query)[1] == pytest.approx((close.astype(np.float64) @ query).std(), rel=1e-6)


@pytest.mark.parametrize("count", [1, 2, 11, 40, 5000])
def test_features_are_those_of_the_scan(count: int) -> None:
    rows = GALLERY[:count]
    background = Background(rows, Nearest(rows), moments_of(rows))
    plain = Background(rows, Nearest(rows))
    for query in QUERIES:
        expected = query_features((rows @ query)[None])[0]
        assert background.features(query) == pytest.approx(expected, abs=1e-6)
        assert plain.features(query) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("pictures", [3, 60, 2000])
def test_pictures_without_captions_count_as_the_mean(pictures: int) -> None:
    bounds = BOUNDS[: pictures + 1]
    captions = GALLERY[: bounds[-1]]
    means = MeanRows(captions, bounds)
    background = Background(means, Nearest(means, unit=False), moments_of(means), pictures - len(means.pictures))
    owner = np.repeat(np.arange(pictures), np.diff(bounds))
    every = caption_means(captions, owner, pictures)
    assert means[np.arange(len(means.pictures))] == pytest.approx(every[means.pictures], abs=1e-7)
    for query in QUERIES:
        expected = query_features(fill_uncaptioned((every @ query)[None], np.diff(bounds)))[0]
        assert background.features(query) == pytest.approx(expected, abs=1e-6)


def test_means_of_few_and_of_many_captions_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    bounds = np.array([0, 1, 1, 5, 45, 47])
    means = MeanRows(GALLERY, bounds)
    expected = [GALLERY[start:end].mean(0) for start, end in pairwise(bounds) if end > start]
    rows = np.array([3, 0, 2, 2, 1])
    assert means[rows] == pytest.approx(np.stack(expected)[rows], abs=1e-6)
    for loops in (1, 1000):
        monkeypatch.setattr("crossmodal.index.vectors.LOOPS", loops)
        assert means[rows] == pytest.approx(np.stack(expected)[rows], abs=1e-6)


def test_several_queries_at_once_are_answered_as_each_alone() -> None:
    means = MeanRows(GALLERY[: BOUNDS[60]], BOUNDS[:61])
    together = means.averaged(QUERIES @ GALLERY[: BOUNDS[60]].T)
    assert together == pytest.approx(np.stack([means @ query for query in QUERIES]), abs=1e-6)


def test_moments_come_back_and_another_file_is_refused(tmp_path: Path) -> None:
    moments = moments_of(GALLERY)
    write_moments(tmp_path / "m.npy", moments)
    again = read_moments(tmp_path / "m.npy", 16)
    assert (again.mean.tolist(), again.covariance.tolist()) == (moments.mean.tolist(), moments.covariance.tolist())
    with pytest.raises(IndexStoreError, match=r"holds float64 \(17, 16\), not float64 \(33, 32\)"):
        read_moments(tmp_path / "m.npy", 32)
    (tmp_path / "m.npy").write_bytes(b"")
    with pytest.raises(IndexStoreError, match="cannot be read"):
        read_moments(tmp_path / "m.npy", 16)


class TestIndex:
    @pytest.fixture
    def index(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A hundred pictures with two captions each, taken for very many."""
        monkeypatch.setattr("crossmodal.index.ann.plan.SCANNED", 100)
        monkeypatch.setattr("crossmodal.index.ann.plan.FEWEST_DIMENSIONS", 1)
        captions = paint_many(tmp_path / "photos", 100)
        build_index(tmp_path / "photos", captions, FakeEncoder(), tmp_path / "index")
        return tmp_path / "index"

    def test_answers_are_those_of_the_scan(self, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        quick, plain = (Searcher(open_index(index), FakeEncoder()) for _ in range(2))
        assert set(quick.manifest.files) >= BY_CODES
        monkeypatch.setattr("crossmodal.index.ann.nearest.SWEPT", 1)
        plain.index.__dict__.update(
            nearest_images=Nearest(plain.index.image_vectors),
            nearest_captions=Nearest(plain.index.caption_vectors),
            nearest_means=Nearest(plain.index.mean_rows, unit=False),
            image_background=Background(plain.index.image_vectors, Nearest(plain.index.image_vectors)),
            caption_background=Background(plain.index.caption_vectors, Nearest(plain.index.caption_vectors)),
            mean_background=Background(plain.index.mean_rows, Nearest(plain.index.mean_rows, unit=False)),
        )
        assert isinstance(quick.index.mean_background.moments, Moments)
        for query in ("number 7 is red", "green", quick.image_path("003.png")):
            mine, theirs = quick.search(query, 8), plain.search(query, 8)
            assert [(hit.path, hit.caption, hit.score) for hit in mine.hits] == [
                (hit.path, hit.caption, hit.score) for hit in theirs.hits
            ]
            assert mine.match == pytest.approx(theirs.match, abs=1e-5)
            assert [hit.relevance for hit in mine.hits] == pytest.approx(
                [hit.relevance for hit in theirs.hits], abs=1e-5
            )

    def test_an_index_of_before_opens_and_the_same_command_adds_the_files(self, index: Path) -> None:
        import json

        manifest = index / "manifest.json"
        whole = json.loads(manifest.read_text())
        before = {"files": {name: about for name, about in whole["files"].items() if name not in SEARCH_FILES}}
        manifest.write_text(json.dumps(whole | before))
        opened = open_index(index)
        assert (opened.nearest_images.kind, opened.lacking) == ("exact", BY_CODES)
        assert Searcher(opened, FakeEncoder()).search("red").match is not None
        encoder, notes = FakeEncoder(), []
        build_index(
            index.parent / "photos", index.parent / "captions.csv", encoder, index,
            lambda step: notes.append(step.note),
        )  # fmt: skip
        assert (encoder.pictures, encoder.texts) == (0, [])
        assert any(note.startswith("search among 200 captions: rabitq, about 0.0 MB and 0.0 s") for note in notes)
        assert open_index(index).nearest_images.kind == "rabitq"
        assert not open_index(index).lacking

    def test_a_damaged_file_is_refused(self, index: Path) -> None:
        (index / "generation-000001" / "captions.faiss").write_bytes(b"")
        with pytest.raises(IndexStoreError, match=r"captions.faiss has 0 bytes.*run `python -m crossmodal index"):
            open_index(index)

    def test_an_open_index_outlives_its_generation(self, index: Path) -> None:
        opened = open_index(index)
        (index.parent / "photos" / "000.png").unlink()
        build_index(index.parent / "photos", index.parent / "captions.csv", FakeEncoder(), index)
        assert len(opened.nearest_images.search(opened.image_vectors[3], 5)[0]) == 5
        assert opened.image_background.moments is not None


def test_hits_without_captions_get_the_mean(tmp_path: Path) -> None:
    captions = paint_many(tmp_path / "photos", 60)
    lines = captions.read_text().splitlines()
    captions.write_text("\n".join(line for line in lines if not line.startswith(("000", "059"))))
    build_index(tmp_path / "photos", captions, FakeEncoder(), tmp_path / "index")
    index = open_index(tmp_path / "index")
    query, rows = index.image_vectors[7], np.array([59, 3, 0, 58])
    features, own = ranking.gather_evidence(index, query, "images", 2, rows)
    filled = fill_uncaptioned((index.caption_means @ query)[None], np.diff(index.caption_rows))
    assert own[1] == pytest.approx(filled[0, rows], abs=1e-6)
    assert features[1] == pytest.approx(query_features(filled)[0], abs=1e-6)
