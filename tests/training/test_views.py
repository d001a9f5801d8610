"""Views of pictures that go once through the stages a phase leaves as they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from crossmodal.errors import InputError
from crossmodal.recipes import Phase
from crossmodal.training.objectives import EmbeddingObjective, views
from crossmodal.training.phases import set_trainable
from tests.training.test_objectives import batch_of, captioned, embedding, step

VIEWS = Phase("towers", 1, image_lr=1e-3, text_lr=1e-3, smallest_crop=1.0, mirror=False, image_dropout=0.0,
              text_dropout=0.0, freeze_image_stages=1, views=3)  # fmt: skip


def prepared(phase: Phase, accelerator: Accelerator | None = None) -> EmbeddingObjective:
    objective = embedding(captioned())
    set_trainable(objective.model, phase)
    objective.prepare(phase, accelerator)
    return objective


def test_views_that_change_nothing_train_like_pixels():
    plain, from_views = (
        step(embedding(captioned()), replace(VIEWS, views=count), batch_of(range(6))) for count in (0, 3)
    )
    assert from_views[0] == pytest.approx(plain[0], abs=1e-5)
    assert from_views[1].keys() == plain[1].keys()
    for name, gradient in plain[1].items():
        torch.testing.assert_close(from_views[1][name], gradient, rtol=1e-3, atol=1e-5)


def test_every_view_is_drawn_and_each_by_its_own_number():
    phase = replace(VIEWS, smallest_crop=0.3)
    first, again = (prepared(phase)._views[0] for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first[0], first[1])
    torch.manual_seed(0)
    drawn = views.drawn_maps(first, np.zeros(60, np.int64))
    assert {int(torch.stack([(one == view[0]).all() for view in first]).nonzero()) for one in drawn} == {0, 1, 2}


def test_in_bf16_they_take_half_the_memory():
    found = []
    for kind in ("no", "bf16"):
        AcceleratorState._reset_state(reset_partial_state=True)  # else the first precision of a process is its only one
        found.append(prepared(VIEWS, Accelerator(cpu=True, mixed_precision=kind))._views[0])
    AcceleratorState._reset_state(reset_partial_state=True)
    whole, half = found
    assert (whole.dtype, half.dtype) == (torch.float32, torch.bfloat16)
    torch.testing.assert_close(half.float(), whole, rtol=0.05, atol=0.05)


def test_progress_is_told_picture_by_picture():
    objective = embedding(captioned())
    told: list[tuple[int, int]] = []
    objective.progress = lambda *numbers: told.append(numbers)
    set_trainable(objective.model, VIEWS)
    objective.prepare(VIEWS)
    assert told[-1] == (told[-1][1],) * 2 == (3 * len(objective.sources[0].pixels),) * 2


def test_a_phase_without_frozen_stages_keeps_no_views():
    with pytest.raises(InputError, match="frozen image stages"):
        prepared(replace(VIEWS, freeze_image_stages=0))


def test_nothing_is_read_ahead_where_views_stand_for_pixels():
    objective = prepared(VIEWS)
    objective.read_ahead([batch_of([0, 1])])
    assert objective._reader._begun == []
