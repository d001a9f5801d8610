"""What a training step minimises and what an epoch is judged by; the loop itself is in trainer.py."""

from crossmodal.training.objectives.base import Batch, Judgement, Objective, diagnose
from crossmodal.training.objectives.embedding import EmbeddingObjective
from crossmodal.training.objectives.matching import MatchObjective

__all__ = ["Batch", "EmbeddingObjective", "Judgement", "MatchObjective", "Objective", "diagnose"]
