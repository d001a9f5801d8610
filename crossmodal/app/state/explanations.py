"""Pictures of a gallery and their explanations, made once and kept: another word of the same sentence costs nothing.

What is kept depends on the checkpoint's fingerprint and on the file as it lies on the disk, so a picture or an index
that changes is explained again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from crossmodal.app.state.thumbnails import as_data_address
from crossmodal.errors import ImageError, InputError
from crossmodal.images.decode import load_image, read_image_file
from crossmodal.index.embed import facts_in
from crossmodal.inference.explain import Explanation, Likeness, explain, explain_images, seen_box
from crossmodal.plots.overlay import Box, heat_picture

if TYPE_CHECKING:
    from PIL.Image import Image

    from crossmodal.search.searcher import Searcher

__all__ = [
    "Photo", "as_it_is", "can_explain", "explained", "given", "heated", "is_exact", "likeness", "opened", "seen_part",
]  # fmt: skip

SHORTEST, LONGEST = 480, 760  # pixels of the longer side of a picture under its heat
PIXELS_AS_THEY_ARE = 64  # up to this longer side a picture is enlarged pixel by pixel
Shape = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Photo:
    """A picture that can be decoded.

    path: of its file.
    stamp: time of last change in nanoseconds and size in bytes, which tell this state of the file from others.
    size: width and height in pixels.
    shown: upright, RGB, scaled for the page.
    taken: when, by the camera's clock; "" if it is not said.
    kept: in full, for a picture that has no file; None for one that has.
    """

    path: Path
    stamp: tuple[int, int]
    size: Shape
    shown: Image
    taken: str = ""
    kept: Image | None = None

    @property
    def whole(self) -> Image:
        """The picture in full, upright, RGB: too large to keep many. Raises ImageError if it is gone by now."""
        return _whole(self.path, self.stamp) if self.kept is None else self.kept


def opened(searcher: Searcher, path: str) -> Photo:
    """A picture of the gallery. Raises ImageError where it is gone or cannot be decoded."""
    file = searcher.image_path(path)
    try:
        facts = file.stat()
    except OSError as error:
        raise ImageError("the file is gone from the disk", str(file)) from error
    return _opened(file, (facts.st_mtime_ns, facts.st_size))


def given(image: Image) -> Photo:
    """A picture that was given to search with."""
    picture = image.convert("RGB")
    return _given(picture, hashlib.sha256(picture.tobytes()).hexdigest(), picture.size)


def can_explain(searcher: Searcher) -> bool:
    """Whether the gallery's encoder can say anything about why."""
    return searcher.encoder.can_explain


def is_exact(searcher: Searcher) -> bool:
    """Whether the explanations of a sentence and a picture are exact sums, which compare."""
    encoder = searcher.encoder
    return encoder.can_explain and encoder.splits_images and encoder.splits_texts


def seen_part(searcher: Searcher, image: Image) -> Box:
    """The part of a picture that the encoder looks at: left, top, right, bottom in its pixels."""
    return seen_box(image, str(searcher.encoder.preprocessing.get("image", {}).get("fit", "squash")))


def explained(searcher: Searcher, photo: Photo, text: str) -> Explanation:
    """Why a picture and a sentence have their score.

    Raises InputError where that cannot be said, ImageError if the picture is gone by now.
    """
    _check(searcher)
    return _explained(searcher.encoder, photo, searcher.encoder.fingerprint, str(photo.path), photo.stamp, text)


def likeness(searcher: Searcher, first: Photo, second: Photo) -> Likeness:
    """Why two pictures have their score. Raises as `explained`."""
    _check(searcher)
    key = str(first.path), first.stamp, str(second.path), second.stamp
    return _likeness(searcher.encoder, first, second, searcher.encoder.fingerprint, key)


def heated(searcher: Searcher, photo: Photo, places: NDArray[np.float64], shape: Shape, limit: float) -> str:
    """A picture under the heat of its places (P,), as a data address. limit: the share of the strongest colour."""
    return _heated(photo, places.astype(np.float64).tobytes(), shape, seen_part(searcher, photo.shown), limit)


@lru_cache(maxsize=64)
def as_it_is(photo: Photo) -> str:
    """A picture as it is shown, as a data address."""
    return as_data_address(photo.shown, LONGEST)


@lru_cache(maxsize=12)
def _opened(path: Path, stamp: tuple[int, int]) -> Photo:
    whole = _whole(path, stamp)
    taken = facts_in(read_image_file(path)).taken.replace("T", " ")
    return Photo(path, stamp, whole.size, _scaled(whole), taken)


@lru_cache(maxsize=2)
def _whole(path: Path, stamp: tuple[int, int]) -> Image:  # noqa: ARG001 - the stamp is part of the key
    return load_image(path)


@st.cache_resource(max_entries=8, show_spinner=False)
def _given(_picture: Image, key: str, size: Shape) -> Photo:
    return Photo(Path(key), (0, 0), size, _scaled(_picture), kept=_picture)


@lru_cache(maxsize=64)
def _heated(photo: Photo, places: bytes, shape: Shape, seen: Box, limit: float) -> str:
    shares = np.frombuffer(places, dtype=np.float64).reshape(shape)
    return as_data_address(heat_picture(photo.shown, shares, seen, limit), LONGEST)


@st.cache_data(max_entries=256, show_spinner=False)
def _explained(
    _encoder: Any,
    _photo: Photo,
    fingerprint: str,  # noqa: ARG001 - these three are part of the key
    path: str,  # noqa: ARG001
    stamp: tuple[int, int],  # noqa: ARG001
    text: str,
) -> Explanation:
    return explain(_encoder, _photo.whole, text)


@st.cache_data(max_entries=64, show_spinner=False)
def _likeness(_encoder: Any, _first: Photo, _second: Photo, fingerprint: str, key: Any) -> Likeness:  # noqa: ARG001 - the key
    return explain_images(_encoder, _first.whole, _second.whole)


def _scaled(image: Image) -> Image:
    """A copy whose longer side is between SHORTEST and LONGEST pixels."""
    from PIL.Image import Resampling

    longer = max(image.size)
    factor = min(max(longer, SHORTEST), LONGEST) / longer
    size = (max(round(image.width * factor), 1), max(round(image.height * factor), 1))
    return image.resize(size, Resampling.NEAREST if longer <= PIXELS_AS_THEY_ARE else Resampling.LANCZOS)


def _check(searcher: Searcher) -> None:
    if not can_explain(searcher):
        raise InputError(f"{searcher.encoder.name} cannot say what its scores are made of")
