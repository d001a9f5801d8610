"""Labelled pictures from eight torchvision sets and from folders of classes, all in one form.

    labelled_sets     torchvision's own classes, each with its own constructor ─┐
    labelled_folders  ROOT/train/cat/1.png … or ROOT/cat/1.png …               ─┴► load_labelled ─► LabelledPictures

Shapes: N pictures, C channels (1 or 3), S side in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import InputError

__all__ = ["DATASETS", "LABELLED_SPLITS", "LabelledPictures", "LabelledSet", "labelled_set", "load_labelled"]

LABELLED_SPLITS = ("train", "test")
_CHUNK = 1024  # pictures resized at once


@dataclass(frozen=True, eq=False)
class LabelledPictures:
    """Pictures of one split, each with one label.

    name: of the set, as a command says it.
    split: "train" or "test".
    pixels: uint8 RGB (N, 3, S, S), grey ones in three equal channels.
    labels: int64 (N,), 0..K-1.
    label_names: K words, all different, upper and lower case aside; equal in every split.
    skipped: (path, reason) of each picture left out.
    """

    name: str
    split: str
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    label_names: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class LabelledSet:
    """A set one can ask for by name.

    title: what people call it.
    size: side in pixels of its pictures as they lie on disk, None where they differ.
    channels: of its pictures as they lie on disk, 1 or 3.
    torchvision: name of the class that reads it, "" for class folders.
    variants: further choices, asked for as "name:variant"; the first is the usual one.
    mirror: whether a mirrored picture keeps its label; unknown of class folders, and so not assumed.
    """

    title: str
    size: int | None
    channels: int
    torchvision: str = ""
    variants: tuple[str, ...] = ()
    mirror: bool = False


DATASETS: dict[str, LabelledSet] = {
    "mnist": LabelledSet("MNIST", 28, 1, "MNIST"),
    "fashion_mnist": LabelledSet("Fashion-MNIST", 28, 1, "FashionMNIST", mirror=True),
    "kmnist": LabelledSet("Kuzushiji-MNIST", 28, 1, "KMNIST"),
    "emnist": LabelledSet(
        "EMNIST", 28, 1, "EMNIST", ("balanced", "byclass", "bymerge", "letters", "digits", "mnist")
    ),
    "cifar10": LabelledSet("CIFAR-10", 32, 3, "CIFAR10", mirror=True),
    "cifar100": LabelledSet("CIFAR-100", 32, 3, "CIFAR100", mirror=True),
    "svhn": LabelledSet("SVHN", 32, 3, "SVHN"),
    "stl10": LabelledSet("STL-10", 96, 3, "STL10", mirror=True),
    "folder": LabelledSet("class folders", None, 3),
}  # fmt: skip


def labelled_set(name: str) -> LabelledSet:
    """The entry of a name, which may carry a variant: "mnist", "emnist", "emnist:letters".

    Raises InputError, listing what is known, for another name or variant.
    """
    return _entry(name)[0]


def load_labelled(name: str, root: Path, split: str, size: int, download: bool = False) -> LabelledPictures:
    """All pictures of one split, resized to squares as `ImageTransform(size).pixels` does.

    name: a key of DATASETS, or "emnist:letters".
    root: the folder that torchvision calls root, or the folder that holds the class folders.
    split: "train" or "test".
    size: S in pixels.
    download: let torchvision fetch the set into root if it is not there; nothing is ever written otherwise.

    Raises InputError for an unknown name, variant or split, or a size below 1; DataError, with the next command, if the
    set is not in root, is damaged or cannot be downloaded.
    """
    entry, variant = _entry(name)
    if split not in LABELLED_SPLITS:
        raise InputError(f"a labelled set has the splits {' and '.join(LABELLED_SPLITS)}, not {split!r}")
    if size < 1:
        raise InputError(f"size must be at least 1 pixel, not {size}")
    if not entry.torchvision:
        from crossmodal.datasets.labelled.folders import read_class_folders

        return LabelledPictures(name, split, *read_class_folders(Path(root), split, size))
    from crossmodal.datasets.labelled.sets import Wanted, read_set

    wanted = Wanted(name, entry.title, entry.torchvision, Path(root), split, variant)
    native, labels, label_names = read_set(wanted, (entry.channels, entry.size, entry.size), download)
    return LabelledPictures(name, split, _as_rgb(native, size), labels, label_names)


def _entry(name: str) -> tuple[LabelledSet, str]:
    """The entry of a name and the variant it asks for, "" where there are none."""
    base, colon, variant = name.partition(":")
    if base not in DATASETS:
        raise InputError(f"no labelled set is called {name!r}: known are {', '.join(DATASETS)}")
    entry = DATASETS[base]
    if colon and variant not in entry.variants:
        known = ", ".join(f"{base}:{other}" for other in entry.variants)
        raise InputError(f"{base} has no part {variant!r}: " + (f"known are {known}" if known else f"ask for {base!r}"))
    return entry, variant or next(iter(entry.variants), "")


def _as_rgb(native: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """(N, C, H, W) → (N, 3, S, S); in bulk, yet bit for bit what ImageTransform gives each picture alone."""
    result = np.empty((len(native), 3, size, size), np.uint8)
    for start in range(0, len(native), _CHUNK):
        part: NDArray[Any] = native[start : start + _CHUNK]
        if part.shape[2:] != (size, size):
            part = _resized(part, size)
        result[start : start + _CHUNK] = part  # one channel becomes three
    return result


def _resized(pixels: NDArray[np.uint8], size: int) -> NDArray[Any]:
    import torch
    import torch.nn.functional as F

    batch = torch.from_numpy(np.ascontiguousarray(pixels)).contiguous(memory_format=torch.channels_last)
    return F.interpolate(batch, size=(size, size), mode="bicubic", antialias=True).numpy()
