"""One found picture as HTML: the picture is a button that opens it, badges say how good it is, small buttons act.

The buttons carry `data-cm` (what to do) and `data-row` (with which picture); widgets/listener.js hears them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crossmodal.app.widgets.theme import escaped, picture, score_badge

__all__ = ["ACTS", "Share", "Tile", "buttons", "opener", "share_bar", "share_sum", "tile_of"]

ACTS = {
    "like": "More like this",
    "plus": "Look for this, too",
    "minus": "Take this away",
    "up": "Fits the question",
    "down": "Does not fit",
}
KEYS = {"like": "l", "plus": "+", "minus": "-", "up": "u", "down": "d"}
COLOURS = 6  # of the terms, as the style sheet has them
STEADY = 0.004  # shares nearer to 0 show no width


@dataclass(frozen=True, slots=True)
class Share:
    """What one term adds to a score.

    label: the term in words.
    value: what it adds; below 0 where it takes away.
    colour: the number of the term's colour, as its chip has it.
    """

    label: str
    value: float
    colour: int


@dataclass(frozen=True, slots=True)
class Tile:
    """What a tile shows.

    row: of the picture in the index.
    address: a data address, None when the picture is gone.
    text: caption or file name.
    rank: from 1; None for a picture nobody searched for.
    score: of the hit; None for a picture nobody searched for.
    chance: the calibrated probability that it matches, in [0, 1]; None where it is unknown.
    copies: how many near-duplicates are folded into it.
    unfolded: whether the view shows them as tiles of their own.
    mark: 1 for liked, -1 for disliked, 0 for neither.
    shares: what each term adds to the score; empty where the hit has none.
    acts: which of ACTS it offers.
    """

    row: int
    address: str | None
    text: str
    rank: int | None = None
    score: float | None = None
    chance: float | None = None
    copies: int = 0
    unfolded: bool = False
    mark: int = 0
    shares: tuple[Share, ...] = ()
    acts: tuple[str, ...] = ("like", "plus", "minus")


def tile_of(tile: Tile) -> str:
    """The tile."""
    text = escaped(tile.text)
    place = "" if tile.rank is None else f"Result {tile.rank}: "
    badges = "" if tile.rank is None else f'<span class="cm-rank">{tile.rank}</span>'
    badges += "" if tile.score is None else score_badge(tile.score, tile.chance)
    if tile.copies:
        hint = "Fold its near-duplicates" if tile.unfolded else "Show its near-duplicates"
        badges += (
            f'<button type="button" class="cm-copies" data-cm="copies" data-row="{tile.row}" '
            f'aria-expanded="{str(tile.unfolded).lower()}" aria-label="{hint}" title="{hint}">'
            f"×{tile.copies + 1}</button>"
        )
    return (
        f'<figure class="cm-tile{_marked(tile.mark)}"><div class="cm-frame">'
        f"{opener(tile.row, tile.address, tile.text, place)}"
        f"{badges}{buttons(tile.row, tile.acts, tile.mark)}</div>{share_bar(tile.shares)}"
        f'<figcaption dir="auto" title="{text}">{text}</figcaption></figure>'
    )


def opener(row: int, address: str | None, text: str, place: str = "") -> str:
    """A picture as the button that opens it. place: said before its text to those who cannot see it."""
    return (
        f'<button type="button" class="cm-open cm-picture" data-cm="open" data-row="{row}" '
        f'aria-label="{place}{escaped(text)}">{picture(address, text)}</button>'
    )


def buttons(row: int, acts: Sequence[str], mark: int = 0) -> str:
    """What can be done with a picture."""
    pressed = {"up": mark == 1, "down": mark == -1}
    made = "".join(
        f'<button type="button" class="cm-act" data-cm="{act}" data-row="{row}" aria-label="{ACTS[act]}" '
        f'title="{ACTS[act]} ({KEYS[act]})"'
        + (f' aria-pressed="{str(pressed[act]).lower()}"' if act in pressed else "")
        + "></button>"
        for act in acts
    )
    return f'<div class="cm-acts">{made}</div>'


def share_bar(shares: Sequence[Share]) -> str:
    """What each term adds to the score, side by side; what is taken away is hatched."""
    if not shares:
        return ""
    whole = sum(abs(share.value) for share in shares) or 1.0
    parts = "".join(
        f'<i class="cm-term-{share.colour}{" cm-less" if share.value < 0 else ""}" '
        f'style="flex-grow:{abs(share.value) / whole:.4f}"></i>'
        for share in shares
        if abs(share.value) / whole > STEADY
    )
    words = escaped(" · ".join(f"{share.label} {share.value:+.3f}" for share in shares))
    return f'<div class="cm-shares" role="img" aria-label="{words}" title="{words}">{parts}</div>'


def share_sum(score: float, shares: Sequence[Share]) -> str:
    """A score as the sum of what its terms add, written out above their bar."""
    parts = " ".join(
        f'<span class="cm-term-{share.colour}"><i></i><span dir="auto">{escaped(share.label)}</span> '
        f"<b>{share.value:+.3f}</b></span>"
        for share in shares
    )
    return f'<div class="cm-sum-of"><b>{score:.3f}</b> = {parts}</div>{share_bar(shares)}'


def _marked(mark: int) -> str:
    return {1: " cm-liked", -1: " cm-disliked"}.get(mark, "")
