"""Make the environments of the peers: `python -m benchmarks.peers [NAME …]`; `--list` says which are there."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks.peers import PEERS, lacking, make
from crossmodal.errors import CrossmodalError


def main(arguments: Sequence[str] | None = None) -> int:
    """Install; 0 on success."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PEERS)}; default: all")
    parser.add_argument("--list", action="store_true", help="only say what is there")
    options = parser.parse_args(arguments)
    try:
        for name in options.names or PEERS:
            if options.list:
                print(f"{name}\t{lacking(name) or 'ready'}\t{PEERS[name].why if name in PEERS else ''}")
            else:
                print(f"{name}\t{make(name, lambda line: print(line, file=sys.stderr))}")
    except CrossmodalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
