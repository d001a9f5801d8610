"""Every recipe runs from its name alone, on generated pictures, to a checkpoint that can do what it was made for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import training_script
from crossmodal.checkpoint import load_checkpoint
from crossmodal.checkpoint_files import abilities, read_config
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
