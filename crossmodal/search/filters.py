"""Which pictures a search may answer with: by folder, date, size, shape, and the words of their captions.

Shapes: N pictures, M captions.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import InputError
from crossmodal.index import Index, split_words

__all__ = ["KEYS", "MOST_PIXELS", "ORIENTATIONS", "Filter", "folder_counts", "folders"]

ORIENTATIONS = ("landscape", "portrait", "square")
SQUARE = 1.05  # a longer side of up to so many times the shorter one still looks square
MOST_PIXELS = 100_000  # a side that no picture in an index exceeds
DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
KEYS = {  # in an address -> here
    "folder": "folder",
    "since": "since",
    "until": "until",
    "minside": "min_side",
    "shape": "orientation",
    "words": "words",
}


@dataclass(frozen=True)
class Filter:
    """What a picture must be; what is left at its default does not matter.

    folder: relative POSIX path; the picture lies in it or below it.
    since: the first day, included, as "2021-05-03"; a picture's day is that of the camera's clock, else of the file's
        last change here.
    until: the last day, included, as "2021-05-03".
    min_side: pixels of the shorter side.
    orientation: one of ORIENTATIONS; "square" up to 5 % between the sides.
    words: each one begins a word of one and the same caption, upper and lower case alike.

    A picture whose size or day is unknown is of no size and no day.

    Raises InputError if a value is outside of that.
    """

    folder: str = ""
    since: str = ""
    until: str = ""
    min_side: int = 0
    orientation: str = ""
    words: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", _folder(self.folder))
        object.__setattr__(self, "since", _day("since", self.since))
        object.__setattr__(self, "until", _day("until", self.until))
        if not 0 <= self.min_side <= MOST_PIXELS:
            raise InputError(f"min_side must be 0 to {MOST_PIXELS:,} pixels, not {self.min_side}")
        if self.orientation not in ("", *ORIENTATIONS):
            raise InputError(f"orientation must be {', '.join(ORIENTATIONS)} or empty, not {self.orientation!r}")
        object.__setattr__(self, "words", " ".join(self.words.split()) if split_words(self.words) else "")

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, str]) -> Filter:
        """The filter of an address; an entry that makes no sense is left out, and so is what belongs to others."""
        chosen = cls()
        for key, name in KEYS.items():
            value = parameters.get(key, "")
            try:
                change: dict[str, Any] = {name: int(value or 0) if name == "min_side" else value}
                chosen = replace(chosen, **change)
            except ValueError:  # an InputError is one, too
                continue
        return chosen

    def parameters(self) -> dict[str, str]:
        """What an address says of it; `from_parameters` of that is this filter."""
        return {key: str(getattr(self, name)) for key, name in KEYS.items() if getattr(self, name)}

    def __bool__(self) -> bool:
        return bool(self.parameters())

    def chips(self) -> dict[str, str]:
        """A few words for each thing that is asked, by its key in an address."""
        texts = {
            "folder": f"folder {self.folder}",
            "since": f"since {self.since}",
            "until": f"until {self.until}",
            "minside": f"at least {self.min_side:,} px",
            "shape": self.orientation,
            "words": f"caption words {self.words}",
        }
        return {key: texts[key] for key in self.parameters()}

    def describe(self) -> tuple[str, ...]:
        """The texts of the chips."""
        return tuple(self.chips().values())

    def without(self, key: str) -> Filter:
        """This filter with one thing no longer asked.

        key: its name in an address; InputError for an unknown one.
        """
        if key not in KEYS:
            raise InputError(f"a filter has no {key!r}: it has {', '.join(KEYS)}")
        return Filter.from_parameters({name: value for name, value in self.parameters().items() if name != key})

    def mask(self, index: Index) -> NDArray[np.bool_]:
        """Whether each picture of an index passes, (N,)."""
        mask = np.ones(len(index.catalogue.pictures), dtype=np.bool_)
        if self.folder:
            start = self.folder + "/"
            mask &= np.fromiter((p.stamp.path.startswith(start) for p in index.catalogue.pictures), np.bool_, len(mask))
        if self.since:
            mask &= index.days >= np.datetime64(self.since, "D")
        if self.until:
            mask &= index.days <= np.datetime64(self.until, "D")
        if self.min_side:
            mask &= index.sizes.min(1) >= self.min_side
        if self.orientation:
            mask &= _shaped(index.sizes, self.orientation)
        if self.words:
            mask &= index.captioned_with(self.words)
        return mask


def _folder(folder: str) -> str:
    parts = [part for part in folder.split("/") if part not in ("", ".")]
    if folder.startswith("/") or ".." in parts:
        raise InputError(f"folder {folder!r} is not below the images folder: give one as it stands in the results")
    return "/".join(parts)


def _day(name: str, day: str) -> str:
    try:
        if day and not DAY.fullmatch(day):
            raise ValueError
        return date.fromisoformat(day).isoformat() if day else ""
    except ValueError:
        raise InputError(f"{name} must be a day like 2021-05-03, not {day!r}") from None


def _shaped(sizes: NDArray[np.int64], orientation: str) -> NDArray[np.bool_]:
    """Which sizes (N, 2) of width and height are of a shape, (N,)."""
    width, height = sizes.T
    square = (sizes.max(1) <= SQUARE * sizes.min(1)) & (width > 0)
    shapes = {"square": square, "landscape": (width > height) & ~square, "portrait": (width < height) & ~square}
    return np.asarray(shapes[orientation], dtype=np.bool_)


def folders(index: Index) -> tuple[str, ...]:
    """Every folder that holds pictures, itself or below, sorted; the images folder itself left out."""
    return tuple(folder_counts(index))


def folder_counts(index: Index) -> dict[str, int]:
    """How many pictures each of the `folders` holds, itself and below."""
    own = Counter(picture.stamp.path.rpartition("/")[0] for picture in index.catalogue.pictures)
    counts: Counter[str] = Counter()
    for folder, count in own.items():
        for above in accumulate(folder.split("/"), "{}/{}".format):
            counts[above] += count
    return {folder: counts[folder] for folder in sorted(counts) if folder}
