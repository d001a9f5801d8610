"""The benchmark of the search page keeps running, on a gallery small enough for a test."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st

from crossmodal.app.state import galleries
from crossmodal.index import build_index
from tests.app.frame import COLOURS, ColourEncoder, jpeg

ROOT = Path(__file__).resolve().parents[2]
REDRAW: dict[str, Any] = runpy.run_path(str(ROOT / "benchmarks" / "redraw.py"))


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    st.cache_resource.clear()
    galleries._loaded.cache_clear()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("crossmodal.inference.encoder.open_encoder", lambda _: ColourEncoder())
    photos = tmp_path / "photos"
    photos.mkdir()
    lines = ["image,caption"]
    for number in range(30):
        colour = list(COLOURS)[number % 4]
        shade = tuple(max(0, part - 4 * number) for part in COLOURS[colour])
        (photos / f"{number:02d}.jpg").write_bytes(jpeg(shade))
        lines.append(f"{number:02d}.jpg,a {colour} square of number {number}")
    (tmp_path / "captions.txt").write_text("\n".join(lines) + "\n")
    build_index(photos, tmp_path / "captions.txt", ColourEncoder(), tmp_path / "index")
    monkeypatch.setattr("crossmodal.app.state.near_duplicates.compare", lambda _: np.arange(30))
    return tmp_path / "index"


def test_every_act_is_timed_and_the_index_is_left_alone(index: Path):
    times = REDRAW["measure"](index, 1)
    assert list(times) == ["ask a new question", *REDRAW["ACTS"]]
    assert [len(pairs) for pairs in times.values()] == [9] + [1] * 9
    assert not (index / "feedback.jsonl").exists()
    assert REDRAW["table"](times).count("\n") == 11


def test_too_few_captions_are_refused(index: Path, capsys: pytest.CaptureFixture[str]):
    assert REDRAW["main"](["--index", str(index), "--rounds", "50"]) == 1
    assert "different captions" in capsys.readouterr().err
