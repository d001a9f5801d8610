"""Copies of a picture are found; pictures that only resemble one another are not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from crossmodal.errors import InputError
from crossmodal.gallery import near_duplicates as duplicates
from crossmodal.gallery.near_duplicates import group_of, near_duplicates
from crossmodal.index import Index
from crossmodal.index.catalogue.rows import Catalogue, Picture, Stamp


def opened(vectors: Any, contents: Sequence[str] = ()) -> Index:
    """An index of pictures with these vectors; contents: what stands for the bytes of each, by default all differ."""
    rows = np.asarray(vectors, dtype=np.float32)
    contents = contents or [str(row) for row in range(len(rows))]
    pictures = tuple(Picture(Stamp(f"{row}.jpg", 1, 1), content) for row, content in enumerate(contents))
    return Index(Path("index"), cast(Any, None), Catalogue(pictures), rows, rows[:0])


def at(*degrees: float) -> Any:
    """Unit vectors in a plane at these angles: neighbours up to 19.9 degrees apart have a cosine of 0.94."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_pictures_that_resemble_the_first_of_a_group_belong_to_it() -> None:
    index = opened(at(0, 90, 10, 92, 45))
    assert near_duplicates(index) == ((0, 2), (1, 3))
    assert group_of(index).tolist() == [0, 1, 0, 1, 4]


def test_a_chain_of_pictures_that_each_resemble_the_next_is_no_group() -> None:
    groups = near_duplicates(opened(at(*range(0, 181, 15))))
    assert max(map(len, groups)) == 2  # 15 degrees to the next, 30 to the one after
    for group in groups:
        assert (group[-1] - group[0]) * 15 < 20


def test_a_picture_goes_to_the_leader_that_it_resembles_most() -> None:
    assert near_duplicates(opened(at(0, 24, 18))) == ((1, 2),)
    assert near_duplicates(opened(at(0, 24, 8))) == ((0, 2),)


def test_equal_bytes_are_a_group_whatever_the_vectors_say() -> None:
    index = opened(at(0, 90, 180, 95, 90), ["a", "b", "a", "c", "d"])
    assert near_duplicates(index, 0.999) == ((0, 2), (1, 4))
    assert near_duplicates(index) == ((0, 2), (1, 3, 4))


def test_pairs_across_blocks_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(0).normal(size=(40, 5))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    whole = group_of(opened(vectors), 0.6).tolist()
    monkeypatch.setattr(duplicates, "PICTURES_AT_ONCE", 3)
    assert group_of(opened(vectors), 0.6).tolist() == whole
    leaders = sorted(set(whole))
    assert len(leaders) < 40
    cosines = vectors @ vectors.T
    for row, leader in enumerate(whole):
        assert row == leader or cosines[row, leader] >= 0.6
        assert row not in leaders or (cosines[row, [lead for lead in leaders if lead < row]] < 0.6).all()


def test_thousands_of_equal_pictures_are_one_group() -> None:
    assert near_duplicates(opened(np.tile(at(30), (3000, 1)))) == (tuple(range(3000)),)


def test_an_empty_gallery_has_no_groups() -> None:
    empty = opened(np.zeros((0, 2)))
    assert near_duplicates(empty) == ()
    assert group_of(empty).tolist() == []


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.01, float("nan")])
def test_a_threshold_that_is_no_cosine_is_refused(threshold: float) -> None:
    with pytest.raises(InputError, match="above 0 and at most 1"):
        near_duplicates(opened(at(0, 1)), threshold)
