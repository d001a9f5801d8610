"""Pictures that would leave an index: a few may, many only when a person says so.

A disk that is not mounted looks like a folder whose pictures were deleted; an index must not be emptied by it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from crossmodal.errors import MissingPicturesError
from crossmodal.index.catalogue.rows import Stamp

__all__ = ["Limits", "check_departures", "surely_gone"]


@dataclass(frozen=True)
class Limits:
    """From where on pictures do not leave an index unasked.

    folder: pictures of one folder that is empty now; one or two of them are soon deleted by hand, more are rather
        unmounted.
    pictures: of the whole gallery, if they are also more than `share` of it.
    share: of the gallery in [0, 1], so that small galleries may be tidied up.
    """

    folder: int = 3
    pictures: int = 5
    share: float = 0.05


LIMITS = Limits()


def surely_gone(gone: Sequence[Stamp], new: Iterable[Stamp]) -> list[str]:
    """Paths of former pictures that cannot merely have been renamed, since no new file is as large."""
    sizes = Counter(stamp.size for stamp in new) if gone else Counter[int]()
    left = []
    for stamp in gone:
        sizes[stamp.size] -= 1
        if sizes[stamp.size] < 0:
            left.append(stamp.path)
    return left


def check_departures(lost: Sequence[str], former: int, present: Iterable[str], root: Path, index: Path) -> None:
    """Raise MissingPicturesError if more pictures would leave an index than a person deletes by hand.

    That is where a folder that held several pictures holds none now, or many are lost.

    lost: their paths.
    former: how many pictures the index has.
    present: paths of all that stay or come.
    root: the pictures' folder.
    index: the folder of the index.
    """
    many = len(lost) >= LIMITS.pictures and len(lost) > LIMITS.share * former
    emptied = _emptied(lost, present) if len(lost) >= LIMITS.folder else {}
    if not many and not emptied:
        return
    if emptied:
        folder, count = next(iter(emptied.items()))
        place = root / folder if folder else root
        more = f" (and of {len(emptied) - 1:,} more folders)" if len(emptied) > 1 else ""
        what = f"{place} held {count:,} indexed pictures and holds none now{more}; in all, "
    else:
        what = ""
    raise MissingPicturesError(
        f"{what}{len(lost):,} of the {former:,} pictures in {index} can no longer be found or read below {root}, "
        f"{lost[0]} the first: is a disk or a network folder missing? The index was left as it is. If these pictures "
        "are really gone, run the same build again with --prune"
    )


def _emptied(lost: Iterable[str], present: Iterable[str]) -> dict[str, int]:
    """Folders that lost several pictures and hold none now, the outermost only, with how many they lost."""
    counts = Counter(folder for path in lost for folder in _folders(path))
    full = {folder for path in present for folder in _folders(path)}
    found = {folder: count for folder, count in counts.items() if count >= LIMITS.folder and folder not in full}
    return {folder: found[folder] for folder in sorted(found) if not any(each in found for each in _above(folder))}


def _folders(path: str) -> Iterator[str]:
    """Every folder a picture lies in, itself counted from the gallery's root, which is "".

    >>> list(_folders("a/b/c.jpg"))
    ['', 'a', 'a/b']
    """
    yield ""
    parts = path.split("/")[:-1]
    for end in range(1, len(parts) + 1):
        yield "/".join(parts[:end])


def _above(folder: str) -> Iterator[str]:
    return _folders(folder) if folder else iter(())
