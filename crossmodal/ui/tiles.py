"""One found picture as HTML: the picture is a button that opens it, badges say how good it is, small buttons act.

The buttons carry `data-cm` (what to do) and `data-row` (with which picture); crossmodal/ui/listening.js hears them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crossmodal.ui.look import chance_badge, escaped, picture

__all__ = ["ACTS", "Share", "Tile", "buttons", "share_bar", "tile_of"]

ACTS = {
    "like": "More like this",
    "plus": "Look for this, too",
    "minus": "Take this away",
    "up": "Fits the question",
    "down": "Does not fit",
}
ICONS = {
    "like": "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM16.5 14v6M13.5 17h6",
    "plus": "M12 5v14M5 12h14",
    "minus": "M5 12h14",
    "up": "M7 11v9H4v-9zM7 11l4-7c1.7 0 2.5 1 2.2 2.5l-.6 3H18c1.6 0 2.4 1.2 2 2.6l-1.6 6c-.4 1.300-1.2 1.9-2.4 1.9H7",
    "down": "M7 13V4H4v9zM7 13l4 7c1.7 0 2.5-1 2.2-2.5l-.6-3H18c1.6 0 2.4-1.2 2-2.6l-1.6-6C18 4.6 17.2 4 16 4H7",
}  # fmt: skip
KEYS = {"like": "l", "plus": "+", "minus": "-", "up": "u", "down": "d"}
COLOURS = 6  # of the terms, as the style sheet has them
STEADY = 0.004  # shares nearer to 0 show no width


@dataclass(frozen=True, slots=True)
class Share:
    """What one term adds to a score. colour: the number of the term's colour, as its chip has it."""

    label: str
    value: float
    colour: int


@dataclass(frozen=True, slots=True)
class Tile:
    """What a tile shows. address: a data address, None when the picture is gone. text: caption or file name.

    row: of the picture in the index. rank, score: None for a picture nobody searched for. chance: the calibrated
    probability that it matches. copies: how many near-duplicates are folded into it. mark: 1, -1 or 0. acts: which of
    ACTS it offers.
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
    badges += _score(tile)
    if tile.copies:
        hint = "Fold its near-duplicates" if tile.unfolded else f"{tile.copies} near-duplicates: show them"
        badges += (
            f'<button type="button" class="cm-copies" data-cm="copies" data-row="{tile.row}" '
            f'aria-expanded="{str(tile.unfolded).lower()}" aria-label="{hint}" title="{hint}">'
            f"×{tile.copies + 1}</button>"
        )
    return (
        f'<figure class="cm-tile{_marked(tile.mark)}"><div class="cm-frame">'
        f'<button type="button" class="cm-open cm-picture" data-cm="open" data-row="{tile.row}" '
        f'aria-label="{place}{text}">{picture(tile.address, tile.text)}</button>'
        f"{badges}{buttons(tile.row, tile.acts, tile.mark)}</div>{share_bar(tile.shares)}"
        f'<figcaption dir="auto" title="{text}">{text}</figcaption></figure>'
    )


def buttons(row: int, acts: Sequence[str], mark: int = 0) -> str:
    """What can be done with a picture."""
    pressed = {"up": mark == 1, "down": mark == -1}
    made = "".join(
        f'<button type="button" class="cm-act" data-cm="{act}" data-row="{row}" aria-label="{ACTS[act]}" '
        f'title="{ACTS[act]} ({KEYS[act]})"'
        + (f' aria-pressed="{str(pressed[act]).lower()}"' if act in pressed else "")
        + f'><svg viewBox="0 0 24 24" aria-hidden="true"><path d="{ICONS[act]}"></path></svg></button>'
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


def _score(tile: Tile) -> str:
    if tile.score is None:
        return ""
    score = f'<span class="cm-score" title="cosine similarity">{tile.score:.3f}</span>'
    return score + chance_badge(tile.chance)


def _marked(mark: int) -> str:
    return {1: " cm-liked", -1: " cm-disliked"}.get(mark, "")
