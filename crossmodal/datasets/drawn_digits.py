"""Generated digits, white on black as MNIST's, drawn with Pillow's own font: for smoke runs and tests, from no file."""

from __future__ import annotations

import math
from functools import lru_cache
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from crossmodal.datasets.labelled.pictures import LABELLED_SPLITS, LabelledPictures
from crossmodal.errors import InputError

__all__ = ["drawn_digits"]

_CANVAS = 84  # side in pixels of the sheet a digit is drawn on before it is turned and made small
_FONT_SIZE = 64
_MOST_TURN = math.radians(14)


def drawn_digits(count: int, seed: int = 0, split: str = "train", size: int = 28) -> LabelledPictures:
    """Digits with random turn, slant, size, place, stroke and noise; the labels run 0, 1, … 9, 0, 1, …

    size: side in pixels. A picture follows from seed, split and its number alone: another count gives the same first
    ones, the other split gives others, and the same call gives the same bits.

    Raises InputError if count is negative, split is neither "train" nor "test", or size is below 8 pixels.
    """
    if count < 0:
        raise InputError(f"count must be 0 or more, not {count}")
    if split not in LABELLED_SPLITS:
        raise InputError(f"drawn digits have the splits {' and '.join(LABELLED_SPLITS)}, not {split!r}")
    if size < 8:
        raise InputError(f"a digit needs at least 8 pixels a side, not {size}")
    labels = np.arange(count, dtype=np.int64) % 10
    pixels = np.empty((count, 3, size, size), np.uint8)
    for number, digit in enumerate(labels.tolist()):
        pixels[number] = _draw(digit, size, Random(f"{seed}:{split}:{number}"))  # grey → three equal channels
    return LabelledPictures("drawn_digits", split, pixels, labels, tuple("0123456789"))


def _draw(digit: int, size: int, chance: Random) -> NDArray[np.uint8]:
    """One grey digit (S, S)."""
    sheet = _glyph(digit, chance.randrange(4))
    turn, slant = chance.uniform(-_MOST_TURN, _MOST_TURN), chance.uniform(-0.2, 0.2)
    wide, high = 1 / chance.uniform(0.75, 1.1), 1 / chance.uniform(0.85, 1.1)
    across, down = chance.uniform(-7, 7), chance.uniform(-7, 7)
    a, b = wide * math.cos(turn), wide * (math.sin(turn) + slant)
    d, e = -high * math.sin(turn), high * math.cos(turn)
    middle = _CANVAS / 2
    moved = (a, b, middle - a * (middle + across) - b * (middle + down),
             d, e, middle - d * (middle + across) - e * (middle + down))  # fmt: skip
    turned = sheet.transform(sheet.size, Image.Transform.AFFINE, moved, Image.Resampling.BILINEAR)
    grey = np.asarray(turned.resize((size, size), Image.Resampling.BOX), np.float32)
    noise = np.random.default_rng(chance.getrandbits(64)).normal(0, chance.uniform(2, 12), grey.shape)
    return np.clip(grey * chance.uniform(0.8, 1) + noise, 0, 255).astype(np.uint8)


@lru_cache(maxsize=64)
def _glyph(digit: int, stroke: int) -> Image.Image:
    sheet = Image.new("L", (_CANVAS, _CANVAS))
    place = (_CANVAS / 2, _CANVAS / 2)
    font = ImageFont.load_default(size=_FONT_SIZE)
    ImageDraw.Draw(sheet).text(place, str(digit), fill=255, font=font, anchor="mm", stroke_width=stroke)
    return sheet
