"""The two towers. Each is a backbone, pooled, and one linear projection to the shared space.

Shapes: B batch, D embedding, W pooled width of the backbone, H×W pixels, h×w places of the feature map, L tokens.
The projection stays one linear layer on average-pooled features, so that a score splits exactly over places and words.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crossmodal.errors import CheckpointError, InputError, WeightsError
from crossmodal.models.backbones.registry import Backbone, build_backbone

DEFAULT_TEXT_MODEL = "sentence-transformers/all-MiniLM-L12-v2"


def unit_vectors(projection: nn.Module, features: Tensor) -> Tensor:
    """Pooled features (B, W) → unit vectors (B, D), in float32 even where a step is computed in less."""
    with torch.autocast(features.device.type, enabled=False):
        return F.normalize(projection(features.float()), dim=-1)


class ImageEncoder(nn.Module):
    """Pictures → unit vectors: backbone, average pool, dropout, linear.

    backbone: a torchvision model's name, or one of our own small networks'.
    dimension: D.
    weights: "imagenet", "none" or the path of a state dict.
    """

    def __init__(
        self, backbone: str = "efficientnet_b0", dimension: int = 1024, dropout: float = 0.0, weights: str = "none"
    ) -> None:
        super().__init__()
        self.backbone: Backbone = build_backbone(backbone, weights)
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Linear(self.backbone.width, dimension)

    @property
    def dimension(self) -> int:
        """D, of the vectors."""
        return self.projection.out_features

    @property
    def width(self) -> int:
        """W, of the pooled features."""
        return self.projection.in_features

    @property
    def averages_places(self) -> bool:
        """Whether the pooled features are the mean of `feature_map` over its places."""
        return self.backbone.averages_places

    def feature_map(self, images: Tensor) -> Tensor:
        """Normalised (B, 3, H, W) → features before pooling (B, W, h, w). Raises InputError for a tower without one."""
        return self.backbone.feature_map(images)

    def features(self, images: Tensor) -> Tensor:
        """Normalised (B, 3, H, W) → pooled features (B, W)."""
        return cast(Tensor, self.backbone(images))

    def project(self, features: Tensor) -> Tensor:
        """Pooled features (B, W) → unit vectors (B, D)."""
        return unit_vectors(self.projection, self.dropout(features))

    def forward(self, images: Tensor) -> Tensor:
        """Normalised (B, 3, H, W) → unit vectors (B, D)."""
        return self.project(self.features(images))


class TextTower(nn.Module, ABC):
    """What every text tower is: a trunk that gives pooled features, dropout, and a projection to unit vectors.

    dropout: before the projection.
    projection: linear, or the identity where the trunk gives the vectors at once.
    """

    dropout: nn.Dropout
    projection: nn.Linear | nn.Identity

    @property
    @abstractmethod
    def trunk(self) -> nn.Module:
        """All that comes before dropout and projection."""

    @property
    @abstractmethod
    def token_inputs(self) -> nn.Module:
        """The module that gives what the trunk first knows of each token: (B, L, ·)."""

    @property
    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The tower's shape as JSON values, "model_type" among them: all that is needed to rebuild it."""

    @property
    @abstractmethod
    def width(self) -> int:
        """W, of the pooled features."""

    @property
    def dimension(self) -> int:
        """D, of the vectors."""
        return self.projection.out_features if isinstance(self.projection, nn.Linear) else self.width

    @abstractmethod
    def features(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids and mask (B, L) → pooled features (B, W)."""

    @property
    def averages_tokens(self) -> bool:
        """Whether the pooled features are the mean of `averaged_tokens`."""
        return False

    def averaged_tokens(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids and mask (B, L) → (B, L, W), of which `features` is the masked mean. Raises InputError if it is none."""
        del ids, mask
        raise InputError("this text tower has no features of tokens whose mean is its pooled feature")

    def project(self, features: Tensor) -> Tensor:
        """Pooled features (B, W) → unit vectors (B, D)."""
        return unit_vectors(self.projection, self.dropout(features))

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids and mask (B, L) → unit vectors (B, D)."""
        return self.project(self.features(ids, mask))


class TextEncoder(TextTower):
    """Sentences → unit vectors: transformer, masked mean (or [CLS]) pool, dropout, linear.

    model: a Hugging Face model's name or folder.
    pooling: "mean" or "cls".
    config: a transformers config as a dict, to rebuild the shape without weights (that is how a checkpoint is loaded,
        with no network); model is then unused.
    """

    def __init__(
        self,
        model: str = DEFAULT_TEXT_MODEL,
        dimension: int = 1024,
        pooling: str = "mean",
        dropout: float = 0.0,
        config: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if pooling not in {"mean", "cls"}:
            raise InputError(f"pooling must be 'mean' or 'cls', not {pooling!r}")
        self.transformer = _transformer(model, config)
        self.pooling = pooling
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Linear(self.width, dimension)

    @property
    def trunk(self) -> nn.Module:
        """The transformer."""
        return self.transformer

    @property
    def token_inputs(self) -> nn.Module:
        """The transformer's word embedding."""
        return cast(nn.Module, cast(Any, self.transformer).get_input_embeddings())

    @property
    def averages_tokens(self) -> bool:
        """Whether it pools by the mean."""
        return self.pooling == "mean"

    def averaged_tokens(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids and mask (B, L) → features of every token (B, L, W). Raises InputError for [CLS] pooling."""
        return self.token_features(ids, mask) if self.averages_tokens else super().averaged_tokens(ids, mask)

    @property
    def width(self) -> int:
        """W, of the transformer's hidden states."""
        return int(cast(Any, self.transformer).config.hidden_size)

    @property
    def config(self) -> dict[str, Any]:
        """The transformer's shape, as JSON values, without the place it was loaded from."""
        values = cast(Any, self.transformer).config.to_dict()
        return {key: value for key, value in values.items() if key not in {"_name_or_path", "transformers_version"}}

    def token_features(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids and mask (B, L) → features of every token (B, L, W)."""
        return cast(Tensor, self.transformer(input_ids=ids, attention_mask=mask).last_hidden_state)

    def features(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids and mask (B, L) → pooled features (B, W)."""
        tokens = self.token_features(ids, mask)
        if self.pooling == "cls":
            return tokens[:, 0]
        weights = mask[..., None].to(tokens.dtype)
        return (tokens * weights).sum(1) / weights.sum(1).clamp(min=1)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids and mask (B, L) → unit vectors (B, D)."""
        return self.project(self._features_by_length(ids, mask) if self.training else self.features(ids, mask))

    def _features_by_length(self, ids: Tensor, mask: Tensor, parts: int = 4) -> Tensor:
        """What `features` gives, of sentences of like length together: a random batch is nearly half padding."""
        lengths = mask.sum(1)
        order = lengths.argsort()
        pooled = [
            self.features(ids[rows, : lengths[rows[-1]]], mask[rows, : lengths[rows[-1]]])
            for rows in order.chunk(parts)
        ]
        return torch.cat(pooled)[order.argsort()]


def declared_pooling(model: str) -> str | None:
    """How a local sentence-transformers folder says its tokens are pooled: "mean", "cls", or None if it is silent."""
    path = Path(model) / "1_Pooling" / "config.json"
    if not path.is_file():
        return None
    values = json.loads(path.read_text("utf-8"))
    return "cls" if values.get("pooling_mode_cls_token") else "mean"


def tiny_text_config(vocabulary_size: int) -> dict[str, Any]:
    """A two-layer BERT for smoke runs, trained from scratch."""
    return {
        "model_type": "bert",
        "vocab_size": vocabulary_size,
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "max_position_embeddings": 64,
    }


def _transformer(model: str, config: dict[str, Any] | None) -> nn.Module:
    from transformers import AutoConfig, AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        if config is not None:
            shape = AutoConfig.for_model(**config)
            transformer = AutoModel.from_config(shape)
        else:
            transformer = AutoModel.from_pretrained(model, dtype=torch.float32)
    except (OSError, ValueError, KeyError) as error:
        if config is not None:
            raise CheckpointError("the text tower's config is not one transformers knows", str(error)) from error
        where = "is not a folder with a model" if Path(model).exists() else "cannot be loaded without a network"
        raise WeightsError(
            f"text model {model!r} {where} ({type(error).__name__}): name a local folder with --text-model PATH"
        ) from error
    if getattr(transformer, "pooler", None) is not None:
        transformer.pooler = None  # unused by mean and [CLS] pooling; its weights would only be carried about
    return cast(nn.Module, transformer)
