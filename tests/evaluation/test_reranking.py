from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import tensor

from crossmodal.errors import InputError
from crossmodal.evaluation.reranking import reranking_report
from crossmodal.evaluation.retrieval import Embedded

Floats = NDArray[np.float32]
# three pictures with one caption each; by cosine every caption finds the next picture first and its own second
IMAGE = torch.eye(3)
TEXT = tensor([[0.6, 0.8, 0.0], [0.0, 0.6, 0.8], [0.8, 0.0, 0.6]])
SPLIT = Embedded(IMAGE, TEXT, tensor([0, 1, 2]), ("a", "b", "c"), ("A", "B", "C"), ())
SIDES = np.eye(3, dtype=np.float32)


class Judge:
    """Knows the truth, or its opposite: a side is one-hot, and a pair is true where both are the same."""

    def __init__(self, right: bool) -> None:
        self.right = right

    def judge(self, pictures: Floats, sentences: Floats) -> Floats:
        same = (pictures * sentences).sum(1)
        return np.asarray(same if self.right else 1 - same, dtype=np.float32)


def test_a_scorer_that_knows_puts_the_right_one_first():
    report = reranking_report(SPLIT, SIDES, SIDES, Judge(True), depth=2, protocol={"split": "s"})
    first = {(row["direction"], row["order"]): row["R@1"] for row in report.rows}
    assert first["text → image", "by cosine"] == 0
    assert first["text → image", "by probability"] == 100
    assert report.headline.startswith("re-ordering the first 2 by probability helps")
    assert report.protocol["depth"] == 2


def test_one_that_is_wrong_does_not_help():
    report = reranking_report(SPLIT, SIDES, SIDES, Judge(False), depth=3, protocol={})
    assert "does not help" in report.headline
    assert report.values["rsum by probability"] <= report.values["rsum by cosine"]


def test_what_is_not_among_the_first_cannot_be_put_right():
    report = reranking_report(SPLIT, SIDES, SIDES, Judge(True), depth=1, protocol={})
    assert [row["R@10"] for row in report.rows if row["direction"] == "text → image"] == [0, 0, 0]


def test_equal_scores_count_against_the_model():
    class Undecided:
        def judge(self, pictures: Floats, sentences: Floats) -> Floats:
            return np.full(len(pictures), 0.5, dtype=np.float32) + 0 * sentences[:, 0]

    report = reranking_report(SPLIT, SIDES, SIDES, Undecided(), depth=3, protocol={})
    recalls = {row["order"]: row["R@1"] for row in report.rows if row["direction"] == "text → image"}
    assert recalls["by probability"] == pytest.approx(0)


def test_a_depth_of_nothing_is_refused():
    with pytest.raises(InputError, match="at least 1, not 0"):
        reranking_report(SPLIT, SIDES, SIDES, Judge(True), depth=0, protocol={})
