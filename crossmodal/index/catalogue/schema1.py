"""Indexes of schema 1, whose rows were JSON lines: read once, by the build that brings them up to date."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crossmodal.errors import IndexStoreError
from crossmodal.index.catalogue.rows import UNKNOWN, Caption, Catalogue, Facts, Picture, Skipped, Stamp

__all__ = ["read_rows"]


def read_rows(folder: Path) -> Catalogue:
    """The rows of a generation. Raises IndexStoreError if they are damaged."""
    try:
        has_facts = (folder / "facts.jsonl").is_file()
        facts = [Facts(*row) for row in _lines(folder / "facts.jsonl")] if has_facts else []
        pictures = [
            Picture(Stamp(path, size, modified), sha256, facts[number] if has_facts else UNKNOWN)
            for number, (path, size, modified, sha256) in enumerate(_lines(folder / "pictures.jsonl"))
        ]
        captions = tuple(Caption(*row) for row in _lines(folder / "captions.jsonl"))
        skipped = tuple(Skipped(*row) for row in _lines(folder / "skipped.jsonl"))
    except (OSError, ValueError, TypeError, IndexError) as error:
        raise IndexStoreError(f"{folder} cannot be read: {error}") from error
    return Catalogue(tuple(pictures), captions, skipped)


def _lines(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        yield from map(json.loads, file)
