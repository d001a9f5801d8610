"""The table of ways to find pictures by words, on colours."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import full_text
from tests.fakes import FakeEncoder, paint


def test_each_way_is_asked_of_both_galleries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ["image,caption"]
    for number, thing in enumerate(("rose", "sky", "leaf", "lemon", "coal", "snow")):
        paint(tmp_path / "photos" / f"{number}.jpg", f"#{40 * number:02x}0000")
        rows += [f"{number}.jpg,the {thing}", f"{number}.jpg,one {thing} here", f"{number}.jpg,my {thing}"]
    (tmp_path / "captions.csv").write_text("\n".join(rows))
    monkeypatch.setattr(full_text, "open_encoder", lambda _: FakeEncoder())
    monkeypatch.setattr("crossmodal.inference.encoder.open_encoder", lambda _: FakeEncoder())
    given = ["--images", str(tmp_path / "photos"), "--captions", str(tmp_path / "captions.csv")]
    assert full_text.main([*given, "--checkpoint", str(tmp_path)]) == 0
    table = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][1:]
    assert [(row[0][2:], row[1]) for row in table] == [
        (gallery, way) for gallery, ways in full_text.WAYS.items() for way in ways
    ]
    assert {row[1]: row[2] for row in table}["words"] == "100.0"


def test_a_missing_folder_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert full_text.main(["--images", str(tmp_path / "nowhere"), "--captions", str(tmp_path / "c.csv")]) == 2
    assert "error: images folder" in capsys.readouterr().err
