"""The command `train`, which training_script.py is, too."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crossmodal.training.config import TrainConfig
    from crossmodal.training.run import TrainingResult

STOPPED = "stopped: the same command with --resume goes on from the last save"


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `train`; those left out stay as the recipe says."""
    parser.add_argument("--recipe", required=True, metavar="NAME", help="`python -m crossmodal recipes` lists them")
    data = parser.add_argument_group("data")
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
    towers = parser.add_argument_group("towers")
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
    run = parser.add_argument_group("run")
    run.add_argument("--heads-only", action="store_true", help="freeze both backbones and cache their features once")
    run.add_argument(
        "--epochs", type=_numbers, metavar="N[,N…]", help="epochs of the last phase, or of every phase in turn"
    )
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


def run_train(options: argparse.Namespace) -> int:
    """Train, and print the report of the best checkpoint."""
    from crossmodal.training.run import train

    print(_described(train(train_config(options), lambda line: print(line, flush=True))))
    return 0


def train_config(options: argparse.Namespace) -> TrainConfig:
    """What the options ask for. Raises InputError for what cannot be trained."""
    from crossmodal.training.config import TrainConfig

    given = {name: value for name, value in vars(options).items() if name not in ("command", "typed")}
    return TrainConfig(**given, command=getattr(options, "typed", ""))


def _numbers(text: str) -> tuple[int, ...]:
    """Epochs as they are typed, 5 or 5,3,2."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"whole numbers, 5 or 5,3,2, not {text!r}") from None


def _described(result: TrainingResult) -> str:
    """How long it took, every report, and what to run next."""
    before = f", {result.resumed_seconds:.0f} s of them before the resume" if result.resumed_seconds else ""
    lines = [f"\ntrained {result.seconds:.0f} s{before}; best checkpoint: {result.best}"]
    lines += [f"\n{name}: {report.protocol['pictures']} pictures\n{report}" for name, report in result.reports.items()]
    return "\n".join([*lines, f"\nnext: {_next_command(result.best)}"])


def _next_command(best: Path) -> str:
    from crossmodal.models.checkpoint_files import abilities

    if "pairs" in abilities(best):
        return f'python -m crossmodal match --checkpoint {best} --image FILE --text "…"'
    return f"python -m crossmodal index --images DIR --checkpoint {best}"
