"""Why a score is what it is, as words and bars that visibly add up. HTML text only; no widget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crossmodal.data.words import MARKS
from crossmodal.ui.look import _safe
from crossmodal.ui.overlay import colour

if TYPE_CHECKING:
    from crossmodal.explain import Comparison, Explanation

__all__ = ["MOST_WORDS", "adding_up", "difference", "difference_bars", "leading", "legend", "signed", "word_bars"]

MOST_WORDS = 24
LONGEST_WORD = 28
DIGITS = 3
MINUS = "−"
Rows = list[tuple[str, float, str]]


def leading(shares: NDArray[np.float64], most: int = MOST_WORDS) -> list[int]:
    """The words with the largest shares by size, in the order of the sentence."""
    return sorted(np.argsort(-np.abs(shares), kind="stable")[:most].tolist())


def adding_up(values: Sequence[float], digits: int = DIGITS) -> list[float]:
    """Values rounded so that what is shown adds up to the rounded sum; none is moved by as much as one last digit."""
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
    """A word as it fits on a pill; the marks of the tokeniser in plain words."""
    line = "sentence marks" if word == MARKS else " ".join(word.split())
    return line if len(line) <= length else line[: length - 1] + "…"


def word_bars(found: Explanation, chosen: int | None = None) -> str:
    """A bar a word and one for the bias, and the sum they make. chosen: the word to point out."""
    kept = leading(found.word_shares)
    values = [float(found.word_shares[number]) for number in kept]
    names = [short(found.words[number]) for number in kept]
    on = kept.index(chosen) if chosen in kept else None
    if found.bias is None:
        largest = max(map(abs, values), default=0.0) or 1.0
        return _bars([(name, value / largest, "") for name, value in zip(names, values, strict=True)], on, 2) + (
            f'<p class="cm-quiet">{_safe(found.method)}: words by gradient × input, the largest is 1. '
            "These weights add up to nothing.</p>"
        )
    left_out = len(found.words) - len(kept)
    if left_out:
        names.append(f"{left_out} other words")
        values.append(float(found.word_shares.sum()) - sum(values))
    exact = adding_up([*values, found.bias])
    kinds = ["", *[""] * (len(names) - 1)]
    rows: Rows = [*zip(names, exact, kinds, strict=False), ("bias", exact[-1], "cm-bias")]
    score, words = sum(exact), sum(exact[:-1])
    sign = "+" if exact[-1] >= 0 else MINUS
    equation = f"score <b>{score:.3f}</b> = words {words:.3f} {sign} bias {abs(exact[-1]):.3f}"
    return f'<p class="cm-sum">{equation.replace("-", MINUS)}</p>' + _bars(rows, on, DIGITS)


def difference_bars(found: Comparison) -> str:
    """What each word and the bias add more in the one picture than in the other, and the sum they make."""
    kept = leading(found.shares, MOST_WORDS // 2)
    values = [float(found.shares[number]) for number in kept]
    names = [short(found.words[number]) for number in kept]
    if len(found.words) > len(kept):
        names.append(f"{len(found.words) - len(kept)} other words")
        values.append(float(found.shares.sum()) - sum(values))
    exact = adding_up([*values, found.bias])
    rows: Rows = [
        *((name, value, "") for name, value in zip(names, exact, strict=False)),
        ("bias", exact[-1], "cm-bias"),
    ]
    return _bars(rows, None, DIGITS)


def difference(found: Comparison, other: str) -> str:
    """The same in a sentence or two. other: what to call the other picture."""
    total = found.difference
    if abs(total) < 0.0005:
        lead = f"This picture and {other} score the same to three digits."
    else:
        lead = f"This picture scores {abs(total):.3f} {'more' if total > 0 else 'less'} than {other}."
    parts = [(f"“{short(word)}”", float(share)) for word, share in zip(found.words, found.shares, strict=True)]
    parts = sorted([*parts, ("the bias", found.bias)], key=lambda part: -abs(part[1]))
    more = [f"{name} adds {share:.3f} more here" for name, share in parts if share >= 0.0005][:2]
    less = [f"{name} {-share:.3f} less" for name, share in parts if share <= -0.0005][:2]
    said = more + less if total >= 0 else less + more
    return f"{lead} {', '.join(said)[:1].upper()}{', '.join(said)[1:]}." if said else lead


def legend(limit: float, negative: bool, unit: str) -> str:
    """The scale of a heat. limit: the share at its end. negative: whether there is anything that speaks against."""
    steps = np.linspace(-1 if negative else 0, 1, 13)
    stops = ", ".join(colour(float(step)) for step in steps)
    first = signed(-limit, 4) if negative else "0"
    middle = "<span>0</span>" if negative else ""
    return (
        f'<div class="cm-scale"><i style="background:linear-gradient(90deg, {stops})"></i>'
        f"<div><span>{first}</span>{middle}<span>{signed(limit, 4)}</span></div><p>{_safe(unit)}</p></div>"
    )


def _bars(rows: Rows, on: int | None, digits: int) -> str:
    low = min(0.0, *(value for _, value, _ in rows)) if rows else 0.0
    high = max(0.0, *(value for _, value, _ in rows)) if rows else 0.0
    span = (high - low) or 1.0
    zero = -100 * low / span
    lines = []
    for number, (name, value, kind) in enumerate(rows):
        left, width = (zero if value >= 0 else zero + 100 * value / span), 100 * abs(value) / span
        side = kind or ("cm-for" if value >= 0 else "cm-against")
        lines.append(
            f'<div class="cm-bar{" cm-on" if number == on else ""}"><span dir="auto" title="{_safe(name)}">{_safe(name)}'
            f'</span><div><i class="{side}" style="left:{left:.2f}%;width:{width:.2f}%"></i>'
            f'<u style="left:{zero:.2f}%"></u></div><b>{signed(value, digits)}</b></div>'
        )
    return f'<div class="cm-bars">{"".join(lines)}</div>'
