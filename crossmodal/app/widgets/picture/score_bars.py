"""Why a score is what it is, as HTML: words and bars that visibly add up, and pairs of places. No widget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crossmodal.app.widgets.theme import _safe
from crossmodal.models.words import MARKS
from crossmodal.plots.overlay import Box, colour, place_box

if TYPE_CHECKING:
    from crossmodal.inference.explain import Comparison, Explanation, Likeness, Match

__all__ = [
    "MOST_WORDS", "WHOLE", "adding_up", "boxed", "difference", "difference_bars", "leading", "legend", "match_list",
    "pair_equation", "picture", "pill_names", "short", "side_by_side", "signed", "word_bars",
]  # fmt: skip

WHOLE = -1  # stands for all words
MOST_WORDS = 24
LONGEST_WORD = 28
DIGITS = 3
MINUS = "−"
BIAS, OTHERS = "bias", " other words"
NOTABLE = 0.5 * 10**-DIGITS
COLOURS = ("#E69F00", "#56B4E9", "#2FBF91", "#F0E442", "#E07BB5")  # after Okabe and Ito 2008, apart for every eye
Rows = list[tuple[str, float]]


def leading(shares: NDArray[np.float64], most: int = MOST_WORDS) -> list[int]:
    """The words with the largest shares by size, in the order of the sentence."""
    return sorted(np.argsort(-np.abs(shares), kind="stable")[:most].tolist())


def adding_up(values: Sequence[float], digits: int = DIGITS) -> list[float]:
    """Values rounded so that what is shown adds up to the rounded sum; none moves by as much as one last digit."""
    scaled = np.asarray(values, dtype=np.float64) * 10**digits
    floors = np.floor(scaled)
    missing = round(float(scaled.sum())) - int(floors.sum())
    floors[np.argsort(floors - scaled, kind="stable")[: max(missing, 0)]] += 1
    return [float(value) / 10**digits for value in floors]


def signed(value: float, digits: int = DIGITS) -> str:
    """A share with its sign; a true minus."""
    written = f"{abs(value):.{digits}f}"
    return written if not float(written) else f"{'+' if value > 0 else MINUS}{written}"


def short(word: str, length: int = LONGEST_WORD) -> str:
    """A word as it fits on a pill; the tokeniser's marks in plain words."""
    line = "start and end" if word == MARKS else " ".join(word.split())
    return line if len(line) <= length else line[: length - 1] + "…"


def pill_names(found: Explanation) -> dict[int, str]:
    """What the pills of an exact explanation say: WHOLE and its leading words with the shares that the bars show."""
    rows = _rows(found.words, found.word_shares, found.bias or 0.0, MOST_WORDS)
    pills = {WHOLE: f"whole sentence {signed(_sum(rows[:-1]))}"}
    named = zip(leading(found.word_shares), rows, strict=False)
    return pills | {number: f"{name} {signed(value)}" for number, (name, value) in named}


def word_bars(found: Explanation, chosen: int = WHOLE) -> str:
    """A bar a word and one for the bias, and the sum they make. chosen: the word to point out."""
    kept = leading(found.word_shares)
    on = kept.index(chosen) if chosen in kept else None
    if found.bias is None:
        values = found.word_shares[kept]
        scaled = (values / (np.abs(values).max(initial=0.0) or 1.0)).tolist()
        rows = [(short(found.words[number]), value) for number, value in zip(kept, scaled, strict=True)]
        note = f"Gradient × input, the largest is 1: {found.method.split()[0]}’s counterpart for words."
        approximate = f"{note} Approximate weights, which add up to nothing."
        return (
            f'<p class="cm-sum">score <b>{found.score:.3f}</b></p>{_bars(rows, on, 2, exact=False)}'
            f'<p class="cm-note">{_safe(approximate)}</p>'
        )
    rows = _rows(found.words, found.word_shares, found.bias, MOST_WORDS)
    return f'<p class="cm-sum">{_equation("words", _sum(rows[:-1]), rows[-1][1])}</p>{_bars(rows, on, DIGITS)}'


def pair_equation(found: Likeness) -> str:
    """The score of two pictures as what all pairs of places add and the bias."""
    if found.matrix is None or found.bias is None:
        return f'<p class="cm-sum">score <b>{found.score:.{DIGITS}f}</b> · {_safe(found.method)}</p>'
    places, bias = adding_up([float(found.matrix.sum()), found.bias])
    return f'<p class="cm-sum">{_equation("pairs of places", places, bias)}</p>'


def difference_bars(found: Comparison) -> str:
    """What each word and the bias add more in the one picture than in the other, and the sum they make."""
    rows = _difference(found)
    return _bars(rows, None, DIGITS) + f'<p class="cm-sum">difference <b>{signed(_sum(rows))}</b>, the sum of these</p>'


def difference(found: Comparison, other: str) -> str:
    """It all in a sentence or two. other: what to call the other picture."""
    rows = _difference(found)
    total = _sum(rows)
    lead = f"Scores {abs(total):.{DIGITS}f} {'above' if total > 0 else 'below'} {other}."
    if abs(total) < NOTABLE:
        lead = f"Scores the same as {other}, to {DIGITS} digits."
    said_of = [(f"{name} add" if name.endswith(OTHERS) else f"“{name}” adds", value) for name, value in rows[:-1]]
    parts = sorted([*said_of, ("the bias adds", rows[-1][1])], key=lambda part: -abs(part[1]))
    more = [f"{name} {value:.{DIGITS}f} more here" for name, value in parts if value >= NOTABLE][:2]
    less = [f"{name} {-value:.{DIGITS}f} less" for name, value in parts if value <= -NOTABLE][:2]
    said = "; ".join(part for part in (", ".join(more), ", ".join(less)) if part)
    return f"{lead} {said[:1].upper()}{said[1:]}." if said else lead


def picture(address: str, name: str, badge: str = "", inside: str = "") -> str:
    """A large picture.

    badge: a word on it.
    inside: what lies over it, HTML.
    """
    label = f'<span class="cm-approx">{_safe(badge)}</span>' if badge else ""
    return f'<div class="cm-shown"><img src="{_safe(address)}" alt="{_safe(name)}">{label}{inside}</div>'


def side_by_side(pictures: Sequence[tuple[str, str]]) -> str:
    """Pictures in a row, each with the line under it. pictures: HTML of `picture`, and the line."""
    cells = "".join(
        f'<figure>{html}<figcaption dir="auto">{_safe(line)}</figcaption></figure>' for html, line in pictures
    )
    return f'<div class="cm-side">{cells}</div>'


def legend(limit: float, negative: bool, unit: str, digits: int = 4) -> str:
    """The scale of a heat.

    limit: the share at its end.
    negative: whether there is anything that speaks against.
    """
    steps = np.linspace(-1 if negative else 0, 1, 13)
    stops = ", ".join(colour(float(step)) for step in steps)
    ends = [signed(-limit, digits), "0"] if negative else ["0"]
    numbers = "".join(f"<span>{end}</span>" for end in (*ends, signed(limit, digits)))
    return (
        f'<div class="cm-scale"><i style="background:linear-gradient(90deg, {stops})"></i><div>{numbers}</div>'
        f"<p>{_safe(unit)}</p></div>"
    )


def boxed(places: Sequence[tuple[int, int]], shape: tuple[int, int], seen: Box, size: tuple[int, int]) -> str:
    """Numbered boxes around places of a picture.

    seen: what the places cover, in pixels.
    size: of the picture (W, H), in pixels.
    """
    boxes = []
    for number, place in enumerate(places):
        left, top, right, bottom = place_box(place, shape, seen)
        spot = f"left:{100 * left / size[0]:.2f}%;top:{100 * top / size[1]:.2f}%;"
        spot += f"width:{100 * (right - left) / size[0]:.2f}%;height:{100 * (bottom - top) / size[1]:.2f}%"
        tint = COLOURS[number % len(COLOURS)]
        label = f'<b style="background:{tint}">{number + 1}</b>'
        boxes.append(f'<span class="cm-box" style="{spot};border-color:{tint}">{label}</span>')
    return "".join(boxes)


def match_list(matches: Sequence[Match], average: float) -> str:
    """What each numbered match adds. average: size of the share of a pair of places."""
    lines = "".join(
        f'<li><b style="background:{COLOURS[number % len(COLOURS)]}">{number + 1}</b> {signed(match.share, 4)}'
        f"<span>{match.share / average:.0f} × an average pair</span></li>"
        for number, match in enumerate(matches)
    )
    return f'<ol class="cm-matches">{lines}</ol>'


def _rows(words: Sequence[str], shares: NDArray[np.float64], bias: float, most: int) -> Rows:
    """Names with rounded shares that add up: the leading words, the others together, the bias last."""
    kept = leading(shares, most)
    names, values = [short(words[number]) for number in kept], [float(shares[number]) for number in kept]
    if len(words) > len(kept):
        names.append(f"{len(words) - len(kept)}{OTHERS}")
        values.append(float(shares.sum()) - sum(values))
    return list(zip([*names, BIAS], adding_up([*values, bias]), strict=True))


def _equation(name: str, parts: float, bias: float) -> str:
    score, rest = (f"{value:.{DIGITS}f}".replace("-", MINUS) for value in (parts + bias, parts))
    return f"score <b>{score}</b> = {name} {rest} {MINUS if bias < 0 else '+'} bias {abs(bias):.{DIGITS}f}"


def _difference(found: Comparison) -> Rows:
    return _rows(found.words, found.shares, found.bias, MOST_WORDS // 2)


def _sum(rows: Rows) -> float:
    return round(sum(value for _, value in rows), DIGITS)


def _bars(rows: Rows, on: int | None, digits: int, exact: bool = True) -> str:
    """A bar a row.

    on: the row to point out.
    exact: whether the last row is the bias.
    """
    low, high = (end(0.0, *(value for _, value in rows)) for end in (min, max))
    span = (high - low) or 1.0
    zero = -100 * low / span
    lines = []
    for number, (name, value) in enumerate(rows):
        width = 100 * abs(value) / span
        side = "cm-bias" if exact and number == len(rows) - 1 else "cm-for" if value >= 0 else "cm-against"
        lines.append(
            f'<div class="cm-bar{" cm-on" if number == on else ""}">'
            f'<span dir="auto" title="{_safe(name)}">{_safe(name)}</span>'
            f'<div><i class="{side}" style="left:{zero - (0 if value >= 0 else width):.2f}%;width:{width:.2f}%"></i>'
            f'<u style="left:{zero:.2f}%"></u></div><b>{signed(value, digits)}</b></div>'
        )
    return f'<div class="cm-bars">{"".join(lines)}</div>'
