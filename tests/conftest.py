"""Fixtures every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test may reach for a model on a hub
os.environ.setdefault("CROSSMODAL_AUTO_EXPORT", "0")  # nor leave a process behind that exports towers

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder beside the checkout with real photos and weights; skips where it is absent, fails in CI."""
    if not (SHARED / "data").is_dir():
        if os.environ.get("CROSSMODAL_NEEDS_SHARED"):
            pytest.fail("CI must have ../shared beside the checkout")
        pytest.skip("needs ../shared (real photos and weights), which is absent here")
    return SHARED
