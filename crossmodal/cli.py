"""The command line: `python -m crossmodal COMMAND …`. Results to stdout, talk to stderr."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from crossmodal.errors import CrossmodalError, InputError


class Command(NamedTuple):
    """One subcommand: its one-line help, what adds its options, and what runs it and returns the exit status."""

    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def add_validate_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `validate`."""
    parser.add_argument("--images", type=Path, required=True, metavar="DIR", help="folder of pictures")
    parser.add_argument(
        "--captions", type=Path, required=True, metavar="FILE", help="captions file of any known format, or a folder"
    )
    parser.add_argument(
        "--splits", type=Path, metavar="DIR", help="folder of split lists (train, val or dev, test in their names)"
    )
    parser.add_argument(
        "--against", type=Path, metavar="FILE", help="captions or split list that must not share photos across splits"
    )
    parser.add_argument("--json", action="store_true", help="print every finding as one JSON object")
    parser.epilog = "Exit status: 0 if nothing was found, 1 if problems were found, 2 if the data cannot be read."


def run_validate(options: argparse.Namespace) -> int:
    """Check pictures and captions, print what was found; 0 when clean, 1 otherwise."""
    from crossmodal.data.validation import describe, validate
    from crossmodal.progress import Bar

    with Bar("checking pictures") as bar:
        report = validate(options.images, options.captions, options.splits, options.against, bar.update)
    print(json.dumps(report.as_json(), indent=2) if options.json else describe(report))
    return 0 if report.clean else 1


def add_evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `evaluate`."""
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="DIR")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR", help="folder of pictures")
    parser.add_argument("--captions", type=Path, required=True, metavar="FILE", help="captions in any known format")
    parser.add_argument(
        "--split", type=Path, metavar="FILE", help="list of pictures to use; default: all with captions"
    )
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write the similarity heatmap of the first 40 pairs")


def run_evaluate(options: argparse.Namespace) -> int:
    """Measure recall both ways on a split and print the report with its protocol."""
    from crossmodal.data.pairs import load_pairs
    from crossmodal.data.splits import listed_records
    from crossmodal.encoder import open_encoder
    from crossmodal.evaluation import embed_records, evaluate, leading_pairs
    from crossmodal.figures import save_figure, similarity_matrix
    from crossmodal.progress import Bar

    encoder = open_encoder(options.checkpoint)
    pairs = load_pairs(options.images, options.captions)
    records = listed_records(pairs.records, options.split)
    with Bar("encoding pictures") as bar:
        embedded = embed_records(encoder, pairs.root, records, progress=bar.update)
    name = options.split.name if options.split else "all pictures with captions"
    report = evaluate(embedded, records, name, checkpoint=f"{encoder.name} {encoder.fingerprint[:12]}")
    if options.plot:
        title = f"{encoder.name}: pictures × their first captions, {name}"
        save_figure(similarity_matrix(leading_pairs(embedded, 40), title), options.plot)
    if options.json:
        print(json.dumps(report.as_dict(), indent=2, ensure_ascii=False))
    else:
        print(report)
        print("\n".join(f"{key}: {value}" for key, value in report.protocol.items()))
    return 0


def add_search_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `search`."""
    parser.add_argument("query", nargs="?", metavar="WORDS", help="what to look for, in words")
    parser.add_argument("--image", type=Path, metavar="FILE", help="look for what belongs to this picture instead")
    parser.add_argument("--index", type=Path, required=True, metavar="DIR", help="made by build_index.py")
    parser.add_argument("--to", choices=["images", "captions"], help="default: words find images, --image captions")
    parser.add_argument("-k", type=int, default=10, metavar="N", help="how many at most (default 10)")
    parser.add_argument("--checkpoint", type=Path, metavar="DIR", help="default: the one the index was built with")
    parser.add_argument("--json", action="store_true", help="print the hits as a JSON list")


def run_search(options: argparse.Namespace) -> int:
    """Print the best hits, one a line: rank, score, path or caption, separated by tabs."""
    from crossmodal.search import open_searcher

    if (options.query is None) == (options.image is None):
        raise InputError("give either WORDS or --image FILE")
    searcher = open_searcher(options.index, options.checkpoint)
    hits = searcher.search(options.image or options.query, options.k, options.to)
    if options.json:
        print(json.dumps([hit.as_dict() for hit in hits], indent=1, ensure_ascii=False))
        return 0
    for hit in hits:
        found = hit.path if hit.caption is None else hit.caption
        print(hit.rank, f"{hit.score:.4f}", found if found.isprintable() else repr(found), sep="\t")
    return 0


def add_scenes_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `scenes`."""
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder to write pictures and captions to"
    )
    parser.add_argument("--count", type=int, default=1000, metavar="N", help="how many pictures (default 1000)")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="another seed gives other pictures (default 0)"
    )
    parser.add_argument(
        "--split", choices=["train", "val", "test"], default="train", help="val and test hold out combinations"
    )


def run_scenes(options: argparse.Namespace) -> int:
    """Draw scenes with captions into a folder; prints the captions file."""
    from crossmodal.data.scenes import write_scenes
    from crossmodal.progress import Bar

    with Bar("drawing scenes") as bar:
        captions = write_scenes(options.out, options.count, options.seed, options.split, bar.update)
    print(captions)
    return 0


COMMANDS: dict[str, Command] = {
    "evaluate": Command("Measure recall both ways, with protocol and intervals.", add_evaluate_arguments, run_evaluate),
    "scenes": Command("Draw pictures with captions that are true of them.", add_scenes_arguments, run_scenes),
    "search": Command("Find pictures or captions with words or a picture.", add_search_arguments, run_search),
    "validate": Command("Check pictures, captions and splits before use.", add_validate_arguments, run_validate),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 on success, 2 on an error of ours, which is printed to stderr, 130 when interrupted."""
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
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader, `| head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
