"""What a recipe is: data about a training, no code of its own. Builders take its fields as plain arguments."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Phase:
    """One stretch of training with its own learning rates. A learning rate of 0 keeps that part frozen.

    smallest_crop: least share of a picture's area that a random crop keeps. jitter: greatest relative colour change.
    freeze_image_stages: how many first stages of the image tower stay as they are. average: decay per step of the
    running mean of the weights, which is what is validated and kept; 0 keeps the last weights. patience: epochs
    without a better validation rsum before the phase ends; 0 never ends early.
    """

    name: str
    epochs: int
    batch_size: int = 64
    image_lr: float = 0.0
    text_lr: float = 0.0
    head_lr: float = 1e-3
    weight_decay: float = 0.01
    warmup: float = 0.05
    gradient_clip: float = 1.0
    image_dropout: float = 0.1
    text_dropout: float = 0.1
    smallest_crop: float = 0.6
    mirror: bool = True
    jitter: float = 0.0
    freeze_image_stages: int = 0
    freeze_word_embeddings: bool = False
    freeze_batch_norm: bool = True
    average: float = 0.0
    patience: int = 0

    @property
    def heads_only(self) -> bool:
        """Whether both backbones are frozen, so that their features can be cached once."""
        return not self.image_lr and not self.text_lr


@dataclass(frozen=True)
class Recipe:
    """A system: its towers, its data, its phases and what to expect of it.

    scenes: how many generated pictures are trained on. scene_share: the share of them drawn in an epoch. photos:
    whether photos with captions are needed as well. pooling: "mean" or "cls". half: the checkpoint stores float16.
    terms: for the model card, where data and starting weights come from and what they allow.
    """

    name: str
    summary: str
    expected: str
    phases: tuple[Phase, ...]
    image_backbone: str = "efficientnet_b0"
    image_weights: str = "imagenet"
    text_model: str = "sentence-transformers/all-MiniLM-L12-v2"
    pooling: str = "mean"
    dimension: int = 1024
    temperature: float = 0.07
    learn_temperature: bool = True
    image_size: int = 224
    max_length: int = 64
    photos: bool = True
    scenes: int = 0
    scene_share: float = 1.0
    half: bool = False
    terms: str = ""


HEADS = Phase("heads", epochs=30, batch_size=256, head_lr=1e-3, image_dropout=0.5, smallest_crop=1.0)


def smoke(recipe: Recipe) -> Recipe:
    """The same recipe in seconds on a CPU: generated scenes, a small image tower, a tiny text tower, an epoch a phase.

    Nothing pretrained, so batch norm learns its statistics.
    """
    phases = tuple(
        replace(phase, epochs=1, batch_size=min(phase.batch_size, 16), freeze_batch_norm=False, freeze_image_stages=0)
        for phase in recipe.phases
    )
    return replace(
        recipe,
        phases=phases,
        image_backbone="mobilenet_v2",
        image_weights="none",
        text_model="tiny",
        pooling="mean",
        dimension=32,
        image_size=64,
        photos=False,
        scenes=48,
        scene_share=1.0,
    )
