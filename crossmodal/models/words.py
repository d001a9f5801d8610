"""Tokens back to the words a person typed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Encoding

__all__ = ["MARKS", "Word", "words_of"]

MARKS = "(start and end)"
JOINT = re.compile(r"(?<=\w)['’-](?=\w)")


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a sentence, and the tokens that it became.

    The marks that a tokeniser puts around a sentence, [CLS] and [SEP], are together one last word without a span.

    text: as it was typed.
    span: (first character, one past the last) in the sentence; None for the marks.
    tokens: places of its pieces in the token row.
    """

    text: str
    span: tuple[int, int] | None
    tokens: tuple[int, ...]


def words_of(encoding: Encoding, text: str) -> tuple[Word, ...]:
    """The words of a sentence: pieces of one word are joined, and so is what a hyphen or an apostrophe binds.

    Every token belongs to exactly one word. Punctuation is a word of its own.
    """
    joints = {match.start() for match in JOINT.finditer(text)}
    words: list[tuple[int, int, list[int]]] = []
    marks: list[int] = []
    former: int | None = None
    for token, (number, (start, end)) in enumerate(zip(encoding.word_ids, encoding.offsets, strict=True)):
        if number is None:
            marks.append(token)
            continue
        bound = bool(words) and start == words[-1][1] and (start in joints or start - 1 in joints)
        if words and (number == former or bound):
            first, _, tokens = words[-1]
            words[-1] = (first, end, [*tokens, token])
        else:
            words.append((start, end, [token]))
        former = number
    found = [Word(text[start:end], (start, end), tuple(tokens)) for start, end, tokens in words]
    return (*found, Word(MARKS, None, tuple(marks))) if marks else tuple(found)
