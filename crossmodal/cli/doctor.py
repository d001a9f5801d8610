"""The command `doctor`: what looks wrong in a gallery's captions, pictures and splits."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from crossmodal.errors import InputError

if TYPE_CHECKING:
    from crossmodal.gallery.caption_audit import Finding
    from crossmodal.index import Index

CHECKS = {
    "wrong": "captions that look more like those of another picture",
    "duplicates": "pictures stored more than once",
    "hubs": "pictures that come up for far more captions than the rest",
    "ambiguous": "captions that fit many pictures as well as their own",
}


def add_doctor_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `doctor`."""
    parser.add_argument("--index", type=Path, required=True, metavar="DIR", help="made by `index`")
    parser.add_argument("--check", choices=list(CHECKS), help="one check only; default: all four")
    parser.add_argument(
        "--splits", type=Path, metavar="DIR", help="split lists, to find pictures that stand in two of the splits"
    )
    parser.add_argument(
        "--threshold", type=float, metavar="X", help="cosine from which pictures are one (default 0.94)"
    )
    parser.add_argument("-n", type=int, default=20, metavar="N", help="findings a check at most (default 20)")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object: a list of findings a check")
    output.add_argument("--csv", type=Path, metavar="FILE", help="write the findings of the one --check as a table")
    parser.epilog = "Everything is read from the index; a warning to look at, not a verdict."


def run_doctor(options: argparse.Namespace) -> int:
    """Print the findings of each check, the worst first, with their evidence."""
    from crossmodal.index import open_index

    if options.n < 1:
        raise InputError(f"-n must be at least 1, not {options.n}")
    if options.csv and not options.check:
        raise InputError(f"--csv holds the findings of one check: add --check {'|'.join(CHECKS)}")
    index = open_index(options.index)
    checks = [options.check] if options.check else list(CHECKS)
    if not options.check and not index.catalogue.captions:
        checks = ["duplicates"]
        print("the index has no captions: only its pictures are checked, for duplicates", file=sys.stderr)
    found = _findings(index, checks, options)
    first = {check: findings[: options.n] for check, findings in found.items()}
    if options.json:
        listed = {check: [finding.as_dict() for finding in findings] for check, findings in first.items()}
        print(json.dumps(listed, indent=1))
    elif options.csv:
        _write_table(first[options.check], options.csv)
    else:
        for check, findings in found.items():
            print(f"{check} ({CHECKS[check]}): {len(findings):,}")
            for number, finding in enumerate(findings[: options.n], 1):
                lead, *rest = _lines(finding)
                print(f"{number}\t{lead}", *rest, sep="\n\t")
    return 0


def _findings(index: Index, checks: Sequence[str], options: argparse.Namespace) -> dict[str, Sequence[Finding]]:
    from crossmodal.gallery.caption_audit import (
        ambiguous_captions,
        duplicate_pictures,
        hubs,
        splits_of,
        survey,
        wrong_captions,
    )
    from crossmodal.gallery.near_duplicates import THRESHOLD
    from crossmodal.progress import Bar

    found: dict[str, Sequence[Finding]] = {}
    if checks != ["duplicates"]:
        with Bar("comparing", "captions") as bar:
            surveyed = survey(index, bar.update)
        found["wrong"] = wrong_captions(index, surveyed) if "wrong" in checks else ()
        found["hubs"] = hubs(index, surveyed) if "hubs" in checks else ()
        found["ambiguous"] = ambiguous_captions(index, surveyed) if "ambiguous" in checks else ()
    if "duplicates" in checks:
        threshold = THRESHOLD if options.threshold is None else options.threshold
        found["duplicates"] = duplicate_pictures(index, splits_of(index, options.splits), threshold)
    return {check: found[check] for check in checks}


def _write_table(findings: Sequence[Finding], path: Path) -> None:
    from crossmodal.gallery.caption_audit import as_csv

    try:
        path.write_text(as_csv(findings), "utf-8", "backslashreplace", newline="")
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): give another --csv FILE") from error
    print(path)


def _lines(finding: Finding) -> list[str]:
    """The finding, its evidence, and the pictures or captions that the evidence names."""
    from crossmodal.gallery.caption_audit import AmbiguousCaption, Duplicates, WrongCaption

    if isinstance(finding, Duplicates):
        named = zip(finding.paths, finding.cosines, finding.splits, strict=True)
        copies = [f"{_printable(path)}\t{cosine:.4f}\t{split}".rstrip() for path, cosine, split in named]
        return [finding.evidence, *copies]
    if isinstance(finding, WrongCaption):
        siblings = [f"other caption: {_printable(sibling)}" for sibling in finding.siblings]
        fits = [f"fits better: {_printable(fit.path)}\t{fit.cosine:.4f}" for fit in finding.better]
        return [f"{_printable(finding.path)}\t{_printable(finding.caption)}", finding.evidence, *siblings, *fits]
    if isinstance(finding, AmbiguousCaption):
        fits = [f"fits too: {_printable(fit.path)}\t{fit.cosine:.4f}" for fit in finding.others]
        return [f"{_printable(finding.path)}\t{_printable(finding.caption)}", finding.evidence, *fits]
    drawn = [f"found by: {_printable(one.caption)}\t{_printable(one.path)}" for one in finding.drawn]
    return [_printable(finding.path), finding.evidence, *drawn]


def _printable(text: str) -> str:
    return text if text.isprintable() else repr(text)
