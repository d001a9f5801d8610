"""A large batch in the memory of a chunk: the gradient of a loss that needs all pairs, taken chunk by chunk.

Shapes: b pictures and m texts in a chunk, B and M in the batch, D embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from crossmodal.errors import InputError

__all__ = ["backward_in_chunks"]

Encode = Callable[[int], tuple[Tensor, Tensor]]
REPEATED = 1e-2  # of the vectors' norm: far above a GPU's noise, far below what another dropout mask changes


def backward_in_chunks(
    encode: Encode,
    chunks: int,
    loss: Callable[[Tensor, Tensor], Tensor],
    backward: Callable[[Tensor], None] = Tensor.backward,
) -> Tensor:
    """Add the gradient of the loss over a whole batch to all parameters, holding the graph of one chunk at a time.

    encode: i in 0..chunks-1 → image (b, D) and text (m, D) of chunk i; called twice for each chunk.
    chunks: >= 1.
    loss: image (B, D), text (M, D), the chunks in order → scalar; parameters of its own (a logit scale) get their
        gradient once.
    backward: called once, on the loss; `accelerator.backward` fits.

    Returns the loss, detached.

    First all vectors without gradient, then the loss and its gradient by vectors, then each chunk again with gradient.
    The second time a chunk finds torch's random state (CPU and CUDA) as the first time, so dropout repeats; whatever
    else encode draws (numpy, files) must be drawn before. Batch norm in training mode sees chunks, not the batch, and
    moves its running statistics twice.

    Raises InputError if chunks < 1, or if a chunk gives other vectors the second time.
    Source: Gao et al. 2021, section 3.2.

    >>> weight = torch.tensor([[2.0]], requires_grad=True)
    >>> rows = torch.tensor([[1.0], [3.0]])
    >>> backward_in_chunks(lambda i: (rows[i : i + 1] @ weight, weight), 2, lambda image, text: image.sum())   # 2 + 6
    tensor(8.)
    >>> weight.grad
    tensor([[4.]])
    """
    if chunks < 1:
        raise InputError(f"a batch has at least 1 chunk, not {chunks}")
    cached = [_encoded(encode, number) for number in range(chunks)]
    # before pytorch #112583 was fixed, autocast kept weights cast without gradient, which would cut the graph
    torch.clear_autocast_cache()
    image = torch.cat([chunk.image for chunk in cached]).requires_grad_()
    text = torch.cat([chunk.text for chunk in cached]).requires_grad_()
    value = loss(image, text)
    backward(value)
    gradients = (_parts(image, [chunk.image for chunk in cached]), _parts(text, [chunk.text for chunk in cached]))
    for number, (chunk, *by_vectors) in enumerate(zip(cached, *gradients, strict=True)):
        _backward_chunk(encode, number, chunk, by_vectors)
    return value.detach()


@dataclass(frozen=True)
class _Chunk:
    """What a chunk gave without gradient, and the random state it started from: of the CPU, then of every GPU."""

    image: Tensor
    text: Tensor
    random_state: list[Tensor]


def _encoded(encode: Encode, number: int) -> _Chunk:
    random_state = _random_state()
    with torch.no_grad():
        image, text = encode(number)
    return _Chunk(image.detach(), text.detach(), random_state)  # a tower may hand out a parameter itself


def _parts(whole: Tensor, chunks: list[Tensor]) -> list[Tensor | None]:
    """The gradient of `whole`, cut as the chunks were; None where the loss does not depend on it."""
    if whole.grad is None:
        return [None] * len(chunks)
    return list(whole.grad.split([len(chunk) for chunk in chunks]))


def _backward_chunk(encode: Encode, number: int, chunk: _Chunk, by_vectors: list[Tensor | None]) -> None:
    """Encode a chunk once more, with its graph, and send the gradient by its vectors on to the parameters."""
    with _at_random_state(chunk.random_state):
        vectors = encode(number)
    for first, again in zip((chunk.image, chunk.text), vectors, strict=True):
        if first.shape != again.shape or bool((again.detach() - first).norm() > REPEATED * first.norm()):
            raise InputError(
                f"chunk {number} gave other vectors the second time, so its gradient would be wrong: encode may draw "
                "from torch's generators only"
            )
    moved = [
        (vector, by_vector)
        for vector, by_vector in zip(vectors, by_vectors, strict=True)
        if vector.requires_grad and by_vector is not None  # a frozen tower has no graph
    ]
    if moved:
        torch.autograd.backward([vector for vector, _ in moved], [by_vector for _, by_vector in moved])


def _gpus() -> range:
    return range(torch.cuda.device_count() if torch.cuda.is_initialized() else 0)


def _random_state() -> list[Tensor]:
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state(gpu) for gpu in _gpus())]


@contextmanager
def _at_random_state(state: list[Tensor]) -> Iterator[None]:
    """Go back to a random state for a while, and then on from where it was."""
    with torch.random.fork_rng(devices=_gpus()):
        torch.set_rng_state(state[0])
        for gpu, gpu_state in zip(_gpus(), state[1:], strict=False):  # the first chunk may have woken the GPUs
            torch.cuda.set_rng_state(gpu_state, gpu)
        yield
