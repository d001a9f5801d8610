"""What the doctor finds, each with the evidence for it: values for programs, and a sentence for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from crossmodal._files import csv_table
from crossmodal.datasets.splits import SPLITS

__all__ = [
    "EVIDENCE", "AmbiguousCaption", "Drawn", "Duplicates", "Finding", "Fit", "Hub", "WrongCaption", "as_csv", "ordinal",
]  # fmt: skip


EVIDENCE = 3  # pictures or captions that a finding names: enough to judge by, few enough to look at


@dataclass(frozen=True, slots=True)
class Fit:
    """A picture that fits a caption.

    path: below the gallery's folder.
    cosine: of the two.
    """

    path: str
    cosine: float


@dataclass(frozen=True, slots=True)
class Drawn:
    """A caption of another picture that finds a hub.

    caption: the sentence.
    path: its own picture.
    cosine: with the hub.
    rank: of its own picture, from 1.
    """

    caption: str
    path: str
    cosine: float
    rank: int


@dataclass(frozen=True, slots=True)
class WrongCaption:
    """A caption that likely does not belong to its picture.

    path: the picture.
    caption: the sentence.
    belongs: probability that it belongs to its picture rather than to one drawn at random, in [0, 1].
    cosine: with its picture.
    mean: of its cosines with all pictures.
    rank: of its picture among all of them, from 1.
    pictures: how many there are.
    sibling: mean cosine with the two closest of the picture's other captions, None where there is none.
    siblings: those other captions, all of them.
    better: the pictures that fit it best, best first.
    """

    path: str
    caption: str
    belongs: float
    cosine: float
    mean: float
    rank: int
    pictures: int
    sibling: float | None
    siblings: tuple[str, ...]
    better: tuple[Fit, ...]

    @property
    def evidence(self) -> str:
        """In plain words."""
        said = (
            f"Its picture ranks {ordinal(self.rank)} of {self.pictures:,} for it, with a cosine of "
            f"{_signed(self.cosine)}; the average picture has {_signed(self.mean)}."
        )
        if self.sibling is None:
            return f"{said} The picture has no other caption to compare it with."
        return f"{said} The closest of the picture's other captions: {_signed(self.sibling)}."

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class AmbiguousCaption:
    """A caption that fits its picture and many others as well.

    path: the picture.
    caption: the sentence.
    cosine: with its picture.
    rank: of its picture among all of them, from 1.
    pictures: how many there are.
    within: how many other pictures fit as well as its own, or at most `margin` less.
    margin: a difference of cosines.
    others: those that fit best, best first.
    """

    path: str
    caption: str
    cosine: float
    rank: int
    pictures: int
    within: int
    margin: float
    others: tuple[Fit, ...]

    @property
    def evidence(self) -> str:
        """In plain words."""
        return (
            f"{_count(self.within, 'other picture fits', 'other pictures fit')} it as well as its own, within "
            f"{self.margin:.2f} of its cosine {self.cosine:.2f}; its own ranks {ordinal(self.rank)} of "
            f"{self.pictures:,}."
        )

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Hub:
    """A picture that comes up for far more captions of other pictures than chance would have it.

    path: the picture.
    captions: its own.
    occurrences: captions of other pictures that have it among their first `places`.
    expected: how many the average picture has.
    places: how many first pictures of a caption are looked at.
    drawn: those of the occurrences with the highest cosine.
    """

    path: str
    captions: tuple[str, ...]
    occurrences: int
    expected: float
    places: int
    drawn: tuple[Drawn, ...]

    @property
    def evidence(self) -> str:
        """In plain words."""
        among = "is the first answer to" if self.places == 1 else f"is among the first {self.places} answers to"
        return (
            f"It {among} {_count(self.occurrences, 'caption', 'captions')} of other pictures, "
            f"{self.occurrences / self.expected:.1f} times as many as the average picture ({self.expected:.0f})."
        )

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Duplicates:
    """One picture stored more than once.

    paths: in the order of the gallery.
    cosines: of each with the first.
    same_bytes: for each, whether its bytes are the first's.
    splits: "train", "val" or "test" of each, "" where none is known.
    """

    paths: tuple[str, ...]
    cosines: tuple[float, ...]
    same_bytes: tuple[bool, ...]
    splits: tuple[str, ...]

    @property
    def across(self) -> bool:
        """Whether two splits share the picture, so that a model is judged on what it was trained on."""
        return len(set(self.splits) - {""}) > 1

    @property
    def evidence(self) -> str:
        """In plain words."""
        same = "with the same bytes" if all(self.same_bytes) else f"of cosine {min(self.cosines[1:]):.3f} or more"
        where = " and in ".join(role for role in SPLITS if role in self.splits) if self.across else ""
        return f"{len(self.paths)} files {same}{f', in {where}' if where else ''}."

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "across": self.across}


Finding = WrongCaption | AmbiguousCaption | Hub | Duplicates


def as_csv(findings: Sequence[Finding]) -> str:
    """The findings of one kind as a CSV table with a header; empty for none.

    Lists stand in one cell, a line each; a number follows what it belongs to.
    """
    if not findings:
        return ""
    names = [field.name for field in fields(findings[0])]
    rows = ([*(_cell(getattr(finding, name)) for name in names), finding.evidence] for finding in findings)
    return csv_table([[*names, "evidence"], *rows])


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, tuple):
        return "\n".join(str(_cell(part)) for part in value)
    if isinstance(value, Fit | Drawn):
        return " ".join(str(_cell(getattr(value, field.name))) for field in fields(value))
    return "" if value is None else value


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 1,021st."""
    last = number % 100
    return f"{number:,}{'th' if 10 < last < 14 else {1: 'st', 2: 'nd', 3: 'rd'}.get(last % 10, 'th')}"


def _signed(cosine: float) -> str:
    return f"{cosine:.2f}".replace("-", "−")


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
