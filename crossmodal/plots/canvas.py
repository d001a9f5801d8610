"""The sheet that figures and drawings are made on: paper and ink, and texts that some font can draw.

A sheet is a `matplotlib.figure.Figure` of its own: no pyplot, no global style, so that several browser sessions may
draw at once and nothing needs closing.
"""

from __future__ import annotations

import textwrap
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from crossmodal.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "LABEL_LENGTH", "blank", "drawable", "finish", "ink", "paper", "save_figure", "shortened", "titled", "wrapped",
]  # fmt: skip

LABEL_LENGTH = 34
BOX = "□"  # stands for a character that no font can draw
FALLBACK_FONTS = ("Noto Sans CJK SC", "Noto Sans", "WenQuanYi Zen Hei", "Microsoft YaHei", "PingFang SC", "Segoe UI")


def blank(width: float, height: float, dark: bool = False) -> Figure:
    """An empty sheet, sides in inches. dark: for a page with a dark background."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor=paper(dark))
    FigureCanvasAgg(figure)
    return figure


def paper(dark: bool) -> str:
    """The colour of the sheet."""
    return "#11161D" if dark else "#FFFFFF"


def ink(dark: bool) -> str:
    """The colour of texts and lines that reads on the sheet."""
    return "#D5DBE3" if dark else "#2B3440"


def finish(figure: Figure, dark: bool = False) -> None:
    """Give labels, spines and ticks one ink that reads on the paper; draw texts as they are, never as formulae."""
    from matplotlib.text import Text

    for axes in figure.axes:
        axes.tick_params(colors=ink(dark), labelsize=8, length=0)
        for spine in axes.spines.values():
            spine.set_edgecolor(ink(dark))
            spine.set_alpha(0.4)
        for label in (axes.xaxis.label, axes.yaxis.label):
            label.set(color=ink(dark), fontsize=9)
    for text in figure.findobj(Text):
        if isinstance(text, Text):
            text.set_parse_math(False)
            text.set_text(drawable(text.get_text()))
            text.set_fontfamily(list(_families()))


def titled(figure: Figure, axes: Axes, title: str, dark: bool = False) -> None:
    """Give one axes its title, and all texts of the figure their ink; the last thing done to it."""
    axes.set_title(title, fontsize=11, loc="left", pad=14 if title else 6, color=ink(dark))
    finish(figure, dark)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure to path, making the folder where needed.

    Raises InputError if the path's suffix is of no format that can be written (PNG, SVG, PDF, JPEG, …).
    """
    known = figure.canvas.get_supported_filetypes()
    if path.suffix[1:].lower() not in known:
        raise InputError(f"{path} cannot be written: its suffix must be one of {', '.join(sorted(known))}")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, bbox_inches="tight", facecolor=figure.get_facecolor())


def shortened(label: str, length: int = LABEL_LENGTH) -> str:
    """One line of drawable characters, at most `length` long; the middle of a path or sentence gives way."""
    line = drawable(" ".join(label.split())) or "–"
    if len(line) <= length:
        return line
    tail = length // 3
    return f"{line[: length - tail - 1].rstrip()}…{line[-tail:].lstrip()}"


def wrapped(text: str, width: int, lines: int = 2) -> str:
    """Drawable characters, at most `lines` lines of `width` letters, … for the rest; wide letters count twice."""
    line = drawable(" ".join(text.split())) or "–"
    wide = sum(character == BOX or unicodedata.east_asian_width(character) in "WF" for character in line)
    width = round(width * len(line) / (len(line) + wide))
    return "\n".join(textwrap.wrap(line, width, max_lines=lines, placeholder=" …"))


def drawable(text: str) -> str:
    """The text with a box for each character no font can draw, and without invisible control characters."""
    visible = (character for character in text if character == "\n" or unicodedata.category(character)[0] != "C")
    covered = _covered()
    return "".join(character if character == "\n" or ord(character) in covered else BOX for character in visible)


@lru_cache(maxsize=1)
def _families() -> tuple[str, ...]:
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    return ("DejaVu Sans", *(family for family in FALLBACK_FONTS if family in installed))


@lru_cache(maxsize=1)
def _covered() -> frozenset[int]:
    """Code points some font of ours can draw."""
    from matplotlib import font_manager
    from matplotlib.ft2font import FT2Font

    points: set[int] = set()
    for family in _families():
        points.update(FT2Font(font_manager.findfont(family)).get_charmap())
    return frozenset(points)
