"""The benchmark of growth at sizes that take no time."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks import growth
from benchmarks.peers.running import Run, last_object

Output = pytest.CaptureFixture[str]


def test_it_measures_each_size_once_and_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    asked: list[str] = []

    def run(command: Sequence[str], cwd: Any) -> Run:
        del cwd
        asked.append(command[4] + (command[-1] if "--memory" in command else ""))
        said = io.StringIO()
        with redirect_stdout(said):
            assert growth.main(command[3:]) == 0
        return Run(0.1, last_object(said.getvalue()))

    monkeypatch.setattr(growth, "run", run)
    saved, plot = tmp_path / "growth.json", tmp_path / "growth.png"
    sizes = ["--sizes", "200", "6500", "--dimension", "700", "--queries", "5", "--rounds", "2"]
    assert growth.main([*sizes, "--save", str(saved), "--plot", str(plot)]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if "| 1.0000 |" in line]
    assert [row.split(" | ")[:2] for row in rows] == [["| 200", "exact"], ["| 6,500", "rabitq"]]
    assert asked == ["200", "200ours", "200flat", "6500", "6500ours", "6500flat"]
    with Image.open(plot) as drawn:
        assert drawn.width > 1000
    points = json.loads(saved.read_text())
    assert points[1]["needed"] > 6500 * 700 / 8
    assert len(points[0]["flat_ms"]) == 2
    assert growth.main([*sizes, "--save", str(saved)]) == 0
    assert len(asked) == 6


def test_nothing_to_measure_is_refused(capsys: Output) -> None:
    assert growth.main(["--sizes", "0"]) == 2
    assert "sizes, --queries and --rounds must be at least 1" in capsys.readouterr().err
