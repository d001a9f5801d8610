"""What a person looks at, as one value that goes into the address and comes out of it again."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from crossmodal.errors import InputError
from crossmodal.search.filters import KEYS as FILTER_KEYS
from crossmodal.search.filters import Filter
from crossmodal.search.query import Box

__all__ = [
    "ADDRESS_TEXT", "COUNTS", "DEFAULT_COUNT", "KEYS", "MAX_COUNT", "MAX_PARTS", "MAX_TEXT", "MAX_WEIGHT",
    "MIN_WEIGHT", "TARGETS", "WAYS", "Part", "View",
]  # fmt: skip

COUNTS = (12, 24, 48, 96)
DEFAULT_COUNT = 24
MAX_COUNT = 100
MAX_TEXT = 10_000
MAX_PART_TEXT = 300
MAX_PARTS = 12
MIN_WEIGHT, MAX_WEIGHT = 0.1, 3.0
ADDRESS_TEXT = 2_000  # characters of the first words that the address carries
TARGETS = ("images", "captions")
WAYS = ("pictures", "captions", "both")
KEYS = frozenset(
    {"q", "like", "w", "crop", "plus", "minus", "to", "by", "k", "page", "picture", "heatmap", "copies", *FILTER_KEYS}
)
WEIGHTED = re.compile(r"([0-9]{1,2}(?:\.[0-9]{1,3})?):(.*)", re.S)
CROPPED = re.compile(r"(.+)#xywh=(percent:[0-9.,]+)", re.S)
Parameters = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True, slots=True)
class Part:
    """One thing asked for or taken away: words, a picture of the gallery, or a picture given in this session.

    words, picture (its path), upload (its key among the given ones): exactly one of them is set. weight: 0.1 to 3.
    minus: whether it is taken away. crop: the part of the picture that is meant.
    """

    words: str = ""
    picture: str = ""
    upload: str = ""
    weight: float = 1.0
    minus: bool = False
    crop: Box | None = None

    @classmethod
    def parse(cls, text: str, minus: bool = False) -> Part | None:
        """Read "[WEIGHT:]WORDS" or "[WEIGHT:]@PATH[#xywh=percent:x,y,w,h]"; None for what is neither.

        Words that begin with @ or \\ stand behind one more \\.
        """
        weighted = WEIGHTED.fullmatch(text)
        weight, rest = (_weight(weighted[1]), weighted[2]) if weighted else (1.0, text)
        if rest.startswith("@"):
            cropped = CROPPED.fullmatch(rest[1:])
            path, crop = (cropped[1], _box(cropped[2])) if cropped else (rest[1:], None)
            return cls(picture=path, weight=weight, minus=minus, crop=crop) if path else None
        words = rest.removeprefix("\\").strip()[:MAX_PART_TEXT]
        return cls(words=words, weight=weight, minus=minus) if words else None

    def __str__(self) -> str:
        """What `parse` reads; empty for a given picture, which has no address."""
        if self.upload:
            return ""
        escape = "\\" if self.words.startswith(("@", "\\")) else ""
        content = f"{escape}{self.words}" if self.words else "@" + _with_crop(self.picture, self.crop)
        plain = self.weight == 1 and not WEIGHTED.fullmatch(content)
        return content if plain else f"{self.weight:g}:{content}"


@dataclass(frozen=True)
class View:
    """One page of answers to one question.

    parts: what is asked; the first one stands in the line. to: "images", "captions", or None for what suits the
    question. by: what pictures are found by, one of WAYS. count: 1 to 100 a page. page: from 1. chosen: the filter.
    picture: path of the picture looked at in detail. heatmap: whether similarities are drawn. copies: paths of
    pictures whose near-duplicates are unfolded; "*" for all.
    """

    parts: tuple[Part, ...] = ()
    to: str | None = None
    by: str = WAYS[0]
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
            parts=_parts(parameters, one)[:MAX_PARTS],
            to=to if to in TARGETS else None,
            by=by if by in WAYS else WAYS[0],
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
        parameters: dict[str, str | list[str]] = {}
        if first:
            parameters = {
                "q": first.words[:ADDRESS_TEXT],
                "like": first.picture,
                "w": "" if first.weight == 1 or first.upload else f"{first.weight:g}",
                "crop": "" if first.crop is None or first.upload else str(first.crop),
            }
        parameters |= {
            "plus": [str(part) for part in rest if not part.minus and not part.upload],
            "minus": [str(part) for part in rest if part.minus and not part.upload],
            "to": self.to or "",
            "by": "" if self.by == WAYS[0] else self.by,
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


def _parts(parameters: Parameters, one: Mapping[str, str]) -> tuple[Part, ...]:
    weight = _weight(one.get("w", "1"))
    text, like = one.get("q", "")[:MAX_TEXT].strip(), one.get("like", "")
    first: list[Part | None] = [Part(words=text, weight=weight)] if text else []
    if like and not text:
        first = [Part(picture=like, weight=weight, crop=_box(one.get("crop", "")))]
    added = [Part.parse(value) for value in _all(parameters.get("plus", ()))]
    taken = [Part.parse(value, minus=True) for value in _all(parameters.get("minus", ()))]
    return tuple(part for part in (*first, *added, *taken) if part is not None)


def _with_crop(path: str, crop: Box | None) -> str:
    return path if crop is None else f"{path}#xywh={crop}"


def _box(text: str) -> Box | None:
    try:
        return Box.parse(text)
    except InputError:
        return None


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 1.0
    return min(max(round(weight, 2), MIN_WEIGHT), MAX_WEIGHT) if math.isfinite(weight) and weight > 0 else 1.0


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch("[0-9]{1,6}", text, re.ASCII) else None


def _all(value: str | Sequence[str]) -> Sequence[str]:
    return [value] if isinstance(value, str) else list(value)


def _last(value: str | Sequence[str]) -> str:
    values = _all(value)
    return values[-1] if values else ""
