"""What is asked: words and pictures, each added or taken away with a weight.

    + 2:a beach   + @photo.jpg#xywh=percent:10,10,50,50   − 0.5:people
         └────────────────────┴──────────────────────────────────┴──► three Terms ──► Query ──► Searcher.search

Data only: nothing is read, decoded or encoded here; how it is written is in `crossmodal.search.grammar`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeAlias

from crossmodal.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = [
    "BY", "TARGETS", "WEIGHTED", "Box", "Content", "Indexed", "Query", "QueryLike", "Term", "TermLike", "compose",
    "split_weight",
]  # fmt: skip

TARGETS = ("images", "captions")  # what is looked for
BY = ("pictures", "captions", "both", "words", "all")  # what pictures are ranked by
WEIGHTED = re.compile(  # [WEIGHT:]…; ASCII alone, for "ı" is an i to re.I and none to float
    r"\s*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+|nan|inf|infinity)(?:e[+-]?[0-9]+)?)\s*:(.*)", re.A | re.I | re.S
)
ROUNDING = 1e-6  # by which a box written with few digits may reach beyond the picture


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a picture, in shares [0, 1] of the upright picture's width and height, y downwards.

    left: its left edge, of the width.
    top: its upper edge, of the height.
    width: above 0, of the width.
    height: above 0, of the height.

    Raises InputError if it reaches beyond the picture or has no area.
    """

    left: float
    top: float
    width: float
    height: float

    def __post_init__(self) -> None:
        numbers = (self.left, self.top, self.width, self.height)
        if not all(map(math.isfinite, numbers)):
            raise InputError(f"the box {self} is not made of finite numbers")
        if self.width <= 0 or self.height <= 0:
            raise InputError(f"the box {self} has no area: give a width and a height above 0")
        if min(self.left, self.top) < 0 or max(self.left + self.width, self.top + self.height) > 1 + ROUNDING:
            raise InputError(f"the box {self} reaches beyond the picture: x + width and y + height are at most 100")

    def __str__(self) -> str:
        shares = (self.left, self.top, self.width, self.height)
        return "percent:" + ",".join(f"{round(100 * share, 4):.10g}" for share in shares)

    @classmethod
    def parse(cls, text: str) -> Box:
        """Read "percent:x,y,w,h"; `str` writes it. Source: W3C Media Fragments URI 1.0, section 4.2.2.

        Raises InputError if it is something else, and like Box.
        """
        unit, _, values = text.partition(":")
        try:
            left, top, width, height = (float(value) / 100 for value in values.split(","))
        except ValueError:
            unit = ""
        if unit.strip() != "percent":
            raise InputError(f"{text!r} is no box: write percent:x,y,width,height in per cent of the upright picture")
        return cls(left, top, width, height)

    def pixels(self, width: int, height: int) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) in whole pixels of a picture of that size; at least one pixel each way."""
        left, top = min(round(self.left * width), width - 1), min(round(self.top * height), height - 1)
        right, bottom = round((self.left + self.width) * width), round((self.top + self.height) * height)
        return left, top, min(max(right, left + 1), width), min(max(bottom, top + 1), height)


@dataclass(frozen=True, slots=True)
class Indexed:
    """A picture of the gallery, by its path in the index."""

    path: str


Content: TypeAlias = "str | Path | bytes | Image | Indexed"


@dataclass(frozen=True, slots=True)
class Term:
    """One part of a query.

    content: words (a str), or a picture: a Path, its bytes, a PIL image, or one of the gallery.
    weight: how much it counts; below 0 it is taken away.
    crop: the part of the picture that is meant; None for all of it.
    name: what to call it; left out, the words or the file's name.

    Raises InputError if the weight is 0 or not finite, the words are empty, the content is of another kind, or words
    have a crop.
    """

    content: Content
    weight: float = 1.0
    crop: Box | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if not math.isfinite(self.weight) or self.weight == 0:
            raise InputError(f"a weight must be a finite number other than 0, not {self.weight}")
        if isinstance(self.content, str):
            if not self.content.strip():
                raise InputError("the query is empty: type some words, or give a picture")
            if self.crop is not None:
                raise InputError(f"only a picture can have a box, not the words {self.content!r}")
        elif not isinstance(self.content, (Path, bytes, Indexed)):
            from PIL.Image import Image as Picture

            if not isinstance(self.content, Picture):
                raise InputError(f"cannot look for a {type(self.content).__name__}: give words or a picture")

    @property
    def is_words(self) -> bool:
        """Whether it is words rather than a picture."""
        return isinstance(self.content, str)

    @property
    def label(self) -> str:
        """What to call it on a screen, without its weight."""
        if self.name:
            return self.name
        if isinstance(self.content, str):
            return self.content.strip()
        path = self.content.path if isinstance(self.content, Indexed) else self.content
        name = PurePosixPath(path).name if isinstance(path, (str, Path)) else "picture"
        return name if self.crop is None else f"part of {name}"


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for. Raises InputError unless at least one term has a positive weight."""

    terms: tuple[Term, ...]

    def __post_init__(self) -> None:
        if not any(term.weight > 0 for term in self.terms):
            raise InputError("give at least one thing to look for: there is nothing to take away from")

    @property
    def single(self) -> Term | None:
        """The only term, where there is but one."""
        return self.terms[0] if len(self.terms) == 1 else None

    @property
    def usual_target(self) -> str:
        """What is looked for where nobody says: a picture alone finds captions, all else finds images."""
        return "captions" if self.single and not self.single.is_words else "images"

    @property
    def label(self) -> str:
        """All of it in one line: "photo.jpg + 2 × at night − people"."""
        parts = [(abs(term.weight), "−" if term.weight < 0 else "+", term.label) for term in self.terms]
        shown = " ".join(f"{sign} {label if size == 1 else f'{size:g} × {label}'}" for size, sign, label in parts)
        return shown.removeprefix("+ ")


TermLike: TypeAlias = "Content | Term"
QueryLike: TypeAlias = "Content | Term | Query"


def compose(query: QueryLike | None = None, plus: Sequence[TermLike] = (), minus: Sequence[TermLike] = ()) -> Query:
    """One query of all that is to be looked for and all that is to be taken away.

    query: a str is words as they stand.
    plus: a str is "[WEIGHT:]WORDS", never a file; a Path is a picture. A Term keeps its weight.
    minus: what is taken away, in the form of plus. A Term is taken away with its weight, whatever its sign.

    Raises InputError if nothing is to be looked for, and like Term.
    """
    first = query.terms if isinstance(query, Query) else () if query is None else (_term(query),)
    wanted = [_weighted_term(content) for content in _listed(plus)]
    unwanted = [_weighted_term(content) for content in _listed(minus)]
    return Query((*first, *wanted, *(replace(term, weight=-abs(term.weight)) for term in unwanted)))


def _listed(terms: Sequence[TermLike]) -> Sequence[TermLike]:
    if isinstance(terms, (str, bytes, Path, Term)):
        raise InputError(f"plus and minus are lists of terms, not {terms!r}: write [{terms!r}]")
    return terms


def _term(content: TermLike) -> Term:
    return content if isinstance(content, Term) else Term(content)


def _weighted_term(content: TermLike) -> Term:
    if not isinstance(content, str):
        return _term(content)
    weight, words = split_weight(content)
    return Term(words, weight)


def split_weight(text: str) -> tuple[float, str]:
    """Weight and the rest of "[WEIGHT:]…", 1 where none is given. Raises InputError unless it is above 0 and finite."""
    found = WEIGHTED.fullmatch(text)
    if found is None:
        return 1.0, text.strip()
    weight = float(found[1])
    if not (math.isfinite(weight) and weight > 0):
        raise InputError(f"the weight of {text!r} must be a finite number above 0, not {found[1]}")
    return weight, found[2].strip()
