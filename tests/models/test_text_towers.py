"""Text towers of our own: what they read, that padding never matters, and that they are rebuilt as they were."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from crossmodal.errors import CheckpointError, InputError
from crossmodal.models.encoders import TextEncoder, TextTower
from crossmodal.models.text_towers import (
    OWN_TEXT_MODELS,
    LabelEncoder,
    LetterEncoder,
    RecurrentEncoder,
    build_text_tower,
    text_config,
)

V, D, LONGEST = 12, 6, 9
ALL = (*OWN_TEXT_MODELS, "tiny")
ROWS = [[3, 4, 5], [2], [6, 7, 8, 9, 10, 11, 2], [5, 4, 3, 2, 1], [9, 9]]


def config(name: str) -> dict[str, Any]:
    return text_config(name, V, D, LONGEST)


def tower(name: str, seed: int = 0) -> TextTower:
    torch.manual_seed(seed)
    return build_text_tower(name, D, config=config(name)).eval()


def batch(rows: list[list[int]], length: int | None = None, filler: int = 0) -> tuple[Tensor, Tensor]:
    length = length or max(map(len, rows))
    ids = torch.tensor([row + [filler] * (length - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])
    return ids, mask


@pytest.mark.parametrize("name", ALL)
@torch.no_grad()
def test_padding_never_changes_a_vector(name: str):
    text = tower(name)
    together = text(*batch(ROWS))
    alone = torch.cat([text(*batch([row])) for row in ROWS])
    padded = text(*batch(ROWS, length=LONGEST, filler=7))  # what stands in the padding is not read
    for other in (alone, padded):
        assert (together - other).abs().max() <= 1e-6
    assert (together[0] - together[3]).abs().max() > 1e-3


@pytest.mark.parametrize("name", ALL)
def test_padding_never_changes_a_vector_in_training_either(name: str):
    text = build_text_tower(name, D, config=_without_dropout(config(name))).train()
    with torch.no_grad():
        assert (text(*batch(ROWS)) - text(*batch(ROWS, length=LONGEST))).abs().max() <= 1e-6


def _without_dropout(values: dict[str, Any]) -> dict[str, Any]:
    if values["model_type"] == "bert":
        return values | {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return values | ({"inner_dropout": 0.0} if "inner_dropout" in values else {})


@pytest.mark.parametrize("name", ALL)
def test_shapes_and_unit_length(name: str):
    text = tower(name)
    features = text.features(*batch(ROWS))
    vectors = text(*batch(ROWS))
    assert features.shape == (len(ROWS), text.width)
    assert vectors.shape == (len(ROWS), text.dimension) == (len(ROWS), D)
    assert vectors.norm(dim=1).tolist() == pytest.approx([1] * len(ROWS), abs=1e-5)
    assert torch.equal(vectors, text.project(features))


def test_widths_are_those_of_the_systems():
    widths = {name: tower(name).width for name in OWN_TEXT_MODELS}
    assert widths == {"letters": 64, "labels": D, "gru": 1024, "bilstm": 512}
    layers = tower("bilstm").recurrent.layers
    assert [layer.hidden_size for layer in layers] == [64, 128, 256]
    assert all(layer.bidirectional for layer in layers)
    assert tower("gru").recurrent.embeddings.embedding_dim == 300


@pytest.mark.parametrize("name", ALL)
def test_a_tower_is_rebuilt_from_its_config(name: str):
    first = tower(name)
    again = build_text_tower("unused", D, config=first.config).eval()
    again.load_state_dict(first.state_dict())
    assert again.config == first.config
    assert torch.equal(again(*batch(ROWS)), first(*batch(ROWS)))


@pytest.mark.parametrize("name", ALL)
def test_one_seed_repeats_to_the_bit(name: str):
    def trained() -> Tensor:
        text = tower(name).train()
        text.dropout.p = 0.3
        torch.manual_seed(1)
        text(*batch(ROWS)).square().mul(torch.arange(D)).sum().backward()
        return torch.cat([parameter.grad.flatten() for parameter in text.parameters() if parameter.grad is not None])

    assert torch.equal(trained(), trained())


@pytest.mark.parametrize("name", ALL)
def test_trunk_and_projection_are_all_that_learns(name: str):
    text = tower(name)
    parts = {id(parameter) for part in (text.trunk, text.projection) for parameter in part.parameters()}
    assert parts == {id(parameter) for parameter in text.parameters()}


@pytest.mark.parametrize("name", OWN_TEXT_MODELS)
@torch.no_grad()
def test_a_text_without_tokens_still_has_a_vector(name: str):
    text = tower(name)
    vectors = text(*batch([[], [3, 4]]))
    assert torch.isfinite(vectors).all()
    assert torch.allclose(vectors[:1], text(torch.zeros(1, 1, dtype=torch.int64), torch.zeros(1, 1)), atol=1e-6)


def test_letters_count_by_their_place():
    text = LetterEncoder(V, D, max_length=4)
    with torch.no_grad():
        text.dense.weight.zero_()
        text.dense.bias.zero_()
        text.dense.weight[0, 2 * V + 5] = 3.0  # unit 0 wants letter 5 in the third place
    features = text.features(*batch([[4, 4, 5], [5, 4, 4], [4, 4, 4, 5]]))
    assert features[:, 0].tolist() == [3, 0, 0]


def test_letters_after_the_last_place_are_not_read():
    text = LetterEncoder(V, D, max_length=2)
    assert torch.equal(text(*batch([[4, 5, 6]])), text(*batch([[4, 5]])))


def test_a_labels_vector_is_a_row_of_the_table_at_unit_length():
    text = LabelEncoder(V, D).train()
    text.dropout.p = 0.9  # centres are never dropped from
    row = text.vectors.weight[4]
    assert row.abs().max() < 0.1
    assert torch.allclose(text(*batch([[4]]))[0], row / row.norm())


def test_only_the_label_asked_for_gets_a_gradient():
    text = LabelEncoder(V, D)
    text(*batch([[4]]))[0, 0].backward()
    assert text.vectors.weight.grad.abs().sum(1).nonzero().flatten().tolist() == [4]


def test_the_gru_reads_forwards_and_ends_on_the_last_word():
    text = RecurrentEncoder("gru", V, D, embedding=5, hidden=(7,)).eval()
    words = text.recurrent.embeddings(torch.tensor([[3, 4, 5]]))
    _, last = text.recurrent.layers[0](words)
    assert torch.allclose(text.features(*batch([[3, 4, 5], [2] * 8]))[:1], last[0], atol=1e-6)


def test_the_bilstm_ends_on_the_last_states_of_both_directions():
    text = RecurrentEncoder("bilstm", V, D, embedding=5, hidden=(4, 3)).eval()
    states = text.recurrent.embeddings(torch.tensor([[3, 4, 5]]))
    for layer in text.recurrent.layers:
        states, _ = layer(states)
    expected = torch.cat([states[0, -1, :3], states[0, 0, 3:]])
    assert torch.allclose(text.features(*batch([[3, 4, 5], [2] * 8]))[0], expected, atol=1e-6)


def test_inner_dropout_works_between_layers_in_training_only():
    text = tower("bilstm")
    assert text.config["inner_dropout"] > 0
    ids = batch(ROWS)
    assert torch.equal(text.features(*ids), text.features(*ids))
    text.train()
    assert not torch.equal(text.features(*ids), text.features(*ids))


def test_padding_never_gets_a_word_vector():
    text = tower("gru")
    text(*batch([[], [3]])).sum().backward()
    assert text.recurrent.embeddings.weight[0].abs().sum() == 0
    assert text.recurrent.embeddings.weight.grad[0].abs().sum() == 0


def test_a_transformers_config_builds_a_text_encoder():
    assert isinstance(tower("tiny"), TextEncoder)
    assert tower("tiny").pooling == "mean"
    assert build_text_tower("", D, "cls", config("tiny")).pooling == "cls"


def test_an_own_tower_without_its_config_is_refused():
    with pytest.raises(InputError, match="'gru' has no weights to start from"):
        build_text_tower("gru", D)
    with pytest.raises(InputError, match="letters, labels, gru, bilstm, tiny"):
        text_config("lstm", V, D, LONGEST)
    with pytest.raises(InputError, match="'gru' or 'bilstm', not 'rnn'"):
        RecurrentEncoder("rnn", V, D)


@pytest.mark.parametrize("broken", [{"model_type": "gru"}, {"model_type": "letters", "vocab_size": "many"}])
def test_a_config_that_lacks_something_is_refused(broken: dict[str, Any]):
    with pytest.raises(CheckpointError, match="text tower lacks"):
        build_text_tower("", D, config=broken)


def test_label_vectors_of_another_dimension_are_refused():
    with pytest.raises(InputError, match="6 dimensions cannot serve where D is 8"):
        build_text_tower("", 8, config=config("labels"))
