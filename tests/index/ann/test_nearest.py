"""The nearest rows: exact scores, equal ones in the order of rows, any count."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from crossmodal.index import Vectors
from crossmodal.index.ann.files import read_proposer, write_proposer
from crossmodal.index.ann.flat import exact_cosines
from crossmodal.index.ann.nearest import Nearest
from crossmodal.index.vectors import SparselyRead, read_vectors, write_vectors
from tests.fakes import clustered_vectors

VECTORS: Vectors = np.array([[1, 0], [0, 1], [1, 0], [0.6, 0.8], [1, 0]], dtype=np.float32)


def test_rows_come_by_cosine_and_equal_ones_by_row() -> None:
    rows, scores = Nearest(VECTORS).search(np.array([1, 0], dtype=np.float32), 4)
    assert rows.tolist() == [0, 2, 4, 3]
    assert scores == pytest.approx([1, 1, 1, 0.6])


def test_k_beyond_the_count_gives_all() -> None:
    assert len(Nearest(VECTORS).search(VECTORS[0], 99)[0]) == 5


def test_an_empty_set_gives_nothing() -> None:
    rows, scores = Nearest(np.empty((0, 2), dtype=np.float32)).search(VECTORS[0], 3)
    assert (len(rows), len(scores)) == (0, 0)


def test_a_thousand_equal_rows_are_cut_in_row_order() -> None:
    vectors = np.tile(np.array([[0.6, 0.8]], dtype=np.float32), (1000, 1))
    assert Nearest(vectors).search(vectors[0], 5)[0].tolist() == [0, 1, 2, 3, 4]


def test_ties_that_the_scan_left_out_are_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def last_first(_: Vectors, __: Vectors, count: int) -> tuple[Vectors, NDArray[np.int64]]:
        """Among equals, a scan may propose any; here always the last rows."""
        return np.ones(count, dtype=np.float32), np.arange(1000 - count, 1000)

    monkeypatch.setattr("crossmodal.index.ann.nearest.scan", last_first)
    vectors = np.tile(np.array([[0.6, 0.8]], dtype=np.float32), (1000, 1))
    assert Nearest(vectors).search(vectors[0], 3)[0].tolist() == [0, 1, 2]


def test_agrees_with_sorting_everything() -> None:
    vectors = np.random.default_rng(0).normal(size=(500, 24)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = np.argsort(-(vectors.astype(np.float64) @ vectors[7].astype(np.float64)))[:10]
    assert Nearest(vectors).search(vectors[7], 10)[0].tolist() == expected.tolist()


def test_cosines_are_exact_whatever_the_length() -> None:
    vectors = np.array([[3, 4], [-3, -4], [0, 0]], dtype=np.float32)
    assert exact_cosines(vectors[0], vectors, np.arange(3)).tolist() == [1.0, -1.0, 0.0]


VECTORS_MANY = clustered_vectors(6000, 64)


def proposed(folder: Path, vectors: Vectors, kind: str, unit: bool = True) -> Nearest:
    """A search among the vectors with what proposes, written to a folder and read from there."""
    write_proposer(folder, "images", vectors, kind)
    return Nearest(vectors, read_proposer(folder, "images", vectors.shape), unit)


@pytest.fixture(scope="module", params=["rabitq", "ivf"])
def quick(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Nearest:
    return proposed(tmp_path_factory.mktemp(request.param), VECTORS_MANY, request.param)


class TestProposed:
    def test_it_agrees_with_the_scan(self, quick: Nearest, monkeypatch: pytest.MonkeyPatch) -> None:
        plain, found = Nearest(VECTORS_MANY), 0
        expected = [plain.search(VECTORS_MANY[row], 10) for row in range(50)]
        monkeypatch.setattr(Nearest, "_scanned", None)
        monkeypatch.setattr("crossmodal.index.ann.nearest.SWEPT", 1)
        for row, (rows, scores) in enumerate(expected):
            mine, exact = quick.search(VECTORS_MANY[row], 10)
            found += len(np.intersect1d(mine, rows))
            assert exact.tolist() == exact_cosines(VECTORS_MANY[row], VECTORS_MANY, mine).tolist()
            if mine.tolist() == rows.tolist():
                assert exact.tolist() == scores.tolist()
        assert found >= 490

    @pytest.mark.parametrize("share", [0.001, 0.05, 0.5, 0.9])
    def test_within_a_part_nothing_else_is_found(self, quick: Nearest, share: float) -> None:
        allowed = np.random.default_rng(1).random(6000) < share
        expected = Nearest(VECTORS_MANY).search(VECTORS_MANY[0], 6000)[0]
        rows, _ = quick.search(VECTORS_MANY[0], 5, allowed)
        assert rows.tolist() == expected[allowed[expected]][:5].tolist()

    def test_many_are_scanned_and_none_may_be_allowed(self, quick: Nearest) -> None:
        assert len(quick.search(VECTORS_MANY[0], 7000)[0]) == 6000
        assert len(quick.search(VECTORS_MANY[0], 5, np.zeros(6000, dtype=bool))[0]) == 0

    def test_more_equals_than_candidates_stand_in_row_order(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("crossmodal.index.ann.rabitq.BITS", 64)
        vectors = np.concatenate([np.tile(VECTORS_MANY[:1], (1000, 1)), VECTORS_MANY[1:5000]])
        rows, _ = proposed(tmp_path, vectors, "rabitq").search(VECTORS_MANY[0], 20)
        assert rows.tolist() == list(range(20))

    def test_products_count_the_length_of_the_rows(self, tmp_path: Path) -> None:
        vectors = VECTORS_MANY * np.linspace(0.2, 1, 6000, dtype=np.float32)[:, None]
        nearest = proposed(tmp_path, vectors, "rabitq", unit=False)
        rows, scores = nearest.search(VECTORS_MANY[0], 10)
        expected = vectors.astype(np.float64) @ VECTORS_MANY[0].astype(np.float64)
        assert rows.tolist() == np.argsort(-expected)[:10].tolist()
        assert scores == pytest.approx(np.sort(expected)[:-11:-1], abs=1e-6)

    def test_many_threads_find_what_one_does(self, quick: Nearest) -> None:
        expected = [quick.search(VECTORS_MANY[row], 9)[0].tolist() for row in range(40)]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda row: quick.search(VECTORS_MANY[row], 9)[0].tolist(), range(40)))
        assert found == expected


class TestSparselyRead:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        write_vectors(tmp_path / "rows.npy", [VECTORS_MANY], 6000, 64)
        return tmp_path / "rows.npy"

    def test_rows_and_products_are_those_of_the_mapped_file(self, file: Path) -> None:
        mapped = read_vectors(file, 6000, 64)
        rows = SparselyRead(mapped, file)
        for chosen in (np.array([5999, 0, 7, 7]), np.arange(2500), np.empty(0, dtype=np.int64)):
            assert rows[chosen].tobytes() == mapped[chosen].tobytes()
        assert rows.shape == (6000, 64)
        assert (rows @ VECTORS_MANY[3]).tobytes() == (mapped @ VECTORS_MANY[3]).tobytes()

    def test_a_file_that_is_gone_is_still_read_from_its_mapping(self, file: Path) -> None:
        mapped = read_vectors(file, 6000, 64)
        opened = SparselyRead(mapped, file)
        file.unlink()
        for rows in (opened, SparselyRead(mapped, file)):
            assert rows[np.array([9])].tobytes() == VECTORS_MANY[9:10].tobytes()

    def test_a_search_finds_the_same(self, quick: Nearest, file: Path) -> None:
        rows = SparselyRead(read_vectors(file, 6000, 64), file)
        again = Nearest(rows, quick._proposer)
        for row in range(5):
            expected, mine = (each.search(VECTORS_MANY[row], 9) for each in (quick, again))
            assert mine[0].tolist() == expected[0].tolist()
            assert mine[1].tolist() == expected[1].tolist()
