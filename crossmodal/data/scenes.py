"""Generated pictures with captions: small illustrated scenes, each described by sentences that are exactly true of it.

    make_scenes ─► Scene ─┬► draw_scene      the picture, a pure function of the scene
                          └► describe_scene  five captions, likewise

Splits hold out combinations. The combination of a scene is its setting with the kind and colour of its first two groups
(of its only group, if it has one), in any order; a hash of it says whether it belongs to "train" (80 %), "val" (10 %) or
"test" (10 %). So no combination of one split occurs as the combination of another, while every kind, colour and
setting occurs in all three. A third group is company and counts for no split. Within a split no two scenes share
setting, kinds, colours and counts.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from crossmodal.data.scene_catalogue import KINDS, RIVALS, SETTINGS
from crossmodal.data.scene_layout import (
    EDGE,
    SIZES,
    Box,
    Group,
    Layout,
    between,
    box_of,
    can_front,
    can_ride,
    can_shelter,
    holds,
    hull,
    overlap,
    pick,
)
from crossmodal.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Group", "Scene", "combination", "describe_scene", "draw_scene", "make_scenes", "split_of", "write_scenes"]

SPLITS = ("train", "val", "test")
VERSION = 1
SHOWN_ANYWHERE = frozenset("tree pine palm cactus house streetlamp frog crab".split())
PATIENCE = 20_000


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture, described whole.

    setting: a key of SETTINGS. sky: time of day or weather, empty indoors. groups: one to three, of different kinds.
    seed: what the scenery's texture and the wording of the captions are drawn from.
    """

    setting: str
    sky: str
    groups: tuple[Group, ...]
    seed: int


@dataclass(frozen=True, slots=True)
class _Lot:
    """A group before it has a place."""

    kind: str
    colour: str
    size: str
    layer: str
    count: int

    def at(self, boxes: list[Box], rng: Random) -> Group:
        faces_left = tuple(rng.random() < 0.5 for _ in boxes)
        rounded = tuple((round(a, 4), round(b, 4), round(c, 4), round(d, 4)) for a, b, c, d in boxes)
        return Group(self.kind, self.colour, self.size, self.layer, rounded, faces_left)


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
    from crossmodal.data.scene_drawing import draw

    return draw(scene, size)


def describe_scene(scene: Scene) -> tuple[str, str, str, str, str]:
    """Five captions of a scene, worded differently, each true of it and naming enough to find it."""
    from crossmodal.data.scene_captions import captions_with_facts

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
    appear whole or not at all, the captions file last. Pictures left by other settings are replaced.
    """
    scenes = make_scenes(count, seed, split)
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    names = [f"scene-{split}-{number:05d}.jpg" for number in range(1, count + 1)]
    present = _keep_only(folder, set(names), {"seed": seed, "split": split, "version": VERSION})
    for done, (name, scene) in enumerate(zip(names, scenes, strict=True), 1):
        if name not in present:
            partial = images / f".{name}.part"
            draw_scene(scene).save(partial, "JPEG", quality=90)
            os.replace(partial, images / name)
        if progress is not None:
            progress(done, count)
    captions = folder / "captions.txt"
    partial = folder / ".captions.txt.part"
    with partial.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("image", "caption"))
        rows.writerows(
            (name, text) for name, scene in zip(names, scenes, strict=True) for text in describe_scene(scene)
        )
    os.replace(partial, captions)
    return captions


def _keep_only(folder: Path, names: set[str], stamp: dict[str, object]) -> set[str]:
    """Remove scenes that do not belong to this run; return the names of those that do and are already there."""
    note = folder / "scenes.json"
    ours = note.is_file() and note.read_text(encoding="utf-8") == json.dumps(stamp)
    present = set()
    for path in (folder / "images").glob("scene-*.jpg"):
        if ours and path.name in names:
            present.add(path.name)
        else:
            path.unlink()
    note.write_text(json.dumps(stamp), encoding="utf-8")
    return present


def _combination(setting: str, named: list[tuple[str, str]]) -> str:
    return "|".join([setting, *sorted(f"{colour} {kind}" for kind, colour in named)])


def _scenes(seed: int, split: str) -> Iterator[Scene]:
    digest = blake2b(f"scenes {split} {seed}".encode(), digest_size=8).digest()
    rng = Random(int.from_bytes(digest, "big"))
    seen: set[tuple[object, ...]] = set()
    misses = 0
    while True:
        setting = pick(rng, list(SETTINGS))
        lots = _draw_lots(setting, rng)
        if split_of(_combination(setting, [(lot.kind, lot.colour) for lot in lots[:2]])) != split:
            continue
        identity = (setting, *sorted((lot.kind, lot.colour, lot.count) for lot in lots[:2]))
        if identity in seen:
            misses += 1
            if misses > PATIENCE:
                seen.clear()
            continue
        groups = _place(setting, lots, rng)
        if groups is None:
            continue
        sky = pick(rng, SETTINGS[setting].skies.split()) if SETTINGS[setting].skies else ""
        seen.add(identity)
        misses = 0
        yield Scene(setting, sky, groups, int(rng.random() * 2**31))


def _draw_lots(setting: str, rng: Random) -> list[_Lot]:
    chance = rng.random()
    wanted = 1 if chance < 0.18 else 2 if chance < 0.8 else 3
    layer_of = {kind: layer for layer, kinds in SETTINGS[setting].layers.items() for kind in kinds.split()}
    lots: list[_Lot] = []
    while len(lots) < wanted:
        free = [kind for kind in layer_of if not any(_rival(kind, lot.kind) for lot in lots)]
        if not free:
            break
        kind = pick(rng, free)
        size = pick(rng, ("small", "medium", "medium", "large"))
        count = _draw_count(KINDS[kind].most, alone=wanted == 1, rng=rng)
        lots.append(_Lot(kind, _draw_colour(kind, setting, rng), size, layer_of[kind], count))
    return lots


def _rival(one: str, other: str) -> bool:
    return one == other or any(one in names and other in names for names in RIVALS)


def _draw_colour(kind: str, setting: str, rng: Random) -> str:
    colours = KINDS[kind].colours.split()
    avoid = () if kind in SHOWN_ANYWHERE or KINDS[kind].part else SETTINGS[setting].avoid.split()
    return pick(rng, [colour for colour in colours if colour not in avoid] or colours)


def _draw_count(most: int, alone: bool, rng: Random) -> int:
    weights = (30, 26, 24, 14, 12) if alone else (58, 22, 12, 6, 4)
    chance = rng.random() * sum(weights[:most])
    for count, weight in enumerate(weights[:most], 1):
        chance -= weight
        if chance < 0:
            return count
    return most


def _place(setting: str, lots: list[_Lot], rng: Random) -> tuple[Group, ...] | None:
    layout = Layout(setting, rng)
    for _ in range(6):
        groups = _alone(layout, lots[0]) if len(lots) == 1 else _pair(layout, lots[0], lots[1])
        if groups is not None and _is_sound(groups):
            if len(lots) == 3:
                groups += _company(layout, lots[2], groups)
            return groups
    return None


def _alone(layout: Layout, lot: _Lot) -> tuple[Group, ...] | None:
    rng = layout.rng
    spans = [(EDGE, 1 - EDGE), (0.1, 0.9)]
    if lot.count == 1:
        spans += [(EDGE, 0.45), (0.3, 0.7), (0.55, 1 - EDGE)]
    boxes = layout.row(lot.kind, lot.size, lot.layer, lot.count, pick(rng, spans))
    return None if boxes is None else (lot.at(boxes, rng),)


def _pair(layout: Layout, a: _Lot, b: _Lot) -> tuple[Group, ...] | None:
    ways: list[Callable[[Layout, _Lot, _Lot], list[list[Box]] | None]] = [_side_by_side]
    for ab, first, second in ((True, a, b), (False, b, a)):
        options = []
        if first.count == second.count == 1 and can_ride(first.kind, first.size, second.kind, second.size):
            options.append(_riding)
        if second.count == 1 and first.count <= 2 and first.layer == second.layer:
            if can_shelter(first.kind, first.size, second.kind, second.size):
                options.append(_sheltered)
            if can_front(first.kind, first.size, second.kind, second.size):
                options.append(_in_front)
        if first.count == 1 and second.count == 2 and first.layer == second.layer:
            options.append(_amid)
        if first.layer == "air" and second.layer != "air":
            options.append(_overhead)
        ways += [way if ab else _swapped(way) for way in options] * 2
    boxes = pick(layout.rng, ways)(layout, a, b)
    return None if boxes is None else (a.at(boxes[0], layout.rng), b.at(boxes[1], layout.rng))


Way = Callable[[Layout, _Lot, _Lot], "list[list[Box]] | None"]


def _swapped(way: Way) -> Way:
    def swapped(layout: Layout, a: _Lot, b: _Lot) -> list[list[Box]] | None:
        boxes = way(layout, b, a)
        return None if boxes is None else boxes[::-1]

    return swapped


def _side_by_side(layout: Layout, a: _Lot, b: _Lot) -> list[list[Box]] | None:
    rng = layout.rng
    wide_a, wide_b = (lot.count * KINDS[lot.kind].height * SIZES[lot.size] * KINDS[lot.kind].aspect for lot in (a, b))
    cut = EDGE + (1 - 2 * EDGE) * (wide_a / (wide_a + wide_b) * 0.7 + 0.15)
    feet = layout.feet(a.kind, a.size, a.layer) if a.layer == b.layer != "air" and rng.random() < 0.7 else None
    a_first = rng.random() < 0.5
    cut = cut if a_first else 1 - cut
    spans = [(EDGE, cut - 0.01), (cut + 0.01, 1 - EDGE)]
    one = layout.row(a.kind, a.size, a.layer, a.count, spans[0 if a_first else 1], feet)
    two = layout.row(b.kind, b.size, b.layer, b.count, spans[1 if a_first else 0], feet)
    return None if one is None or two is None else [one, two]


def _riding(layout: Layout, rider: _Lot, carrier: _Lot) -> list[list[Box]] | None:
    below = layout.row(carrier.kind, carrier.size, carrier.layer, 1, (EDGE, 1 - EDGE))
    return None if below is None else [[layout.on_top(carrier.kind, rider.kind, rider.size, below[0])], below]


def _sheltered(layout: Layout, guest: _Lot, roof: _Lot) -> list[list[Box]] | None:
    above = layout.row(roof.kind, roof.size, roof.layer, 1, (EDGE, 1 - EDGE))
    if above is None:
        return None
    x0, _, x1, y1 = above[0]
    feet = min(y1 + between(layout.rng, 0.0, 0.03), 1 - EDGE)
    boxes = layout.row(guest.kind, guest.size, guest.layer, guest.count, (x0, x1), feet)
    if boxes is None:
        return None
    level = [(b[0], feet - (b[3] - b[1]), b[2], feet) for b in boxes]
    return [level, above]


def _in_front(layout: Layout, near: _Lot, far: _Lot) -> list[list[Box]] | None:
    rng = layout.rng
    band = layout.setting.ground if far.layer == "ground" else layout.setting.water
    back = layout.row(far.kind, far.size, far.layer, 1, (EDGE, 1 - EDGE), between(rng, band[0], band[1] - 0.1))
    if back is None:
        return None
    x0, _, x1, y1 = back[0]
    feet = min(y1 + between(rng, 0.06, 0.12), 1 - EDGE)
    margin = (x1 - x0) * 0.08
    boxes = layout.row(
        near.kind, near.size, near.layer, near.count, (max(EDGE, x0 - margin), min(1 - EDGE, x1 + margin)), feet
    )
    return None if boxes is None else [boxes, back]


def _amid(layout: Layout, middle: _Lot, outer: _Lot) -> list[list[Box]] | None:
    rng = layout.rng
    width = KINDS[middle.kind].height * SIZES[middle.size] * KINDS[middle.kind].aspect
    feet = layout.feet(outer.kind, outer.size, outer.layer)
    x = between(rng, 0.42, 0.58)
    left = layout.row(outer.kind, outer.size, outer.layer, 1, (EDGE, x - width / 2 - 0.015), feet)
    right = layout.row(outer.kind, outer.size, outer.layer, 1, (x + width / 2 + 0.015, 1 - EDGE), feet)
    if left is None or right is None:
        return None
    return [[layout.inside(box_of(middle.kind, middle.size, x, feet), middle.layer)], left + right]


def _overhead(layout: Layout, high: _Lot, low: _Lot) -> list[list[Box]] | None:
    below = layout.row(low.kind, low.size, low.layer, low.count, (EDGE, 1 - EDGE))
    if below is None:
        return None
    x0, y0, x1, _ = hull(below)
    height = KINDS[high.kind].height * SIZES[high.size]
    width = height * KINDS[high.kind].aspect * high.count + 0.015 * (high.count - 1)
    if y0 - 0.03 - height < EDGE:
        return None
    spread = max(x1 - x0, width) + 0.04
    middle = (x0 + x1) / 2
    span = (max(EDGE, middle - spread / 2), min(1 - EDGE, middle + spread / 2))
    above = layout.row(
        high.kind, high.size, high.layer, high.count, span, between(layout.rng, EDGE + height, y0 - 0.03)
    )
    if above is None:
        return None
    return [[(b[0], b[1] - max(0.0, b[3] - y0 + 0.015), b[2], min(b[3], y0 - 0.015)) for b in above], below]


def _company(layout: Layout, lot: _Lot, groups: tuple[Group, ...]) -> tuple[Group, ...]:
    """The third group as a tuple, empty if no free room was found for it."""
    taken = [box for group in groups for box in group.boxes]
    for _ in range(16):
        boxes = layout.row(lot.kind, lot.size, lot.layer, min(lot.count, 2), (EDGE, 1 - EDGE))
        if boxes is not None and not any(overlap(box, other, 0.015) for box in boxes for other in taken):
            group = lot.at(boxes, layout.rng)
            if _is_sound((*groups, group)):
                return (group,)
    return ()


def _is_sound(groups: tuple[Group, ...]) -> bool:
    """Whether everything is inside the frame and nothing covers another thing but by a relation that says so."""
    for i, group in enumerate(groups):
        if any(b[0] < 0 or b[1] < 0 or b[2] > 1 or b[3] > 1 for b in group.boxes):
            return False
        if any(overlap(a, b) for k, a in enumerate(group.boxes) for b in group.boxes[:k]):
            return False
        for other in groups[:i]:
            meets = any(overlap(a, b) for a in group.boxes for b in other.boxes)
            if meets and not any(
                holds(r, *pair) for r in ("on", "under", "front") for pair in ((group, other), (other, group))
            ):
                return False
    return True
