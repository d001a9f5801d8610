"""How do latency, build time and memory grow from a thousand items to a million? Ours beside FAISS Flat, as a plot.

    OMP_NUM_THREADS=1 python -m benchmarks.growth --save growth.json --plot assets/growth.png

Vectors are those of `benchmarks.search_speed`. For each size one process builds both and lets them answer the queries
in turn; then each of them searches in a fresh process whose memory is read. Ours maps its vectors from a file: what the
system keeps of that file in memory is its to take back, so it is counted apart. --save keeps what is measured, and goes
on from there.

Shapes: N items, D embedding, Q queries.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.peers.running import run
from benchmarks.peers.searchers import TOP, Method
from benchmarks.search_speed import QUERIES, VECTORS, made_vectors, opened, ours, recall, truth
from crossmodal.errors import CrossmodalError, InputError
from crossmodal.index.ann.plan import plan_search
from crossmodal.plots.canvas import blank, ink, paper, save_figure, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROOT = Path(__file__).resolve().parents[1]
SIZES = (1_000, 3_162, 10_000, 31_623, 100_000, 316_228, 1_000_000)
OURS, FLAT = "#2F6FDE", "#8A94A3"
KINDS = {"exact": "scan", "rabitq": "1-bit codes", "ivf": "cells"}


@dataclass(frozen=True)
class Point:
    """What one size showed. Latencies: (rounds,) medians in ms. Build in seconds, memory in bytes.

    needed: own memory, and codes or, where all vectors are scanned, those. kept: with all of the mapped files that the
    system keeps in memory. flat: FAISS Flat's own memory.
    """

    count: int
    kind: str
    ours_ms: list[float]
    flat_ms: list[float]
    recall: float
    ours_build: float
    flat_build: float
    needed: int = 0
    kept: int = 0
    flat: int = 0


def measure(count: int, dimension: int, queries: int, rounds: int, folder: Path) -> Point:
    """Build both, ask both in turn, and leave both in folder for `memory`."""
    import faiss

    vectors, asked = made_vectors(count, dimension, queries)
    (own,) = ours(vectors, folder)
    started = time.perf_counter()
    flat = faiss.IndexFlatIP(dimension)
    flat.add(vectors)
    flat_build = time.perf_counter() - started
    scan = Method("FAISS Flat", lambda query: flat.search(query[None], TOP)[1][0], flat_build, 0)
    found = recall(vectors, asked, truth(vectors, asked), own.answer)
    scan.time_each(asked[:20])
    scan.times.clear()
    for _ in range(rounds):
        for method in (own, scan):
            method.time_each(asked)
    np.save(folder / QUERIES, asked)
    faiss.write_index(flat, str(folder / "flat"))
    medians = [[float(np.median(times) * 1e3) for times in method.times] for method in (own, scan)]
    kind = plan_search(count, dimension).kind
    return Point(count, kind, medians[0], medians[1], found, own.build, flat_build)


def memory(folder: Path, method: str) -> dict[str, int]:
    """What searching adds to this process, in bytes: "own" memory, "mapped" files, and those "needed" to search."""
    import faiss

    asked, needed = np.load(folder / QUERIES), 0
    before = _held() if faiss.__version__ else {}
    if method == "flat":
        flat = faiss.read_index(str(folder / "flat"))
        for query in asked:
            flat.search(query[None], TOP)
    else:
        shape = np.load(folder / VECTORS, mmap_mode="r").shape
        nearest = opened(folder, shape)
        bytes_of_rows = sum(path.stat().st_size for path in folder.glob("*.bytes.npy"))
        needed = bytes_of_rows if nearest.kind != "exact" else 4 * shape[0] * shape[1]
        for query in asked:
            nearest.search(query, TOP)
    after = _held()
    own, mapped = (max(after[name] - before[name], 0) for name in ("RssAnon:", "RssFile:"))
    return {"own": own, "mapped": mapped, "needed": needed}


def _held() -> dict[str, int]:
    if sys.platform.startswith("linux"):
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # what was freed before must not be taken for what is needed now
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return {words[0]: int(words[1]) * 1024 for words in lines if words and words[0] in ("RssAnon:", "RssFile:")}


def grow(options: argparse.Namespace) -> list[Point]:
    """A point a size, each from processes of its own; those that --save holds already are not measured again."""
    saved: list[dict[str, Any]] = []
    if options.save is not None and options.save.is_file():
        saved = json.loads(options.save.read_text())
    points = {row["count"]: Point(**row) for row in saved}
    for count in options.sizes:
        if count in points:
            continue
        print(f"{count:,} × {options.dimension}: {plan_search(count, options.dimension)}", file=sys.stderr)
        with tempfile.TemporaryDirectory() as name:
            command = [sys.executable, "-m", "benchmarks.growth", "--sizes", str(count), "--child", name]
            settings = ["--dimension", str(options.dimension), "--queries", str(options.queries)]
            settings += ["--rounds", str(options.rounds)]
            said = run([*command, *settings], cwd=ROOT).said
            own, flat = (run([*command, "--memory", method], cwd=ROOT).said for method in ("ours", "flat"))
        needed, kept = own["own"] + min(own["needed"], own["mapped"]), own["own"] + own["mapped"]
        held = {"needed": needed, "kept": kept, "flat": flat["own"]}
        points[count] = Point(**(said | held))
        if options.save is not None:
            rows = [asdict(points[count]) for count in sorted(points)]
            options.save.write_text(json.dumps(rows, indent=1) + "\n")
    return [points[count] for count in sorted(points)]


def table(points: Sequence[Point]) -> str:
    """A row a size."""
    lines = [
        "| items | ours by | p50 ms | Flat | times faster | recall@10 | build s | needs MB | kept MB | Flat MB |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for point in points:
        ratios = [flat / ours for flat, ours in zip(point.flat_ms, point.ours_ms, strict=True)]
        lines.append(
            f"| {point.count:,} | {point.kind} | {_spread(point.ours_ms, 3)} | {_spread(point.flat_ms, 3)} "
            f"| {_spread(ratios, 1)} | {point.recall:.4f} | {point.ours_build:.1f} "
            f"| {point.needed / 1e6:,.1f} | {point.kept / 1e6:,.1f} | {point.flat / 1e6:,.1f} |"
        )
    return "\n".join(lines)


def _spread(values: Sequence[float], digits: int) -> str:
    return f"{np.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def draw(points: Sequence[Point], dimension: int, path: Path) -> None:
    """Three panels, both axes logarithmic. Raises InputError if path's suffix is of no picture format."""
    figure = blank(11.0, 3.7)
    left, middle, right = figure.subplots(1, 3)
    built = [point for point in points if point.kind != "exact"]
    _curve(left, points, [point.flat_ms for point in points], FLAT, "FAISS Flat")
    _curve(left, points, [point.ours_ms for point in points], OURS, "ours")
    _panel(left, "Milliseconds a query, median", "{:g} ms")
    _curve(middle, points, [[point.flat_build] for point in points], FLAT, "FAISS Flat")
    _curve(middle, built, [[point.ours_build] for point in built], OURS, "ours")
    _panel(middle, "Seconds to build", "{:g} s")
    _curve(right, points, [[point.flat / 1e6] for point in points], FLAT, "FAISS Flat")
    _curve(right, points, [[point.needed / 1e6] for point in points], OURS, "ours")
    _panel(right, "Megabytes that searching needs", "{:g} MB")
    for axes in (left, middle, right):
        _mark_changes(axes, points)
        titled(figure, axes, axes.get_title(loc="left"))
    figure.supxlabel(f"items of {dimension} numbers", fontsize=9, color=ink(False))
    save_figure(figure, path)


def _curve(axes: Axes, points: Sequence[Point], values: Sequence[Sequence[float]], colour: str, name: str) -> None:
    """Medians, the least and the most as a band, and the name to the right of the last point."""
    counts, middle = [point.count for point in points], [float(np.median(each)) for each in values]
    axes.fill_between(counts, [min(each) for each in values], [max(each) for each in values], color=colour, alpha=0.2)
    axes.plot(counts, middle, color=colour, linewidth=2, marker="o", markersize=4)
    if counts:
        at = (counts[-1], middle[-1])
        axes.annotate(name, at, xytext=(8, 0), textcoords="offset points", va="center", color=colour, fontsize=9)


def _panel(axes: Axes, title: str, unit: str) -> None:
    axes.set(xscale="log", yscale="log", facecolor=paper(False))
    axes.set_title(title, loc="left")
    axes.yaxis.set_major_formatter(lambda value, _: unit.format(value))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.minorticks_off()
    axes.margins(y=0.12)
    axes.grid(color=ink(False), alpha=0.1, linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)


def _mark_changes(axes: Axes, points: Sequence[Point]) -> None:
    """A faint line where ours changes its way, named at the bottom."""
    for before, after in pairwise(points):
        if before.kind != after.kind:
            at = (before.count * after.count) ** 0.5
            axes.axvline(at, color=OURS, alpha=0.35, linewidth=1, linestyle=(0, (2, 3)))
            axes.annotate(
                f" {KINDS[after.kind]}", (at, 0.02), xycoords=("data", "axes fraction"), color=OURS, fontsize=7,
            )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table and draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="N")
    parser.add_argument("--dimension", type=int, default=256, metavar="D")
    parser.add_argument("--queries", type=int, default=200, metavar="Q")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--save", type=Path, metavar="FILE", help="JSON with what is measured")
    parser.add_argument("--plot", type=Path, metavar="FILE")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--memory", choices=["ours", "flat"], help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    try:
        if options.memory:
            print(json.dumps(memory(options.child, options.memory)))
            return 0
        if options.child:
            settings = (options.dimension, options.queries, options.rounds, options.child)
            print(json.dumps(asdict(measure(options.sizes[0], *settings))))
            return 0
        if min(*options.sizes, options.queries, options.rounds) < 1:
            raise InputError("nothing to measure: sizes, --queries and --rounds must be at least 1")
        points = grow(options)
        if options.plot is not None:
            draw(points, options.dimension, options.plot)
    except CrossmodalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(table(points))
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    print(f"\n{options.queries} queries, {options.rounds} rounds in turn, OMP_NUM_THREADS {threads}, ", end="")
    print(f"D {options.dimension}; {os.cpu_count()} cores")
    return 0


if __name__ == "__main__":
    sys.exit(main())
