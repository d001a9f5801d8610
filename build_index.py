"""Make a folder of pictures searchable: `python build_index.py --images DIR [--captions FILE] …`.

Run it again whenever pictures or captions have changed: only what is new is embedded. Killed at any moment, it leaves
the former index usable, and the same command goes on where it stopped.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from crossmodal.cli import run_alone


def main(arguments: Sequence[str] | None = None) -> int:
    """Build; 0 on success, 2 on an error of ours, which is printed to stderr, 130 when interrupted."""
    return run_alone("index", "build_index.py", arguments)


if __name__ == "__main__":
    sys.exit(main())
