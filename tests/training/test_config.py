"""What a training may be asked to do."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from crossmodal.cli.train import add_train_arguments, train_config
from crossmodal.errors import InputError
from crossmodal.training.config import TrainConfig, chosen_recipe


def test_what_is_given_takes_the_place_of_the_recipes_values():
    chosen = chosen_recipe(
        TrainConfig(recipe="flickr30k", image_backbone="resnet50", dimension=256, epochs=2, batch_size=8, lr_scale=0.5)
    )
    assert (chosen.image_backbone, chosen.dimension) == ("resnet50", 256)
    assert [phase.batch_size for phase in chosen.phases] == [8, 8]
    assert chosen.phases[-1].epochs == 2
    assert chosen.phases[-1].image_lr == chosen_recipe(TrainConfig(recipe="flickr30k")).phases[-1].image_lr / 2


def test_heads_only_is_one_phase_with_frozen_backbones():
    phases = chosen_recipe(TrainConfig(recipe="flickr8k", heads_only=True)).phases
    assert [phase.heads_only for phase in phases] == [True]


def test_the_shell_asks_for_the_same_as_python():
    parser = argparse.ArgumentParser()
    add_train_arguments(parser)
    typed = ["--recipe", "arcface", "--root", "mnist", "--epochs", "5,3,2", "--batch-size", "16", "--cpu"]
    asked = TrainConfig(recipe="arcface", root="mnist", epochs=[5, 3, 2], batch_size=16, cpu=True)
    assert train_config(parser.parse_args(typed)) == asked
    assert asked.root == Path("mnist")


def test_the_shell_has_every_field_as_an_option():
    parser = argparse.ArgumentParser()
    add_train_arguments(parser)
    options = set(vars(parser.parse_args(["--recipe", "scenes"])))
    assert options | {"command"} == set(TrainConfig.__dataclass_fields__)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"recipe": "flicker"}, "flickr30k, flickr8k, match"),
        ({"batch_size": 0}, "batch_size must be at least 1, not 0"),
        ({"epochs": (3, 0)}, "epochs must be at least 1, not 0"),
        ({"epochs": ()}, "epochs must be at least 1"),
        ({"lr_scale": 0.0}, "lr_scale must be above 0, not 0.0"),
        ({"lr_scale": float("nan")}, "lr_scale must be above 0, not nan"),
        ({"pooling": "max"}, "pooling must be one of mean, cls, not 'max'"),
        ({"mixed_precision": "int8"}, "mixed_precision must be one of no, bf16, fp16"),
        ({"data": "mnist"}, "data 'mnist': recipe scenes is not trained on labelled pictures"),
    ],
)
def test_what_cannot_be_trained_names_the_field_and_the_value(given: dict[str, Any], message: str):
    with pytest.raises(InputError, match=message):
        TrainConfig(**{"recipe": "scenes", **given})


def test_epochs_of_too_few_phases_name_them():
    with pytest.raises(InputError, match=r"epochs 1, 2, 3: recipe flickr30k has 2 phases \(heads, finetune\)"):
        chosen_recipe(TrainConfig(recipe="flickr30k", epochs=(1, 2, 3)))


def test_only_what_weights_depend_on_keeps_a_run_from_going_on():
    began = TrainConfig(recipe="scenes", epochs=3, images="photos").as_dict()
    moved = TrainConfig(recipe="scenes", epochs=3, images="elsewhere", resume=True, out="runs/other", cpu=True)
    assert moved.differences(began) == []
    other = TrainConfig(recipe="scenes", epochs=4, seed=1)
    assert other.differences(began) == ["epochs [3] → [4]", "seed by default → 1"]
