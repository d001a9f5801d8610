"""What pictures say of themselves: read safely from their headers, kept by every build, added to indexes of before."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crossmodal.errors import ImageError
from crossmodal.images.decode import describe_image, load_image, read_image_file
from crossmodal.images.exif import exif_orientation, exif_taken
from crossmodal.index import Facts, Progress, build_index, open_index
from crossmodal.index.catalogue.rows import Picture, Stamp, days_of
from tests.broken_pictures import broken_files, encode, png, png_chunk, write_good_pictures
from tests.fakes import FakeEncoder, paint, paint_many

NOON = "2021:05:03 12:00:00"
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", *(["AVIF"] if ".avif" in Image.registered_extensions() else []))


def camera(taken: str | bytes = NOON, orientation: int = 1) -> Image.Exif:
    """What a camera writes beside its picture."""
    exif = Image.Exif()
    exif[274] = orientation
    exif[271] = "a camera"
    exif.get_ifd(34665)[36867] = taken
    exif[34665] = exif.get_ifd(34665)
    return exif


def photo(format_name: str = "JPEG", size: tuple[int, int] = (96, 72), **options: object) -> bytes:
    return encode(Image.new("RGB", size, "teal"), format_name, **options)


def block(taken: bytes = NOON.encode() + b"\0", kind: int = 2, order: str = "<") -> bytes:
    """An EXIF block by hand: one directory that leads to another, which holds the time."""
    start = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "L", 8)
    first = struct.pack(order + "HHHLLHHLLL", 2, 274, 3, 1, 6 << 16 if order == ">" else 6, 34665, 4, 1, 38, 0)
    second = struct.pack(order + "HHHLLL", 1, 36867, kind, len(taken), 56, 0)
    return start + first + second + taken


class TestHeaders:
    @pytest.mark.parametrize("format_name", FORMATS)
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_size_is_that_of_the_upright_picture_and_time_the_cameras(self, format_name: str, orientation: int) -> None:
        data = photo(format_name, exif=camera(orientation=orientation))
        width, height, taken = describe_image(data)
        assert (width, height) == load_image(data).size == ((96, 72) if orientation < 5 else (72, 96))
        assert taken == "2021-05-03T12:00:00"

    def test_it_agrees_with_what_is_decoded(self, tmp_path: Path) -> None:
        for name in write_good_pictures(tmp_path):
            data = (tmp_path / name).read_bytes()
            assert describe_image(data) == (*load_image(data).size, ""), name

    def test_a_png_may_say_it_after_its_pixels(self) -> None:
        still = png(2, 1, b"\0" * 7)
        end = still.index(b"IEND") - 4
        data = still[:end] + png_chunk(b"eXIf", block()) + still[end:]
        assert describe_image(data) == (1, 2, "2021-05-03T12:00:00")
        assert load_image(data).size == (1, 2)

    def test_the_beginning_of_a_jpeg_is_enough(self) -> None:
        data = photo(exif=camera())
        assert describe_image(data[: data.index(b"\xff\xda") + 20]) == (96, 72, "2021-05-03T12:00:00")

    def test_of_broken_files_it_says_why_or_what_their_headers_say(self) -> None:
        refused = set()
        for name, content, _ in broken_files():
            try:
                width, height, taken = describe_image(content)
                assert min(width, height) > 0
                assert taken == ""
            except ImageError:
                refused.add(name)
        assert {"zero-bytes.jpg", "header-only.jpg", "pixel-bomb.png", "strip.png", "animated.gif"} < refused
        assert "truncated.bmp" not in refused

    def test_a_png_of_nothing_but_chunks_is_refused_in_time(self) -> None:
        with pytest.raises(ImageError, match="damaged file"):
            describe_image(b"\x89PNG\r\n\x1a\n" + png_chunk(b"tEXt", b"") * 70_000)


class TestExif:
    @pytest.mark.parametrize("order", ["<", ">"])
    def test_both_byte_orders_are_read(self, order: str) -> None:
        exif = block(order=order)
        assert (exif_taken(exif), exif_orientation(exif)) == ("2021-05-03T12:00:00", 6)
        assert exif_taken(b"Exif\0\0" + exif) == "2021-05-03T12:00:00"

    @pytest.mark.parametrize(
        "taken",
        [
            b"", b"0000:00:00 00:00:00\0", b"    :  :     :  :  \0", b"2021:02:31 12:00:00\0", b"2021:05:03 24:00:00\0",
            b"2021:05:03 12:00:60\0", b"2021:05:03\0", b"yesterday, at noon..\0", b"\xff" * 20,
            "٢٠٢١:05:03 12:00:00\0".encode(), b"2021:05:03 12:00", b"<script>alert(1)</script>",
        ],
    )  # fmt: skip
    def test_a_garbled_time_is_none(self, taken: bytes) -> None:
        assert exif_taken(block(taken)) == ""

    def test_a_time_of_another_type_is_none(self) -> None:
        assert exif_taken(block(kind=7)) == ""

    def test_cut_or_altered_anywhere_it_gives_a_value_or_none(self) -> None:
        whole = block()
        assert {exif_taken(whole[:cut]) for cut in range(len(whole))} == {"", "2021-05-03T12:00:00"}
        assert {exif_orientation(whole[:cut]) for cut in range(len(whole))} == {1, 6}
        for place in range(len(whole)):
            for value in (0, 0x7F, 0xFF):
                altered = whole[:place] + bytes([value]) + whole[place + 1 :]
                taken = exif_taken(altered)
                assert taken == "" or len(taken) == 19
                assert 1 <= exif_orientation(altered) <= 8


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A plain picture and a turned one with a time."""
    folder = tmp_path / "photos"
    paint(folder / "plain.png", "blue", size=20)
    (folder / "turned.jpg").write_bytes(photo(exif=camera(orientation=6)))
    return folder


FACTS = (Facts(20, 20, ""), Facts(72, 96, "2021-05-03T12:00:00"))


def facts_of(index: Path) -> tuple[Facts, ...]:
    return tuple(picture.facts for picture in open_index(index).catalogue.pictures)


class TestBuild:
    def test_every_row_is_that_of_its_picture(self, photos: Path, tmp_path: Path) -> None:
        (photos / "broken.png").write_bytes(b"")
        build_index(photos, None, FakeEncoder(), tmp_path / "index")
        assert facts_of(tmp_path / "index") == FACTS

    def test_facts_follow_the_picture_when_it_changes_or_moves(self, photos: Path, tmp_path: Path) -> None:
        build_index(photos, None, FakeEncoder(), tmp_path / "index")
        paint(photos / "plain.png", "blue", size=30)
        (photos / "turned.jpg").rename(photos / "a.jpg")
        build_index(photos, None, FakeEncoder(), tmp_path / "index")
        assert facts_of(tmp_path / "index") == (FACTS[1], Facts(30, 30))

    def test_a_killed_and_resumed_build_reads_no_file_twice(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        captions, read = paint_many(tmp_path / "photos", 16), list[str]()

        def once(path: Path) -> bytes:
            read.append(path.name)
            return read_image_file(path)

        monkeypatch.setattr("crossmodal.index.embed.read_image_file", once)

        def kill(step: Progress) -> None:
            if step.done >= 8:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            build_index(tmp_path / "photos", captions, FakeEncoder(), tmp_path / "index", kill, batch_size=4)
        build_index(tmp_path / "photos", captions, FakeEncoder(), tmp_path / "index", batch_size=4)
        assert facts_of(tmp_path / "index") == (Facts(12, 12),) * 16
        assert len(read) < 16 + 3 * 4  # beyond the units that were begun, but not recorded

    def test_another_checkpoint_reads_them_with_the_pictures(self, photos: Path, tmp_path: Path) -> None:
        build_index(photos, None, FakeEncoder(), tmp_path / "index")
        (photos / "plain.png").unlink()
        build_index(photos, None, FakeEncoder(fingerprint="e" * 64), tmp_path / "index")
        assert facts_of(tmp_path / "index") == FACTS[1:]


def test_the_day_is_the_cameras_else_the_files_else_none() -> None:
    noon = 86_400 * 10**9 * 3 // 2  # the 2nd of January 1970 at noon UTC: the 2nd or 3rd, wherever this runs
    facts = (FACTS[1], FACTS[0], FACTS[0], Facts(1, 1, "2021-02-31T12:00:00"))
    stamps = [Stamp("a", 1, noon), Stamp("b", 1, noon), Stamp("c", 1, 10**30), Stamp("d", 1, 10**30)]
    days = days_of(Picture(stamp, "", fact) for stamp, fact in zip(stamps, facts, strict=True))
    assert days[0] == np.datetime64("2021-05-03")
    assert days[1] in (np.datetime64("1970-01-02"), np.datetime64("1970-01-03"))
    assert np.isnat(days[2:]).all()
