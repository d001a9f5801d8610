"""What every captions reader yields, and the means by which a reader fills it row by row."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from crossmodal.errors import CaptionsError

IMAGE_COLUMNS = (
    "image", "image_name", "imagename", "file_name", "filename", "image_path", "image_file", "filepath", "file_path",
    "img", "img_name", "img_path", "picture", "photo", "path", "file", "image_filename", "image_id", "img_id", "name",
)  # fmt: skip
CAPTION_COLUMNS = (
    "caption", "captions", "comment", "comments", "sentence", "sentences", "text", "texts", "description", "raw",
    "caption_text", "title",
)  # fmt: skip
SPLIT_COLUMNS = ("split", "splits", "subset", "partition")
_NUMBERED_CAPTION = re.compile(r"(caption|comment|sentence|text|description)_?\d+")


class Columns(NamedTuple):
    """Where the parts of a row stand, counted from 0.

    image: the column of the picture's name.
    captions: the columns of its captions.
    split: the column of its split, None where there is none.
    """

    image: int
    captions: tuple[int, ...]
    split: int | None


def find_columns(names: Sequence[str]) -> Columns | None:
    """Find the image, caption and split columns by their names; None if there is no image or no caption column.

    Names are compared in lower case with blanks and hyphens as underscores; of several known names the one earlier
    in IMAGE_COLUMNS or CAPTION_COLUMNS wins. Without a plain caption column, caption_1 … caption_5 all count.
    """
    plain = [re.sub(r"[\s-]+", "_", name.strip().strip('"').lower()) for name in names]

    def first(known: Sequence[str]) -> int | None:
        return next((plain.index(name) for name in known if name in plain), None)

    image, caption = first(IMAGE_COLUMNS), first(CAPTION_COLUMNS)
    captions = tuple(i for i, name in enumerate(plain) if _NUMBERED_CAPTION.fullmatch(name))
    if caption is not None:
        captions = (caption,)
    return Columns(image, captions, first(SPLIT_COLUMNS)) if image is not None and captions else None


@dataclass(frozen=True)
class CaptionTable:
    """What a captions file says, before any picture was looked at.

    format: short name of the format found.
    captions: image name as written → its captions in file order, blanks tidied, empty and repeated ones still there.
    splits: image name → split as written, where the file says it.
    problems: what was wrong with a row, with its line number and what was done about it.
    other_splits: image name → further splits that later rows give it; `splits` keeps the first.
    """

    format: str
    captions: dict[str, tuple[str, ...]]
    splits: dict[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    other_splits: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass
class TableBuilder:
    """Collects rows into a CaptionTable; the fields are those of the table.

    captions: image name → its captions so far.
    splits: image name → the first split that a row gave it.
    problems: what was wrong with a row, in order.
    other_splits: image name → the further splits.
    """

    captions: dict[str, list[str]] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    other_splits: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def problem(self, where: str, what: str) -> None:
        """Record what is wrong at a place, and what was done about it."""
        self.problems.append(f"{where}: {what}")

    def add(self, where: str, name: Any, captions: Any, split: Any = None) -> None:
        """Add one row. captions: a string, a list of strings (or of {"raw": string}), or a JSON list as a string."""
        if isinstance(name, dict):  # an image column of Hugging Face data sets: {"bytes": …, "path": …}
            name = name.get("path")
        if isinstance(name, int) and not isinstance(name, bool):
            name = str(name)
        if not isinstance(name, str) or not name.strip():
            self.problem(where, "no image name: row left out")
            return
        name = name.strip()
        texts = caption_texts(captions)
        if texts is None:
            self.problem(where, f"{name!r} has no caption text but {type(captions).__name__}: row left out")
            return
        self.captions.setdefault(name, []).extend(texts)
        if isinstance(split, str) and split.strip():
            self._add_split(where, name, split.strip())

    def _add_split(self, where: str, name: str, split: str) -> None:
        former = self.splits.setdefault(name, split)
        if former != split and split not in self.other_splits.get(name, ()):
            self.other_splits[name] = (*self.other_splits.get(name, ()), split)
            self.problem(where, f"{name!r} stands in split {split!r} here and in {former!r} above: the first one kept")

    def table(self, format_name: str, source: str) -> CaptionTable:
        """The table; nothing can be added any more.

        Raises CaptionsError if not a single row could be used.
        """
        if not any(self.captions.values()):
            first = f"first problem: {self.problems[0]}" if self.problems else ""
            raise CaptionsError(f"{source} ({format_name}) holds no captions", first)
        captions: dict[str, Any] = self.captions
        for name, texts in captions.items():
            captions[name] = tuple(texts)  # one by one: a second dictionary of everything would be large
        return CaptionTable(format_name, captions, dict(self.splits), tuple(self.problems), dict(self.other_splits))


def caption_texts(value: Any) -> list[str] | None:
    """The captions in one cell, blanks tidied; None if it holds no text. An absent value is one empty caption."""
    if value is None:
        return [""]
    if isinstance(value, str):
        if value.lstrip().startswith('["'):
            try:
                listed = json.loads(value)
            except (ValueError, RecursionError):
                listed = None
            if isinstance(listed, list) and all(isinstance(text, str) for text in listed):
                return [" ".join(text.split()) for text in listed]
        return [" ".join(value.split())]
    if isinstance(value, dict):
        value = value.get("raw", value.get("caption"))
        return caption_texts(value) if isinstance(value, str) else None
    if isinstance(value, list):
        texts = [caption_texts(item) if isinstance(item, str | dict) else None for item in value]
        return None if None in texts else [text for group in texts if group is not None for text in group]
    return None
