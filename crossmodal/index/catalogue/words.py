"""Which captions hold a word: an inverted list, so that a typed beginning is found in all of them at once.

Shapes: M captions, T words in all captions together.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from bisect import bisect_left
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

__all__ = ["CaptionWords", "split_words"]

# A word is what stands between these: white space, controls, and punctuation, whatever the script
BETWEEN = (
    r"\s\x00-/:-@\[-`{-\xa9\xab-\xb4\xb6-\xb9\xbb-\xbf\u055a-\u055f\u0589\u058a\u05be\u05c0\u05c3\u05f3\u05f4"
    r"\u0609\u060a\u060c\u060d\u061b-\u061f\u066a-\u066d\u06d4\u0964\u0965\u0e4f\u0e5a\u0e5b\u104a-\u104f\u1361-\u1368"
    r"\u2000-\u206f\u3000-\u3004\u3008-\u3020\u3030\u303d\u30fb\ufe00-\ufe1f\ufe30-\ufe4f\ufeff\uff61-\uff65"
)
# and each of these is a word by itself: arrows, signs and emoji; Chinese characters and kana, written without spaces
ALONE = (
    r"\u2190-\u2bff\u3040-\u30fa\u30fc-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    r"\U0001f000-\U0001faff\U00020000-\U0003ffff"
)
WORD = re.compile(rf"[{ALONE}]|[^{BETWEEN}{ALONE}]+")


def split_words(text: str) -> list[str]:
    """The words of a text as they are compared: upper and lower case alike, one spelling of each accented letter."""
    return WORD.findall(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()))


class CaptionWords:
    """The words of some captions. Any number of threads may ask at once."""

    def __init__(self, captions: Iterable[str]) -> None:
        numbers: dict[str, int] = {}
        words, rows, row = array("i"), array("i"), -1
        for row, text in enumerate(captions):
            found = {numbers.setdefault(word, len(numbers)) for word in split_words(text)}
            words.extend(found)
            rows.extend([row] * len(found))
        self._vocabulary = sorted(numbers)
        place = np.empty(len(numbers), dtype=np.int32)
        place[[numbers[word] for word in self._vocabulary]] = np.arange(len(numbers))
        places = place[np.asarray(words, dtype=np.int32)]
        self._rows = np.asarray(rows, dtype=np.int32)[np.argsort(places, kind="stable")]  # (T,)
        self._starts = np.concatenate([[0], np.bincount(places, minlength=len(numbers)).cumsum()])
        self._count = row + 1

    def holding(self, words: str) -> NDArray[np.bool_]:
        """Which captions (M,) have, for each of the words, one that begins with it; all of them for no words."""
        answer = np.ones(self._count, dtype=np.bool_)
        for word in set(split_words(words)):
            if not answer.any():
                break
            first = bisect_left(self._vocabulary, word)
            last = bisect_left(self._vocabulary, word + chr(0x10FFFF))
            held = np.zeros(self._count, dtype=np.bool_)
            held[self._rows[self._starts[first] : self._starts[last]]] = True
            answer &= held
        return answer
