from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor, tensor

from crossmodal.errors import InputError
from crossmodal.evaluation.pairs import hard_false, pair_report, uniform_false

OWNER = tensor([0, 0, 0, 1, 2, 2])


def test_false_captions_are_uniform_over_those_of_other_pictures_and_never_own():
    drawn = torch.stack([uniform_false(OWNER, seed) for seed in range(3000)])  # (seeds, M)
    for caption, picture in enumerate(OWNER.tolist()):
        others = [row for row, owner in enumerate(OWNER.tolist()) if owner != picture]
        counts = Counter(drawn[:, caption].tolist())
        assert sorted(counts) == others
        expected = 3000 / len(others)
        assert all(abs(count - expected) < 5 * expected**0.5 for count in counts.values())


def test_a_seed_gives_its_false_captions_again():
    owner = torch.arange(100)
    assert torch.equal(uniform_false(owner, 3), uniform_false(owner, 3))
    assert not torch.equal(uniform_false(owner, 3), uniform_false(owner, 4))


def test_one_picture_makes_no_false_pair():
    with pytest.raises(InputError, match="at least two pictures"):
        uniform_false(tensor([0, 0]))


# 0 stands at the start of every caption, as a special token does
DOG, RUNS, RED, CAR, BEACH = 1, 2, 3, 4, 5
CAPTIONS = [[0, DOG, RUNS], [0, RUNS, DOG], [0, RED, CAR], [0, DOG, BEACH], [0, CAR, CAR, RED, BEACH]]
PICTURES = tensor([0, 0, 1, 2, 3])


@pytest.mark.parametrize("block", [1, 2, 512])
def test_hard_false_captions_share_words_with_anothers_picture(block: int):
    # both captions of picture 0 have the same words, so each would be the other's nearest if it were not its own
    assert hard_false(PICTURES, CAPTIONS, block).tolist() == [3, 3, 4, 4, 2]


def test_a_rare_word_in_common_counts_more_than_a_frequent_one():
    captions = [[1, 9], [1, 5], [6, 9], [1, 7], [1, 8]]  # 1 is in four captions, 9 in two
    assert hard_false(torch.arange(5), captions)[0] == 2


def test_a_caption_like_no_other_gets_anothers_all_the_same():
    assert hard_false(tensor([0, 1, 2]), [[1], [2], [3]]).tolist() == [1, 0, 0]


def test_pair_numbers_by_hand():
    probabilities = tensor([[0.9, 0.6], [0.2, 0.4]])  # pictures × captions

    def score(pictures: Tensor, captions: Tensor) -> Tensor:
        return probabilities[pictures, captions]

    report = pair_report(score, tensor([0, 1]), [[1], [2]], {"split": "s"})  # there is only one false caption each
    numbers = {
        "balanced accuracy (%)": 50.0,  # 0.9 above a half, 0.4 not; 0.2 below it, 0.6 not
        "area under the curve (%)": 75.0,  # 0.9 beats both, 0.4 beats one
        "mean probability of false pairs": 0.4,
    }
    hard = {f"hard {name}": value for name, value in numbers.items()}
    assert report.values == {**numbers, **hard, "mean probability of true pairs": 0.65}
    assert report.score == 50.0
    assert report.protocol["split"] == "s"
    assert (report.protocol["pictures"], report.protocol["pairs"]) == (2, "2 true and 2 false")


def test_every_caption_is_judged_once_with_its_own_picture_and_never_falsely_with_it():
    asked: list[list[tuple[int, int]]] = []

    def score(pictures: Tensor, captions: Tensor) -> Tensor:
        asked.append(list(zip(pictures.tolist(), captions.tolist(), strict=True)))
        return (pictures == OWNER[captions]).float()

    report = pair_report(score, OWNER, [[row] for row in range(6)], {})
    true, *false = asked
    assert true == list(zip(OWNER.tolist(), range(6), strict=True))
    assert [len(pairs) for pairs in false] == [6, 6]
    assert [picture for pairs in false for picture, _ in pairs] == OWNER.tolist() * 2
    assert report.score == report.values["hard balanced accuracy (%)"] == 100.0


def test_an_undecided_scorer_is_right_half_of_the_time():
    report = pair_report(lambda pictures, _: torch.full((len(pictures),), 0.5), OWNER, [[0]] * 6, {})
    assert (report.score, report.values["area under the curve (%)"]) == (50.0, 50.0)
