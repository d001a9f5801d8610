from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from crossmodal.datasets.sources import Source, Words
from crossmodal.errors import InputError
from crossmodal.evaluation.model_card import model_card
from crossmodal.evaluation.reports import checkpoint_report
from crossmodal.evaluation.retrieval import Report, ScoreReport, retrieval_report
from crossmodal.images.transforms import ImageTransform
from crossmodal.models.checkpoint import AnyModel, Checkpoint, model_config
from crossmodal.models.dual import CrossModalModel
from crossmodal.models.encoders import ImageEncoder
from crossmodal.models.heads import ImageDecoder, MatchHead
from crossmodal.models.scorer import PairScorer
from crossmodal.models.text_towers import RecurrentEncoder
from crossmodal.models.tokenizer import TextTokenizer
from crossmodal.recipes import recipe_named

NAMES = ("ring", "bar", "dot")
HISTORY = {"epochs": [{"seconds": 60.0}, {"seconds": 120.0}]}


def source(labelled: bool) -> tuple[Source, TextTokenizer]:
    """Six pictures of noise with two captions each, or of three labels."""
    tokenizer = TextTokenizer.of_words([*NAMES, *(f"picture{row} seen again" for row in range(6))])
    pixels = np.random.default_rng(0).integers(0, 256, (6, 3, 28, 28), dtype=np.uint8)
    if not labelled:
        captions = tuple(tuple(tokenizer.ids([f"picture{row}", f"picture{row} seen again"])) for row in range(6))
        return Source("photos", pixels, captions), tokenizer
    labels, ids = np.arange(6) % 3, tuple(tokenizer.ids(NAMES))
    words = Words(NAMES, ids, np.arange(3), np.zeros(3, np.bool_))
    return Source("shapes", pixels, tuple((ids[label],) for label in labels), labels=labels, words=words), tokenizer


def checkpoint(tokenizer: TextTokenizer, decoder: bool = False, scorer: bool = False, **facts: Any) -> Checkpoint:
    torch.manual_seed(0)
    image, text = ImageEncoder("digit_cnn", 8), RecurrentEncoder("gru", tokenizer.vocabulary_size, 8, 6, (10,))
    transform = ImageTransform.in_range(28, "unit")
    model: AnyModel = CrossModalModel(image, text, decoder=ImageDecoder(8, 8) if decoder else None)
    if scorer:
        model = PairScorer(image, text, MatchHead(8, 8))
    config = model_config(model, "digit_cnn", tokenizer, transform, **facts)
    return Checkpoint(model.eval(), tokenizer, transform, config, Path("made-up"))


def test_captions_are_judged_by_retrieval():
    pictures, tokenizer = source(labelled=False)
    loaded = checkpoint(tokenizer)
    report = checkpoint_report(loaded, pictures, {"split": "val"})
    image = loaded.model.embed_images(torch.from_numpy(pictures.pixels), loaded.transform)
    text = loaded.model.embed_texts(pictures.all_captions, tokenizer)
    assert isinstance(report, Report)
    assert report.rsum == retrieval_report(image, text, torch.arange(6).repeat_interleave(2)).rsum
    assert report.protocol["split"] == "val"


@pytest.mark.parametrize(
    ("facts", "kind"), [({"judged_by": "labels"}, "labels"), ({"judged_by": "classes"}, "classes"), ({}, "classes")]
)
def test_labelled_pictures_are_judged_as_the_config_says(facts: dict[str, str], kind: str):
    pictures, tokenizer = source(labelled=True)
    report = checkpoint_report(checkpoint(tokenizer, **facts), pictures, {"split": "val"})
    assert isinstance(report, ScoreReport)
    assert (report.kind, report.protocol["pictures"]) == (kind, 6)
    assert "reconstruction error" not in report.values


def test_what_a_decoder_draws_is_compared_with_the_picture_and_seen_again():
    pictures, tokenizer = source(labelled=True)
    loaded = checkpoint(tokenizer, decoder=True)
    values = checkpoint_report(loaded, pictures, {}).values
    pixels = torch.from_numpy(pictures.pixels)
    image = loaded.model.embed_images(pixels, loaded.transform)
    drawn = loaded.model.decode(image)
    error = (drawn - pixels.float().mean(1, keepdim=True) / 255).square().mean()
    again = loaded.model.embed_images((drawn * 255).round().to(torch.uint8).expand(-1, 3, -1, -1), loaded.transform)
    assert values["reconstruction error"] == pytest.approx(float(error), abs=1e-4)
    assert values["reconstruction cosine"] == pytest.approx(float((image * again).sum(1).mean()), abs=1e-4)


def test_a_pair_scorer_is_judged_by_pairs():
    pictures, tokenizer = source(labelled=False)
    report = checkpoint_report(checkpoint(tokenizer, scorer=True), pictures, {"split": "val"})
    assert isinstance(report, ScoreReport)
    assert (report.kind, report.protocol["pairs"]) == ("pairs", "12 true and 12 false")
    assert report.protocol["split"] == "val"


def test_words_without_labels_cannot_be_judged():
    pictures, tokenizer = source(labelled=True)
    with pytest.raises(InputError, match="shapes has no labels to be judged by"):
        checkpoint_report(checkpoint(tokenizer), replace(pictures, labels=None), {})


@pytest.mark.parametrize("labelled", [False, True])
def test_every_report_is_plain_json_and_can_be_read(labelled: bool):
    pictures, tokenizer = source(labelled)
    for facts in ({"judged_by": "labels"}, {"scorer": True}):
        report = checkpoint_report(checkpoint(tokenizer, **facts), pictures, {"split": "val"})
        values = report.as_dict()
        assert json.loads(json.dumps(values, allow_nan=False)) == values
        assert len(str(report).splitlines()) > 2


def scores(warnings: tuple[str, ...] = (), **values: float) -> ScoreReport:
    rows = ({"form": "tres", "true cosine": 0.5},)
    return ScoreReport("labels", 1.0, "nearly all right", values, {"split": "s"}, {}, rows, warnings)


def test_a_score_report_is_told_in_full():
    lines = str(scores(("the embeddings collapse",), accuracy=98.76543)).splitlines()
    assert lines[:2] == ["nearly all right", "accuracy: 98.77"]
    assert lines[3:5] == ["form  true cosine", "tres  0.5"]
    assert lines[-1] == "warning: the embeddings collapse"


def test_a_card_sets_the_splits_side_by_side_and_repeats_warnings():
    reports = {
        "mnist val": scores(accuracy=99.123456, cosine=0.5),
        "mnist test": scores(("a collapse",), accuracy=98.0),
    }
    card = model_card(recipe_named("arcface"), "python x", 3, {"mnist": 55000}, HISTORY, reports)
    table = card[card.index("| |") :].splitlines()[:4]
    assert table == [
        "| | mnist val | mnist test |",
        "|---|---|---|",
        "| accuracy | 99.12 | 98 |",
        "| cosine | 0.5 | – |",
    ]
    assert "- mnist test: a collapse" in card
    assert "image → text" not in card
    for fact in (
        "# arcface",
        "55,000 mnist, every label equally often",
        "`python x`",
        "Seed: 3",
        "Epochs: 2, 3 minutes",
    ):
        assert fact in card, fact


def test_a_card_of_retrieval_has_its_recalls():
    report = retrieval_report(torch.eye(2), torch.eye(2), torch.arange(2), {"split": "s"})
    card = model_card(recipe_named("flickr8k"), "python x", 0, {"photos": 6000}, HISTORY, {"photos val": report})
    assert "| photos val | 2 | 2 | 100.0 / 100.0 / 100.0 | 100.0 / 100.0 / 100.0 | 600.0 (600.0 to 600.0) |" in card
    assert "one random caption a picture an epoch" in card


def test_a_card_of_a_pair_scorer_promises_no_vectors():
    card = model_card(
        recipe_named("match"), "python x", 0, {"photos": 6000}, HISTORY, {"photos val": scores(accuracy=70)}
    )
    assert "a probability for a pair" in card
    assert "dimensions" not in card
