from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from crossmodal.errors import InputError
from crossmodal.training.gradient_cache import backward_in_chunks
from crossmodal.training.losses import contrastive, symmetric_clip

BATCH, CHUNK = 1024, 64
CHUNKS = BATCH // CHUNK


class TwoTowers(nn.Module):
    """Two small towers with dropout (if asked) and a logit scale; remembers every batch that passed with a graph."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.image = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Dropout(dropout), nn.Linear(32, 8))
        self.text = nn.Sequential(nn.Linear(7, 32), nn.Tanh(), nn.Dropout(dropout), nn.Linear(32, 8))
        self.logit_scale = nn.Parameter(torch.tensor(2.0))
        self.dropout = dropout
        self.with_graph: list[int] = []

    def forward(self, image: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        self.with_graph += [len(image)] if torch.is_grad_enabled() else []
        vectors = (self.image(image), self.text(text))
        return nn.functional.normalize(vectors[0], dim=1), nn.functional.normalize(vectors[1], dim=1)

    def loss(self, image: Tensor, text: Tensor) -> Tensor:
        image = nn.functional.dropout(image, self.dropout)  # the loss may draw random numbers too
        return symmetric_clip(image @ text.T, torch.eye(len(image)) > 0, self.logit_scale)


@pytest.fixture(scope="module")
def pairs() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    image = torch.randn(BATCH, 12, generator=generator)
    return image, image[:, :7] + torch.randn(BATCH, 7, generator=generator)


def chunk(pairs: tuple[Tensor, Tensor], number: int) -> tuple[Tensor, Tensor]:
    rows = slice(number * CHUNK, (number + 1) * CHUNK)
    return pairs[0][rows], pairs[1][rows]


def cached(towers: TwoTowers, pairs: tuple[Tensor, Tensor], chunks: int = CHUNKS) -> tuple[Tensor, list[Tensor]]:
    """Loss and gradients of the batch taken in chunks, from random state 5."""
    torch.manual_seed(5)
    towers.zero_grad()
    value = backward_in_chunks(lambda number: towers(*chunk(pairs, number)), chunks, towers.loss)
    return value, gradients(towers)


def plain(towers: TwoTowers, encode: Callable[[], tuple[Tensor, Tensor]]) -> tuple[Tensor, list[Tensor]]:
    """Loss and gradients of one graph over the whole batch, from random state 5."""
    torch.manual_seed(5)
    towers.zero_grad()
    value = towers.loss(*encode())
    value.backward()
    return value.detach(), gradients(towers)


def gradients(module: nn.Module) -> list[Tensor]:
    return [parameter.grad.clone() for parameter in module.parameters() if parameter.grad is not None]


def largest_difference(one: list[Tensor], other: list[Tensor]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True))


def test_chunks_of_64_give_the_gradients_of_a_batch_of_1024(pairs: tuple[Tensor, Tensor]):
    towers = TwoTowers()
    whole_loss, whole = plain(towers, lambda: towers(*pairs))
    chunked_loss, chunked = cached(towers, pairs)
    assert len(chunked) == 9  # two layers of two towers, and the logit scale
    assert min(float(gradient.abs().max()) for gradient in whole) > 1e-3  # so that 1e-5 says something of each
    assert largest_difference(whole, chunked) < 1e-5
    assert chunked_loss.item() == pytest.approx(whole_loss.item(), abs=1e-5)
    assert not chunked_loss.requires_grad


def test_in_double_precision_nothing_at_all_is_lost(pairs: tuple[Tensor, Tensor]):
    towers, doubles = TwoTowers().double(), (pairs[0].double(), pairs[1].double())
    _, whole = plain(towers, lambda: towers(*doubles))
    _, chunked = cached(towers, doubles)
    assert largest_difference(whole, chunked) < 1e-13


def test_dropout_repeats_so_that_chunks_equal_one_graph_over_the_same_masks(pairs: tuple[Tensor, Tensor]):
    towers = TwoTowers(dropout=0.5)

    def one_graph() -> tuple[Tensor, Tensor]:
        image, text = zip(*(towers(*chunk(pairs, number)) for number in range(CHUNKS)), strict=True)
        return torch.cat(image), torch.cat(text)

    whole_loss, whole = plain(towers, one_graph)
    after = torch.rand(3)
    chunked_loss, chunked = cached(towers, pairs)
    assert torch.equal(after, torch.rand(3))  # the random numbers go on as if nothing had been done twice
    assert largest_difference(whole, chunked) < 1e-5
    assert chunked_loss.item() == pytest.approx(whole_loss.item(), abs=1e-5)


def test_a_chunked_run_with_dropout_repeats_to_the_bit(pairs: tuple[Tensor, Tensor]):
    first, second = cached(TwoTowers(dropout=0.5), pairs), cached(TwoTowers(dropout=0.5), pairs)
    assert first[0] == second[0]
    assert all(torch.equal(a, b) for a, b in zip(first[1], second[1], strict=True))


def test_only_a_chunk_ever_passes_with_a_graph(pairs: tuple[Tensor, Tensor]):
    towers = TwoTowers()
    cached(towers, pairs)
    assert towers.with_graph == [CHUNK] * CHUNKS


class Holder:
    """A tensor that autograd keeps for the way back; counts how many bytes are kept at once."""

    now = peak = 0

    def __init__(self, kept: Tensor) -> None:
        self.kept = kept
        Holder.now += kept.nbytes
        Holder.peak = max(Holder.peak, Holder.now)

    def __del__(self) -> None:
        Holder.now -= self.kept.nbytes


def test_the_graphs_of_two_chunks_never_live_at_once(pairs: tuple[Tensor, Tensor]):
    def peak(run: Callable[[TwoTowers], object]) -> int:
        towers = TwoTowers()
        encode = towers.forward

        def counted(image: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
            with torch.autograd.graph.saved_tensors_hooks(Holder, lambda holder: holder.kept):
                return encode(image, text)

        towers.forward = counted  # type: ignore[method-assign]
        Holder.now = Holder.peak = 0
        run(towers)
        assert Holder.now == 0
        return Holder.peak

    one_chunk = peak(lambda towers: cached(towers, pairs, chunks=1))
    whole = peak(lambda towers: plain(towers, lambda: towers(*pairs)))
    assert peak(lambda towers: cached(towers, pairs)) == one_chunk
    assert one_chunk < whole / 8


def test_a_backward_that_scales_the_loss_scales_every_gradient_once(pairs: tuple[Tensor, Tensor]):
    towers, seen = TwoTowers(), []

    def scaled(loss: Tensor) -> None:
        seen.append(loss.detach())
        (8 * loss).backward()

    _, expected = cached(towers, pairs)
    towers.zero_grad()
    value = backward_in_chunks(lambda number: towers(*chunk(pairs, number)), CHUNKS, towers.loss, scaled)
    assert seen == [value]
    assert largest_difference([8 * gradient for gradient in expected], gradients(towers)) < 1e-5


def test_a_frozen_tower_stays_without_gradient(pairs: tuple[Tensor, Tensor]):
    towers = TwoTowers()
    towers.text.requires_grad_(False)
    _, whole = plain(towers, lambda: towers(*pairs))
    _, chunked = cached(towers, pairs)
    assert largest_difference(whole, chunked) < 1e-5
    assert all(parameter.grad is None for parameter in towers.text.parameters())


def test_chunks_may_have_any_number_of_texts_and_a_parameter_may_be_a_text():
    image = torch.randn(6, 3, generator=torch.Generator().manual_seed(2))
    positive = torch.arange(6)[:, None] % 2 == torch.arange(2)

    def towers() -> tuple[nn.Linear, nn.Parameter]:
        torch.manual_seed(3)
        return nn.Linear(3, 4), nn.Parameter(torch.randn(2, 4))

    def loss(vectors: Tensor, labels: Tensor) -> Tensor:
        return contrastive(nn.functional.normalize(vectors) @ nn.functional.normalize(labels).T, positive)

    tower, labels = towers()
    loss(tower(image), labels).backward()
    other, other_labels = towers()
    parts = [(image[:1], other_labels), (image[1:5], other_labels[:0]), (image[5:], other_labels[:0])]
    backward_in_chunks(lambda number: (other(parts[number][0]), parts[number][1]), 3, loss)
    assert torch.allclose(labels.grad, other_labels.grad, atol=1e-6)
    assert torch.allclose(tower.weight.grad, other.weight.grad, atol=1e-6)


def test_half_precision_around_the_call_does_not_cut_the_graph(pairs: tuple[Tensor, Tensor]):
    towers = TwoTowers()
    with torch.autocast("cpu", torch.bfloat16):
        _, whole = plain(towers, lambda: towers(*pairs))
    with torch.autocast("cpu", torch.bfloat16):
        _, chunked = cached(towers, pairs)
    assert largest_difference(whole, chunked) < 0.02 * max(float(gradient.abs().max()) for gradient in whole)


def test_a_chunk_that_draws_from_elsewhere_is_refused(pairs: tuple[Tensor, Tensor]):
    towers, draw = TwoTowers(), np.random.default_rng(0)

    def noisy(number: int) -> tuple[Tensor, Tensor]:
        image, text = chunk(pairs, number)
        return towers(image + torch.from_numpy(draw.normal(size=image.shape)).float(), text)

    with pytest.raises(InputError, match=r"chunk 0 gave other vectors the second time.*torch's generators only"):
        backward_in_chunks(noisy, CHUNKS, towers.loss)


def test_a_batch_without_chunks_is_refused():
    towers = TwoTowers()
    with pytest.raises(InputError, match="at least 1 chunk, not 0"):
        backward_in_chunks(lambda _: (torch.eye(2), torch.eye(2)), 0, towers.loss)
