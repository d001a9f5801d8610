"""Freed blocks stay with the process."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys

import pytest

from crossmodal import _memory as allocator

FAULTS = """
import resource, sys
from crossmodal._memory import hold_memory, sparing_memory
if sys.argv[1] != "plain":
    hold_memory()
sparing = sparing_memory()
if sys.argv[1] in ("spared", "held again"):
    sparing.__enter__()
if sys.argv[1] == "held again":
    sparing.__exit__(None, None, None)
bytearray(b"1") * (1 << 27)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    bytearray(b"1") * (1 << 27)  # 128 MiB, 32,768 pages
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_a_block_asked_for_again_costs_no_page_faults() -> None:
    faults = {
        way: int(subprocess.run([sys.executable, "-c", FAULTS, way], capture_output=True, text=True, check=True).stdout)
        for way in ("held", "plain", "spared", "held again")
    }
    assert max(faults["held"], faults["held again"]) < min(faults["plain"], faults["spared"]) / 4


RESIDENT = """
import sys
from pathlib import Path
from crossmodal._memory import hold_memory, sparing_memory
def megabytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6
hold_memory()
block = bytearray(b"1") * (1 << 27)
del block
held = megabytes()
with sparing_memory():
    print(held - megabytes())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_what_was_held_is_given_back_where_memory_is_spared() -> None:
    done = subprocess.run([sys.executable, "-c", RESIDENT], capture_output=True, text=True, check=True)
    assert float(done.stdout) > 100


OF_THREADS = """
import threading
from pathlib import Path
from crossmodal._memory import give_back_memory, hold_memory
def megabytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6
hold_memory(one_heap=True)
before = megabytes()
filled = threading.Event(), threading.Event()
def work():
    blocks = [bytearray(b"1") * 100_000 for _ in range(500)]
    del blocks
    filled[0].set()
    filled[1].wait()
thread = threading.Thread(target=work)
thread.start()
filled[0].wait()
give_back_memory()
print(megabytes() - before)
filled[1].set()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_what_a_thread_freed_is_given_back_too() -> None:
    done = subprocess.run([sys.executable, "-c", OF_THREADS], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 10  # of 50


def test_on_another_system_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", opened.append)
    allocator.hold_memory()
    with allocator.sparing_memory():
        pass
    assert opened == []
