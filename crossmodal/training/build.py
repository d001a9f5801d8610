"""From a recipe to its model with random or pretrained weights, its tokeniser and how pictures become pixels."""

from __future__ import annotations

from typing import Any

from crossmodal.images.transforms import ImageTransform
from crossmodal.models.backbones.timm_networks import PREFIX, timm_preprocessing
from crossmodal.models.dual import CrossModalModel
from crossmodal.models.encoders import ImageEncoder
from crossmodal.models.heads import ImageDecoder, MatchHead
from crossmodal.models.names import OWN_TEXT_MODELS, TINY_TEXT_MODEL
from crossmodal.models.scorer import PairScorer
from crossmodal.models.text_towers import build_text_tower, text_config
from crossmodal.models.tokenizer import TextTokenizer, tokenizer_for
from crossmodal.recipes import Recipe
from crossmodal.training.data import SplitPictures
from crossmodal.training.losses import loss_named

SIGLIP_BIAS = -10.0  # Zhai et al. 2023: at first nearly every pair is false
SCORER_WIDTHS = (512, 256)  # of a pair scorer's picture side and text side


def image_transform(recipe: Recipe) -> ImageTransform:
    """How pictures become pixels: as the recipe says, and for a network of timm's as its own configuration says."""
    if not recipe.image_backbone.startswith(PREFIX):
        return ImageTransform.in_range(recipe.image_size, recipe.value_range)
    own = timm_preprocessing(recipe.image_backbone)
    return ImageTransform(size=recipe.image_size, mean=own.mean, std=own.std, interpolation=own.interpolation)


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
