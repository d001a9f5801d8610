"""Eight labelled sets in their true on-disk formats, and class folders: upright, RGB, labels 0..K-1, or an error."""

from __future__ import annotations

import gzip
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
from PIL import Image

from crossmodal.datasets.labelled.pictures import DATASETS, labelled_set, load_labelled
from crossmodal.errors import DataError, InputError
from crossmodal.images.transforms import ImageTransform
from tests.datasets.labelled_files import (
    CIFAR10_WORDS,
    STL10_WORDS,
    pictures,
    write_cifar10,
    write_cifar100,
    write_emnist,
    write_idx,
    write_listed,
    write_mnist,
    write_stl10,
    write_svhn,
)

FINE = ["apple", "aquarium_fish", *(f"thing_{number}" for number in range(2, 100))]
FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


@pytest.mark.parametrize(
    ("name", "folder", "words"),
    [
        ("mnist", "MNIST", tuple("0123456789")),
        ("fashion_mnist", "FashionMNIST", FASHION),
        ("kmnist", "KMNIST", ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")),
    ],
)
def test_grey_sets_of_the_mnist_family(tmp_path: Path, name: str, folder: str, words: tuple[str, ...]) -> None:
    train, test = pictures(5, 28, 1)[:, 0], pictures(3, 28, 1, seed=1)[:, 0]
    write_mnist(tmp_path, "train", train, [5, 0, 4, 1, 9], folder)
    write_mnist(tmp_path, "test", test, [7, 2, 1], folder)
    loaded = load_labelled(name, tmp_path, "train", 28)
    assert (loaded.name, loaded.split, len(loaded), loaded.skipped) == (name, "train", 5, ())
    assert (loaded.pixels.dtype, loaded.labels.dtype) == (np.uint8, np.int64)
    assert np.array_equal(loaded.pixels, np.stack([train] * 3, axis=1))
    assert loaded.labels.tolist() == [5, 0, 4, 1, 9]
    assert loaded.label_names == words
    other = load_labelled(name, tmp_path, "test", 28)
    assert np.array_equal(other.pixels[:, 2], test)
    assert other.labels.tolist() == [7, 2, 1]


def test_emnist_is_set_upright_and_its_usual_part_is_balanced(tmp_path: Path) -> None:
    upright = pictures(3, 28, 1)[:, 0]
    write_emnist(tmp_path, "balanced", "train", upright, [0, 10, 46])
    loaded = load_labelled("emnist", tmp_path, "train", 28)
    assert np.array_equal(loaded.pixels[:, 0], upright)
    names = [loaded.label_names[label] for label in loaded.labels]
    assert (len(loaded.label_names), names) == (47, ["0", "capital a", "small t"])
    assert loaded.label_names[12] == "c"  # both cases in one class


def test_letters_of_emnist_begin_at_0_without_a_class_for_none(tmp_path: Path) -> None:
    write_emnist(tmp_path, "letters", "test", pictures(2, 28, 1)[:, 0], [1, 26])
    loaded = load_labelled("emnist:letters", tmp_path, "test", 28)
    assert loaded.labels.tolist() == [0, 25]
    assert loaded.label_names == tuple("abcdefghijklmnopqrstuvwxyz")


@pytest.mark.parametrize(("part", "classes"), [("byclass", 62), ("bymerge", 47), ("digits", 10), ("mnist", 10)])
def test_every_part_of_emnist_has_names_that_differ_in_any_case(tmp_path: Path, part: str, classes: int) -> None:
    write_emnist(tmp_path, part, "test", pictures(2, 28, 1)[:, 0], [0, classes - 1])
    names = load_labelled(f"emnist:{part}", tmp_path, "test", 28).label_names
    assert len({name.casefold() for name in names}) == classes


def test_cifar10_joins_its_batches_and_keeps_red_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, test = pictures(5, 32), pictures(2, 32, seed=1)
    write_cifar10(tmp_path, train, [6, 9, 9, 4, 1], test, [3, 8], monkeypatch)
    loaded = load_labelled("cifar10", tmp_path, "train", 32)
    assert np.array_equal(loaded.pixels, train)
    assert loaded.labels.tolist() == [6, 9, 9, 4, 1]
    assert loaded.label_names == CIFAR10_WORDS
    other = load_labelled("cifar10", tmp_path, "test", 32)
    assert np.array_equal(other.pixels, test)
    assert other.labels.tolist() == [3, 8]


def test_cifar100_gives_fine_labels_named_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rgb = pictures(3, 32)
    write_cifar100(tmp_path, rgb, [99, 0, 1], FINE, monkeypatch)
    loaded = load_labelled("cifar100", tmp_path, "test", 32)
    assert np.array_equal(loaded.pixels, rgb)
    assert loaded.labels.tolist() == [99, 0, 1]
    assert (len(loaded.label_names), loaded.label_names[1]) == (100, "aquarium fish")


def test_svhn_writes_0_as_10_and_lies_by_pixel_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rgb = pictures(3, 32)
    write_svhn(tmp_path, "train", rgb, [10, 1, 9], monkeypatch)
    write_svhn(tmp_path, "test", rgb[:1], [10], monkeypatch)
    loaded = load_labelled("svhn", tmp_path, "train", 32)
    assert np.array_equal(loaded.pixels, rgb)
    assert (loaded.labels.tolist(), loaded.label_names) == ([0, 1, 9], tuple("0123456789"))
    assert load_labelled("svhn", tmp_path, "test", 32).labels.tolist() == [0]  # a single one stays a list


def test_svhn_without_scipy_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(DataError, match="pip install scipy"):
        load_labelled("svhn", tmp_path, "train", 32)


def test_stl10_is_upright_and_no_unlabelled_picture_comes_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, test, unlabelled = pictures(4, 96), pictures(2, 96, seed=1), pictures(6, 96, seed=2)
    write_stl10(tmp_path, train, [1, 0, 10, 7], test, [2, 3], unlabelled, monkeypatch)
    loaded = load_labelled("stl10", tmp_path, "train", 96)
    assert np.array_equal(loaded.pixels, train[[0, 2, 3]])
    assert (loaded.labels.tolist(), loaded.label_names) == ([0, 9, 6], STL10_WORDS)
    other = load_labelled("stl10", tmp_path, "test", 96)
    assert np.array_equal(other.pixels, test)
    assert other.labels.tolist() == [1, 2]


@pytest.mark.parametrize("size", [16, 28, 64])
def test_bulk_resizing_gives_each_picture_what_the_transform_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr("crossmodal.datasets.labelled.pictures._CHUNK", 3)
    rgb, grey = pictures(5, 32), pictures(5, 28, 1)[:, 0]
    write_cifar10(tmp_path, rgb, [0] * 5, rgb, [0] * 5, monkeypatch)
    write_mnist(tmp_path, "train", grey, [0] * 5)
    write_mnist(tmp_path, "test", grey, [0] * 5)
    alone = ImageTransform(size).pixels
    coloured = np.stack([alone(Image.fromarray(picture.transpose(1, 2, 0))) for picture in rgb])
    assert np.array_equal(load_labelled("cifar10", tmp_path, "train", size).pixels, coloured)
    plain = np.stack([alone(Image.fromarray(picture)) for picture in grey])
    assert np.array_equal(load_labelled("mnist", tmp_path, "train", size).pixels, plain)


def test_a_recipe_can_ask_for_native_size_and_channels() -> None:
    native = {name: (entry.size, entry.channels) for name, entry in DATASETS.items()}
    grey, small = (28, 1), (32, 3)
    assert native == {"mnist": grey, "fashion_mnist": grey, "kmnist": grey, "emnist": grey, "cifar10": small,
                      "cifar100": small, "svhn": small, "stl10": (96, 3), "folder": (None, 3)}  # fmt: skip
    assert labelled_set("emnist:letters") is DATASETS["emnist"]


@pytest.mark.parametrize(
    ("name", "split", "size", "message"),
    [
        ("minst", "train", 28, "known are mnist, fashion_mnist, kmnist, emnist, cifar10, .*stl10, folder"),
        ("emnist:cursive", "train", 28, "known are emnist:balanced, emnist:byclass"),
        ("mnist:letters", "train", 28, "ask for 'mnist'"),
        ("stl10", "unlabeled", 96, "splits train and test, not 'unlabeled'"),
        ("mnist", "train", 0, "at least 1 pixel"),
    ],
)
def test_what_nobody_knows_is_an_input_error(tmp_path: Path, name: str, split: str, size: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_labelled(name, tmp_path, split, size)


@pytest.mark.parametrize(
    ("name", "file", "address"),
    [
        ("mnist", "MNIST/raw/train-images-idx3-ubyte", "ossci-datasets"),
        ("fashion_mnist", "FashionMNIST/raw/train-images-idx3-ubyte", "fashion-mnist"),
        ("kmnist", "KMNIST/raw/train-images-idx3-ubyte", "codh.rois.ac.jp"),
        ("emnist:letters", "EMNIST/raw/emnist-letters-train-images-idx3-ubyte", "nist.gov"),
        ("cifar10", "cifar-10-batches-py/data_batch_1", "cifar-10-python.tar.gz"),
        ("cifar100", "cifar-100-python/train", "cifar-100-python.tar.gz"),
        ("svhn", "train_32x32.mat", "housenumbers/train_32x32.mat"),
        ("stl10", "stl10_binary/train_X.bin", "stl10_binary.tar.gz"),
    ],
)
def test_an_absent_set_says_what_was_sought_and_how_to_get_it(
    tmp_path: Path, name: str, file: str, address: str
) -> None:
    with pytest.raises(DataError) as caught:
        load_labelled(name, tmp_path, "train", 28)
    message = str(caught.value)
    assert f"{tmp_path / file} does not exist" in message
    assert address in message
    assert f"`python -m crossmodal train --recipe NAME --data {name} --root {tmp_path} --download`" in message
    assert list(tmp_path.iterdir()) == []


def test_packed_files_are_left_alone_and_the_unpacking_command_works(tmp_path: Path) -> None:
    root = tmp_path / "a folder"
    write_mnist(root, "train", pictures(2, 28, 1)[:, 0], [1, 2])
    write_mnist(root, "test", pictures(1, 28, 1)[:, 0], [3])
    for path in (root / "MNIST" / "raw").iterdir():
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    with pytest.raises(DataError, match="lies there packed: run `gunzip --keep ") as caught:
        load_labelled("mnist", root, "test", 28)
    assert len(list((root / "MNIST" / "raw").iterdir())) == 4
    subprocess.run(str(caught.value).split("`")[1], shell=True, check=True)
    assert load_labelled("mnist", root, "test", 28).labels.tolist() == [3]


def test_packed_files_in_a_folder_one_may_not_write_to_are_copied_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        write_listed(tmp_path / "MNIST" / "raw" / f"{name}-ubyte.gz", b"")
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(DataError, match=r"mkdir -p DIR/MNIST/raw && cp .*/MNIST/raw/\*\.gz DIR/MNIST/raw && gunzip"):
        load_labelled("mnist", tmp_path, "train", 28)


def test_a_packed_archive_is_named_with_its_command(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"")
    with pytest.raises(DataError, match=r"run `tar -xzf .*cifar-10-python\.tar\.gz -C "):
        load_labelled("cifar10", tmp_path, "train", 32)


def test_download_lets_torchvision_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(_: str, download_root: str, filename: str, md5: str) -> None:
        assert md5
        labels = "labels" in filename
        values = np.array([4], np.uint8) if labels else pictures(1, 28, 1)[:, 0]
        write_idx(Path(download_root) / filename.removesuffix(".gz"), values)

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", fetch)
    assert load_labelled("kmnist", tmp_path, "test", 28, download=True).labels.tolist() == [4]


def test_a_failed_download_is_a_data_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", fail)
    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", fail)
    for name in ("mnist", "cifar10"):
        with pytest.raises(DataError, match=r"cannot be downloaded[\s\S]*no route to host[\s\S]*--download"):
            load_labelled(name, tmp_path, "train", 28, download=True)


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
HEAD = b"\0\0\x08\x03\0\0\0\x02\0\0\0\x1c\0\0\0\x1c"


@pytest.mark.parametrize(
    ("file", "content"),
    [
        (IMAGES, b""),
        (IMAGES, HEAD[:7]),
        (IMAGES, HEAD),
        (IMAGES, HEAD + bytes(1000)),  # truncated
        (IMAGES, b"\0\0\x0a\x03" + HEAD[4:] + bytes(2 * 784)),  # no such type
        (IMAGES, b"\0\0\x0d\x03" + HEAD[4:] + bytes(8 * 784)),  # floats
        (IMAGES, b"\0\0\x08\x03\0\0\0\x02\0\0\0\x0e\0\0\0\x0e" + bytes(2 * 196)),  # 14 × 14
        (IMAGES, b"\0\0\x08\x03" + b"\x7f\xff\xff\xff" * 3 + bytes(9)),
        (IMAGES, b"<html>not found</html>"),
        (LABELS, b"\0\0\x08\x01\0\0\0\x01\x05"),  # one label, two pictures
        (LABELS, b"\0\0\x08\x01\0\0\0\x02\x05\x0a"),  # a tenth digit
        (LABELS, b"\0\0\x08\x02\0\0\0\x02\0\0\0\x01\x05\x01"),
    ],
)
def test_damaged_files_of_the_mnist_family_are_a_data_error(tmp_path: Path, file: str, content: bytes) -> None:
    write_mnist(tmp_path, "train", pictures(2, 28, 1)[:, 0], [1, 2])
    write_mnist(tmp_path, "test", pictures(2, 28, 1)[:, 0], [1, 2])
    (tmp_path / "MNIST" / "raw" / file).write_bytes(content)
    with pytest.raises(DataError, match=r"MNIST in .* is damaged: .*--download"):
        load_labelled("mnist", tmp_path, "train", 28)


class Bomb:
    """Unpickled, it writes a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("file", ["data_batch_2", "batches.meta", "test_batch"])
def test_a_pickle_that_is_not_the_published_one_is_never_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    rgb, trace = pictures(3, 32), tmp_path / "it ran"
    write_cifar10(tmp_path, rgb, [0, 1, 2], rgb, [0, 1, 2], monkeypatch)
    (tmp_path / "cifar-10-batches-py" / file).write_bytes(pickle.dumps({"data": Bomb(trace)}))
    with pytest.raises(DataError, match=f"damaged: cifar-10-batches-py/{file} has not the published content"):
        load_labelled("cifar10", tmp_path, "train", 32)
    assert not trace.exists()


def test_a_changed_file_of_svhn_or_stl10_is_a_data_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_svhn(tmp_path, "train", pictures(2, 32), [1, 2], monkeypatch)
    (tmp_path / "train_32x32.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
    with pytest.raises(DataError, match=r"SVHN .* is damaged: train_32x32.mat has not the published content"):
        load_labelled("svhn", tmp_path, "train", 32)
    rgb = pictures(1, 96)
    write_stl10(tmp_path, rgb, [1], rgb, [1], rgb, monkeypatch)
    (tmp_path / "stl10_binary" / "test_X.bin").write_bytes(bytes(100))
    with pytest.raises(DataError, match=r"STL-10 .* is damaged: stl10_binary/test_X.bin has not"):
        load_labelled("stl10", tmp_path, "test", 96)


def save(path: Path, colour: tuple[int, int, int], size: int = 8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (size, size), colour).save(path)


def test_class_folders_number_the_classes_of_both_splits_together(tmp_path: Path) -> None:
    save(tmp_path / "train" / "dog" / "1.png", (1, 2, 3))
    save(tmp_path / "train" / "ant" / "deep" / "2.png", (4, 5, 6))
    save(tmp_path / "test" / "cat" / "3.png", (7, 8, 9), size=20)
    train, test = (load_labelled("folder", tmp_path, split, 8) for split in ("train", "test"))
    assert train.label_names == test.label_names == ("ant", "cat", "dog")
    assert (train.labels.tolist(), test.labels.tolist()) == ([0, 2], [1])
    assert train.pixels[:, :, 0, 0].tolist() == [[4, 5, 6], [1, 2, 3]]
    assert test.pixels.shape == (1, 3, 8, 8)
    assert test.pixels[0, :, 4, 4].tolist() == [7, 8, 9]


def test_folders_without_splits_are_divided_by_picture_and_stay_so(tmp_path: Path) -> None:
    for number in range(60):
        save(tmp_path / ("train" if number % 2 else "boat") / f"{number}.png", (number, 0, 0))  # a class called "train"

    def sides() -> dict[str, set[int]]:
        return {split: set(load_labelled("folder", tmp_path, split, 8).pixels[:, 0, 0, 0].tolist())
                for split in ("train", "test")}  # fmt: skip

    before = sides()
    assert load_labelled("folder", tmp_path, "test", 8).label_names == ("boat", "train")
    assert before["train"] | before["test"] == set(range(60))
    assert not before["train"] & before["test"]
    assert 4 <= len(before["test"]) <= 20
    save(tmp_path / "boat" / "new.png", (200, 0, 0))
    after = sides()
    assert {split: numbers - {200} for split, numbers in after.items()} == before


def test_unreadable_pictures_are_skipped_with_their_reason_and_labels_stay_in_step(tmp_path: Path) -> None:
    save(tmp_path / "train" / "a" / "1.png", (1, 1, 1))
    (tmp_path / "train" / "a" / "2.png").write_bytes(b"")
    save(tmp_path / "train" / "b" / "3.png", (3, 3, 3))
    save(tmp_path / "train" / "astray.png", (9, 9, 9))
    loaded = load_labelled("folder", tmp_path, "train", 8)
    assert loaded.pixels[:, 0, 0, 0].tolist() == [1, 3]
    assert loaded.labels.tolist() == [0, 1]
    assert loaded.skipped == (("train/a/2.png", "0 bytes"), ("train/astray.png", "not in a class folder"))


def test_folders_that_cannot_serve_are_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none do not exist: name another folder with --root DIR"):
        load_labelled("folder", tmp_path / "none", "train", 8)
    save(tmp_path / "train" / "cat" / "1.png", (1, 1, 1))
    with pytest.raises(DataError, match="no readable pictures for test: lay the pictures out as"):
        load_labelled("folder", tmp_path, "test", 8)
    (tmp_path / "test" / "cat").mkdir(parents=True)
    (tmp_path / "test" / "cat" / "2.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"1 skipped, such as test/cat/2\.png"):
        load_labelled("folder", tmp_path, "test", 8)
    save(tmp_path / "train" / "Cat" / "1.png", (1, 1, 1))
    if len(list((tmp_path / "train").iterdir())) == 2:  # where the disk tells case apart
        with pytest.raises(DataError, match="Cat and cat"):
            load_labelled("folder", tmp_path, "train", 8)


def test_the_real_mnist(shared: Path, tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for packed in (shared / "data" / "mnist" / "MNIST" / "raw").glob("*.gz"):
        with gzip.open(packed) as source, open(raw / packed.stem, "wb") as target:
            shutil.copyfileobj(source, target)
    train, test = (load_labelled("mnist", tmp_path, split, 28) for split in ("train", "test"))
    assert (train.pixels.shape, test.pixels.shape) == ((60000, 3, 28, 28), (10000, 3, 28, 28))
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert np.bincount(train.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    top, bottom = (train.pixels[train.labels == 7, 0, rows].mean() for rows in (slice(4, 12), slice(18, 26)))
    assert top > bottom  # a 7 stands on its foot


def test_the_real_cifar10_folders(shared: Path) -> None:
    loaded = load_labelled("folder", shared / "data" / "cifar10_folders", "test", 32)
    assert (loaded.pixels.shape, loaded.label_names) == ((600, 3, 32, 32), CIFAR10_WORDS)
    assert np.bincount(loaded.labels).tolist() == [60] * 10
    first = next(iter(sorted((shared / "data" / "cifar10_folders" / "test" / "airplane").iterdir())))
    assert np.array_equal(loaded.pixels[0].transpose(1, 2, 0), np.asarray(Image.open(first).convert("RGB")))
