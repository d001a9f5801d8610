"""Read what a picture file says about itself before anything is decoded: its format, size, frames and orientation.

Only what Pillow does not do, or does too late: it allocates a WebP's canvas when it opens one, grows a GIF's while it
decodes, takes any number of JPEG scans, and finds a PNG's EXIF after the pixels only once they are decoded.
Python's `warnings` filters belong to the whole process and cannot be changed from one of several decoding threads.
So metadata that Pillow would warn about (broken EXIF, broken TIFF tags, an invalid APNG header) is taken out of the
bytes here, before Pillow sees them; the pixels are untouched.

Sources: ITU-T T.81 annex B (JPEG), W3C PNG 3rd edition, GIF89a, Google's WebP container, TIFF 6.0.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from crossmodal.errors import ImageError
from crossmodal.images.exif import exif_orientation

__all__ = ["Header", "read_header"]

MAX_JUNK_BYTES = 1 << 16  # between the parts of a file, which readers step over byte by byte
MAX_EXIF_BYTES = 1 << 20  # what a chunk may hold; a JPEG's segment has at most 64 KiB
MAX_CHUNKS = 1 << 16  # looked at; a PNG of a quarter of a gigabyte has some thirty thousand
SCAN = re.compile(b"\xff\xda")
MAX_SCANS = 200  # a progressive JPEG has about ten; each one more costs a pass over all pixels
TIFF_TYPE_BYTES = {
    1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8
}  # fmt: skip
TIFF_INTEGERS = {3: "H", 4: "L", 16: "Q"}
TIFF_ORIENTATION = 274
TIFF_SAMPLES = 277
TIFF_SINGLE = frozenset({256, 257, 259, 262, 266, TIFF_ORIENTATION, TIFF_SAMPLES, 278, 284, 292, 293, 317, 322, 323})
TIFF_LISTS = frozenset({258, 273, 279, 320, 324, 325, 338, 339, 347, 529, 530, 532, 34675})


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of a picture before it is decoded.

    format: Pillow's name of it, "JPEG" for example.
    data: the bytes to decode.
    frames: how many pictures the file holds, 1 for a still one.
    orientation: EXIF's 1..8, as far as it stands in the header; 1 is upright.
    size: the largest (width, height) in pixels that decoding asks for; None where Pillow reads it without allocating.
    exif: the block that `crossmodal.images.exif` reads; b"" where there is none, or where only Pillow finds it.
    """

    format: str
    data: bytes
    frames: int = 1
    orientation: int = 1
    size: tuple[int, int] | None = None
    exif: bytes = b""


def read_header(data: bytes) -> Header:
    """Tell the format of a picture by its first bytes, never by its name, and read its header.

    Raises ImageError if the bytes are no picture, or of a format or structure that cannot be decoded.
    """
    for format_name, accepts, reader in FORMATS:
        if accepts(data):
            try:
                return reader(format_name, data)
            except (struct.error, IndexError, OverflowError) as error:  # an offset outside the file
                raise ImageError("truncated file") from error
    raise ImageError(_what_else(data))


def _plain(format_name: str, data: bytes) -> Header:
    return Header(format_name, data)


def _jpeg(format_name: str, data: bytes) -> Header:
    """Find the EXIF block and hide it from Pillow, which reads it for a resolution and warns where it is broken.

    A phone's MPO (several JPEGs in a row) is read as the JPEG that it starts with.
    """
    exif, position, junk = b"", 2, 0
    exif_markers: list[int] = []
    while position + 4 <= len(data):
        if data[position] != 0xFF or data[position + 1] in (0x00, 0xFF):
            position, junk = position + 1, junk + 1
            if junk > MAX_JUNK_BYTES:
                raise ImageError(f"damaged file ({format_name})")
            continue
        marker, length = struct.unpack_from(">xBH", data, position)
        if marker == 0xDA:
            if _has_too_many_scans(data, position):
                raise ImageError(f"more than {MAX_SCANS} scans in a JPEG")
            return Header(format_name, _hide(data, exif_markers), orientation=exif_orientation(exif), exif=exif)
        if marker == 0xE1 and data[position + 4 : position + 10] == b"Exif\0\0":
            if not exif_markers:
                exif = data[position + 10 : position + 2 + length]
            exif_markers.append(position + 1)
        position += 2 if marker == 0x01 or 0xD0 <= marker <= 0xD9 else 2 + length
    raise ImageError("truncated file")  # it ends before its pixels begin


def _has_too_many_scans(data: bytes, start: int) -> bool:
    """Whether more than MAX_SCANS scans begin between a place in a JPEG and its end."""
    first = list(islice(SCAN.finditer(data, start), MAX_SCANS + 1))  # bytes.count takes three times as long
    if len(first) <= MAX_SCANS:
        return False
    end = data.find(b"\xff\xd9", start)
    return end < 0 or first[-1].start() < end


def _hide(data: bytes, exif_markers: list[int]) -> bytes:
    if not exif_markers:
        return data
    patched = bytearray(data)
    for place in exif_markers:
        patched[place] = 0xEF  # APP15, which no reader knows
    return bytes(patched)


def _png(format_name: str, data: bytes) -> Header:
    """Find the EXIF and count the frames of an APNG; an invalid count makes a still picture, as its standard says."""
    position, frames, counts, exif, pixels = 8, 1, 0, b"", False
    for _ in range(MAX_CHUNKS):
        if position + 12 > len(data):
            break
        length, kind = struct.unpack_from(">L4s", data, position)
        end = position + 12 + length
        pixels = pixels or kind == b"IDAT"
        if kind == b"eXIf" and length <= MAX_EXIF_BYTES:
            exif = data[position + 8 : end - 4]
        if kind == b"acTL" and not pixels:
            counts += 1
            if counts > 2:
                raise ImageError(f"damaged file ({format_name})")
            (count,) = struct.unpack_from(">L", data, position + 8) if length == 8 else (0,)
            if 1 < count <= 0x80000000:
                frames = count
            data = data[:position] + data[end:]
            continue
        position = end
    else:
        if not pixels:
            raise ImageError(f"damaged file ({format_name})")
    return Header(format_name, data, frames, orientation=exif_orientation(exif), exif=exif)


def _gif(format_name: str, data: bytes) -> Header:
    """Walk the blocks of a GIF to count its frames and the space they need together."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    position = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    frames = junk = 0
    while position < len(data) and data[position] != 0x3B and junk < MAX_JUNK_BYTES:
        if data[position] == 0x2C and position + 10 <= len(data):
            left, top, wide, high, flags = struct.unpack_from("<HHHHB", data, position + 1)
            width, height = max(width, left + wide), max(height, top + high)
            position += 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
            frames += 1
        elif data[position] == 0x21:
            position += 2
        else:
            position, junk = position + 1, junk + 1
            continue
        while position < len(data) and data[position]:
            position += 1 + data[position]
        position += 1
    if not frames:
        raise ImageError("truncated file" if position >= len(data) else f"damaged file ({format_name})")
    return Header(format_name, data, frames, size=(width, height))


def _webp(format_name: str, data: bytes) -> Header:
    """Read the canvas of a WebP, which Pillow allocates when it opens the file; frames and EXIF it tells by itself."""
    if struct.unpack_from("<L", data, 4)[0] + 8 > len(data):
        raise ImageError("truncated file")
    size: tuple[int, int] | None = None
    if data[12:16] == b"VP8X":
        size = (1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little"))
    elif data[12:16] == b"VP8L":
        (bits,) = struct.unpack_from("<L", data, 21)
        size = (1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
    elif data[12:16] == b"VP8 ":
        wide, high = struct.unpack_from("<HH", data, 26)
        size = (wide & 0x3FFF, high & 0x3FFF)
    return Header(format_name, data, size=size)


def _tiff(format_name: str, data: bytes) -> Header:
    """Keep of a TIFF's first page the tags that say how its pixels lie, where they are whole and inside the file.

    Further pages (a scan's, a camera's thumbnails) are cut off: the first one is the picture.
    """
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    counter, pointer, entry_bytes, inline = ("Q", "Q", 20, 8) if big else ("H", "L", 12, 4)
    (start,) = struct.unpack_from(order + pointer, data, 8 if big else 4)
    (count,) = struct.unpack_from(order + counter, data, start)
    first = start + struct.calcsize(order + counter)
    if first + count * entry_bytes > len(data):
        raise ImageError("truncated file")
    kept: dict[int, bytes] = {}
    numbers: dict[int, int] = {}
    budget = len(data)  # of tag values, as Pillow counts it
    for position in range(first, first + count * entry_bytes, entry_bytes):
        tag, kind, items = struct.unpack_from(order + "HH" + pointer, data, position)
        size = items * TIFF_TYPE_BYTES.get(kind, 0)
        if tag in kept or not size or tag not in TIFF_SINGLE | TIFF_LISTS:
            continue
        value = position + entry_bytes - inline
        if size > inline:
            (value,) = struct.unpack_from(order + pointer, data, value)
            budget -= size
        if value + size > len(data) or budget < 0:
            continue
        if tag in TIFF_SINGLE:
            if items != 1 or kind not in TIFF_INTEGERS:
                continue
            (numbers[tag],) = struct.unpack_from(order + TIFF_INTEGERS[kind], data, value)
            if tag == TIFF_SAMPLES and numbers[tag] > 6:  # Pillow would log it as an error of the program
                raise ImageError(f"damaged file ({format_name})")
        if tag != TIFF_ORIENTATION:  # Pillow would turn the picture by itself
            kept[tag] = data[position : position + entry_bytes]
    directory = struct.pack(order + counter, len(kept)) + b"".join(kept.values()) + struct.pack(order + pointer, 0)
    orientation = numbers.get(TIFF_ORIENTATION, 1)
    return Header(
        format_name,
        data[:start] + directory + data[start + len(directory) :],
        orientation=orientation if 1 <= orientation <= 8 else 1,
        size=(max(numbers.get(256, 1), numbers.get(322, 1)), max(numbers.get(257, 1), numbers.get(323, 1))),
        exif=data,  # a TIFF is built like an EXIF block
    )


def _starts(*prefixes: bytes) -> Callable[[bytes], bool]:
    return lambda data: data.startswith(prefixes)


def _brand(*brands: bytes) -> Callable[[bytes], bool]:
    return lambda data: data[4:8] == b"ftyp" and data[8:12] in brands


Reader = Callable[[str, bytes], Header]
FORMATS: tuple[tuple[str, Callable[[bytes], bool], Reader], ...] = (
    ("JPEG", _starts(b"\xff\xd8\xff"), _jpeg),
    ("PNG", _starts(b"\x89PNG\r\n\x1a\n"), _png),
    ("WEBP", lambda data: data[:4] == b"RIFF" and data[8:12] == b"WEBP", _webp),
    ("GIF", _starts(b"GIF87a", b"GIF89a"), _gif),
    ("TIFF", _starts(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), _tiff),
    ("AVIF", _brand(b"avif", b"avis"), _plain),
    ("JPEG2000", _starts(b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"), _plain),
    ("PPM", lambda data: data[:1] == b"P" and data[1:2] in b"123456f" and data[2:3].isspace(), _plain),
    ("BMP", _starts(b"BM"), _plain),
)
OTHERS: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("format not supported (HEIC)", _brand(b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")),
    ("format not supported (JPEG XL)", _starts(b"\xff\x0a", b"\0\0\0\x0cJXL ")),
    ("format not supported (PSD)", _starts(b"8BPS")),
    ("format not supported (icon)", _starts(b"\0\0\1\0", b"\0\0\2\0")),
    ("not a picture (PDF)", _starts(b"%PDF")),
    ("not a picture (PostScript)", _starts(b"%!PS")),
    ("not a picture (ZIP archive)", _starts(b"PK\3\4", b"PK\5\6")),
    ("not a picture (compressed archive)", _starts(b"\x1f\x8b", b"BZh", b"7z\xbc\xaf", b"\xfd7zXZ", b"Rar!")),
    ("not a picture (program)", _starts(b"\x7fELF", b"MZ")),
    ("not a picture (video)", lambda data: data[4:8] == b"ftyp" or data[:4] == b"\x1a\x45\xdf\xa3"),
    ("not a picture (sound or video)", _starts(b"RIFF", b"ID3", b"OggS", b"fLaC")),
    ("not a picture (Git LFS pointer: run `git lfs pull`)", _starts(b"version https://git-lfs")),
    ("only zero bytes", lambda data: not any(data[:4096]) and not data.strip(b"\0")),
)


def _what_else(data: bytes) -> str:
    """Name what lies there instead of a picture, as far as its first bytes tell."""
    for reason, accepts in OTHERS:
        if accepts(data):
            return reason
    if b"\0" not in data[:4096]:
        text = data[:4096].decode("utf-8", "replace").rstrip("\ufffd").lower()  # the last letter may be cut in two
        if "<svg" in text:
            return "format not supported (SVG)"
        if text.lstrip("\ufeff \t\r\n").startswith(("<!doctype html", "<html", "<head", "<body")):
            return "not a picture (HTML page)"
        if text and all(letter != "\ufffd" and (letter.isprintable() or letter.isspace()) for letter in text):
            return "not a picture (text)"
    return "unknown format"
