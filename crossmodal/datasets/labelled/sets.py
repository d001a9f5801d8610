"""Eight labelled sets read by torchvision's own classes, whose constructors, files and arrays all differ.

Nothing that a file holds is run. CIFAR's files are pickles, but torchvision's constructor compares the MD5 sum of every
batch with the published one before it opens the first, and that of the file of names before it opens that; a file with
another content never reaches pickle. SVHN's and STL-10's files are checked as well; the MNIST family has no published
sums of its unpacked files, but they are plain numbers (or tensors of an older torchvision, read with weights_only), and
shapes and labels are checked here.

Shapes: N pictures, C channels, S side in pixels.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import DataError, install_command

__all__ = ["Wanted", "read_set"]

DIGITS = tuple("0123456789")
STL10_CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")

Native = tuple[NDArray[np.uint8], NDArray[np.int64], tuple[str, ...]]
Files = list[tuple[str, str | None]]  # path below the root, published MD5 sum or None


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    name: as a command would say it.
    title: what people call the set.
    torchvision: name of the class that reads it.
    root: the folder that its files lie in.
    split: "train" or "test".
    variant: EMNIST's part, else "".
    """

    name: str
    title: str
    torchvision: str
    root: Path
    split: str
    variant: str = ""

    @property
    def download_command(self) -> str:
        """What fetches the set."""
        root = shlex.quote(str(self.root))
        return f"`python -m crossmodal train --recipe NAME --data {self.name} --root {root} --download`"


def read_set(wanted: Wanted, shape: tuple[int, int | None, int | None], download: bool = False) -> Native:
    """Pictures in their own size, uint8 (N, C, S, S), upright, RGB; labels int64 (N,), 0..K-1; K label names.

    shape: the (C, S, S) that they must have. Unlabelled pictures are left out.

    Raises DataError if files are absent or damaged, if a download fails, or if SVHN is asked for without SciPy.
    """
    from torchvision import datasets

    source = getattr(datasets, wanted.torchvision)
    family = FAMILIES[wanted.torchvision]
    if wanted.torchvision == "SVHN" and importlib.util.find_spec("scipy") is None:
        raise DataError(f"SVHN comes in MATLAB files, which need SciPy: `{install_command('scipy')}` and try again")
    files = family.files(source, wanted)
    if not download:
        _require(files, family, source, wanted)
    dataset = _open(source, family.arguments(wanted), files, wanted, download)
    pixels, labels, names = family.arrays(dataset)
    _check(pixels, labels, names, shape, wanted)
    return pixels, labels.astype(np.int64), tuple(names)


def _require(files: Files, family: Family, source: Any, wanted: Wanted) -> None:
    """Raise DataError if a file is absent, with the command that unpacks it, where it lies packed, or fetches it."""
    absent = [path for path, _ in files if not (wanted.root / path).is_file()]
    if not absent:
        return
    more = f" (and {len(absent) - 1} more of its files)" if len(absent) > 1 else ""
    what = f"{wanted.title} is not complete in {wanted.root}: {wanted.root / absent[0]} does not exist{more}"
    unpack = _unpacking(absent, source, wanted)
    if unpack:
        raise DataError(f"{what}, but it lies there packed: run {unpack}")
    raise DataError(f"{what}. torchvision fetches it from {family.address(source, wanted)}: {wanted.download_command}")


def _unpacking(absent: Sequence[str], source: Any, wanted: Wanted) -> str | None:
    """The command that unpacks what was downloaded by hand, None where nothing was."""
    archive = wanted.root / getattr(source, "filename", "no archive")
    if archive.is_file() and archive.name.endswith(".tar.gz"):
        return f"`tar -xzf {shlex.quote(str(archive))} -C {shlex.quote(str(wanted.root))}`"
    packed = [wanted.root / f"{path}.gz" for path in absent]
    if not all(path.is_file() for path in packed):
        return None
    folder = packed[0].parent
    if os.access(folder, os.W_OK):
        return f"`gunzip --keep {' '.join(shlex.quote(str(path)) for path in packed)}`"
    raw = folder.relative_to(wanted.root)
    fetch = f"mkdir -p DIR/{raw} && cp {shlex.quote(str(folder))}/*.gz DIR/{raw} && gunzip DIR/{raw}/*.gz"
    return f"`{fetch}` with a folder DIR you may write to, then again with --root DIR"


def _open(source: Any, arguments: dict[str, Any], files: Files, wanted: Wanted, download: bool) -> Any:
    try:
        return source(str(wanted.root), download=download, **arguments)
    except Exception as error:  # damaged bytes make readers raise anything, from AssertionError to KeyError
        reason = str(error) or type(error).__name__
        bad = _changed(files, wanted.root)
        if download and bad:
            raise DataError(
                f"{wanted.title} cannot be downloaded to {wanted.root} ({reason}): try again later with "
                f"{wanted.download_command}, or put {bad[0]} there yourself"
            ) from error
        raise _damage(wanted, f"{', '.join(bad)} has not the published content" if bad else reason) from error


def _changed(files: Files, root: Path) -> list[str]:
    """The files that are absent or whose MD5 sum is not the published one."""
    from torchvision.datasets.utils import check_integrity

    return [path for path, md5 in files if not check_integrity(root / path, md5)]


def _damage(wanted: Wanted, reason: str) -> DataError:
    return DataError(
        f"{wanted.title} in {wanted.root} is damaged: {reason}. Delete what is damaged, then {wanted.download_command}"
    )


def _check(
    pixels: NDArray[Any], labels: NDArray[Any], names: Sequence[str], shape: tuple[Any, ...], wanted: Wanted
) -> None:
    if pixels.dtype != np.uint8 or pixels.shape[1:] != shape:
        raise _damage(wanted, f"its pictures are {pixels.dtype} {pixels.shape[1:]}, not uint8 {shape}")
    if len(pixels) != len(labels) or not len(labels):
        raise _damage(wanted, f"{len(pixels):,} pictures with {len(labels):,} labels")
    outside = labels[(labels < 0) | (labels >= len(names))]
    if len(outside):
        raise _damage(wanted, f"{len(outside):,} pictures of another label than 0 to {len(names) - 1}: {outside[0]}")


def _mnist_files(source: Any, _: Wanted) -> Files:
    return [(f"{source.__name__}/raw/{name.removesuffix('.gz')}", None) for name, _ in source.resources]


def _emnist_files(_: Any, wanted: Wanted) -> Files:
    stem = f"EMNIST/raw/emnist-{wanted.variant}-{wanted.split}"
    return [(f"{stem}-images-idx3-ubyte", None), (f"{stem}-labels-idx1-ubyte", None)]


def _cifar_files(source: Any, _: Wanted) -> Files:
    meta = (source.meta["filename"], source.meta["md5"])
    return [(f"{source.base_folder}/{name}", md5) for name, md5 in (*source.train_list, *source.test_list, meta)]


def _svhn_files(source: Any, wanted: Wanted) -> Files:
    _, name, md5 = source.split_list[wanted.split]
    return [(name, md5)]


def _stl10_files(source: Any, _: Wanted) -> Files:
    return [(f"{source.base_folder}/{name}", md5) for name, md5 in (*source.train_list, *source.test_list)]


def _train(wanted: Wanted) -> dict[str, Any]:
    return {"train": wanted.split == "train"}


def _split(wanted: Wanted) -> dict[str, Any]:
    return {"split": wanted.split}  # STL-10: never "unlabeled" nor "train+unlabeled"


def _mnist_arrays(dataset: Any) -> Native:
    names = tuple(name.partition(" - ")[0] for name in dataset.classes)  # MNIST's own are "3 - three"
    return dataset.data.numpy()[:, None], dataset.targets.numpy(), names


def _emnist_arrays(dataset: Any) -> Native:
    """EMNIST's files hold columns where MNIST's hold rows; the labels of its letters begin at 1."""
    pixels, labels, names = dataset.data.numpy().swapaxes(1, 2)[:, None], dataset.targets.numpy(), dataset.classes
    if names[0] == "N/A":
        labels, names = labels - 1, names[1:]
    both = {name for name in names if name.isalpha() and name.swapcase() in names}
    words = {name: f"{'capital' if name.isupper() else 'small'} {name.lower()}" for name in both}
    return pixels, labels, tuple(words.get(name, name.lower()) for name in names)


def _cifar_arrays(dataset: Any) -> Native:
    names = tuple(name.replace("_", " ") for name in dataset.classes)  # CIFAR-100's "aquarium_fish"
    return dataset.data.transpose(0, 3, 1, 2), np.asarray(dataset.targets), names


def _svhn_arrays(dataset: Any) -> Native:
    return dataset.data, dataset.labels.reshape(-1), DIGITS


def _stl10_arrays(dataset: Any) -> Native:
    labelled = dataset.labels != 255  # written 0, which torchvision's 0 - 1 makes 255 in a byte
    return dataset.data[labelled], dataset.labels[labelled], STL10_CLASSES


@dataclass(frozen=True)
class Family:
    """How one kind of torchvision's classes is used; each field is a function.

    arguments: what the class is made with.
    files: the files that it needs, with their published MD5 sums.
    arrays: its pictures, labels and label names, as it holds them.
    address: where the files come from.
    """

    arguments: Callable[[Wanted], dict[str, Any]]
    files: Callable[[Any, Wanted], Files]
    arrays: Callable[[Any], Native]
    address: Callable[[Any, Wanted], str] = lambda source, _: str(source.url)


_MNIST = Family(_train, _mnist_files, _mnist_arrays, lambda source, _: str(source.mirrors[0]))
_CIFAR = Family(_train, _cifar_files, _cifar_arrays)
FAMILIES: dict[str, Family] = {
    "MNIST": _MNIST,
    "FashionMNIST": _MNIST,
    "KMNIST": _MNIST,
    "EMNIST": Family(lambda wanted: {**_train(wanted), "split": wanted.variant}, _emnist_files, _emnist_arrays),
    "CIFAR10": _CIFAR,
    "CIFAR100": _CIFAR,
    "SVHN": Family(_split, _svhn_files, _svhn_arrays, lambda source, wanted: str(source.split_list[wanted.split][0])),
    "STL10": Family(_split, _stl10_files, _stl10_arrays),
}
