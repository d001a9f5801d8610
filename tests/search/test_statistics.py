"""Recall and speed of an index, and the advice that follows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import search_speed
from benchmarks.peers import searchers
from crossmodal import cli
from crossmodal.index import Vectors, build_index, open_index
from crossmodal.index.ann.nearest import Nearest
from crossmodal.search.statistics import _advice, measure_search, search_statistics
from tests.fakes import FakeEncoder, paint_many

Output = pytest.CaptureFixture[str]


class Forgetful(Nearest):
    """Overlooks every second row."""

    def search(self, query: Vectors, k: int, allowed: object = None) -> tuple[np.ndarray, np.ndarray]:
        del allowed
        return super().search(query, k, np.arange(self._vectors.shape[0]) % 2 == 0)


@pytest.fixture
def index(tmp_path: Path) -> Path:
    captions = paint_many(tmp_path / "photos", 30)
    build_index(tmp_path / "photos", captions, FakeEncoder(), tmp_path / "index")
    return tmp_path / "index"


def test_what_a_search_overlooks_lowers_its_recall() -> None:
    vectors, _ = search_speed.made_vectors(400, 8, 1)
    asked = vectors[:40]
    assert measure_search("images", vectors, Nearest(vectors), asked, np.arange(40)).recall == 1.0
    assert measure_search("images", vectors, Forgetful(vectors), asked, np.arange(40)).recall == pytest.approx(
        0.5, abs=0.1
    )


def test_equals_count_whichever_is_found() -> None:
    vectors = np.ones((100, 4), dtype=np.float32)
    assert measure_search("images", vectors, Forgetful(vectors), vectors[:5]).recall == 1.0


def test_a_query_is_left_out_itself(index: Path) -> None:
    for stats in search_statistics(open_index(index), queries=1000):
        assert (stats.queries, stats.recall, stats.kind, stats.advice) == (60, 1.0, "exact", None)
        assert 0 < stats.p50 <= stats.p99


def test_pictures_ask_where_there_are_no_captions(index: Path) -> None:
    build_index(index.parent / "photos", None, FakeEncoder(), index.parent / "bare")
    (stats,) = search_statistics(open_index(index.parent / "bare"))
    assert (stats.which, stats.rows, stats.queries, stats.recall) == ("images", 30, 30, 1.0)


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        (("exact", "exact", 1.0, 1.0, 1.0), None),
        (("rabitq", "rabitq", 0.999, 0.4, 7.0), None),
        (("exact", "ivf", 1.0, 90.0, 90.0), "best searched by ivf, not exact: build it again"),
        (("ivf", "ivf", 0.9, 1.0, 90.0), "recall 0.9000 is below 0.98: build it again"),
        (("rabitq", "rabitq", 0.999, 2.0, 1.0), "a scan takes 1.00 ms and is exact"),
    ],
)
def test_advice_follows_from_the_figures(figures: tuple[str, str, float, float, float], said: str | None) -> None:
    advice = _advice(*figures)
    assert advice is None if said is None else said in str(advice)


def test_the_command_prints_a_line_a_set(index: Path, capsys: Output) -> None:
    assert cli.main(["index-stats", "--index", str(index), "--queries", "9"]) == 0
    header, images, captions, advice = capsys.readouterr().out.splitlines()
    assert [line.count("\t") for line in (header, images, captions)] == [7] * 3
    assert (images.split("\t")[:4], captions.split("\t")[1]) == (["images", "30", "exact", "1.0000"], "60")
    assert advice == "nothing to change"


def test_as_json_and_with_the_command_that_mends(index: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crossmodal.index.ann.plan.SCANNED", 10)
    assert cli.main(["index-stats", "--index", str(index)]) == 0
    assert "run `python -m crossmodal index --images" in capsys.readouterr().out
    assert cli.main(["index-stats", "--index", str(index), "--json"]) == 0
    assert [row["which"] for row in json.loads(capsys.readouterr().out)] == ["images", "captions"]


def test_adding_and_removing_keeps_the_recall(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crossmodal.index.ann.plan.SCANNED", 10)
    monkeypatch.setattr("crossmodal.index.ann.plan.FEWEST_DIMENSIONS", 1)
    for count in (40, 25):
        captions = paint_many(index.parent / "photos", count)
        for path in sorted((index.parent / "photos").iterdir())[count:]:
            path.unlink()
        build_index(index.parent / "photos", captions, FakeEncoder(), index, prune=True)
        for stats in search_statistics(open_index(index)):
            assert (stats.kind, stats.recall) == ("rabitq", 1.0)


def test_what_another_faiss_wrote_is_scanned_until_it_is_built_again(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossmodal.index.ann.plan.SCANNED", 0)
    monkeypatch.setattr("crossmodal.index.ann.plan.FEWEST_DIMENSIONS", 1)
    captions = paint_many(index.parent / "photos", 30)
    with monkeypatch.context() as patch:
        patch.setattr("crossmodal.index.ann.rabitq.TYPES", ("IndexOfTomorrow",))
        build_index(index.parent / "photos", captions, FakeEncoder(), index)
        assert open_index(index).nearest_images.kind == "exact"
        assert "images.faiss" in open_index(index).lacking
    build_index(index.parent / "photos", captions, FakeEncoder(), index)
    assert open_index(index).nearest_images.kind == "rabitq"
    assert not open_index(index).lacking


def test_no_queries_is_refused(index: Path, capsys: Output) -> None:
    assert cli.main(["index-stats", "--index", str(index), "--queries", "0"]) == 2
    assert "--queries must be at least 1, not 0" in capsys.readouterr().err


class TestBenchmark:
    @pytest.fixture(autouse=True)
    def no_peers(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def test_it_prints_a_table_a_set(self, index: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(search_speed, "find_spec", lambda _: None)
        options = ["--sizes", "300x16", "--queries", "5", "--rounds", "2", "--index", str(index)]
        assert search_speed.main(options) == 0
        said = capsys.readouterr().out
        assert [title in said for title in ("made, 300 × 16", "real pictures, 30", "real captions, 60")] == [True] * 3
        assert said.count("| ours: exact | ") == said.count("| numpy | ") == 3
        assert said.count("| 1.0000 |") == 12

    @pytest.mark.parametrize("name", ["hnswlib", "usearch"])
    def test_a_graph_takes_the_first_breadth_that_suffices(self, name: str) -> None:
        pytest.importorskip(name)
        vectors, asked = search_speed.made_vectors(500, 16, 5)
        tenth = search_speed.truth(vectors, asked)
        graph = getattr(searchers, name)(
            vectors, lambda way: search_speed.recall(vectors, asked, tenth, way), 0.9, [16, 400]
        )
        assert graph.name.startswith(name)
        assert graph.breadth == 16
        assert graph.bytes > 500 * 16 * 2

    def test_memory_is_that_of_a_process_of_its_own(self, tmp_path: Path) -> None:
        vectors, asked = search_speed.made_vectors(6000, 700, 3)
        (method,) = search_speed.ours(vectors, tmp_path)
        assert method.name == "ours: rabitq"
        assert "resident after 3 queries: " in search_speed.measure_resident(asked, tmp_path)

    def test_made_vectors_are_unit_and_queries_lie_beside_them(self) -> None:
        vectors, asked = search_speed.made_vectors(3000, 32, 50)
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(3000), abs=1e-5)
        assert (asked @ vectors.T).max(1).mean() < 0.9
