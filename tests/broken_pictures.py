"""A folder of files that look like pictures and are none, or none that may be decoded, and a few good ones beside them.

Everything is made by code, byte by byte where Pillow refuses to write such a thing.
"""

from __future__ import annotations

import io
import os
import random
import struct
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

from PIL import Image, ImageDraw

__all__ = ["broken_files", "encode", "png", "png_chunk", "tiff", "write_broken_pictures", "write_good_pictures"]


def write_broken_pictures(folder: Path) -> dict[str, str]:
    """Write one file of each kind into `folder`; return its name and a part of the reason why it is refused."""
    folder.mkdir(parents=True, exist_ok=True)
    expected: dict[str, str] = {}
    for name, content, reason in broken_files():
        (folder / name).write_bytes(content)
        expected[name] = reason
    for name, make, reason in _odd_entries():
        try:
            make(folder / name)
        except (OSError, NotImplementedError, AttributeError):
            continue  # this file system knows no such thing
        expected[name] = reason
    return expected


def write_good_pictures(folder: Path) -> list[str]:
    """Write pictures that look suspicious but must be taken; return their names, sorted."""
    folder.mkdir(parents=True, exist_ok=True)
    turned = Image.Exif()
    turned[0x0112] = 6
    palette = _photo(2).quantize(16)
    files = {
        "good-photo.jpg": encode(_photo(1), "JPEG"),
        "good-turned.jpg": encode(_photo(3), "JPEG", exif=turned),
        "good-broken-exif.jpg": encode(
            _photo(4), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x1a\x01\x05\0\xff\xff"
        ),
        "good-cmyk.jpg": encode(_photo(5).convert("CMYK"), "JPEG"),
        "good-really-a-png.jpg": encode(_photo(6), "PNG"),
        "good-really-a-jpeg.gif": encode(_photo(7), "JPEG"),
        "good-two-frames.mpo": encode(_photo(8), "MPO", save_all=True, append_images=[_photo(20)]),
        "good-palette.png": encode(palette, "PNG", transparency=0),
        "good-grey-16-bit.png": encode(_photo(9).convert("L").point(lambda v: v * 257, "I").convert("I;16"), "PNG"),
        "good-one-frame.gif": encode(_photo(10), "GIF"),
        "good-two-pages.tif": encode(_photo(11), "TIFF", save_all=True, append_images=[_photo(20)]),
        "good-one-pixel.png": encode(Image.new("RGB", (1, 1), "red"), "PNG"),
        "good-CAPITALS.JPG": encode(_photo(12), "JPEG"),
        "good-trailing-bytes.jpg": encode(_photo(13), "JPEG") + b"\0" * 300,
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return sorted(files)


def encode(picture: Image.Image, format_name: str, **options: object) -> bytes:
    """Bytes of a picture in one of Pillow's formats."""
    stream = io.BytesIO()
    picture.save(stream, format_name, **options)
    return stream.getvalue()


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk of a PNG with its right checksum."""
    return struct.pack(">L", len(content)) + kind + content + struct.pack(">L", zlib.crc32(kind + content))


def png(width: int, height: int, rows: bytes, bits: int = 8, colour: int = 2, extra: bytes = b"") -> bytes:
    """A PNG from filtered rows; `extra` are chunks between the header and the pixels."""
    header = png_chunk(b"IHDR", struct.pack(">LLBBBBB", width, height, bits, colour, 0, 0, 0))
    pixels = png_chunk(b"IDAT", zlib.compress(rows, 9))
    return b"\x89PNG\r\n\x1a\n" + header + extra + pixels + png_chunk(b"IEND", b"")


def tiff(tags: dict[int, int], counts: dict[int, int] | None = None) -> bytes:
    """A TIFF of one directory of 32-bit numbers, one to each tag unless `counts` says otherwise, then 64 grey pixels.

    A tag 273 of 0 is replaced by the place of the pixels.
    """
    pixels = 14 + 12 * len(tags)
    entries = b"".join(
        struct.pack("<HHLL", tag, 4, (counts or {}).get(tag, 1), value if (tag, value) != (273, 0) else pixels)
        for tag, value in sorted(tags.items())
    )
    return b"II*\0" + struct.pack("<LH", 8, len(tags)) + entries + bytes(4) + b"\x50" * 64


def broken_files() -> Iterable[tuple[str, bytes, str]]:
    """Name, content and expected reason of every kind that is a plain file."""
    photo = _photo(0)
    frames = {"save_all": True, "append_images": [photo.rotate(90), photo.rotate(180)]}
    jpeg, still, gif = encode(photo, "JPEG"), encode(photo, "PNG"), encode(photo, "GIF")
    webp, bmp, scan = encode(photo, "WEBP"), encode(photo, "BMP"), encode(photo, "TIFF")
    idat = still.index(b"IDAT")
    yield "zero-bytes.jpg", b"", "0 bytes"
    yield "truncated.jpg", jpeg[: len(jpeg) // 2], "truncated file"
    yield "header-only.jpg", jpeg[:20], "truncated file"
    yield "scan-bomb.jpg", _many_scans(photo, 300), "scans in a JPEG"
    yield "truncated.png", still[: len(still) // 2], "truncated file"
    yield "broken-data.png", still[: idat + 40] + b"\xff" * 60 + still[idat + 100 :], "damaged file (PNG)"
    yield "wrong-checksum.png", still[:29] + b"\0\0\0\0" + still[33:], "damaged file (PNG)"
    yield "zero-width.png", png(0, 5, b""), "damaged file (PNG)"
    yield "pixel-bomb.png", png(30_000, 30_000, b"\0" * 5000, bits=1, colour=0), "too many pixels (30000 x 30000"
    yield "text-bomb.png", png(1, 1, b"\0\1\2\3", extra=_text_bomb()), "metadata too large (PNG)"
    yield "strip.png", png(60_000, 1, b"\0" * 60_001, colour=0), "too elongated (60000 x 1)"
    yield "animated.gif", encode(photo, "GIF", **frames), "animated (3 frames)"
    yield "animated.webp", encode(photo, "WEBP", **frames), "animated (3 frames)"
    yield "animated.png", encode(photo, "PNG", **frames), "animated (3 frames)"
    yield "truncated.gif", gif[: len(gif) // 2], "truncated file"
    yield "frames-missing.gif", gif[:10] + b"\0\0\0;", "damaged file (GIF)"
    yield "broken-codes.gif", _broken_codes(), "damaged file (GIF)"
    yield "truncated.webp", webp[: len(webp) // 2], "truncated file"
    yield "broken-data.webp", webp[:40] + b"\xff" * (len(webp) - 40), "damaged file (WEBP)"
    yield "truncated.bmp", bmp[: len(bmp) // 2], "truncated file"
    yield "absurd-size.bmp", bmp[:18] + struct.pack("<ll", 1 << 30, 1 << 30) + bmp[26:], "too many pixels"
    yield "truncated.tif", scan[: len(scan) // 2], "truncated file"
    yield "absurd-size.tif", tiff({256: 1 << 20, 257: 1 << 20}), "too many pixels"
    yield "tags-outside.tif", tiff({256: 8, 257: 8, 273: 1 << 30, 279: 64}), "truncated file"
    yield "tags-missing.tif", tiff({256: 8}), "damaged file (TIFF)"
    yield "directory-outside.tif", b"II+\0\x08\0\0\0" + b"\xff" * 8, "truncated file"
    yield "short.ppm", b"P6 100 100 255\n" + b"\1" * 500, "truncated file"
    yield "page.jpg", b"<!DOCTYPE html><html><body>404 Not Found</body></html>", "not a picture (HTML page)"
    yield "notes.jpg", "Fünf Notizen über ein Bild.\n".encode(), "not a picture (text)"
    yield "pointer.jpg", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "Git LFS pointer"
    yield "drawing.png", b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "not supported (SVG)"
    yield "document.jpg", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "not a picture (PDF)"
    yield "program.jpg", b"\x7fELF\2\1\1" + bytes(57), "not a picture (program)"
    yield "archive.jpg", b"PK\3\4\x14\0\0\0\0\0" + bytes(40), "not a picture (ZIP archive)"
    yield "film.jpg", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(40), "not a picture (video)"
    yield "phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40), "not supported (HEIC)"
    yield "layers.tif", b"8BPS\0\1" + bytes(40), "not supported (PSD)"
    yield "icon.png", encode(photo, "ICO"), "not supported (icon)"
    yield "noise.jpg", b"\x93" + random.Random(0).randbytes(2000), "unknown format"
    yield "blank.jpg", bytes(4096), "only zero bytes"
    if ".avif" in Image.registered_extensions():  # Pillow before 11.3 has none
        yield "broken.avif", encode(photo, "AVIF")[:200], "file"


def _odd_entries() -> Iterable[tuple[str, Callable[[Path], object], str]]:
    """Names in a folder that are no plain files, or that no plain file should have."""
    yield "dangling.jpg", lambda path: path.symlink_to("nowhere.jpg"), "broken link"
    yield "loop.jpg", lambda path: path.symlink_to(path.name), "link that leads to itself"
    yield "pipe.jpg", lambda path: os.mkfifo(path), "not a regular file"  # noqa: PLW0108 - Windows has no mkfifo
    yield "caf\udce9.jpg", lambda path: path.write_bytes(encode(_photo(0), "JPEG")), "not valid UTF-8"


def _photo(seed: int) -> Image.Image:
    """A small picture unlike the others, with enough detail not to be compressed to nothing."""
    chance = random.Random(seed)
    picture = Image.new("RGB", (96, 72))
    draw = ImageDraw.Draw(picture)
    for _ in range(120):
        x, y, size = chance.randrange(96), chance.randrange(72), chance.randrange(2, 24)
        draw.ellipse((x - size, y - size, x + size, y + size), fill=tuple(chance.randbytes(3)))
    return picture


def _many_scans(photo: Image.Image, count: int) -> bytes:
    """A progressive JPEG whose last scan is repeated: each repetition costs a pass over all pixels."""
    jpeg = encode(photo, "JPEG", progressive=True)
    last = jpeg.rindex(b"\xff\xda")
    return jpeg[:last] + jpeg[last:-2] * count + b"\xff\xd9"


def _text_bomb() -> bytes:
    """A compressed text of 64 MiB in a few kilobytes."""
    return png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1 << 26), 9))


def _broken_codes() -> bytes:
    """A GIF whose first code points into a table that is still empty."""
    screen = b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return screen + b"," + struct.pack("<HHHHB", 0, 0, 8, 8, 0) + b"\x02\x04\xff\xff\xff\xff\0;"
