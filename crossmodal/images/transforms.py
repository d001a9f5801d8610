"""From a decoded picture to numbers: the evaluation transform, and augmentations for training only.

Shapes: B batch, S side in pixels. Pixels are uint8 RGB (B, 3, S, S) until the model's batch is normalised.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import InputError

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image
    from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
DRAWN_SIZE = 28  # pixels a side of what a decoder draws
VALUE_RANGES = {  # mean and deviation of values in [0, 1], and so what pixels become
    "imagenet": (IMAGENET_MEAN, IMAGENET_STD),
    "symmetric": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "unit": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}

_of_this_thread = threading.local()
_turn, _threads_before = threading.Lock(), list[int]()


@dataclass(frozen=True)
class ImageTransform:
    """How a picture becomes a square of pixels; stored in every checkpoint and index.

    size: side of the square in pixels.
    fit: "squash" scales both sides to size, "crop" scales the short side and cuts the centre.
    mean: per channel, subtracted from values in [0, 1].
    std: per channel, what the difference is divided by.
    interpolation: "bicubic" or "bilinear", antialiased either way.
    """

    size: int = 224
    fit: str = "squash"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    interpolation: str = "bicubic"

    def __post_init__(self) -> None:
        if self.fit not in {"squash", "crop"}:
            raise InputError(f"fit must be 'squash' or 'crop', not {self.fit!r}")
        if self.interpolation not in {"bicubic", "bilinear"}:
            raise InputError(f"interpolation must be 'bicubic' or 'bilinear', not {self.interpolation!r}")
        if self.size < 1:
            raise InputError(f"size must be at least 1 pixel, not {self.size}")

    @classmethod
    def in_range(cls, size: int, value_range: str) -> ImageTransform:
        """Squash to size; value_range: "imagenet", "symmetric" (to [-1, 1]) or "unit" (to [0, 1])."""
        if value_range not in VALUE_RANGES:
            raise InputError(f"value range must be one of {', '.join(VALUE_RANGES)}, not {value_range!r}")
        mean, std = VALUE_RANGES[value_range]
        return cls(size=size, mean=mean, std=std)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ImageTransform:
        """Rebuild from `as_dict`, with JSON's lists back as tuples."""
        plain: dict[str, Any] = {k: tuple(value) if isinstance(value, list) else value for k, value in values.items()}
        return cls(**plain)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; bicubic goes without saying, as in indexes from before there was a choice."""
        values = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        if self.interpolation == "bicubic":
            del values["interpolation"]
        return values

    def pixels(self, image: Image) -> NDArray[np.uint8]:
        """One RGB picture as uint8 (3, S, S), resized with antialiasing; a picture of that size is untouched."""
        scaled = self.scaled(image.height, image.width)
        return self.cut(resize_by_torch(image.convert("RGB"), *scaled, self.interpolation))

    def pixels_without_torch(self, image: Image) -> NDArray[np.uint8]:
        """What `pixels` gives, by Pillow's resampling, which torch's follows to within a grey level."""
        scaled = self.scaled(image.height, image.width)
        return self.cut(resize_by_pillow(image.convert("RGB"), *scaled, self.interpolation))

    def scaled(self, height: int, width: int) -> tuple[int, int]:
        """Height and width that a picture is resized to, before the centre is cut out."""
        if self.fit == "squash":
            return self.size, self.size
        scale = self.size / min(height, width)
        return max(self.size, round(height * scale)), max(self.size, round(width * scale))

    def cut(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The centre of a picture scaled as `scaled` says, (H, W, 3) → (3, S, S)."""
        top, left = (picture.shape[0] - self.size) // 2, (picture.shape[1] - self.size) // 2
        centre = picture[top : top + self.size, left : left + self.size]
        return np.ascontiguousarray(centre.transpose(2, 0, 1))

    def normalise(self, pixels: Tensor) -> Tensor:
        """(B, 3, S, S) values 0..255 of any dtype → float32, zero mean and unit deviation, channels-last."""
        import torch

        mean = torch.tensor(self.mean, device=pixels.device).view(3, 1, 1) * 255
        std = torch.tensor(self.std, device=pixels.device).view(3, 1, 1) * 255
        return ((pixels.float() - mean) / std).contiguous(memory_format=torch.channels_last)


def resize_by_torch(image: Image, height: int, width: int, interpolation: str = "bicubic") -> NDArray[np.uint8]:
    """An RGB picture, (H, W, 3), by torch's antialiased resampling: three times as fast as Pillow's."""
    import torch
    import torch.nn.functional as F

    array = np.array(image)  # a writable copy
    if array.shape[:2] == (height, width):
        return array
    tensor = torch.from_numpy(array).permute(2, 0, 1)[None]  # channels-last strides: torch's fast uint8 path
    resized = F.interpolate(tensor, size=(height, width), mode=interpolation, antialias=True)
    return np.asarray(resized[0].permute(1, 2, 0).numpy())


def resize_by_pillow(image: Image, height: int, width: int, interpolation: str = "bicubic") -> NDArray[np.uint8]:
    """What `resize_by_torch` gives, by Pillow, to within a grey level."""
    from PIL.Image import Resampling

    same = image.size == (width, height)
    return np.asarray(image if same else image.resize((width, height), Resampling[interpolation.upper()]))


def resize_by_simd(image: Image, height: int, width: int, interpolation: str = "bicubic") -> NDArray[np.uint8]:
    """What `resize_by_torch` gives, by the package cykooz.resizer: as fast as torch, and without it."""
    from cykooz_resizer import FilterType, ResizeAlg, ResizeOptions, Resizer
    from PIL import Image as Pictures

    if not hasattr(_of_this_thread, "resizer"):  # one may not be used by two threads at once
        _of_this_thread.resizer = Resizer()
    kernel = FilterType.bilinear if interpolation == "bilinear" else FilterType.catmull_rom
    options = ResizeOptions(resize_alg=ResizeAlg.convolution(kernel))
    for size in ((width, image.height), (width, height)):  # in the order of the others: each step rounds and clips
        if image.size != size:
            resized = Pictures.new("RGB", size)
            _of_this_thread.resizer.resize_pil(image, resized, options)
            image = resized
    return np.asarray(image)


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Let torch compute each call on the calling thread alone, so that several threads keep one core each.

    It holds for the whole process: whoever leaves last gives the threads back.
    """
    import torch

    with _turn:
        _threads_before.append(torch.get_num_threads())
        torch.set_num_threads(1)  # for threads yet to begin too
    try:
        yield
    finally:
        with _turn:
            before = _threads_before.pop()
            if not _threads_before:
                torch.set_num_threads(before)


def augment(
    pixels: Tensor,
    generator: torch.Generator,
    smallest: float = 0.6,
    flip: bool = True,
    jitter: float = 0.0,
    rotation: float = 0.0,
) -> Tensor:
    """Random resized crop, mirror, turn and light colour changes of a whole batch, for training only.

    pixels: uint8 (B, 3, S, S).
    smallest: least share of the area kept, in (0, 1].
    jitter: greatest relative change of brightness, contrast and saturation.
    rotation: greatest angle in degrees, either way.

    Returns float32 (B, 3, S, S), values in 0..255.

    Raises InputError if smallest is outside (0, 1].
    """
    import torch
    import torch.nn.functional as F

    if not 0 < smallest <= 1:
        raise InputError(f"the smallest crop must keep a share of the area in (0, 1], not {smallest}")

    def uniform(low: float, high: float) -> Tensor:
        return torch.empty(batch).uniform_(low, high, generator=generator)

    batch = len(pixels)
    area, aspect = uniform(smallest, 1), uniform(math.log(3 / 4), math.log(4 / 3)).exp()
    if smallest == 1:
        aspect = torch.ones(batch)  # the whole picture, so no side may be cut
    width, height = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    mirror = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0) if flip else torch.ones(batch)
    affine = torch.zeros(batch, 2, 3)
    affine[:, 0, 0], affine[:, 0, 2] = width * mirror, uniform(-1, 1) * (1 - width)
    affine[:, 1, 1], affine[:, 1, 2] = height, uniform(-1, 1) * (1 - height)
    if rotation:
        angle = uniform(-rotation, rotation).deg2rad()
        turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(batch, 2, 2)
        affine[:, :, :2] = turn @ affine[:, :, :2]
    values = pixels.float()
    if smallest < 1 or flip or rotation:
        grid = F.affine_grid(affine.to(values.device), list(pixels.shape), align_corners=False)
        values = F.grid_sample(values, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    if jitter:
        values = _recoloured(values, *(uniform(1 - jitter, 1 + jitter) for _ in range(3)))
    return values


def _recoloured(values: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor) -> Tensor:
    """Pictures (B, 3, S, S) in 0..255 with these three of each multiplied by (B,), cut to the range."""
    brightness, contrast, saturation = (
        factor.view(-1, 1, 1, 1).to(values.device) for factor in (brightness, contrast, saturation)
    )
    values = values * brightness
    middle = values.mean((1, 2, 3), keepdim=True)
    values = middle + (values - middle) * contrast
    grey = values.mean(1, keepdim=True)
    return (grey + (values - grey) * saturation).clamp(0, 255)


def as_drawn(values: Tensor) -> Tensor:
    """Pictures as a decoder should draw them: (B, 3, S, S) in 0..255 → grey (B, 1, 28, 28) in [0, 1]."""
    import torch.nn.functional as F

    grey = values.float().mean(1, keepdim=True) / 255
    if grey.shape[-1] == DRAWN_SIZE:
        return grey
    shape = (DRAWN_SIZE, DRAWN_SIZE)
    return F.interpolate(grey, shape, mode="bilinear", antialias=True, align_corners=False)


def as_seen(drawn: Tensor, size: int) -> Tensor:
    """What a decoder drew, as an encoder sees it: grey (N, 1, 28, 28) in [0, 1] → uint8 (N, 3, size, size)."""
    import torch
    import torch.nn.functional as F

    values = drawn * 255
    if size != drawn.shape[-1]:
        values = F.interpolate(values, (size, size), mode="bicubic", antialias=True, align_corners=False)
    return values.round().clamp(0, 255).to(torch.uint8).expand(-1, 3, -1, -1)
