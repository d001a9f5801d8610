"""Other people's programs, each in an environment of its own: `python -m benchmarks.peers` makes them.

Environments lie in the user's cache folder (XDG_CACHE_HOME, else ~/.cache) under crossmodal/peers and take nothing from
ours. They are made by uv where it is at hand, else by venv and pip. The files beside this one run inside them; those
import nothing of ours.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from crossmodal.errors import InputError

__all__ = ["PEERS", "Peer", "add_to_path", "lacking", "make", "program", "python_of"]

TORCH = ("torch==2.14.1", "torchvision==0.29.1", "numpy==1.26.4", "pillow==13.0.0")
STAMP = "made.json"


@dataclass(frozen=True)
class Peer:
    """What one environment holds. why: what it is for. beside: packages that our own process imports from it."""

    why: str
    packages: tuple[str, ...]
    beside: bool = False


PEERS = {
    "clip-retrieval": Peer(
        "its inference command and its KNN service",
        (
            "clip-retrieval==2.45.0", "all-clip==1.3.0", "open-clip-torch==2.32.0", "timm==1.0.31",
            "sentence-transformers==2.7.0", "transformers==4.57.6", "autofaiss==2.18.0", "faiss-cpu==1.15.1",
            "pyarrow==15.0.2", "setuptools==80.10.2", "webdataset==0.2.111", "h5py==3.16.0", *TORCH,
        ),
    ),
    "sentence-transformers": Peer(
        "its encode loop and a script that searches with it",
        ("sentence-transformers==6.2.0", "transformers==5.23.0", "faiss-cpu==1.15.1", *TORCH),
    ),
    "graphs": Peer("hnswlib and usearch", ("hnswlib==0.8.0", "usearch==2.26.6", "numkong==7.8.6"), beside=True),
}  # fmt: skip


def cache() -> Path:
    """The folder of all environments."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crossmodal" / "peers"


def _found(name: str) -> Path | None:
    """The environment's folder if it was made with today's pins, by this version of Python."""
    if name not in PEERS:
        raise InputError(f"unknown peer {name!r}: one of {', '.join(PEERS)}")
    folder = cache() / name
    try:
        made = json.loads((folder / STAMP).read_text())
    except (OSError, ValueError):
        return None
    return folder if made == _stamp(name) else None


def _stamp(name: str) -> dict[str, object]:
    return {"python": list(sys.version_info[:2]), "packages": list(PEERS[name].packages)}


def python_of(name: str) -> Path | None:
    """The interpreter of a peer's environment, or None while it is not made. Raises InputError for an unknown name."""
    folder = _found(name)
    return None if folder is None else _interpreter(folder)


def _interpreter(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def lacking(name: str) -> str:
    """Why a peer cannot take part, or nothing if it can."""
    return "" if _found(name) else f"{name} is not installed: `python -m benchmarks.peers {name}`"


def add_to_path(name: str) -> bool:
    """Let our own process import what stands beside it, after everything of ours. Returns whether it is there."""
    folder = _found(name)
    if folder is not None and str(folder) not in sys.path:
        sys.path.append(str(folder))
    return folder is not None


def program(script: str) -> str:
    """The path of a file beside this one, to be run by a peer's interpreter."""
    return str(Path(__file__).with_name(f"{script}.py"))


def make(name: str, say: Callable[[str], object] = print) -> Path:
    """Install a peer unless it is there. Raises InputError if a step of it fails."""
    there = _found(name)
    if there is not None:
        say(f"{name}: {there} is there")
        return there
    folder, peer = cache() / name, PEERS[name]
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    say(f"{name}: {peer.why}, into {folder}")
    uv = _uv()
    by_uv = [*uv, "pip", "install", "--compile-bytecode", "--python"]  # pip compiles by itself: else first starts do
    if peer.beside:
        pip = [*by_uv, sys.executable] if uv else [sys.executable, "-m", "pip", "install"]
        steps = [[*pip, "--no-deps", "--target", str(folder), *peer.packages]]
    elif uv:
        steps = [[*uv, "venv", "--python", sys.executable, str(folder)]]
        steps += [[*by_uv, str(_interpreter(folder)), *peer.packages]]
    else:
        steps = [[sys.executable, "-m", "venv", str(folder)]]
        steps += [[str(_interpreter(folder)), "-m", "pip", "install", *peer.packages]]
    for step in steps:
        done = subprocess.run(step, stdout=sys.stderr, check=False)
        if done.returncode:
            raise InputError(f"{name} could not be installed: `{' '.join(step[:6])} …` ended with {done.returncode}")
    (folder / STAMP).write_text(json.dumps(_stamp(name)))
    return folder


def _uv() -> list[str]:
    """The command of uv, or nothing where it is not at hand."""
    found = shutil.which("uv")
    if found:
        return [found]
    return [sys.executable, "-m", "uv"] if find_spec("uv") else []
