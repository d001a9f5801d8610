"""A question as text: what the address of a page holds and what a shell is given, read and written in one way.

    question = [first] *plus *minus          at least one of them is looked for
    first    = WORDS | NAME                  as they stand; WORDS need no escape, whatever they are
    plus     = term                          looked for, too
    minus    = term                          taken away
    term     = [WEIGHT ":"] (WORDS | "\" WORDS | "@" NAME ["#xywh=" box | "#"])
    box      = "percent:" X "," Y "," W "," H    of the upright picture, from its upper left corner

WEIGHT is a number above 0, 1 where none is given. White space around WORDS means nothing. WORDS that begin with @ or \
stand behind one more \\, and words that begin with a number and a colon behind a weight: "1:2:30 in the morning". NAME
is a picture: a file in a shell, a path of the gallery in an address. A lone # ends a NAME that holds "#xywh=" or ends
with # or white space.

An address has the parameters of KEYS: the first WORDS as q, or else the first picture's NAME as like with its box as
crop, the weight of either as w; and plus and minus, each any number of times. In a shell these are WORDS, --image,
--plus and --minus. Pictures without a name, only their bytes, cannot be written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from crossmodal.errors import InputError
from crossmodal.search.query import WEIGHTED, Box, Indexed, Query, Term, split_weight

__all__ = [
    "KEYS", "Parameters", "format_query", "format_term", "format_terms", "parse_query", "parse_term", "parse_terms",
]  # fmt: skip

KEYS = ("q", "like", "w", "crop", "plus", "minus")
FRAGMENT = "#xywh="
NOUGHT = re.compile(r"^\s*[0-9.]+\s*:|#xywh=percent:[0-9.,]*#?\s*$")  # a weight or a box that cannot be one
Parameters: TypeAlias = Mapping[str, str | Sequence[str]]
Named: TypeAlias = Callable[[str], Path | Indexed]  # what a NAME stands for


def parse_query(parameters: Parameters, named: Named = Indexed) -> Query:
    """The question of an address, or of a shell's options under the same names.

    parameters: what is there of KEYS; others are passed over.
    named: what the NAME of a picture stands for; a file is not opened.

    Raises InputError if it is not written as it should be, or nothing is looked for.
    """
    return Query(parse_terms(parameters, named))


def parse_terms(parameters: Parameters, named: Named = Indexed, forgiving: bool = False) -> tuple[Term, ...]:
    """The terms of `parse_query`, also where there is nothing but to take away, or nothing at all.

    forgiving: whether what is not written as it should be is left out, or words and names taken as they stand, since
    anybody may edit a link; then no InputError is raised.
    """
    first, read = (_forgiven_first, _forgiven) if forgiving else (_first, parse_term)
    terms = [
        first(parameters, named),
        *(read(text, 1, named) for text in _all(parameters, "plus")),
        *(read(text, -1, named) for text in _all(parameters, "minus")),
    ]
    return tuple(term for term in terms if term is not None)


def parse_term(text: str, sign: int = 1, named: Named = Path) -> Term:
    """Read a term, as the grammar has it.

    sign: 1 to look for it, -1 to take it away.
    named: what the NAME of a picture stands for; a file is not opened.

    Raises InputError if the weight is not above 0, nothing follows it, or the box is none.

    >>> parse_term("0.5:at night", -1)
    Term(content='at night', weight=-0.5, crop=None, name='')
    """
    weight, content = split_weight(text)
    if not content.startswith("@"):
        return Term(content.removeprefix("\\").strip(), sign * weight)
    name, fragment, box = content[1:].rpartition(FRAGMENT)
    if content.endswith("#"):
        name, fragment = content[1:-1], ""
    elif not fragment:
        name = content[1:]
    if not name:
        raise InputError(f"{text!r} names no file after @")
    return Term(named(name), sign * weight, Box.parse(box) if fragment else None)


def format_query(query: Query) -> dict[str, str | list[str]]:
    """The parameters that `parse_query` reads, without empty ones.

    What is taken away stands behind what is looked for; boxes are written to a ten-thousandth of a per cent; the names
    that terms were given are left out.

    Raises InputError for a picture that is only bytes.
    """
    begins = query.terms[0].weight > 0
    return format_terms(query.terms[0] if begins else None, query.terms[begins:])


def format_terms(first: Term | None, rest: Sequence[Term]) -> dict[str, str | list[str]]:
    """The parameters of a question as far as it is there, in the form of `format_query`.

    first: what it begins with; None where that cannot be written, or there is nothing but to take away.
    rest: all other terms, with their weights.

    Raises InputError for a picture that is only bytes.
    """
    parameters: dict[str, str | list[str]] = {}
    if first:
        parameters = {
            "q" if first.is_words else "like": _content(first),
            "w": "" if first.weight == 1 else _number(first.weight),
            "crop": "" if first.crop is None else str(first.crop),
        }
    parameters |= {
        "plus": [format_term(term) for term in rest if term.weight > 0],
        "minus": [format_term(term) for term in rest if term.weight < 0],
    }
    return {name: value for name, value in parameters.items() if value}


def format_term(term: Term) -> str:
    """What `parse_term` reads; its sign is not written. Raises InputError for a picture that is only bytes."""
    content = _content(term).strip() if term.is_words else _content(term)
    if term.is_words:
        content = f"\\{content}" if content.startswith(("@", "\\")) else content
    elif term.crop is not None:
        content = f"@{content}{FRAGMENT}{term.crop}"
    else:
        ends = FRAGMENT in content or content.endswith("#") or content != content.rstrip()
        content = f"@{content}#" if ends else f"@{content}"
    plain = abs(term.weight) == 1 and not WEIGHTED.fullmatch(content)
    return content if plain else f"{_number(abs(term.weight))}:{content}"


def _first(parameters: Parameters, named: Named) -> Term | None:
    """What the question begins with; None where it does not say so."""
    content: str | Path | Indexed
    if "q" in parameters:
        content = _last(parameters, "q").strip()
    elif "like" in parameters:
        content = named(_last(parameters, "like"))
    else:
        return None
    written, crop = _last(parameters, "w") or "1", _last(parameters, "crop")
    weight, more = split_weight(f"{written}:")
    if more:
        raise InputError(f"the weight w must be a number above 0, not {written!r}")
    return Term(content, weight, Box.parse(crop) if crop else None)


def _forgiven_first(parameters: Parameters, named: Named) -> Term | None:
    """What the question begins with in spite of what is wrong with it: without its weight and its box."""
    words, name = _last(parameters, "q").strip(), _last(parameters, "like")
    try:
        return _first({key: value for key, value in parameters.items() if key != "q" or words}, named)
    except InputError:
        return Term(words) if words else Term(named(name)) if name else None


def _forgiven(text: str, sign: int, named: Named) -> Term | None:
    """A term in spite of what is wrong with it; None where nothing is left."""
    try:
        return parse_term(text, sign, named)
    except InputError:
        content = NOUGHT.sub("", text)
    if content.startswith("@"):
        return Term(named(content[1:]), sign) if content[1:] else None
    return Term(content.strip(), sign) if content.strip() else None


def _content(term: Term) -> str:
    """The words or the name of a term."""
    if isinstance(term.content, str):
        return term.content
    if isinstance(term.content, Indexed):
        return term.content.path
    if isinstance(term.content, Path):
        return str(term.content)
    raise InputError(f"{term.label} is a picture without a path, which no address can hold: save it to a file first")


def _number(weight: float) -> str:
    """A weight in as few digits as bring it back."""
    return f"{weight:g}" if float(f"{weight:g}") == weight else repr(weight)


def _all(parameters: Parameters, name: str) -> list[str]:
    value = parameters.get(name, ())
    return [value] if isinstance(value, str) else list(value)


def _last(parameters: Parameters, name: str) -> str:
    return next(reversed(_all(parameters, name)), "")
