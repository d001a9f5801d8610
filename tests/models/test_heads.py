"""The head that judges pairs, the pair scorer, and the decoder."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crossmodal.errors import InputError
from crossmodal.models.encoders import ImageEncoder
from crossmodal.models.heads import ImageDecoder, MatchHead
from crossmodal.models.scorer import PairScorer
from crossmodal.models.text_towers import build_text_tower, text_config


def scorer() -> PairScorer:
    torch.manual_seed(0)
    config = text_config("bilstm", 20, 256, 100)
    return PairScorer(ImageEncoder("six_conv", 512), build_text_tower("", 256, config=config)).eval()


def pairs(count: int) -> tuple[Tensor, Tensor, Tensor]:
    ids = torch.randint(2, 20, (count, 6))
    return torch.randn(count, 3, 64, 64), ids, torch.ones_like(ids)


def test_the_head_gives_one_logit_a_pair():
    head = MatchHead().eval()
    image, text = torch.rand(3, 512), torch.rand(3, 256)
    hidden = F.linear(torch.cat([image, text], 1), head.dense.weight) / (1 + head.norm.eps) ** 0.5
    expected = F.linear(hidden.relu(), head.logit.weight, head.logit.bias)[:, 0]
    assert head(image, text).shape == (3,)
    assert torch.allclose(head(image, text), expected, atol=1e-5)


@torch.no_grad()
def test_a_pairs_logit_comes_from_its_own_picture_and_sentence():
    model = scorer()
    images, ids, mask = pairs(4)
    together = model(images, ids, mask)
    assert together.shape == (4,)
    assert torch.allclose(together[2:3], model(images[2:3], ids[2:3], mask[2:3]), atol=1e-5)
    assert not torch.allclose(together, model(images, ids.flip(0), mask), atol=1e-5)
    assert not torch.allclose(together, model(images.flip(0), ids, mask), atol=1e-5)


@torch.no_grad()
def test_sides_are_computed_once_and_joined_for_many_pairs():
    model = scorer()
    images, ids, mask = pairs(3)
    image, text = model.image_side(images), model.text_side(ids, mask)
    assert image.shape == (3, 512)
    assert text.shape == (3, 256)
    assert image.min() == text.min() == 0
    assert torch.allclose(model.head(image, text), model(images, ids, mask), atol=1e-6)


def test_every_weight_of_the_scorer_belongs_to_one_part():
    model = scorer()
    parts = [parameter for modules in model.parts().values() for part in modules for parameter in part.parameters()]
    assert len(parts) == len({id(parameter) for parameter in parts})
    assert {id(parameter) for parameter in parts} == {id(parameter) for parameter in model.parameters()}
    assert model.parts().keys() == {"image", "text", "head", "decoder"}
    assert model.scalars() == []


def test_the_scorer_learns_to_tell_true_pairs_from_swapped_ones_and_repeats_to_the_bit():
    def losses() -> list[float]:
        torch.manual_seed(1)
        config = text_config("gru", 20, 64, 10) | {"hidden_sizes": [32], "embedding_size": 100}
        model = PairScorer(ImageEncoder("digit_cnn", 64), build_text_tower("", 64, config=config)).train()
        optimizer = torch.optim.Adam(model.parameters(), 3e-3)  # at 1e-2 one start in two gets nowhere
        images = torch.randn(2, 3, 28, 28)[[0, 1, 0, 1]]
        ids = torch.tensor([[2, 3], [4, 5], [4, 5], [2, 3]])
        true = torch.tensor([1.0, 1.0, 0.0, 0.0])
        seen = []
        for _ in range(60):
            loss = F.binary_cross_entropy_with_logits(model(images, ids, torch.ones_like(ids)), true)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen.append(loss.item())
        return seen

    first = losses()
    assert first[-1] < 0.2 < first[0]
    assert first == losses()


def test_a_decoder_draws_grey_pictures_of_28_pixels():
    decoder = ImageDecoder(dimension=16, base=8).eval()
    with torch.no_grad():
        drawn = decoder(F.normalize(torch.randn(3, 16), dim=1) * 50)
        assert decoder(torch.empty(0, 16)).shape == (0, 1, 28, 28)
    assert drawn.shape == (3, 1, 28, 28)
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert drawn[0].std() > 0
    assert not torch.allclose(drawn[0], drawn[1], atol=1e-3)


def test_a_decoder_is_small_enough_to_be_trained_on_a_cpu():
    assert sum(parameter.numel() for parameter in ImageDecoder().parameters()) < 0.5e6


@pytest.mark.parametrize("base", [0, 6])
def test_a_decoders_channels_must_halve_twice(base: int):
    with pytest.raises(InputError, match=f"multiple of 4, not {base}"):
        ImageDecoder(base=base)


def test_a_decoder_learns_to_tell_two_vectors_apart():
    torch.manual_seed(0)
    decoder, vectors = ImageDecoder(dimension=2, base=16), torch.eye(2)
    wanted = torch.zeros(2, 1, 28, 28)
    wanted[0, :, :14], wanted[1, :, 14:] = 1, 1
    optimizer = torch.optim.Adam(decoder.parameters(), 3e-2)
    for _ in range(40):
        loss = F.mse_loss(decoder(vectors), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.02
    assert nn.functional.mse_loss(decoder(vectors[[1, 0]]), wanted) > 0.5
