"""Terms, boxes and queries, as values and as text."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from crossmodal.errors import InputError
from crossmodal.search.query import Box, Indexed, Query, Term, compose

QUARTER = Box(0.1, 0.2, 0.5, 0.5)


def test_a_box_is_read_and_written_in_per_cent() -> None:
    assert Box.parse("percent:10,20,50,50") == QUARTER
    assert str(QUARTER) == "percent:10,20,50,50"
    thirds = Box(1 / 3, 0, 2 / 3, 1)
    assert str(Box.parse(str(thirds))) == str(thirds) == "percent:33.3333,0,66.6667,100"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("10,20,50,50", "is no box: write percent:x,y,width,height"),
        ("pixel:1,2,3,4", "is no box"),
        ("percent:1,2,3", "is no box"),
        ("percent:a,b,c,d", "is no box"),
        ("percent:0,0,0,50", "has no area"),
        ("percent:0,0,50,-1", "has no area"),
        ("percent:60,0,50,50", "reaches beyond the picture"),
        ("percent:0,-1,50,50", "reaches beyond the picture"),
        ("percent:nan,0,50,50", "finite"),
        ("percent:0,0,inf,50", "finite"),
    ],
)
def test_what_is_no_part_of_a_picture_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Box.parse(text)


def test_a_box_has_at_least_a_pixel_and_stays_inside() -> None:
    assert QUARTER.pixels(200, 100) == (20, 20, 120, 70)
    assert Box(0.999, 0, 0.001, 1).pixels(10, 10) == (9, 0, 10, 10)
    assert Box(0.5, 0.5, 0.001, 0.001).pixels(1, 1) == (0, 0, 1, 1)
    assert Box(0, 0, 1, 1).pixels(7, 5) == (0, 0, 7, 5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("a", 0.0), "other than 0, not 0"),
        (("a", float("nan")), "not nan"),
        ((Indexed("a.jpg"), float("-inf")), "not -inf"),
        ((" ",), "the query is empty"),
        (("a", 1.0, QUARTER), "only a picture can have a box"),
        ((3,), "cannot look for a int"),
        ((None,), "cannot look for a NoneType"),
    ],
)
def test_terms_that_mean_nothing_are_refused(values: tuple[object, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Term(*values)  # type: ignore[arg-type]


def test_a_term_has_a_name_to_show() -> None:
    assert Term(" at night ", -2).label == "at night"
    assert Term(Path("x/beach.jpg")).label == Term(Indexed("x/beach.jpg")).label == "beach.jpg"
    assert Term(Indexed("x/beach.jpg"), crop=QUARTER).label == "part of beach.jpg"
    assert Term(b"bytes").label == Term(Image.new("RGB", (2, 2))).label == "picture"
    assert Term(b"bytes", name="pasted").label == "pasted"


def test_a_query_is_put_together_with_its_signs() -> None:
    query = compose(Path("a.jpg"), plus=["2:at night", Term("wet", -0.5)], minus=["people", Term(b"x", -3), "0.5:cars"])
    assert [term.weight for term in query.terms] == [1, 2, -0.5, -1, -3, -0.5]
    assert query.label == "a.jpg + 2 × at night − 0.5 × wet − people − 3 × picture − 0.5 × cars"
    assert compose(query, plus=["far"]).terms == (*query.terms, Term("far"))
    assert compose(None, plus=["far"]).single == compose("far").single == Term("far")
    assert query.single is None


def test_only_what_follows_the_first_words_is_read_for_a_weight_and_never_for_a_file() -> None:
    assert compose("2:30 in the morning").single == Term("2:30 in the morning")
    assert compose("@a.jpg", plus=["2:@b.jpg"]).terms == (Term("@a.jpg"), Term("@b.jpg", 2.0))


@pytest.mark.parametrize(
    ("query", "options", "message"),
    [
        (None, {}, "give at least one thing to look for"),
        (None, {"minus": ["people"]}, "give at least one thing to look for"),
        (Term("people", -1), {"minus": ["cars"]}, "give at least one thing to look for"),
        ("a", {"plus": "b"}, r"are lists of terms, not 'b': write \['b'\]"),
        ("", {"plus": ["b"]}, "the query is empty"),
    ],
)
def test_nothing_to_look_for_is_refused(query: Term | None, options: dict[str, list[str]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        compose(query, **options)


def test_a_query_without_terms_is_none() -> None:
    with pytest.raises(InputError, match="at least one thing"):
        Query(())
