"""Every recipe runs from its name alone, on generated pictures, to a checkpoint that can do what it was made for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import training_script
from crossmodal.cli import main as crossmodal
from crossmodal.datasets.drawn_digits import drawn_digits
from crossmodal.models.checkpoint import load_checkpoint
from crossmodal.models.checkpoint_files import abilities, read_config
from crossmodal.recipes import RECIPES, recipe_named

ABLE = {"match": {"pairs"}, "arcface": {"vectors", "labels", "decoding"}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared by all runs, so that scenes are drawn once."""
    return tmp_path_factory.mktemp("recipes")


@pytest.mark.parametrize("name", RECIPES)
def test_a_smoke_run_leaves_a_whole_checkpoint(name: str, folder: Path, capsys: pytest.CaptureFixture[str]):
    out = folder / name
    assert training_script.main(["--recipe", name, "--smoke", "--cpu", "--out", str(out)]) == 0
    best = out / "best"
    assert abilities(best) == ABLE.get(name, {"vectors", "words"})
    assert load_checkpoint(best).config["judged_by"] == recipe_named(name).judged_by
    metrics = json.loads((best / "metrics.json").read_text())
    report = metrics[next(iter(metrics))]
    kind = recipe_named(name).judged_by
    assert ("rsum" in report) if kind == "retrieval" else (report["kind"] == kind)
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")
    card = (best / "README.md").read_text()
    assert f"--recipe {name}" in card
    assert read_config(best)["about"]["recipe"] == name
    assert "next: python" in capsys.readouterr().out


def made(name: str, folder: Path) -> Path:
    """The best checkpoint of a recipe's smoke run, trained here unless another test has."""
    out = folder / name
    if not (out / "best" / "README.md").exists():
        assert training_script.main(["--recipe", name, "--smoke", "--cpu", "--out", str(out)]) == 0
    return out / "best"


def evaluated(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    capsys.readouterr()
    assert crossmodal(["evaluate", "--json", *map(str, arguments)]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


def test_evaluate_measures_pairs_as_the_card_says(folder: Path, capsys: pytest.CaptureFixture[str]):
    best = made("match", folder)
    scenes = folder / "cache" / "scenes-val-48"
    data = ("--images", scenes / "images", "--captions", scenes / "captions.txt")
    report = evaluated(capsys, "--checkpoint", best, *data)
    card = json.loads((best / "metrics.json").read_text())["scenes val"]
    assert report["values"] == pytest.approx(card["values"], abs=0.5)
    assert report["protocol"]["split hash"] == card["protocol"]["split hash"]


def test_evaluate_says_whether_reordering_helps(folder: Path, capsys: pytest.CaptureFixture[str]):
    scorer, encoder = made("match", folder), made("scenes", folder)
    scenes = folder / "cache" / "scenes-val-48"
    data = ("--images", scenes / "images", "--captions", scenes / "captions.txt")
    plain = evaluated(capsys, "--checkpoint", encoder, *data)
    report = evaluated(capsys, "--checkpoint", encoder, *data, "--rerank", scorer, "--depth", 48 * 5)
    assert report["values"]["rsum by cosine"] == pytest.approx(plain["rsum"], abs=0.1)
    assert "help" in report["headline"]


def test_evaluate_measures_labelled_pictures_in_folders(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    digits = drawn_digits(60, split="test")
    for split in ("train", "test"):
        for row, label in enumerate(digits.labels):
            picture = tmp_path / split / str(label) / f"{row}.png"
            picture.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(digits.pixels[row].transpose(1, 2, 0)).save(picture)
    data = ("--data", "folder", "--root", tmp_path)
    assert evaluated(capsys, "--checkpoint", made("arcface", folder), *data)["kind"] == "classes"
    report = evaluated(capsys, "--checkpoint", made("mnist_labels", folder), *data)
    assert (report["kind"], report["protocol"]["pictures"]) == ("labels", 60)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--images DIR --captions FILE, or --data NAME"),
        (["--images", "x"], "--images DIR --captions FILE, or --data NAME"),
        (["--data", "mnist", "--images", "x", "--captions", "y"], "--images DIR --captions FILE, or --data NAME"),
        (["--data", "mnist", "--plot", "z.png"], "--plot draws cosines"),
    ],
)
def test_evaluate_asks_for_one_kind_of_pictures(
    arguments: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
):
    assert crossmodal(["evaluate", "--checkpoint", str(made("arcface", folder)), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_recipe_says_what_it_is():
    for name, make in RECIPES.items():
        recipe = make()
        assert recipe.name == name
        assert all((recipe.summary, recipe.time, recipe.expected, recipe.data))


@pytest.mark.parametrize("loss", ["siglip", "multi_positive_clip", "triplet"])
def test_a_recipe_takes_another_loss(loss: str, folder: Path):
    out = folder / f"scenes-{loss}"
    arguments = ["--recipe", "scenes", "--smoke", "--cpu", "--loss", loss, "--chunk", "8", "--out", str(out)]
    assert training_script.main(arguments) == 0
    assert abilities(out / "best") == {"vectors", "words"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recipe", "scenes", "--loss", "arcface"], "needs labelled pictures"),
        (["--recipe", "scenes", "--loss", "hinge"], "symmetric_clip"),
        (["--recipe", "match", "--loss", "siglip"], "scores pairs"),
        (["--recipe", "scenes", "--data", "mnist"], "not trained on labelled pictures"),
        (["--recipe", "arcface", "--data", "mnist"], "--root DIR"),
        (["--recipe", "arcface", "--data", "imagenet", "--root", "x"], "known are mnist"),
        (["--recipe", "match", "--smoke", "--chunk", "8"], "gradient caching"),
        (["--recipe", "mnist_labels", "--data", "cifar10", "--root", "x"], "cifar10"),
    ],
)
def test_what_a_recipe_cannot_do_is_said(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert training_script.main([*arguments, "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
