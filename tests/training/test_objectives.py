"""What a step minimises: which texts a picture meets, where gradients go, and what a phase leaves alone."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from crossmodal.datasets.sources import Source
from crossmodal.errors import InputError
from crossmodal.images.transforms import ImageTransform
from crossmodal.models.dual import CrossModalModel
from crossmodal.models.encoders import ImageEncoder
from crossmodal.models.heads import ImageDecoder
from crossmodal.models.text_towers import LabelEncoder, RecurrentEncoder
from crossmodal.models.tokenizer import TextTokenizer
from crossmodal.recipes import Phase
from crossmodal.training.losses import LOSSES
from crossmodal.training.objectives import Batch, EmbeddingObjective
from crossmodal.training.phases import set_trainable
from crossmodal.training.trainer import Trainer
from tests.tiny_sources import PLAIN, batch_of, captioned, labelled, pictures, step

HEADS = replace(PLAIN, image_lr=0.0, text_lr=0.0)
DECODE = replace(HEADS, head_lr=0.0, decoder_lr=1e-2, vectors=0.0, reconstruction=1.0, freeze_batch_norm=False)
BOTH = replace(PLAIN, text_lr=0.0, decoder_lr=1e-2, reconstruction=10.0)


def embedding(
    data: tuple[TextTokenizer, Source], loss: str = "symmetric_clip", decoder: bool = False, **more: Any
) -> EmbeddingObjective:
    torch.manual_seed(0)
    tokenizer, source = data
    size = tokenizer.vocabulary_size
    text = RecurrentEncoder("gru", size, 8, 6, (10,)) if source.words is None else LabelEncoder(size, 8)
    model = CrossModalModel(
        ImageEncoder("digit_cnn", 8),
        text,
        logit_bias=-1.0 if loss == "siglip" else None,
        decoder=ImageDecoder(8, 8) if decoder else None,
    )
    transform = ImageTransform.in_range(28, "symmetric")
    return EmbeddingObjective(model, tokenizer, transform, [source], [source], loss, **more)


def for_loss(loss: str, **more: Any) -> EmbeddingObjective:
    return embedding(labelled() if LOSSES[loss].texts == "labels" else captioned(), loss, **more)


def seen(objective: EmbeddingObjective, batch: Batch) -> tuple[Tensor, Tensor]:
    """The similarity and the matches that the loss is given for a batch."""
    found: list[tuple[Tensor, Tensor]] = []

    def spy(similarity: Tensor, positive: Tensor, *scalars: Tensor, **options: Any) -> Tensor:
        del scalars, options
        found.append((similarity.detach(), positive))
        return similarity.sum()

    objective.loss = replace(objective.loss, compute=spy)
    step(objective, PLAIN, batch)
    return found[0]


# -- vectors: what a picture is compared with -------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
def test_a_step_of_every_loss_gives_finite_gradients_to_both_towers(loss: str):
    value, gradients = step(for_loss(loss), PLAIN, batch_of(range(6)))
    assert math.isfinite(value)
    assert all(bool(gradient.isfinite().all()) for gradient in gradients.values())
    trunk = "text.vectors.weight" if LOSSES[loss].texts == "labels" else "text.recurrent.layers.0.weight_ih_l0"
    for name in ("image.backbone.stages.1.0.weight", "image.projection.weight", trunk, *LOSSES[loss].scalars):
        assert gradients[name].abs().sum() > 0, name


def test_one_caption_a_picture_is_the_chosen_one():
    objective = for_loss("symmetric_clip")
    similarity, positive = seen(objective, batch_of([2, 4], [1, 0]))
    assert positive.tolist() == [[True, False], [False, True]]
    captions = objective.sources[0].captions
    model, pixels = objective.model, torch.from_numpy(objective.sources[0].pixels)
    image = model.embed_images(pixels[[2, 4]], objective.transform)
    text = model.embed_texts([captions[2][1], captions[4][0]], objective.tokenizer)
    assert torch.allclose(similarity, image @ text.T, atol=1e-5)


def test_several_positives_see_all_captions_of_a_picture_as_its_own():
    objective = for_loss("multi_positive_clip")
    similarity, positive = seen(objective, batch_of([2, 0, 4]))  # of three captions, one and two
    assert positive.tolist() == [
        [True, True, True, False, False, False],
        [False, False, False, True, False, False],
        [False, False, False, False, True, True],
    ]
    captions = objective.sources[0].captions
    text = objective.model.embed_texts([*captions[2], *captions[0], *captions[4]], objective.tokenizer)
    image = objective.model.embed_images(torch.from_numpy(pictures(6)[[2, 0, 4]]), objective.transform)
    assert torch.allclose(similarity, image @ text.T, atol=1e-5)


def test_pictures_of_one_label_match_each_others_words():
    _, positive = seen(embedding(labelled(), "contrastive"), batch_of([0, 1, 3]))
    assert positive.tolist() == [[True, False, True], [False, True, False], [True, False, True]]


def test_a_loss_on_labels_sees_every_label():
    similarity, positive = seen(for_loss("arcface"), batch_of([1, 2, 4, 5, 0]))
    assert positive.int().tolist() == [[0, 1, 0], [0, 0, 1], [0, 1, 0], [0, 0, 1], [1, 0, 0]]
    assert similarity.abs().max() <= 1 + 1e-6


def test_softmax_sees_plain_products_and_arcface_cosines():
    for loss, unit in (("softmax", False), ("arcface", True)):
        objective = for_loss(loss)
        with torch.no_grad():
            objective.model.text.vectors.weight *= 1e4
        similarity, _ = seen(objective, batch_of(range(6)))
        assert bool(similarity.abs().max() < 1.001) == unit


def test_the_first_epoch_has_options_of_its_own_and_the_others_are_handed_on():
    hardest = []
    for margin in (0.2, 0.5):
        objective = for_loss("triplet", options={"margin": margin})
        with torch.no_grad():
            objective.model.image.projection.weight.zero_()  # every picture has one vector
        values = [step(objective, PLAIN, batch_of(range(6)), first)[0] for first in (True, False)]
        assert values[0] > 2 * values[1] > 0  # all five wrong ones, then the hardest alone
        hardest.append(values[1])
    assert hardest[1] - hardest[0] == pytest.approx(2 * 0.3, abs=1e-5)  # both ways
    assert for_loss("arcface").chance(6) is None
    assert for_loss("symmetric_clip").chance(6) == ("ln(batch) = ln(6)", math.log(6))


@pytest.mark.parametrize("phase", [PLAIN, HEADS], ids=["pixels", "cached"])
@pytest.mark.parametrize("chunk", [1, 4])
@pytest.mark.parametrize("loss", ["symmetric_clip", "triplet", "multi_positive_clip", "arcface", "contrastive"])
def test_a_step_in_chunks_gives_the_gradients_of_the_whole_batch(loss: str, chunk: int, phase: Phase):
    batch = batch_of([5, 2, 0, 1, 4, 3])
    value, expected = step(for_loss(loss), phase, batch)
    chunked, gradients = step(for_loss(loss), replace(phase, chunk=chunk), batch)
    assert chunked == pytest.approx(value, abs=1e-5)
    assert gradients.keys() == expected.keys()
    for name, gradient in expected.items():
        assert torch.allclose(gradients[name], gradient, atol=1e-5), name


@pytest.mark.parametrize("loss", ["symmetric_clip", "multi_positive_clip", "arcface", "softmax"])
def test_cached_features_give_the_loss_of_the_pixels(loss: str):
    batch = batch_of(range(6))
    value, gradients = step(for_loss(loss), HEADS, batch)
    uncached = for_loss(loss)
    uncached.prepare = lambda _: None
    expected, wanted = step(uncached, HEADS, batch)
    assert value == pytest.approx(expected, abs=1e-5)
    assert gradients.keys() == wanted.keys()
    assert all(torch.allclose(gradients[name], wanted[name], atol=1e-5) for name in wanted)


def test_a_cached_mirror_comes_with_the_mirrored_pixels():
    objective = embedding(labelled(), "arcface", decoder=True)
    phase = replace(DECODE, mirror=True)
    set_trainable(objective.model, phase)
    objective.prepare(phase)
    torch.manual_seed(0)
    with torch.no_grad():
        vectors, values = objective._image_vectors(phase, batch_of(list(range(6)) * 3))
    again = objective.model.embed_images(values.to(torch.uint8), objective.transform)
    assert torch.allclose(vectors, again, atol=1e-5)
    mirrored = (values != torch.from_numpy(pictures(6)).repeat(3, 1, 1, 1)).flatten(1).any(1)
    assert 4 < int(mirrored.sum()) < 14


def test_a_phase_without_mirror_caches_none():
    objective = embedding(labelled(), "arcface", decoder=True)
    objective.prepare(DECODE)
    torch.manual_seed(0)
    with torch.no_grad():
        _, values = objective._image_vectors(DECODE, batch_of(list(range(6)) * 3))
    assert torch.equal(values, torch.from_numpy(pictures(6)).repeat(3, 1, 1, 1).float())


# -- phases with a decoder --------------------------------------------------------------------------------------------


def changed_by(phase: Phase) -> tuple[set[str], set[str]]:
    """Names of the tensors that a phase changes, and of those that it leaves as they were."""
    objective = embedding(labelled(12), "arcface", decoder=True, judged_by="classes")
    before = {name: tensor.clone() for name, tensor in objective.model.state_dict().items()}
    list(Trainer(objective, [phase]).run())
    after = objective.model.state_dict()
    changed = {name for name in before if not before[name].equal(after[name])}
    return changed, before.keys() - changed


def test_a_decoders_phase_changes_nothing_but_the_decoder():
    changed, kept = changed_by(DECODE)
    assert changed
    assert {name.split(".")[0] for name in changed} == {"decoder"}
    assert not [name for name in kept if name.startswith("decoder.")]  # its batch norms learn as well


def test_training_both_leaves_centres_and_batch_norm_statistics_alone():
    changed, kept = changed_by(BOTH)
    statistics = {name for name in changed | kept if "running_" in name or "num_batches" in name}
    assert len(statistics) > 10
    assert kept >= statistics
    assert "text.vectors.weight" in kept
    assert {"image.backbone.stages.1.0.weight", "image.projection.weight", "decoder.pixels.weight"} <= changed


def test_reconstruction_is_weighed_and_added_to_the_loss_on_vectors():
    objective = embedding(labelled(), "arcface", decoder=True)
    batch = batch_of(range(6))
    parts = [
        step(objective, replace(PLAIN, vectors=vectors, reconstruction=drawn), batch)[0]
        for vectors, drawn in ((1.0, 0.0), (0.0, 1.0), (2.0, 3.0))
    ]
    assert parts[2] == pytest.approx(2 * parts[0] + 3 * parts[1], rel=1e-5)
    assert 0 < parts[1] < 1


def test_a_decoder_that_is_not_there_cannot_be_trained():
    with pytest.raises(InputError, match="phase plain trains a decoder, but the recipe has none"):
        step(for_loss("arcface"), DECODE, batch_of(range(6)))


# -- verdicts ---------------------------------------------------------------------------------------------------------


def test_gradient_caching_refuses_a_decoder():
    objective = embedding(labelled(), "arcface", decoder=True)
    with pytest.raises(InputError, match="gradient caching does not serve"):
        step(objective, replace(BOTH, chunk=2), batch_of(range(6)))


def test_a_loss_is_refused_where_the_model_lacks_its_scalar():
    objective = for_loss("symmetric_clip")
    parts = (objective.model, objective.tokenizer, objective.transform, objective.sources, objective.validation)
    with pytest.raises(InputError, match="needs a model with logit_bias"):
        EmbeddingObjective(*parts, "siglip")


def test_an_epoch_of_captions_is_judged_by_retrieval_cached_or_not():
    objective = for_loss("symmetric_clip")
    objective.validation = (captioned()[1], replace(captioned()[1], name="scenes"))
    plain = objective.judge(HEADS)
    objective.prepare(HEADS)
    cached = objective.judge(HEADS)
    assert plain.score == cached.score == plain.entry["rsum"]
    assert plain.entry["other rsum"] == {"scenes": plain.score}
    assert plain.entry["logit_scale"] == pytest.approx(1 / 0.07)
    assert torch.allclose(plain.image, cached.image, atol=1e-5)
    assert plain.similarity.shape == (6, 6)


@pytest.mark.parametrize(("judged_by", "curve"), [("labels", "true cosine"), ("classes", "precision@10")])
def test_an_epoch_of_labels_is_judged_as_told(judged_by: str, curve: str):
    verdict = embedding(labelled(), "arcface", judged_by=judged_by).judge(PLAIN)
    assert curve in verdict.entry["scores"]
    assert "logit_scale" not in verdict.entry  # arcface has none
    assert verdict.similarity.shape == (6, 6)


def test_what_a_decoder_draws_is_judged_in_its_own_phases():
    objective = embedding(labelled(), "arcface", decoder=True, judged_by="classes")
    alone, drawn = objective.judge(PLAIN), objective.judge(DECODE)
    assert "reconstruction cosine" not in alone.entry["scores"]
    error = alone.score + drawn.entry["scores"]["reconstruction cosine"] - drawn.score
    assert 0 < error < 100  # the cosine counts for the score, less the error of the drawings


def test_a_collapsed_model_is_warned_of_after_its_epoch():
    objective = embedding(labelled(), "contrastive", judged_by="labels")
    with torch.no_grad():
        objective.model.image.projection.weight.zero_()
        objective.model.text.vectors.weight.fill_(1.0)
    assert "collapse" in objective.judge(PLAIN).warnings[0]


@pytest.mark.parametrize("loss", ["arcface", "softmax"])
def test_a_loss_on_labels_is_refused_without_them(loss: str):
    with pytest.raises(InputError, match=f"--loss {loss}: this loss needs labelled pictures"):
        embedding(captioned(), loss)


def test_nothing_to_train_or_to_validate_on_is_refused():
    tokenizer, source = captioned()
    model = embedding((tokenizer, source)).model
    for sources, validation in (([], [source]), ([source], [])):
        with pytest.raises(InputError, match="pictures to train and to validate on"):
            EmbeddingObjective(model, tokenizer, ImageTransform(28), sources, validation)
