"""What a person thinks of the hits: thumbs up and down, kept beside the index, and the query that follows from them.

INDEX/feedback.jsonl holds a line a mark, only ever appended to; of a query and a picture the last one counts, so a
rebuilt index keeps what was marked. A query is known by its key: a plain text is its own key, a composed query's is
the JSON of its terms.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossmodal.errors import IndexStoreError, InputError
from crossmodal.index import read_manifest

if TYPE_CHECKING:
    from crossmodal.search.query import Query, Term

__all__ = [
    "BETA", "FEEDBACK", "GAMMA", "Feedback", "Mark", "normal_key", "open_feedback", "query_key", "query_of",
    "rocchio_terms",
]  # fmt: skip

FEEDBACK = "feedback.jsonl"
LOCK = ".feedback.lock"
BETA, GAMMA = 0.25, 0.1  # weights of all that was liked and of all that was disliked, against 1 for the query
MARKS = (1, -1, 0)


@dataclass(frozen=True, slots=True)
class Mark:
    """One judgement.

    query: its key.
    path: of the picture, as in the index.
    mark: 1 liked, -1 disliked, 0 taken back.
    at: ISO time, UTC.
    """

    query: str
    path: str
    mark: int
    at: str


class Feedback:
    """The marks of an index; every session sees what another has added."""

    def __init__(self, index: Path) -> None:
        self.path = index / FEEDBACK
        self.damaged = 0
        self._lock = index / LOCK
        self._stamp: tuple[int, int] | None = None
        self._marks: dict[str, dict[str, Mark]] = {}

    def mark(self, query: str, path: str, mark: int) -> None:
        """Keep a judgement of a picture as an answer to a query: 1, -1, or 0 to take an earlier one back.

        query: a key. Raises InputError for an empty query or path or another mark, IndexStoreError if the disk refuses.
        """
        from filelock import FileLock

        if mark not in MARKS:
            raise InputError(f"a mark is 1, -1 or 0, not {mark!r}")
        if not path:
            raise InputError("a mark needs the path of a picture")
        terms, now = _terms(query), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        line = json.dumps({"query": terms, "path": path, "mark": int(mark), "at": now}).encode() + b"\n"
        try:
            with FileLock(self._lock), open(self.path, "ab+") as file:
                if file.tell() and not _ends_a_line(file):
                    line = b"\n" + line  # a writer was killed in the middle of its line
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise IndexStoreError(f"cannot write {self.path}: {error}; the mark is not kept") from error

    def marks(self, query: str) -> dict[str, int]:
        """What was marked for a query: path -> 1 or -1, in the order of marking. query: a key."""
        return {mark.path: mark.mark for mark in self._read().get(normal_key(query), {}).values()}

    def queries(self) -> tuple[str, ...]:
        """The keys of all queries with a mark, in the order they were first marked."""
        return tuple(self._read())

    def every(self) -> tuple[Mark, ...]:
        """Every mark that counts, query by query."""
        return tuple(mark for marks in self._read().values() for mark in marks.values())

    def _read(self) -> dict[str, dict[str, Mark]]:
        """Marks by query and path; the file is read again only where it has changed. damaged: lines left out."""
        try:
            status = self.path.stat()
            stamp = (status.st_size, status.st_mtime_ns)
            if stamp != self._stamp:
                lines = self.path.read_bytes().splitlines()
                found = [_mark(line) for line in lines if line.strip()]
                self._marks, self.damaged, self._stamp = _last(found), found.count(None), stamp
        except FileNotFoundError:
            self._marks, self.damaged, self._stamp = {}, 0, None
        except OSError as error:
            raise IndexStoreError(f"cannot read {self.path}: {error}") from error
        return self._marks


def open_feedback(index: Path | str) -> Feedback:
    """The marks of an index directory, none at first. Raises IndexStoreError if there is no index."""
    read_manifest(Path(index))
    return Feedback(Path(index))


def query_key(query: str | Query) -> str:
    """What a query's marks are kept under; a plain text is its own key, white space aside.

    Raises InputError for an empty text, and for a query with a picture that is not of the index: it cannot be asked
    again from a file.
    """
    if isinstance(query, str):
        return normal_key(query)
    return _key([_written(term) for term in query.terms])


def normal_key(key: str) -> str:
    """A key as `queries` gives it, white space put right. Raises InputError for an empty one."""
    return _key(_terms(key))


def query_of(key: str) -> Query:
    """The query of a key. Raises InputError if it is empty or asks for nothing."""
    from crossmodal.search.query import Query

    return Query(tuple(_term(values) for values in _terms(key)))


def rocchio_terms(
    liked: Sequence[str], disliked: Sequence[str], beta: float = BETA, gamma: float = GAMMA
) -> tuple[Term, ...]:
    """What the marks add to a query: the liked pictures' mean with weight beta, the disliked ones' with -gamma.

    liked, disliked: paths in the index. `compose(query, rocchio_terms(…))` is the query that follows from them.
    Source: Rocchio 1971, equation for relevance feedback; the defaults are measured (benchmarks/feedback.py).
    """
    from crossmodal.search.query import Indexed, Term

    sides = ((liked, beta), (disliked, -gamma))
    return tuple(Term(Indexed(path), weight / len(paths)) for paths, weight in sides for path in paths if weight)


def _terms(key: str) -> list[dict[str, Any]]:
    """The terms that a key stands for, as JSON values. Raises InputError for an empty one."""
    if key.startswith("[{"):
        try:
            terms = json.loads(key)
        except ValueError:
            terms = None
        if _are_terms(terms):
            return list(terms)
    text = " ".join(key.split())
    if not text:
        raise InputError("the query is empty: there is nothing to mark an answer to")
    return [{"words": text, "weight": 1.0}]


def _key(terms: list[dict[str, Any]]) -> str:
    if len(terms) == 1 and terms[0].keys() == {"words", "weight"} and terms[0]["weight"] == 1:
        return str(terms[0]["words"])
    return json.dumps(terms, ensure_ascii=False, sort_keys=True)


def _are_terms(terms: Any) -> bool:
    return isinstance(terms, list) and bool(terms) and all(_is_term(values) for values in terms)


def _is_term(values: Any) -> bool:
    weight = values.get("weight") if isinstance(values, dict) else None
    if not isinstance(weight, int | float) or not weight or not math.isfinite(weight):
        return False
    content = values.get("words", values.get("picture"))
    named = values.keys() in ({"words", "weight"}, {"picture", "weight"}, {"picture", "weight", "crop"})
    return named and isinstance(content, str) and bool(content.strip()) and isinstance(values.get("crop", ""), str)


def _written(term: Term) -> dict[str, Any]:
    """A term as JSON values."""
    from crossmodal.search.query import Indexed

    if isinstance(term.content, str):
        return {"words": " ".join(term.content.split()), "weight": term.weight}
    if not isinstance(term.content, Indexed):
        raise InputError("a query with a picture from outside the index cannot be marked: index the picture first")
    crop = {} if term.crop is None else {"crop": str(term.crop)}
    return {"picture": term.content.path, "weight": term.weight, **crop}


def _term(values: dict[str, Any]) -> Term:
    from crossmodal.search.query import Box, Indexed, Term

    if "words" in values:
        return Term(values["words"], values["weight"])
    crop = Box.parse(values["crop"]) if "crop" in values else None
    return Term(Indexed(values["picture"]), values["weight"], crop)


def _ends_a_line(file: Any) -> bool:
    file.seek(-1, os.SEEK_END)
    return bool(file.read(1) == b"\n")


def _mark(line: bytes) -> Mark | None:
    """The mark of a line; None for one that is cut short or no mark."""
    try:
        values = json.loads(line)
        terms, path, mark, at = (values[name] for name in ("query", "path", "mark", "at"))
    except (ValueError, TypeError, KeyError):
        return None
    if not _are_terms(terms) or not isinstance(path, str) or not path or mark not in MARKS or not isinstance(at, str):
        return None
    return Mark(_key(terms), path, int(mark), at)


def _last(marks: Sequence[Mark | None]) -> dict[str, dict[str, Mark]]:
    """Of a query and a picture the last mark, unless it was taken back; queries without any mark are left out."""
    found: dict[str, dict[str, Mark]] = {}
    for mark in _there(marks):
        own = found.setdefault(mark.query, {})
        own.pop(mark.path, None)
        if mark.mark:
            own[mark.path] = mark
    return {query: own for query, own in found.items() if own}


def _there(marks: Sequence[Mark | None]) -> Iterator[Mark]:
    return (mark for mark in marks if mark is not None)
