"""The fast way from a picture file to pixels gives what the plain one gives."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from crossmodal.errors import ImageError
from crossmodal.images.decode import load_image, load_resized, soon_read
from crossmodal.images.transforms import ImageTransform, resize_by_pillow, resize_by_simd, resize_by_torch
from tests.broken_pictures import broken_files, encode

Resize = Callable[[Image.Image, int, int], NDArray[np.uint8]]
RESIZERS = (resize_by_pillow, resize_by_simd, resize_by_torch)


def photo(width: int, height: int) -> Image.Image:
    """Soft shapes with some grain, as a photo has them."""
    y, x = np.mgrid[:height, :width] / max(width, height)
    waves = np.stack([np.sin(9 * x + 5 * y), np.cos(7 * y - 3 * x), np.sin(11 * x * y)], axis=-1)
    grain = np.random.default_rng(0).normal(0, 6, (height, width, 1))
    return Image.fromarray((128 + 100 * waves + grain).clip(0, 255).astype(np.uint8))


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def difference(data: bytes, transform: ImageTransform, resize: Resize) -> NDArray[np.int64]:
    fast = transform.cut(load_resized(data, transform.scaled, resize)).astype(int)
    plain = transform.pixels_without_torch(load_image(data)).astype(int)
    assert fast.shape == plain.shape == (3, transform.size, transform.size)
    return np.asarray(np.abs(fast - plain))


@pytest.mark.parametrize("resize", RESIZERS)
@pytest.mark.parametrize("fit", ["squash", "crop"])
@pytest.mark.parametrize("size", [(500, 375), (333, 500), (900, 610), (4500, 60), (60, 2500), (1, 1), (3, 2), (48, 48)])
def test_a_jpeg_of_any_size_and_shape_agrees_within_a_grey_level(
    size: tuple[int, int], fit: str, resize: Resize
) -> None:
    data = encode(photo(*size), "JPEG", quality=90)
    assert difference(data, ImageTransform(48, fit), resize).mean() <= 1


@pytest.mark.parametrize("fit", ["squash", "crop"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_jpeg_agrees_however_large(orientation: int, fit: str) -> None:
    for size in ((90, 61), (901, 610)):
        data = encode(photo(*size), "JPEG", quality=90, exif=turned(orientation))
        assert difference(data, ImageTransform(48, fit), resize_by_pillow).mean() <= 1


@pytest.mark.parametrize(
    ("mode", "format_name"),
    [
        ("RGBA", "PNG"),
        ("LA", "PNG"),
        ("P", "PNG"),
        ("P", "GIF"),
        ("1", "PNG"),
        ("I;16", "PNG"),
        ("CMYK", "JPEG"),
        ("F", "TIFF"),
    ],
)
def test_what_is_not_plain_is_resized_after_the_plain_way(mode: str, format_name: str) -> None:
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(photo(120, 90).convert("L")).astype(np.uint16) * 257)
    else:
        picture = photo(120, 90).convert(mode)
    if mode == "RGBA":
        picture.putalpha(photo(120, 90).getchannel("R"))
    options = {"transparency": 3} if mode == "P" else {}
    assert not difference(encode(picture, format_name, **options), ImageTransform(48), resize_by_pillow).any()


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "BMP"])
def test_grey_and_colour_of_other_formats_agree(format_name: str) -> None:
    for picture in (photo(120, 90), photo(120, 90).convert("L")):
        assert difference(encode(picture, format_name), ImageTransform(48), resize_by_pillow).mean() <= 1


def test_a_foreign_profile_is_converted_after_resizing_to_the_same_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    class Swapped:
        """Stands for a conversion that is easy to see: red and blue change places."""

        def apply(self, picture: Image.Image) -> Image.Image:
            return Image.merge("RGB", picture.split()[::-1])

    monkeypatch.setattr("crossmodal.images.decode._srgb_transform", lambda *_: Swapped())
    data = encode(photo(120, 90), "JPEG", icc_profile=b"some profile", exif=turned(6))
    for fit in ("squash", "crop"):
        assert difference(data, ImageTransform(48, fit), resize_by_pillow).mean() <= 1


def test_only_a_jpeg_much_larger_than_wanted_is_decoded_at_a_reduced_size() -> None:
    seen = []

    def resize(picture: Image.Image, height: int, width: int) -> NDArray[np.uint8]:
        seen.append(picture.size)
        return resize_by_pillow(picture, height, width)

    for size, format_name in (
        ((500, 375), "JPEG"),
        ((900, 800), "JPEG"),
        ((2000, 1500), "JPEG"),
        ((2000, 1500), "PNG"),
    ):
        load_resized(encode(photo(*size), format_name), ImageTransform(224).scaled, resize)
    assert seen == [(500, 375), (900, 800), (1000, 750), (2000, 1500)]


def test_broken_files_are_refused_with_the_reasons_of_the_plain_way() -> None:
    reasons = []
    for name, content, _ in broken_files():
        with pytest.raises(ImageError) as plain:
            load_image(content)
        with pytest.raises(ImageError) as fast:
            load_resized(content, ImageTransform(48).scaled, resize_by_pillow)
        assert fast.value.reason == plain.value.reason, name
        reasons.append(fast.value.reason)
    assert len(set(reasons)) > 10


def test_what_fails_in_resizing_is_not_laid_to_the_file() -> None:
    def broken(*_: object) -> NDArray[np.uint8]:
        raise ModuleNotFoundError("no resizer")

    for mode in ("RGB", "RGBA"):
        with pytest.raises(ModuleNotFoundError, match="no resizer"):
            load_resized(encode(photo(60, 40).convert(mode), "PNG"), ImageTransform(48).scaled, broken)


def test_a_cut_large_jpeg_is_refused_though_decoded_small() -> None:
    data = encode(photo(800, 600), "JPEG")
    for share in (0.3, 0.7, 0.95):
        with pytest.raises(ImageError, match="truncated file"):
            load_resized(data[: int(len(data) * share)], ImageTransform(48).scaled, resize_by_pillow)


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="this system takes no advice on files")
def test_telling_that_a_file_is_read_soon_never_waits_or_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    advise, told = os.posix_fadvise, []

    def noted(number: int, *advice: int) -> None:
        told.append((number, os.fstat(number).st_size, *advice))
        advise(number, *advice)

    monkeypatch.setattr(os, "posix_fadvise", noted)
    (tmp_path / "photo").write_bytes(b"x")
    soon_read(tmp_path / "photo")
    assert [advice for _, *advice in told] == [[1, 0, 0, os.POSIX_FADV_WILLNEED]]
    soon_read(tmp_path)
    soon_read(tmp_path / "absent")
    soon_read(str(tmp_path) + "\0")
    os.mkfifo(tmp_path / "pipe")
    soon_read(tmp_path / "pipe")
    for number, *_ in told:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(number)


@pytest.mark.parametrize("resize", RESIZERS)
def test_real_photos_agree_within_a_grey_level(shared: Path, resize: Resize) -> None:
    photos = sorted((shared / "data" / "flickr8k_originals").iterdir())
    errors = [difference(path.read_bytes(), ImageTransform(224), resize).mean() for path in photos[::3]]
    assert np.mean(errors) <= 0.2
    assert max(errors) <= 1


def test_real_photos_as_a_camera_has_them_agree_within_a_grey_level(shared: Path) -> None:
    for path in sorted((shared / "data" / "flickr8k_originals").iterdir())[:1]:
        large = io.BytesIO()
        load_image(path).resize((4000, 3000), Image.Resampling.BICUBIC).save(large, "JPEG", quality=92)
        assert difference(large.getvalue(), ImageTransform(224), resize_by_pillow).mean() <= 1


@pytest.mark.parametrize("resize", RESIZERS)
def test_bilinear_agrees_too_and_is_not_bicubic(resize: Resize):
    transform = ImageTransform(48, interpolation="bilinear")
    data = encode(photo(500, 375), "JPEG", quality=90)
    assert difference(data, transform, partial(resize, interpolation="bilinear")).mean() <= 1
    sharp = transform.cut(load_resized(data, transform.scaled, resize)).astype(int)
    assert np.abs(sharp - transform.pixels_without_torch(load_image(data))).max() > 2
