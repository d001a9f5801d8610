"""Results to take along: CSV for a spreadsheet, JSON for a program, a ZIP of the pictures with both beside them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from crossmodal._files import csv_table
from crossmodal.app.widgets.theme import shown

if TYPE_CHECKING:
    from crossmodal.search.query import Term
    from crossmodal.search.searcher import Hit, Searcher

__all__ = ["MOST_BYTES", "MOST_PICTURES", "Results", "as_csv", "as_json", "as_zip", "file_stem"]

MOST_PICTURES = 500
MOST_BYTES = 200_000_000
STEM_LETTERS = 40


@dataclass(frozen=True)
class Results:
    """What is exported.

    searcher: of the gallery that the hits are from.
    terms: those of the hits' shares, in their order.
    hits: best first, with whatever is folded into them.
    """

    searcher: Searcher
    terms: Sequence[Term]
    hits: Sequence[Hit]


def as_csv(results: Results) -> bytes:
    """A row a hit: rank, path, score, relevance, caption(s), and what each term adds to the score, in UTF-8."""
    shared = any(hit.shares for hit in results.hits)
    labels = [_column(term) for term in results.terms] if shared else []
    rows: list[list[object]] = [["rank", "path", "score", "relevance", "captions", *map(shown, labels)]]
    for hit in results.hits:
        captions = [hit.caption] if hit.caption is not None else results.searcher.captions_of(hit.path)
        chance = "" if hit.relevance is None else f"{hit.relevance:.6f}"
        shares = [f"{share:.6f}" for share in hit.shares or ()]
        rows.append([hit.rank, shown(hit.path), f"{hit.score:.6f}", chance, shown("\n".join(captions)), *shares])
    mark = b"\xef\xbb\xbf"  # by which spreadsheets know UTF-8
    return mark + csv_table(rows).encode("utf-8")


def as_json(results: Results) -> bytes:
    """The terms with their weights, and the hits as `Hit.as_dict` has them, each with its captions."""
    hits = [{**hit.as_dict(), "captions": list(results.searcher.captions_of(hit.path))} for hit in results.hits]
    terms = [{"term": term.label, "weight": term.weight} for term in results.terms]
    about = results.searcher.manifest.checkpoint
    content: dict[str, Any] = {
        "checkpoint": {"name": about["name"], "fingerprint": about["fingerprint"]}, "terms": terms, "hits": hits
    }  # fmt: skip
    return json.dumps(content, indent=1).encode("ascii")


def as_zip(results: Results) -> bytes:
    """The pictures as they lie on the disk, named by their rank, with results.csv and results.json.

    At most 500 pictures and 200 MB; what is left out, or gone from the disk, is listed in left-out.txt.
    """
    out = io.BytesIO()
    left_out: list[str] = []
    room = MOST_BYTES
    seen: set[str] = set()
    with zipfile.ZipFile(out, "w") as archive:  # pictures are compressed already
        for hit in results.hits:
            if hit.path in seen:
                continue
            try:
                content = results.searcher.image_path(hit).read_bytes() if len(seen) < MOST_PICTURES else None
            except OSError as error:
                left_out.append(f"{shown(hit.path)}: {error.strerror or 'cannot be read'}")
                continue
            if content is None or len(content) > room:
                left_out.append(f"{shown(hit.path)}: beyond {MOST_PICTURES} pictures or {MOST_BYTES // 10**6} MB")
                continue
            seen.add(hit.path)
            room -= len(content)
            archive.writestr(f"pictures/{hit.rank:04d}-{_file_name(hit.path)}", content)
        archive.writestr("results.csv", as_csv(results), zipfile.ZIP_DEFLATED)
        archive.writestr("results.json", as_json(results), zipfile.ZIP_DEFLATED)
        if left_out:
            archive.writestr("left-out.txt", "\n".join(left_out) + "\n")
    return out.getvalue()


def file_stem(question: str) -> str:
    """A file name for the answers to a question: letters and digits only."""
    kept = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in question[:STEM_LETTERS])
    return "-".join(filter(None, kept.split("-"))) or "results"


def _column(term: Term) -> str:
    return f"share of {'minus ' if term.weight < 0 else ''}{term.label}"


def _file_name(path: str) -> str:
    """The last part of a path, without what some system takes for a separator, a drive or a control."""
    name = shown(PurePosixPath(path).name)
    kept = "".join("_" if letter in '\\/:*?"<>|' or not letter.isprintable() else letter for letter in name)
    return kept[-120:].strip(". ") or "picture"
