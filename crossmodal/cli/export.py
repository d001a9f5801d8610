"""The command `export`: both towers of a checkpoint for run times that need no torch."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from crossmodal.errors import InputError
from crossmodal.inference.backends.export_files import PRECISIONS
from crossmodal.models.checkpoint_files import STARTER

if TYPE_CHECKING:
    from crossmodal.inference.export import Samples
    from crossmodal.models.checkpoint import Checkpoint

MOST = 1000  # pictures that an export is checked on


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `export`."""
    parser.add_argument("--checkpoint", type=Path, default=STARTER, metavar="DIR", help="default: the starter")
    parser.add_argument(
        "--precision", nargs="+", choices=PRECISIONS, default=["fp32", "int8"], help="default: fp32 int8"
    )
    parser.add_argument("--images", type=Path, metavar="DIR", help="photos to check on; default: generated scenes")
    parser.add_argument("--captions", type=Path, metavar="FILE", help="their captions")
    parser.add_argument("--split", type=Path, metavar="FILE", help=f"a list of the photos to take (at most {MOST:,})")
    parser.add_argument("--json", action="store_true", help="print the manifest")
    parser.add_argument("--unasked", action="store_true", help=argparse.SUPPRESS)  # by `export_in_background`
    parser.epilog = (
        "fp32 and int8 run by onnxruntime, bf16 by openvino on processors that have it. What does not agree with torch "
        "(cosine 0.999 in fp32, 0.99 else, recall@10 within 0.5 points) is not kept. Everything takes the best runtime "
        "that is present; CROSSMODAL_RUNTIME=torch, onnx-fp32, onnx-int8 or openvino-bf16 says otherwise. The first "
        "search or index exports fp32 by itself, in the background, unless CROSSMODAL_AUTO_EXPORT is 0."
    )


def run_export(options: argparse.Namespace) -> int:
    """Write DIR/exported, and print what each precision's check found and where the files are."""
    if options.unasked:
        return _export_unasked(options.checkpoint)
    from crossmodal.inference.export import export_checkpoint

    if (options.images is None) != (options.captions is None) or (options.split and options.images is None):
        raise InputError("to check on your own photos give --images DIR and --captions FILE (and --split FILE)")

    def samples(checkpoint: Checkpoint) -> Samples:
        """The person's own photos and captions."""
        from crossmodal.datasets.records import load_pairs
        from crossmodal.datasets.splits import listed_records
        from crossmodal.inference.export import record_samples

        pairs = load_pairs(options.images, options.captions)
        records = listed_records(pairs.records, options.split)[:MOST]
        name = options.split.name if options.split else options.captions.name
        return record_samples(name, pairs.root, records, checkpoint.transform)

    export = export_checkpoint(
        options.checkpoint,
        options.precision,
        samples if options.images is not None else None,
        say=lambda line: print(line, file=sys.stderr),
    )
    if options.json:
        print(json.dumps(export.as_dict(), indent=1))
        return 0
    for name, about in sorted(export.files.items()):
        print(options.checkpoint / "exported" / name, f"{about['bytes']:,} bytes", sep="\t")
    return 0


def _export_unasked(checkpoint: Path) -> int:
    """Write the fp32 files if they are still lacking and no other process is at it; torch loads only then."""
    from crossmodal.inference.backends.background_export import sole_attempt

    with sole_attempt(checkpoint) as wanted:
        if wanted:
            from crossmodal.inference.export import export_checkpoint

            export_checkpoint(checkpoint, ("fp32",), say=lambda line: print(line, file=sys.stderr))
    return 0
