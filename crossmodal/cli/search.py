"""The commands `search` and `match`: what an index or a match model answers."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from crossmodal.errors import InputError

if TYPE_CHECKING:
    from crossmodal.search import Answer, Hit, Searcher

MATCH_CHECKPOINT = Path("runs/match/best")


def add_search_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `search`."""
    parser.add_argument("query", nargs="?", metavar="WORDS", help="what to look for, in words")
    parser.add_argument("--image", type=Path, metavar="FILE", help="look for what belongs to this picture instead")
    parser.add_argument("--index", type=Path, required=True, metavar="DIR", help="made by build_index.py")
    parser.add_argument("--to", choices=["images", "captions"], help="default: words find images, --image captions")
    parser.add_argument("-k", type=int, default=10, metavar="N", help="how many at most (default 10)")
    parser.add_argument("--checkpoint", type=Path, metavar="DIR", help="default: the one the index was built with")
    parser.add_argument(
        "--rerank", type=Path, metavar="DIR", help="order the best hits anew by this match checkpoint's probability"
    )
    parser.add_argument("--depth", type=int, default=50, metavar="N", help="how many --rerank orders (default 50)")
    parser.add_argument("--json", action="store_true", help="print the hits as a JSON list")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the query with its hits")


def run_search(options: argparse.Namespace) -> int:
    """Print the best hits, one a line, separated by tabs: rank, score, probability that it matches, path or caption.

    The probability is the index's, or with --rerank the scorer's, and left out where there is none. That nothing seems
    to match is said on stderr.
    """
    from crossmodal.search import open_searcher

    if (options.query is None) == (options.image is None):
        raise InputError("give either WORDS or --image FILE")
    query = options.image or options.query
    searcher = open_searcher(options.index, options.checkpoint)
    if options.rerank is None:
        answer = searcher.answer(query, options.k, options.to)
        hits = list(answer.hits)
    else:
        answer, hits = _reranked(searcher, query, options)
    remark = searcher.uncalibrated or _doubt(answer)
    if remark:
        print(remark, file=sys.stderr)
    if options.plot:
        _plot_hits(searcher, query, hits, options.plot)
    if options.json:
        print(json.dumps([hit.as_dict() for hit in hits], indent=1, ensure_ascii=False))
        return 0
    for hit in hits:
        chance = hit.relevance if options.rerank is None else hit.probability
        judged = [] if chance is None else [f"{chance:.4f}"]
        found = hit.path if hit.caption is None else hit.caption
        print(hit.rank, f"{hit.score:.4f}", *judged, _printable(found), sep="\t")
    return 0


def _doubt(answer: Answer) -> str | None:
    """What is said above the hits where none of them seems to match."""
    if not answer.nothing:
        return None
    return f"nothing in this gallery seems to match (p = {answer.match:.2f}); the nearest all the same:"


def _reranked(searcher: Searcher, query: str | Path, options: argparse.Namespace) -> tuple[Answer, list[Hit]]:
    """What was found, and the k best hits after the first `depth` were ordered anew; hits beyond keep their rank."""
    from crossmodal.scorer import open_scorer
    from crossmodal.search import rerank

    if min(options.depth, options.k) < 1:
        raise InputError(f"--depth and -k must be at least 1, not {options.depth} and {options.k}")
    scorer = open_scorer(options.rerank)
    answer = searcher.answer(query, max(options.depth, options.k), options.to)
    first, rest = answer.hits[: options.depth], answer.hits[options.depth :]
    return answer, [*rerank(searcher, query, first, scorer), *rest][: options.k]


def _plot_hits(searcher: Searcher, query: str | Path, hits: Sequence[Hit], path: Path) -> None:
    from crossmodal.drawings import caption_with_pictures, picture_with_captions
    from crossmodal.figures import save_figure

    if isinstance(query, Path) and hits and hits[0].caption is not None:
        figure = picture_with_captions(query, hits, query.name)
    else:
        asked = query if isinstance(query, Path) else None
        paths = [searcher.image_path(hit) for hit in hits]
        figure = caption_with_pictures(asked.name if asked else str(query), hits, paths, asked)
    save_figure(figure, path)


def _printable(text: str) -> str:
    return text if text.isprintable() else repr(text)


def add_match_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `match`."""
    parser.add_argument("--image", type=Path, required=True, metavar="FILE")
    parser.add_argument(
        "--text", action="append", required=True, metavar="WORDS", help="a sentence; may be given several times"
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        default=MATCH_CHECKPOINT,
        metavar="DIR",
        help=f"trained with --recipe match (default {MATCH_CHECKPOINT})",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list")


def run_match(options: argparse.Namespace) -> int:
    """Print how probable it is that each sentence describes the picture, one a line, best first."""
    from crossmodal.data.images import load_image
    from crossmodal.scorer import open_scorer

    if not all(text.strip() for text in options.text):
        raise InputError("a --text is empty: give a sentence")
    image = load_image(options.image)
    probabilities = open_scorer(options.checkpoint).probabilities([image] * len(options.text), options.text).tolist()
    ranked = sorted(zip(probabilities, options.text, strict=True), key=lambda pair: -pair[0])
    if options.json:
        answers = [{"probability": probability, "text": text} for probability, text in ranked]
        print(json.dumps(answers, indent=1, ensure_ascii=False))
        return 0
    for probability, text in ranked:
        print(f"probability {probability:.4f}", _printable(text), sep="\t")
    return 0
