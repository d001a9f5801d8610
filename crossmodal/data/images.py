"""Find and decode pictures safely: every file gives an upright RGB picture or an ImageError with its reason."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageOps

from crossmodal.errors import ImageError, InputError

__all__ = ["IMAGE_SUFFIXES", "MAX_PIXELS", "list_images", "load_image"]

IMAGE_SUFFIXES: frozenset[str] = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".gif", ".webp", ".bmp", ".dib", ".tif", ".tiff"}
    | {".avif", ".heic", ".heif", ".jp2", ".j2k", ".ppm", ".pgm", ".pbm", ".pnm"}
)
MAX_PIXELS: int = 120_000_000


def load_image(source: Path | str | bytes | BinaryIO, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode one picture: upright, mode RGB.

    Raises ImageError if it is empty, damaged, animated, larger than `max_pixels`, or no picture.
    """
    path = str(source) if isinstance(source, (str, os.PathLike)) else None
    try:
        if isinstance(source, (str, os.PathLike)):
            data = Path(source).read_bytes()
        else:
            data = source if isinstance(source, bytes) else source.read()
        if not data:
            raise ImageError("0 bytes", path)
        with Image.open(io.BytesIO(data), formats=["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM"]) as picture:
            if picture.width * picture.height > max_pixels:
                raise ImageError("too many pixels", path)
            return ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(str(error), path) from error


def list_images(root: Path) -> list[str]:
    """Relative POSIX paths of all pictures below a folder, sorted; told by suffix, hidden ones left out.

    Raises InputError if `root` is not a folder.
    """
    if not root.is_dir():
        raise InputError(f"no folder of pictures at {root}: check the path given with --images")
    found: list[str] = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        base = Path(folder).relative_to(root)
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES:
                found.append((base / name).as_posix())
    return sorted(found)
