"""The command line: `python -m crossmodal COMMAND …`. Results to stdout, talk to stderr."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from crossmodal.errors import CrossmodalError


class Command(NamedTuple):
    """One subcommand: its one-line help, what adds its options, and what runs it and returns the exit status."""

    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


COMMANDS: dict[str, Command] = {}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 on success, 2 on an error of ours, which is printed to stderr."""
    parser = argparse.ArgumentParser(prog="crossmodal", description="Find pictures with words and words with pictures.")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        command.add_arguments(subparsers.add_parser(name, help=command.help, description=command.help))
    options = parser.parse_args(arguments)
    try:
        return COMMANDS[options.command].run(options)
    except CrossmodalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
