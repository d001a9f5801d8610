"""What teaching came to, in numbers and in a sentence."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from crossmodal.evaluation.retrieval import Report

__all__ = ["Choice", "TeachResult"]


@dataclass(frozen=True)
class Choice:
    """One mixture of old and new weights.

    alpha: share of the new.
    loss: on the validation part; it chooses.
    recall: mean of the six recalls on the held-out part, in percent, None where nobody looked.
    skills: such means of the old skills, by name.
    """

    alpha: float
    loss: float
    skills: dict[str, float]
    recall: float | None = None


@dataclass(frozen=True)
class TeachResult:
    """What teaching came to.

    candidate: the new checkpoint's directory, None where nothing was learned that keeps the old skill.
    taught_from: the old one's fingerprint.
    alpha: share of the new weights in it, in [0, 1].
    before: report on the held-out part, by the old one.
    after: report on the held-out part, by the new one.
    gain: of the mean of the six recalls, in points: (gain, low, high) with its 95 % interval.
    skills: (before, after) reports on each old skill, by name.
    choices: mixtures by alpha.
    pictures: how many to train on, to validate on and held out.
    marks: how many were used and left out.
    seconds: wall clock.
    history: an entry an epoch.
    """

    candidate: Path | None
    taught_from: str
    alpha: float
    before: Report
    after: Report
    gain: tuple[float, float, float]
    skills: dict[str, tuple[Report, Report]]
    choices: tuple[Choice, ...]
    pictures: tuple[int, int, int]
    marks: tuple[int, int]
    seconds: float
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """What the numbers say, in a sentence."""
        gain, low, high = self.gain
        if self.candidate is None:
            return "Nothing was learned that keeps the old skill: the checkpoint stays as it is."
        said = f"{gain:+.1f} points of recall on pictures it has not seen, 95 % interval {low:+.1f} to {high:+.1f}"
        if low > 0:
            return f"It finds your pictures better: {said}."
        return f"{'It is worse' if high < 0 else 'No clear gain'}: {said}. Rather discard it."

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        skills = {name: [report.as_dict() for report in reports] for name, reports in self.skills.items()}
        return {
            "candidate": None if self.candidate is None else str(self.candidate),
            "taught_from": self.taught_from,
            "verdict": self.verdict,
            "alpha": self.alpha,
            "gain": dict(zip(("points", "low", "high"), self.gain, strict=True)),
            "choices": [asdict(choice) for choice in self.choices],
            "pictures": dict(zip(("train", "validation", "held out"), self.pictures, strict=True)),
            "marks": dict(zip(("used", "left out"), self.marks, strict=True)),
            "seconds": round(self.seconds, 1),
            "before": self.before.as_dict(),
            "after": self.after.as_dict(),
            "old skills, before and after": skills,
        }
