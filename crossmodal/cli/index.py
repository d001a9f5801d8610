"""The command `index`, which build_index.py is, too."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from crossmodal.models.checkpoint_files import STARTER, read_config

if TYPE_CHECKING:
    from crossmodal.index import BuildReport
    from crossmodal.inference.base import Encoder

EXPORT_PAYS = 6_000  # new pictures from which an export is sooner done with them than torch, its own time included
CAPTIONED = 4  # pictures that take as long to embed as one with its captions
SHOWN = 20  # skipped pictures and notes printed; the rest are counted
STOPPED = "stopped: nothing is lost, the same command goes on from here"


def add_index_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `index`."""
    parser.add_argument("--images", type=Path, required=True, metavar="DIR", help="folder of pictures")
    parser.add_argument(
        "--captions", type=Path, metavar="FILE", help="captions in any format `validate` can read; none: pictures only"
    )
    parser.add_argument("--checkpoint", type=Path, metavar="DIR", help="default model-checkpoints/starter")
    parser.add_argument("--index", type=Path, metavar="DIR", help="default indexes/NAME_OF_THE_IMAGES_FOLDER")
    parser.add_argument(
        "--prune", action="store_true", help="let go of pictures that can no longer be found, however many"
    )


def run_index(options: argparse.Namespace) -> int:
    """Build, and print what was done."""
    from crossmodal.index.claim import default_index

    index = options.index or default_index(options.images)
    checkpoint = options.checkpoint or STARTER
    report = build(options.images, options.captions, checkpoint, index, options.prune)
    print(describe(report, index, example_query(checkpoint)))
    return 0


def build(images: Path, captions: Path | None, checkpoint: Path, index: Path, prune: bool = False) -> BuildReport:
    """Build with progress on stderr. prune: see `build_index`."""
    from crossmodal.index import Progress, build_index
    from crossmodal.inference.backends.background_export import export_in_background
    from crossmodal.progress import Bar

    _export_if_it_pays(images, captions, checkpoint, index)
    encoder = _encoder(checkpoint, index)
    runtime = encoder.runtime
    if runtime:
        print(f"encoding by {runtime}", file=sys.stderr)
    with Bar() as bar:

        def show(step: Progress) -> None:
            if step.stage == "writing":
                bar.close()
                if step.note:
                    print(step.note, file=sys.stderr)
                return
            bar.unit = step.stage
            bar.show(step.stage, step.done, step.total, f"{step.skipped:,} skipped" if step.skipped else "")

        report = build_index(images, captions, encoder, index, show, prune=prune)
    if runtime == "torch":
        export_in_background(encoder.path)
    return report


def _export_if_it_pays(images: Path, captions: Path | None, checkpoint: Path, index: Path) -> None:
    """Export the towers before many new pictures are indexed; before few, that is left to the background."""
    from crossmodal.errors import IndexStoreError
    from crossmodal.images.decode import list_images
    from crossmodal.index import read_manifest
    from crossmodal.inference.backends.background_export import export_first, may_export

    if not may_export(checkpoint):
        return
    new = len(list_images(images))
    with suppress(IndexStoreError):
        new -= read_manifest(index).counts["images"]
    if new * (CAPTIONED if captions else 1) >= EXPORT_PAYS:
        print(f"exporting the towers first, about half a minute: it pays for {new:,} new pictures", file=sys.stderr)
        export_first(checkpoint)


def _encoder(checkpoint: Path, index: Path) -> Encoder:
    """The checkpoint by the run time that is asked for or best; by one that rounds if the index was made by it."""
    from crossmodal.errors import IndexStoreError, InputError
    from crossmodal.index import read_manifest
    from crossmodal.inference.encoder import RUNTIME_VARIABLE, open_encoder

    if not os.environ.get(RUNTIME_VARIABLE):
        with suppress(IndexStoreError, InputError):  # no index yet, or it cannot be continued so: the build says it
            rounding = read_manifest(index).rounding
            return open_encoder(checkpoint, rounding) if rounding else open_encoder(checkpoint)
    return open_encoder(checkpoint)


def example_query(checkpoint: Path) -> str:
    """Words that a checkpoint understands: one of its labels where it knows no others."""
    labels = read_config(checkpoint).get("labels") or ["two dogs run on a beach"]
    return str(labels[0])


def describe(report: BuildReport, index: Path, example: str) -> str:
    """What a build did, what it left out and why, and what to run next."""
    folder = shlex.quote(str(index))
    lines = [
        f"{report.indexed:,} pictures and {report.captions:,} captions in {index}, {report.seconds:.1f} s",
        f"pictures: {report.embedded:,} embedded, {report.reused:,} had a vector; {report.added:,} added, "
        f"{report.changed:,} changed, {report.renamed:,} renamed, {report.removed:,} removed",
    ]
    if report.skipped:
        lines.append(f"skipped: {len(report.skipped):,}")
        lines += [f"  {plain(skipped.path)}: {skipped.reason}" for skipped in report.skipped[:SHOWN]]
    if len(report.skipped) > SHOWN:
        command = f"python -m crossmodal index-stats --index {folder} --skipped"
        lines.append(f"  … and {len(report.skipped) - SHOWN:,} more: `{command}` lists them")
    notes = [*map(str, report.notes), *report.problems]
    lines += [f"note: {plain(note)}" for note in notes[:SHOWN]]
    if len(notes) > SHOWN:
        lines.append(f"note: … and {len(notes) - SHOWN:,} more; `python -m crossmodal validate` lists them")
    if not report.captions:
        lines.append("without captions, words find pictures; a picture finds only pictures like it (--to images)")
    return "\n".join(
        [
            *lines,
            f'search it:  python -m crossmodal search "{example}" --index {folder}',
            f"open it:    python -m crossmodal app --index {folder}",
        ]
    )


def plain(text: str) -> str:
    """A text as it is where a terminal can show it, else escaped."""
    return text if text.isprintable() else repr(text)
