"""How well and how fast an index searches, measured on itself against a scan of everything.

Shapes: N rows, D embedding, Q queries.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from crossmodal.index.ann.nearest import Nearest
from crossmodal.index.ann.plan import plan_search
from crossmodal.index.store import Index
from crossmodal.inference.base import Vectors

__all__ = ["KEPT", "SearchStats", "measure_search", "search_statistics"]

TOP = 10
KEPT = {"exact": 1.0, "rabitq": 0.995, "ivf": 0.98}  # recall that a set of such a size is to keep


@dataclass(frozen=True)
class SearchStats:
    """Figures of one set.

    which: "images" or "captions".
    rows: N.
    dimension: D.
    kind: what proposes now.
    queries: how many were asked.
    recall: share of the ten nearest by a scan that were found, in [0, 1].
    p50: median time of a query in ms.
    p99: time in ms that 99 % of the queries stay within.
    scan_p50: median time of the scan beside it, in ms.
    bytes: expected in memory, beside the vectors.
    advice: what to change, None where nothing.
    """

    which: str
    rows: int
    dimension: int
    kind: str
    queries: int
    recall: float
    p50: float
    p99: float
    scan_p50: float
    bytes: int
    advice: str | None

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return asdict(self)


def search_statistics(index: Index, queries: int = 200, seed: int = 0) -> list[SearchStats]:
    """Measure pictures and, where there are any, captions.

    Queries are captions of the index; among captions each is left out itself. Without captions, pictures ask in their
    place and are left out, too.
    """
    captions = index.caption_vectors
    source = captions if len(captions) else index.image_vectors
    count = min(queries, len(source))
    chosen = (
        np.sort(np.random.default_rng(seed).choice(len(source), count, replace=False)) if count else np.empty(0, int)
    )
    asked = np.asarray(source[chosen])
    itself = None if len(captions) else chosen
    found = [measure_search("images", index.image_vectors, index.nearest_images, asked, itself)]
    if len(captions):
        found.append(measure_search("captions", captions, index.nearest_captions, asked, chosen))
    return found


def measure_search(which: str, vectors: Vectors, nearest: Nearest, asked: Vectors, itself: Any = None) -> SearchStats:
    """Ask each query of the set and of a scan, side by side.

    which: name of the set, for the figures.
    vectors: (N, D).
    nearest: searches them.
    asked: (Q, D), the queries.
    itself: (Q,), each query's own row among the vectors, left out; None where they are not among them.
    """
    plain = Nearest(vectors)
    wanted = min(TOP, len(vectors) - (itself is not None))
    hits, taken, scanned = 0, [], []
    for number, query in enumerate(asked):
        own = -1 if itself is None else int(itself[number])
        started = time.perf_counter()
        mine, scores = nearest.search(query, wanted + (own >= 0))
        between = time.perf_counter()
        theirs, best = plain.search(query, wanted + (own >= 0))
        taken.append(between - started)
        scanned.append(time.perf_counter() - between)
        worst = best[theirs != own][:wanted].min(initial=1.0)
        hits += int((scores[mine != own][:wanted] >= worst).sum())  # equals of the last count, whichever was found
    possible = wanted * len(asked)
    recall = hits / possible if possible else 1.0
    p50, p99 = (1e3 * float(np.percentile(taken, share)) if taken else 0.0 for share in (50, 99))
    scan = 1e3 * float(np.median(scanned)) if scanned else 0.0
    plan = plan_search(len(vectors), vectors.shape[1], nearest.kind)
    advice = _advice(nearest.kind, plan_search(len(vectors), vectors.shape[1]).kind, recall, p50, scan)
    return SearchStats(
        which, len(vectors), vectors.shape[1], nearest.kind, len(asked), recall, p50, p99, scan, plan.bytes, advice
    )


def _advice(kind: str, best: str, recall: float, p50: float, scan: float) -> str | None:
    """What to change, in words; None where the figures hold."""
    if kind != best:
        return f"this size is best searched by {best}, not {kind}: build it again"
    if recall < KEPT[kind]:
        return f"recall {recall:.4f} is below {KEPT[kind]}: build it again, and if that does not help, scan everything"
    if kind != "exact" and p50 > scan:
        return f"a scan takes {scan:.2f} ms and is exact: {kind} saves nothing on this machine"
    return None
