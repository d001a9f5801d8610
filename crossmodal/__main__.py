"""`python -m crossmodal COMMAND`."""

from __future__ import annotations

import sys

from crossmodal.cli import main

if __name__ == "__main__":
    sys.exit(main())
