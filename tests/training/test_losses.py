"""Every loss against its formula written another way (loops over single pairs in numpy), and by what it must do."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, tensor

from crossmodal.errors import InputError
from crossmodal.training.losses import (
    LOSSES,
    arcface,
    contrastive,
    loss_named,
    matching,
    multi_positive_clip,
    reconstruction,
    siglip,
    softmax,
    symmetric_clip,
    triplet,
)
from tests.training.loss_formulas import (
    Matrix,
    looped_arcface,
    looped_contrastive,
    looped_multi_positive,
    looped_siglip,
    looped_triplet,
)

SCALE, BIAS = tensor([1.5, -2.0], dtype=torch.float64)
EYE = torch.eye(5) > 0
OWN_TWO = torch.arange(4)[:, None] == torch.arange(8) // 2  # four pictures with two captions each
CLASSES = tensor([2, 0, 2, 1, 2])[:, None] == torch.arange(3)  # five pictures of three classes
MIXED = tensor([[1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 0, 0]]) > 0  # a row and a column without a match

OnMatrix = Callable[[Tensor, Tensor], Tensor]

CLIP: OnMatrix = partial(symmetric_clip, logit_scale=SCALE)
SIGLIP: OnMatrix = partial(siglip, logit_scale=SCALE, logit_bias=BIAS)
MULTI: OnMatrix = partial(multi_positive_clip, logit_scale=SCALE)
ALL_NEGATIVES: OnMatrix = partial(triplet, hardest=False)
EVERY: dict[str, OnMatrix] = {
    "symmetric_clip": CLIP,
    "siglip": SIGLIP,
    "multi_positive_clip": MULTI,
    "triplet": triplet,
    "triplet, all negatives": ALL_NEGATIVES,
    "contrastive": contrastive,
    "arcface": arcface,
    "softmax": softmax,
}
SHARPEST: dict[str, OnMatrix] = {  # logits of ±100 and beyond
    "symmetric_clip": partial(symmetric_clip, logit_scale=tensor(math.log(100))),
    "siglip": partial(siglip, logit_scale=tensor(math.log(100)), logit_bias=tensor(-10.0)),
    "multi_positive_clip": partial(multi_positive_clip, logit_scale=tensor(math.log(100))),
}
ONE_A_ROW = {"symmetric_clip", "arcface", "softmax"}
every = pytest.mark.parametrize("name", EVERY)


def cosines(rows: int, columns: int, seed: int = 0) -> Tensor:
    return torch.rand(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


def gradient(loss: OnMatrix, similarity: Tensor, positive: Tensor) -> Tensor:
    similarity = similarity.clone().requires_grad_()
    loss(similarity, positive).backward()
    return similarity.grad


FACTOR = math.exp(1.5)
LOOPED: dict[str, Callable[[Matrix, Matrix], float]] = {
    "symmetric_clip": partial(looped_multi_positive, factor=FACTOR),
    "siglip": partial(looped_siglip, factor=FACTOR, bias=-2.0),
    "multi_positive_clip": partial(looped_multi_positive, factor=FACTOR),
    "triplet": partial(looped_triplet, margin=0.2, hardest=True),
    "triplet, all negatives": partial(looped_triplet, margin=0.2, hardest=False),
    "contrastive": partial(looped_contrastive, margin=1.0),
    "arcface": partial(looped_arcface, margin=28.6, scale=30.0),
    "softmax": partial(looped_arcface, margin=0.0, scale=1.0),
}


def fitting(name: str) -> list[Tensor]:
    """Truths of every kind that a loss takes: in order, out of order, by class, several captions, gaps."""
    shuffled = EYE[torch.tensor([3, 0, 4, 1, 2])]
    if name == "symmetric_clip":
        return [EYE, shuffled]
    return [EYE, shuffled, CLASSES] if name in ONE_A_ROW else [EYE, shuffled, CLASSES, OWN_TWO, OWN_TWO.T, MIXED]


@every
def test_a_loss_equals_its_formula_pair_by_pair(name: str):
    for positive, seed in itertools.product(fitting(name), range(5)):
        similarity = cosines(*positive.shape, seed=seed) * (0.85 if name == "arcface" else 1)
        expected = LOOPED[name](similarity.numpy(), positive.numpy())
        assert EVERY[name](similarity, positive).item() == pytest.approx(expected, rel=1e-9)


@every
def test_its_gradient_is_that_of_the_formula(name: str):
    for positive in fitting(name):
        similarity = cosines(*positive.shape, seed=7) * 0.85
        found = gradient(EVERY[name], similarity, positive)
        for place in np.ndindex(*positive.shape):
            step = np.zeros(tuple(positive.shape))
            step[place] = 1e-6
            higher, lower = (LOOPED[name](similarity.numpy() + way * step, positive.numpy()) for way in (1, -1))
            assert found[place].item() == pytest.approx((higher - lower) / 2e-6, abs=1e-6)


# -- what holds for all ---------------------------------------------------------------------------------------------


@every
def test_the_order_of_pictures_and_of_texts_does_not_matter(name: str):
    for positive in fitting(name):
        similarity = cosines(*positive.shape)
        rows, columns = (cosines(1, size, seed=8)[0].argsort() for size in positive.shape)
        moved = EVERY[name](similarity[rows][:, columns], positive[rows][:, columns])
        assert moved.item() == pytest.approx(EVERY[name](similarity, positive).item(), rel=1e-12)


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_finite_at_cosine_one_and_minus_one(name: str, dtype: torch.dtype):
    for corner in (1.0, -1.0):
        similarity = torch.full((5, 5), -corner, dtype=dtype).masked_fill(EYE, corner)
        similarity[0] = corner * (1 + torch.finfo(dtype).eps)  # as rounding gives for unit vectors
        similarity[1] = corner * (1 - torch.finfo(dtype).eps)
        for loss in (EVERY[name], SHARPEST.get(name, EVERY[name])):
            assert loss(similarity, EYE).isfinite()
            assert gradient(loss, similarity, EYE).isfinite().all()


@every
def test_a_collapsed_model_costs_what_can_be_said_in_advance(name: str):
    def expected(c: float) -> float:
        turned = math.cos(math.acos(c) + math.radians(28.6))
        sigmoid = lambda x: 1 / (1 + math.exp(-x))  # noqa: E731
        return {
            "symmetric_clip": math.log(5),
            "siglip": -math.log(sigmoid(FACTOR * c - 2)) - 4 * math.log(sigmoid(2 - FACTOR * c)),
            "multi_positive_clip": math.log(5),
            "triplet": 2 * 0.2,
            "triplet, all negatives": 2 * 4 * 0.2,
            "contrastive": ((1 - c) ** 2 + min(c, 1) ** 2) / 2,
            "arcface": math.log(1 + 4 * math.exp(30 * (c - turned))),
            "softmax": math.log(5),
        }[name]

    for c in (1.0, 0.5, 0.0):
        same = torch.full((5, 5), c, dtype=torch.float64)
        assert EVERY[name](same, EYE).item() == pytest.approx(expected(c), rel=1e-6)


# -- several matches ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["siglip", "multi_positive_clip", "triplet", "triplet, all negatives", "contrastive"])
def test_no_own_caption_of_a_picture_is_a_false_negative(name: str):
    slope = gradient(EVERY[name], 0.3 + cosines(4, 8) / 50, OWN_TWO)
    assert (slope[OWN_TWO] < 0).all()  # every caption is drawn to its picture
    assert (slope[~OWN_TWO] >= 0).all()


def test_a_hard_negative_is_never_taken_among_ones_own_captions():
    similarity = tensor([[0.5, 0.9, 0.1, 0.0], [0.0, 0.1, 0.6, 0.8]])  # 0.9 stands above 0.5, both are picture 0's
    own = torch.arange(2)[:, None] == tensor([0, 0, 1, 1])
    assert triplet(similarity, own).item() == 0
    assert triplet(similarity, own, margin=0.45).item() == pytest.approx(0.05 / 2 / 2)  # picture 0: 0.45 + 0.1 - 0.5


def test_clip_with_several_matches_is_content_when_they_share_evenly():
    even = torch.where(OWN_TWO, 1.0, -1.0).double()
    sharp = partial(multi_positive_clip, logit_scale=tensor(4.0))
    assert sharp(even, OWN_TWO).item() == pytest.approx(math.log(2) / 2, abs=1e-6)
    assert gradient(sharp, even, OWN_TWO).abs().max() < 1e-6
    uneven = even.clone()
    uneven[0, 0] = 0.9
    assert sharp(uneven, OWN_TWO) > sharp(even, OWN_TWO)


def test_clip_with_one_match_each_is_symmetric_clip():
    assert MULTI(cosines(5, 5), EYE).item() == pytest.approx(CLIP(cosines(5, 5), EYE).item(), rel=1e-12)


def test_a_text_given_twice_costs_its_picture_nothing_more():
    similarity = tensor([[0.5, 0.9], [0.8, 0.6]])
    positive, twice = tensor([[True, False], [False, True]]), tensor([0, 0, 1])
    once = triplet(similarity, positive, margin=0.2).item()
    doubled = triplet(similarity[:, twice], positive[:, twice], margin=0.2).item()
    assert doubled == pytest.approx(once + (0.2 + 0.8 - 0.5) / 2)  # only the text itself asks once more
    both = (similarity.repeat(1, 2), positive.repeat(1, 2))
    assert contrastive(*both).item() == pytest.approx(contrastive(similarity, positive).item())


# -- one loss at a time ---------------------------------------------------------------------------------------------


def test_clip_by_hand_counts_both_directions():
    similarity = tensor([[0.8, 0.0], [0.6, 1.0]])
    rows = -(0.8 - math.log(math.exp(0.8) + 1)) - (1.0 - math.log(math.exp(0.6) + math.e))
    columns = -(0.8 - math.log(math.exp(0.8) + math.exp(0.6))) - (1.0 - math.log(1 + math.e))
    found = symmetric_clip(similarity, torch.eye(2) > 0, tensor(0.0)).item()
    assert found == pytest.approx((rows + columns) / 4)


def test_siglip_at_the_papers_start_is_ruled_by_the_true_pairs():
    similarity = torch.zeros(64, 64)
    start = siglip(similarity, torch.eye(64) > 0, tensor(math.log(10)), tensor(-10.0))
    assert start.item() == pytest.approx(10.0, abs=0.01)  # -log sigmoid(-10) a picture; 63 false ones weigh 0.003


@pytest.mark.parametrize(("hardest", "expected"), [(True, 0.5 + 0.7), (False, 0.5 + 0.3 + 0.7 + 0.1)])
def test_triplet_takes_the_hardest_or_every_negative(hardest: bool, expected: float):
    similarity = tensor([[0.4, 0.7, 0.5], [-1.0, 0.2, -1.0], [-1.0, 0.1, 0.9]])
    # picture 0: 0.2 + 0.7 - 0.4 and 0.2 + 0.5 - 0.4; text 1: 0.2 + 0.7 - 0.2 and 0.2 + 0.1 - 0.2
    assert triplet(similarity, torch.eye(3) > 0, hardest=hardest).item() == pytest.approx(expected / 3)
    slope = gradient(partial(triplet, hardest=hardest), similarity, torch.eye(3) > 0) * 3
    assert slope[0].tolist() == pytest.approx([-1, 2, 0] if hardest else [-2, 2, 1])


def test_triplet_does_not_grow_with_the_batch():
    four, many = (triplet(torch.zeros(size, size), torch.eye(size) > 0).item() for size in (4, 64))
    assert many == pytest.approx(four)


def test_triplet_without_a_wrong_pair_costs_nothing():
    for loss in (triplet, ALL_NEGATIVES):
        assert loss(torch.zeros(2, 1), torch.ones(2, 1) > 0).item() == 0
        assert not gradient(loss, torch.zeros(2, 1), torch.ones(2, 1) > 0).any()


def test_contrastive_leaves_false_pairs_beyond_the_margin_alone():
    slope = gradient(contrastive, tensor([[0.9, 0.3, -0.1]]), tensor([[True, False, False]]))
    assert slope[0].tolist() == pytest.approx([-0.1, 0.15, 0.0])


def test_contrastive_weighs_true_and_false_the_same_however_many():
    many = contrastive(torch.full((100, 100), 0.5), torch.eye(100) > 0)
    assert many.item() == pytest.approx((0.25 + 0.25) / 2)
    assert contrastive(tensor([[0.5]]), tensor([[True]])).item() == 0.125


@pytest.mark.parametrize("margin", [10.0, 28.6, 60.0])
def test_arcface_is_steeper_the_wider_the_margin_and_falls_all_the_way_to_its_centre(margin: float):
    own = torch.linspace(-1, 1, 2001, dtype=torch.float64)
    costs = [arcface(tensor([[c, 0.0]]), tensor([[True, False]]), margin, scale=1.0).item() for c in own.tolist()]
    assert all(later < earlier for earlier, later in itertools.pairwise(costs))
    assert costs[-1] == pytest.approx(math.log(1 + math.exp(-math.cos(math.radians(margin)))), rel=1e-3)


def test_arcface_past_the_half_circle_goes_on_as_in_the_authors_code():
    cosine, turn = -0.95, math.radians(28.6)  # 161.8° and 28.6° more
    found = arcface(tensor([[cosine, 0.0]]), tensor([[True, False]]), 28.6, scale=1.0).item()
    assert found == pytest.approx(math.log(1 + math.exp(-(cosine - turn * math.sin(turn)))), rel=1e-5)


def test_arcfaces_margin_is_in_degrees():
    right_angle = arcface(tensor([[1.0, 0.0]]), tensor([[True, False]]), margin=90.0, scale=1.0)
    assert right_angle.item() == pytest.approx(math.log(2))


def test_softmax_multiplies_its_cosines_by_the_scale():
    similarity = cosines(5, 3)
    assert torch.equal(softmax(similarity, CLASSES, 4.0), softmax(4 * similarity, CLASSES))


def test_matching_weighs_true_and_false_pairs_the_same():
    logits, true = tensor([2.0, -1.0, 0.5, 3.0]), tensor([True, False, False, False])
    sure = [1 / (1 + math.exp(-logit)) for logit in logits.tolist()]
    expected = (-math.log(sure[0]) - sum(math.log(1 - p) for p in sure[1:]) / 3) / 2
    assert matching(logits, true).item() == pytest.approx(expected)
    assert matching(torch.zeros(7), torch.arange(7) < 2).item() == pytest.approx(math.log(2))
    assert matching(torch.zeros(3), torch.ones(3) > 0).item() == pytest.approx(math.log(2) / 2)  # the absent kind: 0


def test_matching_of_an_even_batch_is_plain_binary_cross_entropy():
    logits, true = cosines(1, 8)[0] * 5, torch.arange(8) % 2 == 0
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, true.double())
    assert matching(logits, true).item() == pytest.approx(expected.item())


def test_matching_survives_a_logit_of_a_thousand():
    logits = tensor([1000.0, -1000.0]).requires_grad_()
    matching(logits, tensor([False, True])).backward()
    assert logits.grad.tolist() == [0.5, -0.5]


def test_reconstruction_is_the_mean_squared_error():
    assert reconstruction(tensor([[[[0.0, 0.5]]]]), tensor([[[[0.5, 0.5]]]])).item() == 0.125


# -- bad inputs -----------------------------------------------------------------------------------------------------


@every
@pytest.mark.parametrize(
    ("similarity", "positive", "message"),
    [
        (torch.zeros(3), torch.ones(3) > 0, r"matrix \(B, M\) with B, M >= 1, not \(3,\)"),
        (torch.zeros(0, 3), torch.zeros(0, 3) > 0, r"not \(0, 3\)"),
        (torch.zeros(2, 2), torch.ones(2, 3) > 0, r"similarity is \(2, 2\) but positive \(2, 3\)"),
        (torch.zeros(2, 2), torch.eye(2), "positive must be bool, not torch.float32"),
        (torch.zeros(2, 2).int(), torch.eye(2) > 0, "similarity must be floating, not torch.int32"),
        (torch.zeros(2, 2), torch.zeros(2, 2) > 0, "no picture matches any text"),
    ],
)
def test_matrices_that_do_not_fit_are_refused(name: str, similarity: Tensor, positive: Tensor, message: str):
    with pytest.raises(InputError, match=message):
        EVERY[name](similarity, positive)


@pytest.mark.parametrize("positive", [CLASSES, CLASSES.T, OWN_TWO, torch.ones(2, 2) > 0, torch.eye(2, 3) > 0])
def test_symmetric_clip_refuses_several_matches_and_names_who_takes_them(positive: Tensor):
    with pytest.raises(InputError, match="exactly one match in every row and column: use multi_positive_clip"):
        CLIP(torch.zeros(positive.shape), positive)


@pytest.mark.parametrize("name", ["arcface", "softmax"])
def test_a_picture_of_no_class_or_of_two_is_refused(name: str):
    with pytest.raises(InputError, match=f"{name} needs exactly one match in every row: row 1 has 0"):
        EVERY[name](torch.zeros(2, 2), tensor([[True, False], [False, False]]))
    with pytest.raises(InputError, match="row 0 has 2"):
        EVERY[name](torch.zeros(1, 2), tensor([[True, True]]))


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (partial(triplet, margin=-0.1), r"margin must be in \[0, inf\], not -0.1"),
        (partial(contrastive, margin=0.0), r"margin must be in \(0, 2\], not 0.0"),
        (partial(contrastive, margin=2.5), r"margin must be in \(0, 2\], not 2.5"),
        (partial(arcface, margin=91.0), r"margin must be in \[0, 90\], not 91.0"),
        (partial(arcface, margin=-1.0), "margin must be"),
        (partial(arcface, scale=0.0), r"scale must be in \(0, inf\], not 0.0"),
        (partial(softmax, scale=-1.0), "scale must be"),
        (partial(softmax, scale=math.nan), "scale must be"),
    ],
)
def test_options_out_of_range_are_refused(loss: OnMatrix, message: str):
    with pytest.raises(InputError, match=message):
        loss(torch.zeros(5, 5), EYE)


@pytest.mark.parametrize(
    ("logits", "true", "message"),
    [
        (torch.zeros(3), torch.ones(2) > 0, r"logits \(3,\) and true \(2,\) must both be \(N,\)"),
        (torch.zeros(3, 1), torch.ones(3, 1) > 0, r"logits \(3, 1\)"),
        (torch.zeros(0), torch.zeros(0) > 0, "N >= 1"),
        (torch.zeros(2), torch.ones(2), "true must be bool"),
        (torch.zeros(2).int(), torch.ones(2) > 0, "logits must be floating"),
    ],
)
def test_pairs_that_do_not_fit_are_refused(logits: Tensor, true: Tensor, message: str):
    with pytest.raises(InputError, match=message):
        matching(logits, true)


def test_pictures_of_two_shapes_are_refused():
    with pytest.raises(InputError, match=r"drawn \(2, 1\) and wanted \(2,\) must have one shape"):
        reconstruction(torch.zeros(2, 1), torch.zeros(2))
    with pytest.raises(InputError, match="not empty"):
        reconstruction(torch.zeros(0, 1), torch.zeros(0, 1))


@pytest.mark.parametrize("name", LOSSES)
def test_every_named_loss_takes_the_matrices_and_the_scalars_it_asks_for(name: str):
    loss = loss_named(name)
    assert loss.compute.__name__ == name
    assert loss.texts in {"one", "all", "labels"}
    scalars = [{"logit_scale": SCALE, "logit_bias": BIAS}[scalar] for scalar in loss.scalars]
    similarity = cosines(5, 5)
    value = loss.compute(similarity, EYE, *scalars)
    assert value.shape == ()
    assert torch.equal(value, EVERY[name](similarity, EYE))
    assert loss.compute(similarity, EYE, *scalars, **loss.first_epoch).isfinite()


def test_which_texts_a_loss_wants_and_how_it_begins():
    texts = {name: loss.texts for name, loss in LOSSES.items() if loss.texts != "one"}
    assert texts == {"multi_positive_clip": "all", "arcface": "labels", "softmax": "labels"}
    begins = {name: loss.first_epoch for name, loss in LOSSES.items() if loss.first_epoch}
    assert begins == {"triplet": {"hardest": False}}


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match=r"no loss is called 'clip': choose one of symmetric_clip, .*, softmax"):
        loss_named("clip")
