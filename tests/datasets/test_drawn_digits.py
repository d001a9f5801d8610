"""Generated digits: repeatable, all different, and truly what their labels say."""

from __future__ import annotations

import numpy as np
import pytest

from crossmodal.datasets.drawn_digits import drawn_digits
from crossmodal.errors import InputError


def test_shape_labels_and_grey() -> None:
    digits = drawn_digits(23, size=20)
    assert (digits.pixels.shape, digits.pixels.dtype, digits.labels.dtype) == ((23, 3, 20, 20), np.uint8, np.int64)
    assert np.bincount(digits.labels).tolist() == [3, 3, 3, 2, 2, 2, 2, 2, 2, 2]
    assert (digits.name, digits.split, digits.label_names) == ("drawn_digits", "train", tuple("0123456789"))
    assert np.array_equal(digits.pixels[:, 0], digits.pixels[:, 2])


def test_white_on_black_inside_the_frame() -> None:
    pixels = drawn_digits(100).pixels[:, 0]
    assert pixels.max(axis=(1, 2)).min() > 180
    edges = np.concatenate([pixels[:, 0], pixels[:, -1], pixels[:, :, 0], pixels[:, :, -1]], axis=1)
    assert np.median(pixels) < 20
    assert edges.max() < 80


def test_the_same_call_gives_the_same_bits_and_a_longer_one_the_same_beginning() -> None:
    assert np.array_equal(drawn_digits(10, seed=4).pixels, drawn_digits(30, seed=4).pixels[:10])


def test_seeds_splits_and_numbers_give_other_pictures() -> None:
    sets = [drawn_digits(60), drawn_digits(60, seed=1), drawn_digits(60, split="test")]
    everything = np.concatenate([digits.pixels[:, 0].reshape(60, -1) for digits in sets])
    assert len(np.unique(everything, axis=0)) == 180


def test_the_other_split_can_be_read_by_its_nearest_neighbour() -> None:
    train, test = drawn_digits(1000), drawn_digits(100, split="test")
    known, asked = (digits.pixels[:, 0].reshape(len(digits), -1).astype(np.float32) for digits in (train, test))
    nearest = ((known**2).sum(1) - 2 * asked @ known.T).argmin(1)
    assert (train.labels[nearest] == test.labels).mean() > 0.8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": -1}, "0 or more, not -1"),
        ({"count": 1, "split": "val"}, "splits train and test, not 'val'"),
        ({"count": 1, "size": 4}, "at least 8 pixels"),
    ],
)
def test_what_cannot_be_drawn_is_an_input_error(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        drawn_digits(**arguments)  # type: ignore[arg-type]
