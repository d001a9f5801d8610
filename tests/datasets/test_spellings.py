"""The written forms of the digits: enough of each, none of two, one withheld."""

from __future__ import annotations

import re

import pytest

from crossmodal.datasets.spellings import WITHHELD, WRITTEN_FORMS, all_forms, digit_of, seen_forms
from crossmodal.errors import InputError


def test_every_digit_has_forms_enough_and_no_form_stands_for_two() -> None:
    assert sorted(WRITTEN_FORMS) == list(range(10))
    assert min(len(seen_forms(digit)) for digit in range(10)) >= 8
    folded = [form.casefold() for forms in WRITTEN_FORMS.values() for form in forms]
    assert len(set(folded)) == len(folded)
    assert all_forms() == tuple(folded)


def test_forms_are_short_plain_letters_or_the_numeral() -> None:
    assert [form for form in all_forms() if not re.fullmatch(r"[a-z]{1,12}|[0-9]", form)] == []
    assert [str(digit) in seen_forms(digit) for digit in range(10)] == [True] * 10


def test_one_form_of_each_digit_is_never_trained_on() -> None:
    assert WITHHELD[3] == "tres"
    assert "tree" in seen_forms(3)
    seen = {form for digit in range(10) for form in seen_forms(digit)}
    assert seen.isdisjoint(WITHHELD.values())
    assert set(all_forms()) - seen == set(WITHHELD.values())
    assert {digit: digit_of(form) for digit, form in WITHHELD.items()} == {digit: digit for digit in range(10)}


def common_letters(one: str, other: str) -> int:
    """Letters that stand at the same place."""
    return sum(a == b for a, b in zip(one, other, strict=False))


@pytest.mark.parametrize("digit", range(10))
def test_a_withheld_form_is_nearest_to_a_seen_form_of_its_own_digit(digit: int) -> None:
    near = {other: max(common_letters(WITHHELD[digit], form) for form in seen_forms(other)) for other in range(10)}
    assert near[digit] == max(near.values())
    assert near[digit] >= 2


def test_a_form_is_known_in_any_case() -> None:
    assert (digit_of("Three"), digit_of(" TRES "), digit_of("8")) == (3, 3, 8)


def test_what_is_no_digit_is_an_input_error() -> None:
    with pytest.raises(InputError, match="'eleven' is no written form"):
        digit_of("eleven")
    with pytest.raises(InputError, match="one of 0 to 9, not 10"):
        seen_forms(10)
