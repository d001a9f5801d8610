from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from crossmodal.datasets.sources import Source
from crossmodal.errors import InputError, TrainingError
from crossmodal.images.transforms import ImageTransform
from crossmodal.models.backbones.registry import Backbone
from crossmodal.models.dual import CrossModalModel
from crossmodal.models.encoders import ImageEncoder, TextEncoder, tiny_text_config
from crossmodal.models.names import OWN_TEXT_MODELS
from crossmodal.models.tokenizer import TextTokenizer
from crossmodal.recipes import RECIPES, Phase, recipe_named, smoke
from crossmodal.training.objectives import EmbeddingObjective, diagnose
from crossmodal.training.phases import learning_rate_factor, parameter_groups, set_trainable
from crossmodal.training.trainer import Epoch, Step, Trainer

COLOURS = {"red": 0, "green": 1, "blue": 2}
HEADS = Phase("heads", epochs=2, batch_size=4, smallest_crop=1.0)
TOWERS = Phase("towers", epochs=2, batch_size=4, image_lr=1e-3, text_lr=1e-3, jitter=0.1, average=0.9)


def colour_source(tokenizer: TextTokenizer, count: int = 12, seed: int = 0) -> Source:
    """Noisy pictures in one of three colours, with two captions that name it."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 60, (count, 3, 32, 32), dtype=np.uint8)
    captions = []
    for row in range(count):
        name = list(COLOURS)[row % 3]
        pixels[row, COLOURS[name]] += 180
        captions.append(tuple(tokenizer.ids([f"a {name} thing", f"it is {name} all over"])))
    return Source("colours", pixels, tuple(captions))


def make_trainer(phases: Sequence[Phase], seed: int = 0, count: int = 12) -> Trainer:
    torch.manual_seed(seed)
    tokenizer = TextTokenizer.trained_on([f"a {name} thing it is all over" for name in COLOURS])
    text = TextEncoder(dimension=8, config=tiny_text_config(tokenizer.vocabulary_size))
    model = CrossModalModel(ImageEncoder("mobilenet_v2", 8), text)
    source = colour_source(tokenizer, count)
    validation = colour_source(tokenizer, 6, 1)
    return Trainer(EmbeddingObjective(model, tokenizer, ImageTransform(32), [source], [validation]), phases, seed)


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.state()[0].items()}


@pytest.mark.parametrize("stop", [1, 4, 7, 8, 9, 12])
def test_a_run_stopped_anywhere_resumes_to_the_bit(stop: int):
    phases = (HEADS, TOWERS)
    unbroken = make_trainer(phases)
    expected = [event.loss for event in unbroken.run() if isinstance(event, Step)]
    first = make_trainer(phases)
    losses, saved = [], None
    for number, event in enumerate(first.run(), 1):
        losses += [event.loss] if isinstance(event, Step) else []
        if number == stop:
            tensors, position = first.state()
            saved = {name: tensor.clone() for name, tensor in tensors.items()}, dict(position)
            break
    assert saved is not None
    second = make_trainer(phases, seed=0)
    with torch.no_grad():
        for parameter in second.model.parameters():
            parameter.zero_()  # whatever a new process starts from must not matter
    second.restore(*saved)
    losses += [event.loss for event in second.run() if isinstance(event, Step)]
    assert losses == expected
    for name, tensor in weights(unbroken).items():
        assert torch.equal(weights(second)[name], tensor), name


def test_two_seeds_give_two_runs():
    runs = [[e.loss for e in make_trainer([TOWERS], seed).run() if isinstance(e, Step)] for seed in (0, 1)]
    assert runs[0] != runs[1]


def test_a_state_of_another_run_is_refused():
    trainer = make_trainer([HEADS])
    tensors, position = trainer.state()
    with pytest.raises(TrainingError, match="seed"):
        make_trainer([HEADS], seed=5).restore(tensors, position)


def test_heads_learn_what_the_captions_say():
    trainer = make_trainer([replace(HEADS, epochs=30, batch_size=12, head_lr=0.03)], count=24)
    trainer.model.image.backbone = Backbone(nn.Sequential(nn.Identity()), nn.Identity(), has_map=True)  # mean colour
    trainer.model.image.projection = nn.Linear(3, 8)
    last = [event for event in trainer.run() if isinstance(event, Epoch)][-1].entry
    # two of six validation pictures share a colour: told apart by it, a caption finds its own first half of the time
    assert last["text_to_image"]["R@1"] == 50
    assert last["text_to_image"]["R@5"] == 100


def test_every_picture_is_seen_once_an_epoch_with_one_of_its_captions():
    trainer = make_trainer([replace(TOWERS, batch_size=5)])
    plan = trainer._plan(trainer.phases[0])
    rows = np.concatenate([batch.rows for batch in plan])
    assert len(rows) == len(set(rows.tolist())) == 10  # 12 pictures, batches of 5, the rest waits for another epoch
    assert {int(choice) for batch in plan for choice in batch.choices} == {0, 1}


def test_a_share_of_a_source_is_drawn_again_every_epoch():
    trainer = make_trainer([replace(TOWERS, batch_size=3)], count=24)
    objective = trainer.objective
    objective.sources = (replace(objective.sources[0], share=0.5),)
    seen = []
    for epoch in range(2):
        trainer.position.epoch = epoch
        seen.append(frozenset(int(row) for batch in trainer._plan(trainer.phases[0]) for row in batch.rows))
    assert [len(rows) for rows in seen] == [12, 12]
    assert seen[0] != seen[1]


def test_heads_only_leaves_both_backbones_untouched():
    trainer = make_trainer([HEADS])
    before = weights(trainer)
    list(trainer.run())
    changed = {name for name, tensor in weights(trainer).items() if name in before and not before[name].equal(tensor)}
    assert changed == {
        "model.logit_scale",
        *(f"model.{tower}.projection.{part}" for tower in ("image", "text") for part in ("weight", "bias")),
    }


def test_frozen_batch_norm_keeps_its_statistics_and_frozen_stages_their_weights():
    phase = replace(TOWERS, epochs=1, freeze_image_stages=3, freeze_word_embeddings=True)
    trainer = make_trainer([phase])
    before = weights(trainer)
    list(trainer.run())
    after = weights(trainer)
    kept = [name for name in before if "running_" in name or ".stages.0." in name or ".stages.2." in name]
    kept += [name for name in before if "word_embeddings" in name]
    assert len(kept) > 10
    assert all(before[name].equal(after[name]) for name in kept)
    assert not before["model.image.backbone.stages.5.conv.0.0.weight"].equal(
        after["model.image.backbone.stages.5.conv.0.0.weight"]
    )


def test_frozen_parts_run_in_eval_mode():
    trainer = make_trainer([HEADS])
    set_trainable(trainer.model, HEADS)
    assert not trainer.model.image.backbone.training
    assert not trainer.model.text.transformer.training
    assert trainer.model.image.dropout.training
    set_trainable(trainer.model, TOWERS)
    norms = [module for module in trainer.model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert not any(module.training for module in norms)
    assert trainer.model.text.transformer.training


def test_no_decay_on_1d_parameters_and_each_part_has_its_rate():
    trainer = make_trainer([TOWERS])
    set_trainable(trainer.model, replace(TOWERS, text_lr=2e-3))
    groups = parameter_groups(trainer.model, replace(TOWERS, text_lr=2e-3, weight_decay=0.3))
    for group in groups:
        assert all((p.ndim > 1) == (group["weight_decay"] == 0.3) for p in group["params"])
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    model = trainer.model
    assert rates[id(model.image.projection.weight)] == TOWERS.head_lr
    assert rates[id(model.text.projection.bias)] == TOWERS.head_lr
    assert rates[id(next(model.text.transformer.parameters()))] == 2e-3
    assert len(rates) == len(list(model.parameters()))


def test_the_rate_warms_up_and_falls_to_nothing():
    factors = [learning_rate_factor(step, 100, 0.1) for step in range(100)]
    assert factors[0] < factors[5] < factors[9]
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert 0 < factors[-1] < 0.001


def test_patience_ends_a_phase_that_no_longer_improves():
    still = Phase("still", epochs=30, batch_size=4, head_lr=1e-12, patience=3, smallest_crop=1.0)
    epochs = [event for event in make_trainer([still]).run() if isinstance(event, Epoch)]
    assert len(epochs) == 4


def test_the_best_epoch_is_marked_and_its_weights_are_kept():
    trainer = make_trainer([replace(TOWERS, epochs=4)])
    best, marked = -1.0, []
    for event in trainer.run():
        if isinstance(event, Epoch):
            marked.append(event.best == (event.entry["rsum"] > best))
            best = max(best, event.entry["rsum"])
            assert set(trainer.evaluated) == set(trainer.model.state_dict())
    assert all(marked)


def test_averaged_weights_are_what_is_validated():
    trainer = make_trainer([replace(TOWERS, epochs=1, average=0.99)])
    list(trainer.run())
    assert torch.equal(trainer.evaluated["image.projection.weight"], trainer.model.image.projection.weight)
    raw = make_trainer([replace(TOWERS, epochs=1, average=0.0)])
    list(raw.run())
    assert not torch.equal(raw.evaluated["image.projection.weight"], trainer.evaluated["image.projection.weight"])


def test_a_loss_that_is_no_number_stops_with_advice():
    trainer = make_trainer([HEADS])
    with torch.no_grad():
        trainer.model.image.projection.weight.fill_(float("nan"))
    with pytest.raises(TrainingError, match="--lr-scale"):
        list(trainer.run())


def test_a_stuck_loss_and_collapsed_vectors_are_named():
    spread, same = torch.eye(4), torch.ones(4, 1)
    chance = ("ln(batch) = ln(64)", math.log(64))
    assert list(diagnose(1.0, chance, spread)) == []
    assert "ln(64)" in next(iter(diagnose(math.log(64) + 0.001, chance, spread)))
    assert "collapse" in next(iter(diagnose(1.0, chance, same)))
    assert list(diagnose(1.0, None, None)) == []


def test_sources_that_do_not_fit_are_refused():
    pixels = np.zeros((2, 3, 4, 4), np.uint8)
    with pytest.raises(InputError, match="2 pictures but captions of 1"):
        Source("photos", pixels, (([1],),))
    with pytest.raises(InputError, match="without captions"):
        Source("photos", pixels, (([1],), ()))


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_has_a_smoke_run_that_needs_nothing(name: str):
    recipe = smoke(recipe_named(name))
    assert (recipe.photos, recipe.image_weights) == (False, "none")
    assert recipe.text_model in ("tiny", *OWN_TEXT_MODELS)
    assert recipe.scenes or recipe.labelled == "drawn_digits"
    assert all(phase.epochs == 1 for phase in recipe.phases)


def test_an_unknown_recipe_lists_those_there_are():
    with pytest.raises(InputError, match="flickr30k, flickr8k, match, mnist_labels"):
        recipe_named("flicker")


def test_a_phase_ends_when_it_is_good_enough_and_the_next_begins_again():
    enough = replace(HEADS, epochs=9, until=1.0)  # any model finds something among six pictures
    epochs = [
        event.entry["phase"]
        for event in make_trainer([enough, replace(enough, name="again")]).run()
        if isinstance(event, Epoch)
    ]
    assert epochs == ["heads", "again"]
    never = make_trainer([replace(HEADS, epochs=3, until=601.0)])
    assert len([event for event in never.run() if isinstance(event, Epoch)]) == 3


@pytest.mark.parametrize("stop", [2, 4, 5])
def test_a_run_whose_phase_ends_early_resumes_to_the_bit(stop: int):
    phases = (replace(HEADS, epochs=5, until=1.0, average=0.9), replace(TOWERS, epochs=1))
    unbroken = make_trainer(phases)
    expected = [event.loss for event in unbroken.run() if isinstance(event, Step)]
    assert len(expected) == 6  # the first phase has one epoch of three steps, not five
    first, losses = make_trainer(phases), []
    for _, event in zip(range(stop), first.run(), strict=False):
        losses += [event.loss] if isinstance(event, Step) else []
    tensors, position = first.state()
    second = make_trainer(phases, seed=0)
    second.restore({name: tensor.clone() for name, tensor in tensors.items()}, dict(position))
    losses += [event.loss for event in second.run() if isinstance(event, Step)]
    assert losses == expected
    for name, tensor in weights(unbroken).items():
        assert torch.equal(weights(second)[name], tensor), name


def test_rates_halve_every_so_many_epochs_and_do_not_warm_up():
    trainer = make_trainer([replace(HEADS, epochs=5, batch_size=6, head_lr=0.08, halve_every=2)])
    found = [trainer._optimizer.param_groups[0]["lr"] for event in trainer.run() if isinstance(event, Step)]
    assert found == pytest.approx([0.08] * 4 + [0.04] * 4 + [0.02] * 2)


def test_a_balanced_source_draws_every_label_equally_often():
    trainer = make_trainer([replace(TOWERS, batch_size=4)], count=12)
    labels = np.array([0] * 9 + [1] * 3)
    trainer.objective.sources = (replace(trainer.objective.sources[0], labels=labels, balanced=True),)
    rows = np.concatenate([batch.rows for batch in trainer._plan(trainer.phases[0])])
    assert np.bincount(labels[rows]).tolist() == [6, 6]
