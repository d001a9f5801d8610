"""Pairs: what a step of a pair scorer minimises, and how it is judged."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from crossmodal.errors import InputError
from crossmodal.images.transforms import ImageTransform
from crossmodal.models.encoders import ImageEncoder
from crossmodal.models.heads import MatchHead
from crossmodal.models.scorer import PairScorer
from crossmodal.models.text_towers import RecurrentEncoder
from crossmodal.training.objectives import MatchObjective
from crossmodal.training.phases import set_trainable
from tests.tiny_sources import PLAIN, batch_of, captioned, pictures, step


def match() -> MatchObjective:
    torch.manual_seed(0)
    tokenizer, source = captioned()
    text = RecurrentEncoder("gru", tokenizer.vocabulary_size, 5, 6, (10,))
    model = PairScorer(ImageEncoder("digit_cnn", 6), text, MatchHead(6, 5))
    return MatchObjective(model, tokenizer, ImageTransform.in_range(28, "unit"), [source], [source])


def test_each_picture_is_true_with_its_chosen_caption_and_false_with_the_others():
    objective, rows, choices = match(), [2, 5, 0], [1, 0, 0]
    loss, _ = step(objective, PLAIN, batch_of(rows, choices))
    model, captions = objective.model, objective.sources[0].captions
    ids = [captions[row][choice] for row, choice in zip(rows, choices, strict=True)]
    pairs = [(picture, caption) for picture in range(3) for caption in range(3)]
    with torch.no_grad():
        pixels = objective.transform.normalise(torch.from_numpy(pictures(6)[[rows[picture] for picture, _ in pairs]]))
        logits = model(pixels, *objective.padded([ids[caption] for _, caption in pairs])).tolist()
    costs: dict[bool, list[float]] = {True: [], False: []}
    for (picture, caption), logit in zip(pairs, logits, strict=True):
        true = picture == caption
        costs[true].append(math.log1p(math.exp(-logit if true else logit)))
    assert loss == pytest.approx((np.mean(costs[True]) + np.mean(costs[False])) / 2, abs=1e-5)


@torch.no_grad()
def test_every_pair_at_once_gives_each_pairs_own_logit():
    head = MatchHead(6, 5).eval()
    image, text = torch.rand(2, 6), torch.rand(3, 5)
    expected = [[float(head(image[i : i + 1], text[j : j + 1])) for j in range(3)] for i in range(2)]
    assert torch.allclose(head.every_pair(image, text), torch.tensor(expected), atol=1e-6)


def test_an_untrained_scorer_sits_near_ln_2_and_learns_in_every_part():
    objective = match()
    loss, gradients = step(objective, PLAIN, batch_of(range(6)))
    assert loss == pytest.approx(math.log(2), abs=0.1)
    assert objective.chance(64) == ("ln 2", math.log(2))
    assert all(bool(gradient.isfinite().all()) for gradient in gradients.values())
    for part in ("image.backbone", "image.projection", "text.recurrent", "text.projection", "head.dense"):
        assert sum(float(gradient.abs().sum()) for name, gradient in gradients.items() if name.startswith(part)) > 0


def test_pairs_are_judged_by_balanced_accuracy():
    verdict = match().judge(PLAIN)
    assert verdict.entry["scores"].keys() == {"balanced accuracy", "hard balanced accuracy", "area under the curve"}
    assert verdict.score == verdict.entry["scores"]["balanced accuracy"]
    assert verdict.image is None
    assert verdict.similarity is None


def test_judging_pairs_is_the_same_in_the_midst_of_training_and_moves_nothing():
    objective = match()
    expected, before = objective.judge(PLAIN), {n: t.clone() for n, t in objective.model.state_dict().items()}
    set_trainable(objective.model, replace(PLAIN, freeze_batch_norm=False, image_dropout=0.5))
    assert objective.judge(PLAIN).entry == expected.entry
    assert all(tensor.equal(before[name]) for name, tensor in objective.model.state_dict().items())
    assert objective.model.head.training


def test_a_batch_of_one_has_no_false_pair():
    with pytest.raises(InputError, match="at least two pictures"):
        step(match(), PLAIN, batch_of([0]))
