"""The other ways to search that benchmarks compare with ours, on sets that take no time."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import search_speed
from benchmarks.peers import knn_service, searchers
from crossmodal.errors import InputError

Output = pytest.CaptureFixture[str]


@pytest.fixture
def no_peers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


class TestMethods:
    def test_scans_find_the_nearest_one_by_one_and_together(self) -> None:
        vectors, asked = search_speed.made_vectors(300, 16, 4)
        right = np.sort(np.argsort(-(asked @ vectors.T), axis=1)[:, :10], axis=1)
        for method in searchers.scans(vectors):
            assert [np.sort(np.asarray(method.answer(query))).tolist() for query in asked] == right.tolist()
            if method.together is not None:
                assert np.sort(np.asarray(method.together(asked)), axis=1).tolist() == right.tolist()

    def test_each_query_has_a_time_and_each_round_a_rate(self) -> None:
        seen: list[int] = []
        method = searchers.Method("one", lambda query: seen.append(len(query)), 0.0, 0)
        asked = np.zeros((3, 5), np.float32)
        method.time_each(asked)
        method.time_all(asked)
        assert seen == [5] * 6
        assert ([len(times) for times in method.times], len(method.rates)) == ([3], 1)
        whole = searchers.Method("two", pytest.fail, 0.0, 0, lambda queries: seen.append(queries.size))
        whole.time_all(asked)
        assert seen[-1] == 15

    @pytest.mark.usefixtures("no_peers")
    def test_what_is_absent_is_left_out_with_a_reason(self, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
        monkeypatch.setattr(search_speed, "find_spec", lambda _: None)
        options = ["--sizes", "50x8", "--queries", "2", "--rounds", "1", "--service"]
        assert search_speed.main(options) == 0
        said = capsys.readouterr()
        assert "left out: graphs is not installed" in said.err
        assert "left out: clip-retrieval is not installed" in said.err
        assert [line.count("|") for line in said.out.splitlines() if line.startswith("| FAISS Flat")] == [8]


class _Service(BaseHTTPRequestHandler):
    """Answers as clip-retrieval's service does."""

    def do_GET(self) -> None:
        self._answer(b"knn_index_time_count 4.0\nknn_index_time_sum 0.1\nother_sum 3.0\n", 200)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert (asked["modality"], asked["indice_name"]) == ("image", "ours")
        order = np.argsort(asked["embedding_input"])[::-1][: asked["num_images"]]
        code = 500 if asked["embedding_input"][0] > 5 else 200
        self._answer(json.dumps([{"id": int(row), "similarity": 0.5} for row in order]).encode(), code)

    def _answer(self, content: bytes, code: int) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Silent."""


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[knn_service.KnnService]:
    """A KnnService whose process is a stand-in in this one."""
    server = HTTPServer(("127.0.0.1", 0), _Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def build(self: knn_service.KnnService, vectors: Any, graph: int | None) -> tuple[float, str]:
        self._index.mkdir()
        (self._index / "image.index").write_bytes(bytes(len(vectors)))
        return 1.5, f"graph {graph}"

    monkeypatch.setattr(knn_service, "python_of", lambda _: Path("python"))
    monkeypatch.setattr(knn_service, "registered_model", lambda _: tmp_path)
    monkeypatch.setattr(knn_service, "_free_port", lambda: server.server_port)
    monkeypatch.setattr(knn_service.KnnService, "_build", build)
    monkeypatch.setattr(knn_service.KnnService, "_start", lambda _: None)
    with knn_service.KnnService(np.eye(7, dtype=np.float32)) as running:
        yield running
    server.shutdown()
    server.server_close()


class TestKnnService:
    def test_it_is_asked_by_http(self, service: knn_service.KnnService) -> None:
        assert service.ask(np.array([0.1, 0.9, 0.5], np.float32), 2).tolist() == [1, 2]
        assert service.seconds_in_index() == pytest.approx(0.025)
        assert (service.built, service.bytes, service.kind) == (1.5, 7, "graph None")
        with pytest.raises(InputError, match="clip-retrieval's service answered 500"):
            service.ask(np.array([9.0], np.float32), 1)

    @pytest.mark.usefixtures("service")
    def test_two_of_them_take_part(self) -> None:
        found = [(method, running) for method, running in searchers.services(np.eye(7, dtype=np.float32), 64)]
        try:
            assert [method.name for method, _ in found] == ["KNN service, graph None", "KNN service, graph 64"]
            assert found[1][0].answer(np.array([0.0, 1.0], np.float32)).tolist() == [1, 0]
        finally:
            for _, running in found:
                running.close()
