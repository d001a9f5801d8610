"""What a training is asked to do: a recipe by name, what takes the place of its values, its data and its output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from crossmodal.errors import InputError
from crossmodal.recipes import Phase, Recipe, recipe_named, smoke
from crossmodal.recipes.base import HEADS

__all__ = ["TrainConfig", "chosen_recipe"]

AnyPath = str | PathLike[str]
PATHS = ("images", "captions", "feedback", "splits", "root", "out")
AT_LEAST_ONE = ("batch_size", "chunk", "dimension", "image_size")
CHOICES = {"pooling": ("mean", "cls"), "mixed_precision": ("no", "bf16", "fp16")}
# what may differ when a run goes on: where files lie now, and what no weight depends on
FREE = frozenset({*PATHS, "image_weights", "download", "cpu", "resume", "save_every", "command"})


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A training, valid by construction: what is left out stays as the recipe says.

    recipe: its name; `python -m crossmodal recipes` lists them.
    images: folder of photos.
    captions: their captions, in any format `validate` can read.
    feedback: thumbs up and down of an index, or its exported test set.
    splits: folder with lists of train, dev and test pictures; a share drawn by the seed where there is none.
    data: labelled pictures by name.
    root: folder that the labelled pictures lie in.
    download: whether torchvision may fetch them.
    mirror: of class folders, that a mirrored picture keeps its label.
    image_backbone: a torchvision network, or one of timm's as timm/NAME.
    image_weights: "imagenet", "none" or a file with its state dict.
    text_model: a Hugging Face text encoder by name or folder, or one of ours.
    pooling: how tokens become one vector, "mean" or "cls".
    image_size: side of the pictures in pixels.
    dimension: D of the shared space.
    heads_only: freeze both backbones and cache their features once.
    epochs: of the last phase, or of every phase in turn.
    loss: another loss on vectors, by name.
    chunk: pictures in memory at once, by gradient caching.
    batch_size: pairs a step, in every phase.
    lr_scale: multiplies every learning rate.
    seed: of everything random.
    mixed_precision: what steps are computed in: "no", "bf16" or "fp16".
    cpu: stay on the CPU where there is a GPU.
    out: folder of the run, runs/RECIPE unless given.
    resume: go on where a killed run of this configuration stood.
    save_every: least seconds between two saves after epochs.
    smoke: seconds on generated data, to see that all runs.
    command: what a person typed to train this, for the model card.

    Raises InputError, naming the field and the value, for what cannot be trained.
    """

    recipe: str
    images: AnyPath | None = None
    captions: AnyPath | None = None
    feedback: AnyPath | None = None
    splits: AnyPath | None = None
    data: str | None = None
    root: AnyPath | None = None
    download: bool = False
    mirror: bool = False
    image_backbone: str | None = None
    image_weights: str | None = None
    text_model: str | None = None
    pooling: Literal["mean", "cls"] | None = None
    image_size: int | None = None
    dimension: int | None = None
    heads_only: bool = False
    epochs: int | Sequence[int] | None = None
    loss: str | None = None
    chunk: int | None = None
    batch_size: int | None = None
    lr_scale: float = 1.0
    seed: int = 0
    mixed_precision: Literal["no", "bf16", "fp16"] | None = None
    cpu: bool = False
    out: AnyPath | None = None
    resume: bool = False
    save_every: float = 10.0
    smoke: bool = False
    command: str = ""

    def __post_init__(self) -> None:
        recipe = recipe_named(self.recipe)
        for name in PATHS:
            path = getattr(self, name)
            object.__setattr__(self, name, None if path is None else Path(path))
        object.__setattr__(self, "epochs", self.phase_epochs)
        for name, number in (*((name, getattr(self, name)) for name in AT_LEAST_ONE), ("epochs", self._fewest)):
            if number is not None and number < 1:
                raise InputError(f"{name} must be at least 1, not {number}")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in (None, *choices):
                raise InputError(f"{name} must be one of {', '.join(choices)}, not {getattr(self, name)!r}")
        if not self.lr_scale > 0:
            raise InputError(f"lr_scale must be above 0, not {self.lr_scale}")
        if self.data and not recipe.labelled:
            raise InputError(f"data {self.data!r}: recipe {recipe.name} is not trained on labelled pictures")

    @property
    def _fewest(self) -> int | None:
        given = self.phase_epochs
        return None if given is None else min(given, default=0)

    @property
    def phase_epochs(self) -> tuple[int, ...] | None:
        """The epochs that were given, as numbers one after the other."""
        epochs = self.epochs
        return (epochs,) if isinstance(epochs, int) else None if epochs is None else tuple(epochs)

    @property
    def folder(self) -> Path:
        """Where the run is kept."""
        return Path(self.out or Path("runs") / self.recipe)

    def as_dict(self) -> dict[str, Any]:
        """What was given, as JSON values; what stands as by default is left out."""
        given = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                given[field.name] = str(value) if isinstance(value, Path) else value
        return given | ({"epochs": list(self.phase_epochs)} if self.phase_epochs else {})

    def differences(self, former: Mapping[str, Any]) -> list[str]:
        """The fields in which this differs from a former `as_dict` so that its run cannot go on, with both values."""
        own = self.as_dict()
        names = sorted({*own, *former} - FREE)
        return [
            f"{name} {former.get(name, 'by default')!s} → {own.get(name, 'by default')!s}"
            for name in names
            if own.get(name) != former.get(name)
        ]


def chosen_recipe(config: TrainConfig) -> Recipe:
    """The recipe with what the configuration gives in place of its own values.

    Raises InputError where the two do not go together.
    """
    from crossmodal.models.backbones.timm_networks import own_size
    from crossmodal.models.encoders import declared_pooling

    recipe = recipe_named(config.recipe)
    if config.data:
        recipe = replace(recipe, labelled=config.data)
    if config.smoke:
        recipe = smoke(recipe)
    if config.heads_only:
        recipe = replace(recipe, phases=(replace(HEADS, epochs=1) if config.smoke else HEADS,))
    if config.loss:
        recipe = _with_loss(recipe, config.loss)
    pooling = config.pooling or (declared_pooling(config.text_model) if config.text_model else None)
    given: dict[str, Any] = {
        "image_backbone": config.image_backbone,
        "image_weights": config.image_weights,
        "image_size": config.image_size or own_size(config.image_backbone),
        "text_model": config.text_model,
        "dimension": config.dimension,
        "pooling": pooling,
        "mixed_precision": config.mixed_precision,
    }
    recipe = replace(recipe, **{name: value for name, value in given.items() if value is not None})
    return _with_phases(recipe, config)


def _with_loss(recipe: Recipe, name: str) -> Recipe:
    from crossmodal.training.losses import loss_named

    loss = loss_named(name)
    if recipe.kind != "dual_encoder":
        raise InputError(f"loss {name}: recipe {recipe.name} scores pairs, and losses by name are for vectors")
    if loss.texts == "labels" and not recipe.labelled:
        raise InputError(f"loss {name} needs labelled pictures, recipe {recipe.name} has captions")
    return replace(recipe, loss=name, loss_options={})


def _with_phases(recipe: Recipe, config: TrainConfig) -> Recipe:
    if config.chunk is not None and (recipe.kind != "dual_encoder" or recipe.decoder):
        raise InputError(f"chunk {config.chunk}: gradient caching is for losses on vectors, without a decoder")
    phases = [
        _with_rates(phase, number, config)
        for phase, number in zip(recipe.phases, _epochs(recipe, config.phase_epochs), strict=True)
    ]
    return replace(recipe, phases=tuple(phases))


def _with_rates(phase: Phase, epochs: int, config: TrainConfig) -> Phase:
    return replace(
        phase,
        epochs=epochs,
        batch_size=config.batch_size or phase.batch_size,
        chunk=config.chunk or phase.chunk,
        head_lr=phase.head_lr * config.lr_scale,
        image_lr=phase.image_lr * config.lr_scale,
        text_lr=phase.text_lr * config.lr_scale,
        decoder_lr=phase.decoder_lr * config.lr_scale,
    )


def _epochs(recipe: Recipe, given: tuple[int, ...] | None) -> Sequence[int]:
    """Epochs of each phase, from one number for the last or one for each."""
    own = [phase.epochs for phase in recipe.phases]
    if given is None:
        return own
    if len(given) == 1:
        return [*own[:-1], given[0]]
    if len(given) != len(own):
        names = ", ".join(phase.name for phase in recipe.phases)
        numbers = ", ".join(map(str, given))
        raise InputError(f"epochs {numbers}: recipe {recipe.name} has {len(own)} phases ({names})")
    return given
