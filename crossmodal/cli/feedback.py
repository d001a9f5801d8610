"""The command `feedback`: what was marked in an index, as a personal test set."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from crossmodal.errors import InputError

if TYPE_CHECKING:
    from crossmodal.gallery.feedback import PersonalTest
    from crossmodal.index import Index


def add_feedback_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `feedback`."""
    parser.add_argument("--index", type=Path, required=True, metavar="DIR", help="where hits were marked in the app")
    parser.add_argument("--export", type=Path, metavar="FILE", help="write the test set as .json or .csv")
    parser.add_argument(
        "--checkpoint", type=Path, metavar="DIR", help="ask another checkpoint, a taught one for example"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.epilog = (
        "Recall@10 of the pictures you liked, among those you did not mark: by the query alone, and with what your "
        "other marks say (each liked picture is looked for without its own mark)."
    )


def run_feedback(options: argparse.Namespace) -> int:
    """Print marks and recall before and after, a line a query; with --export write them."""
    from crossmodal.gallery.feedback import open_feedback, personal_test, write_personal_test
    from crossmodal.index import open_index
    from crossmodal.inference.encoder import open_encoder
    from crossmodal.search.searcher import recorded_checkpoint

    feedback = open_feedback(options.index)
    if not feedback.queries():
        raise InputError(
            f"{options.index} holds no marks yet: give hits a thumb up or down, "
            f"`python -m crossmodal app --index {options.index}`"
        )
    index = open_index(options.index)
    if options.checkpoint is None:
        encoder = open_encoder(recorded_checkpoint(index.manifest, index.path))
    else:
        encoder = open_encoder(options.checkpoint)
        index = _under(index, options.checkpoint)
    test = personal_test(feedback, index, encoder)
    if feedback.damaged:
        print(f"note: {feedback.damaged} damaged lines of {feedback.path} were left out", file=sys.stderr)
    for mark in test.gone:
        print(f"left out: {_printable(mark.path)} is not in the index any more", file=sys.stderr)
    if options.export is not None:
        write_personal_test(test, options.export)
        print(f"written to {options.export}", file=sys.stderr)
    print(json.dumps(test.as_dict(), indent=1) if options.json else _table(test))
    return 0


def _under(index: Index, checkpoint: Path) -> Index:
    """The index as another checkpoint sees it. Raises InputError where its pictures would have to be encoded again."""
    from crossmodal.finetune import vectors_under
    from crossmodal.index import Index, build_command
    from crossmodal.inference.encoder import open_encoder
    from crossmodal.models.checkpoint_files import fingerprint

    if fingerprint(checkpoint) == index.manifest.checkpoint["fingerprint"]:
        return index
    vectors = vectors_under(index, checkpoint, open_encoder(checkpoint))
    if vectors is None:
        command = build_command(index.manifest, Path("INDEX2"))
        raise InputError(
            f"{checkpoint} differs from the index's checkpoint by more than its heads: build an index with it, "
            f"`{command} --checkpoint {checkpoint}`, copy {index.path / 'feedback.jsonl'} into it and ask that one"
        )
    return Index(index.path, index.manifest, index.catalogue, *vectors)


def _table(test: PersonalTest) -> str:
    """A line a query, separated by tabs, and all of them together."""
    lines = ["liked\tdisliked\tR@10 before\tafter\tquery"]
    for asked in test.asked:
        shown = [_percent(asked.recall()), _percent(asked.recall(after=True))]
        lines.append("\t".join([str(len(asked.liked)), str(len(asked.disliked)), *shown, _printable(asked.query)]))
    liked, disliked = (sum(len(getattr(asked, side)) for asked in test.asked) for side in ("liked", "disliked"))
    both = [_percent(test.recall()), _percent(test.recall(after=True))]
    return "\n".join([*lines, "\t".join([str(liked), str(disliked), *both, "all"])])


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _printable(text: str) -> str:
    return text if text.isprintable() else repr(text)
