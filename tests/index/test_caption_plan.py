"""Each text is embedded once, the short ones first, and every caption finds its vector."""

from __future__ import annotations

from crossmodal.index.caption_plan import CaptionPlan, plan_captions
from crossmodal.index.catalogue import Caption, Catalogue
from crossmodal.index.journal import Outcome


def plan(*texts: str, at_hand: tuple[set[str], ...] = ()) -> CaptionPlan:
    captions = tuple(Caption(0, text) for text in texts)
    return plan_captions(Catalogue((), captions, ()), at_hand)


def test_each_text_once_by_length_and_else_as_they_stand() -> None:
    planned = plan("ccc", "bb", "aa", "ccc", "d")
    assert tuple(planned.texts) == ("d", "bb", "aa", "ccc")
    assert planned.places.tolist() == [3, 1, 2, 3, 0]


def test_what_is_at_hand_is_left_out() -> None:
    planned = plan("a", "b", "c", "b", at_hand=({"b"}, {"c"}))
    assert tuple(planned.texts) == ("a",)
    assert planned.places.tolist() == [0, -1, -1, -1]


def test_each_caption_finds_its_vector_or_that_it_is_at_hand() -> None:
    planned = plan("bb", "a", "bb", "c", at_hand=({"c"},))
    outcomes = [(Outcome("a", embedded=True), 100), (Outcome("bb"), -1)]
    assert planned.starts(outcomes).tolist() == [-1, 100, -1, -1]


def test_without_captions_there_is_nothing_to_do() -> None:
    planned = plan()
    assert len(planned.texts) == 0
    assert planned.starts([]).tolist() == []


def test_any_characters_are_told_apart_and_come_back() -> None:
    texts = ("ä", "a\u0308", "\ud800", "\u2028\n", "")
    planned = plan(*texts)
    assert sorted(planned.texts) == sorted(texts)
    assert [planned.texts[place] for place in planned.places] == list(texts)
