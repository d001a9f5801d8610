from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import build_index
from crossmodal.errors import CheckpointError, InputError, NotIndexableError
from crossmodal.images.transforms import ImageTransform
from crossmodal.inference.encoder import open_encoder
from crossmodal.models.checkpoint import (
    AnyModel,
    load_checkpoint,
    load_training_state,
    model_config,
    save_checkpoint,
    save_training_state,
)
from crossmodal.models.checkpoint_files import abilities, fingerprint
from crossmodal.models.dual import CrossModalModel
from crossmodal.models.encoders import ImageEncoder, TextEncoder, tiny_text_config
from crossmodal.models.heads import ImageDecoder, MatchHead
from crossmodal.models.scorer import PairScorer
from crossmodal.models.text_towers import LabelEncoder, LetterEncoder, RecurrentEncoder
from crossmodal.models.tokenizer import TextTokenizer
from tests.fakes import paint

CAPTIONS = ["two dogs run on a beach", "a red car", "a man in a very long coat stands near the old railway station"]


def write_checkpoint(path: Path, seed: int = 0, half: bool = False) -> CrossModalModel:
    torch.manual_seed(seed)
    tokenizer = TextTokenizer.trained_on(CAPTIONS, max_length=16)
    text = TextEncoder(dimension=8, config=tiny_text_config(tokenizer.vocabulary_size))
    model = CrossModalModel(ImageEncoder("mobilenet_v2", 8), text).eval()
    config = model_config(model, "mobilenet_v2", tokenizer, ImageTransform(64), recipe="test")
    save_checkpoint(path, model.state_dict(), tokenizer, config, documents={"README.md": "# card"}, half=half)
    return model


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path):
    model = write_checkpoint(tmp_path / "a")
    loaded = load_checkpoint(tmp_path / "a")
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], tensor), name
    assert loaded.transform == ImageTransform(64)
    assert not loaded.model.training
    assert (tmp_path / "a" / "README.md").read_text() == "# card\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]  # nothing is left of the staging


def test_half_precision_halves_the_file_and_loads_as_float32(tmp_path: Path):
    write_checkpoint(tmp_path / "full")
    write_checkpoint(tmp_path / "half", half=True)
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("full", "half")]
    assert sizes[1] < 0.53 * sizes[0]
    loaded = load_checkpoint(tmp_path / "half").model
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}


def test_the_fingerprint_follows_the_weights_and_nothing_else(tmp_path: Path):
    for name, seed in (("a", 0), ("same", 0), ("other", 1)):
        write_checkpoint(tmp_path / name, seed)
    (tmp_path / "same" / "metrics.json").write_text("{}")
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "same")
    assert fingerprint(tmp_path / "a") != fingerprint(tmp_path / "other")


def test_the_config_names_no_place_of_this_machine(tmp_path: Path):
    write_checkpoint(tmp_path / "a")
    assert "_name_or_path" not in (tmp_path / "a" / "config.json").read_text()


def test_what_is_no_checkpoint_is_refused_with_the_next_command(tmp_path: Path):
    with pytest.raises(CheckpointError, match="crossmodal train"):
        load_checkpoint(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load_checkpoint(tmp_path / "empty")


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_broken_file_is_an_error_of_ours(tmp_path: Path, name: str):
    write_checkpoint(tmp_path / "a")
    file = tmp_path / "a" / name
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path / "a")


def test_another_schema_is_refused(tmp_path: Path):
    write_checkpoint(tmp_path / "a")
    config = json.loads((tmp_path / "a" / "config.json").read_text())
    (tmp_path / "a" / "config.json").write_text(json.dumps(config | {"schema": 99}))
    with pytest.raises(CheckpointError, match="99"):
        load_checkpoint(tmp_path / "a")


def test_weights_that_do_not_fit_the_config_are_refused(tmp_path: Path):
    write_checkpoint(tmp_path / "a")
    config = json.loads((tmp_path / "a" / "config.json").read_text())
    (tmp_path / "a" / "config.json").write_text(json.dumps(config | {"dimension": 9}))
    with pytest.raises(CheckpointError, match="size mismatch"):
        load_checkpoint(tmp_path / "a")


def test_a_training_state_round_trips_and_a_broken_one_says_so(tmp_path: Path):
    tensors, position = {"a": torch.arange(3), "b": torch.tensor(0.1)}, {"epoch": 2, "loss_sum": 0.1 + 0.2}
    save_training_state(tmp_path / "state", tensors, position)
    loaded, where = load_training_state(tmp_path / "state")
    assert where == position
    assert all(torch.equal(loaded[name], tensors[name]) for name in tensors)
    (tmp_path / "state").write_bytes(b"no")
    with pytest.raises(CheckpointError, match="--resume"):
        load_training_state(tmp_path / "state")


def test_the_encoder_gives_unit_vectors_whatever_the_batch(tmp_path: Path):
    write_checkpoint(tmp_path / "a")
    encoder = open_encoder(tmp_path / "a")
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 256, (40 + n, 50, 3), dtype=np.uint8)) for n in range(5)]
    together, alone = encoder.encode_images(images), np.concatenate([encoder.encode_images([i]) for i in images])
    assert together.shape == (5, 8)
    assert together.dtype == np.float32
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert np.allclose(together, alone, atol=1e-5)
    texts = encoder.encode_texts(CAPTIONS)
    assert np.allclose(texts[1], encoder.encode_texts(CAPTIONS[1:2])[0], atol=1e-5)
    assert encoder.encode_texts([]).shape == encoder.encode_images([]).shape == (0, 8)
    assert encoder.fingerprint == fingerprint(tmp_path / "a")


LABELS = ("airplane", "bird", "cat")
ABILITIES = {
    "transformer": {"vectors", "words"},
    "first token": {"vectors", "words"},
    "letters": {"vectors", "words"},
    "gru": {"vectors", "words"},
    "siglip": {"vectors", "words"},
    "labels": {"vectors", "labels", "decoding"},
    "pairs": {"pairs"},
}


def model_of(kind: str) -> tuple[AnyModel, TextTokenizer]:
    """A small model of a kind, none of its numbers at its default, with its tokeniser."""
    torch.manual_seed(3)
    tokenizer = TextTokenizer.of_words(CAPTIONS, max_length=9)
    if kind == "labels":
        tokenizer = TextTokenizer.of_labels(LABELS)
    elif kind == "letters":
        tokenizer = TextTokenizer.of_letters(max_length=7)
    elif kind in {"transformer", "first token"}:
        tokenizer = TextTokenizer.trained_on(CAPTIONS, max_length=16)
    size = tokenizer.vocabulary_size
    if kind == "pairs":
        text = RecurrentEncoder("bilstm", size, 5, 6, (10, 12), inner_dropout=0.3)
        model: AnyModel = PairScorer(ImageEncoder("digit_cnn", 6), text, MatchHead(6, 5))
    else:
        towers = {
            "transformer": lambda: TextEncoder(dimension=8, config=tiny_text_config(size)),
            "first token": lambda: TextEncoder(dimension=8, pooling="cls", config=tiny_text_config(size)),
            "letters": lambda: LetterEncoder(size, 8, max_length=7, hidden=11),
            "labels": lambda: LabelEncoder(size, 8),
        }
        tower = towers.get(kind, lambda: RecurrentEncoder("gru", size, 8, 6, (10,)))()
        model = CrossModalModel(
            ImageEncoder("digit_cnn", 8),
            tower,
            temperature=0.2,
            learn_temperature=kind != "labels",
            logit_bias=-7.0 if kind == "siglip" else None,
            decoder=ImageDecoder(8) if kind == "labels" else None,
        )
    with torch.no_grad():
        for _ in range(2):  # batch norms that have seen pictures
            model.image(torch.randn(4, 3, 28, 28))
    return model.eval(), tokenizer


def write_kind(path: Path, kind: str) -> tuple[AnyModel, TextTokenizer]:
    model, tokenizer = model_of(kind)
    facts = {"labels": list(LABELS)} if kind == "labels" else {}
    config = model_config(model, "digit_cnn", tokenizer, ImageTransform.in_range(28, "symmetric"), **facts)
    save_checkpoint(path, model.state_dict(), tokenizer, config)
    return model, tokenizer


@pytest.mark.parametrize("kind", ABILITIES)
def test_every_kind_comes_back_to_the_bit_and_gives_the_same(kind: str, tmp_path: Path):
    model, tokenizer = write_kind(tmp_path / "a", kind)
    loaded = load_checkpoint(tmp_path / "a")
    assert type(loaded.model) is type(model)
    assert loaded.model.state_dict().keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        found = loaded.model.state_dict()[name]
        assert found.dtype == tensor.dtype
        assert torch.equal(found, tensor), name
    texts = list(LABELS) if kind == "labels" else CAPTIONS
    assert loaded.tokenizer.ids(texts) == tokenizer.ids(texts)
    assert loaded.transform == ImageTransform.in_range(28, "symmetric")
    ids, mask = tokenizer.pad(tokenizer.ids(texts))
    with torch.no_grad():
        for before, after in zip(outputs(model, ids, mask), outputs(loaded.model, ids, mask), strict=True):
            assert torch.equal(before, after)
    assert [scalar.item() for scalar in loaded.model.scalars()] == [scalar.item() for scalar in model.scalars()]


def outputs(model: AnyModel, ids: torch.Tensor, mask: torch.Tensor) -> list[torch.Tensor]:
    images = torch.randn(len(ids), 3, 28, 28, generator=torch.Generator().manual_seed(0))
    if isinstance(model, PairScorer):
        return [model(images, ids, mask)]
    image, text = model(images, ids, mask)
    return [image, text] if model.decoder is None else [image, text, model.decode(image)]


@pytest.mark.parametrize("kind", ABILITIES)
def test_what_a_checkpoint_can_do_is_read_from_its_config_alone(kind: str, tmp_path: Path):
    write_kind(tmp_path / "a", kind)
    (tmp_path / "a" / "model.safetensors").unlink()
    assert abilities(tmp_path / "a") == ABILITIES[kind]
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        abilities(tmp_path / "absent")


def test_a_pair_scorer_gives_no_vectors_and_says_what_to_run_instead(tmp_path: Path):
    write_kind(tmp_path / "judge", "pairs")
    with pytest.raises(NotIndexableError) as caught:
        open_encoder(tmp_path / "judge")
    assert f"`python -m crossmodal match --checkpoint {tmp_path / 'judge'}`" in str(caught.value)
    assert f"--rerank {tmp_path / 'judge'}`" in str(caught.value)


def test_a_pair_scorer_builds_no_index(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_kind(tmp_path / "judge", "pairs")
    paint(tmp_path / "photos" / "red.png", "red")
    arguments = ["--images", str(tmp_path / "photos"), "--index", str(tmp_path / "index")]
    assert build_index.main([*arguments, "--checkpoint", str(tmp_path / "judge")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert "cannot be indexed" in captured.err
    assert "crossmodal match --checkpoint" in captured.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["judge", "photos"]


def test_a_model_of_classes_knows_its_labels_and_no_other_word(tmp_path: Path):
    write_kind(tmp_path / "shapes", "labels")
    encoder = open_encoder(tmp_path / "shapes")
    assert encoder.labels == LABELS
    vectors = encoder.encode_texts(["Cat ", "bird"])
    assert np.allclose(vectors, encoder.encode_texts(LABELS)[[2, 1]])
    assert not np.allclose(vectors[0], vectors[1])
    with pytest.raises(InputError, match="shapes knows no 'dog', only its classes: airplane, bird, cat"):
        encoder.encode_texts(["cat", "dog"])


def test_a_decoder_draws_each_vector_as_a_grey_picture(tmp_path: Path):
    model, _ = write_kind(tmp_path / "shapes", "labels")
    encoder = open_encoder(tmp_path / "shapes")
    assert encoder.can_decode
    vectors = encoder.encode_texts(LABELS)
    drawn = encoder.decode(vectors)
    assert (drawn.shape, drawn.dtype) == ((3, 28, 28), np.float32)
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert isinstance(model, CrossModalModel)
    assert np.allclose(drawn[1], model.decode(torch.from_numpy(vectors[1:2]))[0, 0], atol=1e-6)
    assert encoder.decode(vectors[:0]).shape == (0, 28, 28)


def test_without_a_decoder_nothing_is_drawn(tmp_path: Path):
    write_kind(tmp_path / "a", "gru")
    encoder = open_encoder(tmp_path / "a")
    assert not encoder.can_decode
    assert encoder.labels == ()
    with pytest.raises(InputError, match="no decoder: the recipe arcface"):
        encoder.decode(np.ones((1, 8), np.float32))
