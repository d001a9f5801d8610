"""What was kept and what was read becomes rows, each in its place and in little memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np

from crossmodal.index import Index
from crossmodal.index.assembly import Assembly, Changes, assemble, changes_between, match_rows
from crossmodal.index.catalogue import Caption, Catalogue, Picture, Skipped, Stamp, caption_lines, stamp_lines
from crossmodal.index.fact_rows import UNKNOWN, Facts
from crossmodal.index.journal import Outcome

NONE = caption_lines().rows()


def sha(number: int) -> str:
    return f"{number:064x}"


def pictures(**hashes: int) -> tuple[Picture, ...]:
    return tuple(Picture(Stamp(name, 1, 2), sha(number)) for name, number in hashes.items())


def index(catalogue: Catalogue, facts: tuple[Facts, ...] | None = None) -> Index:
    empty = np.empty((0, 4), dtype=np.float32)
    return Index(Path("index"), cast(Any, None), catalogue, empty, empty, facts=facts)


def put_together(names: str, kept: list[int], outcomes: list[Outcome], former: Index | None = None) -> Assembly:
    """Files a, b, c, …; each has its letter as a caption. The vector of outcome i begins at 10 i."""
    stamps = stamp_lines().pack(Stamp(name, 1, 2) for name in names)
    texts = caption_lines().pack(Caption(place, name) for place, name in enumerate(names))
    with_starts = ((outcome, 10 * i if outcome.embedded else -1) for i, outcome in enumerate(outcomes))
    return assemble(stamps, np.array(kept), with_starts, former, texts)


def test_kept_read_and_skipped_pictures_stand_in_the_order_of_their_paths() -> None:
    former = index(Catalogue(pictures(b=2, d=4)), (Facts(2, 2), Facts(4, 4)))
    outcomes = [
        Outcome(sha(1), embedded=True, facts=(1, 1, "")), Outcome("", "torn"), Outcome(sha(4)),
        Outcome(sha(6), embedded=True),
    ]  # fmt: skip
    rows = put_together("abcdef", [-1, 0, -1, 1, -1, -1], outcomes, former)
    assert tuple(rows.catalogue.pictures) == pictures(a=1, b=2, d=4, e=4, f=6)
    assert [(caption.picture, caption.text) for caption in rows.catalogue.captions] == list(enumerate("abdef"))
    assert rows.catalogue.skipped == (Skipped("c", "torn"),)
    assert tuple(rows.facts) == (Facts(1, 1), Facts(2, 2), Facts(4, 4), UNKNOWN, UNKNOWN)
    assert rows.embedded == 2
    assert list(rows.wanted()) == [(sha(1), 0), (sha(2), -1), (sha(4), -1), (sha(4), -1), (sha(6), 30)]


def test_twins_share_the_vector_of_the_first_of_them() -> None:
    outcomes = [Outcome(sha(number), embedded=True) for number in (7, 8, 7)]
    assert [start for _, start in put_together("abc", [-1] * 3, outcomes).wanted()] == [0, 10, 0]


def test_what_a_former_index_lacks_is_unknown() -> None:
    rows = put_together("a", [0], [], index(Catalogue(pictures(a=1))))
    assert tuple(rows.facts) == (UNKNOWN,)


def test_only_a_file_with_the_same_stamp_is_untouched_and_missing_ones_are_gone() -> None:
    stamps = stamp_lines().pack([Stamp("a", 1, 2), Stamp("b", 1, 2), Stamp("c", 1, 3), Stamp("d", 1, 2)])
    matches = match_rows(stamps, Catalogue(pictures(a=1, aa=2, c=3, d=4, x=5)))
    assert matches.rows.tolist() == [0, -1, 2, 3]
    assert matches.untouched.tolist() == [True, False, False, True]
    assert [stamp.path for stamp in matches.gone] == ["aa", "x"]


def test_changes_are_counted_by_path_and_content() -> None:
    before, after = pictures(a=1, b=2, c=3, d=4, e=5), pictures(a=1, b=9, m=3, n=3, z=6)
    assert changes_between(Catalogue(before), Catalogue(after)) == Changes(added=2, changed=1, renamed=1, removed=2)
    assert changes_between(Catalogue(before), Catalogue(after)).lost == ("d", "e")
    assert changes_between(Catalogue(), Catalogue(before)) == Changes(5, 0, 0, 0)


def test_a_picture_takes_a_few_hundred_bytes() -> None:
    count = 2000

    def stamps() -> Iterator[Stamp]:
        return (Stamp(f"photo-{number:06d}.jpg", 10**6 + number, 10**18 + number) for number in range(count))

    def outcomes() -> Iterator[tuple[Outcome, int]]:
        return ((Outcome(sha(row), embedded=True, facts=(640, 480 + row, "")), 4 * row) for row in range(count))

    tracemalloc.start()
    try:
        rows = assemble(stamp_lines().pack(stamps()), np.full(count, -1), outcomes(), None, NONE)
        assert sum(1 for _ in rows.wanted()) == count
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 300 * count
