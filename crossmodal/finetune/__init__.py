"""A folder's captions → new heads for a checkpoint, mixed with the old ones and kept only if they are wanted.

Takes an index; gives a candidate checkpoint with recall before and after.
Knows index, search and gallery, and training's losses.
"""

from __future__ import annotations

from crossmodal.finetune.apply import (
    Pending,
    accept,
    discard,
    pending,
    switch_checkpoint,
    undo,
    vectors_under,
)  # fmt: skip
from crossmodal.finetune.heads import check_teachable
from crossmodal.finetune.result import TeachResult
from crossmodal.finetune.run import ALPHAS, teach
from crossmodal.finetune.split import FEWEST, Progress

__all__ = [
    "ALPHAS", "FEWEST", "Pending", "Progress", "TeachResult", "accept", "check_teachable", "discard", "pending",
    "switch_checkpoint", "teach", "undo", "vectors_under",
]  # fmt: skip
