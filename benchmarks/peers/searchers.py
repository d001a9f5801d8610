"""Ways to find the nearest that are not ours: scans, graphs, and clip-retrieval's service.

Shapes: N vectors, D embedding, Q queries.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.knn_service import KnnService

__all__ = ["Answer", "Ask", "Method", "hnswlib", "scans", "services", "usearch"]

Vectors = NDArray[np.float32]
Answer = Callable[[Vectors], Any]
Ask = Callable[[Answer], float]
TOP = 10


@dataclass
class Method:
    """One way to search. answer: a query (D,) → rows. bytes: in memory, of what it searches.

    together: all queries (Q, D) at once, if it has its own way for that. breadth: of a graph's search, else 0. times:
    (rounds, Q) in seconds. rates: queries a second, by round.
    """

    name: str
    answer: Answer
    build: float
    bytes: int
    together: Answer | None = None
    breadth: int = 0
    recall: float = 0.0
    times: list[list[float]] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    def time_each(self, asked: Vectors) -> None:
        """Every query once, one after another."""
        self.times.append([])
        for query in asked:
            started = time.perf_counter()
            self.answer(query)
            self.times[-1].append(time.perf_counter() - started)

    def time_all(self, asked: Vectors) -> None:
        """All queries as fast as they can be answered: at once, or by as many threads as there are cores."""
        started = time.perf_counter()
        if self.together is not None:
            self.together(asked)
        else:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                list(pool.map(self.answer, asked))
        self.rates.append(len(asked) / (time.perf_counter() - started))


def scans(vectors: Vectors) -> Iterator[Method]:
    """Methods that look at everything."""
    import faiss
    import torch

    wanted = min(TOP, len(vectors))
    started = time.perf_counter()
    flat = faiss.IndexFlatIP(vectors.shape[1])
    flat.add(vectors)
    build = time.perf_counter() - started
    yield Method(
        "FAISS Flat", lambda query: flat.search(query[None], wanted)[1][0], build, vectors.nbytes,
        lambda asked: flat.search(asked, wanted)[1],
    )  # fmt: skip
    last = max(len(vectors) - TOP, 0)
    yield Method("numpy", lambda query: np.argpartition(vectors @ query, last)[last:], 0.0, vectors.nbytes)
    tensor = torch.from_numpy(vectors)
    yield Method(
        "torch matmul + topk", lambda query: (tensor @ torch.from_numpy(query)).topk(wanted).indices,
        0.0, vectors.nbytes, lambda asked: (torch.from_numpy(asked) @ tensor.T).topk(wanted).indices,
    )  # fmt: skip


def hnswlib(vectors: Vectors, ask: Ask, wanted: float, breadths: Sequence[int]) -> Method:
    """A graph in fp32, with the least breadth of search that reaches the recall wanted."""
    package: Any = import_module("hnswlib")
    threads = os.cpu_count() or 1
    started = time.perf_counter()
    graph = package.Index(space="ip", dim=vectors.shape[1])
    graph.init_index(max_elements=len(vectors), M=32, ef_construction=100)
    graph.add_items(vectors, num_threads=threads)
    build = time.perf_counter() - started
    graph.set_num_threads(1)

    def by_hnswlib(query: Vectors) -> Any:
        return graph.knn_query(query, TOP, num_threads=1)[0][0].astype(np.int64)

    breadth = next((b for b in breadths if graph.set_ef(b) or ask(by_hnswlib) >= wanted), breadths[-1])
    return Method(
        f"hnswlib M 32, ef {breadth}", by_hnswlib, build, int(graph.index_file_size()),
        lambda asked: graph.knn_query(asked, TOP, num_threads=threads), breadth,
    )  # fmt: skip


def usearch(vectors: Vectors, ask: Ask, wanted: float, breadths: Sequence[int]) -> Method:
    """A graph in fp16, with the least breadth of search that reaches the recall wanted."""
    package: Any = import_module("usearch.index")
    threads = os.cpu_count() or 1
    started = time.perf_counter()
    graph = package.Index(ndim=vectors.shape[1], metric="ip", dtype="f16", connectivity=32, expansion_add=100)
    graph.add(np.arange(len(vectors)), vectors, threads=threads)
    build = time.perf_counter() - started

    def by_usearch(query: Vectors) -> Any:
        return graph.search(query, TOP, threads=1).keys.astype(np.int64)

    for breadth in breadths:
        graph.expansion_search = breadth
        if ask(by_usearch) >= wanted:
            break
    return Method(
        f"usearch f16, {graph.expansion_search}", by_usearch, build, int(graph.memory_usage),
        lambda asked: graph.search(asked, TOP, threads=threads), int(graph.expansion_search),
    )  # fmt: skip


def services(vectors: Vectors, breadth: int) -> Iterator[tuple[Method, KnnService]]:
    """clip-retrieval's service, by HTTP: with the index that its own command makes, and with FAISS's HNSW; running."""
    for graph in (None, breadth):
        service = KnnService(vectors, graph)  # started by whoever asks for the next one, ended by the caller

        def answer(query: Vectors, service: KnnService = service) -> NDArray[np.int64]:
            return service.ask(query, TOP)

        yield Method(f"KNN service, {service.kind}", answer, service.built, service.bytes), service
