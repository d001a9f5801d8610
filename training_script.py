"""Train a recipe: `python training_script.py --recipe NAME --images DIR --captions FILE …`.

Writes a checkpoint directory a person can evaluate, index and search with: OUT/best and OUT/last, history, curves.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from crossmodal.cli import run_alone


def main(arguments: Sequence[str] | None = None) -> int:
    """Train; 0 on success, 2 on an error of ours, which is printed to stderr, 130 when interrupted."""
    return run_alone("train", "training_script.py", arguments)


if __name__ == "__main__":
    sys.exit(main())
