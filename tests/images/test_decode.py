"""Every file gives an upright RGB picture with the right colours, or its reason; nothing crashes, warns or hangs."""

from __future__ import annotations

import contextlib
import io
import os
import random
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile

from crossmodal.errors import ImageError, InputError
from crossmodal.images.decode import list_images, load_image
from tests.broken_pictures import broken_files, encode, png, png_chunk, tiff, write_broken_pictures, write_good_pictures

ROTATED = {  # EXIF orientation -> how the upright picture was laid down in the file
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def reason_of(source: Path | bytes, **options: int) -> str:
    with pytest.raises(ImageError) as caught:
        load_image(source, **options)
    return caught.value.reason


def first_pixel(data: bytes) -> tuple[int, ...]:
    picture = load_image(data)
    assert picture.mode == "RGB"
    return tuple(np.asarray(picture)[0, 0].tolist())


def detailed(seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (24, 40, 3), dtype=np.uint8))


def test_every_kind_of_broken_file_is_refused_with_its_reason(tmp_path: Path) -> None:
    expected = write_broken_pictures(tmp_path)
    reasons = {name: reason_of(tmp_path / name) for name in expected}
    assert {name: reason for name, reason in reasons.items() if expected[name] not in reason} == {}
    assert len(set(reasons.values())) >= 20


def test_suspicious_but_whole_files_are_taken(tmp_path: Path) -> None:
    for name in write_good_pictures(tmp_path):
        picture = load_image(tmp_path / name)
        assert (type(picture), picture.mode, picture.info) == (Image.Image, "RGB", {}), name


def test_both_folders_are_listed_to_the_last_name(tmp_path: Path) -> None:
    written = {*write_broken_pictures(tmp_path), *write_good_pictures(tmp_path)}
    assert set(list_images(tmp_path)) == written


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", ROTATED)
def test_a_turned_picture_is_set_upright_once(orientation: int, format_name: str) -> None:
    upright = Image.new("RGB", (32, 16), "blue")
    upright.paste("red", (0, 0, 16, 8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if format_name == "WEBP" else {}
    loaded = load_image(encode(upright.transpose(ROTATED[orientation]), format_name, exif=exif, **options))
    assert loaded.size == (32, 16)
    difference = np.abs(np.asarray(loaded, dtype=int) - np.asarray(upright, dtype=int))
    assert difference.mean() < 8  # JPEG blurs the edge between the colours


def test_an_orientation_outside_1_to_8_means_upright() -> None:
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHLHH", 0x0112, 3, 1, 9, 0) + bytes(4)
    assert load_image(encode(detailed(), "JPEG", exif=exif)).size == (40, 24)


def test_damaged_exif_neither_warns_nor_costs_the_orientation() -> None:
    entries = struct.pack("<HHLHH", 0x0112, 3, 1, 6, 0) + struct.pack("<HHLL", 0x9286, 7, 1 << 30, 1 << 20)
    exif = b"Exif\0\0II*\0\x08\0\0\0\x05\0" + entries  # five entries are promised, two are there
    assert load_image(encode(detailed(), "JPEG", exif=exif)).size == (24, 40)


@pytest.mark.parametrize("options", [("PNG", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("PPM", {})])
def test_16_bits_are_scaled_not_clipped(options: tuple[str, dict[str, str]]) -> None:
    format_name, settings = options
    values = np.array([[0x0000, 0x00FF, 0x8000, 0xFFFF]], dtype=np.uint16)
    loaded = load_image(encode(Image.fromarray(values), format_name, **settings))
    assert np.asarray(loaded)[0, :, 0].tolist() == [0, 1, 128, 255]


def test_16_bits_of_colour_keep_their_high_byte() -> None:
    assert first_pixel(png(1, 1, b"\0" + struct.pack(">HHH", 0x8000, 0xFFFF, 0x00FF), bits=16)) == (128, 255, 0)


@pytest.mark.parametrize(
    ("values", "grey"),
    [
        (np.array([[0.0, 0.5, 1.0]], dtype=np.float32), [0, 128, 255]),
        (np.array([[0.0, 64.0, 255.0]], dtype=np.float32), [0, 64, 255]),
        (np.array([[-3.0, np.nan, 5.0]], dtype=np.float32), [0, 0, 255]),
        (np.array([[7, 77, 200]], dtype=np.int32), [7, 77, 200]),
        (np.array([[0, 257, 65535]], dtype=np.int32), [0, 1, 255]),
        (np.array([[-10, 0, 10]], dtype=np.int32), [0, 128, 255]),
    ],
)
def test_floats_and_integers_fill_the_greys(values: np.ndarray, grey: list[int]) -> None:
    assert np.asarray(load_image(encode(Image.fromarray(values), "TIFF")))[0, :, 1].tolist() == grey


def test_transparent_parts_become_white() -> None:
    assert first_pixel(encode(Image.new("RGBA", (2, 2), (255, 0, 0, 128)), "PNG")) == (255, 127, 127)
    assert first_pixel(encode(Image.new("RGBA", (2, 2), (255, 0, 0, 0)), "WEBP", lossless=True)) == (255, 255, 255)
    assert first_pixel(encode(Image.new("LA", (2, 2), (100, 0)), "PNG")) == (255, 255, 255)
    assert first_pixel(png(1, 1, b"\0\1\2\3", extra=png_chunk(b"tRNS", b"\0\1\0\2\0\3"))) == (255, 255, 255)


def test_a_palette_keeps_its_colours_and_its_transparency() -> None:
    picture = Image.new("P", (2, 2), 1)
    picture.putpalette([0, 0, 0, 10, 200, 30])
    assert first_pixel(encode(picture, "PNG")) == (10, 200, 30)
    assert first_pixel(encode(picture, "PNG", transparency=1)) == (255, 255, 255)
    assert first_pixel(encode(picture, "PNG", transparency=b"\xff\x80")) == (132, 227, 142)
    assert first_pixel(encode(picture, "GIF", transparency=1)) == (255, 255, 255)


def test_black_and_white_and_ink_become_rgb() -> None:
    assert first_pixel(encode(Image.new("1", (2, 2), 1), "PNG")) == (255, 255, 255)
    assert first_pixel(encode(Image.new("L", (2, 2), 90), "JPEG", quality=95)) == (90, 90, 90)
    for format_name in ("JPEG", "TIFF"):  # a JPEG holds its inks inverted, as Adobe writes them
        red, green, blue = first_pixel(encode(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), format_name))
        assert red > 245
        assert max(green, blue) < 10


def test_a_foreign_profile_is_converted_and_a_broken_one_passed_over() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"????", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"????", b"bXYZ", 1)
    red = Image.new("RGB", (4, 4), (255, 0, 0))
    assert first_pixel(encode(red, "PNG", icc_profile=srgb)) == (255, 0, 0)
    assert first_pixel(encode(red, "PNG", icc_profile=b"no profile at all" * 20)) == (255, 0, 0)
    assert first_pixel(encode(red, "PNG", icc_profile=swapped))[2] > 245


def test_the_first_of_several_pictures_is_taken() -> None:
    others = {"save_all": True, "append_images": [Image.new("RGB", (5, 5))]}
    for format_name in ("TIFF", "MPO"):
        assert load_image(encode(detailed(), format_name, **others)).size == (40, 24)


@pytest.mark.parametrize("count", [0, 0x80000001])
def test_an_apng_with_an_impossible_frame_count_is_a_still_picture(count: int) -> None:
    extra = png_chunk(b"acTL", struct.pack(">LL", count, 0))
    assert first_pixel(png(1, 1, b"\0\1\2\3", extra=extra)) == (1, 2, 3)


def test_the_cap_counts_pixels_before_decoding() -> None:
    assert load_image(encode(Image.new("RGB", (10, 10)), "PNG"), max_pixels=100).size == (10, 10)
    for format_name in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"):
        data = encode(Image.new("RGB", (10, 10)), format_name)
        assert reason_of(data, max_pixels=99) == "too many pixels (10 x 10, at most 99)", format_name
    assert "too many pixels" in reason_of(png(20_000, 20_000, b""))  # there is no pixel to decode


def test_a_raised_cap_meets_no_warning_of_pillow() -> None:
    screen = b"GIF89a" + struct.pack("<HHBBB", 10_000, 10_000, 0, 0, 0)
    frame = b"," + struct.pack("<HHHHB", 0, 0, 10_000, 10_000, 0) + b"\2\0;"
    assert "too many pixels (10000 x 10000" in reason_of(screen + frame, max_pixels=10**9)


def test_damaged_tags_that_say_nothing_of_the_pixels_are_passed_over() -> None:
    grey = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 273: 0, 277: 1, 278: 8, 279: 64}
    assert first_pixel(tiff(grey)) == (80, 80, 80)
    assert first_pixel(tiff({**grey, 34675: 1 << 20}, counts={34675: 1 << 20})) == (80, 80, 80)  # a profile outside
    assert first_pixel(tiff({**grey, 37500: 1 << 20}, counts={37500: 1 << 20})) == (80, 80, 80)  # a maker's note


def test_an_absurd_number_of_channels_is_no_error_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    assert reason_of(tiff({256: 8, 257: 8, 258: 8, 262: 1, 273: 0, 277: 99})) == "damaged file (TIFF)"
    assert caplog.records == []


def test_long_strips_are_refused_from_a_hundred_to_one() -> None:
    assert load_image(encode(Image.new("L", (100, 1)), "PNG")).size == (100, 1)
    assert reason_of(encode(Image.new("L", (1, 101)), "PNG")) == "too elongated (1 x 101)"


def test_path_text_bytes_and_stream_give_the_same_picture(tmp_path: Path) -> None:
    data = encode(detailed(), "PNG")
    (tmp_path / "a.png").write_bytes(data)
    read_before = io.BytesIO(data)
    read_before.read()
    for source in (tmp_path / "a.png", str(tmp_path / "a.png"), data, read_before):
        assert load_image(source).tobytes() == detailed().tobytes()


def test_a_refusal_names_the_file_where_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    with pytest.raises(ImageError, match=r"a\.jpg: 0 bytes") as caught:
        load_image(tmp_path / "a.jpg")
    assert caught.value.path == str(tmp_path / "a.jpg")
    with pytest.raises(ImageError, match="picture: 0 bytes") as caught:
        load_image(b"")
    assert caught.value.path is None


def test_missing_files_and_folders_have_their_reasons(tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    assert reason_of(tmp_path / "folder.jpg") == "a folder, not a file"
    assert reason_of(tmp_path / "absent.jpg") == "file not found"
    assert "cannot be opened" in reason_of(tmp_path / "a\0b.jpg")


def test_a_stream_of_text_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(InputError, match="binary mode"):
        load_image(io.StringIO("text"))  # type: ignore[arg-type]


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM"])
def test_a_cut_file_never_gives_other_pixels(format_name: str) -> None:
    data = encode(detailed(), format_name)
    whole = load_image(data).tobytes()
    for length in range(0, len(data), max(1, len(data) // 150)):
        with contextlib.suppress(ImageError):
            assert load_image(data[:length]).tobytes() == whole, length


def test_random_damage_raises_nothing_but_image_errors() -> None:
    chance = random.Random(0)
    samples = [content for _, content, _ in broken_files() if len(content) > 64]
    samples += [encode(detailed(), name) for name in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "JPEG2000")]
    refused = 0
    for sample in samples * 6:
        data = bytearray(sample[:20_000])
        for _ in range(chance.choice((1, 3, 20))):
            data[chance.randrange(min(len(data), 400))] = chance.randrange(256)
        try:
            load_image(bytes(data), max_pixels=1_000_000)
        except ImageError:
            refused += 1
    assert 0 < refused < len(samples) * 6


def test_threads_decode_side_by_side_and_change_nothing_of_pillow(tmp_path: Path) -> None:
    names = write_good_pictures(tmp_path) * 8
    before = (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS)
    alone = [load_image(tmp_path / name).tobytes() for name in names]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda name: load_image(tmp_path / name).tobytes(), names))
    assert together == alone
    assert before == (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS)


def test_pictures_are_listed_by_suffix_in_one_order(tmp_path: Path) -> None:
    for name in (
        *(f"{letter}.jpg" for letter in "cfedb"),
        "a/z.PNG",
        "a/b/c.webp",
        "album.jpg/d.gif",
        ".hidden.jpg",
        ".cache/e.jpg",
        "notes.txt",
        "jpg",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert list_images(tmp_path) == [
        "a/b/c.webp",
        "a/z.PNG",
        "album.jpg/d.gif",
        *(f"{letter}.jpg" for letter in "bcdef"),
    ]


def test_linked_folders_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    (tmp_path / "again").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "b.jpg").symlink_to(tmp_path / "a.jpg")
    assert list_images(tmp_path) == ["a.jpg", "b.jpg"]


def test_a_wrong_folder_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="absent does not exist: run again with --images"):
        list_images(tmp_path / "absent")
    with pytest.raises(InputError, match="is a file, not a folder"):
        list_images(tmp_path / "file")


def test_an_unreadable_folder_is_no_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "private").mkdir()
    scan = os.scandir

    def guarded(path: str) -> object:
        if str(path).endswith("private"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", guarded)
    with pytest.raises(InputError, match=r"private cannot be read \(Permission denied\): run `chmod"):
        list_images(tmp_path)


def test_real_photos_keep_every_pixel(shared: Path) -> None:
    photos = sorted((shared / "data" / "flickr8k" / "Images").glob("*.jpg"))[:40]
    assert photos
    for photo in photos:
        with Image.open(photo) as plain:
            assert load_image(photo).tobytes() == plain.convert("RGB").tobytes()
