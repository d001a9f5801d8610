"""The next batch's pixels, read while a step computes.

Shapes: N pictures, B batch, S side in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Pixels = NDArray[np.uint8]
Rows = NDArray[np.int64]


class Reader:
    """Copies rows out of decoded pictures, which may lie on disk, in one thread of its own. What it gives depends on
    what is asked of it alone: reading ahead changes the time and nothing else.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "reader")
        self._begun: list[tuple[Pixels, Rows, Future[Tensor]]] = []

    def begin(self, wanted: Sequence[tuple[Pixels, Rows]]) -> None:
        """Read these batches, in order: pictures (N, 3, S, S) and rows (B,) of each. What else was begun is dropped."""
        known = [self._found(*one) for one in wanted]
        self._begun = [
            (pixels, rows, future or self._thread.submit(_copied, pixels, rows))
            for (pixels, rows), future in zip(wanted, known, strict=True)
        ]

    def read(self, pixels: Pixels, rows: Rows, device: torch.device) -> Tensor:
        """uint8 (B, 3, S, S) on the device; at once if it was begun in time."""
        future = self._found(pixels, rows)
        values = _copied(pixels, rows) if future is None else future.result()
        return values.to(device, non_blocking=True)

    def _found(self, pixels: Pixels, rows: Rows) -> Future[Tensor] | None:
        return next((future for own, theirs, future in self._begun if own is pixels and theirs is rows), None)


def _copied(pixels: Pixels, rows: Rows) -> Tensor:
    """One row after the other, since numpy lets other threads run while it copies a row, but not while it gathers."""
    values = torch.empty((len(rows), *pixels.shape[1:]), dtype=torch.uint8, pin_memory=torch.cuda.is_available())
    copies = values.numpy()
    for place, row in enumerate(rows):
        copies[place] = pixels[row]
    return values
