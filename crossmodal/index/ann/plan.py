"""What a set is searched by, chosen from its size by what was measured (benchmarks/RESULTS.md).

"exact": every row is scanned, nothing is built; up to SCANNED numbers. "rabitq": one bit a number, all swept; up to
SWEPT numbers. "ivf": codes in cells, of which only those next to a query are looked through. Of few dimensions one bit
each says too little: no "rabitq" there.

Shapes: N rows, D embedding, E directions kept, C cells.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

__all__ = ["KINDS", "Plan", "cells_of", "directions_of", "plan_search"]

KINDS = ("exact", "rabitq", "ivf")
SCANNED = 4_000_000  # numbers, 16 MB: a scan takes about a millisecond
SWEPT = 64_000_000  # numbers: the one-bit codes are 8 MB and a sweep takes about a millisecond
FEWEST_DIMENSIONS = 192  # for one bit each
DIRECTIONS = 128  # that the codes of "ivf" keep at most
CELLS = 4  # times the square root of N
RABITQ_RATE = 2e-8  # seconds to build, a number, as measured, and
ROW_RATE, CELL_RATE = 6e-5, 4e-11  # of "ivf", on one core, a row and a number compared with a cell's


@dataclass(frozen=True)
class Plan:
    """How a set is to be searched.

    kind: one of KINDS.
    bytes: in memory, beside the vectors.
    seconds: to build.
    """

    kind: str
    bytes: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.kind}, about {self.bytes / 1e6:,.1f} MB and {self.seconds:,.1f} s to build"


def plan_search(count: int, dimension: int, kind: str | None = None) -> Plan:
    """What so many rows are searched by, and what it costs.

    count: N, the rows.
    dimension: D.
    kind: asks for another than is best.
    """
    numbers = count * dimension
    if kind is None:
        simple = dimension < FEWEST_DIMENSIONS
        kind = "exact" if numbers <= SCANNED * (1 + 3 * simple) else "ivf" if simple or numbers > SWEPT else "rabitq"
    if kind == "exact":
        return Plan(kind, 0, 0.0)
    if kind == "rabitq":
        return Plan(kind, count * ((1 << (dimension - 1).bit_length()) // 8 + 8), numbers * RABITQ_RATE)
    kept, cells = directions_of(dimension), cells_of(count)
    held = 2 * count * (kept // 4 + 8) + numbers + 4 * kept * (dimension + cells)
    return Plan(kind, held, 1 + count * (ROW_RATE + cells * kept * CELL_RATE) / (os.cpu_count() or 1))


def directions_of(dimension: int) -> int:
    """E, how many directions of D codes keep: an even number, at most DIRECTIONS."""
    return min(dimension // 2 * 2, DIRECTIONS)


def cells_of(count: int) -> int:
    """C, how many cells so many rows are shared out to."""
    return max(int(CELLS * count**0.5), 1)
