"""Checks a folder of pictures and its captions before anything is trained on them: what is there, what is wrong."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from crossmodal.datasets.captions.reading import CaptionTable, read_captions
from crossmodal.datasets.records import Pairs, match_names, pair_table
from crossmodal.datasets.splits import (
    SPLITS,
    list_role,
    photo_id,
    photo_key,
    read_split_list,
    read_split_lists,
    split_role,
)
from crossmodal.errors import CaptionsError, DataError, ImageError
from crossmodal.images.decode import list_images, load_image

__all__ = ["CHECKS", "Check", "Problem", "Validation", "describe", "validate"]

NO_SPLIT = "no split"


class Check(NamedTuple):
    """One kind of problem, in words.

    fine: what is said when there is none.
    findings: what its findings are.
    item: how one is shown, with its keys in braces.
    advice: what to do about them.
    """

    fine: str
    findings: str
    item: str
    advice: str


CHECKS: dict[str, Check] = {
    "rows": Check(
        "every row of the captions file could be used",
        "rows or names of the captions file that were repaired or left out",
        "{what}",
        "correct these places in the file, or live with what was done",
    ),
    "missing": Check(
        "every captioned picture is there",
        "names in the captions file without a picture",
        "{name}",
        "nothing is done with their captions; add the pictures or take the rows out",
    ),
    "uncaptioned": Check(
        "every picture has a caption",
        "pictures without a caption",
        "{image}",
        "they can be indexed and found, but not trained or judged on",
    ),
    "unreadable": Check(
        "every picture can be decoded",
        "pictures that cannot be decoded",
        "{image}: {reason}",
        "they are skipped everywhere; replace or delete them",
    ),
    "empty_captions": Check(
        "no caption is empty", "pictures with empty captions", "{image}: {count}", "empty captions are left out"
    ),
    "duplicate_captions": Check(
        "no picture has the same caption twice",
        "captions repeated beside one picture",
        "{image}: {caption!r}, {count} times",
        "one of each is used",
    ),
    "listed_without_picture": Check(
        "every listed picture is there",
        "names in the split lists without a picture",
        "{name} ({split})",
        "the splits are smaller than their lists by these",
    ),
    "in_two_splits": Check(
        "no picture stands in two splits",
        "photos that stand in two splits",
        "{pictures}: {why}",
        "leave each in one split only, or every result is flattered",
    ),
    "leaks": Check(
        "no picture stands in another split there",
        "pictures that stand in another split there, or where a side has no splits",
        "{image} (ours: {ours}) is {name} (theirs: {theirs})",
        "do not train on the one and judge on the other without taking these out",
    ),
}


@dataclass(frozen=True)
class Problem:
    """All findings of one kind.

    kind: a key of CHECKS.
    items: one a finding; its keys are those that CHECKS shows.
    """

    kind: str
    items: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Validation:
    """What validate() saw.

    facts: paths, counts and splits, as JSON values.
    checked: the kinds of problem looked for.
    problems: those found.
    """

    facts: dict[str, Any]
    checked: tuple[str, ...]
    problems: tuple[Problem, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """One JSON object: the facts, `clean`, and under `problems` a list for every kind looked for."""
        found = {problem.kind: list(problem.items) for problem in self.problems}
        return {**self.facts, "clean": self.clean, "problems": {kind: found.get(kind, []) for kind in self.checked}}


def validate(
    images: Path,
    captions: Path,
    splits: Path | None = None,
    against: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Validation:
    """Check pictures, captions and splits; every picture is decoded.

    splits: a folder of split lists; without it the captions file's own splits count.
    against: another captions file, split list or folder of lists, whose photos must not cross with ours.
    progress: called with (pictures done, all).
    Raises InputError if images is not a folder; DataError if it holds no picture; CaptionsError if captions, lists or
    the other file cannot be read, or no name fits a picture.
    """
    pictures = list_images(images)
    if not pictures:
        raise DataError(f"{images} holds no pictures: give the folder of your pictures with --images DIR")
    table = read_captions(captions)
    pairs = pair_table(images, pictures, table, captions)
    sides, unlisted = _sides(pictures, table, splits)
    others = None if against is None else _read_other(against)
    unreadable, twins = _look_at(images, pictures, progress)

    found: dict[str, list[dict[str, Any]]] = {
        "rows": [{"what": problem} for problem in pairs.problems],
        "missing": [{"name": name} for name in pairs.missing],
        "uncaptioned": [{"image": image} for image in pairs.uncaptioned],
        "unreadable": unreadable,
        "empty_captions": _empty(table),
        "duplicate_captions": _repeated(table),
    }
    if splits is not None:
        found["listed_without_picture"] = unlisted
    if sides:
        found["in_two_splits"] = _in_two_splits(sides, twins)
    facts = _facts(images, captions, pictures, table, pairs)
    facts["identical_pictures"] = [list(group) for group in twins]
    facts["splits"] = _split_counts(sides, pictures, pairs) if sides else {}
    if others is not None and against is not None:
        shared, found["leaks"] = _compare(pictures, sides, others)
        facts["against"] = {"file": str(against), "photos": len(others), "shared": shared}
    problems = tuple(Problem(kind, tuple(items)) for kind, items in found.items() if items)
    return Validation(facts, tuple(found), problems)


def _facts(images: Path, captions: Path, pictures: Sequence[str], table: CaptionTable, pairs: Pairs) -> dict[str, Any]:
    sizes = Counter(len(record.captions) for record in pairs.records)
    return {
        "images": str(images),
        "captions": str(captions),
        "format": table.format,
        "pictures": len(pictures),
        "captioned_pictures": len(pairs.records),
        "usable_captions": sum(len(record.captions) for record in pairs.records),
        "captions_in_file": sum(map(len, table.captions.values())),
        "names_in_file": len(table.captions),
        "captions_per_picture": {str(size): sizes[size] for size in sorted(sizes)},
    }


def _sides(
    pictures: Sequence[str], table: CaptionTable, splits: Path | None
) -> tuple[dict[str, list[str]], list[dict[str, Any]]]:
    """Every picture's splits, in order, and the listed names that have no picture."""
    sides: dict[str, list[str]] = {}
    absent: list[dict[str, Any]] = []
    if splits is not None:
        for role, names in read_split_lists(splits).items():
            match = match_names(names, pictures)
            absent += [{"split": role, "name": name} for name in match.missing]
            for picture in dict.fromkeys(match.found.values()):
                sides.setdefault(picture, []).append(role)
        if not sides:
            raise CaptionsError(
                f"no name in {splits} fits a picture: give the lists of these pictures with --splits DIR",
                f"it names {absent[0]['name']!r}, the folder holds {pictures[0]!r}",
            )
        return sides, absent
    for name, picture in match_names(table.splits, pictures).found.items():
        for written in (table.splits[name], *table.other_splits.get(name, ())):
            side = split_role(written) or written
            if side not in sides.setdefault(picture, []):
                sides[picture].append(side)
    return sides, absent


def _split_counts(sides: Mapping[str, list[str]], pictures: Sequence[str], pairs: Pairs) -> dict[str, Any]:
    captions = {record.image: len(record.captions) for record in pairs.records}
    members: dict[str, list[str]] = {role: [] for role in SPLITS}
    for picture in pictures:
        for side in sides.get(picture, [NO_SPLIT]):
            members.setdefault(side, []).append(picture)
    return {
        side: {"pictures": len(names), "captions": sum(captions.get(name, 0) for name in names)}
        for side, names in members.items()
    }


def _empty(table: CaptionTable) -> list[dict[str, Any]]:
    counts = {name: captions.count("") for name, captions in table.captions.items()}
    return [{"image": name, "count": count} for name, count in counts.items() if count]


def _repeated(table: CaptionTable) -> list[dict[str, Any]]:
    return [
        {"image": name, "caption": caption, "count": count}
        for name, captions in table.captions.items()
        if len(set(captions)) < len(captions)
        for caption, count in Counter(filter(None, captions)).items()
        if count > 1
    ]


def _look_at(
    images: Path, pictures: Sequence[str], progress: Callable[[int, int], None] | None
) -> tuple[list[dict[str, Any]], list[tuple[str, ...]]]:
    """Decode every picture: those that fail with the reason, and groups of files with the same bytes."""
    unreadable: list[dict[str, Any]] = []
    same: dict[bytes, list[str]] = {}

    def look(picture: str) -> tuple[bytes | None, str | None]:
        """Digest of a picture's bytes, or why it cannot be used."""
        path = images / picture
        try:
            digest = hashlib.blake2b(path.read_bytes(), digest_size=16).digest()
            load_image(path)
        except ImageError as error:
            return None, error.reason
        except OSError as error:
            return None, error.strerror or str(error)
        return digest, None

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        looked = zip(pictures, pool.map(look, pictures), strict=True)
        for done, (picture, (digest, reason)) in enumerate(looked, start=1):
            if reason is not None:
                unreadable.append({"image": picture, "reason": reason})
            elif digest is not None:
                same.setdefault(digest, []).append(picture)
            if progress is not None:
                progress(done, len(pictures))
    return unreadable, [tuple(group) for group in same.values() if len(group) > 1]


def _in_two_splits(sides: Mapping[str, list[str]], twins: Iterable[Sequence[str]]) -> list[dict[str, Any]]:
    """Groups of pictures that are one photo (same file, same Flickr photo id, same bytes) with more than one split."""
    photos: dict[str, list[str]] = {}
    for picture in sides:
        photos.setdefault(photo_key(picture), []).append(picture)
    items = []
    seen: set[tuple[str, ...]] = set()
    named = [(group, "the same Flickr photo" if len(group) > 1 else "the same file") for group in photos.values()]
    for group, why in [*named, *((list(group), "the same bytes") for group in twins)]:
        roles = dict.fromkeys(side for picture in group for side in sides.get(picture, []))
        if len(roles) > 1 and tuple(sorted(group)) not in seen:
            seen.add(tuple(sorted(group)))
            written = {picture: sides.get(picture, [NO_SPLIT]) for picture in group}
            items.append({"pictures": written, "splits": list(roles), "why": why})
    return items


def _read_other(path: Path) -> dict[str, dict[str, str]]:
    """Photo id -> {name there: split there} of a captions file, a split list, or a folder of split lists."""
    if path.is_dir():
        named = [(name, role) for role, names in read_split_lists(path).items() for name in names]
    else:
        try:
            table = read_captions(path)
            named = [(name, table.splits.get(name, NO_SPLIT)) for name in table.captions]
        except CaptionsError as error:
            try:
                names = read_split_list(path)
            except CaptionsError:
                raise error from None
            if not any("." in name or photo_id(name).isdecimal() for name in names[:5]):
                raise
            named = [(name, list_role(path) or NO_SPLIT) for name in names]
    others: dict[str, dict[str, str]] = {}
    for name, split in named:
        others.setdefault(photo_id(name), {}).setdefault(name, split_role(split) or split)
    return others


def _compare(
    pictures: Sequence[str], sides: Mapping[str, list[str]], others: Mapping[str, Mapping[str, str]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Counts of shared pictures by our and their split, and those that leak, our training pictures last.

    A shared picture is harmless only where both sides put it in the same split, or where our lists leave it out.
    """
    counts: Counter[tuple[str, str]] = Counter()
    leaks = []
    for picture in pictures:
        for name, theirs in others.get(photo_id(picture), {}).items():
            for ours in sides.get(picture, [NO_SPLIT]):
                counts[ours, theirs] += 1
                unused = ours == NO_SPLIT and bool(sides)  # in no list: neither trained nor judged on
                if not unused and (ours != theirs or ours == NO_SPLIT):
                    leaks.append({"image": picture, "ours": ours, "name": name, "theirs": theirs})
    leaks.sort(key=lambda leak: leak["ours"] == "train")
    order = {side: rank for rank, side in enumerate(SPLITS)}
    ordered = sorted(counts, key=lambda pair: [order.get(side, len(order)) for side in pair])
    return [{"ours": ours, "theirs": theirs, "pictures": counts[ours, theirs]} for ours, theirs in ordered], leaks


def describe(report: Validation, examples: int = 5) -> str:
    """The report in words: the counts, then a line for every check, with up to `examples` findings each."""
    lines = _describe_facts(report.facts)
    found = {problem.kind: problem.items for problem in report.problems}
    for kind in report.checked:
        check, items = CHECKS[kind], found.get(kind, ())
        if not items:
            lines.append(f"  ok       {check.fine}")
            continue
        lines.append(f"  PROBLEM  {check.findings}: {len(items):,}")
        lines += [f"             {check.item.format(**_in_words(item))}" for item in items[:examples]]
        if len(items) > examples:
            lines.append(f"             … and {len(items) - examples:,} more (--json lists them all)")
        lines.append(f"           → {check.advice}")
    kinds = len(report.problems)
    lines += ["", "clean: nothing found" if report.clean else f"{kinds} of {len(report.checked)} checks found problems"]
    return "\n".join(_printable(line) for line in lines)


def _describe_facts(facts: Mapping[str, Any]) -> list[str]:
    sizes = [f"{size} ({count:,} pictures)" for size, count in reversed(facts["captions_per_picture"].items())]
    lines = [
        f"{facts['images']}: {facts['pictures']:,} pictures",
        f"{facts['captions']} ({facts['format']}): {facts['captions_in_file']:,} captions of "
        f"{facts['names_in_file']:,} pictures",
        f"usable together: {facts['captioned_pictures']:,} pictures with {facts['usable_captions']:,} captions",
        f"captions a picture: {', '.join(sizes[:8]) or 'none'}{', …' * (len(sizes) > 8)}",
    ]
    twins = facts["identical_pictures"]
    if twins:
        lines.append(f"identical files under two names: {len(twins):,} (for instance {' = '.join(twins[0])})")
    for name, count in facts["splits"].items():
        lines.append(f"  {name:9}{count['pictures']:>9,} pictures{count['captions']:>10,} captions")
    if "against" in facts:
        against = facts["against"]
        lines.append(f"against {against['file']}: {against['photos']:,} photos, ours among them:")
        rows = [f"  {row['ours']:9} {row['theirs']:9}{row['pictures']:>9,}" for row in against["shared"]]
        lines += [f"  {'ours':9} {'theirs':9}{'pictures':>9}", *rows] if rows else ["  none"]
    return [*lines, ""]


def _in_words(item: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings of picture -> splits as text; captions and names cut to a line."""
    return {
        key: ", ".join(f"{name} ({' and '.join(sides)})" for name, sides in value.items())
        if isinstance(value, dict)
        else value[:200] + "…" * (len(value) > 200)
        if isinstance(value, str)
        else value
        for key, value in item.items()
    }


def _printable(line: str) -> str:
    """A line a terminal can show: control characters and broken file names (lone surrogates) escaped."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in line)
