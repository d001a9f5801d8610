"""The command `teach`: new heads from an index's own captions, and what becomes of them."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from crossmodal.errors import InputError

if TYPE_CHECKING:
    from crossmodal.evaluation.retrieval import Report
    from crossmodal.finetune import TeachResult
    from crossmodal.index import BuildReport


def add_teach_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `teach`."""
    parser.add_argument("--index", type=Path, required=True, metavar="DIR", help="a folder's index, with captions")
    parser.add_argument("--out", type=Path, metavar="DIR", help="the new checkpoint; default runs/taught/INDEX-taught")
    parser.add_argument("--checkpoint", type=Path, metavar="DIR", help="default: the one the index was built with")
    parser.add_argument(
        "--keep", type=Path, nargs="+", default=[], metavar="DIR",
        help="other indexes of this checkpoint that must not be found worse, beside the generated scenes",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the parts and of training")
    answer = parser.add_mutually_exclusive_group()
    answer.add_argument("--accept", action="store_true", help="use the checkpoint that was taught last")
    answer.add_argument("--discard", action="store_true", help="remove it")
    answer.add_argument("--undo", action="store_true", help="go back to the checkpoint before the last --accept")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.epilog = (
        "Neither the index nor its checkpoint changes until --accept. Learns on 70 % of the captioned pictures, stops "
        "and mixes old and new weights on 10 %, and shows recall before and after on 20 % that it has not seen."
    )


def run_teach(options: argparse.Namespace) -> int:
    """Teach and print recall before and after, or answer what was taught before."""
    from crossmodal.finetune import accept, discard, teach, undo
    from crossmodal.progress import Bar

    answered = options.accept or options.discard or options.undo
    if answered and (options.out or options.checkpoint or options.keep):
        raise InputError("--out, --checkpoint and --keep are for teaching, not for --accept, --discard or --undo")
    if options.discard:
        return _tell({"discarded": str(discard(options.index))}, options.json)
    with Bar() as bar:
        if options.accept:
            told = _built(options.index, accept(options.index, bar.show))
        elif options.undo:
            told = {**_built(options.index, undo(options.index, bar.show)[1])}
        else:
            taught = teach(
                options.index,
                options.out,
                checkpoint=options.checkpoint,
                seed=options.seed,
                keep=options.keep,
                progress=bar.show,
            )
    if answered:
        return _tell(told, options.json)
    print(json.dumps(taught.as_dict(), indent=1, ensure_ascii=False) if options.json else _table(taught, options.index))
    return 0


def _tell(facts: dict[str, object], as_json: bool) -> int:
    print(json.dumps(facts, ensure_ascii=False) if as_json else "\n".join(f"{k}: {v}" for k, v in facts.items()))
    return 0


def _built(index: Path, report: BuildReport) -> dict[str, object]:
    from crossmodal.index import read_manifest

    for note in (*report.notes, *report.problems):
        print(f"note: {note}", file=sys.stderr)
    checkpoint = read_manifest(index).checkpoint
    return {
        "checkpoint": f"{checkpoint['name']} {str(checkpoint['fingerprint'])[:12]}",
        "pictures": report.indexed,
        "encoded again": report.embedded,
        "seconds": round(report.seconds, 1),
    }


def _table(taught: TeachResult, index: Path) -> str:
    """Before and after, the mixtures, and what to do next."""
    train, validation, held = taught.pictures
    reports = {
        "held out, before": taught.before,
        "held out, after": taught.after,
    }
    for name, both in taught.skills.items():
        reports |= {
            f"{_printable(name)}, {when}": report for when, report in zip(("before", "after"), both, strict=True)
        }
    width = max(map(len, reports))
    lines = [
        f"taught {train:,} pictures, chosen on {validation:,}, judged on {held:,} held out; {taught.seconds:.0f} s",
        f"marks: {taught.marks[0]} used, {taught.marks[1]} left out, since their pictures were not trained on",
        "",
        f"{'recall in percent':<{width}}  {'image → text R@1/5/10':<22}  {'text → image R@1/5/10':<22}  rsum (95 %)",
        *(_line(name.ljust(width), report) for name, report in reports.items()),
        "",
        f"{'new weights':<{width}}  {'validation loss':<16}  {'held out, mean recall':<22}  old skills, mean recall",
    ]
    for choice in taught.choices:
        if choice.recall is not None:
            mark = "  <- chosen" if choice.alpha == taught.alpha else ""
            skills = ", ".join(f"{value:.1f}" for value in choice.skills.values())
            lines.append(f"{choice.alpha:<{width}g}  {choice.loss:<16.4f}  {choice.recall:<22.1f}  {skills}{mark}")
    lines += ["", taught.verdict]
    if taught.candidate is not None:
        command = f"python -m crossmodal teach --index {index}"
        lines += [f"candidate: {taught.candidate}", f"use it: `{command} --accept`, drop it: `{command} --discard`"]
    return "\n".join(lines)


def _line(name: str, report: Report) -> str:
    sides = [
        " / ".join(f"{side[f'R@{k}']:.1f}" for k in (1, 5, 10)) for side in (report.image_to_text, report.text_to_image)
    ]
    low, high = report.intervals["rsum"]
    return f"{name}  {sides[0]:<22}  {sides[1]:<22}  {report.rsum:.1f} ({low:.1f} to {high:.1f})"


def _printable(text: str) -> str:
    return text if text.isprintable() else repr(text)
