"""Teaching a checkpoint the user's own folder: new heads from an index's captions, kept only if they are wanted."""

from __future__ import annotations

from crossmodal.teaching.accepting import (
    Pending,
    accept,
    discard,
    pending,
    switch_checkpoint,
    undo,
    vectors_under,
)  # fmt: skip
from crossmodal.teaching.heads import check_teachable
from crossmodal.teaching.lesson import FEWEST, Progress
from crossmodal.teaching.taught import ALPHAS, Taught, teach

__all__ = [
    "ALPHAS", "FEWEST", "Pending", "Progress", "Taught", "accept", "check_teachable", "discard", "pending",
    "switch_checkpoint", "teach", "undo", "vectors_under",
]  # fmt: skip
