"""How fast are the ten nearest found, and how many of them? Ours beside FAISS Flat, numpy, torch, usearch, hnswlib and
clip-retrieval's KNN service.

    OMP_NUM_THREADS=1 python -m benchmarks.search_speed --sizes 31000x1024 155000x512 --index indexes/flickr8k

Made vectors are nested clusters (items in fives, topics of 150, fields of 2,000) in a falling spectrum; queries are
items pushed away and shifted by a gap between modalities. Chosen so that spectrum, cosines of the nearest, and the
share of k-means cells that must be probed agree with the starter's vectors of Flickr8k. Real ones: all captions of
an index; a tenth of them asked for pictures, and pictures asked for captions. Peers: `python -m benchmarks.peers`;
graphs take the first --breadth that reaches the recall asked for, and the service's HNSW what hnswlib took. Every
method answers every query once a round, one by one for p50 and p99, then all of them for queries a second: at once
where it has a way for that (FAISS Flat, torch, graphs), else by one thread a core. The service (--service) is asked by
HTTP, vectors as JSON.

Shapes: N vectors, D embedding, Q queries.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import add_to_path, lacking
from benchmarks.peers.searchers import TOP, Answer, Method, hnswlib, scans, services, usearch
from crossmodal.errors import CrossmodalError
from crossmodal.index import Vectors, open_index
from crossmodal.index.ann.files import read_proposer, rows_to_fetch, write_proposer
from crossmodal.index.ann.nearest import Nearest
from crossmodal.index.ann.plan import plan_search
from crossmodal.index.vectors import read_vectors, write_vectors

Rows = NDArray[np.int64]
VECTORS, QUERIES, SET = "vectors.npy", "queries.npy", "images"  # names in a folder
LEVELS = ((2000, 0.30), (150, 0.30), (5, 0.20))  # members of a cluster, and its share of the variance
REST, NOISE, GAP, COMMON, FALL, BLOCK = 0.20, 0.9, 0.4, 0.2, 10, 50_000


def made_vectors(count: int, dimension: int, queries: int, seed: int = 0) -> tuple[Vectors, Vectors]:
    """Unit vectors (N, D) and queries (Q, D), as the docstring above says."""
    generator = np.random.default_rng(seed)
    spectrum = 1 / (1 + np.arange(dimension) / FALL)
    spectrum = (spectrum / np.linalg.norm(spectrum)).astype(np.float32)

    def noise(rows: int, size: float) -> Vectors:
        drawn = generator.standard_normal((rows, dimension), dtype=np.float32)
        return np.asarray(drawn * spectrum * np.float32(size), dtype=np.float32)

    common = noise(1, COMMON)
    tables = [noise(max(count // members, 1), share**0.5) for members, share in LEVELS]
    order = generator.permutation(count)
    vectors = np.empty((count, dimension), dtype=np.float32)
    for start in range(0, count, BLOCK):
        items = order[start : start + BLOCK]
        rows = common + noise(len(items), REST**0.5)
        for (members, _), table in zip(LEVELS, tables, strict=True):
            rows += table[np.minimum(items // members, len(table) - 1)]
        vectors[start : start + BLOCK] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    gap = noise(1, 1.0)
    asked = vectors[generator.integers(count, size=queries)] + noise(queries, NOISE) + GAP * gap / np.linalg.norm(gap)
    return vectors, np.asarray(asked / np.linalg.norm(asked, axis=1, keepdims=True), dtype=np.float32)


def truth(vectors: Vectors, asked: Vectors) -> Vectors:
    """The tenth best cosine of each query, (Q,): a row is right if it reaches it, so that equals count."""
    wanted = min(TOP, len(vectors))
    tenth = [np.partition(vectors @ query, len(vectors) - wanted)[len(vectors) - wanted] for query in asked]
    return np.array(tenth, dtype=np.float32)


def recall(vectors: Vectors, asked: Vectors, tenth: Vectors, answer: Answer) -> float:
    """Share of the ten nearest that are found, in [0, 1]."""
    found = 0
    for query, least in zip(asked, tenth, strict=True):
        rows = np.unique(np.asarray(answer(query)))[:TOP]
        found += int((vectors[rows[rows >= 0]] @ query >= least - 1e-6).sum())
    return found / (len(asked) * min(TOP, len(vectors)))


def ours(vectors: Vectors, folder: Path) -> Iterator[Method]:
    """What an index of this size is built with, written to a folder and read back; its estimate goes to stderr."""
    plan = plan_search(*vectors.shape)
    print(f"expected: {plan}", file=sys.stderr)
    write_vectors(folder / VECTORS, [vectors], *vectors.shape)
    started = time.perf_counter()
    written = write_proposer(folder, SET, vectors)
    build = time.perf_counter() - started
    size = sum((folder / name).stat().st_size for name in written)
    nearest = opened(folder, vectors.shape)
    yield Method(f"ours: {plan.kind}", lambda query: nearest.search(query, TOP)[0], build, size)


def opened(folder: Path, shape: Sequence[int]) -> Nearest:
    """Vectors and what proposes, from their files, as an opened index has them."""
    rows = rows_to_fetch(read_vectors(folder / VECTORS, *shape), folder / VECTORS)
    return Nearest(rows, read_proposer(folder, SET, tuple(shape)) if any(folder.glob("*.faiss")) else None)


def compare(vectors: Vectors, asked: Vectors, folder: Path, options: argparse.Namespace) -> list[Method]:
    """Build all, ours in a folder, then let them take turns."""
    tenth = truth(vectors, asked)

    def ask(answer: Answer) -> float:
        return recall(vectors, asked, tenth, answer)

    methods = [*ours(vectors, folder), *scans(vectors)]
    add_to_path("graphs")
    if len(vectors) <= options.graphs and find_spec("usearch") and find_spec("hnswlib"):
        methods += [graph(vectors, ask, options.wanted, options.breadth) for graph in (hnswlib, usearch)]
    elif options.graphs:
        print(f"left out: {lacking('graphs') or f'graphs of more than {options.graphs:,} rows'}", file=sys.stderr)
    with ExitStack() as running:
        why = lacking("clip-retrieval")
        if options.service and not why:
            breadth = next((method.breadth for method in methods if method.breadth), options.breadth[0])
            for method, service in services(vectors, breadth):
                methods.append(method)
                running.callback(service.close)
        elif options.service:
            print(f"left out: {why}", file=sys.stderr)
        for method in methods:
            method.recall = ask(method.answer)
            method.time_all(asked[:20])  # to warm up
            method.rates.clear()
        for _ in range(options.rounds):
            for method in methods:
                method.time_each(asked)
            for method in methods:
                method.time_all(asked)
    return methods


def table(methods: Sequence[Method]) -> str:
    """A row a method: the median over rounds with the least and the most."""
    lines = ["| | p50 ms | p99 ms | queries/s | recall@10 | build s | memory MB |", "|---|---|---|---|---|---|---|"]
    for method in methods:
        p50, p99 = (np.percentile(np.array(method.times) * 1e3, share, axis=1) for share in (50, 99))
        rate, least, most = np.median(method.rates), min(method.rates), max(method.rates)
        lines.append(
            f"| {method.name} | {np.median(p50):.2f} ({p50.min():.2f}–{p50.max():.2f}) | {np.median(p99):.2f} "
            f"| {rate:,.0f} ({least:,.0f}–{most:,.0f}) | {method.recall:.4f} | {method.build:.2f} "
            f"| {method.bytes / 1e6:,.1f} |"
        )
    return "\n".join(lines)


def resident(folder: Path) -> str:
    """What a fresh process keeps in memory after searching mapped vectors: run by --resident."""

    def sizes() -> dict[str, int]:
        lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
        return {words[0]: int(words[1]) * 1024 for words in lines if words and words[0] in ("RssAnon:", "RssFile:")}

    import faiss

    asked, shape = np.load(folder / QUERIES), np.load(folder / VECTORS, mmap_mode="r").shape
    before = sizes() if faiss.__version__ else {}
    nearest = opened(folder, shape)
    for query in asked:
        nearest.search(query, TOP)
    own, mapped = (sizes()[name] - before[name] for name in ("RssAnon:", "RssFile:"))
    return (
        f"resident after {len(asked):,} queries: {own / 1e6:,.0f} MB of its own and {mapped / 1e6:,.0f} MB of the "
        f"mapped file, {100 * (own + mapped) / (4 * shape[0] * shape[1]):.0f} % of the raw vectors"
    )


def measure_resident(asked: Vectors, folder: Path) -> str:
    """`resident` in a process of its own, of what `ours` left in a folder."""
    np.save(folder / QUERIES, asked)
    command = [sys.executable, "-m", "benchmarks.search_speed", "--resident", str(folder)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def galleries(options: argparse.Namespace) -> Iterator[tuple[str, Vectors, Vectors]]:
    """Title, vectors and queries of each set asked for."""
    for size in options.sizes:
        count, dimension = map(int, size.split("x"))
        yield f"made, {count:,} × {dimension}", *made_vectors(count, dimension, options.queries, options.seed)
    if options.index is not None:
        index = open_index(options.index)
        generator = np.random.default_rng(options.seed)
        images, captions = index.image_vectors, index.caption_vectors
        for title, vectors, source in (("pictures", images, captions), ("captions", captions, images)):
            chosen = generator.choice(len(source), min(options.queries, len(source)), replace=False)
            yield f"real {title}, {len(vectors):,} × {vectors.shape[1]}", np.array(vectors), np.array(source[chosen])


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table a set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="*", default=["31000x1024", "155000x512"], metavar="NxD")
    parser.add_argument("--index", type=Path, metavar="DIR", help="real vectors beside the made ones")
    parser.add_argument("--queries", type=int, default=300, metavar="Q")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument(
        "--graphs", type=int, default=200_000, metavar="N", help="usearch and hnswlib up to so many rows"
    )
    parser.add_argument("--service", action="store_true", help="clip-retrieval's KNN service too")
    parser.add_argument("--wanted", type=float, default=0.995, metavar="RECALL", help="of the graphs")
    parser.add_argument("--breadth", type=int, nargs="+", default=[64, 128, 256, 512, 1024], metavar="EF")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--resident", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.resident is not None:
        print(resident(options.resident))
        return 0
    try:
        for title, vectors, asked in galleries(options):
            with tempfile.TemporaryDirectory() as name:
                methods = compare(vectors, asked, Path(name), options)
                print(f"\n**{title}**\n\n{table(methods)}", flush=True)
                kept = measure_resident(asked, Path(name))
            if plan_search(*vectors.shape).kind != "exact":
                print(f"\n{kept}", flush=True)
    except CrossmodalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    print(
        f"\n{options.queries} queries, {options.rounds} rounds in turn, OMP_NUM_THREADS {threads}, seed {options.seed}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
