"""The written forms of the ten digits: words of several languages, the numeral, sound-alikes and common misspellings.

Letters a to z and numerals only, at most 12. No form belongs to two digits. One form of each digit is withheld from
training: it is near to forms that are seen, but not one of them, so it tells whether spelling was learned or the list.
"""

from __future__ import annotations

from crossmodal.errors import InputError

__all__ = ["WITHHELD", "WRITTEN_FORMS", "all_forms", "digit_of", "seen_forms"]

WRITTEN_FORMS: dict[int, tuple[str, ...]] = {
    0: ("zero", "0", "null", "nought", "naught", "nil", "nulla", "sero", "zerro", "ziro", "cifra", "cero"),
    1: ("one", "1", "won", "uno", "un", "une", "ein", "eins", "um", "wun", "onne", "una"),
    2: ("two", "2", "too", "to", "tow", "dos", "deux", "due", "duo", "zwei", "twoo", "doi", "dois"),
    3: ("three", "3", "tree", "trois", "tre", "drei", "trei", "thre", "free", "tri", "trez", "tres"),
    4: ("four", "4", "for", "fore", "cuatro", "quatre", "quattro", "vier", "patru", "fower", "quatro"),
    5: ("five", "5", "fife", "cinco", "cinq", "cinci", "cinc", "funf", "fuenf", "fiv", "fyve", "cinque"),
    6: ("six", "6", "sicks", "siks", "seis", "sechs", "sis", "sase", "zes", "sixx", "seiss", "sei"),
    7: ("seven", "7", "siete", "sept", "sette", "sieben", "set", "sapte", "zeven", "sevn", "sevven", "sete"),
    8: ("eight", "8", "ate", "ait", "ocho", "huit", "otto", "acht", "octo", "opt", "eigt", "oito"),
    9: ("nine", "9", "nein", "nueve", "neuf", "neun", "novem", "nou", "noua", "nyne", "nien", "nove"),
}

WITHHELD: dict[int, str] = {
    0: "cero",
    1: "una",
    2: "dois",
    3: "tres",
    4: "quatro",
    5: "cinque",
    6: "sei",
    7: "sete",
    8: "oito",
    9: "nove",
}

_DIGIT_OF = {form: digit for digit, forms in WRITTEN_FORMS.items() for form in forms}


def seen_forms(digit: int) -> tuple[str, ...]:
    """The forms of a digit that may be trained on. Raises InputError if digit is not in 0..9."""
    if digit not in WRITTEN_FORMS:
        raise InputError(f"a digit is one of 0 to 9, not {digit!r}")
    return tuple(form for form in WRITTEN_FORMS[digit] if form != WITHHELD[digit])


def all_forms() -> tuple[str, ...]:
    """Every form, withheld ones too, digit by digit."""
    return tuple(_DIGIT_OF)


def digit_of(form: str) -> int:
    """The digit that a form stands for; upper and lower case are one. Raises InputError if no digit is written so.

    >>> digit_of("Tree"), digit_of("tres")
    (3, 3)
    """
    try:
        return _DIGIT_OF[form.strip().casefold()]
    except KeyError:
        raise InputError(f"{form!r} is no written form of a digit: known are {', '.join(_DIGIT_OF)}") from None
