"""From a folder of photos to vectors on disk: how many a second, ours beside clip-retrieval, sentence-transformers and
the loop a newcomer writes, all with the same EfficientNet-B0 (224 pixels, 1,024 numbers, the same weights).

    python -m benchmarks.peers
    python -m benchmarks.indexing_speed --images ../shared/data/flickr8k_originals --peers

The photos are repeated up to --files, each with bytes of its own. Every method is a process of its own and they take
turns; "images/s" counts from the loaded model to the vectors on disk, "with start" the whole process. Memory is the
most that a process and its children hold, shared pages counted once. "encoder" is what the run time does with pixels
that lie ready in memory, freed memory kept. cos: mean cosine of each method's vectors with ours by torch.

    python -m benchmarks.indexing_speed --memory 1000 10000 100000

shows instead whether our memory grows with the number of pictures: drawn ones of 64 pixels and a network of a few
layers, 1,024 numbers a picture all the same, so that it does not take hours; with --captions N each has N sentences,
with --checkpoint DIR another network encodes.

Shapes: N pictures, D embedding, S side in pixels.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import cache, lacking, program, python_of
from benchmarks.peers.network import WEIGHTS, exported, make_network
from benchmarks.peers.running import KEEP_FREED_MEMORY, Run, run
from crossmodal.errors import CrossmodalError, InputError
from crossmodal.inference.backends.openvino_bf16 import computes_bf16

Vectors = NDArray[np.float32]
ROOT = Path(__file__).resolve().parents[1]
PHOTOS = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
RUNTIMES = {"fp32": "onnx-fp32", "bf16": "openvino-bf16", "int8": "onnx-int8"}


@dataclass
class Method:
    """One way to index. once: folder of photos, a new folder to write into → the process that did it, seconds of work
    and vectors (N, D) in the order of the files' names."""

    name: str
    once: Callable[[Path, Path], tuple[Run, float, Vectors]]
    runs: list[Run] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    cos: float = float("nan")


def spread_out(source: Path, folder: Path, count: int) -> None:
    """Fill folder with `count` photos: those of source over and over, a comment in each that no other has.

    Raises InputError if source holds none.
    """
    photos = sorted(path for path in source.rglob("*") if path.suffix.lower() in PHOTOS)
    if not photos:
        raise InputError(f"{source} holds no pictures: give a folder of photos with --images DIR")
    folder.mkdir(parents=True)
    for number in range(count):
        photo = photos[number % len(photos)]
        data, comment = photo.read_bytes(), f"photo {number}".encode()
        if data[:2] == b"\xff\xd8":
            data = data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + data[2:]
        else:
            data += comment
        (folder / f"photo-{number:06d}{photo.suffix.lower()}").write_bytes(data)


def index_here(photos: Path, checkpoint: Path, index: Path, captions: Path | None = None) -> None:
    """What our process does: the public build, with its own report. Prints JSON."""
    from crossmodal.cli.index import build

    report = build(photos, captions, checkpoint, index)
    print(json.dumps({"seconds": report.seconds, "count": report.embedded}))


def encode_here(photos: Path, checkpoint: Path) -> None:
    """The encoder alone, on pixels at hand, in batches as the builder's. Prints JSON."""
    from crossmodal.images.decode import load_image
    from crossmodal.inference.encoder import open_encoder

    encoder = open_encoder(checkpoint)
    pixels = np.stack([encoder.preprocess(load_image(path)) for path in sorted(photos.iterdir())])
    encoder.encode_pixels(pixels[:64])
    started = time.perf_counter()
    encoder.encode_pixels(pixels)
    print(json.dumps({"seconds": time.perf_counter() - started, "count": len(pixels)}))


def ours(checkpoint: Path, runtime: str) -> Method:
    """build_index by one run time."""

    def once(photos: Path, out: Path) -> tuple[Run, float, Vectors]:
        from crossmodal.index import open_index

        command = [sys.executable, "-m", "benchmarks.indexing_speed", "--images", str(photos)]
        done = run([*command, "--here", str(checkpoint), str(out)], {"CROSSMODAL_RUNTIME": runtime}, ROOT)
        return done, done.said["seconds"], np.array(open_index(out).image_vectors)

    return Method(f"ours, {runtime}", once)


def encoder_alone(checkpoint: Path, runtime: str) -> Method:
    """The rate that ours cannot pass."""

    def once(photos: Path, out: Path) -> tuple[Run, float, Vectors]:
        del out
        command = [sys.executable, "-m", "benchmarks.indexing_speed", "--images", str(photos)]
        env = {"CROSSMODAL_RUNTIME": runtime} | KEEP_FREED_MEMORY
        done = run([*command, "--here", str(checkpoint)], env, ROOT)
        return done, done.said["seconds"], np.empty((0, 1), np.float32)

    return Method(f"encoder, {runtime}", once)


def by_script(name: str, python: str, script: str, weights: Path, *options: str) -> Method:
    """A peer whose script writes the vectors to a file and prints its seconds."""

    def once(photos: Path, out: Path) -> tuple[Run, float, Vectors]:
        out.mkdir()
        done = run([python, program(script), str(weights), str(photos), str(out / "vectors.npy"), *options])
        return done, done.said["seconds"], np.load(out / "vectors.npy")

    return Method(name, once)


def clip_retrieval(name: str, model: Path, batch: int, workers: int, env: dict[str, str] | None = None) -> Method:
    """clip-retrieval's inference command. Its seconds are its own statistics': reading, inference and writing."""
    python = str(python_of("clip-retrieval"))

    def once(photos: Path, out: Path) -> tuple[Run, float, Vectors]:
        command = [python, program("clip_retrieval_command"), str(model), "inference"]
        command += [f"--input_dataset={photos}", f"--output_folder={out}", "--enable_text=False"]
        command += [f"--clip_model=open_clip:crossmodal-b0/{model}/crossmodal-b0.pt"]
        done = run([*command, f"--batch_size={batch}", f"--num_prepro_workers={workers}"], env)
        seconds = sum(json.loads(path.read_text())["total_duration"] for path in (out / "stats").glob("[0-9]*.json"))
        files = sorted((out / "img_emb").glob("*.npy"))
        return done, seconds, np.concatenate([np.load(path) for path in files]).astype(np.float32)

    return Method(name, once)


def memory_table(counts: Sequence[int], each: int, checkpoint: Path | None) -> str:
    """A row a number of pictures with so many captions each, all indexed from nothing by a process of its own.

    checkpoint: None for a network of a few layers.
    """
    lines = ["| pictures | images/s | memory MB | of it no file's |", "|---|---|---|---|"]
    network = (checkpoint or make_network(cache().with_name("small_resnet"), "small_resnet", 1024, 28)).resolve()
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            drawn, photos, index, captions = (Path(folder) / name for name in ("drawn", "photos", "index", "a.csv"))
            draw_few(drawn)
            spread_out(drawn, photos, count)
            command = [sys.executable, "-m", "benchmarks.indexing_speed", "--images", str(photos)]
            command += ["--here", str(network), str(index)]
            if each:
                write_sentences(captions, photos, each)
                command.append(str(captions))
            done = run(command, cwd=ROOT, every=0.1)
        rate = count / done.said["seconds"]
        lines.append(f"| {count:,} | {rate:,.0f} | {done.memory / 1e6:,.0f} | {done.own / 1e6:,.0f} |")
    return "\n".join(lines)


def write_sentences(path: Path, photos: Path, each: int) -> None:
    """A captions file with some sentences for each photo, no two alike."""
    names = sorted(photo.name for photo in photos.iterdir())
    rows = [
        f"{name},someone looks at {name.partition('.')[0]} for the {n}th time" for name in names for n in range(each)
    ]
    path.write_text("\n".join(["image,caption", *rows]) + "\n")


def draw_few(folder: Path) -> None:
    """A hundred small pictures."""
    from crossmodal.scenes.scene import draw_scene, make_scenes

    folder.mkdir()
    for number, scene in enumerate(make_scenes(100, 0, "test")):
        draw_scene(scene, 64).save(folder / f"{number}.jpg")


def methods(options: argparse.Namespace, checkpoint: Path) -> list[Method]:
    """All that take part; why one does not goes to stderr."""
    precisions = exported(checkpoint, [name for name in options.precisions if _can_export(name)])
    runtimes = ["torch", *(RUNTIMES[name] for name in options.precisions if name in precisions)]
    found = [make(checkpoint, runtime) for runtime in runtimes for make in (ours, encoder_alone)]
    if not options.peers:
        return found
    weights, batch = checkpoint / WEIGHTS, str(options.batch)
    found.append(by_script("naive loop", sys.executable, "naive_images", weights, "--batch", batch))
    for name in ("sentence-transformers", "clip-retrieval"):
        python, why = python_of(name), lacking(name)
        if python is None:
            print(f"left out: {why}", file=sys.stderr)
        elif name == "sentence-transformers":
            found.append(by_script(name, str(python), "sentence_transformers_images", weights, "--batch", batch))
        else:
            model = checkpoint / "open_clip"
            run([str(python), program("open_clip_model"), str(weights), str(model)])
            settings = (model, options.batch, options.workers)
            found.append(clip_retrieval(name, *settings))
            found.append(clip_retrieval(f"{name}, allocator set", *settings, KEEP_FREED_MEMORY))
    return found


def _can_export(precision: str) -> bool:
    needed = ("onnx", "onnxscript", "onnxruntime", *(["openvino"] if precision == "bf16" else []))
    return all(find_spec(name) for name in needed) and (precision != "bf16" or computes_bf16())


def take_turns(taking_part: Sequence[Method], photos: Path, rounds: int) -> None:
    """Every method once a round."""
    reference: Vectors | None = None
    for number in range(rounds):
        for method in taking_part:
            with tempfile.TemporaryDirectory() as folder:
                done, seconds, vectors = method.once(photos, Path(folder) / "out")
            method.runs.append(done)
            method.seconds.append(seconds)
            reference = vectors if reference is None else reference
            if vectors.shape == reference.shape:
                method.cos = float((vectors * reference).sum(1).mean())
            print(f"round {number + 1}: {method.name}, {seconds:.2f} s of {done.wall:.2f} s", file=sys.stderr)


def recall_rounds(taking_part: Sequence[Method], file: Path | None) -> None:
    """Rounds of an earlier run that `keep_rounds` wrote, of methods that take part again."""
    if file is not None and file.is_file():
        rows = json.loads(file.read_text())
        for method in taking_part:
            for seconds, wall, memory, cos in rows.get(method.name, ()):
                method.runs.append(Run(wall, memory=memory))
                method.seconds.append(seconds)
                method.cos = cos


def keep_rounds(taking_part: Sequence[Method], file: Path | None) -> None:
    """Write what was measured, so that another run can add to it."""
    if file is not None:
        found = {
            method.name: [
                (seconds, run.wall, run.memory, method.cos)
                for seconds, run in zip(method.seconds, method.runs, strict=True)
            ]
            for method in taking_part
        }
        file.write_text(json.dumps(found, indent=1) + "\n")


def table(taking_part: Sequence[Method], count: int) -> str:
    """A row a method: medians, with the least and the most."""
    lines = [
        "| | images/s | with start | of its encoder | ours is so many times faster | memory MB | cos |",
        "|---|---|---|---|---|---|---|",
    ]
    alone = {each.name.partition(", ")[2]: each for each in taking_part if each.name.startswith("encoder")}
    own = [each for each in taking_part if each.name.startswith("ours")]
    best = min(own, key=lambda each: median(each.seconds), default=None)
    for method in taking_part:
        rates = [count / seconds for seconds in method.seconds]
        encoder = alone.get(method.name.partition(", ")[2]) if method in own else None
        share = f"{100 * median(_ratios(encoder.seconds, method.seconds)):.0f} %" if encoder else ""
        peer = method not in own and method not in alone.values()
        ratio = _ratios(method.seconds, best.seconds) if best and peer else []
        faster = f"{median(ratio):.1f} ({min(ratio):.1f}–{max(ratio):.1f})" if ratio else ""
        whole = f"{count / median(each.wall for each in method.runs):.1f}" if method not in alone.values() else ""
        same = "" if method in alone.values() or np.isnan(method.cos) else f"{method.cos:.4f}"
        memory = max(each.memory for each in method.runs) / 1e6
        lines.append(
            f"| {method.name} | {median(rates):.1f} ({min(rates):.1f}–{max(rates):.1f}) | {whole} | {share} "
            f"| {faster} | {memory:,.0f} | {same} |"
        )
    return "\n".join(lines)


def _ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Round by round."""
    return [one / other for one, other in zip(above, below, strict=True)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, metavar="DIR", help="photos to repeat")
    parser.add_argument("--memory", type=int, nargs="+", metavar="N", help="numbers of pictures; nothing is compared")
    parser.add_argument("--captions", type=int, default=0, metavar="N", help="of each picture, with --memory")
    parser.add_argument("--files", type=int, default=256, metavar="N")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="rounds")
    parser.add_argument("--peers", action="store_true", help="those that `python -m benchmarks.peers` installed")
    parser.add_argument("--save", type=Path, metavar="FILE", help="JSON of the rounds; run again, it adds to them")
    parser.add_argument("--only", default="", metavar="WORDS", help="methods with these words in their names")
    parser.add_argument("--precisions", nargs="*", default=list(RUNTIMES), choices=list(RUNTIMES), help="to export")
    parser.add_argument("--batch", type=int, default=32, metavar="N", help="of the peers")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="of clip-retrieval")
    parser.add_argument("--checkpoint", type=Path, metavar="DIR", help="another of ours, instead of EfficientNet-B0")
    parser.add_argument("--here", type=Path, nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    try:
        if options.here:
            (encode_here if len(options.here) == 1 else index_here)(options.images, *options.here)
            return 0
        if options.memory:
            print(memory_table(options.memory, options.captions, options.checkpoint))
            return 0
        if min(options.files, options.repeat) < 1:
            raise InputError("nothing to measure: --files and --repeat must be at least 1")
        if options.images is None:
            raise InputError("no photos to index: give a folder of them with --images DIR")
        if options.checkpoint and options.peers:
            raise InputError("the peers run EfficientNet-B0 with weights made here: leave --checkpoint or --peers out")
        checkpoint = options.checkpoint or make_network(cache().with_name("efficientnet_b0"))
        with tempfile.TemporaryDirectory() as folder:
            photos = Path(folder) / "photos"
            spread_out(options.images, photos, options.files)
            taking_part = [each for each in methods(options, checkpoint) if options.only in each.name]
            recall_rounds(taking_part, options.save)
            take_turns(taking_part, photos, options.repeat)
            keep_rounds(taking_part, options.save)
    except CrossmodalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{table(taking_part, options.files)}\n\n{protocol(taking_part, options)}")
    return 0


def protocol(taking_part: Sequence[Method], options: argparse.Namespace) -> str:
    """What was run on what."""
    rounds = max((len(method.runs) for method in taking_part), default=0)
    listed = ("torch", "onnxruntime", "openvino", "pillow", "cykooz.resizer", "numpy")
    packages = [name for name in listed if _installed(name)]
    return (
        f"{options.files} photos, {rounds} rounds in turn; {os.cpu_count()} cores; peers' batch {options.batch}, "
        f"clip-retrieval's workers {options.workers}; Python {platform.python_version()}, "
        f"{', '.join(f'{name} {version(name)}' for name in packages)}."
    )


def _installed(name: str) -> bool:
    return bool(find_spec({"pillow": "PIL", "cykooz.resizer": "cykooz_resizer"}.get(name, name)))


if __name__ == "__main__":
    sys.exit(main())
