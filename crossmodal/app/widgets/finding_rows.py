"""One row of the doctor's page a finding: HTML from findings, every user's text escaped."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence

from crossmodal.app.widgets.theme import shown
from crossmodal.gallery.caption_audit import AmbiguousCaption, Duplicates, Finding, Fit, Hub, WrongCaption
from crossmodal.gallery.caption_audit.findings import ordinal

__all__ = ["finding_row"]

COPIES = 6  # of a group that are shown
Address = Callable[[str], str | None]  # path -> data address of a small picture, None where it is gone


def finding_row(finding: Finding, address: Address) -> str:
    """The picture, what was found, and the evidence for it."""
    if isinstance(finding, WrongCaption):
        others = _list("The other captions of this picture", finding.siblings)
        chance = f'<span class="cm-score" title="{_CHANCE}">{_escaped(_percent(finding.belongs))}</span>'
        said = f"{_caption(finding.caption)}{_evidence(finding)}{others}"
        return _row(_figure(finding.path, address, badge=chance), said, _fits("Fit better", finding.better, address))
    if isinstance(finding, AmbiguousCaption):
        said = f"{_caption(finding.caption)}{_evidence(finding)}"
        return _row(_figure(finding.path, address), said, _fits("Fit as well", finding.others, address))
    if isinstance(finding, Hub):
        return _hub(finding, address)
    return _copies(finding, address)


_CHANCE = "probability that the caption belongs to this picture rather than to one drawn at random"


def _hub(hub: Hub, address: Address) -> str:
    drawn = [f"{one.caption} — its own picture ranks {ordinal(one.rank)}" for one in hub.drawn]
    own = _caption(hub.captions[0]) if hub.captions else ""
    fits = [Fit(one.path, one.cosine) for one in hub.drawn]
    return _row(
        _figure(hub.path, address),
        f"{own}{_evidence(hub)}{_list('Captions of other pictures that find it', drawn)}",
        _fits("The pictures of these captions", fits, address),
    )


def _percent(share: float) -> str:
    return "< 1 %" if share < 0.01 else f"{100 * share:.0f} %"


def _copies(group: Duplicates, address: Address) -> str:
    cells = []
    for path, cosine, split in list(zip(group.paths, group.cosines, group.splits, strict=True))[:COPIES]:
        chip = f'<span class="cm-dr-split">{_escaped(split)}</span>' if split else ""
        cells.append(_figure(path, address, f"{path} · {cosine:.3f}", chip))
    more = len(group.paths) - COPIES
    rest = f'<p class="cm-quiet">and {more:,} more</p>' if more > 0 else ""
    return f'<div class="cm-dr-copies">{_evidence(group)}<div class="cm-dr-strip">{"".join(cells)}</div>{rest}</div>'


def _row(picture: str, said: str, fits: str) -> str:
    return f'<div class="cm-dr">{picture}<div class="cm-dr-said">{said}</div>{fits}</div>'


def _caption(text: str) -> str:
    return f'<div class="cm-text" dir="auto">{_escaped(text)}</div>'


def _evidence(finding: Finding) -> str:
    return f'<p class="cm-quiet">{_escaped(finding.evidence)}</p>'


def _list(title: str, texts: Sequence[str]) -> str:
    items = "".join(f'<li dir="auto">{_escaped(text)}</li>' for text in texts)
    return f'<div class="cm-dr-list"><span>{title}</span><ul>{items}</ul></div>' if items else ""


def _fits(title: str, fits: Sequence[Fit], address: Address) -> str:
    cells = "".join(_figure(fit.path, address, f"{fit.cosine:.2f}") for fit in fits)
    strip = f'<div class="cm-dr-strip">{cells}</div>' if cells else ""
    return f'<div class="cm-dr-fits"><span>{title}</span>{strip}</div>' if cells else "<div></div>"


def _figure(path: str, address: Address, under: str = "", badge: str = "") -> str:
    source, name = address(path), _escaped(path)
    picture = f'<div class="cm-gone">{name}<br>cannot be shown</div>'
    if source is not None:
        picture = f'<img src="{_escaped(source)}" alt="{name}">'
    caption = f'<figcaption dir="auto">{_escaped(under)}</figcaption>' if under else ""
    return f'<figure title="{name}"><div class="cm-picture">{picture}</div>{badge}{caption}</figure>'


def _escaped(text: str) -> str:
    return html.escape(shown(text))
