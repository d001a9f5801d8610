"""The progress line: where it is drawn, how often, and what it says."""

from __future__ import annotations

import io
import sys
import threading

import pytest

from crossmodal.progress import Bar


class Terminal(io.StringIO):
    """A stderr that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _at_every_update(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crossmodal.progress.REDRAW_SECONDS", 0.0)
    monkeypatch.setattr("crossmodal.progress.LOG_SECONDS", 0.0)


def test_a_terminal_sees_one_line_that_is_gone_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Bar("decoding") as bar:
        bar.update(0, 4)
        bar.update(3, 4, "1 skipped")
    text = terminal.getvalue()
    assert "decoding  75%|" in text
    assert "3/4, 1 skipped" in text
    assert "\n" not in text
    assert text.split("\r")[-2].strip() == ""


def test_a_file_gets_plain_lines_with_rate_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    with Bar("decoding", "photos") as bar:
        bar.update(0, 4)
        bar.update(2, 4)
        bar.hide()
    captured = capsys.readouterr()
    first, second = captured.err.splitlines()
    assert first == "decoding 0/4  ? photos/s  ? left"
    assert second.startswith("decoding 2/4  ")
    assert second.endswith(" photos/s  00:00 left")
    assert ("\r" in captured.err, captured.out) == (False, "")


@pytest.mark.parametrize("stderr", [Terminal(), io.StringIO()], ids=["terminal", "file"])
def test_short_work_says_nothing(stderr: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(sys, "stderr", stderr)
    with Bar("decoding") as bar:
        for done in range(100):
            bar.update(done, 100)
    assert stderr.getvalue() == ""


def test_each_stage_counts_from_where_it_began(capsys: pytest.CaptureFixture[str]) -> None:
    with Bar() as bar:
        bar.show("pictures", 7, 9)
        bar.show("captions", 5, 45)
        bar.show("captions", 2, 45)  # another round of it
    assert capsys.readouterr().err.splitlines() == [
        "pictures 7/9  ? pictures/s  ? left",
        "captions 5/45  ? pictures/s  ? left",
        "captions 2/45  ? pictures/s  ? left",
    ]


def test_no_thread_is_started(capsys: pytest.CaptureFixture[str]) -> None:
    before = threading.active_count()
    with Bar("decoding") as bar:
        bar.update(1, 2)
        assert threading.active_count() == before
    assert "decoding 1/2" in capsys.readouterr().err
