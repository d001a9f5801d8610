"""How the things of a generated scene are chosen and arranged: beside, on, under, in front of, between, above."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from random import Random

from crossmodal.scenes.catalogue import KINDS, RIVALS, SETTINGS
from crossmodal.scenes.layout import (
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

SHOWN_ANYWHERE = frozenset(("tree", "pine", "palm", "cactus", "house", "streetlamp", "frog", "crab"))
"""Kinds that stand out from the ground whatever their colour."""


Way = Callable[[Layout, "Lot", "Lot"], "list[list[Box]] | None"]


@dataclass(frozen=True, slots=True)
class Lot:
    """A group before it has a place.

    kind: a key of `KINDS`.
    colour: one that the kind may have.
    size: "small", "medium" or "large".
    layer: where it is placed: "ground", "water" or "air".
    count: how many things it has.
    """

    kind: str
    colour: str
    size: str
    layer: str
    count: int

    def at(self, boxes: list[Box], rng: Random) -> Group:
        faces_left = tuple(rng.random() < 0.5 for _ in boxes)
        rounded = tuple((round(a, 4), round(b, 4), round(c, 4), round(d, 4)) for a, b, c, d in boxes)
        return Group(self.kind, self.colour, self.size, self.layer, rounded, faces_left)


def draw_lots(setting: str, rng: Random) -> list[Lot]:
    """One to three groups for a setting, of kinds that no caption could confuse."""
    chance = rng.random()
    wanted = 1 if chance < 0.18 else 2 if chance < 0.76 else 3
    lots = [_draw_lot(setting, rng, [], wanted == 1)]
    if wanted > 1 and rng.random() < 0.4:
        lots = _draw_partners(setting, rng, lots[0])
    while len(lots) < wanted:
        lots.append(_draw_lot(setting, rng, lots, False))
    return lots


def _draw_lot(setting: str, rng: Random, others: list[Lot], alone: bool) -> Lot:
    layer_of = _layers(setting)
    kind = pick(rng, [kind for kind in layer_of if not any(_rival(kind, lot.kind) for lot in others)])
    size = pick(
        rng, ("small", "medium", "medium", "large", "large") if alone else ("small", "medium", "medium", "large")
    )
    count = _draw_count(KINDS[kind].most, alone, rng)
    return Lot(kind, _draw_colour(kind, setting, rng), size, layer_of[kind], count)


def _draw_partners(setting: str, rng: Random, first: Lot) -> list[Lot]:
    """The first group with one that it can ride, shelter under or stand in front of, or the other way round."""
    fitting = [
        (kind, size)
        for kind, layer in _layers(setting).items()
        if layer == first.layer and not _rival(kind, first.kind)
        for size in SIZES
        if _can_meet(first.kind, first.size, kind, size) or _can_meet(kind, size, first.kind, first.size)
    ]
    if not fitting:
        return [first]
    kind, size = pick(rng, fitting)
    return [replace(first, count=1), Lot(kind, _draw_colour(kind, setting, rng), size, first.layer, 1)]


@cache
def _can_meet(near: str, near_size: str, far: str, far_size: str) -> bool:
    return any(can(near, near_size, far, far_size) for can in (can_ride, can_shelter, can_front))


@cache
def _layers(setting: str) -> dict[str, str]:
    return {kind: layer for layer, kinds in SETTINGS[setting].layers.items() for kind in kinds.split()}


@cache
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


def place(setting: str, lots: list[Lot], rng: Random) -> tuple[Group, ...] | None:
    """Where the lots stand in a setting, None where no sound arrangement is found in six tries."""
    layout = Layout(setting, rng)
    for _ in range(6):
        groups = _alone(layout, lots[0]) if len(lots) == 1 else _pair(layout, lots[0], lots[1])
        if groups is not None and _is_sound(groups):
            if len(lots) == 3:
                groups += _company(layout, lots[2], groups)
            return groups
    return None


def _alone(layout: Layout, lot: Lot) -> tuple[Group, ...] | None:
    rng = layout.rng
    spans = [(EDGE, 1 - EDGE), (0.1, 0.9)]
    if lot.count == 1:
        spans += [(EDGE, 0.45), (0.3, 0.7), (0.55, 1 - EDGE)]
    boxes = layout.row(lot.kind, lot.size, lot.layer, lot.count, pick(rng, spans))
    return None if boxes is None else (lot.at(boxes, rng),)


def _pair(layout: Layout, a: Lot, b: Lot) -> tuple[Group, ...] | None:
    ways: list[Way] = [_side_by_side]
    for ab, first, second in ((True, a, b), (False, b, a)):
        options: list[Way] = []
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
        ways += [way if ab else _swapped(way) for way in options] * 3
    boxes = pick(layout.rng, ways)(layout, a, b)
    return None if boxes is None else (a.at(boxes[0], layout.rng), b.at(boxes[1], layout.rng))


def _swapped(way: Way) -> Way:
    def swapped(layout: Layout, a: Lot, b: Lot) -> list[list[Box]] | None:
        boxes = way(layout, b, a)
        return None if boxes is None else boxes[::-1]

    return swapped


def _side_by_side(layout: Layout, a: Lot, b: Lot) -> list[list[Box]] | None:
    rng = layout.rng
    wide_a, wide_b = (lot.count * KINDS[lot.kind].height * SIZES[lot.size] * KINDS[lot.kind].aspect for lot in (a, b))
    cut = EDGE + (1 - 2 * EDGE) * (wide_a / (wide_a + wide_b) * 0.7 + 0.15)
    level = a.layer == b.layer != "air" and layout.band(a.kind, a.layer) == layout.band(b.kind, b.layer)
    feet = layout.feet(a.kind, a.size, a.layer) if level and rng.random() < 0.7 else None
    a_first = rng.random() < 0.5
    cut = cut if a_first else 1 - cut
    spans = [(EDGE, cut - 0.01), (cut + 0.01, 1 - EDGE)]
    one = layout.row(a.kind, a.size, a.layer, a.count, spans[0 if a_first else 1], feet)
    two = layout.row(b.kind, b.size, b.layer, b.count, spans[1 if a_first else 0], feet)
    return None if one is None or two is None else [one, two]


def _riding(layout: Layout, rider: Lot, carrier: Lot) -> list[list[Box]] | None:
    below = layout.row(carrier.kind, carrier.size, carrier.layer, 1, (EDGE, 1 - EDGE))
    return None if below is None else [[layout.on_top(carrier.kind, rider.kind, rider.size, below[0])], below]


def _sheltered(layout: Layout, guest: Lot, roof: Lot) -> list[list[Box]] | None:
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


def _in_front(layout: Layout, near: Lot, far: Lot) -> list[list[Box]] | None:
    rng = layout.rng
    band = layout.band(far.kind, far.layer)
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


def _amid(layout: Layout, middle: Lot, outer: Lot) -> list[list[Box]] | None:
    rng = layout.rng
    width = KINDS[middle.kind].height * SIZES[middle.size] * KINDS[middle.kind].aspect
    feet = layout.feet(outer.kind, outer.size, outer.layer)
    x = between(rng, 0.42, 0.58)
    left = layout.row(outer.kind, outer.size, outer.layer, 1, (EDGE, x - width / 2 - 0.015), feet)
    right = layout.row(outer.kind, outer.size, outer.layer, 1, (x + width / 2 + 0.015, 1 - EDGE), feet)
    if left is None or right is None:
        return None
    return [[layout.inside(box_of(middle.kind, middle.size, x, feet), middle.layer)], left + right]


def _overhead(layout: Layout, high: Lot, low: Lot) -> list[list[Box]] | None:
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


def _company(layout: Layout, lot: Lot, groups: tuple[Group, ...]) -> tuple[Group, ...]:
    """The third group as a tuple, empty if no free room was found for it."""
    taken = [box for group in groups for box in group.boxes]
    for _ in range(30):
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
