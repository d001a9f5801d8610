"""The commands `search` and `match`: what an index or a match model answers."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossmodal.errors import InputError
from crossmodal.search.grammar import parse_query
from crossmodal.search.query import BY, TARGETS, Query

if TYPE_CHECKING:
    from crossmodal.search.searcher import Hit, Searcher, SearchResult

MATCH_CHECKPOINT = Path("runs/match/best")


def add_search_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `search`."""
    parser.add_argument("query", nargs="?", metavar="WORDS", help="what to look for, in words")
    parser.add_argument("--image", type=Path, metavar="FILE", help="look for what belongs to this picture instead")
    for name, what in (("--plus", "look for this too"), ("--minus", "take this away")):
        parser.add_argument(name, action="append", default=[], metavar="TERM", help=f"{what}; may be given again")
    parser.add_argument("--index", type=Path, required=True, metavar="DIR", help="made by `index`")
    parser.add_argument("--to", choices=TARGETS, help="default: images; captions for --image alone")
    parser.add_argument(
        "--by",
        choices=BY,
        default="pictures",
        help="rank pictures by themselves, by their captions or by both; by words in captions and names; or by all",
    )
    parser.add_argument("-k", type=int, default=10, metavar="N", help="how many at most (default 10)")
    parser.add_argument("--checkpoint", type=Path, metavar="DIR", help="default: the one the index was built with")
    parser.add_argument(
        "--rerank", type=Path, metavar="DIR", help="re-order the best hits by this match checkpoint's probability"
    )
    parser.add_argument("--depth", type=int, default=50, metavar="N", help="how many --rerank orders (default 50)")
    parser.add_argument(
        "--json", action="store_true", help="print a JSON list of hits; for several terms an object with terms and hits"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the query with its hits")
    parser.epilog = (
        "TERM is [WEIGHT:]WORDS or [WEIGHT:]@FILE, of which #xywh=percent:X,Y,W,H takes a part. All weigh 1 unless "
        'said; words that begin with @ stand behind a \\: search --image beach.jpg --plus "at night" --minus 0.5:people'
    )


def run_search(options: argparse.Namespace) -> int:
    """Print the best hits, one a line, separated by tabs: rank, score, probability that it matches, path or caption.

    The probability is the index's, or with --rerank the scorer's, and left out where there is none. On stderr stand
    the run time; the terms, where there are several, with the weight asked for and what it counted; and that nothing
    seems to match, and that the towers are now being exported.
    """
    from crossmodal.search.searcher import open_searcher

    query = _query(options)
    searcher = open_searcher(options.index, options.checkpoint, options.by == "words")
    if options.rerank is None:
        answer = searcher.search(query, options.k, options.to, by=options.by)
        hits = list(answer.hits)
    else:
        answer, hits = _reranked(searcher, query, options)
    runtime = searcher.encoder.runtime if searcher.is_ready else ""  # words are found without it
    if runtime:
        print(f"encoded by {runtime}", file=sys.stderr)
    remark = _doubt(answer)
    if remark:
        print(remark, file=sys.stderr)
    if options.plot:
        _plot_hits(searcher, query, hits, options.plot)
    if options.json:
        print(json.dumps(_as_json(query, answer, hits), indent=1, ensure_ascii=False))
    else:
        _print_hits(query, answer, hits, by_scorer=options.rerank is not None)
    if runtime == "torch":
        from crossmodal.inference.backends.background_export import export_in_background

        export_in_background(searcher.encoder.path)
    return 0


def _print_hits(query: Query, answer: SearchResult, hits: Sequence[Hit], by_scorer: bool) -> None:
    for term, counted in zip(query.terms, answer.weights or (), strict=False):
        print(f"{term.weight:+g}", f"{counted:+.4f}", _printable(term.label), sep="\t", file=sys.stderr)
    for hit in hits:
        chance = hit.probability if by_scorer else hit.relevance
        judged = [] if chance is None else [f"{chance:.4f}"]
        found = hit.path if hit.caption is None else hit.caption
        print(hit.rank, f"{hit.score:.4f}", *judged, _printable(found), sep="\t")


def _query(options: argparse.Namespace) -> Query:
    if options.query is not None and options.image is not None:
        raise InputError("give either WORDS or --image FILE, and the other with --plus")
    if options.query is None and options.image is None and not (options.plus or options.minus):
        raise InputError("give WORDS, --image FILE or --plus TERM")
    first = {} if options.query is None else {"q": options.query}
    first |= {} if options.image is None else {"like": str(options.image)}
    return parse_query({**first, "plus": options.plus, "minus": options.minus}, named=Path)


def _as_json(query: Query, answer: SearchResult, hits: Sequence[Hit]) -> Any:
    """The hits; of a query of several terms also the terms, and how many there are to find."""
    found = [hit.as_dict() for hit in hits]
    if answer.weights is None:
        return found
    terms = [
        {"term": term.label, "weight": term.weight, "counted": counted}
        for term, counted in zip(query.terms, answer.weights, strict=True)
    ]
    return {"terms": terms, "total": answer.total, "hits": found}


def _doubt(answer: SearchResult) -> str | None:
    """What is said above the hits where none of them seems to match."""
    if answer.anything_here:
        return None
    if answer.match is None:
        return "no caption and no name of this gallery holds any of these words"
    return f"nothing in this gallery seems to match (p = {answer.match:.2f}); the nearest all the same:"


def _reranked(searcher: Searcher, query: Query, options: argparse.Namespace) -> tuple[SearchResult, list[Hit]]:
    """What was found, and the k best hits after the first `depth` were re-ordered; hits beyond keep their rank."""
    from crossmodal.inference.pair_scorer import open_scorer
    from crossmodal.search.reranking import rerank

    if min(options.depth, options.k) < 1:
        raise InputError(f"--depth and -k must be at least 1, not {options.depth} and {options.k}")
    scorer = open_scorer(options.rerank)
    answer = searcher.search(query, max(options.depth, options.k), options.to, by=options.by)
    first, rest = answer.hits[: options.depth], answer.hits[options.depth :]
    return answer, [*rerank(searcher, query, first, scorer), *rest][: options.k]


def _plot_hits(searcher: Searcher, query: Query, hits: Sequence[Hit], path: Path) -> None:
    from crossmodal.plots import save_figure
    from crossmodal.plots.drawings import caption_with_pictures, picture_with_captions

    asked = query.single.content if query.single and isinstance(query.single.content, Path) else None
    if asked and hits and hits[0].caption is not None:
        figure = picture_with_captions(asked, hits, query.label)
    else:
        paths = [searcher.image_path(hit) for hit in hits]
        figure = caption_with_pictures(query.label, hits, paths, asked)
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
    from crossmodal.images.decode import load_image
    from crossmodal.inference.pair_scorer import open_scorer

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
