"""Why a score is what it is: exact shares add up to it, approximations say that they are none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from crossmodal.errors import InputError
from crossmodal.images.transforms import ImageTransform
from crossmodal.inference.base import Encoder
from crossmodal.inference.encoder import open_encoder
from crossmodal.inference.explain import APPROXIMATE, Likeness, compare, explain, explain_images, seen_box
from crossmodal.models.attribution import image_parts, token_parts
from crossmodal.models.checkpoint import model_config, save_checkpoint
from crossmodal.models.dual import CrossModalModel
from crossmodal.models.encoders import ImageEncoder, TextEncoder, TextTower, tiny_text_config
from crossmodal.models.parts import Parts
from crossmodal.models.text_towers import LabelEncoder, LetterEncoder, RecurrentEncoder
from crossmodal.models.tokenizer import TextTokenizer
from crossmodal.models.words import MARKS

CAPTIONS = ["two dogs run on a beach", "a red car", "a man in a long coat stands near the station"]
Towers = Callable[[TextTokenizer], TextTower]


def transformer(pooling: str = "mean") -> Towers:
    return lambda tokenizer: TextEncoder(
        dimension=8, pooling=pooling, config=tiny_text_config(tokenizer.vocabulary_size)
    )


def make(
    path: Path,
    text: Towers | None = None,
    backbone: str = "small_resnet",
    tokenizer: TextTokenizer | None = None,
    transform: ImageTransform | None = None,
    **facts: Any,
) -> Encoder:
    """A checkpoint with random weights, batch norms that are not at rest, and biases that matter."""
    torch.manual_seed(0)
    tokenizer = tokenizer or TextTokenizer.trained_on(CAPTIONS, max_length=16)
    model = CrossModalModel(ImageEncoder(backbone, 8), (text or transformer())(tokenizer))
    for name, values in model.state_dict().items():
        if name.endswith(("running_mean", "projection.bias")):
            values.uniform_(-0.1, 0.1)
        elif name.endswith("running_var"):
            values.uniform_(0.3, 0.6)
    transform = transform or ImageTransform(64)
    config = model_config(model, backbone, tokenizer, transform, recipe="test", **facts)
    save_checkpoint(path, model.state_dict(), tokenizer, config)
    return open_encoder(path)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return make(tmp_path_factory.mktemp("exact") / "a")


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    noise = np.random.default_rng(0).integers(0, 256, (2, 60, 80, 3), dtype=np.uint8)
    return [Image.fromarray(values) for values in noise]


def own_cosine(encoder: Encoder, picture: Image.Image, text: str) -> float:
    return float(encoder.encode_images([picture])[0] @ encoder.encode_texts([text])[0])


@pytest.mark.parametrize("text", ["two dogs run", "Zebra's t-shirt !", "🐶", "beach " * 40])
def test_shares_and_bias_add_up_to_the_encoders_own_cosine(encoder: Encoder, pictures: list[Image.Image], text: str):
    found = explain(encoder, pictures[0], text)
    assert found.exact
    assert found.matrix is not None
    assert found.bias is not None
    assert found.score == pytest.approx(own_cosine(encoder, pictures[0], text), abs=1e-6)
    assert found.matrix.sum() + found.bias == pytest.approx(found.score, abs=1e-5)
    assert abs(found.bias) > 1e-3
    assert sum(found.bias_parts.values()) == pytest.approx(found.bias)
    assert found.matrix.shape == (len(found.words), 16)
    assert found.shape == (4, 4)


def test_shares_are_products_of_parts_over_both_lengths():
    picture = Parts(np.array([0.6, 0.8]), np.array([[3.0, 0.0], [0.0, 3.0]]), np.array([0.0, 1.0]), (1, 2))
    sentence = Parts(np.array([0.0, 1.0]), np.array([[1.0, 1.0], [-1.0, 2.0]]), np.array([0.0, 2.0]), (2,))
    words = TextTokenizer.of_words(["a b"]).words("a b")
    fake = SimpleNamespace(
        splits_images=True,
        splits_texts=True,
        words=lambda _: words,
        unread=lambda _: "",
        image_parts=lambda _: picture,
        text_parts=lambda _: sentence,
    )
    found = explain(fake, Image.new("RGB", (2, 2)), "a b")
    assert found.matrix is not None
    assert (25 * found.matrix).tolist() == pytest.approx(np.array([[3, 3], [-3, 6]]))  # |v| = |t| = 5
    assert [25 * part for part in found.bias_parts.values()] == pytest.approx([3, 6, 2])
    assert found.place_shares is not None
    assert (25 * found.place_shares).tolist() == pytest.approx([0, 9])
    assert found.score == pytest.approx(0.8)


def test_pieces_and_what_binds_them_are_one_word_as_typed():
    text = "Two DOGS' t-shirt, don't 狗跑!"
    tokenizer = TextTokenizer.trained_on(CAPTIONS)
    words = tokenizer.words(text)
    assert [word.text for word in words] == ["Two", "DOGS", "'", "t-shirt", ",", "don't", "狗", "跑", "!", MARKS]
    assert [text[slice(*word.span)] for word in words if word.span] == [word.text for word in words[:-1]]
    assert sorted(token for word in words for token in word.tokens) == list(range(len(tokenizer.tokens(text))))


def test_what_is_too_long_is_named_as_unread(encoder: Encoder, pictures: list[Image.Image]):
    found = explain(encoder, pictures[0], "a red car " * 6)
    assert found.words == ("a", "red", "car") * 4 + ("a", "red", MARKS)  # 16 tokens with both marks
    assert found.unread == "car a red car"
    assert explain(encoder, pictures[0], "a red car \u200b").unread == ""


def test_a_towers_parts_are_those_of_eval_mode():
    image = ImageEncoder("small_resnet", 4, dropout=0.9).train()
    pixels = torch.rand(1, 3, 28, 28)
    made = image_parts(image, pixels)
    assert image.training
    assert made.vector.tolist() == pytest.approx(image.eval()(pixels)[0].tolist(), abs=1e-6)
    text = TextEncoder(dimension=4, dropout=0.9, config=tiny_text_config(9)).train()
    ids = torch.tensor([[1, 2, 3]])
    made = token_parts(text, ids, ids.clamp(max=1))
    assert made.vector.tolist() == pytest.approx(text.eval()(ids, ids.clamp(max=1))[0].tolist(), abs=1e-6)


def test_a_label_is_one_word_and_exact(tmp_path: Path, pictures: list[Image.Image]):
    names = ["big dog", "cat"]
    tokenizer = TextTokenizer.of_labels(names)
    encoder = make(tmp_path / "a", lambda t: LabelEncoder(t.vocabulary_size, 8), tokenizer=tokenizer, labels=names)
    found = explain(encoder, pictures[0], "Big dog")
    assert found.words == ("Big dog",)
    assert found.matrix is not None
    assert found.matrix.sum() + (found.bias or 0) == pytest.approx(
        own_cosine(encoder, pictures[0], "big dog"), abs=1e-5
    )
    with pytest.raises(InputError, match="only its classes: big dog, cat"):
        explain(encoder, pictures[0], "horse")


@pytest.mark.parametrize(
    ("backbone", "text", "tokenizer", "size", "shape"),
    [
        ("small_resnet", transformer("cls"), None, 64, (4, 4)),
        ("small_resnet", lambda t: RecurrentEncoder("gru", t.vocabulary_size, 8, 6, (5,)), "words", 64, (4, 4)),
        ("digit_cnn", lambda t: LetterEncoder(t.vocabulary_size, 8), "letters", 28, (7, 7)),
        ("convnext_tiny", transformer(), None, 64, (2, 2)),
        ("shufflenet_v2_x0_5", transformer(), None, 64, None),
        ("timm/mobilenetv3_small_050", transformer(), None, 64, (2, 2)),
    ],
)
def test_other_towers_are_labelled_approximate_and_give_no_matrix(
    tmp_path: Path,
    pictures: list[Image.Image],
    backbone: str,
    text: Towers,
    tokenizer: str | None,
    size: int,
    shape: tuple[int, int] | None,
):
    kinds = {"words": TextTokenizer.of_words(CAPTIONS), "letters": TextTokenizer.of_letters()}
    encoder = make(tmp_path / "a", text, backbone, kinds.get(tokenizer or ""), ImageTransform(size))
    found = explain(encoder, pictures[0], "a red car")
    assert (found.exact, found.method, found.matrix, found.bias) == (False, APPROXIMATE, None, None)
    assert "approximate" in found.method
    assert found.score == pytest.approx(own_cosine(encoder, pictures[0], "a red car"), abs=1e-6)
    assert found.shape == shape
    assert len(found.word_shares) == len(found.words) >= 3
    assert np.abs(found.word_shares).max() > 0
    if shape is None:
        assert found.place_shares is None
    else:
        assert found.place_shares is not None
        assert len(found.place_shares) == shape[0] * shape[1]
        assert found.place_shares.min() >= 0
    assert json.loads(json.dumps(found.as_dict()))["matrix"] is None


def test_grad_cam_of_an_averaging_tower_is_what_its_formula_says(encoder: Encoder, pictures: list[Image.Image]):
    made = encoder.image_parts(pictures[0])
    length = np.linalg.norm(made.parts.sum(0) + made.bias)
    for towards in np.eye(8, dtype=np.float32):
        gradient = (towards - (made.vector @ towards) * made.vector) / length
        expected = np.maximum(made.parts @ gradient, 0)
        heat = encoder.image_weights(pictures[0], towards)
        assert heat.shape == made.shape
        assert heat.weights == pytest.approx(expected, rel=1e-3, abs=1e-6)
    assert expected.max() > 1e-3


def test_gradient_times_input_is_how_the_cosine_grows_with_a_words_embedding(tmp_path: Path):
    tokenizer = TextTokenizer.of_words(CAPTIONS)
    encoder = make(
        tmp_path / "a", lambda t: RecurrentEncoder("gru", t.vocabulary_size, 8, 6, (5,)), tokenizer=tokenizer
    )
    towards = np.eye(8, dtype=np.float32)[0]
    weights = encoder.text_weights("a red car", towards).weights
    tower = encoder._towers._model.text
    assert isinstance(tower, RecurrentEncoder)
    row = tower.recurrent.embeddings.weight[tokenizer.ids(["red"])[0][0]]
    scores = []
    with torch.no_grad():
        for factor in (1.01, 0.99 / 1.01):
            row *= factor
            scores.append(float(encoder.encode_texts(["a red car"])[0] @ towards))
    assert weights is not None
    assert weights[1] == pytest.approx((scores[0] - scores[1]) / 0.02, rel=0.02)
    assert abs(weights[1]) > 1e-3


def test_two_pictures_share_their_score_between_pairs_of_places(encoder: Encoder, pictures: list[Image.Image]):
    found = explain_images(encoder, *pictures)
    assert found.matrix is not None
    vectors = encoder.encode_images(pictures)
    assert found.matrix.sum() + (found.bias or 0) == pytest.approx(float(vectors[0] @ vectors[1]), abs=1e-5)
    assert found.matrix.shape == (16, 16)
    assert json.loads(json.dumps(found.as_dict()))["score"] == found.score


def test_the_best_matches_lie_apart_in_both_pictures():
    matrix = np.zeros((9, 3))  # places of 3×3 and of 1×3
    matrix[0, 0], matrix[3, 2], matrix[1, 2], matrix[8, 1], matrix[6, 2] = 0.9, 0.85, 0.8, 0.7, 0.6
    grid, row = (3, 3), (1, 3)
    found = Likeness(1.0, (grid, row), True, "", matrix.sum(1), matrix.sum(0), matrix, 0.0).matches()
    assert [(match.first, match.second, match.share) for match in found] == [
        ((0, 0), (0, 0), 0.9),
        ((2, 0), (0, 2), 0.6),
    ]


def test_pictures_of_a_tower_that_does_not_average_are_approximate(tmp_path: Path, pictures: list[Image.Image]):
    encoder = make(tmp_path / "a", backbone="digit_cnn", transform=ImageTransform(28))
    found = explain_images(encoder, *pictures)
    assert (found.exact, found.matrix, found.shapes) == (False, None, ((7, 7), (7, 7)))
    assert "approximate" in found.method
    with pytest.raises(InputError, match="only an exact explanation"):
        found.matches()


def test_the_difference_of_two_scores_is_shared_among_the_words(encoder: Encoder, pictures: list[Image.Image]):
    above, below = (explain(encoder, picture, "a red car") for picture in pictures)
    found = compare(above, below)
    assert found.shares.sum() + found.bias == pytest.approx(above.score - below.score, abs=1e-5)
    assert found.difference == above.score - below.score
    with pytest.raises(InputError, match="different sentences"):
        compare(above, explain(encoder, pictures[0], "a red dog"))


def test_the_marks_of_one_sentence_cannot_be_a_word_of_another(encoder: Encoder, pictures: list[Image.Image]):
    found = explain(encoder, pictures[0], f"{MARKS} [SEP]")
    assert [span is None for span in found.spans] == [False] * (len(found.words) - 1) + [True]


@pytest.mark.parametrize(("fit", "box"), [("squash", (0, 0, 80, 60)), ("crop", (10, 0, 70, 60))])
def test_places_cover_what_the_transform_keeps(pictures: list[Image.Image], fit: str, box: tuple[int, ...]):
    assert seen_box(pictures[0], fit) == box


def test_an_empty_sentence_is_refused(encoder: Encoder, pictures: list[Image.Image]):
    with pytest.raises(InputError, match="empty"):
        explain(encoder, pictures[0], "  ")
