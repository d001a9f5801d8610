"""Marks as training data: liked pictures gain the query as a caption, disliked ones become its hard negatives."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from crossmodal._files import write_document
from crossmodal.datasets.records import Record
from crossmodal.gallery.feedback.marks import query_of
from crossmodal.gallery.feedback.personal import read_marks

__all__ = ["TrainingMarks"]


class TrainingMarks:
    """The marks of an index or an exported file, by the pictures of a training's own folder.

    Queries other than plain words have no sentence to train on; they are left out and said.
    """

    def __init__(self, feedback: Path, images: Path) -> None:
        root, everything = read_marks(feedback)
        self.images = images
        self.marks: dict[str, dict[str, int]] = {}
        for key, marks in everything.items():
            term = query_of(key).single
            if term is None or not isinstance(term.content, str):
                print(f"left out: the query {key} is more than words", file=sys.stderr)
                continue
            self.marks[term.content] = {_below(images, root, path): mark for path, mark in marks.items()}

    def with_queries(self, records: Sequence[Record]) -> list[Record]:
        """Training records, each liked picture with its queries as further captions; says what was left out."""
        names = {record.image for record in records}
        lost = sorted({path for marks in self.marks.values() for path in marks if path not in names})
        if lost:
            said = f"marks about {len(lost)} pictures outside the training split ({lost[0]}, …)"
            print(f"left out: {said}", file=sys.stderr)
        queries: dict[str, list[str]] = {}
        for text, marks in self.marks.items():
            for path, mark in marks.items():
                if mark > 0:
                    queries.setdefault(path, []).append(text)
        return [replace(r, captions=(*r.captions, *queries.get(r.image, ()))) for r in records]

    def of(self, records: Sequence[Record]) -> tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]:
        """Each query with a disliked picture among these: (query, rows liked, rows disliked)."""
        row_of = {record.image: row for row, record in enumerate(records)}
        found = []
        for text, marks in self.marks.items():
            there = [(row_of[path], mark) for path, mark in marks.items() if path in row_of]
            sides = [tuple(row for row, mark in there if mark == side) for side in (1, -1)]
            if sides[1]:
                found.append((text, sides[0], sides[1]))
        return tuple(found)

    def write(self, path: Path) -> None:
        """Keep what is trained on, so that a resumed run sees the same marks; `read_marks` reads it."""
        queries = [
            {
                "query": text,
                "relevant": [name for name, mark in marks.items() if mark > 0],
                "irrelevant": [name for name, mark in marks.items() if mark < 0],
            }
            for text, marks in self.marks.items()
        ]
        write_document(path, {"queries": queries, "protocol": {"images": str(self.images.resolve())}})


def _below(images: Path, root: Path, path: str) -> str:
    """A picture's name in the training's folder, where the index starts from another one."""
    try:
        return PurePosixPath((root / path).resolve().relative_to(images.resolve())).as_posix()
    except ValueError:
        return path
