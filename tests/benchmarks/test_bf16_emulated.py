from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks import bf16_emulated
from benchmarks.bf16_emulated import Rounding
from tests.tiny_checkpoint import tiny_checkpoint, two_coloured


def test_the_first_layers_stay_exact_and_the_others_are_rounded():
    torch.manual_seed(0)
    tower = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3, bias=False))
    given, weight = torch.randn(2, 3), tower[2].weight.detach().clone()
    inner = tower[:2](given)
    rounding = Rounding(tower, 1)
    expected = (inner.bfloat16().float() @ weight.bfloat16().float().T).bfloat16().float()
    with rounding, torch.inference_mode():
        assert torch.equal(tower[:2](given), inner)
        for _ in range(2):
            assert torch.equal(tower(given), expected)


def test_every_way_is_judged_against_the_exact_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    captions, checkpoint = two_coloured(tmp_path / "images", each=1), tiny_checkpoint(tmp_path / "tiny")
    monkeypatch.setattr(bf16_emulated, "first_layers", lambda _: 2)
    arguments = ["--images", str(tmp_path / "images"), "--captions", str(captions), "--checkpoint", str(checkpoint)]
    assert bf16_emulated.main(arguments) == 0
    rows = [row.strip("| ").split(" | ") for row in capsys.readouterr().out.splitlines()[2:]]
    assert [row[0] for row in rows][1:] == ["bf16 throughout", "bf16 but for the image tower's first 2 layers"]
    cosines = [float(row[1]) for row in rows]
    assert 1 == cosines[0] > cosines[2] > cosines[1] > 0.99


def test_a_checkpoint_without_an_export_is_told_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("openvino", exc_type=ImportError)
    arguments = ["--images", str(tmp_path), "--captions", str(tmp_path), "--checkpoint", str(tmp_path)]
    assert bf16_emulated.main(arguments) == 2
    assert f"run `python -m crossmodal export --checkpoint {tmp_path} --precision fp32`" in capsys.readouterr().err
