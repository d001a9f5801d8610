"""clip-retrieval's KNN service over vectors of ours: its commands `index` and `back`, and questions by HTTP."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import cache, program, python_of
from benchmarks.peers.network import WEIGHTS, make_network
from benchmarks.peers.running import TAIL, run
from crossmodal.errors import InputError

__all__ = ["KnnService", "registered_model"]

Vectors = NDArray[np.float32]
PATIENCE = 180.0  # seconds for the service to start


def registered_model(python: Path) -> Path:
    """The folder with our EfficientNet-B0 as open_clip knows it, written unless it is there."""
    network = make_network(cache().with_name("efficientnet_b0"))
    folder = network / "open_clip"
    if not (folder / "crossmodal-b0.pt").is_file():
        run([str(python), program("open_clip_model"), str(network / WEIGHTS), str(folder)])
    return folder


class KnnService:
    """A running service; ask it for the nearest of a query. Ends with the `with` block.

    graph: breadth of search of an HNSW index of FAISS's to serve; None: what `clip-retrieval index` makes. built:
    seconds of building. kind: of the index. bytes: of its file.

    Raises InputError if the peer is not installed, cannot index or does not start.
    """

    def __init__(self, vectors: Vectors, graph: int | None = None) -> None:
        python = python_of("clip-retrieval")
        if python is None:
            raise InputError("clip-retrieval is not installed: `python -m benchmarks.peers clip-retrieval`")
        self._model = registered_model(python)
        self._command = [str(python), program("clip_retrieval_command"), str(self._model)]
        self._folder = Path(tempfile.mkdtemp(prefix="knn-service-"))
        self._index = self._folder / "index"
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self.built, self.kind = self._build(vectors, graph)
            self.bytes = (self._index / "image.index").stat().st_size
            self._port = _free_port()
            self._start()
        except BaseException:
            self.close()
            raise

    def _build(self, vectors: Vectors, graph: int | None) -> tuple[float, str]:
        pyarrow: Any = import_module("pyarrow")
        parquet: Any = import_module("pyarrow.parquet")
        metadata = self._folder / "vectors" / "metadata"
        metadata.mkdir(parents=True)
        captions = pyarrow.table({"caption": [f"caption {row}" for row in range(len(vectors))]})
        parquet.write_table(captions, metadata / "metadata_0.parquet")
        if graph is not None:
            return self._build_graph(vectors, graph, metadata)
        (self._folder / "vectors" / "img_emb").mkdir()
        np.save(self._folder / "vectors" / "img_emb" / "img_emb_0.npy", vectors)
        started = time.perf_counter()
        folders = [f"--embeddings_folder={self._folder / 'vectors'}", f"--index_folder={self._index}"]
        run([*self._command, "index", *folders])
        built = time.perf_counter() - started
        about = json.loads((self._index / "image.json").read_text())
        return built, f"{about.get('index_key', '?')} {about.get('index_param', '')}".strip()

    def _build_graph(self, vectors: Vectors, breadth: int, metadata: Path) -> tuple[float, str]:
        import faiss

        started = time.perf_counter()
        index = faiss.IndexHNSWFlat(vectors.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction, index.hnsw.efSearch = 100, breadth
        index.add(vectors)
        built = time.perf_counter() - started
        self._index.mkdir()
        faiss.write_index(index, str(self._index / "image.index"))
        shutil.copytree(metadata, self._index / "metadata")
        return built, f"HNSW32 efSearch={breadth}"

    def _start(self) -> None:
        (self._folder / "indices.json").write_text(json.dumps({"ours": str(self._index)}))
        options = [
            f"--indices_paths={self._folder / 'indices.json'}", f"--port={self._port}", "--use_jit=False",
            f"--clip_model=open_clip:crossmodal-b0/{self._model}/crossmodal-b0.pt", "--enable_mclip_option=False",
            "--provide_aesthetic_embeddings=False", '--columns_to_return=["caption"]',
        ]  # fmt: skip
        log = self._folder / "log"
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [*self._command, "back", *options], stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                env=os.environ | {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}, start_new_session=True,
            )  # fmt: skip
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self._process.poll() is None:
            try:
                self._request("GET", "/indices-list")
                return
            except (OSError, InputError):
                time.sleep(0.2)
        raise InputError(f"clip-retrieval's service did not start: …{log.read_text(errors='replace')[-TAIL:].strip()}")

    def _request(self, way: str, path: str, body: str | None = None) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            connection.request(way, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise InputError(f"clip-retrieval's service answered {answer.status}: {content[:200]!r}")
        return content

    def ask(self, query: Vectors, count: int) -> NDArray[np.int64]:
        """The rows of the nearest `count`."""
        body: dict[str, Any] = {"embedding_input": query.tolist(), "modality": "image", "num_images": count}
        answer = json.loads(self._request("POST", "/knn-service", json.dumps(body | {"indice_name": "ours"})))
        return np.array([item["id"] for item in answer], dtype=np.int64)

    def seconds_in_index(self) -> float:
        """What the service itself says that its index took for a query, in seconds, on average until now."""
        text = self._request("GET", "/metrics/").decode()
        found = dict(re.findall(r"^knn_index_time_(sum|count) (\S+)$", text, re.MULTILINE))
        return float(found["sum"]) / max(float(found["count"]), 1.0)

    def close(self) -> None:
        """Stop the service and remove its files."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> KnnService:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
