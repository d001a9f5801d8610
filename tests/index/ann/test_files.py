"""What proposes neighbours, as it is stored: chosen by size, read as it was written, anything else refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from crossmodal.errors import IndexStoreError
from crossmodal.index.ann.faiss_files import one_thread
from crossmodal.index.ann.files import SearchFiles, read_proposer, write_proposer
from crossmodal.index.ann.ivf import Cells, probed
from crossmodal.index.ann.plan import plan_search
from tests.fakes import clustered_vectors

VECTORS = clustered_vectors(6000, 64)


@pytest.fixture(scope="module", params=["rabitq", "ivf"])
def stored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what searches VECTORS; not to be changed."""
    folder: Path = tmp_path_factory.mktemp(request.param)
    write_proposer(folder, "images", VECTORS, request.param)
    return folder


@pytest.fixture(scope="module")
def in_cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those that search by cells; not to be changed."""
    folder: Path = tmp_path_factory.mktemp("cells")
    write_proposer(folder, "images", VECTORS, "ivf")
    return folder


@pytest.fixture
def spare(in_cells: Path, tmp_path: Path) -> Path:
    """A copy of it that may be changed."""
    return Path(shutil.copytree(in_cells, tmp_path / "spare"))


def cells(folder: Path) -> Cells:
    found = read_proposer(folder, "images", VECTORS.shape)
    assert isinstance(found, Cells)
    return found


def test_the_size_decides(tmp_path: Path) -> None:
    assert [plan_search(count, 512).kind for count in (7_000, 31_000, 62_000, 155_000)] == [
        "exact", "rabitq", "rabitq", "ivf",
    ]  # fmt: skip
    assert plan_search(1_000_000, 256).bytes <= 0.4 * 1_000_000 * 256 * 4
    assert write_proposer(tmp_path, "images", VECTORS) == ()


@pytest.mark.parametrize("kind", ["rabitq", "ivf"])
def test_where_nothing_can_be_written_is_an_error_of_the_disk(tmp_path: Path, kind: str) -> None:
    with pytest.raises(OSError, match="absent"):
        write_proposer(tmp_path / "absent", "images", VECTORS, kind)


def test_what_is_built_again_has_the_same_files_and_bytes(stored: Path, tmp_path: Path) -> None:
    names = write_proposer(tmp_path, "images", VECTORS, "ivf" if (stored / "images.steps.npy").exists() else "rabitq")
    first, again = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in (stored, tmp_path))
    assert sorted(names) == sorted(again)
    assert first == again


def test_a_byte_is_off_by_half_a_step_at_most(in_cells: Path) -> None:
    found = cells(in_cells)
    least = VECTORS.min(0)
    assert np.abs(least + found.numbers * found.steps - VECTORS).max() <= 0.51 * found.steps.max()
    assert not found.numbers.flags.writeable


def test_a_column_of_one_value_has_bytes_too(tmp_path: Path) -> None:
    vectors = VECTORS.copy()
    vectors[:, 3] = 0.25
    write_proposer(tmp_path, "images", vectors, "ivf")
    found = read_proposer(tmp_path, "images", vectors.shape)
    assert 7 in found.search(vectors[7], 400)[1][:3]


def test_a_code_holds_a_strong_direction_and_a_weak_one(in_cells: Path) -> None:
    index: Any = cells(in_cells).codes
    transform: Any = faiss.downcast_VectorTransform(index.chain.at(0))
    turn = faiss.vector_to_array(transform.A).reshape(-1, 64)
    assert np.allclose(turn @ turn.T, np.eye(len(turn)), atol=1e-5)
    strengths = (VECTORS @ turn.T).var(0).reshape(-1, 2)
    first = np.sort(strengths.max(1))[::-1]
    assert (strengths.max(1) > strengths.min(1)).all()
    assert first[-1] > strengths.min(1).max()


def test_rows_that_bytes_put_just_behind_the_hits_are_looked_at_too(in_cells: Path) -> None:
    worth = cells(in_cells).worth
    assert worth(1) > 30
    assert worth(10) > 40
    assert worth(800) == 900


def test_of_few_cells_a_larger_share_is_looked_through() -> None:
    assert probed(4) == 4
    assert probed(400) / 400 > 0.1
    assert probed(1574) == 180
    assert probed(4000) == 4000 // 22


def test_what_cells_propose_is_put_in_order_by_bytes_each_row_once(in_cells: Path) -> None:
    scores, rows = cells(in_cells).search(VECTORS[7], 400)
    products = VECTORS[rows] @ VECTORS[7]
    assert len(np.unique(rows)) == len(rows) >= 200
    assert rows[0] == 7
    assert (np.diff(scores) <= 0).all()
    assert np.abs(products - scores - (products - scores).mean()).max() < 0.01  # alike up to a constant
    assert np.isin(np.argsort(-(VECTORS @ VECTORS[7]))[:10], rows).sum() >= 9


def test_files_of_other_vectors_are_refused(stored: Path) -> None:
    with pytest.raises(IndexStoreError, match=r"searches 6,000 × 64, not 5,999 × 64"):
        read_proposer(stored, "images", (5999, 64))


def test_files_that_are_cut_short_or_something_else_are_refused(stored: Path, tmp_path: Path) -> None:
    path = tmp_path / "images.faiss"
    path.write_bytes((stored / "images.faiss").read_bytes()[:1000])
    with pytest.raises(IndexStoreError, match="cannot be read by FAISS"):
        read_proposer(tmp_path, "images", (6000, 64))
    faiss.write_index(faiss.IndexFlatIP(64), str(path))
    with pytest.raises(IndexStoreError, match="holds IndexFlatIP, which nothing here searches by"):
        read_proposer(tmp_path, "images", (6000, 64))


@pytest.mark.parametrize("name", ["images.bytes.npy", "images.steps.npy"])
def test_bytes_of_another_shape_are_refused_and_so_are_absent_ones(spare: Path, name: str) -> None:
    path = spare / name
    np.save(path, np.load(path)[:-1])
    with pytest.raises(IndexStoreError, match=rf"{name} holds \w+ \(.*not \w+ \("):
        read_proposer(spare, "images", VECTORS.shape)
    path.unlink()
    with pytest.raises(IndexStoreError, match=f"{name} cannot be read"):
        read_proposer(spare, "images", VECTORS.shape)


def test_an_index_of_the_former_format_is_scanned_until_it_is_built_again(
    spare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossmodal.index.ann.plan.SCANNED", 0)
    for name in ("images.bytes.npy", "images.steps.npy"):
        (spare / name).unlink()
    (spare / "images.bytes.faiss").write_bytes(b"IxSQ")
    former = SearchFiles(spare, {"images": VECTORS}, {"images.faiss", "images.bytes.faiss"})
    assert former.proposer("images") is None
    assert former.lacking >= {"images.faiss", "images.bytes.npy", "images.steps.npy"}


def test_a_query_keeps_one_thread_busy_and_leaves_their_number_as_it_was() -> None:
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(3)
    try:
        with one_thread():
            assert faiss.omp_get_max_threads() == 1
        with pytest.raises(RuntimeError, match="broken"), one_thread():
            raise RuntimeError("broken")
        assert faiss.omp_get_max_threads() == 3
    finally:
        faiss.omp_set_num_threads(before)
