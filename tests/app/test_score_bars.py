"""Bars whose shown numbers add up, and what is said about them."""

from __future__ import annotations

import re

import numpy as np
import pytest

from crossmodal.app.widgets.picture import score_bars
from crossmodal.inference.explain import EXACT, Comparison, Explanation, Likeness, Match
from crossmodal.models.words import MARKS

HOSTILE = "<b>&\"'"


def explanation(words: list[str], shares: list[float], bias: float) -> Explanation:
    matrix = np.array(shares)[:, None]
    spans = tuple((0, 0) for _ in words)
    score = float(matrix.sum()) + bias
    return Explanation(score, tuple(words), spans, (1, 1), True, EXACT, matrix[:, 0], matrix.sum(0), matrix, bias)


def shown_numbers(html: str) -> list[float]:
    return [float(number.replace("−", "-")) for number in re.findall(r"<b>([+−]?[\d.]+)</b></div>", html)]


@pytest.mark.parametrize("values", [[0.0004, 0.0004, 0.0004], [0.3336, 0.3336, -0.1672], [-0.0004, -0.0004], [0.25]])
def test_rounded_shares_add_up_and_stay_near(values: list[float]):
    rounded = score_bars.adding_up(values)
    assert sum(rounded) == pytest.approx(round(sum(values), 3))
    assert np.abs(np.subtract(rounded, values)).max() < 0.001


def test_the_bars_of_words_and_bias_add_up_to_the_score_as_shown():
    html = score_bars.word_bars(explanation(["a", "dog", MARKS], [0.0444, 0.2444, 0.0004], -0.0213))
    numbers = shown_numbers(html)
    assert "score <b>0.268</b> = words 0.289 − bias 0.021" in html
    assert sum(numbers) == pytest.approx(0.268)
    assert "start and end" in html


def test_many_words_are_one_bar_together_and_still_add_up():
    shares = [0.01 + number / 1e4 for number in range(40)]
    html = score_bars.word_bars(explanation([f"w{number}" for number in range(40)], shares, 0.1))
    assert "16 other words" in html
    assert sum(shown_numbers(html)) == pytest.approx(0.578)


def test_pills_show_what_the_bars_show():
    found = explanation(["a", "dog"], [0.0104, 0.0204], 0.0004)
    assert score_bars.pill_names(found) == {score_bars.WHOLE: "whole sentence +0.031", 0: "a +0.010", 1: "dog +0.021"}


def test_the_chosen_word_is_pointed_out():
    html = score_bars.word_bars(explanation(["a", "dog"], [0.1, 0.2], 0.0), chosen=1)
    assert re.findall(r'cm-on"><span[^>]*>(\w+)', html) == ["dog"]


def test_words_are_text_and_no_markup():
    html = score_bars.word_bars(explanation([HOSTILE], [0.1], 0.0))
    assert "<b>&" not in html
    assert "&lt;b&gt;&amp;&quot;&#x27;" in html
    assert "<b>" not in score_bars.legend(1.0, False, HOSTILE)
    assert "<b>" not in score_bars.picture("data:", HOSTILE, HOSTILE)


def test_a_long_word_is_shortened():
    assert score_bars.short("w" * 10_000) == "w" * 27 + "…"


def test_what_makes_the_difference_is_said_in_words():
    found = Comparison(0.05, ("a", "dog", "runs"), np.array([0.001, 0.08, -0.03]), -0.001)
    assert score_bars.difference(found, "b.jpg") == (
        "Scores 0.050 above b.jpg. “dog” adds 0.080 more here, “a” adds 0.001 more here; "
        "“runs” adds 0.030 less, the bias adds 0.001 less."
    )
    assert sum(shown_numbers(score_bars.difference_bars(found))) == pytest.approx(0.05)


def test_a_lower_picture_is_said_to_stand_below():
    assert score_bars.difference(Comparison(-0.2, ("a",), np.array([-0.1]), -0.1), "b.jpg").startswith(
        "Scores 0.200 below b.jpg."
    )
    assert (
        score_bars.difference(Comparison(0.0, ("a",), np.array([0.0]), 0.0), "b.jpg")
        == "Scores the same as b.jpg, to 3 digits."
    )


def test_boxes_stand_where_the_places_are_and_are_numbered():
    html = score_bars.boxed([(0, 0), (1, 1)], (2, 2), (10, 0, 50, 40), (60, 40))
    assert re.findall(r"left:([\d.]+)%;top:([\d.]+)%", html) == [("16.67", "0.00"), ("50.00", "50.00")]
    assert re.findall(r">(\d)</b>", html) == ["1", "2"]


def test_a_match_is_set_against_an_average_pair():
    assert "+0.0400<span>8 × an average pair" in score_bars.match_list([Match((0, 0), (0, 0), 0.04)], average=0.005)


def test_pairs_of_places_and_bias_add_up_as_shown():
    found = Likeness(0.5, ((1, 1), (1, 1)), True, "exact", None, None, np.array([[0.5306]]), -0.0306)
    assert "score <b>0.500</b> = pairs of places 0.531 − bias 0.031" in score_bars.pair_equation(found)
