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
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor, nn

from crossmodal.errors import InputError, TrainingError
from crossmodal.recipes import Phase
from crossmodal.training.objectives import Batch, Objective, diagnose
from crossmodal.training.phases import learning_rate_factor, parameter_groups, set_trainable

FUSED = frozenset({"cpu", "cuda"})  # where torch has a fused AdamW


@dataclass(frozen=True)
class Step:
    """One optimiser step was taken.

    phase: its name.
    epoch: of the phase, from 0.
    step: of the epoch, from 1.
    steps: how many the epoch has.
    loss: of this step's batch.
    pairs: seen in this phase so far.
    pairs_in_phase: that it has in all, if no epoch is left out.
    """

    phase: str
    epoch: int
    step: int
    steps: int
    loss: float
    pairs: int
    pairs_in_phase: int


@dataclass(frozen=True)
class Epoch:
    """One epoch is over and was validated.

    entry: what the history keeps of it, as JSON values.
    best: whether its score is the highest so far.
    notes: what a person should know of it, a sentence each.
    similarity: (n, n) cosines of the first validation pictures with their first captions, for drawing, where there are
        such cosines.
    """

    entry: dict[str, Any]
    best: bool
    notes: tuple[str, ...]
    similarity: NDArray[np.float32] | None


@dataclass
class _Position:
    phase: int = 0
    epoch: int = 0
    step: int = 0
    finished_epochs: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    best_score: float = -1.0
    phase_best: float = -1.0
    stale: int = 0


def _seeded(*parts: int) -> int:
    """One 63-bit seed from several numbers."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0]) >> 1


class Trainer:
    """Takes an objective through the phases of a recipe. accelerator: device and precision.

    Raises InputError without phases, or in one of several processes.
    """

    def __init__(
        self,
        objective: Objective[Any],
        phases: Sequence[Phase],
        seed: int = 0,
        accelerator: Accelerator | None = None,
    ) -> None:
        if not phases:
            raise InputError("a training needs at least one phase")
        self.accelerator = accelerator or Accelerator(cpu=True)
        if self.accelerator.num_processes > 1:
            raise InputError(f"training runs in one process, not {self.accelerator.num_processes}: start it plainly")
        self.objective = objective
        self.model: nn.Module = objective.model.to(self.accelerator.device)
        self.phases = tuple(phases)
        self.seed = seed
        self.position = _Position()
        self.evaluated: dict[str, Tensor] = {}
        self._average: list[Tensor] = []
        self._parameters: list[Tensor] = []
        self._optimizer: Any = None
        self._restored: dict[str, Tensor] = {}

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
            while self._unfinished(phase):
                yield from self._epoch(phase)
            self._adopt_average()
            position.phase, position.epoch, position.step = position.phase + 1, 0, 0
            self._optimizer, self._average = None, []

    def _unfinished(self, phase: Phase) -> bool:
        return self.position.epoch < phase.epochs and not self._exhausted(phase)

    def _exhausted(self, phase: Phase) -> bool:
        """Whether a phase ends early: no longer improving, or good enough."""
        enough = bool(phase.until) and self.position.phase_best >= phase.until
        return enough or (bool(phase.patience) and self.position.stale >= phase.patience)

    def _prepare(self, phase: Phase) -> None:
        """Freeze, thaw and group parameters for a phase, and bring back the optimiser's state when resuming."""
        set_trainable(self.objective.model, phase)
        groups = parameter_groups(self.objective.model, phase)
        self._parameters = [parameter for group in groups for parameter in group["params"]]
        fused = self.accelerator.device.type in FUSED  # one pass over weights, gradients and moments in place of ten
        self._optimizer = self.accelerator.prepare(torch.optim.AdamW(groups, fused=fused))
        self._average = [parameter.detach().clone() for parameter in self._parameters] if phase.average else []
        if self._unfinished(phase):
            self.objective.prepare(phase, self.accelerator)
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
        started, first = time.perf_counter(), position.step
        base_seconds = position.seconds
        for step in range(first, len(plan)):
            batch = plan[step]
            done = position.epoch * len(plan) + step
            factor = self._factor(phase, done, steps_in_phase)
            for group in self._optimizer.param_groups:
                group["lr"] = group["peak"] * factor
            self.objective.read_ahead(plan[step : step + 2])
            torch.manual_seed(_seeded(self.seed, position.phase, position.epoch, step))
            loss = self._step(phase, batch)
            self._update_average(phase, done)
            if not math.isfinite(loss):
                raise TrainingError(f"the loss is {loss} at step {step} of epoch {position.epoch}: lower --lr-scale")
            position.step, position.loss_sum = step + 1, position.loss_sum + loss
            position.seconds = base_seconds + time.perf_counter() - started
            pairs = (done + 1) * len(batch.rows), steps_in_phase * len(batch.rows)
            yield Step(phase.name, position.epoch, step + 1, len(plan), loss, *pairs)
        yield self._close_epoch(phase, len(plan))

    def _factor(self, phase: Phase, done: int, steps: int) -> float:
        if phase.halve_every:
            return float(0.5 ** (self.position.epoch // phase.halve_every))
        return learning_rate_factor(done, steps, phase.warmup)

    def _plan(self, phase: Phase) -> list[Batch]:
        """The epoch's batches in random order, one random caption of each picture chosen."""
        draw = np.random.default_rng(_seeded(self.seed, self.position.phase, self.position.epoch))
        plan = []
        for number, source in enumerate(self.objective.sources):
            size = min(phase.batch_size, len(source.captions))
            order = source.order(draw)
            counts = np.array([len(captions) for captions in source.captions])
            choices = (draw.random(len(counts)) * counts).astype(np.int64)
            last = max(size, round(source.share * len(order)))
            starts = range(0, last - size + 1, size)
            plan += [Batch(number, order[at : at + size], choices[order[at : at + size]]) for at in starts]
        return [plan[place] for place in draw.permutation(len(plan))]

    def _step(self, phase: Phase, batch: Batch) -> float:
        self._optimizer.zero_grad()
        first_epoch = self.position.finished_epochs == 0
        loss = self.objective.backward(phase, batch, first_epoch, self.accelerator)
        self.accelerator.clip_grad_norm_(self._parameters, phase.gradient_clip)
        self._optimizer.step()
        self.objective.after_step()
        return loss

    def _update_average(self, phase: Phase, done: int) -> None:
        """Move the averaged weights towards the new ones; faster at first, so that the start is soon forgotten."""
        if self._average:
            decay = min(phase.average, (1 + done) / (10 + done))
            with torch.no_grad():
                torch._foreach_lerp_(self._average, self._parameters, 1 - decay)

    # -- the end of an epoch ----------------------------------------------------------------------------------------

    def _close_epoch(self, phase: Phase, steps: int) -> Epoch:
        position = self.position
        loss = position.loss_sum / max(1, steps)
        with self._averaged():
            verdict = self.objective.judge(phase)
            self.evaluated = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        best = verdict.score > position.best_score
        position.best_score = max(position.best_score, verdict.score)
        position.stale = 0 if verdict.score > position.phase_best else position.stale + 1
        position.phase_best = max(position.phase_best, verdict.score)
        position.finished_epochs += 1
        entry = {
            "epoch": position.finished_epochs,
            "phase": phase.name,
            "loss": loss,
            "seconds": round(position.seconds, 1),
            "learning_rate": max(group["lr"] for group in self._optimizer.param_groups),
            **verdict.entry,
        }
        position.epoch, position.step = position.epoch + 1, 0
        position.loss_sum = position.seconds = 0.0
        smallest = min(phase.batch_size, *(len(source.captions) for source in self.objective.sources))
        chance = self.objective.chance(smallest) if phase.vectors else None
        notes = (*diagnose(loss, chance, verdict.image), *verdict.warnings)
        return Epoch(entry, best, notes, verdict.similarity)

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
