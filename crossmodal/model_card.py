"""The README.md of a checkpoint: data and terms, command, seed, numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossmodal.evaluation import Report
from crossmodal.metrics import RECALLS
from crossmodal.recipes import Recipe


def model_card(
    recipe: Recipe,
    command: str,
    seed: int,
    trained_on: Mapping[str, int],
    history: Mapping[str, Any],
    reports: Mapping[str, Report],
) -> str:
    """A model card as Markdown. trained_on: pictures by origin; reports: by split."""
    seconds = sum(entry["seconds"] for entry in history["epochs"])
    origins = ", ".join(f"{count:,} {name}" for name, count in trained_on.items())
    lines = [
        f"# {recipe.name}",
        "",
        f"{recipe.summary}. Image tower {recipe.image_backbone}, {recipe.dimension} dimensions, "
        f"{recipe.image_size}×{recipe.image_size} pixels.",
        "",
        f"- Trained on: {origins}, one random caption a picture an epoch",
        f"- Command: `{command}`",
        f"- Seed: {seed}. Epochs: {len(history['epochs'])}, {seconds / 60:.0f} minutes",
        "",
        "| split | pictures | captions | image → text R@1 / 5 / 10 | text → image R@1 / 5 / 10 | rsum (95 % interval)|",
        "|---|---|---|---|---|---|",
    ]
    for name, report in reports.items():
        sides = (report.image_to_text, report.text_to_image)
        recalls = (" / ".join(f"{side[f'R@{k}']:.1f}" for k in RECALLS) for side in sides)
        low, high = report.intervals["rsum"]
        counts = f"{report.protocol['pictures']} | {report.protocol['captions']}"
        lines.append(f"| {name} | {counts} | {' | '.join(recalls)} | {report.rsum:.1f} ({low:.1f} to {high:.1f}) |")
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
