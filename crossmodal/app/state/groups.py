"""Groups of pictures in a gallery that have something in common by name: a folder, or a word of their captions."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from crossmodal.search.searcher import Searcher

__all__ = ["classes_of"]

WORD = re.compile(r"[^\W\d_]{3,}|\d+")
MOST = 200
FEWEST = 2
COMMONEST = 0.8


def classes_of(searcher: Searcher) -> dict[str, list[str]]:
    """Name → paths of its pictures: the outermost folders where there are several, else words of the captions.

    Words are those of at least two pictures and at most four fifths of them, the 200 most frequent, by name.
    """
    return _classes(str(searcher.index.path), searcher.manifest.generation, searcher)


@st.cache_data(max_entries=4, show_spinner=False)
def _classes(index: str, generation: str, _searcher: Searcher) -> dict[str, list[str]]:  # noqa: ARG001 - the key
    paths = [picture.stamp.path for picture in _searcher.index.catalogue.pictures]
    folders: defaultdict[str, list[str]] = defaultdict(list)
    for path in paths:
        folders[path.partition("/")[0] if "/" in path else ""].append(path)
    if len(folders) > 1:
        return {name or "no folder": folders[name] for name in sorted(folders)}
    words: defaultdict[str, list[str]] = defaultdict(list)
    for path in paths:
        for word in {word for text in _searcher.captions_of(path) for word in WORD.findall(text.casefold())}:
            words[word].append(path)
    fit = {word: with_it for word, with_it in words.items() if FEWEST <= len(with_it) <= COMMONEST * len(paths)}
    return {word: fit[word] for word in sorted(sorted(fit, key=lambda word: (-len(fit[word]), word))[:MOST])}
