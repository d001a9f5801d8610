from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from crossmodal.checkpoint import (
    fingerprint,
    load_checkpoint,
    load_training_state,
    model_config,
    save_checkpoint,
    save_training_state,
)
from crossmodal.data.text import TextTokenizer
from crossmodal.data.transforms import ImageTransform
from crossmodal.encoder import open_encoder
from crossmodal.errors import CheckpointError
from crossmodal.models.dual import CrossModalModel
from crossmodal.models.encoders import ImageEncoder, TextEncoder, tiny_text_config

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
    with pytest.raises(CheckpointError, match=r"training_script\.py"):
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
