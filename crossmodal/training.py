"""One training loop over phases, on Hugging Face accelerate. It knows no file and no screen: it yields what happened.

Every step draws its randomness from (seed, phase, epoch, step) alone, so a run that is stopped anywhere and goes on
from `state()` repeats the unbroken run to the bit on a CPU.
Shapes: N pictures, B batch, S side in pixels, D embedding, W pooled width.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor

from crossmodal.data.text import TextTokenizer
from crossmodal.data.transforms import ImageTransform, augment
from crossmodal.errors import InputError, TrainingError
from crossmodal.evaluation import Report, retrieval_report
from crossmodal.losses import symmetric_clip
from crossmodal.models.dual import CrossModalModel, eval_mode
from crossmodal.phases import learning_rate_factor, parameter_groups, set_trainable
from crossmodal.recipes import Phase

COLLAPSED = 0.95
STUCK = 0.01


@dataclass(frozen=True)
class Source:
    """Pictures with their captions, ready to train on or to validate on. A batch never mixes two sources.

    pixels: uint8 (N, 3, S, S), may be memory-mapped. captions: token ids of each picture's captions.
    mirror: whether a mirrored picture keeps its captions true ("left of" does not). share: of the pictures, how many
    are drawn in an epoch, in (0, 1].
    """

    name: str
    pixels: NDArray[np.uint8]
    captions: tuple[tuple[Sequence[int], ...], ...]
    mirror: bool = True
    share: float = 1.0

    def __post_init__(self) -> None:
        if len(self.pixels) != len(self.captions):
            raise InputError(f"{self.name}: {len(self.pixels)} pictures but captions of {len(self.captions)}")
        if not 0 < self.share <= 1:
            raise InputError(f"{self.name}: the share drawn in an epoch must be in (0, 1], not {self.share}")
        if not all(self.captions):
            raise InputError(f"{self.name}: a picture without captions cannot be trained on")


@dataclass(frozen=True)
class Step:
    """One optimiser step was taken. rate: pairs per second since training began or was resumed."""

    phase: str
    epoch: int
    step: int
    steps: int
    loss: float
    rate: float
    seconds_left: float


@dataclass(frozen=True)
class Epoch:
    """One epoch is over and was validated. best: whether its rsum is the highest so far. similarity: (n, n) cosines of
    the first validation pictures with their first captions, for drawing.
    """

    entry: dict[str, Any]
    best: bool
    notes: tuple[str, ...]
    similarity: NDArray[np.float32]


@dataclass
class _Position:
    phase: int = 0
    epoch: int = 0
    step: int = 0
    finished_epochs: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    best_rsum: float = -1.0
    phase_best: float = -1.0
    stale: int = 0


@dataclass
class _Features:
    """Cached pooled features of one source: image (V, N, W) for V views, text (C, W), first caption's row (N + 1,)."""

    image: Tensor
    text: Tensor
    starts: Tensor = field(default_factory=lambda: torch.zeros(1, dtype=torch.int64))


def _seeded(*parts: int) -> int:
    """One 63-bit seed from several numbers."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0]) >> 1


class Trainer:
    """Trains a model through the phases of a recipe.

    sources: what is trained on. validation: what decides the best epoch; its first source gives rsum, the report of
    the others stands beside it in the history. accelerator: device and precision.
    """

    def __init__(
        self,
        model: CrossModalModel,
        tokenizer: TextTokenizer,
        transform: ImageTransform,
        sources: Sequence[Source],
        validation: Sequence[Source],
        phases: Sequence[Phase],
        seed: int = 0,
        accelerator: Accelerator | None = None,
    ) -> None:
        if not sources or not validation:
            raise InputError("training needs at least one source to train on and one to validate on")
        self.accelerator = accelerator or Accelerator(cpu=True)
        self.model = model.to(self.accelerator.device)
        self.tokenizer, self.transform = tokenizer, transform
        self.sources, self.validation, self.phases, self.seed = tuple(sources), tuple(validation), tuple(phases), seed
        self.position = _Position()
        self.evaluated: dict[str, Tensor] = {}
        self._optimizer: Any = None
        self._parameters: list[Tensor] = []
        self._average: list[Tensor] = []
        self._restored: dict[str, Tensor] = {}
        self._features: dict[int, _Features] = {}

    # -- what a caller saves and restores -------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Where training stands: tensors by name, and the position as JSON values. Valid between two events."""
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        tensors |= {f"average.{number}": tensor for number, tensor in enumerate(self._average)}
        if self._optimizer is not None:
            for number, values in self._optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{number}.{name}": value for name, value in values.items()}
        return tensors, {**vars(self.position), "seed": self.seed, "phases": [phase.name for phase in self.phases]}

    def restore(self, tensors: dict[str, Tensor], position: dict[str, Any]) -> None:
        """Go on from what `state` gave. Raises TrainingError if it belongs to another seed or other phases."""
        position = dict(position)
        found = (position.pop("seed"), position.pop("phases"))
        wanted = (self.seed, [phase.name for phase in self.phases])
        if found != wanted:
            raise TrainingError(f"cannot resume: the run had seed and phases {found}, this one {wanted}")
        self.position = _Position(**position)
        prefix = "model."
        self.model.load_state_dict({n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)})
        self._restored = {name: tensor for name, tensor in tensors.items() if not name.startswith(prefix)}

    # -- the loop ---------------------------------------------------------------------------------------------------

    def run(self) -> Iterator[Step | Epoch]:
        """Train to the end of the last phase, yielding a Step after each step and an Epoch after each epoch.

        Raises TrainingError when the loss is no longer finite.
        """
        position = self.position
        while position.phase < len(self.phases):
            phase = self.phases[position.phase]
            if position.epoch == 0 and position.step == 0:
                position.stale, position.phase_best = 0, -1.0
            self._prepare(phase)
            while position.epoch < phase.epochs and not self._exhausted(phase):
                yield from self._epoch(phase)
            self._adopt_average()
            position.phase, position.epoch, position.step = position.phase + 1, 0, 0
            self._optimizer, self._average = None, []

    def _exhausted(self, phase: Phase) -> bool:
        return bool(phase.patience) and self.position.stale >= phase.patience

    def _prepare(self, phase: Phase) -> None:
        """Freeze, thaw and group parameters for a phase, and bring back the optimiser's state when resuming."""
        set_trainable(self.model, phase)
        groups = parameter_groups(self.model, phase)
        self._parameters = [parameter for group in groups for parameter in group["params"]]
        self._optimizer = self.accelerator.prepare(torch.optim.AdamW(groups))
        self._average = [parameter.detach().clone() for parameter in self._parameters] if phase.average else []
        unfinished = self.position.epoch < phase.epochs
        self._features = self._cached_features() if phase.heads_only and unfinished else {}
        if self._restored:
            self._bring_back()

    def _bring_back(self) -> None:
        device = self.accelerator.device
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in self._restored.items():
            kind, number, *rest = name.split(".")
            if kind == "average":
                self._average[int(number)] = tensor.to(device)
            else:
                moments.setdefault(int(number), {})[rest[0]] = tensor
        self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": moments})
        self._restored = {}

    def _epoch(self, phase: Phase) -> Iterator[Step | Epoch]:
        position = self.position
        plan = self._plan(phase)
        steps_in_phase = len(plan) * phase.epochs
        started, pairs, first = time.perf_counter(), 0, position.step
        base_seconds = position.seconds
        for step in range(first, len(plan)):
            source, rows, choices = plan[step]
            done = position.epoch * len(plan) + step
            factor = learning_rate_factor(done, steps_in_phase, phase.warmup)
            for group in self._optimizer.param_groups:
                group["lr"] = group["peak"] * factor
            torch.manual_seed(_seeded(self.seed, position.phase, position.epoch, step))
            loss = self._step(phase, source, rows, choices)
            self._update_average(phase, done)
            if not math.isfinite(loss):
                raise TrainingError(f"the loss is {loss} at step {step} of epoch {position.epoch}: lower --lr-scale")
            position.step, position.loss_sum = step + 1, position.loss_sum + loss
            pairs += len(rows)
            position.seconds = base_seconds + time.perf_counter() - started
            rate = pairs / max(1e-9, time.perf_counter() - started)
            left = (steps_in_phase - done - 1) * len(rows) / rate
            yield Step(phase.name, position.epoch, step + 1, len(plan), loss, rate, left)
        yield self._close_epoch(phase, len(plan))

    def _plan(self, phase: Phase) -> list[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
        """The epoch's batches: (source, rows, which caption of each), one random caption a picture, in random order."""
        draw = np.random.default_rng(_seeded(self.seed, self.position.phase, self.position.epoch))
        plan = []
        for number, source in enumerate(self.sources):
            size = min(phase.batch_size, len(source.captions))
            order = draw.permutation(len(source.captions))
            counts = np.array([len(captions) for captions in source.captions])
            choices = (draw.random(len(counts)) * counts).astype(np.int64)
            last = max(size, round(source.share * len(order)))
            starts = range(0, last - size + 1, size)
            plan += [(number, order[at : at + size], choices[order[at : at + size]]) for at in starts]
        return [plan[place] for place in draw.permutation(len(plan))]

    def _step(self, phase: Phase, source: int, rows: NDArray[np.int64], choices: NDArray[np.int64]) -> float:
        with self.accelerator.autocast():
            if phase.heads_only:
                image, text = self._from_features(source, rows, choices)
            else:
                image, text = self._from_pixels(phase, self.sources[source], rows, choices)
        loss = symmetric_clip(*self._gathered(image.float(), text.float()), self.model.logit_scale)
        self._optimizer.zero_grad()
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(self._parameters, phase.gradient_clip)
        self._optimizer.step()
        self.model.clamp_logit_scale()
        return float(loss.detach())

    def _update_average(self, phase: Phase, done: int) -> None:
        """Move the averaged weights towards the new ones; faster at first, so that the start is soon forgotten."""
        if self._average:
            decay = min(phase.average, (1 + done) / (10 + done))
            with torch.no_grad():
                torch._foreach_lerp_(self._average, self._parameters, 1 - decay)

    def _gathered(self, image: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """The one place where features of several processes would meet."""
        if self.accelerator.num_processes > 1:
            raise InputError(f"training runs in one process, not {self.accelerator.num_processes}: start it plainly")
        return image, text

    def _from_pixels(
        self, phase: Phase, source: Source, rows: NDArray[np.int64], choices: NDArray[np.int64]
    ) -> tuple[Tensor, Tensor]:
        device = self.accelerator.device
        pixels = torch.from_numpy(source.pixels[rows]).to(device)
        mirror = phase.mirror and source.mirror
        values = augment(pixels, torch.default_generator, phase.smallest_crop, mirror, phase.jitter)
        captions = [source.captions[row][choice] for row, choice in zip(rows, choices, strict=True)]
        ids, mask = self.tokenizer.pad(captions)
        image, text = self.model(self.transform.normalise(values), ids.to(device), mask.to(device))
        return image, text

    def _from_features(self, source: int, rows: NDArray[np.int64], choices: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        cached, device = self._features[source], self.accelerator.device
        at = torch.from_numpy(rows)
        view = torch.randint(len(cached.image), (len(rows),))
        image = cached.image[view, at].to(device)
        text = cached.text[cached.starts[at] + torch.from_numpy(choices)].to(device)
        return self.model.image.project(image), self.model.text.project(text)

    def _cached_features(self) -> dict[int, _Features]:
        """Pooled features of every source, once: of each picture (and its mirror where that keeps captions true)."""
        cached = {}
        for number, source in enumerate((*self.sources, *self.validation)):
            pixels = torch.from_numpy(np.asarray(source.pixels))
            views = [self.model.image_features(pixels, self.transform)]
            if source.mirror and number < len(self.sources):
                views.append(self.model.image_features(pixels.flip(-1), self.transform))
            flat = [ids for captions in source.captions for ids in captions]
            counts = torch.tensor([0, *(len(captions) for captions in source.captions)])
            text = self.model.text_features(flat, self.tokenizer)
            cached[number] = _Features(torch.stack(views), text, counts.cumsum(0))
        return cached

    # -- the end of an epoch ----------------------------------------------------------------------------------------

    def _close_epoch(self, phase: Phase, steps: int) -> Epoch:
        position = self.position
        loss = position.loss_sum / max(1, steps)
        with self._averaged():
            vectors = [self._embedded(number) for number in range(len(self.validation))]
            reports = [retrieval_report(*parts, samples=0) for parts in vectors]
            self.evaluated = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        best = reports[0].rsum > position.best_rsum
        position.best_rsum = max(position.best_rsum, reports[0].rsum)
        position.stale = 0 if reports[0].rsum > position.phase_best else position.stale + 1
        position.phase_best = max(position.phase_best, reports[0].rsum)
        image, text, owner = vectors[0]
        entry = self._entry(phase, loss, reports)
        first = _first_captions(owner)[:40]
        similarity = (image[owner[first]] @ text[first].T).numpy()
        position.epoch, position.step, position.finished_epochs = position.epoch + 1, 0, position.finished_epochs + 1
        position.loss_sum = position.seconds = 0.0
        notes = tuple(diagnose(loss, min(phase.batch_size, *(len(s.captions) for s in self.sources)), image))
        return Epoch(entry, best, notes, similarity)

    def _entry(self, phase: Phase, loss: float, reports: Sequence[Report]) -> dict[str, Any]:
        entry = {
            "epoch": self.position.finished_epochs + 1,
            "phase": phase.name,
            "loss": loss,
            "seconds": round(self.position.seconds, 1),
            "learning_rate": max(group["peak"] for group in self._optimizer.param_groups),
            "logit_scale": float(self.model.logit_scale.detach().exp()),
        }
        first = reports[0]
        entry |= {"rsum": first.rsum, "image_to_text": first.image_to_text, "text_to_image": first.text_to_image}
        others = {source.name: report.rsum for source, report in zip(self.validation[1:], reports[1:], strict=True)}
        return entry | ({"other rsum": others} if others else {})

    def _embedded(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        """Unit vectors of a validation source: image (N, D), text (M, D), owner (M,)."""
        source = self.validation[number]
        counts = torch.tensor([len(captions) for captions in source.captions])
        owner = torch.repeat_interleave(torch.arange(len(counts)), counts)
        if self._features:
            cached, device = self._features[len(self.sources) + number], self.accelerator.device
            with torch.no_grad(), eval_mode(self.model):
                image = self.model.image.project(cached.image[0].to(device)).cpu()
                return image, self.model.text.project(cached.text.to(device)).cpu(), owner
        image = self.model.embed_images(torch.from_numpy(np.asarray(source.pixels)), self.transform)
        flat = [ids for captions in source.captions for ids in captions]
        return image, self.model.embed_texts(flat, self.tokenizer), owner

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Run with the averaged weights in place, then put the trained ones back."""
        if not self._average:
            yield
            return
        kept = [parameter.detach().clone() for parameter in self._parameters]
        self._adopt_average()
        yield
        with torch.no_grad():
            torch._foreach_copy_(self._parameters, kept)

    def _adopt_average(self) -> None:
        if self._average:
            with torch.no_grad():
                torch._foreach_copy_(self._parameters, self._average)


def _first_captions(owner: Tensor) -> Tensor:
    """Rows of each picture's first caption, for owner in ascending order."""
    return torch.cat([torch.tensor([0]), (owner[1:] != owner[:-1]).nonzero().flatten() + 1])


def diagnose(loss: float, batch_size: int, image: Tensor) -> Iterator[str]:
    """Say when nothing is learned: the loss sits at ln(batch), or all pictures have nearly one vector.

    loss: mean of an epoch. image: unit vectors of the validation pictures (N, D).
    """
    chance = math.log(batch_size)
    if abs(loss - chance) < STUCK * chance:
        yield (
            f"the loss {loss:.3f} sits at ln(batch) = ln({batch_size}) = {chance:.3f}, as if captions were drawn at "
            "random: check the pairs with `python -m crossmodal validate`, start from pretrained weights, or raise "
            "--lr-scale"
        )
    count = len(image)
    if count > 1:
        mean_cosine = float((image.sum(0).square().sum() - count) / (count * (count - 1)))
        if mean_cosine > COLLAPSED:
            yield (
                f"the embeddings collapse: two pictures have cosine {mean_cosine:.3f} on average; lower --lr-scale "
                "or raise the batch size"
            )
