"""What a build has to do, and the rows it leaves, told from lists alone."""

from __future__ import annotations

import numpy as np

from crossmodal.index.catalogue.rows import UNKNOWN, Catalogue, Facts, Picture, Skipped, Stamp
from crossmodal.index.journal import Outcome
from crossmodal.index.plan import Changes, Plan, Row, caption_order, changes_between, plan_pictures, rows_of

KNOWN = Facts(3, 2)


def sha(number: int) -> str:
    return f"{number:064x}"


def pictures(**hashes: int) -> tuple[Picture, ...]:
    return tuple(Picture(Stamp(name, 1, 2), sha(number), KNOWN) for name, number in hashes.items())


def rows(names: str, former: tuple[int, ...], kept: str, outcomes: dict[str, Outcome]) -> list[Row]:
    """Files of such names. former: the row of each before. kept: names of those that are untouched."""
    stamps = [Stamp(name, 1, 2) for name in names]
    plan = Plan(np.array(former), np.array([name in kept for name in names]), ())
    return list(rows_of(stamps, plan, pictures(b=2, d=4), lambda stamp: outcomes.get(stamp.path)))


def test_only_a_file_with_the_same_stamp_is_kept_and_missing_ones_are_gone() -> None:
    stamps = [Stamp("a", 1, 2), Stamp("b", 1, 2), Stamp("c", 1, 3), Stamp("d", 1, 2)]
    plan = plan_pictures(stamps, Catalogue(pictures(a=1, aa=2, c=3, d=4, x=5)))
    assert plan.rows.tolist() == [0, -1, 2, 3]
    assert plan.kept.tolist() == [True, False, False, True]
    assert [stamp.path for stamp in plan.gone] == ["aa", "x"]


def test_a_picture_of_which_nothing_is_known_is_read_again() -> None:
    former = Picture(Stamp("a", 1, 2), sha(1), UNKNOWN)
    assert not plan_pictures([Stamp("a", 1, 2)], Catalogue((former,))).kept.any()


def test_files_are_kept_read_or_skipped() -> None:
    read = {"a": Outcome(sha(1), embedded=True, facts=Facts(1, 1)), "c": Outcome("", "torn"), "d": Outcome(sha(4))}
    found = rows("abcd", (-1, 0, -1, 1), "b", read)
    assert [each.row for each in found] == [
        Picture(Stamp("a", 1, 2), sha(1), Facts(1, 1)), *pictures(b=2), Skipped("c", "torn"),
        Picture(Stamp("d", 1, 2), sha(4)),
    ]  # fmt: skip
    assert [each.embedded for each in found] == [True, False, False, False]


def test_a_file_that_cannot_be_read_now_stays_as_it_was() -> None:
    absent, torn = Outcome("", "no permission", unread=True), Outcome("", "torn")
    found = rows("bcd", (0, -1, 1), "", {"b": absent, "c": absent, "d": torn})
    assert found == [
        Row(*pictures(b=2), "no permission"),
        Row(Skipped("c", "no permission")),
        Row(Skipped("d", "torn")),
    ]


def test_changes_are_counted_by_path_and_content() -> None:
    before, after = pictures(a=1, b=2, c=3, d=4, e=5), pictures(a=1, b=9, m=3, n=3, z=6)
    assert changes_between(Catalogue(before), Catalogue(after)) == Changes(added=2, changed=1, renamed=1, removed=2)
    assert changes_between(Catalogue(before), Catalogue(after)).lost == ("d", "e")
    assert changes_between(Catalogue(), Catalogue(before)) == Changes(5, 0, 0, 0)


def order(*texts: str, known: tuple[str, ...] = ()) -> list[str]:
    return [texts[row] for row in caption_order(texts, known)]


def test_each_text_once_by_length_and_else_as_they_stand() -> None:
    assert order("ccc", "bb", "aa", "ccc", "d") == ["d", "bb", "aa", "ccc"]


def test_what_is_known_is_left_out() -> None:
    assert order("a", "b", "c", "b", known=("b", "c")) == ["a"]
    assert order() == []


def test_any_characters_are_told_apart() -> None:
    texts = ("ä", "a\u0308", "\ud800", "\u2028\n", "")
    assert sorted(order(*texts)) == sorted(texts)
