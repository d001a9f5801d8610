"""What is hashed is what is loaded, also while a training replaces it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crossmodal._files import replace_directory
from crossmodal.errors import CheckpointError
from crossmodal.finetune.heads import write_with_heads
from crossmodal.finetune.maps import Maps
from crossmodal.inference import encoder
from crossmodal.inference.encoder import open_encoder
from crossmodal.models import checkpoint, checkpoint_files
from crossmodal.models.checkpoint import load_checkpoint
from crossmodal.models.checkpoint_files import fingerprint, read_whole
from tests.tiny_checkpoint import tiny_checkpoint


@pytest.fixture
def best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint, `next` to replace it, and no waiting in between."""
    monkeypatch.setattr(checkpoint_files, "PAUSE", 0.0)
    tiny_checkpoint(tmp_path / "next", seed=1)
    return tiny_checkpoint(tmp_path / "best")


def replace_once(best: Path, after: Callable[..., Any]) -> Callable[..., Any]:
    """A function that does its work and then, the first time, lets a training save `best`."""

    def work(*arguments: Any, **options: Any) -> Any:
        found = after(*arguments, **options)
        if (best.parent / "next").exists():
            replace_directory(best.parent / "next", best)
        return found

    return work


@pytest.mark.parametrize("part", ["read_config", "_rebuilt", "_as_in"])
def test_a_checkpoint_replaced_while_it_is_opened_is_opened_again(
    best: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.setattr(checkpoint, part, replace_once(best, getattr(checkpoint, part)))
    vectors = (opened := open_encoder(best, "torch")).encode_texts(["red above blue"])
    assert opened.fingerprint == fingerprint(best)
    assert (vectors == open_encoder(best, "torch").encode_texts(["red above blue"])).all()


def test_a_checkpoint_replaced_after_it_was_hashed_is_read_again(best: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_files, "fingerprint", replace_once(best, fingerprint))
    assert load_checkpoint(best).fingerprint == fingerprint(best)


def test_one_that_is_replaced_each_time_is_refused(best: Path) -> None:
    with pytest.raises(CheckpointError, match="was replaced each of the 5 times it was read: wait"):
        read_whole(best, lambda _: os.utime(best / "config.json"))


def test_bytes_changed_within_one_tick_of_the_clock_are_seen(best: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_files, "_status", lambda _: [1, 1, 2**63, 2**63])
    texts = iter(['{"schema": 1, "a": 1}', '{"schema": 1, "a": 1}'])

    def read(_: Callable[[], str]) -> Any:
        (best / "config.json").write_text(next(texts, '{"schema": 1, "a": 2}'))
        return json.loads((best / "config.json").read_text())["a"]

    assert read_whole(best, read) == (1, fingerprint(best))


def test_one_that_is_away_for_a_moment_is_waited_for(best: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    aside = best.rename(best.with_name(f".best.old-{os.getpid()}"))
    monkeypatch.setattr("time.sleep", lambda _: shutil.copytree(aside, best, dirs_exist_ok=True))
    assert open_encoder(best, "torch").fingerprint == fingerprint(best)


def test_an_absent_checkpoint_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", None)
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        encoder.open_encoder(tmp_path / "none")


def test_heads_taught_from_a_checkpoint_that_was_replaced_are_not_written(best: Path) -> None:
    maps, before = Maps.__new__(Maps), fingerprint(best)
    replace_directory(best.parent / "next", best)
    with pytest.raises(CheckpointError, match="was replaced while it was taught"):
        write_with_heads(best, maps, best.parent / "out", {}, {}, expected=before)
    assert not (best.parent / "out").exists()
