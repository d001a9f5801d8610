"""Train a recipe: `python training_script.py --recipe NAME --images DIR --captions FILE …`.

Writes a checkpoint directory a person can evaluate, index and search with: OUT/best and OUT/last, history, curves.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from crossmodal.errors import CrossmodalError


def parser() -> argparse.ArgumentParser:
    """The options; those left out stay as the recipe says."""
    options = argparse.ArgumentParser(description="Train a two-tower model by a recipe.")
    options.add_argument("--recipe", required=True, metavar="NAME", help="`python -m crossmodal recipes` lists them")
    data = options.add_argument_group("data")
    data.add_argument("--images", type=Path, metavar="DIR", help="folder of photos")
    data.add_argument("--captions", type=Path, metavar="FILE", help="captions in any format `validate` can read")
    data.add_argument(
        "--feedback", type=Path, metavar="INDEX|FILE", help="thumbs up and down of an index, or its exported test set"
    )
    data.add_argument("--splits", type=Path, metavar="DIR", help="folder with lists of train / dev / test pictures")
    data.add_argument(
        "--data", metavar="NAME", help="labelled pictures: mnist, cifar10, …, folder (recipes with labels)"
    )
    data.add_argument("--root", type=Path, metavar="DIR", help="where the labelled pictures lie")
    data.add_argument("--download", action="store_true", help="let torchvision fetch them into --root")
    data.add_argument("--mirror", action="store_true", help="class folders: a mirrored picture keeps its label")
    towers = options.add_argument_group("towers")
    towers.add_argument(
        "--image-backbone", metavar="NAME", help="any torchvision network, e.g. mobilenet_v2, or timm/NAME"
    )
    towers.add_argument("--image-weights", metavar="imagenet|none|PATH", help="pretrained weights of the backbone")
    towers.add_argument("--text-model", metavar="NAME|PATH|tiny", help="any Hugging Face text encoder")
    towers.add_argument(
        "--pooling",
        choices=["mean", "cls"],
        help="how tokens become one vector; a sentence-transformers folder says it itself",
    )
    towers.add_argument("--image-size", type=int, metavar="S", help="side of the pictures in pixels")
    towers.add_argument("--dimension", type=int, metavar="D", help="size of the shared space")
    run = options.add_argument_group("run")
    run.add_argument("--heads-only", action="store_true", help="freeze both backbones and cache their features once")
    run.add_argument("--epochs", metavar="N[,N…]", help="epochs of the last phase, or of every phase in turn")
    run.add_argument("--loss", metavar="NAME", help="another loss on vectors: siglip, triplet, multi_positive_clip, …")
    run.add_argument("--chunk", type=int, metavar="N", help="pictures in memory at once, by gradient caching")
    run.add_argument("--batch-size", type=int, metavar="N", help="pairs a step, in every phase")
    run.add_argument("--lr-scale", type=float, default=1.0, metavar="X", help="multiplies every learning rate")
    run.add_argument("--seed", type=int, default=0, metavar="N")
    run.add_argument("--mixed-precision", choices=["no", "bf16", "fp16"], help="default as the recipe says")
    run.add_argument("--cpu", action="store_true", help="stay on the CPU where there is a GPU")
    run.add_argument("--out", type=Path, metavar="DIR", help="default runs/RECIPE")
    run.add_argument("--resume", action="store_true", help="go on where a killed run of the same command stood")
    run.add_argument(
        "--save-every", type=float, default=10.0, metavar="SECONDS", help="least time between two saves after epochs"
    )
    run.add_argument("--smoke", action="store_true", help="seconds on generated data, to see that all runs")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Train; 0 on success, 2 on an error of ours, which is printed to stderr, 130 when interrupted."""
    options = parser().parse_args(arguments)
    options.command = list(sys.argv[1:] if arguments is None else arguments)
    from crossmodal.training.run import train

    try:
        return train(options)
    except CrossmodalError as error:
        print(f"error: {error.in_full}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped: the same command with --resume goes on from the last save", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
