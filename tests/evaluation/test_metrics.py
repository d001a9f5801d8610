from __future__ import annotations

import pytest
import torch
from torch import Tensor, tensor

from crossmodal.errors import InputError
from crossmodal.evaluation.metrics import (
    area_under_curve,
    balanced_accuracy,
    bootstrap_intervals,
    image_to_text_ranks,
    median_rank,
    precision_at_k,
    recall_at_k,
    retrieval_metrics,
    text_to_image_ranks,
)

# two pictures and four captions; the cosines below are rows @ columns of these
IMAGE = torch.eye(2)
SIMILARITY = tensor([[0.9, 0.2, 0.5, 0.1], [0.1, 0.3, 0.6, 0.8]])
TEXT = SIMILARITY.T.contiguous()
OWNER = tensor([0, 0, 1, 1])


def unit(*shape: int) -> Tensor:
    return torch.nn.functional.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(1)), dim=-1)


def test_each_caption_counts_the_wrong_pictures_before_its_own():
    assert text_to_image_ranks(IMAGE, TEXT, OWNER).tolist() == [0, 1, 0, 0]


def test_a_picture_is_found_by_its_best_caption():
    assert image_to_text_ranks(IMAGE, TEXT, OWNER).tolist() == [0, 0]
    assert image_to_text_ranks(IMAGE, TEXT, tensor([1, 1, 0, 0])).tolist() == [1, 2]


def test_a_tie_counts_against_the_model():
    same = torch.ones(2, 1)
    assert text_to_image_ranks(same, torch.ones(1, 1), tensor([0])).tolist() == [1]
    assert image_to_text_ranks(same, torch.ones(2, 1), tensor([0, 1])).tolist() == [1, 1]


def test_collapsed_vectors_score_nothing():
    image, text = torch.ones(20, 3), torch.ones(20, 3)
    values = retrieval_metrics(
        image_to_text_ranks(image, text, torch.arange(20)), text_to_image_ranks(image, text, torch.arange(20))
    )
    assert values["rsum"] == 0


@pytest.mark.parametrize("block", [1, 3, 7, 1000])
def test_blocks_give_the_ranks_of_the_whole_matrix(block: int):
    image, text, owner = unit(30, 4), unit(90, 4), torch.arange(90) % 30
    scores = image @ text.T
    own = scores[owner, torch.arange(90)]
    brute = [(int((scores[:, c] >= own[c]).sum()) - 1) for c in range(90)]
    assert text_to_image_ranks(image, text, owner, block).tolist() == brute
    order = scores.argsort(1, descending=True)
    brute = [int((owner[order[row]] == row).nonzero()[0]) for row in range(30)]
    assert image_to_text_ranks(image, text, owner, block).tolist() == brute


def test_a_picture_without_captions_is_not_asked_about():
    ranks = image_to_text_ranks(torch.eye(3), torch.eye(3)[:2], tensor([0, 1]))
    assert ranks.tolist() == [0, 0, -1]
    assert recall_at_k(ranks, 1) == 100.0


def test_recall_and_median_rank_by_hand():
    ranks = tensor([0, 4, 5, 9, 10])
    assert [recall_at_k(ranks, k) for k in (1, 5, 10)] == [20.0, 40.0, 80.0]
    assert median_rank(ranks) == 6.0
    assert median_rank(tensor([0, 1])) == 1.5


def test_rsum_is_the_sum_of_six_recalls():
    values = retrieval_metrics(image_to_text_ranks(IMAGE, TEXT, OWNER), text_to_image_ranks(IMAGE, TEXT, OWNER))
    assert values["rsum"] == 300 + 75 + 100 + 100


def test_vectors_that_are_not_numbers_are_refused():
    broken = tensor([[float("nan"), 0.0], [0.0, 1.0]])
    with pytest.raises(InputError, match="diverged"):
        text_to_image_ranks(broken, TEXT, OWNER)


def test_an_owner_outside_the_gallery_is_refused():
    with pytest.raises(InputError, match="row 2, but there are 2"):
        image_to_text_ranks(IMAGE, TEXT, tensor([0, 0, 1, 2]))


def test_k_below_one_and_nothing_to_find_are_refused():
    with pytest.raises(InputError, match="at least 1"):
        recall_at_k(tensor([0]), 0)
    with pytest.raises(InputError, match="anything to find"):
        recall_at_k(tensor([-1]), 1)


def test_intervals_surround_the_value_and_shrink_with_more_pictures():
    def width(pictures: int) -> float:
        image_ranks = torch.arange(pictures) % 2 * 20  # half are hits
        owner = torch.arange(pictures)
        intervals = bootstrap_intervals(image_ranks, image_ranks, owner)
        low, high = intervals["image_to_text R@1"]
        assert low < 50 < high
        return high - low

    assert width(2000) < width(50) / 3


def test_an_interval_of_certainty_has_no_width():
    ranks = torch.zeros(10, dtype=torch.int64)
    assert bootstrap_intervals(ranks, ranks, torch.arange(10))["rsum"] == (600.0, 600.0)


def test_precision_counts_neighbours_of_ones_own_label_and_never_oneself():
    angles = torch.deg2rad(tensor([0.0, 10.0, 30.0, 90.0]))
    vectors, labels = torch.stack([angles.cos(), angles.sin()], 1), tensor([0, 1, 1, 0])
    # nearest first: 0 → 1 2 3, 1 → 0 2 3, 2 → 1 0 3, 3 → 2 1 0
    assert precision_at_k(vectors, labels, 1) == 1 / 4
    assert precision_at_k(vectors, labels, 2) == pytest.approx((0 + 1 / 2 + 1 / 2 + 0) / 4)
    assert precision_at_k(vectors, labels, 10) == pytest.approx(1 / 3)  # all three others


@pytest.mark.parametrize("block", [1, 7, 30, 1000])
def test_blocks_give_the_precision_of_the_whole_matrix(block: int):
    vectors, labels = unit(30, 4), torch.arange(30) % 3
    order = (vectors @ vectors.T - 2 * torch.eye(30)).argsort(1, descending=True)[:, :5]
    brute = (labels[order] == labels[:, None]).double().mean().item()
    assert precision_at_k(vectors, labels, 5, block) == pytest.approx(brute)


@pytest.mark.parametrize(("count", "k"), [(1, 5), (3, 0)])
def test_precision_needs_a_second_item_and_a_k(count: int, k: int):
    with pytest.raises(InputError, match=f"precision@{k} needs"):
        precision_at_k(unit(count, 4), torch.zeros(count, dtype=torch.int64), k)


def test_balanced_accuracy_weighs_true_and_false_the_same_however_many():
    assert balanced_accuracy(tensor([0.9]), tensor([0.1, 0.2, 0.6, 0.7])) == 0.75
    assert balanced_accuracy(tensor([0.9, 0.9, 0.9, 0.9]), tensor([0.9])) == 0.5  # yes to everything
    assert balanced_accuracy(tensor([0.5]), tensor([0.5])) == 0.5  # undecided is no
    assert balanced_accuracy(tensor([0.3]), tensor([0.1]), threshold=0.2) == 1.0


def test_area_under_the_curve_is_the_share_of_pairs_in_order():
    true, false = tensor([0.5, 0.9, 0.1]), tensor([0.5, 0.2])
    wins = sum(1.0 if t > f else 0.5 if t == f else 0.0 for t in true.tolist() for f in false.tolist())
    assert area_under_curve(true, false) == pytest.approx(wins / 6)
    assert area_under_curve(false + 1, false) == 1.0
    assert area_under_curve(false - 1, false) == 0.0
    assert area_under_curve(torch.full((3,), 0.7), torch.full((5,), 0.7)) == 0.5
