"""A real checkpoint of a few thousand weights, and pictures with captions it can be taught."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from crossmodal.images.transforms import ImageTransform
from crossmodal.models.checkpoint import model_config, save_checkpoint
from crossmodal.models.dual import CrossModalModel
from crossmodal.models.encoders import ImageEncoder, TextEncoder, tiny_text_config
from crossmodal.models.tokenizer import TextTokenizer

PAINTS = {
    "red": (220, 30, 30), "green": (30, 190, 40), "blue": (30, 40, 220), "white": (240, 240, 240),
    "black": (15, 15, 15), "yellow": (235, 225, 40),
}  # fmt: skip


def two_coloured(folder: Path, each: int = 3) -> Path:
    """Pictures of one colour above another, `each` of every pair, a little unlike; returns the captions file."""
    draw = np.random.default_rng(0)
    rows = ["image,caption"]
    folder.mkdir(parents=True)
    for (above, below), number in product(product(PAINTS, PAINTS), range(each)):
        pixels = np.empty((28, 28, 3))
        edge = draw.integers(10, 19)
        pixels[:edge], pixels[edge:] = PAINTS[above], PAINTS[below]
        noisy = (pixels + draw.normal(0, 12, pixels.shape)).clip(0, 255).astype(np.uint8)
        name = f"{above}-{below}-{number}.png"
        Image.fromarray(noisy).save(folder / name)
        rows += [f"{name},{above} above {below}", f"{name},{below} under {above}"]
    captions = folder.parent / "captions.csv"
    captions.write_text("\n".join(rows) + "\n")
    return captions


def tiny_checkpoint(path: Path, dimension: int = 24, seed: int = 0) -> Path:
    """Random towers whose heads at least tell pictures and sentences apart."""
    torch.manual_seed(seed)
    words = [f"{above} above {below}, {below} under {above}" for above, below in product(PAINTS, PAINTS)]
    tokenizer = TextTokenizer.of_words(words)
    text = TextEncoder(dimension=dimension, config=tiny_text_config(tokenizer.vocabulary_size))
    model = CrossModalModel(ImageEncoder("small_resnet", dimension), text).eval()
    transform = ImageTransform(28)
    flat = [np.full((3, 28, 28), 128, np.uint8) for _ in product(PAINTS, PAINTS)]
    for pixels, (above, below) in zip(flat, product(PAINTS, PAINTS), strict=True):
        pixels[:, :14], pixels[:, 14:] = (np.array(PAINTS[name])[:, None, None] for name in (above, below))
    with torch.no_grad():
        _spread_out(model.image.projection, model.image_features(torch.from_numpy(np.stack(flat)), transform))
        _spread_out(text.projection, model.text_features(tokenizer.ids(words), tokenizer))
    config = model_config(model, "small_resnet", tokenizer, transform, about={"recipe": "tiny"})
    save_checkpoint(path, model.state_dict(), tokenizer, config)
    return path


def _spread_out(head: nn.Linear | nn.Identity, features: Tensor) -> None:
    """Random weights on features of mean 0 and deviation 1."""
    assert isinstance(head, nn.Linear)
    weight = torch.randn_like(head.weight) / (features.std(0) + 1e-3 * features.std())
    head.weight.copy_(weight)
    head.bias.copy_(-weight @ features.mean(0))
