"""A question as text: what is written is read again, in an address and in a shell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from crossmodal.errors import InputError
from crossmodal.search.grammar import format_query, format_term, parse_query, parse_term, parse_terms
from crossmodal.search.query import Box, Indexed, Query, Term

QUARTER = Box(0.1, 0.2, 0.5, 0.5)
PIECES = (  # what the grammar gives a meaning, and what it does not
    "@", "\\", "#", "#xywh=", "percent:1,2,3,4", ":", "2:", "-1:", "nan:", ".5:", "1e3:", "İ", "ı", " ", "\n", "\x1c",
    "\u00a0", "a", "dog", "/", ".jpg", "%", "&", "+", "−", "🐶", "مرحبا", "\udce9", "\0",
)  # fmt: skip
SEEDS = range(2_000)


def text(random: Random) -> str:
    return "".join(random.choices(PIECES, k=random.randrange(1, 7)))


def box(random: Random) -> Box:
    """A box in the digits that are written: ten-thousandths of a per cent."""
    left, top = random.randrange(1_000_000), random.randrange(1_000_000)
    sides = left, top, random.randint(1, 1_000_000 - left), random.randint(1, 1_000_000 - top)
    return Box.parse("percent:" + ",".join(f"{side / 10_000}" for side in sides))


def term(random: Random, named: Callable[[str], Path | Indexed]) -> Term:
    weight = random.choice([1.0, 2.0, 0.5, random.random() + 1e-9, 10 ** random.uniform(-300, 300)])
    words = text(random).strip()
    if random.random() < 0.5 and words:
        return Term(words, weight)
    return Term(named(text(random)), weight, box(random) if random.random() < 0.5 else None)


def query(random: Random, named: Callable[[str], Path | Indexed]) -> Query:
    """One whose terms are in the order in which they are written."""
    added = [term(random, named) for _ in range(random.randrange(1, 4))]
    taken = [term(random, named) for _ in range(random.randrange(3))]
    return Query((*added, *(replace(one, weight=-one.weight) for one in taken)))


@pytest.mark.parametrize("named", [Indexed, Path], ids=["gallery", "files"])
def test_any_question_that_is_written_is_read_again(named: Callable[[str], Path | Indexed]) -> None:
    for seed in SEEDS:
        asked = query(Random(seed), named)
        assert parse_query(format_query(asked), named) == asked, seed
        for one in asked.terms:
            sign = 1 if one.weight > 0 else -1
            assert parse_term(format_term(one), sign, named) == one, seed


def test_any_text_at_all_is_read_or_refused_and_a_link_always_read() -> None:
    for seed in SEEDS:
        random = Random(seed)
        link = {name: text(random) for name in ("q", "like", "w", "crop", "plus", "minus") if random.random() < 0.6}
        forgiven = parse_terms(link, forgiving=True)
        try:
            strict = parse_terms(link)
        except InputError:
            continue
        assert strict == forgiven, seed


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ((Term("a dog"),), {"q": "a dog"}),
        ((Term("2:30"), Term("2:30")), {"q": "2:30", "plus": ["1:2:30"]}),
        ((Term("@home", 2), Term("@home", -2)), {"q": "@home", "w": "2", "minus": ["2:\\@home"]}),
        ((Term(Indexed("a/b.jpg"), 0.5, QUARTER),), {"like": "a/b.jpg", "w": "0.5", "crop": "percent:10,20,50,50"}),
        ((Term("a"), Term(Indexed("b.jpg"), -1, QUARTER)), {"q": "a", "minus": ["@b.jpg#xywh=percent:10,20,50,50"]}),
        ((Term("a", -1), Term("b"), Term("c", -2), Term("d")), {"plus": ["b", "d"], "minus": ["a", "2:c"]}),
        ((Term("a", 1 / 3),), {"q": "a", "w": "0.3333333333333333"}),
    ],
)
def test_a_question_is_written_in_few_words(asked: tuple[Term, ...], written: dict[str, str | list[str]]) -> None:
    assert format_query(Query(asked)) == written


def test_a_picture_without_a_name_cannot_be_written() -> None:
    with pytest.raises(InputError, match="pasted is a picture without a path"):
        format_query(Query((Term(b"bytes", name="pasted"),)))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "give at least one thing to look for"),
        ({"minus": "a"}, "give at least one thing to look for"),
        ({"q": " "}, "the query is empty"),
        ({"q": "a", "w": "much"}, "the weight w must be a number above 0, not 'much'"),
        ({"q": "a", "w": "0"}, "must be a finite number above 0, not 0"),
        ({"q": "a", "crop": "percent:0,0,50,50"}, "only a picture can have a box"),
        ({"like": "a.jpg", "crop": "left half"}, "is no box"),
        ({"q": "a", "plus": ["b", "2:"]}, "the query is empty"),
    ],
)
def test_what_is_no_question_is_refused(parameters: dict[str, str | list[str]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_query(parameters)


@pytest.mark.parametrize(
    ("parameters", "terms"),
    [
        ({"q": "a", "w": "much"}, (Term("a"),)),
        ({"q": " ", "like": "a.jpg", "w": "2"}, (Term(Indexed("a.jpg"), 2),)),
        ({"like": "a.jpg", "crop": "left half"}, (Term(Indexed("a.jpg")),)),
        ({"plus": ["0:a", "-1:b", "nan:c"]}, (Term("a"), Term("-1:b"), Term("nan:c"))),
        ({"plus": ["@a.jpg#xywh=percent:1", "@b#xywh=.jpg"]}, (Term(Indexed("a.jpg")), Term(Indexed("b#xywh=.jpg")))),
        ({"minus": ["", "@", "0:", "a"]}, (Term("a", -1),)),
    ],
)
def test_a_link_that_was_edited_is_read_as_far_as_it_goes(
    parameters: dict[str, str | list[str]], terms: tuple[Term, ...]
) -> None:
    assert parse_terms(parameters, forgiving=True) == terms


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("at night", Term("at night")),
        ("0.5: at night ", Term("at night", 0.5)),
        (".5:at night", Term("at night", 0.5)),
        ("1:2:30 in the morning", Term("2:30 in the morning")),
        ("cat: black", Term("cat: black")),
        ("@a b.jpg", Term(Path("a b.jpg"))),
        ("2:@a.jpg#xywh=percent:10,20,50,50", Term(Path("a.jpg"), 2.0, QUARTER)),
        ("@no#1.jpg", Term(Path("no#1.jpg"))),
        ("@odd#xywh=1.jpg#", Term(Path("odd#xywh=1.jpg"))),
        (r"\@home", Term("@home")),
        ("\u0131nf:people", Term("\u0131nf:people")),
    ],
)
def test_terms_are_read_from_text(text: str, term: Term) -> None:
    assert parse_term(text) == term
    assert parse_term(text, -1).weight == -term.weight


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0:people", "must be a finite number above 0, not 0"),
        ("-1:people", "above 0, not -1"),
        ("nan:people", "not nan"),
        ("INF:people", "not INF"),
        ("1e999:people", "not 1e999"),
        ("", "the query is empty"),
        ("2: ", "the query is empty"),
        ("@", "names no file"),
        ("@#xywh=percent:0,0,1,1", "names no file"),
        ("@a.jpg#xywh=", "is no box"),
    ],
)
def test_what_is_no_term_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_term(text)
