"""The command `evaluate`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add_evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `evaluate`."""
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="DIR")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR", help="folder of pictures")
    parser.add_argument("--captions", type=Path, required=True, metavar="FILE", help="captions in any known format")
    parser.add_argument(
        "--split", type=Path, metavar="FILE", help="list of pictures to use; default: all with captions"
    )
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write the similarity heatmap of the first 40 pairs")


def run_evaluate(options: argparse.Namespace) -> int:
    """Measure recall both ways on a split and print the report with its protocol."""
    from crossmodal.data.pairs import load_pairs
    from crossmodal.data.splits import listed_records
    from crossmodal.encoder import open_encoder
    from crossmodal.evaluation import embed_records, evaluate, leading_pairs
    from crossmodal.figures import save_figure, similarity_matrix
    from crossmodal.progress import Bar

    encoder = open_encoder(options.checkpoint)
    pairs = load_pairs(options.images, options.captions)
    records = listed_records(pairs.records, options.split)
    with Bar("encoding pictures") as bar:
        embedded = embed_records(encoder, pairs.root, records, progress=bar.update)
    name = options.split.name if options.split else "all pictures with captions"
    report = evaluate(embedded, records, name, checkpoint=f"{encoder.name} {encoder.fingerprint[:12]}")
    if options.plot:
        title = f"{encoder.name}: pictures × their first captions, {name}"
        save_figure(similarity_matrix(leading_pairs(embedded, 40), title), options.plot)
    if options.json:
        print(json.dumps(report.as_dict(), indent=2, ensure_ascii=False))
    else:
        print(report)
        print("\n".join(f"{key}: {value}" for key, value in report.protocol.items()))
    return 0
