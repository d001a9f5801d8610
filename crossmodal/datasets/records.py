"""One record per picture with its group of captions: names in a captions file matched to files in a folder."""

from __future__ import annotations

import posixpath
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from crossmodal.datasets.captions.reading import CaptionTable, read_captions
from crossmodal.errors import CaptionsError, DataError
from crossmodal.images.decode import IMAGE_SUFFIXES, list_images

__all__ = ["Match", "Pairs", "Record", "load_pairs", "match_names", "pair_table"]


@dataclass(frozen=True, slots=True)
class Record:
    """One picture with its captions.

    image: POSIX path below the images folder.
    captions: its sentences in file order; none where there is no captions file.
    split: as the captions file writes it, None where it says nothing.
    """

    image: str
    captions: tuple[str, ...]
    split: str | None = None


@dataclass(frozen=True)
class Pairs:
    """The pictures of a folder joined with their captions.

    root: the folder of pictures.
    records: sorted by image. With a captions file only pictures that have a caption, so that every record can be
        trained on; else every picture, without captions.
    format: short name of the captions' format.
    problems: of the file and of the matching, a sentence each.
    missing: names in the file without a picture, in file order.
    uncaptioned: pictures without a caption, sorted.
    """

    root: Path
    records: tuple[Record, ...]
    format: str
    problems: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    uncaptioned: tuple[str, ...] = ()


@dataclass(frozen=True)
class Match:
    """Names found among pictures.

    found: name → picture.
    missing: the names left over, in order.
    problems: why some were refused, a sentence each.
    """

    found: dict[str, str]
    missing: tuple[str, ...]
    problems: tuple[str, ...]


def load_pairs(images: Path, captions: Path | None) -> Pairs:
    """Join a folder of pictures with a captions file (or a folder of same-named .txt files).

    Empty captions and repetitions within one picture are dropped. No picture is opened.

    Raises InputError if images is not a folder; DataError if it holds no picture; CaptionsError if the captions
    cannot be read or none of their names fits a picture.
    """
    pictures = _pictures(images)
    if captions is None:
        return Pairs(images, tuple(Record(picture, ()) for picture in pictures), "no captions", uncaptioned=pictures)
    return pair_table(images, pictures, read_captions(captions), captions)


def _pictures(images: Path) -> tuple[str, ...]:
    pictures = tuple(list_images(images))
    if not pictures:
        raise DataError(f"{images} holds no pictures ({', '.join(sorted(IMAGE_SUFFIXES))}): give another --images DIR")
    return pictures


def pair_table(images: Path, pictures: Sequence[str], table: CaptionTable, source: Path) -> Pairs:
    """Join pictures (relative POSIX paths below images) with a table already read from source.

    Raises CaptionsError if none of the table's names fits a picture.
    """
    match = match_names(table.captions, pictures)
    if not match.found:
        raise CaptionsError(
            f"none of the {len(table.captions):,} names in {source} fits one of the {len(pictures):,} pictures in "
            f"{images}. Give the folder that holds the captioned pictures with --images DIR, or the right file with "
            "--captions FILE",
            f"the file names {next(iter(table.captions))!r}, the folder holds {pictures[0]!r}",
        )
    problems = [*table.problems, *match.problems]
    texts: dict[str, tuple[str, ...]] = {}
    splits: dict[str, str] = {}
    for name, picture in match.found.items():
        texts[picture] = tuple(dict.fromkeys((*texts.get(picture, ()), *filter(None, table.captions[name]))))
        split = table.splits.get(name)
        if split is not None and splits.setdefault(picture, split) != split:
            problems.append(f"{picture}: stands in splits {splits[picture]!r} and {split!r}: the first one kept")
    captioned = sorted(picture for picture, captions in texts.items() if captions)
    records = tuple(Record(picture, texts[picture], splits.get(picture)) for picture in captioned)
    uncaptioned = tuple(sorted(set(pictures).difference(captioned)))
    return Pairs(images, records, table.format, tuple(problems), match.missing, uncaptioned)


def match_names(names: Iterable[str], pictures: Sequence[str]) -> Match:
    """Find the picture that each written name means; only pictures given can be found, so no name leads elsewhere.

    Tried in turn: the full relative path, the file name alone, both without regard to case and Unicode form, both
    without picture suffix. All but the first need one picture for the name and one name for the picture: where two
    fit, neither is taken. A name that climbs out of the folder ("../x.jpg") is refused.
    """
    everything = list(dict.fromkeys(names))
    found, waiting, problems = _by_full_path(everything, pictures)
    for key in _KEYS:
        if not waiting:
            break
        shelf: dict[str, list[str]] = {}
        taken = set(found.values())
        for picture in pictures:
            shelf.setdefault(key(picture), []).append(picture)
        claims: dict[str, list[str]] = {}
        for name, path in waiting:
            candidates = shelf.get(key(path), [])
            if len(candidates) == 1 and candidates[0] not in taken:
                claims.setdefault(candidates[0], []).append(name)
            elif len(candidates) > 1 and key is _KEYS[-1]:
                problems.append(
                    f"{name!r} fits {len(candidates)} pictures ({', '.join(candidates[:2])}, …): none taken"
                )
        for picture, claimants in claims.items():
            if len(claimants) == 1:
                found[claimants[0]] = picture
            else:
                both = f"{claimants[0]!r} and {claimants[1]!r}"
                problems.append(f"{both} both fit {picture!r}: neither taken; write paths below the images folder")
        refused = {name for names in claims.values() for name in names}
        waiting = [(name, path) for name, path in waiting if name not in refused]
    return Match(found, tuple(name for name in everything if name not in found), tuple(problems))


def _by_full_path(
    names: Iterable[str], pictures: Sequence[str]
) -> tuple[dict[str, str], list[tuple[str, str]], list[str]]:
    """Names that are a picture's path -> that picture; the others with the path they mean; and why some were refused.

    It is what most names are, so of these nothing else is kept.
    """
    found: dict[str, str] = {}
    waiting: list[tuple[str, str]] = []
    problems: list[str] = []
    known = {picture: picture for picture in pictures}
    for name in names:
        path = posixpath.normpath(name.replace("\\", "/"))
        if path == ".." or path.startswith("../"):
            problems.append(f"{name!r} points outside the images folder: refused")
        elif path in known:
            found[name] = known[path]
        else:
            waiting.append((name, path))
    return found, waiting, problems


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()


def _bare(path: str) -> str:
    """Folded, and without a picture's suffix; any other dot belongs to the name."""
    pure = PurePosixPath(_folded(path))
    return str(pure.with_suffix("")) if pure.suffix in IMAGE_SUFFIXES else str(pure)


_KEYS: tuple[Callable[[str], str], ...] = (
    posixpath.basename,
    _folded,
    lambda path: posixpath.basename(_folded(path)),
    _bare,
    lambda path: posixpath.basename(_bare(path)),
)
