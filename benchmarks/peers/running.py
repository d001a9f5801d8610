"""Run a program and see how long it took, what it printed last and how much memory it and its children held."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crossmodal.errors import InputError

__all__ = ["KEEP_FREED_MEMORY", "Run", "environment", "run"]

# glibc's counterpart of crossmodal._memory, for a program that does not set it itself
KEEP_FREED_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1)}
TAIL = 1500  # characters of a failed program's errors that are shown


@dataclass(frozen=True)
class Run:
    """One process from start to end. said: the JSON object of its last line.

    memory: most bytes that it and its children held, shared pages counted once; own: most of it that was no file's.
    """

    wall: float
    said: dict[str, Any] = field(default_factory=dict)
    memory: int = 0
    own: int = 0


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's and more, but Python keeps what it compiles, as by itself: else that is most of every start."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | dict(more or {})


def run(
    command: Sequence[str],
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    every: float = 0.5,
    timeout: float = 1800,
) -> Run:
    """Run to the end. every: seconds between looks at the memory. Raises InputError if it fails or takes too long."""
    started, most, own, ended = time.perf_counter(), 0, 0, threading.Event()
    process = subprocess.Popen(
        list(command), env=environment(env), cwd=cwd, text=True, errors="replace", process_group=0,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
    )  # fmt: skip

    def look() -> None:
        nonlocal most, own
        while not ended.wait(every):
            held = group_bytes(process.pid)
            most, own = max(most, held[0]), max(own, held[1])

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        output, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.communicate()
        raise InputError(f"`{' '.join(command[:3])} …` took more than {timeout:.0f} s") from None
    finally:
        ended.set()
        watcher.join()
    wall = time.perf_counter() - started
    if process.returncode:
        raise InputError(f"`{' '.join(command[:3])} …` ended with {process.returncode}: …{errors[-TAIL:].strip()}")
    return Run(wall, last_object(output), most, own)


def last_object(output: str) -> dict[str, Any]:
    """The JSON object on the last line that is one, or an empty one."""
    for line in reversed(output.splitlines()):
        if line.startswith("{"):
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if isinstance(found, dict):
                return found
    return {}


def group_bytes(leader: int) -> tuple[int, int]:
    """Memory of all processes of a group, each shared page divided among those that share it, and how much of it is
    no file's. Zeros without /proc.
    """
    total = own = 0
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(entry.name)) == leader:
                lines = [line.split() for line in (entry / "smaps_rollup").read_text().splitlines()]
                held = {words[0]: int(words[1]) * 1024 for words in lines if words[-1] == "kB"}
                total, own = total + held.get("Pss:", 0), own + held.get("Pss_Anon:", 0)
        except OSError:  # ended meanwhile
            continue
    return total, own
