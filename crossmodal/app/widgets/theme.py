"""How the pages look, and the one way a user's text gets into them: escaped.

Captions, file names and queries are anybody's; here they become HTML text or Markdown text, never markup.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from pathlib import Path

__all__ = [
    "STYLE", "caption_row", "escaped", "facts", "heading", "large", "picture", "plain_markdown", "row",
    "score_badge", "shortened", "shown", "thumbs", "tile",
]  # fmt: skip

STYLE = Path(__file__).with_name("theme.css")
PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
SHORTCODE = re.compile(r":(?=[\w+/-]+:)")
WORD_JOINER = "\u2060"
LEAST_CHANCE = 0.01


def shown(text: str) -> str:
    """Text as a page can carry it: bytes of a file name that are no UTF-8 become \\x escapes."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "backslashreplace")


def plain_markdown(text: str) -> str:
    """Text for a place that reads Markdown (an error, a progress bar), so that it shows as it is.

    Streamlit looks for `:shortcodes:` after escapes are gone; an invisible joiner after the colon keeps them text.
    """
    return PUNCTUATION.sub(r"\\\1", SHORTCODE.sub(":" + WORD_JOINER, " ".join(shown(text).split())))


def heading(title: str, line: str = "") -> str:
    """The head of a page: a title and a quiet line."""
    quiet = f'<p dir="auto">{_safe(line)}</p>' if line else ""
    return f'<div class="cm-head"><h1>{_safe(title)}</h1>{quiet}</div>'


def tile(address: str | None, text: str, rank: int | None = None, score: float | None = None) -> str:
    """One picture of the grid.

    address: a data address, None when the picture is gone.
    text: caption or file name.
    """
    badges = "" if rank is None else f'<span class="cm-rank">{rank}</span>'
    badges += "" if score is None else f'<span class="cm-score" title="cosine similarity">{score:.3f}</span>'
    safe = _safe(text)
    caption = f'<figcaption dir="auto" title="{safe}">{safe}</figcaption>'
    return f'<figure class="cm-tile"><div class="cm-picture">{picture(address, text)}</div>{badges}{caption}</figure>'


def caption_row(
    shown_picture: str,
    caption: str,
    name: str,
    rank: int,
    score: float,
    chance: float | None = None,
    below: str = "",
    beside: str = "",
) -> str:
    """One found caption with its score, beside the picture it belongs to.

    shown_picture: HTML made by crossmodal.app.widgets.tiles.
    chance: probability that it matches, in [0, 1].
    below: HTML made by crossmodal.app.widgets.tiles.
    beside: HTML made by crossmodal.app.widgets.tiles.
    """
    return (
        f'<div class="cm-caption">{shown_picture}'
        f'<div><div class="cm-text" dir="auto">{_safe(caption)}</div>{below}'
        f'<div class="cm-name">{rank} · {_safe(name)}</div></div>'
        f'<div class="cm-beside">{score_badge(score, chance)}{beside}</div></div>'
    )


def score_badge(score: float, chance: float | None = None) -> str:
    """A cosine as a badge, with the calibrated probability that it matches, where that is at least 1 %."""
    words, small = f"cosine similarity {score:.3f}", ""
    if chance is not None:
        words += f"; probability that it is the very picture (or caption) meant: {100 * chance:.1f} %"
        small = f"<i>{100 * chance:.0f} %</i>" if chance >= LEAST_CHANCE else ""
    return f'<span class="cm-score" title="{words}">{score:.3f}{small}</span>'


def large(address: str | None, name: str, captions: Iterable[str] | None = None) -> str:
    """One picture in full with all its captions; None for a picture that may have some elsewhere."""
    lines = "".join(f'<li dir="auto">{_safe(caption)}</li>' for caption in captions or ())
    none = "" if captions is None else '<p class="cm-quiet">This picture has no caption.</p>'
    listed = f'<ul class="cm-captions">{lines}</ul>' if lines else none
    return f'<div class="cm-large">{picture(address, name)}</div>{listed}<p class="cm-quiet">{_safe(name)}</p>'


def row(pictures: Iterable[tuple[str | None, str]]) -> str:
    """Small pictures side by side, pixels as they are, a few letters under each."""
    cells = "".join(
        f'<figure><div class="cm-picture">{picture(address, text)}</div><figcaption>{_safe(text)}</figcaption></figure>'
        for address, text in pictures
    )
    return f'<div class="cm-drawn">{cells}</div>'


def thumbs(pictures: Iterable[tuple[str | None, str]]) -> str:
    """Small pictures in a dense grid; the text of each shows under the pointer."""
    cells = "".join(
        f'<div class="cm-picture" title="{_safe(text)}">{picture(address, text)}</div>' for address, text in pictures
    )
    return f'<div class="cm-thumbs">{cells}</div>'


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and values, one pair a line."""
    lines = "".join(f'<dt>{_safe(name)}</dt><dd dir="auto">{_safe(value)}</dd>' for name, value in pairs)
    return f'<dl class="cm-facts">{lines}</dl>'


def picture(address: str | None, text: str) -> str:
    """A picture with its words for those who cannot see it; a note where it is gone."""
    if address is None:
        return f'<div class="cm-gone">{_safe(text)}<br>cannot be shown</div>'
    return f'<img src="{_safe(address)}" alt="{_safe(text)}">'


def shortened(text: str, most: int = 60) -> str:
    """Text in one line of at most so many letters."""
    line = " ".join(text[: 8 * most].split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def escaped(text: str) -> str:
    """Text as HTML text, also within quotes."""
    return _safe(text)


def _safe(text: str) -> str:
    return html.escape(shown(text))
