"""Freed blocks stay with the process."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys

import pytest

from crossmodal import allocator

FAULTS = """
import resource, sys
from crossmodal.allocator import hold_memory
if sys.argv[1] == "held":
    hold_memory()
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
        for way in ("held", "plain")
    }
    assert faults["held"] < faults["plain"] / 4


def test_on_another_system_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", None)
    allocator.hold_memory()
