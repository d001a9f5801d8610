"""Find and decode pictures safely: every file gives an upright RGB picture or an ImageError with its reason.

Nothing global is set, in Pillow or in `warnings`, so any number of threads may decode at once.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import os
import stat
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from crossmodal.errors import ImageError, InputError
from crossmodal.images.exif import exif_orientation, exif_taken
from crossmodal.images.headers import Header, read_header

if TYPE_CHECKING:
    from PIL import ImageCms

__all__ = [
    "IMAGE_SUFFIXES", "MAX_ELONGATION", "MAX_FILE_BYTES", "MAX_PIXELS", "describe_image", "list_images", "load_image",
    "load_resized", "read_image_file", "soon_read",
]  # fmt: skip

IMAGE_SUFFIXES: frozenset[str] = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".gif", ".webp", ".bmp", ".dib", ".tif", ".tiff"}
    | {".avif", ".heic", ".heif", ".jp2", ".j2k", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm"}
)
MAX_PIXELS: int = 89_478_485  # where Pillow begins to warn: a quarter of a gigabyte of RGB
MAX_ELONGATION: int = 100  # long side by short side: scaled to 224 pixels high, a thinner strip is a bomb itself
MAX_FILE_BYTES: int = 1 << 29
SPARE = 2  # times the size wanted, each way, that a JPEG decoded at a reduced size still has
TOO_LARGE = f"file too large (more than {MAX_FILE_BYTES >> 20} MiB)"

PLUGINS = {
    "AVIF": ("AvifImagePlugin", "AvifImageFile"),
    "BMP": ("BmpImagePlugin", "BmpImageFile"),
    "GIF": ("GifImagePlugin", "GifImageFile"),
    "JPEG": ("JpegImagePlugin", "JpegImageFile"),
    "JPEG2000": ("Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    "PNG": ("PngImagePlugin", "PngImageFile"),
    "PPM": ("PpmImagePlugin", "PpmImageFile"),
    "TIFF": ("TiffImagePlugin", "TiffImageFile"),
    "WEBP": ("WebPImagePlugin", "WebPImageFile"),
}
TOLD_BY_PILLOW = frozenset({"AVIF", "WEBP"})  # frames and EXIF, as bytes that it does not look into
UPRIGHT = {  # not ImageOps.exif_transpose: it has Pillow read the EXIF, which warns where that is broken
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = frozenset({5, 6, 7, 8})  # orientations in which width and height change places

Pixels = NDArray[np.uint8]


def load_image(source: Path | str | bytes | BinaryIO, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode one picture, given as a path, as bytes or as a binary stream: upright, mode RGB, 8 bits a channel.

    The format is told by content, not by name. EXIF orientation is applied. Transparent parts become white. Colours
    with another embedded profile than sRGB are converted to sRGB; a broken profile is passed over. 16-bit values are
    scaled, not clipped; integers and floats without a given range keep [0, 1], [0, 255] or [0, 65535] where they fit,
    else their minimum and maximum become black and white. Of a multi-page TIFF or a phone's MPO the first picture is
    taken. `max_pixels`: width × height, checked before anything is decoded; TIFF, GIF and WebP also keep to
    PIL.Image.MAX_IMAGE_PIXELS.

    Raises ImageError, with its reason, if the file cannot be read, is empty, truncated, damaged, animated, no picture,
    larger than `max_pixels` or MAX_FILE_BYTES, or longer than MAX_ELONGATION times its short side.
    """
    path: str | None = None
    try:
        if isinstance(source, (str, os.PathLike)):
            path = os.fspath(source)
            return _decode(_read_file(path), max_pixels)
        return _decode(_read_stream(source), max_pixels)
    except ImageError as error:
        raise ImageError(error.reason, path, error.unread) from error


def load_resized(
    data: bytes, scaled: Callable[[int, int], tuple[int, int]], resize: Callable[[Image.Image, int, int], Pixels]
) -> Pixels:
    """One picture, given as bytes, resized to uint8 (H, W, 3): in less time than `load_image` and resizing take.

    scaled: height and width of the upright picture → those that are wanted.
    resize: an RGB picture, height, width → (H, W, 3).

    A JPEG much larger than wanted is decoded at a half, a quarter or an eighth of its size, and a plain RGB or grey
    picture is resized before its colours and orientation are set; either way costs less than a grey level on average.
    Every other picture is resized after `load_image`.

    Raises ImageError just where `load_image` does.
    """
    header, picture = _open(data, MAX_PIXELS)
    with _translated(header.format):
        orientation, _ = _metadata(header, picture)
        sideways = orientation in SIDEWAYS
        width, height = picture.size[::-1] if sideways else picture.size
        target = scaled(height, width)
        high, wide = target[::-1] if sideways else target
        if header.format == "JPEG" and picture.mode in ("RGB", "L"):
            picture.draft(picture.mode, (SPARE * wide, SPARE * high))
        picture.load()
        rgb: Image.Image = picture
        plain, profile = _is_plain(picture), picture.info.get("icc_profile")
        if not plain:
            rgb = _upright(_to_rgb(picture), orientation)
        elif picture.mode != "RGB":
            rgb = picture.convert("RGB")
    if not plain:
        return resize(rgb, *target)
    pixels = resize(rgb, high, wide)  # out of the context: what fails here is no fault of the file's
    with _translated(header.format):
        foreign = isinstance(profile, bytes) and profile and _srgb_transform(profile, "RGB") is not None
        if foreign or orientation != 1:
            small = Image.fromarray(pixels)
            pixels = np.asarray(_upright(_to_srgb(small, profile) if foreign else small, orientation))
        return pixels


def _is_plain(picture: Image.Image) -> bool:
    """Whether resizing may come before everything else that `_to_rgb` does."""
    grey = picture.mode == "L" and not picture.info.get("icc_profile")
    return (grey or picture.mode == "RGB") and "transparency" not in picture.info


def _upright(picture: Image.Image, orientation: int) -> Image.Image:
    return picture.transpose(UPRIGHT[orientation]) if orientation != 1 else picture


def describe_image(data: bytes) -> tuple[int, int, str]:
    """Width and height in pixels of the upright picture, and when it was taken, as `exif_taken` says it.

    Only headers are read: what is said of a file that `load_image` takes is what it gives, but a file whose pixels are
    damaged is described all the same. Of a JPEG its beginning is enough, as far as the pixels begin in it.

    Raises ImageError if the headers are no picture's, or of one that may not be decoded.
    """
    header, picture = _open(data, MAX_PIXELS)
    orientation, exif = _metadata(header, picture)
    width, height = picture.size[::-1] if orientation in SIDEWAYS else picture.size
    return width, height, exif_taken(exif)


def list_images(root: Path) -> list[str]:
    """List the pictures below a folder as relative POSIX paths, sorted; told by suffix alone, hidden ones left out.

    Links to files are listed, links to folders are not followed.

    Raises InputError if `root` is no folder, or if a folder below it cannot be read.
    """
    if not os.path.isdir(root):
        what = "is a file, not a folder" if os.path.exists(root) else "does not exist"
        raise InputError(f"images folder {root} {what}: run again with --images and the folder that holds the pictures")

    def refuse(error: OSError) -> None:  # passed over, its pictures would silently drop out of an index
        raise InputError(
            f"folder {error.filename} cannot be read ({error.strerror}): run `chmod u+rx` on it or move it elsewhere"
        ) from error

    found: list[str] = []
    for folder, subfolders, names in os.walk(root, onerror=refuse):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        relative = Path(os.path.relpath(folder, root)).as_posix()
        prefix = "" if relative == "." else relative + "/"
        found.extend(
            prefix + name
            for name in names
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES
        )
    return sorted(found)


def read_image_file(path: Path | str, most: int | None = None) -> bytes:
    """The bytes of a file that should be a picture; only the first of them where a number is given.

    Raises ImageError if it is no plain file, cannot be read, or is larger than MAX_FILE_BYTES.
    """
    try:
        return _read_file(os.fspath(path), most)
    except ImageError as error:
        raise ImageError(error.reason, os.fspath(path), error.unread) from error


def soon_read(path: Path | str) -> None:
    """Tell the system that a file will be read soon, so that its bytes are there by then; waits for nothing."""
    if not hasattr(os, "posix_fadvise"):
        return
    with contextlib.suppress(OSError, ValueError):  # whoever reads it will say what is wrong with it
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            os.posix_fadvise(number, 0, 0, os.POSIX_FADV_WILLNEED)
        finally:
            os.close(number)


def _read_file(path: str, most: int | None = None) -> bytes:
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise ImageError("file name is not valid UTF-8: rename it") from error
    try:
        # Without O_NONBLOCK, opening a FIFO waits for its writer for ever
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:
        raise ImageError(_why_unreadable(path, error), unread=True) from error
    try:
        about = os.fstat(number)
        if stat.S_ISDIR(about.st_mode):
            raise ImageError("a folder, not a file")
        if not stat.S_ISREG(about.st_mode):
            raise ImageError("not a regular file")
        if about.st_size > MAX_FILE_BYTES:
            raise ImageError(TOO_LARGE)
        with open(number, "rb", buffering=0, closefd=False) as stream:
            return stream.readall() if most is None else stream.read(most)
    except OSError as error:
        raise ImageError(f"cannot be read ({error.strerror or error})", unread=True) from error
    finally:
        os.close(number)


def _why_unreadable(path: str, error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "broken link" if os.path.islink(path) else "file not found"
    if isinstance(error, PermissionError):
        return "no permission to read"
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return "link that leads to itself"
    return f"cannot be opened ({error})"


def _read_stream(source: bytes | BinaryIO) -> bytes:
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    with contextlib.suppress(AttributeError, OSError):  # a pipe is read from where it stands
        source.seek(0)
    data = source.read()
    if not isinstance(data, bytes):
        raise InputError(f"a picture's stream gave {type(data).__name__}: open it in binary mode, open(path, 'rb')")
    return data


def _decode(data: bytes, max_pixels: int) -> Image.Image:
    header, picture = _open(data, max_pixels)
    with _translated(header.format):
        picture.load()
        orientation, _ = _metadata(header, picture)
        upright = _upright(_to_rgb(picture), orientation)
    upright.info = {}  # no stale EXIF that would turn the picture a second time
    return upright


def _open(data: bytes, max_pixels: int) -> tuple[Header, ImageFile.ImageFile]:
    """Read the headers, and let Pillow read them; no pixel is decoded yet."""
    if not data:
        raise ImageError("0 bytes")
    if len(data) > MAX_FILE_BYTES:
        raise ImageError(TOO_LARGE)
    header = read_header(data)
    _check_still(header.frames)
    if header.size is not None:
        _check_size(header.size, min(max_pixels, Image.MAX_IMAGE_PIXELS or max_pixels))
    with _translated(header.format):
        picture = _plugin(header.format)(io.BytesIO(header.data), "")
        if header.format in TOLD_BY_PILLOW:
            _check_still(getattr(picture, "n_frames", 1))
    _check_size(picture.size, max_pixels)
    return header, picture


@contextlib.contextmanager
def _translated(format_name: str) -> Iterator[None]:
    """Make an ImageError of whatever a decoder raises."""
    try:
        yield
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError("not enough memory to decode it", unread=True) from error
    except Exception as error:  # damaged bytes make decoders raise anything, from struct.error to ZeroDivisionError
        raise ImageError(_why_damaged(format_name, error)) from error


def _metadata(header: Header, picture: Image.Image) -> tuple[int, bytes]:
    """Orientation, 1..8, and the EXIF block of a picture."""
    if header.format not in TOLD_BY_PILLOW:
        return header.orientation, header.exif
    exif = picture.info.get("exif", b"")
    return exif_orientation(exif), exif


@cache
def _plugin(format_name: str) -> type[ImageFile.ImageFile]:
    """Pillow's class for one format: Image.open would also run its bomb check, which warns, and read MPO frames."""
    module, name = PLUGINS[format_name]
    try:
        plugin: type[ImageFile.ImageFile] = getattr(importlib.import_module(f"PIL.{module}"), name)
    except ImportError as error:
        raise ImageError(f"format not supported ({format_name}): this Pillow is too old") from error
    return plugin


def _check_still(frames: int) -> None:
    if frames > 1:
        raise ImageError(f"animated ({frames} frames)")


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise ImageError(f"too many pixels ({width} x {height}, at most {max_pixels:,})")
    if max(size) > MAX_ELONGATION * max(1, min(size)):
        raise ImageError(f"too elongated ({width} x {height})")


def _why_damaged(format_name: str, error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return "too many pixels"
    message = str(error).lower()
    if isinstance(error, EOFError) or any(sign in message for sign in ("truncated", "not enough", "not large enough")):
        return "truncated file"
    if "not installed" in message or "not available" in message:
        return f"format not supported ({format_name}): this Pillow was built without it"
    if "too large" in message or "too much memory" in message:  # Pillow's words for a bomb of compressed text
        return f"metadata too large ({format_name})"
    return f"damaged file ({format_name})"


def _to_rgb(picture: Image.Image) -> Image.Image:
    profile = picture.info.get("icc_profile")
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        picture = _to_eight_bits(picture)
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        layer = picture.convert("LA").convert("RGBA") if picture.mode == "La" else picture.convert("RGBA")
        canvas = Image.new("RGB", layer.size, "white")
        canvas.paste(_to_srgb(layer.convert("RGB"), profile), mask=layer.getchannel("A"))
        return canvas
    return _to_srgb(picture, profile)


def _to_eight_bits(picture: Image.Image) -> Image.Image:
    """Scale one channel of integers or floats to [0, 255]."""
    values = np.asarray(picture)  # (H, W)
    tags = getattr(picture, "tag_v2", {})
    if picture.mode.startswith("I;16") or (picture.mode == "I" and not tags):
        low, high = 0.0, 4095.0 if tags.get(258) == (12,) else 65535.0
    else:
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        for usual in (1.0, 255.0, 65535.0) if picture.mode == "F" else (255.0, 65535.0):
            if low >= 0 and high <= usual:
                low, high = 0.0, usual
                break
    known = np.nan_to_num(values.astype(np.float32), nan=low, posinf=high, neginf=low)
    scaled = (known - low) * (255.0 / ((high - low) or 1.0))
    return Image.fromarray(np.clip(scaled + 0.5, 0, 255).astype(np.uint8))


def _to_srgb(picture: Image.Image, profile: object) -> Image.Image:
    if isinstance(profile, bytes) and profile:
        if picture.mode not in ("RGB", "L", "CMYK"):
            picture = picture.convert("RGB")
        transform = _srgb_transform(profile, picture.mode)
        if transform is not None:
            return transform.apply(picture)
    return picture.convert("RGB")


@lru_cache(maxsize=64)  # building one takes as long as decoding ten photos
def _srgb_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Conversion from an embedded profile to sRGB; None where it changes nothing visible or the profile is unusable."""
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        if mode == "RGB":
            steps = np.arange(0, 256, 51, dtype=np.uint8)
            colours = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)  # (1, 216, RGB)
            changed = np.asarray(transform.apply(Image.fromarray(colours)), dtype=np.int16)
            return transform if np.abs(changed - colours).max() > 2 else None
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None  # on purpose: a photo with a broken profile is still a photo
    return transform
