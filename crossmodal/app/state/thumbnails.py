"""Small JPEGs of the gallery's pictures, made once and kept in memory."""

from __future__ import annotations

import base64
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from crossmodal.errors import ImageError
from crossmodal.images.decode import load_image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from crossmodal.search.query import Box

__all__ = ["as_data_address", "cropped_address", "grey_address", "thumbnail"]

TILE_PIXELS = 360


def thumbnail(path: Path, pixels: int = TILE_PIXELS) -> str | None:
    """The picture as a data address, its longer side at most `pixels`; None where it is gone or cannot be decoded."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return _made(str(path), facts.st_mtime_ns, facts.st_size, pixels)


def as_data_address(image: Image, pixels: int = TILE_PIXELS) -> str:
    """A picture as a JPEG data address, scaled down until its longer side is at most `pixels`."""
    small = image.convert("RGB")
    small.thumbnail((pixels, pixels))
    buffer = BytesIO()
    small.save(buffer, format="JPEG", quality=82, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def grey_address(grey: NDArray[np.float32]) -> str:
    """Grey values (H, W) in [0, 1] as a PNG data address, pixel by pixel."""
    from PIL import Image

    buffer = BytesIO()
    Image.fromarray((255 * grey.clip(0, 1)).round().astype("uint8")).save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


@lru_cache(maxsize=64)
def cropped_address(source: Path | bytes, crop: Box | None, pixels: int) -> str | None:
    """A part of a picture, all of it for None, as a data address; None where it is gone or cannot be decoded."""
    try:
        image = load_image(source)
    except ImageError:
        return None
    return as_data_address(image if crop is None else image.crop(crop.pixels(*image.size)), pixels)


@lru_cache(maxsize=2048)
def _made(path: str, changed: int, size: int, pixels: int) -> str | None:  # noqa: ARG001 - change and size are the key
    try:
        return as_data_address(load_image(Path(path)), pixels)
    except ImageError:
        return None
