"""Towers are exported by themselves: once, out of the way, and never again in vain."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from crossmodal import cli
from crossmodal.errors import CheckpointError
from crossmodal.index import build_index
from crossmodal.inference.backends import background_export as background
from crossmodal.inference.backends.background_export import (
    LOCK,
    LOG,
    RECORD,
    Attempts,
    export_in_background,
    may_export,
    read_attempts,
    sole_attempt,
)
from crossmodal.inference.backends.export_files import EXPORTED, MANIFEST, has_export
from crossmodal.inference.encoder import open_encoder
from crossmodal.inference.export import export_checkpoint
from crossmodal.models.checkpoint_files import fingerprint
from tests.fakes import paint_many
from tests.tiny_checkpoint import tiny_checkpoint

Output = pytest.CaptureFixture[str]
PATIENCE = 600  # seconds: beside a training of high priority the export took six minutes


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small checkpoint that may be exported by itself."""
    monkeypatch.setenv("CROSSMODAL_AUTO_EXPORT", "1")
    monkeypatch.delenv("CROSSMODAL_RUNTIME", raising=False)
    return tiny_checkpoint(tmp_path / "tiny")


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The checkpoints whose export was begun; no process is."""
    found: list[Path] = []

    def begin(checkpoint: Path, detached: bool) -> bool:
        assert detached
        found.append(checkpoint)
        return True

    monkeypatch.setattr(background, "_start", begin)
    return found


def write_stale_export(checkpoint: Path) -> None:
    """A manifest of other weights."""
    content = {
        "schema": 1, "created": "", "fingerprint": "f" * 64, "splits_images": True, "splits_texts": True,
        "precisions": {}, "files": {}, "checks": {}, "opset": 20, "versions": {},
    }  # fmt: skip
    (checkpoint / EXPORTED).mkdir()
    (checkpoint / EXPORTED / MANIFEST).write_text(json.dumps(content))


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_after_a_question_by_torch_the_next_needs_none(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setattr(background, "NICENESS", 0)  # the test waits for it
    captions = paint_many(tmp_path / "photos", 3)
    build_index(tmp_path / "photos", captions, open_encoder(checkpoint), tmp_path / "index")
    ask = ["search", "red above blue", "--index", str(tmp_path / "index")]
    assert cli.main(ask) == cli.main(ask) == 0
    said = capsys.readouterr().err.splitlines()
    assert [line.split(" (")[0] for line in said if line.startswith("exporting")] == [
        "exporting the towers of tiny in the background: in about half a minute questions need no torch"
    ]
    wait_for(
        lambda: bool(read_attempts(checkpoint).reason) or (has_export(checkpoint) and not (checkpoint / LOG).exists())
    )
    assert read_attempts(checkpoint) == Attempts()
    assert cli.main(ask) == 0
    assert capsys.readouterr().err == "encoded by onnx-fp32\n"


def test_a_stale_export_is_passed_over_and_replaced(checkpoint: Path) -> None:
    write_stale_export(checkpoint)
    (checkpoint / f".{EXPORTED}.new-1").mkdir()  # left by a killed export
    assert open_encoder(checkpoint).runtime == "torch"
    assert cli.main(["export", "--unasked", "--checkpoint", str(checkpoint)]) == 0
    assert open_encoder(checkpoint).runtime == "onnx-fp32"
    assert not list(checkpoint.glob(f".{EXPORTED}.*"))
    assert not may_export(checkpoint)


def test_what_failed_is_not_tried_again_until_the_weights_change(checkpoint: Path, begun: list[Path]) -> None:
    with pytest.raises(CheckpointError), sole_attempt(checkpoint):
        raise CheckpointError("the tower cannot be written")
    assert read_attempts(checkpoint).reason == "CheckpointError: the tower cannot be written"
    assert export_in_background(checkpoint) is None
    with sole_attempt(checkpoint) as wanted:
        assert not wanted
    record = (checkpoint / RECORD).read_bytes()
    tiny_checkpoint(checkpoint, seed=1)
    (checkpoint / RECORD).write_bytes(record)
    assert export_in_background(checkpoint)
    assert begun == [checkpoint]


@pytest.mark.parametrize(("count", "again"), [(2, True), (3, False)])
def test_what_is_killed_each_time_is_left_at_that(checkpoint: Path, count: int, again: bool) -> None:
    (checkpoint / RECORD).write_text(json.dumps({"fingerprint": fingerprint(checkpoint), "begun": count, "reason": ""}))
    assert may_export(checkpoint) == again


def test_each_beginning_counts_until_one_ends_well_or_is_interrupted(checkpoint: Path) -> None:
    for _ in range(2):
        with pytest.raises(OSError, match="disk"), sole_attempt(checkpoint):
            raise OSError("disk full")
    with pytest.raises(KeyboardInterrupt), sole_attempt(checkpoint):
        raise KeyboardInterrupt
    assert read_attempts(checkpoint).begun == 2
    with sole_attempt(checkpoint):
        assert read_attempts(checkpoint).begun == 3
    assert read_attempts(checkpoint) == Attempts()


def test_two_at_once_make_one(checkpoint: Path, begun: list[Path]) -> None:
    with FileLock(checkpoint / LOCK), sole_attempt(checkpoint) as wanted:
        assert not wanted
        assert export_in_background(checkpoint) is None
    assert export_in_background(checkpoint)
    assert export_in_background(checkpoint) is None
    assert begun == [checkpoint]


def test_an_export_by_hand_waits_for_the_one_that_runs(checkpoint: Path) -> None:
    other, said = FileLock(checkpoint / LOCK), list[str]()
    other.acquire()

    def say(line: str) -> None:
        said.append(line)
        other.release()

    export_checkpoint(checkpoint, ("fp32",), say=say)
    assert said[0] == "another process exports this checkpoint: waiting for its end"
    assert open_encoder(checkpoint).runtime == "onnx-fp32"


def test_a_folder_that_cannot_be_written_to_is_left_alone(
    checkpoint: Path, begun: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    assert export_in_background(checkpoint) is None
    assert (begun, capsys.readouterr().err) == ([], "")


def test_a_folder_that_refuses_the_log_is_left_alone(checkpoint: Path, capsys: Output) -> None:
    (checkpoint / LOG).mkdir()
    assert export_in_background(checkpoint) is None
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("variable", "value"), [("CROSSMODAL_AUTO_EXPORT", "0"), ("CROSSMODAL_RUNTIME", "torch")])
def test_a_variable_turns_it_off(
    checkpoint: Path, begun: list[Path], monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert export_in_background(checkpoint) is None
    assert begun == []


def test_a_scorer_of_pairs_is_never_exported(checkpoint: Path) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps(config | {"kind": "pair_scorer"}))
    assert not may_export(checkpoint)


def test_tests_leave_no_process_behind(tmp_path: Path, begun: list[Path]) -> None:
    assert export_in_background(tiny_checkpoint(tmp_path / "tiny")) is None
    assert begun == []


def test_the_process_has_a_low_priority_and_a_session_of_its_own(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = "import os; print(os.getpriority(os.PRIO_PROCESS, 0), os.getsid(0) == os.getpid(), flush=True)"
    monkeypatch.setattr("sys.executable", str(write_program(checkpoint / "python", told)))
    process = export_in_background(checkpoint)
    assert process is not None
    process.wait(PATIENCE)
    assert (checkpoint / LOG).read_text() == "10 True\n"


def write_program(path: Path, source: str) -> Path:
    """A program that waits a little, then runs some Python, whatever its arguments."""
    path.write_text(f"#!{sys.executable}\nimport time; time.sleep(0.3)\n{source}\n")
    path.chmod(0o755)
    return path
