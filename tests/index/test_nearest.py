"""The nearest rows: exact scores, equal ones in the order of rows, any count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from crossmodal.errors import IndexStoreError
from crossmodal.index import Vectors
from crossmodal.index.nearest import Nearest, exact_cosines
from crossmodal.index.proposers import ask, bytes_beside, plan_search, read_proposer, write_proposer
from crossmodal.index.vectors import SparselyRead, read_vectors, write_vectors

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


def test_ties_that_faiss_left_out_are_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    class LastFirst:
        """Among equals, FAISS may propose any; here always the last rows."""

        def search(self, _: Vectors, count: int) -> tuple[Vectors, NDArray[np.int64]]:
            return np.ones((1, count), dtype=np.float32), np.arange(1000 - count, 1000)[None]

    monkeypatch.setattr("crossmodal.index.nearest._choose", lambda _: LastFirst())
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


def gallery(count: int, dimension: int, seed: int = 0) -> Vectors:
    """Unit vectors in clusters of ten, with a falling spectrum."""
    generator = np.random.default_rng(seed)
    spectrum = 1 / (1 + np.arange(dimension) / 10)
    centres = generator.normal(size=(-(-count // 10), dimension))
    vectors = (np.repeat(centres, 10, axis=0)[:count] + 0.7 * generator.normal(size=(count, dimension))) * spectrum
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


VECTORS_MANY = gallery(6000, 64)


def proposed(folder: Path, vectors: Vectors, kind: str, unit: bool = True) -> Nearest:
    """A search among the vectors with what proposes, written to a folder and read from there."""
    write_proposer(folder / "p", vectors, kind)
    return Nearest(vectors, read_proposer(folder / "p", vectors.shape, bytes_beside(folder / "p")), unit)


@pytest.fixture(scope="module", params=["rabitq", "ivf"])
def quick(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Nearest:
    return proposed(tmp_path_factory.mktemp(request.param), VECTORS_MANY, request.param)


def test_bytes_are_written_as_faiss_writes_them(tmp_path: Path) -> None:
    write_proposer(tmp_path / "p", VECTORS_MANY, "ivf")
    whole = faiss.IndexScalarQuantizer(64, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
    whole.train(VECTORS_MANY)
    whole.add(VECTORS_MANY)
    faiss.write_index(whole, str(tmp_path / "whole"))
    assert bytes_beside(tmp_path / "p").read_bytes() == (tmp_path / "whole").read_bytes()


def test_how_much_faiss_compares_at_once_is_the_callers_again_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, meanwhile = faiss.cvar, []
    before = settings.distance_compute_blas_query_bs
    trained = faiss.IndexIVFPQ.train

    def train(*arguments: object) -> None:
        meanwhile.append(settings.distance_compute_blas_query_bs)
        trained(*arguments)

    monkeypatch.setattr(faiss.IndexIVFPQ, "train", train)
    write_proposer(tmp_path / "p", VECTORS_MANY, "ivf")
    assert meanwhile[0] < before == settings.distance_compute_blas_query_bs


@pytest.mark.parametrize("kind", ["rabitq", "ivf"])
def test_where_nothing_can_be_written_is_an_error_of_the_disk(tmp_path: Path, kind: str) -> None:
    with pytest.raises(OSError, match="absent"):
        write_proposer(tmp_path / "absent" / "p", VECTORS_MANY, kind)


def test_nothing_but_the_proposer_is_left_behind(tmp_path: Path) -> None:
    written = write_proposer(tmp_path / "p", VECTORS_MANY, "ivf")
    assert sorted(tmp_path.iterdir()) == sorted(written)


def test_the_codes_of_every_cell_that_holds_any_are_put_in_large_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[int]] = []
    monkeypatch.setattr("crossmodal.index.proposers.use_huge_pages", asked.append)
    proposed(tmp_path, VECTORS_MANY, "ivf")
    (addresses,) = asked
    assert len(set(addresses)) == len(addresses) > 100
    assert min(addresses) > 0


def test_a_code_holds_a_strong_direction_and_a_weak_one(tmp_path: Path) -> None:
    index: Any = faiss.read_index(str(write_proposer(tmp_path / "p", VECTORS_MANY, "ivf")[0]))
    transform: Any = faiss.downcast_VectorTransform(index.chain.at(0))
    turn = faiss.vector_to_array(transform.A).reshape(-1, 64)
    assert np.allclose(turn @ turn.T, np.eye(len(turn)), atol=1e-5)
    strong, weak = ((VECTORS_MANY @ turn.T) ** 2).mean(0).reshape(-1, 2).T
    assert (strong > weak).all()
    assert strong[0] == strong.max()
    assert weak[0] == pytest.approx(weak.min(), rel=0.1)


def test_of_few_cells_a_larger_share_is_looked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shares = []
    for cells in (4, 400, 4000):
        monkeypatch.setattr("crossmodal.index.cells.cells_of", lambda _, cells=cells: cells)
        index: Any = faiss.read_index(str(write_proposer(tmp_path / "p", VECTORS_MANY, "ivf")[0]))
        codes: Any = faiss.downcast_index(index.index)
        shares.append(codes.nprobe / cells)
    assert shares[0] == 1
    assert shares[1] > 0.1
    assert 0.045 < shares[2] < 0.046


def test_what_cells_propose_is_put_in_order_by_bytes_each_row_once(tmp_path: Path) -> None:
    scores, rows = ask(proposed(tmp_path, VECTORS_MANY, "ivf")._index, VECTORS_MANY[7], 30, 400)
    assert len(np.unique(rows)) == len(rows) == 30
    assert rows[0] == 7
    assert (np.diff(scores) <= 0).all()
    assert np.abs(VECTORS_MANY[rows] @ VECTORS_MANY[7] - scores).max() < 0.01
    assert np.isin(np.argsort(-(VECTORS_MANY @ VECTORS_MANY[7]))[:10], rows).sum() >= 9


class TestProposed:
    def test_it_agrees_with_the_scan(self, quick: Nearest, monkeypatch: pytest.MonkeyPatch) -> None:
        plain, found = Nearest(VECTORS_MANY), 0
        expected = [plain.search(VECTORS_MANY[row], 10) for row in range(50)]
        monkeypatch.setattr(Nearest, "_scanned", None)
        monkeypatch.setattr("crossmodal.index.nearest.SWEPT", 1)
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
        monkeypatch.setattr("crossmodal.index.nearest.BITS", 64)
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

    @pytest.mark.parametrize("kind", ["rabitq", "ivf"])
    def test_another_file_is_refused(self, kind: str, tmp_path: Path) -> None:
        write_proposer(tmp_path / "p", VECTORS_MANY, kind)
        with pytest.raises(IndexStoreError, match=r"searches 6,000 × 64, not 5,999 × 64"):
            read_proposer(tmp_path / "p", (5999, 64))
        (tmp_path / "p").write_bytes((tmp_path / "p").read_bytes()[:1000])
        with pytest.raises(IndexStoreError, match="cannot be read by FAISS"):
            read_proposer(tmp_path / "p", (6000, 64))
        import faiss

        faiss.write_index(faiss.IndexFlatIP(64), str(tmp_path / "flat"))
        with pytest.raises(IndexStoreError, match="searches 0 × 64"):
            read_proposer(tmp_path / "flat", (6000, 64))


def test_bytes_that_vanish_while_they_are_read_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_proposer(tmp_path / "p", VECTORS_MANY, "ivf")

    def vanished(*_: object) -> None:
        raise FileNotFoundError("gone")

    monkeypatch.setattr(np, "memmap", vanished)
    with pytest.raises(IndexStoreError, match=r"p\.bytes cannot be read: gone"):
        read_proposer(tmp_path / "p", VECTORS_MANY.shape, bytes_beside(tmp_path / "p"))


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
        again = Nearest(rows, quick._index)
        for row in range(5):
            expected, mine = (each.search(VECTORS_MANY[row], 9) for each in (quick, again))
            assert mine[0].tolist() == expected[0].tolist()
            assert mine[1].tolist() == expected[1].tolist()


def test_the_size_decides(tmp_path: Path) -> None:
    assert [plan_search(count, 512).kind for count in (7_000, 31_000, 62_000, 155_000)] == [
        "exact", "rabitq", "rabitq", "ivf",
    ]  # fmt: skip
    assert plan_search(1_000_000, 256).bytes <= 0.4 * 1_000_000 * 256 * 4
    assert write_proposer(tmp_path / "p", VECTORS) == []


def test_a_query_keeps_one_thread_busy_and_leaves_their_number_as_it_was() -> None:
    class Watched:
        def search(self, queries: Vectors, count: int) -> tuple[Vectors, Any]:
            threads.append(faiss.omp_get_max_threads())
            if count == 13:
                raise RuntimeError("broken")
            return np.zeros((len(queries), count), np.float32), np.zeros((len(queries), count), np.int64)

    threads: list[int] = []
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(3)
    try:
        ask(Watched(), np.ones(4, dtype=np.float32), 2, 5)
        with pytest.raises(RuntimeError, match="broken"):
            ask(Watched(), np.ones(4, dtype=np.float32), 2, 13)
        assert (threads, faiss.omp_get_max_threads()) == ([1, 1], 3)
    finally:
        faiss.omp_set_num_threads(before)
