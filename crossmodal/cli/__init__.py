"""The command line: `python -m crossmodal COMMAND …`. Results to stdout, talk to stderr."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from crossmodal.cli.app import add_app_arguments, run_app
from crossmodal.cli.data import add_scenes_arguments, add_validate_arguments, run_scenes, run_validate
from crossmodal.cli.doctor import add_doctor_arguments, run_doctor
from crossmodal.cli.evaluate import add_evaluate_arguments, run_evaluate
from crossmodal.cli.explain import add_explain_arguments, run_explain
from crossmodal.cli.export import add_export_arguments, run_export
from crossmodal.cli.feedback import add_feedback_arguments, run_feedback
from crossmodal.cli.index import STOPPED as INDEX_STOPPED
from crossmodal.cli.index import add_index_arguments, run_index
from crossmodal.cli.index_stats import add_index_stats_arguments, run_index_stats
from crossmodal.cli.map import add_map_arguments, run_map
from crossmodal.cli.recipes import add_recipes_arguments, run_recipes
from crossmodal.cli.reconstruct import add_reconstruct_arguments, run_reconstruct
from crossmodal.cli.search import add_match_arguments, add_search_arguments, run_match, run_search
from crossmodal.cli.teach import add_teach_arguments, run_teach
from crossmodal.cli.train import STOPPED as TRAIN_STOPPED
from crossmodal.cli.train import add_train_arguments, run_train
from crossmodal.errors import CrossmodalError, install_command


class Command(NamedTuple):
    """One subcommand.

    help: one line.
    add_arguments: adds its options.
    run: runs it with them and returns the exit status.
    stopped: what is told when a person interrupts it.
    """

    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    stopped: str = ""


COMMANDS: dict[str, Command] = {
    "app": Command("Open the pages in a browser.", add_app_arguments, run_app),
    "doctor": Command("Find what looks wrong in captions, pictures and splits.", add_doctor_arguments, run_doctor),
    "evaluate": Command("Measure recall both ways, with protocol and intervals.", add_evaluate_arguments, run_evaluate),
    "explain": Command("Why a picture and a sentence score as they do.", add_explain_arguments, run_explain),
    "export": Command("Write both towers for run times without torch.", add_export_arguments, run_export),
    "feedback": Command("Your marks as a test set, recall before and after.", add_feedback_arguments, run_feedback),
    "index": Command("Make a folder of pictures searchable.", add_index_arguments, run_index, INDEX_STOPPED),
    "index-stats": Command(
        "Recall and speed of your index, and what to change.", add_index_stats_arguments, run_index_stats
    ),
    "map": Command("The groups of a gallery, and a picture of its map.", add_map_arguments, run_map),
    "match": Command("How probable it is that a sentence describes a picture.", add_match_arguments, run_match),
    "recipes": Command("List what can be trained, on what, for how long.", add_recipes_arguments, run_recipes),
    "reconstruct": Command(
        "Draw pictures beside what a decoder makes of their vectors.", add_reconstruct_arguments, run_reconstruct
    ),
    "scenes": Command("Draw pictures with captions that are true of them.", add_scenes_arguments, run_scenes),
    "search": Command("Find pictures or captions with words or a picture.", add_search_arguments, run_search),
    "teach": Command("Teach a checkpoint your folder; kept only if you accept.", add_teach_arguments, run_teach),
    "train": Command("Train a two-tower model by a recipe.", add_train_arguments, run_train, TRAIN_STOPPED),
    "validate": Command("Check pictures, captions and splits before use.", add_validate_arguments, run_validate),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 on success, 2 on an error of ours, which is printed to stderr, 130 when interrupted."""
    parser = argparse.ArgumentParser(prog="crossmodal", description="Find pictures with words and words with pictures.")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        command.add_arguments(subparsers.add_parser(name, help=command.help, description=command.help))
    options = parser.parse_args(arguments)
    options.typed = f"python -m crossmodal {_words(arguments)}"
    return _run(COMMANDS[options.command], options)


def run_alone(name: str, program: str, arguments: Sequence[str] | None = None) -> int:
    """Run one command as a program of its own, such as build_index.py; the exit status is that of `main`."""
    command = COMMANDS[name]
    parser = argparse.ArgumentParser(prog=program, description=command.help)
    command.add_arguments(parser)
    options = parser.parse_args(arguments)
    options.typed = f"python {program} {_words(arguments)}"
    return _run(command, options)


def _words(arguments: Sequence[str] | None) -> str:
    return shlex.join(sys.argv[1:] if arguments is None else arguments)


def _run(command: Command, options: argparse.Namespace) -> int:
    try:
        return command.run(options)
    except CrossmodalError as error:
        print(f"error: {error.in_full}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in {"", "crossmodal"}:  # a fault of ours
            raise
        print(f"error: this needs {package}, which is not installed: `{install_command(package)}`", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        if command.stopped:
            print(command.stopped, file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, `| head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
