"""The command `index-stats`: recall and speed of your own index, and what to change."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from crossmodal.errors import InputError

HEADER = ("set", "rows", "searched by", "recall@10", "p50 ms", "p99 ms", "scan p50 ms", "memory MB")


def add_index_stats_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `index-stats`."""
    parser.add_argument("--index", type=Path, required=True, metavar="DIR", help="made by `index`")
    parser.add_argument("--queries", type=int, default=200, metavar="N", help="captions to ask (default 200)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of their choice (default 0)")
    parser.add_argument("--skipped", action="store_true", help="list what was left out, and why, instead")
    parser.add_argument("--json", action="store_true", help="print a JSON list")


def run_index_stats(options: argparse.Namespace) -> int:
    """Print one line a set, separated by tabs, and below it what to change, if anything; or what was left out."""
    from crossmodal.cli.index import plain
    from crossmodal.index import build_command, open_index
    from crossmodal.search.statistics import search_statistics

    if options.queries < 1:
        raise InputError(f"--queries must be at least 1, not {options.queries}")
    index = open_index(options.index)
    if options.skipped:
        skipped = [{"path": each.path, "reason": each.reason} for each in index.catalogue.skipped]
        lines = (f"{plain(each['path'])}\t{each['reason']}" for each in skipped)
        print(json.dumps(skipped, indent=1) if options.json else "\n".join(lines))
        return 0
    found = search_statistics(index, options.queries, options.seed)
    if options.json:
        print(json.dumps([stats.as_dict() for stats in found], indent=1))
        return 0
    print(*HEADER, sep="\t")
    for stats in found:
        times = (f"{value:.2f}" for value in (stats.p50, stats.p99, stats.scan_p50))
        print(
            stats.which, f"{stats.rows:,}", stats.kind, f"{stats.recall:.4f}", *times, f"{stats.bytes / 1e6:.1f}",
            sep="\t",
        )  # fmt: skip
    advice = [f"{stats.which}: {stats.advice}" for stats in found if stats.advice]
    print(*(advice or ["nothing to change"]), sep="\n")
    if any("build it again" in line for line in advice):
        print(f"run `{build_command(index.manifest, index.path)}`")
    return 0
