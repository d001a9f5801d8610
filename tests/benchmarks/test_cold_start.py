"""The benchmark of the first question keeps running, on an index small enough for a test."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import cold_start
from tests.inference.test_explain import make


def test_a_made_up_index_is_searched_by_each_run_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    make(tmp_path / "a")
    asked: list[str] = []

    def search_once(index: Path, checkpoint: Path, runtime: str) -> cold_start.Run:
        assert checkpoint == tmp_path / "a"
        asked.append(f"{index.name} {runtime}")
        return (2.0, 1.0, 300.0)

    monkeypatch.setattr(cold_start, "search_once", search_once)
    monkeypatch.setattr(cold_start, "SETTLED", 0)
    monkeypatch.setattr(cold_start.subprocess, "run", lambda command, check: cold_start.main(command[3:]) or check)
    assert cold_start.main(["--checkpoint", str(tmp_path / "a"), "--made", "40", "--rounds", "1"]) == 0
    assert asked == ["made torch"] * 3
    assert "| 40 made up | torch | 2.00 (2.00 to 2.00) | 1.00 (1.00 to 1.00) | 300 |" in capsys.readouterr().out


def test_a_search_that_fails_is_an_error_with_its_reason(tmp_path: Path):
    with pytest.raises(cold_start.InputError, match="torch: error: there is no index at"):
        cold_start.search_once(tmp_path / "none", tmp_path, "torch")


def test_nothing_to_measure_is_refused(capsys: pytest.CaptureFixture[str]):
    assert cold_start.main([]) == 2
    assert "nothing to measure" in capsys.readouterr().err


def test_a_start_is_timed_with_compiled_modules_as_a_user_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "module.py").write_text("x = 1\n")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    cold_start.run_once([sys.executable, "-c", "import module"], "a start", {"PYTHONPATH": str(tmp_path)})
    assert list((tmp_path / "__pycache__").iterdir())
