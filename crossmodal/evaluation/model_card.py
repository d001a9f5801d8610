"""The README.md of a checkpoint: data and terms, command, seed, numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossmodal.evaluation.metrics import RECALLS
from crossmodal.evaluation.retrieval import Report, ScoreReport
from crossmodal.recipes import Recipe


def model_card(
    recipe: Recipe,
    command: str,
    seed: int,
    trained_on: Mapping[str, int],
    history: Mapping[str, Any],
    reports: Mapping[str, Report | ScoreReport],
) -> str:
    """A model card as Markdown. trained_on: pictures by origin; reports: by split."""
    seconds = sum(entry["seconds"] for entry in history["epochs"])
    origins = ", ".join(f"{count:,} {name}" for name, count in trained_on.items())
    trained = "one random caption a picture an epoch" if not recipe.labelled else "every label equally often"
    lines = [
        f"# {recipe.name}",
        "",
        f"{recipe.summary}. Image tower {recipe.image_backbone}, {_output(recipe)}, "
        f"{recipe.image_size}×{recipe.image_size} pixels.",
        "",
        f"- Trained on: {origins}{', ' + trained if recipe.balanced or not recipe.labelled else ''}",
        f"- Command: `{command}`",
        f"- Seed: {seed}. Loss: {recipe.loss}. Epochs: {len(history['epochs'])}, {seconds / 60:.0f} minutes",
        "",
        *_retrieval({name: report for name, report in reports.items() if isinstance(report, Report)}),
        *_scores({name: report for name, report in reports.items() if isinstance(report, ScoreReport)}),
    ]
    if recipe.terms:
        lines += ["", "## Data and terms", "", recipe.terms]
    lines += [
        "",
        "## How to read the numbers",
        "",
        "The best epoch was chosen on the validation split, so its numbers are a little flattering. `metrics.json` "
        "holds the same numbers with their protocol; `python -m crossmodal evaluate` measures them again.",
    ]
    return "\n".join(lines)


def _output(recipe: Recipe) -> str:
    return "a probability for a pair" if recipe.kind == "pair_scorer" else f"{recipe.dimension} dimensions"


def _retrieval(reports: Mapping[str, Report]) -> list[str]:
    """The table of recalls, nothing without one."""
    if not reports:
        return []
    lines = [
        "| split | pictures | captions | image → text R@1 / 5 / 10 | text → image R@1 / 5 / 10 | rsum (95 % interval)|",
        "|---|---|---|---|---|---|",
    ]
    for name, report in reports.items():
        sides = (report.image_to_text, report.text_to_image)
        recalls = (" / ".join(f"{side[f'R@{k}']:.1f}" for k in RECALLS) for side in sides)
        low, high = report.intervals["rsum"]
        counts = f"{report.protocol['pictures']} | {report.protocol['captions']}"
        lines.append(f"| {name} | {counts} | {' | '.join(recalls)} | {report.rsum:.1f} ({low:.1f} to {high:.1f}) |")
    return lines


def _scores(reports: Mapping[str, ScoreReport]) -> list[str]:
    """Every number of each split, side by side where the splits have the same."""
    if not reports:
        return []
    names = list(dict.fromkeys(name for report in reports.values() for name in report.values))
    lines = ["| | " + " | ".join(reports) + " |", "|---|" + "---|" * len(reports)]
    for name in names:
        cells = (f"{report.values[name]:.4g}" if name in report.values else "–" for report in reports.values())
        lines.append(f"| {name} | {' | '.join(cells)} |")
    warnings = [f"- {split}: {warning}" for split, report in reports.items() for warning in report.warnings]
    return lines + (["", *warnings] if warnings else [])
