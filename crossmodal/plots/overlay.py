"""Shares of a score laid over the picture they belong to, for the page and for sheets.

The photograph keeps its lightness, so that it stays readable; the share gives the colour: orange speaks for, blue
against, and how strong the colour is grows evenly with the share, in Oklab, so that equal steps look equal. Orange and
blue stay apart for every kind of colour-blindness, and what speaks for is lighter besides.

Shapes: h×w places, H×W pixels. Boxes: left, top, right, bottom in pixels.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Box", "colour", "heat_picture", "place_box", "smooth", "strongest"]

Array = NDArray[np.floating[Any]]
Box = tuple[int, int, int, int]
FOR, AGAINST = 0.97, 4.55  # hues in Oklab, radians: orange and blue
CHROMA = 0.17  # of the strongest share; what sRGB holds at these hues
KEPT = 0.22  # of the photograph's own colour
DIM = 0.80  # lightness where no place has a share
PULL, BRIGHT, DEEP = 0.45, 0.76, 0.50  # how far the strongest share draws lightness to that of orange or blue
UNSEEN = 0.45  # lightness of what the model did not see
LEVELS = 1 << 14

# Source of both matrices: Ottosson 2020, "A perceptual color space for image processing".
_TO_CONES = np.array(
    [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
     [0.0883024619, 0.2817188376, 0.6299787005]]
)  # fmt: skip
_TO_LAB = np.array(
    [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
     [0.0259040371, 0.7827717662, -0.8086757660]]
)  # fmt: skip
_FROM_LAB, _FROM_CONES = np.linalg.inv(_TO_LAB), np.linalg.inv(_TO_CONES)


def heat_picture(picture: Image, shares: Array, seen: Box, limit: float) -> Image:
    """An RGB picture under the heat of shares (h, w).

    seen: the part of the picture that the places cover; the rest is dimmed. limit: the share of the strongest colour.
    """
    from PIL import Image as Pictures

    left, top, right, bottom = seen
    lab = _oklab(np.asarray(picture.convert("RGB")))  # (H, W, 3)
    strength = np.clip(smooth(shares, bottom - top, right - left) / (limit or 1.0), -1, 1).astype(np.float32)
    lab[..., 1:] *= KEPT
    part = lab[top:bottom, left:right].copy()
    lab[..., 0] *= UNSEEN
    lab[top:bottom, left:right] = _coloured(part, strength)
    return Pictures.fromarray(_srgb(lab))


def smooth(values: Array, height: int, width: int) -> Array:
    """Places (h, w) → pixels (height, width): each place's value at its middle, smooth steps between the middles.

    Never above or below the places around, so that no colour appears which no place has.
    """
    return _steps(len(values), height) @ values @ _steps(values.shape[1], width).T


def strongest(values: Array) -> float:
    """The largest share by size, 1 where all are 0: the limit of a heat of its own."""
    return float(np.abs(values).max(initial=0.0)) or 1.0


def place_box(place: tuple[int, int], shape: tuple[int, int], seen: Box) -> Box:
    """Where a place (row, column) of (h, w) lies in the picture."""
    left, top, right, bottom = seen
    (row, column), (rows, columns) = place, shape
    across, down = (right - left) / columns, (bottom - top) / rows
    return (
        round(left + column * across), round(top + row * down),
        round(left + (column + 1) * across), round(top + (row + 1) * down),
    )  # fmt: skip


def colour(strength: float, lightness: float = 0.62) -> str:
    """The colour of a share between -1 and 1 on a grey of this lightness, as #rrggbb; for a legend or a bar."""
    grey = np.array([[[lightness, 0, 0]]], dtype=np.float32)
    return "#" + _srgb(_coloured(grey, np.array([[strength]], dtype=np.float32))).tobytes().hex()


def _coloured(lab: Array, strength: Array) -> Array:
    """Oklab (H, W, 3) under strengths (H, W) in [-1, 1]."""
    size, speaks_for = np.abs(strength), strength > 0
    light = lab[..., 0] * DIM
    light += PULL * size * (np.where(speaks_for, np.float32(BRIGHT), np.float32(DEEP)) - light)
    tints = np.array([[np.cos(hue), np.sin(hue)] for hue in (AGAINST, FOR)], dtype=np.float32)
    return np.concatenate(
        [light[..., None], lab[..., 1:] + CHROMA * size[..., None] * tints[speaks_for.astype(np.int8)]], -1
    )


@lru_cache(maxsize=32)
def _steps(count: int, pixels: int) -> Array:
    """Weights (pixels, count) of the places for each pixel, rows adding up to 1."""
    middles = ((np.arange(pixels) + 0.5) * count / pixels - 0.5).clip(0, count - 1)
    lower = np.minimum(middles.astype(np.int64), max(count - 2, 0))
    part = middles - lower
    part = part * part * (3 - 2 * part)
    weights = np.zeros((pixels, count))
    weights[np.arange(pixels), lower] = 1 - part
    weights[np.arange(pixels), np.minimum(lower + 1, count - 1)] += part
    return weights


def _oklab(pixels: NDArray[np.uint8]) -> Array:
    return np.asarray(np.cbrt(_linear()[pixels] @ _TO_CONES.T.astype(np.float32)) @ _TO_LAB.T.astype(np.float32))


def _srgb(lab: Array) -> NDArray[np.uint8]:
    cones = lab @ _FROM_LAB.T.astype(np.float32)
    linear = (cones * cones * cones) @ _FROM_CONES.T.astype(np.float32)
    return _display()[(linear.clip(0, 1) * (LEVELS - 1) + 0.5).astype(np.int32)]


@lru_cache(maxsize=1)
def _linear() -> Array:
    """Linear light of each of the 256 values of sRGB."""
    values = np.arange(256) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


@lru_cache(maxsize=1)
def _display() -> NDArray[np.uint8]:
    """The sRGB value of each of LEVELS steps of linear light."""
    linear = np.linspace(0, 1, LEVELS)
    values = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (255 * values).round().astype(np.uint8)
