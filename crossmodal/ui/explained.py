"""Explanations of pictures of a gallery, made once and kept: another word of the same sentence costs nothing.

What is kept depends on the checkpoint's fingerprint and on the file as it lies on the disk, so a picture or an index
that changes is explained anew.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from crossmodal.data.images import load_image
from crossmodal.errors import ImageError, InputError
from crossmodal.explain import Explanation, Likeness, explain, explain_images, seen_box

if TYPE_CHECKING:
    from PIL.Image import Image

    from crossmodal.search import Searcher

__all__ = ["Photo", "can_explain", "explained", "likeness", "opened", "scaled", "seen_part"]

SHORTEST, LONGEST = 480, 760  # pixels of the longer side of a picture under its heat
PIXELS_AS_THEY_ARE = 64  # up to this longer side a picture is enlarged pixel by pixel


class Photo:
    """A picture of the gallery, decoded. path: of its file. stamp: what tells this state of the file from others.

    whole: upright, RGB. shown: the same, scaled for the page.
    """

    def __init__(self, path: Path, stamp: tuple[int, int], whole: Image) -> None:
        self.path, self.stamp, self.whole = path, stamp, whole
        self.shown = scaled(whole)


def opened(searcher: Searcher, path: str) -> Photo:
    """A picture of the gallery. Raises ImageError where it is gone or cannot be decoded."""
    file = searcher.image_path(path)
    try:
        facts = file.stat()
    except OSError as error:
        raise ImageError("the file is gone from the disk", str(file)) from error
    return _opened(file, (facts.st_mtime_ns, facts.st_size))


def scaled(image: Image) -> Image:
    """A copy whose longer side is between SHORTEST and LONGEST pixels."""
    from PIL.Image import Resampling

    longer = max(image.size)
    factor = min(max(longer, SHORTEST), LONGEST) / longer
    size = (max(round(image.width * factor), 1), max(round(image.height * factor), 1))
    return image.resize(size, Resampling.NEAREST if longer <= PIXELS_AS_THEY_ARE else Resampling.LANCZOS)


def can_explain(searcher: Searcher) -> bool:
    """Whether the gallery's encoder can say anything about why."""
    return bool(getattr(searcher.encoder, "can_explain", False))


def seen_part(searcher: Searcher, image: Image) -> tuple[int, int, int, int]:
    """The part of a picture that the encoder looks at: left, top, right, bottom in its pixels."""
    return seen_box(image, str(searcher.encoder.preprocessing.get("image", {}).get("fit", "squash")))


def explained(searcher: Searcher, photo: Photo, text: str) -> Explanation:
    """Why a picture and a sentence have their score. Raises InputError where that cannot be said."""
    return _explained(searcher.encoder, photo, searcher.encoder.fingerprint, str(photo.path), photo.stamp, text)


def likeness(searcher: Searcher, asked: Image, photo: Photo) -> Likeness:
    """Why two pictures have their score. Raises InputError where that cannot be said."""
    key = hashlib.sha256(asked.tobytes()).hexdigest(), asked.size
    return _likeness(searcher.encoder, asked, photo, searcher.encoder.fingerprint, key, str(photo.path), photo.stamp)


@lru_cache(maxsize=12)
def _opened(path: Path, stamp: tuple[int, int]) -> Photo:
    return Photo(path, stamp, load_image(path))


@st.cache_data(max_entries=256, show_spinner=False)
def _explained(
    _encoder: Any,
    _photo: Photo,
    fingerprint: str,  # noqa: ARG001 - these three are the key
    path: str,  # noqa: ARG001
    stamp: tuple[int, int],  # noqa: ARG001
    text: str,
) -> Explanation:
    _check(_encoder)
    return explain(_encoder, _photo.whole, text)


@st.cache_data(max_entries=64, show_spinner=False)
def _likeness(
    _encoder: Any,
    _asked: Image,
    _photo: Photo,
    fingerprint: str,  # noqa: ARG001 - these four are the key
    asked: Any,  # noqa: ARG001
    path: str,  # noqa: ARG001
    stamp: tuple[int, int],  # noqa: ARG001
) -> Likeness:
    _check(_encoder)
    return explain_images(_encoder, _asked, _photo.whole)


def _check(encoder: Any) -> None:
    if not getattr(encoder, "can_explain", False):
        raise InputError(f"{encoder.name} cannot say what its scores are made of")
