"""What a recipe is: data about a training, no code of its own. Builders take its fields as plain arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from crossmodal.models.names import OWN_TEXT_MODELS, TINY_TEXT_MODEL

SMOKE_SCENES = 48
SMOKE_DIGITS = 240


@dataclass(frozen=True)
class Phase:
    """One stretch of training with its own learning rates; a part whose rate is 0 stays frozen.

    name: in the history and the progress.
    epochs: at most so many.
    batch_size: pairs a step.
    image_lr: highest learning rate of the image tower before its projection.
    text_lr: of the text tower before its projection; of class centres, which have none.
    head_lr: of projections, of the match head and of the logit scale.
    decoder_lr: of the decoder.
    weight_decay: of AdamW, on matrices and kernels alone; biases, norms and scalars do not decay.
    warmup: share of the phase's steps in which the rates rise to their highest.
    halve_every: epochs after which all rates halve, in place of warm-up and cosine; 0 for those.
    gradient_clip: greatest norm of all gradients together.
    image_dropout: share of the pooled image features that are dropped.
    text_dropout: share of the pooled text features that are dropped.
    smallest_crop: least share of a picture's area that a random crop keeps.
    mirror: mirror half of the pictures whose captions stay true.
    rotation: greatest angle in degrees, either way.
    jitter: greatest relative change of brightness, contrast and saturation.
    freeze_image_stages: how many first stages of the image tower stay as they are.
    freeze_word_embeddings: the text tower's table of words stays as it is.
    freeze_batch_norm: batch norms keep their running means; small batches would spoil them.
    views: how many augmented views of each picture go through the frozen stages once, before the phase, so that its
        steps begin where they end; 0 draws a new view at every step.
    average: decay per step of the running mean of the weights, which is what is validated and kept; 0 keeps the last.
    patience: epochs without a better validation score before the phase ends; 0 never ends early.
    until: the validation score that ends the phase early; 0 never does.
    chunk: pictures that a step holds in memory at once, by gradient caching; 0 holds the whole batch.
    vectors: weight of the loss on the vectors.
    reconstruction: weight of the decoder's loss.
    """

    name: str
    epochs: int
    batch_size: int = 64
    image_lr: float = 0.0
    text_lr: float = 0.0
    head_lr: float = 1e-3
    decoder_lr: float = 0.0
    weight_decay: float = 0.01
    warmup: float = 0.05
    halve_every: int = 0
    gradient_clip: float = 1.0
    image_dropout: float = 0.1
    text_dropout: float = 0.1
    smallest_crop: float = 0.6
    mirror: bool = True
    rotation: float = 0.0
    jitter: float = 0.0
    freeze_image_stages: int = 0
    freeze_word_embeddings: bool = False
    freeze_batch_norm: bool = True
    views: int = 0
    average: float = 0.0
    patience: int = 0
    until: float = 0.0
    chunk: int = 0
    vectors: float = 1.0
    reconstruction: float = 0.0

    @property
    def heads_only(self) -> bool:
        """Whether both backbones are frozen, so that their features can be cached once."""
        return not self.image_lr and not self.text_lr


@dataclass(frozen=True)
class Recipe:
    """A system: its towers, its data, its phases and what to expect of it.

    name: what a command calls it.
    summary: what it is, in a line.
    time: how long it takes, and on what.
    expected: the number to expect.
    phases: in order.
    kind: "dual_encoder" gives unit vectors, "pair_scorer" a score for a picture with a sentence.
    loss: a name in `crossmodal.training.losses.LOSSES`.
    loss_options: what the loss is given beside the vectors.
    image_backbone: a torchvision network, one of ours, or one of timm's as timm/NAME.
    image_weights: "imagenet", "none" or a file with its state dict.
    text_model: a Hugging Face text encoder by name or folder, or one of ours.
    pooling: how tokens become one vector, "mean" or "cls".
    dimension: D of the shared space.
    temperature: what cosines are divided by at first.
    learn_temperature: whether training moves it.
    image_size: side of the pictures in pixels.
    value_range: what pixels become: "imagenet" (its mean and deviation), "symmetric" [-1, 1] or "unit" [0, 1].
    max_length: tokens of a sentence that are read.
    photos: whether photos with captions are needed.
    scenes: how many generated pictures are trained on.
    scene_share: the share of them drawn in an epoch, in (0, 1].
    labelled: name of a labelled data set in place of captions, "" for none.
    written_forms: whether its digits are called by many written forms instead of one name.
    balanced: draw every class equally often.
    judged_by: "retrieval", "labels", "classes" or "pairs".
    decoder: whether vectors can be drawn again.
    rival: a loss that an equal image tower is trained with in this run, for comparison; "" for none.
    half: the checkpoint stores float16.
    mixed_precision: what steps are computed in: "no", "bf16" or "fp16".
    terms: for the model card, where data and starting weights come from and what they allow.
    """

    name: str
    summary: str
    time: str
    expected: str
    phases: tuple[Phase, ...]
    kind: str = "dual_encoder"
    loss: str = "symmetric_clip"
    loss_options: Mapping[str, Any] = field(default_factory=dict)
    image_backbone: str = "efficientnet_b0"
    image_weights: str = "imagenet"
    text_model: str = "sentence-transformers/all-MiniLM-L12-v2"
    pooling: str = "mean"
    dimension: int = 1024
    temperature: float = 0.07
    learn_temperature: bool = True
    image_size: int = 224
    value_range: str = "imagenet"
    max_length: int = 64
    photos: bool = True
    scenes: int = 0
    scene_share: float = 1.0
    labelled: str = ""
    written_forms: bool = False
    balanced: bool = False
    judged_by: str = "retrieval"
    decoder: bool = False
    rival: str = ""
    half: bool = False
    mixed_precision: str = "no"
    terms: str = ""

    @property
    def data(self) -> str:
        """What it is trained on, in words."""
        parts = ["photos with captions"] if self.photos else []
        parts += ["generated scenes"] if self.scenes else []
        parts += [f"labelled pictures ({self.labelled})"] if self.labelled else []
        return " and ".join(parts)


HEADS = Phase("heads", epochs=30, batch_size=256, head_lr=1e-3, image_dropout=0.5, smallest_crop=1.0)


def smoke(recipe: Recipe) -> Recipe:
    """A recipe made to run in seconds on a CPU: generated pictures, small towers, an epoch a phase.

    Nothing pretrained, so batch norm learns its statistics. A recipe whose towers are small already keeps them.
    """
    phases = tuple(
        replace(
            phase,
            epochs=1,
            batch_size=min(phase.batch_size, 16),
            freeze_batch_norm=phase.freeze_batch_norm and not phase.image_lr,
            freeze_image_stages=0,
            views=0,
            until=0.0,
        )
        for phase in recipe.phases
    )
    small = replace(recipe, phases=phases, image_weights="none", photos=False, scene_share=1.0, mixed_precision="no")
    if recipe.labelled:
        return replace(small, labelled="drawn_digits")
    return replace(
        small,
        image_backbone=recipe.image_backbone if recipe.image_weights == "none" else "mobilenet_v2",
        text_model=recipe.text_model if recipe.text_model in OWN_TEXT_MODELS else TINY_TEXT_MODEL,
        pooling="mean",
        dimension=min(recipe.dimension, 32) if recipe.kind == "dual_encoder" else recipe.dimension,
        image_size=64,
        scenes=SMOKE_SCENES,
    )
