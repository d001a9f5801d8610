"""The pen that draws generated scenes: shapes in an object's own coordinates, the palette, soft curves."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from PIL import ImageDraw

Colour = tuple[int, int, int]
Points = Sequence[tuple[float, float]]

INK: Colour = (45, 43, 54)
PAPER: Colour = (252, 250, 244)
BLUSH: Colour = (240, 150, 150)
GOLD: Colour = (250, 200, 80)
WOOD: Colour = (150, 105, 70)
LEAF: Colour = (84, 158, 90)
GLASS: Colour = (190, 226, 240)

COLOURS: dict[str, Colour] = {
    "red": (218, 58, 58),
    "orange": (241, 138, 46),
    "yellow": (248, 208, 64),
    "green": (62, 152, 84),
    "blue": (52, 112, 206),
    "purple": (138, 84, 186),
    "pink": (243, 142, 182),
    "brown": (142, 92, 58),
    "white": (249, 247, 241),
    "black": (62, 61, 70),
    "grey": (152, 157, 168),
}


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """The colour that lies `share` of the way, in [0, 1], from the first to the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


@lru_cache(maxsize=4096)
def soft_outline(points: tuple[tuple[float, float], ...], steps: int = 6) -> tuple[tuple[float, float], ...]:
    """A closed Catmull-Rom curve through the points, as a polygon of `steps` corners a point."""
    outline: list[tuple[float, float]] = []
    count = len(points)
    for i in range(count):
        (ax, ay), (bx, by), (cx, cy), (dx, dy) = (points[(i + k - 1) % count] for k in range(4))
        for step in range(steps):
            t = step / steps
            t2, t3 = t * t, t * t * t
            a, b, c, d = -t3 + 2 * t2 - t, 3 * t3 - 5 * t2 + 2, -3 * t3 + 4 * t2 + t, t3 - t2
            outline.append(((a * ax + b * bx + c * cx + d * dx) / 2, (a * ay + b * by + c * cy + d * dy) / 2))
    return tuple(outline)


class Pen:
    """Draws shapes inside one object's box: y runs from 0 (top) to 100, x from 0 to 100 × width / height.

    draw: a drawing context in blend mode "RGBA".
    box: x0, y0, x1, y1 in pixels.
    flip: mirror left and right.
    main, dark, light: three shades of the object's colour.
    """

    def __init__(
        self, draw: ImageDraw.ImageDraw, box: tuple[float, float, float, float], colour: Colour, flip: bool = False
    ) -> None:
        self._draw = draw
        self._left, self._top, right, bottom = box
        self._scale = (bottom - self._top) / 100
        self._right = right
        self._flip = flip
        self.width = (right - self._left) / self._scale
        self.main = colour
        self.dark = (228, 166, 40) if colour == COLOURS["yellow"] else mix(colour, INK, 0.28)
        self.light = mix(colour, PAPER, 0.38) if sum(colour) < 690 else mix(colour, (200, 205, 220), 0.35)

    def _x(self, x: float) -> float:
        return self._right - x * self._scale if self._flip else self._left + x * self._scale

    def _place(self, points: Points) -> list[tuple[float, float]]:
        scale, top = self._scale, self._top
        if self._flip:
            right = self._right
            return [(right - x * scale, top + y * scale) for x, y in points]
        left = self._left
        return [(left + x * scale, top + y * scale) for x, y in points]

    def _box(self, x0: float, y0: float, x1: float, y1: float) -> tuple[float, float, float, float]:
        left, right = sorted((self._x(x0), self._x(x1)))
        return left, self._top + y0 * self._scale, right, self._top + y1 * self._scale

    def polygon(self, points: Points, fill: Colour) -> None:
        """A polygon with sharp corners."""
        self._draw.polygon(self._place(points), fill=fill)

    def blob(self, points: Points, fill: Colour) -> None:
        """A soft closed shape through the points."""
        self._draw.polygon(self._place(soft_outline(tuple(points))), fill=fill)

    def ellipse(self, x0: float, y0: float, x1: float, y1: float, fill: Colour) -> None:
        """A filled ellipse inside the given box."""
        self._draw.ellipse(self._box(x0, y0, x1, y1), fill=fill)

    def circle(self, x: float, y: float, radius: float, fill: Colour) -> None:
        """A filled circle around (x, y)."""
        self._draw.ellipse(self._box(x - radius, y - radius, x + radius, y + radius), fill=fill)

    def ring(self, x: float, y: float, radius: float, width: float, fill: Colour) -> None:
        """A circle's outline, `width` thick, inside the radius."""
        box = self._box(x - radius, y - radius, x + radius, y + radius)
        self._draw.ellipse(box, outline=fill, width=max(1, round(width * self._scale)))

    def dome(self, x0: float, y0: float, x1: float, y1: float, fill: Colour) -> None:
        """The upper half of an ellipse; the box is the box of that half."""
        self._draw.pieslice(self._box(x0, y0, x1, 2 * y1 - y0), 180, 360, fill=fill)

    def bowl(self, x0: float, y0: float, x1: float, y1: float, fill: Colour) -> None:
        """The lower half of an ellipse; the box is the box of that half."""
        self._draw.pieslice(self._box(x0, 2 * y0 - y1, x1, y1), 0, 180, fill=fill)

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: Colour, radius: float = 0) -> None:
        """A rectangle, with round corners if a radius is given."""
        if radius:
            self._draw.rounded_rectangle(self._box(x0, y0, x1, y1), radius * self._scale, fill=fill)
        else:
            self._draw.rectangle(self._box(x0, y0, x1, y1), fill=fill)

    def line(self, points: Points, width: float, fill: Colour) -> None:
        """A line with round joints and ends."""
        placed = self._place(points)
        thick = max(1, round(width * self._scale))
        self._draw.line(placed, fill=fill, width=thick, joint="curve")
        if thick > 2:
            for x, y in (placed[0], placed[-1]):
                half = thick / 2 - 0.5
                self._draw.ellipse((x - half, y - half, x + half, y + half), fill=fill)

    def eye(self, x: float, y: float, radius: float = 3) -> None:
        """A round eye with its glint."""
        self.circle(x, y, radius * 1.45, PAPER)
        self.circle(x, y, radius, INK)
