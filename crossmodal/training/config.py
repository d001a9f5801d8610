"""From a recipe and a person's options to the recipe that runs, and to its model with random or pretrained weights."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from crossmodal.errors import InputError
from crossmodal.images.transforms import ImageTransform
from crossmodal.models.dual import CrossModalModel
from crossmodal.models.encoders import ImageEncoder, declared_pooling
from crossmodal.models.heads import ImageDecoder, MatchHead
from crossmodal.models.names import OWN_TEXT_MODELS, TINY_TEXT_MODEL
from crossmodal.models.scorer import PairScorer
from crossmodal.models.text_towers import build_text_tower, text_config
from crossmodal.models.timm_backbones import PREFIX, timm_preprocessing
from crossmodal.models.tokenizer import TextTokenizer, tokenizer_for
from crossmodal.recipes import Recipe, recipe_named, smoke
from crossmodal.recipes.base import HEADS
from crossmodal.training.data import SplitPictures
from crossmodal.training.losses import loss_named

SIGLIP_BIAS = -10.0  # Zhai et al. 2023: at first nearly every pair is false
SCORER_WIDTHS = (512, 256)  # of a pair scorer's picture side and text side


def chosen_recipe(options: argparse.Namespace) -> Recipe:
    """The recipe with the options that were given in place of its own values. Raises InputError."""
    recipe = recipe_named(options.recipe)
    if options.data and not recipe.labelled:
        raise InputError(f"recipe {recipe.name} is not trained on labelled pictures: --data has no meaning for it")
    if options.data:
        recipe = replace(recipe, labelled=options.data)
    if options.smoke:
        recipe = smoke(recipe)
    if options.heads_only:
        recipe = replace(recipe, phases=(replace(HEADS, epochs=1) if options.smoke else HEADS,))
    if options.loss:
        recipe = _with_loss(recipe, options.loss)
    pooling = options.pooling or (declared_pooling(options.text_model) if options.text_model else None)
    given = {
        "image_backbone": options.image_backbone,
        "image_weights": options.image_weights,
        "image_size": options.image_size or _own_size(options.image_backbone),
        "text_model": options.text_model,
        "dimension": options.dimension,
        "pooling": pooling,
    }
    recipe = replace(recipe, **{name: value for name, value in given.items() if value is not None})
    return _with_phases(recipe, options)


def image_transform(recipe: Recipe) -> ImageTransform:
    """How pictures become pixels: as the recipe says, and for a network of timm's as its own configuration says."""
    if not recipe.image_backbone.startswith(PREFIX):
        return ImageTransform.in_range(recipe.image_size, recipe.value_range)
    own = timm_preprocessing(recipe.image_backbone)
    return ImageTransform(size=recipe.image_size, mean=own.mean, std=own.std, interpolation=own.interpolation)


def _own_size(backbone: str | None) -> int | None:
    """The side that a network of timm's was made for; torchvision's take the recipe's."""
    return timm_preprocessing(backbone).size if backbone is not None and backbone.startswith(PREFIX) else None


def _with_loss(recipe: Recipe, name: str) -> Recipe:
    loss = loss_named(name)
    if recipe.kind != "dual_encoder":
        raise InputError(f"recipe {recipe.name} scores pairs: --loss is for recipes that give vectors")
    if loss.texts == "labels" and not recipe.labelled:
        raise InputError(f"--loss {name} needs labelled pictures, recipe {recipe.name} has captions")
    return replace(recipe, loss=name, loss_options={})


def _with_phases(recipe: Recipe, options: argparse.Namespace) -> Recipe:
    epochs = _epochs(options.epochs, recipe) if options.epochs else [phase.epochs for phase in recipe.phases]
    if options.chunk is not None and (options.chunk < 1 or recipe.kind != "dual_encoder" or recipe.decoder):
        raise InputError(
            f"--chunk {options.chunk}: gradient caching takes chunks of at least 1 picture, for losses on vectors"
        )
    scale = options.lr_scale
    phases = [
        replace(
            phase,
            epochs=number,
            batch_size=options.batch_size or phase.batch_size,
            chunk=options.chunk or phase.chunk,
            head_lr=phase.head_lr * scale,
            image_lr=phase.image_lr * scale,
            text_lr=phase.text_lr * scale,
            decoder_lr=phase.decoder_lr * scale,
        )
        for phase, number in zip(recipe.phases, epochs, strict=True)
    ]
    return replace(recipe, phases=tuple(phases))


def _epochs(given: str, recipe: Recipe) -> list[int]:
    """Epochs of each phase, from one number for the last or one for each."""
    names = ", ".join(phase.name for phase in recipe.phases)
    try:
        numbers = [int(part) for part in given.split(",")]
    except ValueError:
        raise InputError(f"--epochs takes whole numbers, 5 or 5,3,2, not {given!r}") from None
    if min(numbers) < 1:
        raise InputError(f"--epochs must be at least 1, not {min(numbers)}")
    if len(numbers) == 1:
        return [*(phase.epochs for phase in recipe.phases[:-1]), numbers[0]]
    if len(numbers) != len(recipe.phases):
        raise InputError(f"--epochs {given}: recipe {recipe.name} has {len(recipe.phases)} phases ({names})")
    return numbers


def build_model(
    recipe: Recipe, splits: dict[str, list[SplitPictures]]
) -> tuple[CrossModalModel | PairScorer, TextTokenizer]:
    """Both towers as the recipe says, and the tokeniser; a vocabulary is of the training split alone."""
    texts = [text for part in splits["train"] for text in part.texts]
    tokenizer = tokenizer_for(recipe.text_model, texts, recipe.max_length)
    config: dict[str, Any] | None = None
    scorer = recipe.kind == "pair_scorer"
    image_width, text_width = SCORER_WIDTHS if scorer else (recipe.dimension, recipe.dimension)
    if recipe.text_model in (*OWN_TEXT_MODELS, TINY_TEXT_MODEL):
        config = text_config(recipe.text_model, tokenizer.vocabulary_size, text_width, recipe.max_length)
    image = ImageEncoder(recipe.image_backbone, image_width, weights=recipe.image_weights)
    text = build_text_tower(recipe.text_model, text_width, recipe.pooling, config)
    if scorer:
        return PairScorer(image, text, MatchHead(image_width, text_width)), tokenizer
    bias = SIGLIP_BIAS if "logit_bias" in loss_named(recipe.loss).scalars else None
    temperature = 0.1 if bias is not None else recipe.temperature  # Zhai et al. 2023: logits start at 10 · cosine
    decoder = ImageDecoder(recipe.dimension) if recipe.decoder else None
    learned = recipe.learn_temperature and bool(loss_named(recipe.loss).scalars)
    return CrossModalModel(image, text, temperature, learned, bias, decoder), tokenizer
