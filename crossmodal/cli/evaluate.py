"""The command `evaluate`: any checkpoint on pictures of one's own."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossmodal.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from crossmodal.datasets.records import Pairs, Record
    from crossmodal.evaluation.reports import AnyReport
    from crossmodal.inference.pair_scorer import Scorer

DEPTH = 50


def add_evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `evaluate`."""
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="DIR")
    parser.add_argument("--images", type=Path, metavar="DIR", help="folder of pictures")
    parser.add_argument("--captions", type=Path, metavar="FILE", help="captions in any known format")
    parser.add_argument(
        "--split", type=Path, metavar="FILE", help="list of pictures to use; default: all with captions"
    )
    parser.add_argument("--data", metavar="NAME", help="labelled pictures instead: mnist, cifar10, …, folder")
    parser.add_argument("--root", type=Path, metavar="DIR", help="where they lie; their test split is used")
    parser.add_argument(
        "--rerank", type=Path, metavar="DIR", help="a match checkpoint: does it put the first hits in a better order?"
    )
    parser.add_argument("--depth", type=int, default=DEPTH, metavar="N", help=f"how many hits, default {DEPTH}")
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write the similarity heatmap of the first 40 pairs")


def run_evaluate(options: argparse.Namespace) -> int:
    """Measure what the checkpoint is judged by and print the report with its protocol."""
    from crossmodal.models.checkpoint_files import abilities

    able = abilities(options.checkpoint)
    if (options.data is None) == (options.images is None or options.captions is None):
        raise InputError("name the pictures: --images DIR --captions FILE, or --data NAME --root DIR for labelled ones")
    if options.plot and ("pairs" in able or options.data or options.rerank):
        raise InputError("--plot draws cosines of captioned pictures; this report has none")
    if options.data:
        report = _labelled(options)
    elif "pairs" in able:
        report = _pairs(options)
    elif options.rerank:
        report = _reranked(options)
    else:
        report = _retrieval(options)
    if options.json:
        print(json.dumps(report.as_dict(), indent=2, ensure_ascii=False))
    else:
        print(report)
        print("\n".join(f"{key}: {value}" for key, value in report.protocol.items()))
    return 0


def _records(options: argparse.Namespace) -> tuple[Pairs, tuple[Record, ...], str]:
    from crossmodal.datasets.records import load_pairs
    from crossmodal.datasets.splits import listed_records

    pairs = load_pairs(options.images, options.captions)
    name = options.split.name if options.split else "all pictures with captions"
    return pairs, listed_records(pairs.records, options.split), name


def _retrieval(options: argparse.Namespace) -> AnyReport:
    from crossmodal.evaluation.retrieval import embed_records, evaluate, leading_pairs
    from crossmodal.inference.encoder import open_encoder
    from crossmodal.plots import save_figure, similarity_matrix
    from crossmodal.progress import Bar

    encoder = open_encoder(options.checkpoint)
    pairs, records, name = _records(options)
    with Bar("encoding pictures") as bar:
        embedded = embed_records(encoder, pairs.root, records, progress=bar.update)
    if options.plot:
        title = f"{encoder.name}: pictures × their first captions, {name}"
        save_figure(similarity_matrix(leading_pairs(embedded, 40), title), options.plot)
    return evaluate(embedded, records, name, checkpoint=f"{encoder.name} {encoder.fingerprint[:12]}")


def _labelled(options: argparse.Namespace) -> AnyReport:
    from crossmodal.evaluation.reports import checkpoint_report
    from crossmodal.models.checkpoint import load_checkpoint
    from crossmodal.models.checkpoint_files import checkpoint_name
    from crossmodal.training.data import labelled_split

    checkpoint = load_checkpoint(options.checkpoint)
    forms = checkpoint.config.get("judged_by") == "labels"
    part = labelled_split(options.data, options.root, "test", checkpoint.transform.size, forms)
    return checkpoint_report(
        checkpoint,
        part.source(checkpoint.tokenizer),
        {
            "split": f"{options.data} test",
            "split hash": part.hash,
            "checkpoint": f"{checkpoint_name(options.checkpoint)} {checkpoint.fingerprint[:12]}",
        },
    )


def _pairs(options: argparse.Namespace) -> AnyReport:
    from crossmodal.evaluation.reports import checkpoint_report
    from crossmodal.evaluation.retrieval import split_hash
    from crossmodal.inference.pair_scorer import Scorer
    from crossmodal.models.checkpoint import load_checkpoint
    from crossmodal.training.data import SplitPictures

    checkpoint = load_checkpoint(options.checkpoint)
    scorer = Scorer(checkpoint)
    pairs, records, name = _records(options)
    pixels, readable = _pixels(scorer, pairs.root, records)
    source = SplitPictures(name, pixels, readable).source(checkpoint.tokenizer)
    about = {"split": name, "split hash": split_hash(records), "skipped pictures": len(records) - len(readable)}
    return checkpoint_report(checkpoint, source, {**about, "checkpoint": f"{scorer.name} {scorer.fingerprint[:12]}"})


def _reranked(options: argparse.Namespace) -> AnyReport:
    from crossmodal.evaluation.reranking import reranking_report
    from crossmodal.evaluation.retrieval import embed_records, split_hash
    from crossmodal.inference.encoder import open_encoder
    from crossmodal.inference.pair_scorer import open_scorer
    from crossmodal.progress import Bar

    encoder, scorer = open_encoder(options.checkpoint), open_scorer(options.rerank)
    pairs, records, name = _records(options)
    with Bar("encoding pictures") as bar:
        embedded = embed_records(encoder, pairs.root, records, progress=bar.update)
    names = set(embedded.names)
    readable = [record for record in records if record.image in names]
    pixels, _ = _pixels(scorer, pairs.root, readable)
    about: dict[str, Any] = {"split": name, "split hash": split_hash(records)}
    about |= {"checkpoint": f"{encoder.name} {encoder.fingerprint[:12]}"}
    about |= {"re-ordered by": f"{scorer.name} {scorer.fingerprint[:12]}"}
    sides = scorer.picture_sides(pixels), scorer.sentence_sides(embedded.captions)
    return reranking_report(embedded, *sides, scorer, options.depth, about)


def _pixels(scorer: Scorer, root: Path, records: Sequence[Record]) -> tuple[NDArray[np.uint8], tuple[Record, ...]]:
    """Readable pictures as uint8 (N, 3, S, S), and their records."""
    import numpy as np

    from crossmodal.errors import ImageError
    from crossmodal.images.decode import load_image

    pixels, readable = [], []
    for record in records:
        try:
            pixels.append(scorer.preprocess(load_image(root / record.image)))
        except ImageError:
            continue
        readable.append(record)
    if not pixels:
        raise InputError(f"none of the {len(records)} pictures in {root} can be read")
    return np.stack(pixels), tuple(readable)
