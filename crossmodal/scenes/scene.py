"""Generated pictures with captions: small illustrated scenes, each described by sentences that are exactly true of it.

    make_scenes ─► Scene ─┬► draw_scene      the picture, a pure function of the scene
                          └► describe_scene  five captions, as repeatable

Splits hold out combinations. The combination of a scene is its setting with the kind and colour of its first two
groups (of its only group, if it has one), in any order; a hash of it says whether it belongs to "train" (80 %), "val"
(10 %) or "test" (10 %). So no combination of one split occurs as the combination of another, while every kind, colour
and setting occurs in all three. A third group is company and counts for no split. Within a split no two scenes share
setting, kinds, colours and counts of the first two groups.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from crossmodal._files import csv_table, whole_file
from crossmodal.errors import DataError, InputError
from crossmodal.scenes.arranging import draw_lots, place
from crossmodal.scenes.catalogue import SETTINGS
from crossmodal.scenes.layout import Group, Scene, pick

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Group", "Scene", "combination", "describe_scene", "draw_scene", "make_scenes", "split_of", "write_scenes"]

SPLITS = ("train", "val", "test")
VERSION = 1
"""Counts up when the same scene would be drawn or described otherwise."""

OUR_NAMES = re.compile(r"scene-(train|val|test)-\d{5,}\.jpg")
PATIENCE = 20_000


def combination(scene: Scene) -> str:
    """What a split holds out: the setting with the kinds and colours of the first two groups, in alphabetical order."""
    return _combination(scene.setting, [(group.kind, group.colour) for group in scene.groups[:2]])


def split_of(combination: str) -> str:
    """The split a combination belongs to: "train", "val" or "test"."""
    share = int.from_bytes(blake2b(combination.encode(), digest_size=8).digest(), "big") % 10
    return "train" if share < 8 else "val" if share == 8 else "test"


def make_scenes(count: int, seed: int = 0, split: str = "train") -> list[Scene]:
    """`count` scenes of one split; the first n of a longer list are the list of length n.

    Two scenes of the list differ in setting, kinds, colours or counts. Should more scenes be asked for than the split
    can tell apart (some tens of thousands), such repeats are allowed again, in other places and sizes.

    Raises InputError if count is negative or the split is none of "train", "val", "test".
    """
    if count < 0:
        raise InputError(f"cannot make {count} scenes: give a count of 0 or more")
    if split not in SPLITS:
        raise InputError(f"unknown split {split!r}: one of {', '.join(SPLITS)}")
    stream = _scenes(seed, split)
    return [next(stream) for _ in range(count)]


def draw_scene(scene: Scene, size: int = 256) -> Image:
    """The picture of a scene, `size` × `size` pixels, mode RGB."""
    from crossmodal.scenes.drawing import draw

    return draw(scene, size)


def describe_scene(scene: Scene) -> tuple[str, str, str, str, str]:
    """Five captions of a scene, worded differently, each true of it and naming enough to find it."""
    from crossmodal.scenes.captions import captions_with_facts

    first, second, third, fourth, fifth = (text for text, _ in captions_with_facts(scene))
    return first, second, third, fourth, fifth


def write_scenes(
    folder: Path,
    count: int,
    seed: int = 0,
    split: str = "train",
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write images/scene-<split>-00001.jpg … and captions.txt (CSV image,caption); returns the captions file.

    progress: called with (done, total) after each picture. A run that was killed is completed by the next one: pictures
    appear whole or not at all, the captions file last. What an earlier run with other settings left is replaced.

    Raises DataError if the folder cannot be written or holds pictures or captions of somebody else's under our names,
    and InputError like `make_scenes`.
    """
    scenes = make_scenes(count, seed, split)
    names = [f"scene-{split}-{number:05d}.jpg" for number in range(1, count + 1)]
    try:
        present = _pictures_to_keep(folder, set(names), {"seed": seed, "split": split, "version": VERSION})
        for done, (name, scene) in enumerate(zip(names, scenes, strict=True), 1):
            if name not in present:
                _write_picture(folder / "images" / name, scene)
            if progress is not None:
                progress(done, count)
        return _write_captions(folder / "captions.txt", names, scenes)
    except OSError as error:
        raise DataError(f"cannot write scenes into {folder}: {error.strerror or error}") from error


def _write_picture(path: Path, scene: Scene) -> None:
    with whole_file(path, alone=True) as staging:
        draw_scene(scene).save(staging, "JPEG", quality=90)


def _write_captions(path: Path, names: list[str], scenes: list[Scene]) -> Path:
    said = ((name, text) for name, scene in zip(names, scenes, strict=True) for text in describe_scene(scene))
    with whole_file(path, alone=True) as staging:
        # exact, since `load_pairs` must read what was drawn, and no caption of ours begins like a formula
        staging.write_text(csv_table([("image", "caption"), *said], exact=True), "utf-8", newline="")
    return path


def _pictures_to_keep(folder: Path, names: set[str], stamp: dict[str, object]) -> set[str]:
    """Names of pictures that an earlier run with the same stamp has finished; removes those of any other run.

    The stamp lies beside the pictures; without one, nothing in the folder is ours to remove.
    """
    images, note = folder / "images", folder / "scenes.json"
    found = note.read_text(encoding="utf-8", errors="replace") if note.is_file() else ""
    if not _is_stamp(found):
        taken = (note, folder / "captions.txt", *sorted(images / name for name in names))
        foreign = next((path for path in taken if path.exists() and path.stat().st_size), None)
        if foreign is not None:
            raise DataError(f"{foreign} was not written by us, so {folder} is left alone: give another --out DIR")
    images.mkdir(parents=True, exist_ok=True)
    earlier = {path.name for path in images.iterdir() if OUR_NAMES.fullmatch(path.name)} if found else set()
    present = earlier & names if found == json.dumps(stamp) else set()
    (folder / "captions.txt").unlink(missing_ok=True)
    for name in earlier - present:
        (images / name).unlink()
    note.write_text(json.dumps(stamp), encoding="utf-8")
    return present


def _is_stamp(text: str) -> bool:
    """Whether the text of a scenes.json is ours; a write that was killed leaves it empty."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.keys() == {"seed", "split", "version"}


def _combination(setting: str, named: list[tuple[str, str]]) -> str:
    return "|".join([setting, *sorted(f"{colour} {kind}" for kind, colour in named)])


def _scenes(seed: int, split: str) -> Iterator[Scene]:
    digest = blake2b(f"scenes {split} {seed}".encode(), digest_size=8).digest()
    rng = Random(int.from_bytes(digest, "big"))
    seen: set[tuple[object, ...]] = set()
    misses = 0
    while True:
        setting = pick(rng, list(SETTINGS))
        lots = draw_lots(setting, rng)
        if split_of(_combination(setting, [(lot.kind, lot.colour) for lot in lots[:2]])) != split:
            continue
        identity = (setting, *sorted((lot.kind, lot.colour, lot.count) for lot in lots[:2]))
        if identity in seen:
            misses += 1
            if misses > PATIENCE:
                seen.clear()
            continue
        groups = place(setting, lots, rng)
        if groups is None:
            continue
        sky = _draw_sky(setting, groups, rng)
        seen.add(identity)
        misses = 0
        yield Scene(setting, sky, groups, int(rng.random() * 2**31))


def _draw_sky(setting: str, groups: tuple[Group, ...], rng: Random) -> str:
    skies = SETTINGS[setting].skies.split()
    if any(group.colour == "black" for group in groups):
        skies = [sky for sky in skies if sky != "night"]  # black does not show at night
    return pick(rng, skies) if skies else ""
