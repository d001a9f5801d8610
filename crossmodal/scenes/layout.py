"""Where the things of a generated scene stand, and which relations follow from that.

All boxes are (x0, y0, x1, y1) in shares of the frame, x to the right and y downwards. Relations are never stored:
`holds` reads them off the boxes, so that a caption can only say what was drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from crossmodal.scenes.catalogue import BACKERS, CANOPIES, KERBSIDE, KINDS, RIDERS, SEATS, SETTINGS

Box = tuple[float, float, float, float]
T = TypeVar("T")

SIZES = {"small": 0.8, "medium": 1.1, "large": 1.5}
EDGE = 0.025


@dataclass(frozen=True, slots=True)
class Group:
    """Like things of one scene, which share all but their places.

    kind: a key of `KINDS`.
    colour: of all its things.
    size: "small", "medium" or "large".
    layer: where it stands: "ground", "water" or "air".
    boxes: (x0, y0, x1, y1) of each thing, as shares of the frame, y downwards.
    faces_left: for each thing, whether its mirrored drawing is taken.
    """

    kind: str
    colour: str
    size: str
    layer: str
    boxes: tuple[Box, ...]
    faces_left: tuple[bool, ...]

    @property
    def count(self) -> int:
        """How many things the group has."""
        return len(self.boxes)


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture, described whole.

    setting: a key of `crossmodal.scenes.catalogue.SETTINGS`.
    sky: time of day or weather, empty indoors.
    groups: one to three, of different kinds.
    seed: what the scenery's texture and the wording of the captions are drawn from.
    """

    setting: str
    sky: str
    groups: tuple[Group, ...]
    seed: int


def pick(rng: Random, items: Sequence[T]) -> T:
    """One of the items, drawn with `random()` alone, which is the same on every Python."""
    return items[int(rng.random() * len(items))]


def between(rng: Random, low: float, high: float) -> float:
    """A number in [low, high)."""
    return low + (high - low) * rng.random()


def hull(boxes: Sequence[Box]) -> Box:
    """The smallest box around all boxes."""
    return min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)


def centre(box: Box) -> tuple[float, float]:
    """The middle of a box."""
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def overlap(a: Box, b: Box, margin: float = 0.0) -> bool:
    """Whether two boxes come closer than the margin."""
    return a[0] < b[2] + margin and b[0] < a[2] + margin and a[1] < b[3] + margin and b[1] < a[3] + margin


def holds(relation: str, first: Group, second: Group) -> bool:
    """Whether the first group stands in the relation, a key of RELATIONS, to the second, by their boxes alone."""
    return RELATIONS[relation](first, second, hull(first.boxes), hull(second.boxes))


def _is_left(first: Group, second: Group, a: Box, b: Box) -> bool:  # noqa: ARG001 - one signature for all relations
    return a[2] <= b[0] + 0.005


def _is_right(first: Group, second: Group, a: Box, b: Box) -> bool:
    return _is_left(second, first, b, a)


def _is_above(first: Group, second: Group, a: Box, b: Box) -> bool:  # noqa: ARG001
    return first.layer == "air" and a[3] <= b[1] + 0.005 and b[0] - 0.02 <= centre(a)[0] <= b[2] + 0.02


def _is_next(first: Group, second: Group, a: Box, b: Box) -> bool:
    gap = max(a[0] - b[2], b[0] - a[2])
    return first.layer == second.layer and -0.005 <= gap <= 0.14 and abs(a[3] - b[3]) <= 0.12


def _is_on(first: Group, second: Group, a: Box, b: Box) -> bool:
    seat = SEATS.get(second.kind)
    if seat is None or not first.count == second.count == 1:
        return False
    return abs(a[3] - (b[1] + seat[0] * (b[3] - b[1]))) <= 0.02 and b[0] <= centre(a)[0] <= b[2]


def _is_in_front(first: Group, second: Group, a: Box, b: Box) -> bool:  # noqa: ARG001
    if second.kind not in BACKERS or second.count != 1 or first.layer != second.layer:
        return False
    return all(overlap(box, b) and box[3] >= b[3] + 0.025 and b[0] < centre(box)[0] < b[2] for box in first.boxes)


def _is_amid(first: Group, second: Group, a: Box, b: Box) -> bool:  # noqa: ARG001
    return first.count == 1 and second.count == 2 and _is_between(a, second.boxes[0], second.boxes[1])


def _is_under(first: Group, second: Group, a: Box, b: Box) -> bool:
    if second.layer == "air":
        return _is_above(second, first, b, a)
    room = CANOPIES.get(second.kind)
    if room is None or second.count != 1:
        return False
    roof = b[1] + room * (b[3] - b[1])
    return a[1] >= roof - 0.01 and b[0] - 0.03 <= a[0] and a[2] <= b[2] + 0.03 and abs(a[3] - b[3]) <= 0.06


def _is_between(middle: Box, one: Box, other: Box) -> bool:
    left, right = sorted((one, other))
    level = max(abs(middle[3] - left[3]), abs(middle[3] - right[3]))
    return left[2] <= middle[0] + 0.005 and middle[2] <= right[0] + 0.005 and level <= 0.12


RELATIONS: dict[str, Callable[[Group, Group, Box, Box], bool]] = {
    "left": _is_left,  # wholly beside it
    "right": _is_right,
    "above": _is_above,  # wholly higher, in the air, with its middle over the other's columns
    "under": _is_under,  # in the room below the other's crown, or the converse of "above"
    "next": _is_next,  # beside it, near, at the same height
    "on": _is_on,  # its feet rest on the other's seat
    "front": _is_in_front,  # nearer, and partly covering it
    "between": _is_amid,  # one thing amid two of the other group
}


def place_of(group: Group) -> str | None:
    """ "left", "middle" or "right" if every thing of the group stands in that part of the frame, else None."""
    xs = [centre(box)[0] for box in group.boxes]
    if max(xs) < 0.4:
        return "left"
    if min(xs) > 0.6:
        return "right"
    if min(xs) > 0.4 and max(xs) < 0.6:
        return "middle"
    return None


def box_of(kind: str, size: str, x: float, feet: float, scale: float = 1.0) -> Box:
    """The box of a thing that stands with the middle of its feet at (x, feet)."""
    height = KINDS[kind].height * SIZES[size] * scale
    width = height * KINDS[kind].aspect
    return x - width / 2, feet - height, x + width / 2, feet


class Layout:
    """Finds boxes for the groups of one scene; `None` from any method means: no room, draw another lot."""

    def __init__(self, setting: str, rng: Random) -> None:
        self.setting = SETTINGS[setting]
        self.rng = rng

    def row(
        self, kind: str, size: str, layer: str, count: int, span: tuple[float, float], feet: float | None = None
    ) -> list[Box] | None:
        """`count` things side by side within the span of columns, with random gaps and heights."""
        low, high = span
        width = KINDS[kind].height * SIZES[size] * KINDS[kind].aspect
        spare = high - low - count * width - (count - 1) * 0.015
        if spare < 0:
            return None
        cuts = sorted(self.rng.random() for _ in range(count))
        line = self.feet(kind, size, layer) if feet is None else feet
        boxes = []
        for i, cut in enumerate(cuts):
            x = low + spare * cut + i * (width + 0.015) + width / 2
            drop = between(self.rng, -0.09, 0.09) if layer == "air" else between(self.rng, -0.015, 0.015)
            boxes.append(self.inside(box_of(kind, size, x, line + drop), layer))
        return boxes

    def feet(self, kind: str, size: str, layer: str) -> float:
        """A random height for the feet of a thing in its layer."""
        if layer != "air":
            return between(self.rng, *self.band(kind, layer))
        height = KINDS[kind].height * SIZES[size]
        return between(self.rng, EDGE + height, max(EDGE + height, self.sky_end()))

    def band(self, kind: str, layer: str) -> tuple[float, float]:
        """The range of the feet of a kind that stands or swims."""
        if self.setting.kerb is not None and kind in KERBSIDE:
            return self.setting.kerb
        return self.setting.ground if layer == "ground" else self.setting.water

    def sky_end(self) -> float:
        """How low something in the air may hang."""
        return min(0.95, self.setting.horizon + (0.02 if self.setting.horizon > 0.75 else 0.0))

    def inside(self, box: Box, layer: str) -> Box:
        """The box, moved into the frame and its layer."""
        x0, y0, x1, y1 = box
        right = max(0.0, x1 - 1 + EDGE) - max(0.0, EDGE - x0)
        low = max(self.sky_end(), EDGE + y1 - y0) if layer == "air" else 1 - EDGE / 2
        down = max(0.0, y1 - low) - max(0.0, EDGE - y0)
        return x0 - right, y0 - down, x1 - right, y1 - down

    def on_top(self, carrier: str, rider: str, size: str, box: Box) -> Box:
        """The box of a rider on the seat of a carrier."""
        seat, low, high = SEATS[carrier]
        x0, y0, x1, y1 = box
        x = x0 + (x1 - x0) * between(self.rng, low, high)
        rider_box = box_of(rider, size, x, y0 + seat * (y1 - y0) + 0.004)
        slack = max(0.0, (rider_box[2] - rider_box[0]) - (x1 - x0)) / 2
        shift = max(0.0, x0 - slack - rider_box[0]) - max(0.0, rider_box[2] - x1 - slack)
        return rider_box[0] + shift, rider_box[1], rider_box[2] + shift, rider_box[3]


def can_ride(kind: str, size: str, carrier: str, carrier_size: str) -> bool:
    """Whether a thing fits on another's seat."""
    if kind not in RIDERS or carrier not in SEATS:
        return False
    height = KINDS[kind].height * SIZES[size]
    width = height * KINDS[kind].aspect
    _, low, high = SEATS[carrier]
    if height > KINDS[carrier].height * SIZES[carrier_size] * 1.6:
        return False
    return width <= KINDS[carrier].height * SIZES[carrier_size] * KINDS[carrier].aspect * (high - low) * 1.15


def can_shelter(kind: str, size: str, roof: str, roof_size: str) -> bool:
    """Whether a thing fits below another's crown."""
    room = CANOPIES.get(roof)
    if room is None:
        return False
    tall, wide = KINDS[roof].height * SIZES[roof_size], KINDS[roof].height * SIZES[roof_size] * KINDS[roof].aspect
    height = KINDS[kind].height * SIZES[size]
    return height <= tall * (1 - room) + 0.02 and height * KINDS[kind].aspect <= wide * 0.75


def can_front(kind: str, size: str, backer: str, backer_size: str) -> bool:
    """Whether a thing is small enough to stand in front of another without hiding it."""
    if backer not in BACKERS:
        return False
    tall = KINDS[backer].height * SIZES[backer_size]
    height = KINDS[kind].height * SIZES[size]
    return height <= tall * 0.72 and height * KINDS[kind].aspect <= tall * KINDS[backer].aspect * 0.55
