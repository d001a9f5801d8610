"""Text towers of our own, trained from random weights: letters, labels, and words read one after the other.

Shapes: B batch, D embedding, W pooled width, L tokens, V vocabulary, P places for letters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from crossmodal.errors import CheckpointError, InputError
from crossmodal.models.encoders import TextEncoder, TextTower, tiny_text_config
from crossmodal.models.names import OWN_TEXT_MODELS, TINY_TEXT_MODEL


class LetterEncoder(TextTower):
    """Spellings → unit vectors: one-hot letters by place, one dense layer, linear.

    vocabulary_size: V, with padding.
    max_length: P; letters after it are not read.
    hidden: W.
    """

    def __init__(self, vocabulary_size: int, dimension: int, max_length: int = 12, hidden: int = 64) -> None:
        super().__init__()
        self.vocabulary_size, self.max_length = vocabulary_size, max_length
        self.letters = _OneHot(vocabulary_size)
        self.dense = nn.Linear(max_length * vocabulary_size, hidden)
        self.dropout = nn.Dropout(0.0)
        self.projection = nn.Linear(hidden, dimension)

    @property
    def trunk(self) -> nn.Module:
        """The dense layer."""
        return self.dense

    @property
    def token_inputs(self) -> nn.Module:
        """What makes letters one-hot."""
        return self.letters

    @property
    def width(self) -> int:
        """W, of the dense layer."""
        return self.dense.out_features

    @property
    def config(self) -> dict[str, Any]:
        """Sizes, as JSON values."""
        sizes = {"vocab_size": self.vocabulary_size, "max_length": self.max_length, "hidden_size": self.width}
        return {"model_type": "letters", **sizes}

    def features(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids and mask (B, L) → features (B, W)."""
        ids, mask = ids[:, : self.max_length], mask[:, : self.max_length]
        letters = self.letters(ids).to(self.dense.weight.dtype) * mask[..., None]  # (B, L, V)
        places = F.pad(letters, (0, 0, 0, self.max_length - ids.shape[1]))  # (B, P, V)
        return F.relu(self.dense(places.flatten(1)))


class _OneHot(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, ids: Tensor) -> Tensor:
        """ids (B, L) → (B, L, size) of zeros and a one."""
        return F.one_hot(ids, self.size).float()


class LabelEncoder(TextTower):
    """Labels → unit vectors: one trained vector each, the centres of its class. W = D, no projection, no dropout.

    vocabulary_size: V, with padding and the unknown label.
    """

    def __init__(self, vocabulary_size: int, dimension: int) -> None:
        super().__init__()
        self.vectors = nn.Embedding(vocabulary_size, dimension)
        nn.init.normal_(self.vectors.weight, std=0.01)
        self.dropout = nn.Dropout(0.0)
        self.projection = nn.Identity()

    @property
    def trunk(self) -> nn.Module:
        """The table of vectors."""
        return self.vectors

    @property
    def token_inputs(self) -> nn.Module:
        """The table of vectors."""
        return self.vectors

    @property
    def averages_tokens(self) -> bool:
        """A label is one token, and its vector is the mean of that one."""
        return True

    def averaged_tokens(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids (B, L) → vectors of each row's first token (B, 1, D)."""
        return self.features(ids, mask)[:, None]

    @property
    def width(self) -> int:
        """Numbers of a feature: W, which is D here."""
        return self.vectors.embedding_dim

    @property
    def config(self) -> dict[str, Any]:
        """Sizes, as JSON values."""
        return {"model_type": "labels", "vocab_size": self.vectors.num_embeddings, "hidden_size": self.width}

    def features(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids (B, L), of which the first of each row names the label → its vector as it is stored (B, D)."""
        del mask  # a label is one token
        return cast(Tensor, self.vectors(ids[:, 0]))

    def project(self, features: Tensor) -> Tensor:
        """Vectors (B, D) → the same at unit length; a centre is never dropped from."""
        return F.normalize(features, dim=-1)


class RecurrentEncoder(TextTower):
    """Sentences → unit vectors: word embedding, recurrent layers, the last state, linear.

    kind: "gru" reads forwards (Faghri et al. 2018, VSE++); "bilstm" reads both ways, and its last states of both
        directions stand side by side.
    hidden: units of each layer and direction.
    inner_dropout: between layers.
    """

    def __init__(
        self,
        kind: str,
        vocabulary_size: int,
        dimension: int,
        embedding: int = 300,
        hidden: Sequence[int] = (1024,),
        inner_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.recurrent = _Recurrent(kind, vocabulary_size, embedding, hidden, inner_dropout)
        self.dropout = nn.Dropout(0.0)
        self.projection = nn.Linear(self.width, dimension)

    @property
    def trunk(self) -> nn.Module:
        """Word embedding and recurrent layers."""
        return self.recurrent

    @property
    def token_inputs(self) -> nn.Module:
        """The word embedding."""
        return self.recurrent.embeddings

    @property
    def width(self) -> int:
        """W, of the last layer's states, both directions together."""
        return self.recurrent.width

    @property
    def config(self) -> dict[str, Any]:
        """Sizes, as JSON values."""
        part = self.recurrent
        return {
            "model_type": part.kind,
            "vocab_size": part.embeddings.num_embeddings,
            "embedding_size": part.embeddings.embedding_dim,
            "hidden_sizes": [layer.hidden_size for layer in part.layers],
            "inner_dropout": part.dropout.p,
        }

    def features(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids and mask (B, L) → last states (B, W)."""
        return cast(Tensor, self.recurrent(ids, mask))


class _Recurrent(nn.Module):
    layers: nn.ModuleList

    def __init__(self, kind: str, vocabulary_size: int, embedding: int, hidden: Sequence[int], dropout: float) -> None:
        super().__init__()
        if kind not in {"gru", "bilstm"}:
            raise InputError(f"a recurrent tower is 'gru' or 'bilstm', not {kind!r}")
        self.kind = kind
        self.embeddings = nn.Embedding(vocabulary_size, embedding, padding_idx=0)
        nn.init.normal_(
            self.embeddings.weight, std=0.3
        )  # 0.1 starves three layers of LSTM, 1 drowns rare words in noise
        with torch.no_grad():
            self.embeddings.weight[0].zero_()
        directions = 1 if kind == "gru" else 2
        widths = [embedding, *(directions * size for size in hidden)]
        layer: Callable[..., nn.RNNBase] = nn.GRU if kind == "gru" else nn.LSTM
        self.layers = nn.ModuleList(
            layer(width, size, batch_first=True, bidirectional=directions == 2)
            for width, size in zip(widths[:-1], hidden, strict=True)
        )
        self.dropout = nn.Dropout(dropout)
        self.width = widths[-1]

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids and mask (B, L) → last states (B, W). Packed, so that no layer ever reads padding."""
        lengths = mask.sum(1).clamp(min=1).cpu()  # a sentence without words is one padding token, whose vector is 0
        read = pack_padded_sequence(self.embeddings(ids), lengths, batch_first=True, enforce_sorted=False)
        last = read.data
        for number, layer in enumerate(self.layers):
            if number:
                dropped = self.dropout(read.data)
                read = PackedSequence(dropped, read.batch_sizes, read.sorted_indices, read.unsorted_indices)
            read, states = layer(read)
            last = states if self.kind == "gru" else states[0]  # (directions, B, units)
        return last.transpose(0, 1).flatten(1)


def text_config(name: str, vocabulary_size: int, dimension: int, max_length: int) -> dict[str, Any]:
    """The config that one of our own text towers starts from; `build_text_tower` builds it.

    name: one of OWN_TEXT_MODELS, or "tiny". Raises InputError for another name.
    """
    configs: dict[str, dict[str, Any]] = {
        "letters": {"max_length": max_length, "hidden_size": 64},
        "labels": {"hidden_size": dimension},
        "gru": {"embedding_size": 300, "hidden_sizes": [1024], "inner_dropout": 0.0},
        "bilstm": {"embedding_size": 300, "hidden_sizes": [64, 128, 256], "inner_dropout": 0.2},
    }
    if name == TINY_TEXT_MODEL:
        return tiny_text_config(vocabulary_size)
    if name not in configs:
        raise InputError(f"{name!r} is none of our own text models: {', '.join((*OWN_TEXT_MODELS, TINY_TEXT_MODEL))}")
    return {"model_type": name, "vocab_size": vocabulary_size, **configs[name]}


def build_text_tower(
    model: str, dimension: int, pooling: str = "mean", config: dict[str, Any] | None = None
) -> TextTower:
    """A text tower: rebuilt from a config, with random weights and no network, or a pretrained Hugging Face model.

    model: a Hugging Face model's name or folder; unused where a config is given.
    pooling: of such a model's tokens.

    Raises InputError for one of our own towers without its config, CheckpointError for a config that is not one,
    WeightsError for a model that cannot be had.
    """
    if config is None:
        if model in (*OWN_TEXT_MODELS, TINY_TEXT_MODEL):
            raise InputError(f"text model {model!r} has no weights to start from: give its config, see text_config")
        return TextEncoder(model, dimension, pooling)
    kind = config.get("model_type")
    if kind not in OWN_TEXT_MODELS:
        return TextEncoder(dimension=dimension, pooling=pooling, config=config)
    try:
        return _own_tower(kind, dimension, config)
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"the config of a {kind!r} text tower lacks or has a wrong {error}") from error


def _own_tower(kind: str, dimension: int, config: dict[str, Any]) -> TextTower:
    size = config["vocab_size"]
    if kind == "letters":
        return LetterEncoder(size, dimension, config["max_length"], config["hidden_size"])
    if kind == "labels":
        if config["hidden_size"] != dimension:
            raise InputError(f"label vectors of {config['hidden_size']} dimensions cannot serve where D is {dimension}")
        return LabelEncoder(size, dimension)
    return RecurrentEncoder(
        kind, size, dimension, config["embedding_size"], config["hidden_sizes"], config["inner_dropout"]
    )
