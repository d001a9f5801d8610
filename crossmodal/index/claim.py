"""Which folders are indexes of ours, and of which pictures: nothing else is ever written to or removed.

A build leaves a mark before it writes anything else, so that one that is killed early is known again. An index of
before there were marks is told by what its manifest, its generation or its journal hold.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from crossmodal.errors import ImageError, IndexStoreError
from crossmodal.images.decode import read_image_file
from crossmodal.index.catalogue.database import is_ours
from crossmodal.index.catalogue.rows import CATALOGUE
from crossmodal.index.journal import JOURNAL
from crossmodal.index.manifest import BUILDING, MANIFEST, Manifest, read_manifest
from crossmodal.index.store import Index, generations

__all__ = [
    "LOCK", "MARK", "check_default", "check_root", "claim_folder", "claimed_root", "default_index",
    "remember_root", "same_folder",
]  # fmt: skip

MARK = ".crossmodal-index"  # its name says whose the folder is, its content of which pictures
LOCK = ".lock"
PICTURES_OF_BEFORE = "pictures.jsonl"  # in a generation of an earlier version
OF_EVERY_MANIFEST = {"schema", "generation", "checkpoint", "files"}
SAMPLE = 64  # pictures whose bytes tell whether a folder is a moved or copied gallery


def default_index(images: Path) -> Path:
    """The index named after a folder of pictures. Raises IndexStoreError if it is one of another folder."""
    index = Path("indexes") / images.resolve().name
    check_default(index, images)
    return index


def claim_folder(index: Path, root: Path) -> None:
    """Make the folder of an index where it is absent, and leave our mark in it.

    index: the folder of the index.
    root: the pictures' folder.

    Raises IndexStoreError if it is a file, or holds anything and was not made by us; OSError if the disk refuses.
    """
    if index.exists() and not index.is_dir():
        raise IndexStoreError(f"{index} is a file: give a folder with --index DIR")
    if index.is_dir():
        _check_ours(index)
    index.mkdir(parents=True, exist_ok=True)
    if not (index / MARK).exists():
        _write_mark(index, root)


def _check_ours(index: Path) -> None:
    names = {entry.name for entry in index.iterdir()}
    manifest = _manifest_keys(index)
    if manifest - set(Manifest.__dataclass_fields__) and not manifest >= OF_EVERY_MANIFEST:
        raise IndexStoreError(
            f"{index / MANIFEST} belongs to something else than an index, so nothing in {index} is touched: give "
            "another folder with --index DIR"
        )
    untouched = not names or (names == {LOCK} and not (index / LOCK).stat().st_size)
    if untouched or MARK in names or manifest >= OF_EVERY_MANIFEST or _holds_our_files(index):
        return
    shown = ", ".join(sorted(names)[:3]) + (", …" if len(names) > 3 else "")
    raise IndexStoreError(
        f"{index} holds other files and is no index ({shown}), so nothing in it is touched: give a new folder with "
        "--index DIR"
    )


def _manifest_keys(index: Path) -> set[str]:
    """The entries of the manifest.json in a folder; none where it is absent or damaged."""
    try:
        content = json.loads((index / MANIFEST).read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return set()
    return set(content) if isinstance(content, dict) else set()


def _holds_our_files(index: Path) -> bool:
    """Whether there is a generation, or a journal, of ours."""
    files = [index / BUILDING / JOURNAL, *(folder / CATALOGUE for folder in generations(index))]
    of_before = any((folder / PICTURES_OF_BEFORE).is_file() for folder in generations(index))
    return of_before or any(map(is_ours, files))


def _write_mark(index: Path, root: Path) -> None:
    (index / MARK).write_text(json.dumps({"crossmodal": "index", "images": str(root)}) + "\n", "ascii")


def remember_root(index: Path, root: Path) -> None:
    """Write the pictures' folder into the mark, where it says another one."""
    if _marked_root(index) != root:
        _write_mark(index, root)


def _marked_root(index: Path) -> Path | None:
    try:
        content = json.loads((index / MARK).read_bytes())
        return Path(content["images"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def claimed_root(index: Path) -> Path | None:
    """The pictures' folder of an index, also of one that was never finished; None where there is none or it is unknown.

    >>> claimed_root(Path("nowhere")) is None
    True
    """
    try:
        return read_manifest(index, of_before=True).root(index)
    except IndexStoreError:
        return _marked_root(index)


def same_folder(first: Path, second: Path) -> bool:
    """Whether two paths lead to one folder."""
    with suppress(OSError):
        return first.samefile(second)
    return first.resolve() == second.resolve()


def check_default(index: Path, images: Path) -> None:
    """Raise IndexStoreError if the index that a folder's name leads to is of another folder."""
    root = claimed_root(index)
    if root is None or same_folder(root, images):
        return
    above = images.resolve().parent.name
    own = shlex.quote(str(index.with_name(f"{above}-{index.name}" if above else f"{index.name}-2")))
    raise IndexStoreError(
        f"{index} is the index of {root}, not of {images}: give this folder an index of its own with `--index {own}`, "
        f"or, if these are the same pictures in another place, go on with `--index {shlex.quote(str(index))}`"
    )


def check_root(index: Path, former: Index | None, root: Path, paths: Sequence[str]) -> None:
    """Raise IndexStoreError if an index is of another folder that still stands, and of other pictures.

    A folder that was moved, or copied with most of its pictures as they were, is taken for the same gallery.

    index: the folder of the index.
    former: the index as it was opened, None if it cannot be or was never finished.
    root: the pictures' folder.
    paths: the pictures below root.
    """
    owner = claimed_root(index)
    if owner is None or same_folder(owner, root) or not owner.is_dir() or _is_copy(former, root, paths):
        return
    raise IndexStoreError(
        f"{index} is the index of {owner}, which holds other pictures than {root}: give another folder with --index "
        f"DIR, or remove {index} first if you no longer need it"
    )


def _is_copy(former: Index | None, root: Path, paths: Sequence[str]) -> bool:
    """Whether most of the pictures, of many a sample, are in a former index by their bytes."""
    if former is None:
        return False
    known = {picture.sha256 for picture in former.catalogue.each_picture()}
    sample = list(islice(paths, 0, None, -(-len(paths) // SAMPLE)))
    found = 0
    for path in sample:
        with suppress(ImageError):
            found += hashlib.sha256(read_image_file(root / path)).hexdigest() in known
    return 2 * found > len(sample)
