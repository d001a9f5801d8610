"""Commands about data: `validate` and `scenes`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


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
    from crossmodal.datasets.validation import describe, validate
    from crossmodal.progress import Bar

    with Bar("checking pictures") as bar:
        report = validate(options.images, options.captions, options.splits, options.against, bar.update)
    print(json.dumps(report.as_json(), indent=2) if options.json else describe(report))
    return 0 if report.clean else 1


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
    from crossmodal.progress import Bar
    from crossmodal.scenes.scene import write_scenes

    with Bar("drawing scenes") as bar:
        captions = write_scenes(options.out, options.count, options.seed, options.split, bar.update)
    print(captions)
    return 0
