from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from benchmarks import shapes
from tests.tiny_checkpoint import tiny_checkpoint, two_coloured


def test_both_ways_are_judged_on_the_same_photos(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    captions = two_coloured(tmp_path / "images", each=1)
    for path in (
        tmp_path / "images"
    ).iterdir():  # twice as wide as high: a cut loses nothing of these, a squash neither
        Image.open(path).resize((56, 28)).save(path)
    checkpoint = tiny_checkpoint(tmp_path / "tiny")
    arguments = ["--images", str(tmp_path / "images"), "--captions", str(captions), "--checkpoint", str(checkpoint)]
    assert shapes.main(arguments) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split(" | ")[0] for row in rows] == ["| squash", "| crop"]


def test_a_cut_sees_only_the_centre(tmp_path: Path):
    captions = two_coloured(tmp_path / "images", each=1)
    for path in (tmp_path / "images").iterdir():
        wide = Image.new("RGB", (28 * 8, 28), "grey")
        wide.paste(Image.open(path), (28 * 3 + 14, 0))
        wide.save(path)
    reports = shapes.judged(shapes.load_checkpoint(tiny_checkpoint(tmp_path / "tiny")), tmp_path / "images", captions)
    assert reports["crop"].rsum > reports["squash"].rsum


def test_a_folder_without_captions_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert shapes.main(["--images", str(tmp_path), "--captions", str(tmp_path / "none.csv")]) == 2
    assert "holds no pictures" in capsys.readouterr().err
