from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from crossmodal.training.objectives import reading
from crossmodal.training.objectives.reading import Reader

CPU = torch.device("cpu")
PIXELS = np.arange(5 * 3 * 2 * 2, dtype=np.uint8).reshape(5, 3, 2, 2)


def rows(*places: int) -> np.ndarray:
    return np.array(places, dtype=np.int64)


def test_what_was_read_ahead_is_what_is_read_plainly(monkeypatch: pytest.MonkeyPatch):
    copied, threads = reading._copied, []

    def noted(*arguments: np.ndarray) -> torch.Tensor:
        threads.append(threading.current_thread().name)
        return copied(*arguments)

    monkeypatch.setattr(reading, "_copied", noted)
    reader, first, second, other = Reader(), rows(3, 0, 3), rows(4), rows(1, 2)
    reader.begin([(PIXELS, first), (PIXELS, second)])
    reader.begin([(PIXELS, first), (PIXELS, second)])  # what is begun is not begun again
    for wanted in (first, second, other):
        assert np.array_equal(reader.read(PIXELS, wanted, CPU).numpy(), PIXELS[wanted])
    assert [name.startswith("reader") for name in threads] == [True, True, False]


def test_rows_of_other_pictures_are_not_mistaken():
    reader, wanted = Reader(), rows(0, 1)
    reader.begin([(PIXELS, wanted)])
    other = PIXELS + 100
    assert np.array_equal(reader.read(other, wanted, CPU).numpy(), other[wanted])


def test_a_row_that_cannot_be_read_is_told_where_it_is_asked_for():
    reader, wanted = Reader(), rows(9)
    reader.begin([(PIXELS, wanted)])
    with pytest.raises(IndexError, match="out of bounds"):
        reader.read(PIXELS, wanted, CPU)
