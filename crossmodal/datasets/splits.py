"""Splits into train, val and test, always by picture: from list files, from the captions file, or by a seeded share."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from crossmodal.datasets.captions.reading import read_captions, read_text
from crossmodal.datasets.records import Record, match_names
from crossmodal.errors import CaptionsError, InputError

__all__ = [
    "SPLITS",
    "list_role",
    "listed_records",
    "photo_id",
    "photo_key",
    "read_split_list",
    "read_split_lists",
    "split_records",
    "split_role",
]

SPLITS = ("train", "val", "test")
_ROLES = {
    "train": "train", "training": "train", "restval": "train", "val": "val", "valid": "val", "validation": "val",
    "dev": "val", "test": "test", "testing": "test",
}  # fmt: skip
_LIST_NAME = re.compile(r"(?<![a-z])(train|valid|val|dev|test)")
_FLICKR_NAME = re.compile(r"([1-9]\d{5,})(?:_[0-9a-f]{8,12}(?:_[a-z])?)?")


def split_role(name: str) -> str | None:
    """The role of a split by its written name: "train" (also Karpathy's "restval"), "val" (also "dev"), "test"; or
    None for any other."""
    return _ROLES.get(name.strip().lower())


def photo_id(name: str) -> str:
    """The Flickr photo id in a file name, which Flickr8k and Flickr30k share; for any other name its stem.

    >>> photo_id("Images/1000268201_693b08cb0e.jpg"), photo_id("1000268201.jpg"), photo_id("cat.png")
    ('1000268201', '1000268201', 'cat')
    """
    stem = PurePosixPath(name.replace("\\", "/")).stem
    flickr = _FLICKR_NAME.fullmatch(stem)
    return flickr[1] if flickr else stem


def photo_key(name: str) -> str:
    """What tells pictures of one data set apart: the photo id of a Flickr name, else the whole path, since
    cat/1.jpg and dog/1.jpg are two pictures."""
    flickr = _FLICKR_NAME.fullmatch(PurePosixPath(name).stem)
    return flickr[1] if flickr else name


def read_split_list(path: Path) -> tuple[str, ...]:
    """Read a list with one picture name a line, in order, repetitions once.

    Raises CaptionsError if it cannot be read, is empty, or looks like a captions file.
    """
    text, _ = read_text(path)
    names = [line.strip() for line in re.split(r"\r\n|\n|\r", text)]
    names = list(dict.fromkeys(name for name in names if name))
    if not names:
        raise CaptionsError(f"{path} is empty: a split list has one picture name a line")
    if "\t" in names[0] or len(names[0]) > 255 or names[0].count(" ") > 8 or names[0][0] in "{[":
        first = f"its first line is {names[0][:80]!r}"
        raise CaptionsError(f"{path} is no split list (one picture name a line)", first)
    return tuple(names)


def read_split_lists(path: Path) -> dict[str, tuple[str, ...]]:
    """Read who belongs to "train", "val" and "test": split -> names; only the splits that are there.

    path: a folder of list files, whose names say train, val or dev, or test (Flickr_8k.devImages.txt); or a captions
    file that says splits (Karpathy JSON).

    Raises CaptionsError if the path does not exist, says no splits, or the folder has two lists for one split.
    """
    if path.is_file():
        return _splits_of_file(path)
    if not path.is_dir():
        raise CaptionsError(f"{path} does not exist: give the folder of the split lists with --splits DIR")
    files: dict[str, Path] = {}
    for file in sorted(path.iterdir()):
        role = list_role(file)
        if role is None or not file.is_file():
            continue
        if role in files:
            raise CaptionsError(f"{path} holds two lists for {role}: {files[role].name} and {file.name}; keep one")
        files[role] = file
    if not files:
        raise CaptionsError(f"{path} holds no split list: their names contain train, val or dev, or test (train.txt)")
    return {role: read_split_list(files[role]) for role in SPLITS if role in files}


def list_role(path: Path) -> str | None:
    """The split that a list file's name speaks of, None if it does not look like a list file."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", path.stem).lower()
    match = _LIST_NAME.search(words)
    return _ROLES[match[1]] if match and path.suffix.lower() in (".txt", ".lst", "") else None


def _splits_of_file(path: Path) -> dict[str, tuple[str, ...]]:
    try:
        table = read_captions(path)
    except CaptionsError as error:
        raise CaptionsError(
            f"{path} is no captions file that says splits: give the folder of the split lists with --splits DIR"
        ) from error
    named: dict[str, list[str]] = {role: [] for role in SPLITS}
    for name, split in table.splits.items():
        for written in (split, *table.other_splits.get(name, ())):
            role = split_role(written)
            if role:
                named[role].append(name)
    if not any(named.values()):
        raise CaptionsError(f"{path} says no splits: give the folder of the split lists with --splits DIR")
    return {role: tuple(names) for role, names in named.items() if names}


def split_records(
    records: Sequence[Record],
    lists: Path | None = None,
    seed: int = 0,
    shares: tuple[float, float, float] = (0.8, 0.1, 0.1),
) -> dict[str, tuple[Record, ...]]:
    """Divide records into "train", "val" and "test" (always these keys), each in the order given.

    lists: a folder of list files (names containing train, val or dev, test), or a captions file that says splits
    (Karpathy JSON); records in none are left out. Without it the records' own splits count, where at least one has
    one; otherwise a seeded share: each picture's side follows from a hash of the seed and its name (Flickr photos:
    their photo id), so that adding a picture moves no other.

    Raises CaptionsError if the lists cannot be read, fit no record, or put a picture on two sides; InputError if the
    shares are negative or do not sum to 1.
    """
    if lists is not None:
        side = _listed_sides(records, lists)
    elif any(record.split for record in records):
        side = {record.image: split_role(record.split) for record in records if record.split}
        if not any(side.values()):
            written = sorted({record.split for record in records if record.split})
            raise CaptionsError(
                "no split that the captions file names is train, val or test: give lists with --splits DIR",
                f"it names splits {written[:5]}",
            )
    else:
        if min(shares) < 0 or not math.isclose(sum(shares), 1.0, abs_tol=1e-6):
            raise InputError(f"shares {shares} must be 0 or more and sum to 1")
        side = {record.image: _drawn_side(record.image, seed, shares) for record in records}
    return {role: tuple(record for record in records if side.get(record.image) == role) for role in SPLITS}


def _listed_sides(records: Sequence[Record], lists: Path) -> dict[str, str | None]:
    groups = read_split_lists(lists)
    images = [record.image for record in records]
    side: dict[str, str | None] = {}
    for role, names in groups.items():
        for picture in match_names(names, images).found.values():
            former = side.setdefault(picture, role)
            if former != role:
                raise CaptionsError(
                    f"{picture} stands in {former} and in {role} of {lists}: run `python -m crossmodal validate` with "
                    f"--splits {lists} to see all, and take it out of one"
                )
    if images and not side:
        example = next(iter(groups.values()))[0]
        raise CaptionsError(
            f"no name in {lists} fits a captioned picture: give the lists of these pictures with --splits DIR",
            f"it names {example!r}, the captions {images[0]!r}",
        )
    return side


def _drawn_side(image: str, seed: int, shares: tuple[float, float, float]) -> str:
    digest = hashlib.sha256(f"{seed}:{photo_key(image)}".encode("utf-8", "surrogateescape")).digest()
    point = int.from_bytes(digest[:8], "big") / 2**64
    upper = 0.0
    for role, share in zip(SPLITS, shares, strict=True):
        upper += share
        if point < upper:
            return role
    return "train"  # only where the shares sum to a hair below 1


def listed_records(records: Sequence[Record], path: Path | None) -> tuple[Record, ...]:
    """The records that a list file names, or all of them for None.

    Raises CaptionsError if the list cannot be read, InputError if it names no picture that has captions.
    """
    if path is None:
        return tuple(records)
    found = set(match_names(read_split_list(path), [record.image for record in records]).found.values())
    if not found:
        raise InputError(f"{path} names none of the {len(records):,} pictures with captions: give another --split FILE")
    return tuple(record for record in records if record.image in found)
