"""Small labelled sets, written as the real ones lie on disk: IDX, Python 2 pickles, MATLAB and raw bytes.

The published MD5 sums are those of the real files, so a writer whose reader checks them puts those of its own files
into torchvision's lists, through pytest's monkeypatch.
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
CIFAR10_WORDS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
STL10_WORDS = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")


def pictures(count: int, side: int, channels: int = 3, seed: int = 0) -> Bytes:
    """uint8 (N, C, S, S) of noise: no turn, mirror or exchange of channels leaves it as it was."""
    return np.random.default_rng(seed).integers(0, 256, (count, channels, side, side), dtype=np.uint8)


def write_idx(path: Path, values: Bytes) -> None:
    """http://yann.lecun.com/exdb/mnist: 0, 0, type 8 (bytes), dimensions, each length big-endian, then the values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lengths = struct.pack(f">{values.ndim}I", *values.shape)
    path.write_bytes(bytes([0, 0, 8, values.ndim]) + lengths + values.tobytes())


def write_mnist(root: Path, split: str, grey: Bytes, labels: list[int], folder: str = "MNIST") -> None:
    """grey: (N, H, W)."""
    stem = root / folder / "raw" / {"train": "train", "test": "t10k"}[split]
    write_idx(Path(f"{stem}-images-idx3-ubyte"), grey)
    write_idx(Path(f"{stem}-labels-idx1-ubyte"), np.array(labels, np.uint8))


def write_emnist(root: Path, part: str, split: str, upright: Bytes, labels: list[int]) -> None:
    """EMNIST's files hold each picture transposed. upright: (N, 28, 28)."""
    stem = root / "EMNIST" / "raw" / f"emnist-{part}-{split}"
    write_idx(Path(f"{stem}-images-idx3-ubyte"), np.ascontiguousarray(upright.swapaxes(1, 2)))
    write_idx(Path(f"{stem}-labels-idx1-ubyte"), np.array(labels, np.uint8))


def python2_pickle(value: Any) -> bytes:
    """What Python 2's cPickle with NumPy 1.x wrote, protocol 2: its `str` is bytes."""
    return b"\x80\x02" + _pickled(value) + b"."


def _pickled(value: Any) -> bytes:
    if isinstance(value, dict):
        return b"}(" + b"".join(_pickled(key) + _pickled(item) for key, item in value.items()) + b"u"
    if isinstance(value, list):
        return b"](" + b"".join(map(_pickled, value)) + b"e"
    if isinstance(value, str):
        return b"U" + bytes([len(value)]) + value.encode()
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    data = value.tobytes()
    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    dtype = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    shape = b"".join(map(_pickled, value.shape)) + b"\x86"
    return empty + b"(K\x01" + shape + dtype + b"\x89T" + struct.pack("<i", len(data)) + data + b"tb"


def write_batch(path: Path, rgb: Bytes, **labels: list[int]) -> list[str]:
    """One of CIFAR's batches: data (N, 3072), red before green before blue. Returns its entry in torchvision's list."""
    names = [f"picture_{number}.png" for number in range(len(rgb))]
    content = {"data": rgb.reshape(len(rgb), -1), **labels, "batch_label": "a batch", "filenames": names}
    return write_listed(path, python2_pickle(content))


def write_listed(path: Path, content: bytes) -> list[str]:
    """Write a file; its name and MD5 sum, as torchvision lists them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return [path.name, hashlib.md5(content).hexdigest()]


def write_cifar10(root: Path, train: Bytes, train_labels: list[int], test: Bytes, test_labels: list[int],
                  monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """Training pictures in two batches, the first of two pictures."""
    from torchvision.datasets import CIFAR10

    folder = root / "cifar-10-batches-py"
    words = list(CIFAR10_WORDS)
    meta = write_listed(folder / "batches.meta", python2_pickle({"num_cases_per_batch": 2, "label_names": words}))
    batches = [
        write_batch(folder / "data_batch_1", train[:2], labels=train_labels[:2]),
        write_batch(folder / "data_batch_2", train[2:], labels=train_labels[2:]),
    ]
    monkeypatch.setattr(CIFAR10, "train_list", batches)
    monkeypatch.setattr(CIFAR10, "test_list", [write_batch(folder / "test_batch", test, labels=test_labels)])
    monkeypatch.setattr(CIFAR10, "meta", {"filename": "batches.meta", "key": "label_names", "md5": meta[1]})


def write_cifar100(root: Path, rgb: Bytes, fine: list[int], words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The same pictures to train and test; every coarse label is 7."""
    from torchvision.datasets import CIFAR100

    folder, coarse = root / "cifar-100-python", [7] * len(rgb)
    names = {"fine_label_names": words, "coarse_label_names": [f"coarse_{number}" for number in range(20)]}
    meta = write_listed(folder / "meta", python2_pickle(names))
    for split in ("train", "test"):
        batch = write_batch(folder / split, rgb, coarse_labels=coarse, fine_labels=fine)
        monkeypatch.setattr(CIFAR100, f"{split}_list", [batch])
    monkeypatch.setattr(CIFAR100, "meta", {"filename": "meta", "key": "fine_label_names", "md5": meta[1]})


def write_svhn(root: Path, split: str, rgb: Bytes, labels: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """MATLAB 5: X (32, 32, 3, N) and y (N, 1), with 10 for the digit 0."""
    from scipy.io import savemat
    from torchvision.datasets import SVHN

    path = root / f"{split}_32x32.mat"
    savemat(path, {"X": rgb.transpose(2, 3, 1, 0), "y": np.array(labels, np.uint8)[:, None]}, do_compression=True)
    entry = ["http://nowhere.invalid", path.name, hashlib.md5(path.read_bytes()).hexdigest()]
    monkeypatch.setitem(SVHN.split_list, split, entry)


def write_stl10(root: Path, train: Bytes, train_labels: list[int], test: Bytes, test_labels: list[int],
                unlabelled: Bytes, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """Raw bytes, each channel by columns; labels 1..10, and 0 for a picture without."""
    from torchvision.datasets import STL10

    folder = root / "stl10_binary"

    def columns(rgb: Bytes) -> bytes:
        return np.ascontiguousarray(rgb.swapaxes(2, 3)).tobytes()

    training = [
        write_listed(folder / "train_X.bin", columns(train)),
        write_listed(folder / "train_y.bin", bytes(train_labels)),
        write_listed(folder / "unlabeled_X.bin", columns(unlabelled)),
    ]
    testing = [
        write_listed(folder / "test_X.bin", columns(test)),
        write_listed(folder / "test_y.bin", bytes(test_labels)),
    ]
    write_listed(folder / "class_names.txt", "\n".join(STL10_WORDS).encode())
    write_listed(folder / "fold_indices.txt", b"0 \n1 \n" * 5)
    monkeypatch.setattr(STL10, "train_list", training)
    monkeypatch.setattr(STL10, "test_list", testing)
