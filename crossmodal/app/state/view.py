"""What a person looks at, as one value that goes into the address and comes out of it again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from crossmodal.search.filters import KEYS as FILTER_KEYS
from crossmodal.search.filters import Filter
from crossmodal.search.grammar import KEYS as QUERY_KEYS
from crossmodal.search.grammar import Parameters, format_terms, parse_terms
from crossmodal.search.query import BY, TARGETS, Box, Indexed, Term

__all__ = [
    "ADDRESS_TEXT", "COUNTS", "DEFAULT_COUNT", "KEYS", "MAX_COUNT", "MAX_PARTS", "MAX_TEXT", "MAX_WEIGHT",
    "MIN_WEIGHT", "Part", "View",
]  # fmt: skip

COUNTS = (12, 24, 48, 96)
DEFAULT_COUNT = 24
MAX_COUNT = 100
MAX_TEXT = 10_000
MAX_PART_TEXT = 300
MAX_PARTS = 12
MIN_WEIGHT, MAX_WEIGHT = 0.1, 3.0
ADDRESS_TEXT = 2_000  # characters of the first words that the address carries
COSINES = frozenset(BY[:3])  # ways whose scores are cosines, or mixed of them
KEYS = frozenset({*QUERY_KEYS, "to", "by", "k", "page", "picture", "heatmap", "copies", *FILTER_KEYS})


@dataclass(frozen=True, slots=True)
class Part:
    """One thing asked for or taken away: words, a picture of the gallery, or a picture given in this session.

    Exactly one of words, picture and upload is set.

    words: as they were typed.
    picture: its path.
    upload: its key among the given pictures.
    weight: 0.1 to 3.
    minus: whether it is taken away.
    crop: the part of the picture that is meant; None for all of it.
    """

    words: str = ""
    picture: str = ""
    upload: str = ""
    weight: float = 1.0
    minus: bool = False
    crop: Box | None = None

    @classmethod
    def of(cls, term: Term, longest: int) -> Part:
        """What a term of an address asks. longest: characters of its words that are kept."""
        content, weight, minus = term.content, _weight(abs(term.weight)), term.weight < 0
        if isinstance(content, Indexed):
            return cls(picture=content.path, weight=weight, minus=minus, crop=term.crop)
        return cls(words=str(content)[:longest], weight=weight, minus=minus)

    @property
    def term(self) -> Term:
        """The term of a part that is no picture given in this session."""
        content = self.words or Indexed(self.picture)
        return Term(content, -self.weight if self.minus else self.weight, self.crop)


@dataclass(frozen=True)
class View:
    """One page of answers to one question.

    parts: what is asked; the first one stands in the line.
    to: "images", "captions", or None for what suits the question.
    by: what pictures are found by, one of `crossmodal.search.query.BY`.
    count: answers a page, 1 to 100.
    page: from 1.
    chosen: the filter.
    picture: path of the picture looked at in detail; "" for none.
    heatmap: whether similarities are drawn.
    copies: paths of pictures whose near-duplicates are unfolded; "*" for all.
    """

    parts: tuple[Part, ...] = ()
    to: str | None = None
    by: str = BY[0]
    count: int = DEFAULT_COUNT
    page: int = 1
    chosen: Filter = field(default_factory=Filter)
    picture: str = ""
    heatmap: bool = False
    copies: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What stands in the line."""
        return self.parts[0].words if self._begins else ""

    @property
    def asks(self) -> bool:
        """Whether there is something to look for; only to take away is not enough."""
        return any(not part.minus for part in self.parts)

    def with_first(self, part: Part | None) -> View:
        """This question with another beginning: words replace words or a picture, what was added stays."""
        rest = self.parts[1:] if self._begins else self.parts
        return replace(self, parts=((part,) if part else ()) + rest, to=None, page=1, copies=())

    def with_added(self, part: Part) -> View:
        """This question with one thing more, or less; a part that is there already is replaced."""
        content = (part.words, part.picture, part.upload, part.crop)
        kept = tuple(old for old in self.parts if (old.words, old.picture, old.upload, old.crop) != content)
        parts = (*kept, part) if any(not old.minus for old in kept) else (part, *kept)
        return replace(self, parts=parts[:MAX_PARTS], to=None, page=1, copies=())

    def with_part(self, number: int, part: Part | None) -> View:
        """This question with one part changed, or without it for None."""
        parts = list(self.parts)
        parts[number : number + 1] = [] if part is None else [part]
        order = sorted(parts, key=lambda one: one.minus) if parts and parts[0].minus else parts
        return replace(self, parts=tuple(order), page=1, copies=())

    @classmethod
    def from_parameters(cls, parameters: Parameters) -> View:
        """Read the address; what is missing or nonsense falls back to the default, since anybody may edit a link."""
        one = {name: _last(value) for name, value in parameters.items()}
        to, by, count = one.get("to"), one.get("by", ""), _number(one.get("k", ""))
        filters = {name: one[name] for name in FILTER_KEYS if name in one}
        return cls(
            parts=_parts(parameters),
            to=to if to in TARGETS else None,
            by=by if by in BY else BY[0],
            count=DEFAULT_COUNT if count is None else min(max(count, 1), MAX_COUNT),
            page=max(_number(one.get("page", "")) or 1, 1),
            chosen=Filter.from_parameters(filters),
            picture=one.get("picture", ""),
            heatmap=one.get("heatmap") == "1",
            copies=tuple(_all(parameters.get("copies", ())))[:MAX_COUNT],
        )

    def parameters(self) -> dict[str, str | list[str]]:
        """The shortest address that shows this view: defaults and pictures given in this session are left out."""
        first, rest = (self.parts[0], self.parts[1:]) if self._begins else (None, self.parts)
        begins = None
        if first and not first.upload:
            begins = replace(first, words=first.words[:ADDRESS_TEXT]).term
        parameters: dict[str, str | list[str]] = {
            **format_terms(begins, [part.term for part in rest if not part.upload]),
            "to": self.to or "",
            "by": "" if self.by == BY[0] else self.by,
            "k": "" if self.count == DEFAULT_COUNT else str(self.count),
            "page": "" if self.page == 1 else str(self.page),
            **self.chosen.parameters(),
            "picture": self.picture,
            "heatmap": "1" if self.heatmap else "",
            "copies": list(self.copies),
        }
        return {name: value for name, value in parameters.items() if value}

    @property
    def _begins(self) -> bool:
        return bool(self.parts) and not self.parts[0].minus


def _parts(parameters: Parameters) -> tuple[Part, ...]:
    terms = parse_terms(parameters, forgiving=True)[:MAX_PARTS]
    return tuple(Part.of(term, MAX_PART_TEXT if number else MAX_TEXT) for number, term in enumerate(terms))


def _weight(weight: float) -> float:
    return min(max(round(weight, 2), MIN_WEIGHT), MAX_WEIGHT)


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch("[0-9]{1,6}", text, re.ASCII) else None


def _all(value: str | Sequence[str]) -> Sequence[str]:
    return [value] if isinstance(value, str) else list(value)


def _last(value: str | Sequence[str]) -> str:
    values = _all(value)
    return values[-1] if values else ""
