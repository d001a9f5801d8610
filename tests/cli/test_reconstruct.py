"""The commands `reconstruct` and `recipes`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from crossmodal.cli import main
from crossmodal.datasets.labelled.pictures import LabelledPictures
from crossmodal.recipes import RECIPES
from tests.fakes import DrawingEncoder, FakeEncoder, paint

Output = pytest.CaptureFixture[str]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[float], list[str]]]:
    """Cosines and names of every drawing that was made; the encoder draws in even greys."""
    from crossmodal.plots import drawings

    calls: list[tuple[list[float], list[str]]] = []
    draw = drawings.reconstructions
    monkeypatch.setattr("crossmodal.inference.encoder.open_encoder", lambda _: DrawingEncoder())
    monkeypatch.setattr(
        drawings, "reconstructions", lambda *given: (calls.append((given[2], given[3])), draw(*given))[1]
    )
    return calls


def run(folder: Path, *options: str) -> int:
    return main(["reconstruct", "--checkpoint", "x", *options, "--out", str(folder / "out.png")])


def test_what_is_drawn_well_has_the_greater_cosine(
    tmp_path: Path, drawn: list[tuple[list[float], list[str]]], capsys: Output
):
    for name in ("gray", "red"):
        paint(tmp_path / "photos" / f"{name}.png", name)
    assert run(tmp_path, "--images", str(tmp_path / "photos")) == 0
    ((cosines, names),) = drawn
    assert names == ["gray.png", "red.png"]
    assert cosines[0] > 0.9
    assert 0.4 < cosines[1] < 0.8
    assert f"mean cosine {sum(cosines) / 2:.4f} of 2 pictures" in capsys.readouterr().out
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


def test_count_takes_pictures_evenly_and_a_broken_one_is_said(
    tmp_path: Path, drawn: list[tuple[list[float], list[str]]], capsys: Output
):
    for number in range(8):
        paint(tmp_path / "photos" / f"{number}.png", "gray")
    (tmp_path / "photos" / "4.png").write_bytes(b"")
    assert run(tmp_path, "--images", str(tmp_path / "photos"), "--count", "4") == 0
    assert drawn[0][1] == ["0.png", "2.png", "6.png"]
    assert "left out:" in capsys.readouterr().err


def test_labelled_pictures_carry_their_labels(
    tmp_path: Path, drawn: list[tuple[list[float], list[str]]], monkeypatch: pytest.MonkeyPatch
):
    asked: list[tuple[object, ...]] = []
    pixels = np.full((3, 3, 8, 8), 128, dtype=np.uint8)
    data = LabelledPictures("mnist", "test", pixels, np.array([1, 0, 1]), ("zero", "one"))
    monkeypatch.setattr(
        "crossmodal.datasets.labelled.pictures.load_labelled", lambda *given: (asked.append(given), data)[1]
    )
    assert run(tmp_path, "--data", "mnist", "--root", "data") == 0
    assert asked == [("mnist", Path("data"), "test", 8)]
    assert drawn[0][1] == ["one", "zero", "one"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "mnist"], "--data needs --root"),
        (["--images", "FOLDER"], "no picture can be read"),
        (["--images", "FOLDER", "--count", "0"], "--count must be at least 1"),
    ],
)
@pytest.mark.usefixtures("drawn")
def test_what_cannot_be_drawn_is_refused(tmp_path: Path, options: list[str], message: str, capsys: Output):
    assert run(tmp_path, *[str(tmp_path) if option == "FOLDER" else option for option in options]) == 2
    assert message in capsys.readouterr().err


def test_a_checkpoint_without_a_decoder_names_the_recipe_that_trains_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
):
    monkeypatch.setattr("crossmodal.inference.encoder.open_encoder", lambda _: FakeEncoder())
    assert run(tmp_path, "--images", str(tmp_path)) == 2
    assert "x has no decoder: `python -m crossmodal train --recipe arcface`" in capsys.readouterr().err


def test_every_recipe_is_listed_with_data_towers_loss_time_and_number(capsys: Output):
    assert main(["recipes", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == list(RECIPES)
    assert all(set(row) == {"name", "data", "towers", "loss", "time", "expected"} for row in rows)
    assert all(all(row.values()) for row in rows)


def test_the_table_of_recipes_fits_the_terminal_and_loses_no_word(monkeypatch: pytest.MonkeyPatch, capsys: Output):
    monkeypatch.setenv("COLUMNS", "110")
    assert main(["recipes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 110
    assert lines[0].split() == ["NAME", "DATA", "TOWERS", "LOSS", "TIME", "EXPECTED"]
    shown = " ".join(lines).split()
    assert all(word in shown for make in RECIPES.values() for word in make().time.split())
