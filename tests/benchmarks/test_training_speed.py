"""The benchmark of training keeps running, with towers and photos small enough for a test."""

from __future__ import annotations

import json
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from accelerate.state import AcceleratorState

from tests.fakes import paint_many

ROOT = Path(__file__).resolve().parents[2]
SPEED: dict[str, Any] = runpy.run_path(str(ROOT / "benchmarks" / "training_speed.py"))


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Photos, captions, a text tower and an image tower of a few pixels."""
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    from crossmodal.models.encoders import tiny_text_config
    from crossmodal.models.tokenizer import TextTokenizer

    folder = tmp_path_factory.mktemp("speed")
    captions = paint_many(folder / "photos", 12)
    tokenizer = TextTokenizer.trained_on(["number is red green here 0123456789"])
    tokenizer.save(folder / "tokenizer.json")
    config = {**tiny_text_config(tokenizer.vocabulary_size), "num_hidden_layers": 1}
    BertModel(BertConfig(**config)).save_pretrained(folder / "text")
    fast = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), pad_token="[PAD]", unk_token="[UNK]")
    fast.save_pretrained(folder / "text")
    SPEED["prepared_weights"](32, folder / "weights.pt")
    found = ["--images", str(folder / "photos"), "--captions", str(captions), "--text-model", str(folder / "text")]
    found += ["--weights", str(folder / "weights.pt"), "--batch-size", "2", "--side", "32", "--workers", "0"]
    return [*found, "--steps", "1", "--warm-up", "1"]


@pytest.fixture
def fresh_accelerator() -> Iterator[None]:
    """A process has one precision; a test of another one leaves no trace."""
    AcceleratorState._reset_state(True)
    yield
    AcceleratorState._reset_state(True)


@pytest.mark.usefixtures("fresh_accelerator")
@pytest.mark.parametrize("way", SPEED["WAYS"])
def test_every_way_runs(way: str, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert SPEED["main"]([*arguments, "--way", way, "--out", str(tmp_path / "run")]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["rate"] > 0
    assert figures["peak GiB"] > 0
    assert ("bound" in figures) == (way.startswith("ours") and way != "ours, heads")


def test_the_table_compares_round_by_round():
    slow = [{"rate": rate, "peak GiB": 2.0} for rate in (2.0, 4.0, 5.0)]
    ours = [{"rate": rate, "peak GiB": 1.0, "bound": 20.0} for rate in (6.0, 8.0, 20.0)]
    lines = SPEED["table"]({"plain, full": slow, "ours, full": ours}).splitlines()
    assert lines[2] == "| plain loop, every weight trained | 4.0 (2.0 to 5.0) | 1.0 |  | 2.0 |"
    assert lines[3].endswith("| 8.0 (6.0 to 20.0) | 3.0 | 40% | 1.0 |")


def test_some_of_the_captions_are_of_the_first_photos(tmp_path: Path):
    captions = paint_many(tmp_path / "photos", 5)
    SPEED["some_captions"](captions, tmp_path / "photos", 2, tmp_path / "few.csv")
    assert len((tmp_path / "few.csv").read_text().splitlines()) == 1 + 2 * 2
