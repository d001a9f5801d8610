"""The command `recipes`."""

from __future__ import annotations

import argparse
import json
import shutil
import textwrap
from collections.abc import Sequence
from itertools import zip_longest


def add_recipes_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `recipes`."""
    parser.add_argument("--json", action="store_true", help="print a JSON list")


def run_recipes(options: argparse.Namespace) -> int:
    """Print every recipe with its data, towers, loss, expected time and expected number."""
    from crossmodal.recipes import RECIPES

    recipes = [make() for make in RECIPES.values()]
    rows = [
        {
            "name": recipe.name,
            "data": recipe.data,
            "towers": f"{recipe.image_backbone} + {recipe.text_model.rpartition('/')[2]}",
            "loss": recipe.loss,
            "time": recipe.time,
            "expected": recipe.expected,
        }
        for recipe in recipes
    ]
    print(json.dumps(rows, indent=1, ensure_ascii=False) if options.json else _table(rows))
    return 0


def _table(rows: Sequence[dict[str, str]]) -> str:
    """Columns under their names, long cells on several lines. rows: the same names in each."""
    width = max(shutil.get_terminal_size((150, 24)).columns, 100)
    natural = {name: max(len(name), *(len(row[name]) for row in rows)) for name in rows[0]}
    limit = width // len(natural)
    spare = width - 2 * len(natural) - sum(min(size, limit) for size in natural.values())
    wide = [name for name, size in natural.items() if size > limit]
    widths = {name: min(size, limit + (spare // len(wide) if wide else 0)) for name, size in natural.items()}
    lines = []
    for row in ({name: name.upper() for name in natural}, *rows):
        cells = [textwrap.wrap(row[name], widths[name], break_on_hyphens=False) or [""] for name in natural]
        for parts in zip_longest(*cells, fillvalue=""):
            padded = (part.ljust(size) for part, size in zip(parts, widths.values(), strict=True))
            lines.append("  ".join(padded).rstrip())
        lines.append("")
    return "\n".join(lines[:-1])
