"""The nearest rows: exact scores, equal ones in the order of rows, any count."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from crossmodal.index import Vectors
from crossmodal.index.nearest import Nearest, exact_cosines

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
