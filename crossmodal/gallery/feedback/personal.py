"""The marks as a personal test set: where do the liked pictures stand, before and after, and as a file.

Ranks count from 0, which is best.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossmodal._files import csv_table
from crossmodal.errors import InputError
from crossmodal.gallery.feedback.marks import (
    BETA,
    GAMMA,
    Feedback,
    Mark,
    normal_key,
    open_feedback,
    query_of,
    rocchio_terms,
)
from crossmodal.index import Index, read_manifest
from crossmodal.inference.base import Encoder
from crossmodal.search.query import Indexed, Query, compose
from crossmodal.search.ranking import compose_vectors

__all__ = ["Asked", "PersonalTest", "personal_csv", "personal_test", "read_marks", "write_personal_test"]

FOUND = 10  # of the first hits, a liked picture counts as found


@dataclass(frozen=True)
class Asked:
    """A marked query.

    query: its key; of words alone, the words.
    liked: paths of pictures.
    disliked: paths of pictures.
    ranks_before: of each liked picture by the query alone, in order, 0 is best.
    ranks_after: of each liked picture with what the other marks say.
    """

    query: str
    liked: tuple[str, ...]
    disliked: tuple[str, ...]
    ranks_before: tuple[int, ...]
    ranks_after: tuple[int, ...]

    def recall(self, after: bool = False) -> float | None:
        """Share of the liked pictures among the ten first, in percent; None where none was liked."""
        ranks = self.ranks_after if after else self.ranks_before
        return 100 * sum(rank < FOUND for rank in ranks) / len(ranks) if ranks else None


@dataclass(frozen=True)
class PersonalTest:
    """What a person marked, as a test set.

    asked: one a query.
    gone: marks about pictures that are not in the index any more.
    protocol: what was asked and how, as JSON values.
    """

    asked: tuple[Asked, ...]
    gone: tuple[Mark, ...]
    protocol: dict[str, Any]

    def recall(self, after: bool = False) -> float | None:
        """Share of all liked pictures among the ten first, in percent; None where none was liked."""
        ranks = [rank for asked in self.asked for rank in (asked.ranks_after if after else asked.ranks_before)]
        return 100 * sum(rank < FOUND for rank in ranks) / len(ranks) if ranks else None

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        queries = [
            {
                "query": asked.query,
                "relevant": list(asked.liked),
                "irrelevant": list(asked.disliked),
                "recall@10 before": asked.recall(),
                "recall@10 after": asked.recall(after=True),
            }
            for asked in self.asked
        ]
        return {
            "schema": 1,
            "kind": "personal test set",
            "queries": queries,
            "recall@10 before": self.recall(),
            "recall@10 after": self.recall(after=True),
            "gone": [{"query": mark.query, "path": mark.path, "mark": mark.mark} for mark in self.gone],
            "protocol": self.protocol,
        }


def personal_test(feedback: Feedback, index: Index, encoder: Encoder) -> PersonalTest:
    """Ask every marked query again: where do the liked pictures stand, by the query alone and with the other marks?

    Each liked picture is looked for in turn among those nobody marked, once by the query and once by the query with
    Rocchio's terms from all marks but its own. Marks about pictures that are gone, and queries that cannot be asked
    without one, are left out and listed. encoder: the index's own.
    """
    asked, gone = [], []
    for key in feedback.queries():
        marks = feedback.marks(key)
        there = {path: mark for path, mark in marks.items() if path in index.row_of}
        query = query_of(key)
        answerable = all(path in index.row_of for path in _pictures(query))
        gone += [mark for mark in feedback.every() if mark.query == key and not (answerable and mark.path in there)]
        if answerable and there:
            asked.append(_asked(key, query, there, index, encoder))
    checkpoint = index.manifest.checkpoint
    protocol = {
        "index": index.path.name,
        "images": str(index.root.resolve()),
        "checkpoint": f"{encoder.name} {encoder.fingerprint}",
        "built with": f"{checkpoint['name']} {checkpoint['fingerprint']}",
        "pictures": len(index.catalogue.pictures),
        "hit": f"a liked picture among the {FOUND} first of itself and the pictures nobody marked for its query",
        "before": "the query alone",
        "after": f"the query with Rocchio's terms from all of its marks but this one (beta {BETA}, gamma {GAMMA})",
    }
    return PersonalTest(tuple(asked), tuple(gone), protocol)


def _asked(key: str, query: Query, marks: dict[str, int], index: Index, encoder: Encoder) -> Asked:
    liked = [path for path, mark in marks.items() if mark > 0]
    disliked = [path for path, mark in marks.items() if mark < 0]
    rows = [index.row_of[path] for path in (*marks, *_pictures(query))]
    before = compose_vectors(query, index, lambda: encoder).vector
    ranks: tuple[list[int], list[int]] = ([], [])
    for path in liked:
        others = rocchio_terms([other for other in liked if other != path], disliked)
        after = compose_vectors(compose(query, others), index, lambda: encoder).vector
        for found, vector in zip(ranks, (before, after), strict=True):
            scores = index.image_vectors @ vector
            own = scores[index.row_of[path]]
            scores[rows] = -2.0
            found.append(int((scores >= own).sum()))
    return Asked(key, tuple(liked), tuple(disliked), tuple(ranks[0]), tuple(ranks[1]))


def _pictures(query: Query) -> list[str]:
    return [term.content.path for term in query.terms if isinstance(term.content, Indexed)]


def write_personal_test(test: PersonalTest, path: Path) -> None:
    """Write it as JSON, or as CSV, a row a mark. Raises InputError for another suffix, or if the disk refuses."""
    suffix = path.suffix.lower()
    if suffix not in {".json", ".csv"}:
        raise InputError(f"a personal test set is written as .json or .csv, not {path.name!r}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = personal_csv(test) if suffix == ".csv" else json.dumps(test.as_dict(), indent=1) + "\n"
        path.write_text(content, "utf-8", newline="")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error}") from error


def personal_csv(test: PersonalTest) -> str:
    """A row a mark: query, picture, 1 or -1, ranks before and after from 1, and the checkpoint."""
    rows: list[tuple[object, ...]] = [("query", "image", "mark", "rank before", "rank after", "checkpoint")]
    checkpoint = test.protocol["checkpoint"]
    for asked in test.asked:
        for path, before, after in zip(asked.liked, asked.ranks_before, asked.ranks_after, strict=True):
            rows.append((asked.query, _plain(path), 1, before + 1, after + 1, checkpoint))
        rows += [(asked.query, _plain(path), -1, "", "", checkpoint) for path in asked.disliked]
    return csv_table(rows)


def _plain(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def read_marks(path: Path) -> tuple[Path, dict[str, dict[str, int]]]:
    """Marks by query and path, of an index directory or an exported JSON file, with the pictures' folder.

    Raises InputError if it is neither, or holds no mark; IndexStoreError for a damaged index.
    """
    if path.is_dir():
        feedback = open_feedback(path)
        root = read_manifest(path).root(path)
        marks = {query: feedback.marks(query) for query in feedback.queries()}
    else:
        root, marks = _exported(path)
    if not marks:
        raise InputError(f"{path} holds no marks yet: give hits a thumb up or down in the app, then try again")
    return root, marks


def _exported(path: Path) -> tuple[Path, dict[str, dict[str, int]]]:
    try:
        content = json.loads(path.read_text("utf-8"))
        root = Path(str(content["protocol"]["images"]))
        marks = {
            normal_key(str(asked["query"])): {
                **{str(name): 1 for name in asked["relevant"]},
                **{str(name): -1 for name in asked["irrelevant"]},
            }
            for asked in content["queries"]
        }
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{path} is no index with marks and no exported test set ({error!r}): name an index, or a file written by "
            "`python -m crossmodal feedback --index DIR --export FILE.json`"
        ) from error
    return root, marks
