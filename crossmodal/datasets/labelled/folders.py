"""Labelled pictures from folders, one folder a class: ROOT/train/cat/1.png with ROOT/test/…, or just ROOT/cat/1.png."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crossmodal.datasets.records import Record
from crossmodal.datasets.splits import split_records
from crossmodal.errors import DataError, ImageError
from crossmodal.images.decode import list_images, load_image
from crossmodal.images.transforms import ImageTransform

__all__ = ["FolderPictures", "read_class_folders"]

_SHARES = (0.8, 0.0, 0.2)  # where the folders say no splits
_LAYOUT = "lay the pictures out as ROOT/train/CLASS/*.png and ROOT/test/CLASS/*.png, or as ROOT/CLASS/*.png"


class FolderPictures(NamedTuple):
    """What class folders hold.

    pixels: uint8 (N, 3, S, S).
    labels: int64 (N,), 0..K-1.
    label_names: K names of folders.
    skipped: (path below the root, reason) of each file left out.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    label_names: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]


def read_class_folders(root: Path, split: str, size: int) -> FolderPictures:
    """The pictures of one split, "train" or "test", in order of their paths; labels number the class folders by name.

    The classes are those of both splits together, so that a label means the same in each. A root without train and
    test folders is divided by a hash of each picture's path, four fifths to train: adding a picture moves no other.
    Pictures that cannot be decoded, or that lie beside the class folders, are skipped with their reason.

    Raises DataError if root is no folder, if the split holds no readable picture, or if two class folders differ by
    upper and lower case only.
    """
    if not root.is_dir():
        raise DataError(f"class folders {root} do not exist: name another folder with --root DIR")
    divided, names = _divided(root), list_images(root)
    depth = 1 if divided else 0
    inside = [name for name in names if name.count("/") > depth]
    classes = _classes({name.split("/")[depth] for name in inside}, root)
    if divided:
        chosen = [name for name in inside if name.startswith(f"{split}/")]
    else:
        records = [Record(name, ()) for name in inside]
        chosen = [record.image for record in split_records(records, shares=_SHARES)[split]]
    astray = [name for name in names if name.count("/") <= depth and (not divided or name.startswith(f"{split}/"))]
    pixels, kept, skipped = _decode(root, chosen, size)
    skipped = [*((name, "not in a class folder") for name in astray), *skipped]
    if not kept:
        example = f" ({len(skipped):,} skipped, such as {skipped[0][0]}: {skipped[0][1]})" if skipped else ""
        raise DataError(f"{root} holds no readable pictures for {split}{example}: {_LAYOUT}")
    number = {name: label for label, name in enumerate(classes)}
    labels = np.array([number[name.split("/")[depth]] for name in kept], np.int64)
    return FolderPictures(pixels, labels, classes, tuple(sorted(skipped)))


def _divided(root: Path) -> bool:
    """Whether root has train and test folders of classes; a class may itself be called "train"."""
    return any(
        folder.is_dir() and any(below.is_dir() for below in folder.iterdir())
        for folder in (root / "train", root / "test")
    )


def _classes(found: set[str], root: Path) -> tuple[str, ...]:
    folded: dict[str, str] = {}
    for name in sorted(found):
        other = folded.setdefault(name.casefold(), name)
        if other != name:
            raise DataError(f"{root} has the class folders {other} and {name}, one name in any case: rename one")
    return tuple(sorted(found))


def _decode(root: Path, names: Sequence[str], size: int) -> tuple[NDArray[np.uint8], list[str], list[tuple[str, str]]]:
    transform = ImageTransform(size)
    pixels = np.empty((len(names), 3, size, size), np.uint8)
    kept: list[str] = []
    skipped: list[tuple[str, str]] = []
    for name in names:
        try:
            pixels[len(kept)] = transform.pixels(load_image(root / name))
        except ImageError as error:
            skipped.append((name, error.reason))
        else:
            kept.append(name)
    return pixels[: len(kept)], kept, skipped
