"""The README.md of a taught checkpoint: from which one, on what, and its numbers before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossmodal.evaluation.metrics import RECALLS

if TYPE_CHECKING:
    from crossmodal.evaluation.retrieval import Report
    from crossmodal.finetune.result import TeachResult

SIDES = ("image_to_text", "text_to_image")


def taught_card(taught: TeachResult, source: str, index: str) -> str:
    """A model card as Markdown."""
    train, validation, held = taught.pictures
    reports = {
        "held out, before": taught.before,
        "held out, after": taught.after,
        **{f"old skill, {name}, before": reports[0] for name, reports in taught.skills.items()},
        **{f"old skill, {name}, after": reports[1] for name, reports in taught.skills.items()},
    }
    gain, low, high = taught.gain
    used, left = taught.marks
    lines = [
        f"# {source}, taught {index}",
        "",
        f"The checkpoint {source} (`{taught.taught_from}`) with new heads; its backbones are untouched, and its terms "
        "hold for this one too.",
        "",
        f"- Taught on the captions of {train:,} pictures, stopped and mixed on {validation:,}, judged on {held:,}",
        f"- Marks: {used} used, {left} left out (of pictures that were not trained on)",
        f"- {taught.alpha:g} of the new weights, {1 - taught.alpha:g} of the old ones (WiSE-FT)",
        f"- Gain on the held-out part: {gain:+.2f} points of mean recall (95 % interval {low:+.2f} to {high:+.2f})",
        "",
        "| part | pictures | captions | image → text R@1 / 5 / 10 | text → image R@1 / 5 / 10 | rsum (95 % interval) |",
        "|---|---|---|---|---|---|",
        *(_row(name, report) for name, report in reports.items()),
        "",
        "| share of new weights | validation loss | held-out mean recall | old skills, mean recall |",
        "|---|---|---|---|",
        *(
            f"| {choice.alpha:g} | {choice.loss:.4f} | {'–' if choice.recall is None else f'{choice.recall:.1f}'} "
            f"| {', '.join(f'{name} {value:.1f}' for name, value in choice.skills.items())} |"
            for choice in taught.choices
        ),
        "",
        "The share was chosen by the validation loss among those that lose at most one point of any old skill; the "
        "held-out part chose nothing. `metrics.json` holds the same numbers with their protocol.",
    ]
    return "\n".join(lines)


def _row(name: str, report: Report) -> str:
    sides = (" / ".join(f"{getattr(report, side)[f'R@{k}']:.1f}" for k in RECALLS) for side in SIDES)
    low, high = report.intervals["rsum"]
    counts = f"{report.protocol['pictures']} | {report.protocol['captions']}"
    return f"| {name} | {counts} | {' | '.join(sides)} | {report.rsum:.1f} ({low:.1f} to {high:.1f}) |"
