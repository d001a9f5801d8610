"""Full-text search: pictures by words in their captions and in their names, ranked by BM25 (SQLite's FTS5).

A picture is one document of two columns. Words are split as everywhere here (`split_words`) and compared by their stem
(Porter 1980: "dogs" finds "dog"); what hardly tells pictures apart, "the" or "on", is not looked for, unless there is
nothing else.

Shapes: N pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import IndexStoreError
from crossmodal.index.catalogue.database import Database, write_database
from crossmodal.index.catalogue.rows import Catalogue
from crossmodal.index.catalogue.words import split_words

__all__ = ["WORDS", "FullText", "write_words"]

WORDS = "words.sqlite"
# Everything but spaces belongs to a word: texts come split already, an emoji or a Chinese character a word
TOKENS = "porter unicode61 remove_diacritics 0 categories 'L* M* N* P* S* C*'"
SCHEMA = f"""CREATE VIRTUAL TABLE words USING fts5(captions, name, content = '', tokenize = "{TOKENS}");"""
INSERT = "INSERT INTO words (rowid, captions, name) VALUES (?, ?, ?)"
COMMON_WORDS = """a an and are as at be by for from has have he her his in into is it its of on or she that the their
    there they this to was were with"""
COMMON = frozenset(COMMON_WORDS.split())


def write_words(path: Path, catalogue: Catalogue) -> None:
    """Write the index of all captions and names. Raises OSError if the disk refuses."""
    with write_database(path, [SCHEMA]) as database:
        database.executemany(INSERT, _documents(catalogue))
        database.execute("INSERT INTO words (words) VALUES ('optimize')")


def _documents(catalogue: Catalogue) -> Iterator[tuple[int, str, str]]:
    """Row, words of the captions and words of the name of each picture."""
    captions = catalogue.each_caption()
    caption = next(captions, None)
    for row, picture in enumerate(catalogue.each_picture()):
        said = []
        while caption is not None and caption.picture == row:
            said += split_words(caption.text)
            caption = next(captions, None)
        name = PurePosixPath(picture.stamp.path).with_suffix("").as_posix()
        yield row, _plain(said), _plain(split_words(name))


def _plain(words: list[str]) -> str:
    return " ".join(words).encode("utf-8", "replace").decode()


class FullText:
    """The words of an index. Any number of threads may ask at once.

    path: what `write_words` wrote; made again in memory where a build has published another generation since.
    """

    def __init__(self, path: Path, catalogue: Catalogue) -> None:
        try:
            self._words = Database(path, [SCHEMA])
        except IndexStoreError:
            self._words = Database.in_memory([SCHEMA], INSERT, _documents(catalogue))

    def find(self, text: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Rows (n,) of all pictures that hold a word of the text, best first, and their scores (n,), above 0.

        Equal scores stand in the order of their rows. Source: BM25 with k1 = 1.2 and b = 0.75, Robertson & Zaragoza
        2009, as FTS5 computes it.
        """
        words = dict.fromkeys(split_words(text))
        telling = [word for word in words if word not in COMMON] or list(words)
        if not telling:
            return np.empty(0, dtype=np.int64), np.empty(0)
        wanted = " OR ".join(f'"{word}"' for word in _plain(telling).replace('"', " ").split())
        found = self._words.read("SELECT rowid, -rank FROM words WHERE words MATCH ? ORDER BY rank, rowid", wanted)
        rows, scores = np.array(found, dtype=np.float64).reshape(-1, 2).T
        return rows.astype(np.int64), np.asarray(scores)
