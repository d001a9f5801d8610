"""How fast is training, beside the plain loop that a newcomer would write, and how near forward + backward alone?

    python -m benchmarks.training_speed --images Images --captions captions.txt --text-model all-MiniLM-L6-v2

Plain loop: torchvision's transforms in a DataLoader with two workers, tokenising on the fly, EfficientNet-B0 and
MiniLM-L6 in train mode as they come (float32, NCHW), one `loss.backward()`, AdamW. Ours is the run that
`training_script.py --recipe flickr30k` starts, decoded pictures, objective, clipping and averaged weights included.
Every way runs in a process of its own, in turn, so that no setting of one reaches another.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from crossmodal._memory import hold_memory
from crossmodal.datasets.records import load_pairs
from crossmodal.errors import CrossmodalError, InputError

ROOT = Path(__file__).resolve().parents[1]
WAYS = {
    "plain, full": "plain loop, every weight trained",
    "plain, kept": "plain loop, glibc told to keep freed memory",
    "ours, full": "ours, the same work: batch norms trained too",
    "ours, recipe": "ours, as the recipe trains: batch norms kept",
    "ours, bf16": "ours, with `--mixed-precision bf16`",
    "plain, heads": "plain loop, both backbones frozen",
    "ours, heads": "ours, both backbones frozen: features cached once",
}
Figures = dict[str, float]


# -- the plain loop -------------------------------------------------------------------------------------------------


def plain_rates(options: argparse.Namespace, frozen: bool) -> Figures:
    """The plain loop's pairs per second over its steps."""
    import torch
    import torch.nn.functional as F
    from torch.utils.data import DataLoader
    from transformers import AutoTokenizer

    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, tokenizer = _plain_towers(options).to(device), AutoTokenizer.from_pretrained(options.text_model)
    if frozen:
        model.image.requires_grad_(False)
        model.text.requires_grad_(False)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-5)
    loader = DataLoader(
        _plain_photos(options), batch_size=options.batch_size, shuffle=True, num_workers=options.workers, drop_last=True
    )

    def batches() -> Iterator[Any]:
        while True:
            yield from loader

    model.train()
    times = [time.perf_counter()]
    for images, captions in batches():
        tokens = tokenizer(list(captions), padding=True, truncation=True, return_tensors="pt").to(device)
        image, text = model(images.to(device), tokens)
        logits = model.scale.exp() * image @ text.T
        own = torch.arange(len(logits), device=device)
        loss = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
        times.append(time.perf_counter())
        if len(times) > options.warm_up + options.steps:
            break
    return _figures(times, options)


def _plain_photos(options: argparse.Namespace) -> Any:
    """Each item a photo, transformed by torchvision as its documentation does, with one of its captions."""
    import torch
    from torch.utils.data import Dataset
    from torchvision import transforms

    class Photos(Dataset[Any]):
        def __init__(self) -> None:
            pairs = load_pairs(options.images, options.captions)
            self.rows = [(pairs.root / r.image, r.captions) for r in pairs.records if r.captions]
            self.transform = transforms.Compose(
                [
                    transforms.RandomResizedCrop(options.side, scale=(0.6, 1.0)),
                    transforms.RandomHorizontalFlip(),
                    transforms.ColorJitter(0.1, 0.1, 0.1),
                    transforms.ToTensor(),
                    transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
                ]
            )

        def __len__(self) -> int:
            return len(self.rows)

        def __getitem__(self, row: int) -> tuple[Any, str]:
            from PIL import Image

            path, captions = self.rows[row]
            caption = captions[int(torch.randint(len(captions), ()))]
            return self.transform(Image.open(path).convert("RGB")), caption

    return Photos()


def _plain_towers(options: argparse.Namespace) -> Any:
    """EfficientNet-B0 and a Hugging Face text model, each with a linear head, and a scale."""
    import torch
    import torch.nn.functional as F
    from torch import nn
    from torchvision import models
    from transformers import AutoModel

    class TwoTowers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.image = models.efficientnet_b0()
            self.image.load_state_dict(torch.load(options.weights, weights_only=True))
            self.image.classifier = nn.Identity()
            self.text = AutoModel.from_pretrained(options.text_model)
            self.image_head, self.text_head = nn.Linear(1280, 1024), nn.Linear(self.text.config.hidden_size, 1024)
            self.scale = nn.Parameter(torch.tensor(2.66))

        def forward(self, images: Any, tokens: Any) -> tuple[Any, Any]:
            hidden, mask = self.text(**tokens).last_hidden_state, tokens["attention_mask"][..., None]
            text = (hidden * mask).sum(1) / mask.sum(1)
            return F.normalize(self.image_head(self.image(images)), dim=-1), F.normalize(self.text_head(text), dim=-1)

    return TwoTowers()


# -- ours -------------------------------------------------------------------------------------------------------------


def our_rates(options: argparse.Namespace, way: str) -> Figures:
    """Our run's pairs per second over its steps, and those of forward + backward alone on a batch that lies ready."""
    from crossmodal.training.config import TrainConfig
    from crossmodal.training.run import Run
    from crossmodal.training.trainer import Step

    asked = TrainConfig(
        recipe="flickr30k",
        images=options.images,
        captions=options.captions,
        image_weights=str(options.weights),
        text_model=str(options.text_model),
        image_size=options.side,
        mixed_precision="bf16" if way == "ours, bf16" else None,
        out=options.out,
    )
    started = time.perf_counter()
    run = Run(asked)
    trainer, ready = run.trainer, time.perf_counter()
    heads, towers = trainer.phases
    if way == "ours, heads":
        trainer.phases = (replace(heads, batch_size=options.batch_size * 4),)  # 64 to 256, as the recipe has it
    else:
        rest = {"freeze_batch_norm": way != "ours, full", "batch_size": options.batch_size, "epochs": 10**6}
        trainer.phases = (replace(towers, **rest),)
    times = [time.perf_counter()]
    for event in trainer.run():
        if isinstance(event, Step):
            times.append(time.perf_counter())
            if way != "ours, heads" and len(times) > options.warm_up + options.steps:
                break
    figures = _figures(times, options) | {"opening": ready - started}
    if way != "ours, heads":
        return figures | {"bound": _bound(trainer, trainer.phases[0], options)}
    # the whole phase, with the features that are cached at its start
    return figures | {"rate": (len(times) - 1) * trainer.phases[0].batch_size / (times[-1] - times[0])}


def _figures(times: list[float], options: argparse.Namespace) -> Figures:
    """The rate of the middle one of the timed steps, since some pay for memory that is touched for the first time."""
    taken = [later - earlier for earlier, later in pairwise(times[options.warm_up :])]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"rate": options.batch_size / statistics.median(taken), "peak GiB": peak}


def _bound(trainer: Any, phase: Any, options: argparse.Namespace) -> float:
    """Pairs per second of both towers' forward + backward alone, pixels and tokens ready on the device."""
    import torch

    from crossmodal.training.losses import symmetric_clip

    objective, model, device = trainer.objective, trainer.model, trainer.accelerator.device
    batch = trainer._plan(phase)[0]
    source = objective.sources[batch.source]
    images = objective.transform.normalise(torch.from_numpy(source.pixels[batch.rows]).to(device))
    tokens = objective.padded(
        [source.captions[row][choice] for row, choice in zip(batch.rows, batch.choices, strict=True)]
    )
    times = [time.perf_counter()]
    while len(times) <= options.warm_up + options.steps:
        model.zero_grad()
        with trainer.accelerator.autocast():
            image, text = model(images, *tokens)
        own = torch.eye(len(batch.rows), dtype=torch.bool, device=device)
        loss = symmetric_clip(image.float() @ text.float().T, own, model.logit_scale)
        loss.backward()
        float(loss.detach())
        times.append(time.perf_counter())
    return _figures(times, options)["rate"]


# -- all ways in turn -----------------------------------------------------------------------------------------------


def prepared_weights(side: int, path: Path) -> None:
    """Random weights whose batch norms have statistics, as a stand-in for ImageNet's: times do not depend on them."""
    import torch
    from torch import nn
    from torchvision import models

    torch.manual_seed(0)
    network = models.efficientnet_b0()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network(torch.randn(16, 3, side, side))
    torch.save(network.state_dict(), path)


def some_captions(captions: Path, images: Path, count: int, path: Path) -> None:
    """A captions file of the first pictures, so that a run opens quickly."""
    records = [record for record in load_pairs(images, captions).records if record.captions][:count]
    with path.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(["image", "caption"])
        lines.writerows((record.image, caption) for record in records for caption in record.captions)


def measured(options: argparse.Namespace) -> dict[str, list[Figures]]:
    """Figures of every way and round, each from a process of its own."""
    found: dict[str, list[Figures]] = {way: [] for way in options.ways}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = options.weights or folder / "weights.pt"
        if options.weights is None:
            prepared_weights(options.side, weights)
        some_captions(options.captions, options.images, options.pictures, folder / "captions.csv")
        for number in range(options.rounds):
            for way in options.ways:
                started = time.perf_counter()
                found[way].append(_of_a_process(options, way, weights, folder / f"{number}-{way}", folder))
                figures = {name: round(value, 2) for name, value in found[way][-1].items()}
                print(f"round {number + 1}, {way}: {figures}, {time.perf_counter() - started:.0f} s", file=sys.stderr)
    return found


def _of_a_process(options: argparse.Namespace, way: str, weights: Path, out: Path, folder: Path) -> Figures:
    command = [sys.executable, "-m", "benchmarks.training_speed", "--images", str(options.images.resolve())]
    command += ["--captions", str(folder / "captions.csv"), "--text-model", str(options.text_model)]
    command += ["--weights", str(Path(weights).resolve()), "--side", str(options.side), "--way", way]
    for name in ("batch_size", "steps", "warm_up", "workers"):
        command += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    done = subprocess.run([*command, "--out", str(out)], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"{way} stopped with status {done.returncode}: {done.stderr.strip().splitlines()[-1:]}")
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def table(found: dict[str, list[Figures]]) -> str:
    """A row a way: pairs per second with the least and the most of the rounds, against the plain loop, memory."""
    lines = [
        "| way | pairs/s (least to most) | × plain | of forward + backward alone | peak memory, GiB |",
        "|---|---|---|---|---|",
    ]
    for way, figures in found.items():
        rates = [figure["rate"] for figure in figures]
        plain = found.get("plain, heads" if "heads" in way else "plain, full", figures)
        ratio = statistics.median(own["rate"] / other["rate"] for own, other in zip(figures, plain, strict=True))
        shares = [figure["rate"] / figure["bound"] for figure in figures if "bound" in figure]
        share = f"{statistics.median(shares):.0%}" if shares else ""
        peak = max(figure["peak GiB"] for figure in figures)
        lines.append(
            f"| {WAYS[way]} | {statistics.median(rates):,.1f} ({min(rates):,.1f} to {max(rates):,.1f}) "
            f"| {ratio:,.1f} | {share} | {peak:.1f} |"
        )
    return "\n".join(lines)


def protocol(options: argparse.Namespace) -> str:
    """What was run, on what."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return (
        f"{options.pictures} photos, batch {options.batch_size}, {options.side} pixels, {options.steps} steps after "
        f"{options.warm_up} to warm up, {options.rounds} round(s), each way in turn in its own process; "
        f"torch {torch.__version__}, {platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, "
        f"{device}"
    )


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--captions", type=Path, required=True, metavar="FILE")
    parser.add_argument("--text-model", type=Path, required=True, metavar="DIR", help="e.g. all-MiniLM-L6-v2")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="of EfficientNet-B0; default: random ones")
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS), metavar="WAY")
    parser.add_argument("--pictures", type=int, default=1200, metavar="N", help="photos to train and validate on")
    parser.add_argument("--batch-size", type=int, default=64, metavar="B")
    parser.add_argument("--side", type=int, default=224, metavar="S", help="of the pictures, in pixels")
    parser.add_argument("--steps", type=int, default=5, metavar="N", help="that are timed")
    parser.add_argument("--warm-up", type=int, default=2, metavar="N", help="steps before them")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="of the plain loop's DataLoader")
    parser.add_argument("--way", choices=list(WAYS), help=argparse.SUPPRESS)  # one way, in this process
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    options = options_of(arguments)
    try:
        if options.way:
            frozen = options.way == "plain, heads"
            plain = options.way.startswith("plain")
            if options.way == "plain, kept":
                hold_memory()
            figures = plain_rates(options, frozen) if plain else our_rates(options, options.way)
            print(json.dumps(figures))
            return 0
        found = measured(options)
    except CrossmodalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{protocol(options)}\n\n{table(found)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
