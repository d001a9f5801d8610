"""The stage of generated scenes: sky, light and land behind the things, painted from code."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import cos, pi, sin
from random import Random

from PIL import Image, ImageDraw

from crossmodal.scenes.layout import Box, between, overlap
from crossmodal.scenes.pen import Colour, Points, mix, soft_outline

SKIES: dict[str, tuple[Colour, ...]] = {
    "sunny": ((96, 178, 232), (164, 214, 243), (222, 241, 248)),
    "rainbow": ((118, 178, 224), (178, 214, 236), (228, 238, 240)),
    "cloudy": ((150, 172, 194), (188, 202, 215), (220, 226, 230)),
    "sunset": ((98, 84, 152), (232, 128, 118), (255, 206, 132)),
    "night": ((16, 22, 58), (34, 44, 96), (66, 80, 134)),
    "rain": ((94, 108, 132), (130, 144, 164), (168, 180, 192)),
    "snow": ((172, 190, 210), (202, 214, 227), (230, 236, 243)),
}
LIGHT: dict[str, tuple[Colour, float]] = {
    "cloudy": ((130, 142, 156), 0.14),
    "sunset": ((214, 104, 92), 0.22),
    "night": ((24, 30, 76), 0.52),
    "rain": ((96, 110, 132), 0.3),
    "snow": ((214, 224, 236), 0.18),
}


@lru_cache(maxsize=64)
def gradient(stops: tuple[Colour, ...], width: int, height: int) -> Image.Image:
    """An image that runs softly from the first colour at the top to the last at the bottom; never to be changed."""
    column = Image.new("RGB", (1, 64))
    for row in range(64):
        at = row / 63 * (len(stops) - 1)
        i = min(int(at), len(stops) - 2)
        column.putpixel((0, row), mix(stops[i], stops[i + 1], at - i))
    return column.resize((width, height), Image.Resampling.BILINEAR)


class Stage:
    """A square canvas of `side` pixels in shares of the frame, with the light of its sky.

    taken: boxes of what will hang in the air, for things on a wall to keep away from.
    """

    def __init__(self, sky: str, side: int, rng: Random, taken: Sequence[Box]) -> None:
        self.sky, self.side, self.rng, self.taken = sky, side, rng, taken
        self.canvas = Image.new("RGB", (1, 1))
        self.brush = ImageDraw.Draw(self.canvas, "RGBA")

    def fill(self, stops: tuple[Colour, ...]) -> None:
        """Cover the whole canvas with a vertical gradient."""
        self.canvas = gradient(stops, self.side, self.side).copy()
        self.brush = ImageDraw.Draw(self.canvas, "RGBA")

    def band(self, stops: tuple[Colour, ...], y0: float, y1: float) -> None:
        """Lay a gradient, in the light of the sky, over the full width from y0 to y1."""
        top, bottom = round(y0 * self.side), round(y1 * self.side)
        self.canvas.paste(gradient(tuple(map(self.lit, stops)), self.side, bottom - top), (0, top))

    def lit(self, colour: Colour) -> Colour:
        """A colour of the land in the light of the sky."""
        light = LIGHT.get(self.sky)
        return colour if light is None else mix(colour, *light)

    def polygon(self, points: Points, fill: tuple[int, ...]) -> None:
        """A polygon in shares of the frame."""
        side = self.side
        self.brush.polygon([(x * side, y * side) for x, y in points], fill=fill)

    def blob(self, points: Points, fill: tuple[int, ...]) -> None:
        """A soft shape through points in shares of the frame."""
        self.polygon(soft_outline(tuple(points)), fill)

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: tuple[int, ...], radius: float = 0.0) -> None:
        """A rectangle in shares of the frame."""
        box = (x0 * self.side, y0 * self.side, x1 * self.side, y1 * self.side)
        if radius:
            self.brush.rounded_rectangle(box, radius * self.side, fill=fill)
        else:
            self.brush.rectangle(box, fill=fill)

    def disc(self, x: float, y: float, rx: float, ry: float, fill: tuple[int, ...]) -> None:
        """An ellipse around (x, y)."""
        side = self.side
        self.brush.ellipse(((x - rx) * side, (y - ry) * side, (x + rx) * side, (y + ry) * side), fill=fill)

    def stroke(self, points: Points, width: float, fill: tuple[int, ...]) -> None:
        """A line, its width in shares of the frame."""
        side = self.side
        self.brush.line([(x * side, y * side) for x, y in points], fill=fill, width=max(1, round(width * side)))

    def hill(self, y: float, swing: float, fill: Colour) -> None:
        """Rolling land from about height y down to the bottom of the frame."""
        a, b, first, second = (between(self.rng, 0, 2 * pi) for _ in range(4))
        ridge = [
            (x / 24, y + swing * (0.6 * sin(a + x / 24 * (3 + first / 3)) + 0.4 * sin(b + x / 24 * (5 + second / 2))))
            for x in range(25)
        ]
        self.polygon([*ridge, (1, 1), (0, 1)], self.lit(fill))

    def tufts(self, y0: float, y1: float, fill: Colour, count: int = 26) -> None:
        """Small tufts of grass."""
        shade = self.lit(fill)
        for _ in range(count):
            x, y, tall = self.rng.random(), between(self.rng, y0, y1), between(self.rng, 0.012, 0.022)
            for lean in (-0.008, 0.0, 0.008):
                self.stroke([(x, y), (x + lean, y - tall)], 0.004, shade)

    def specks(self, y0: float, y1: float, fill: Colour, count: int = 40, radius: float = 0.004) -> None:
        """Small flat dots on the ground."""
        shade = self.lit(fill)
        for _ in range(count):
            self.disc(self.rng.random(), between(self.rng, y0, y1), radius * 1.6, radius, shade)

    def heavens(self, horizon: float) -> None:
        """Sky with what belongs to it: sun, clouds, moon and stars, rainbow."""
        self.fill(_sky_to(self.sky, horizon))
        rng = self.rng
        if self.sky in ("sunny", "rainbow"):
            self.sun(between(rng, 0.1, 0.9), between(rng, 0.1, 0.17), 0.062)
        if self.sky == "rainbow":
            self.rainbow(between(rng, 0.35, 0.65), horizon + 0.08)
        if self.sky == "sunset":
            self.sun(between(rng, 0.2, 0.8), horizon - 0.05, 0.095)
            self.clouds(3, (255, 190, 160, 120), 0.25)
        elif self.sky == "night":
            self.stars(60, 0.9 * horizon)
            self.moon(between(rng, 0.12, 0.88), between(rng, 0.1, 0.18), 0.06)
        elif self.sky in ("cloudy", "rain"):
            self.clouds(7, (240, 243, 246, 225) if self.sky == "cloudy" else (104, 116, 138, 235), 0.3)
        elif self.sky == "sunny":
            self.clouds(2 + int(rng.random() * 2), (255, 255, 255, 215), 0.32)

    def sun(self, x: float, y: float, radius: float) -> None:
        """A sun with a soft glow."""
        core = (255, 226, 118) if self.sky != "sunset" else (255, 236, 170)
        for grow, alpha in ((2.3, 26), (1.75, 40), (1.35, 60)):
            self.disc(x, y, radius * grow, radius * grow, (255, 240, 180, alpha))
        self.disc(x, y, radius, radius, core)

    def moon(self, x: float, y: float, radius: float) -> None:
        """A crescent moon."""
        self.disc(x, y, radius * 1.7, radius * 1.7, (230, 232, 255, 22))
        outer = [(x + radius * cos(t), y + radius * sin(t)) for t in (pi * (0.32 + i * 0.0853) for i in range(17))]
        inner = [
            (x + radius * (0.42 + 0.82 * cos(t)), y + radius * (-0.08 + 0.86 * sin(t)))
            for t in (pi * (1.62 - i * 0.0775) for i in range(17))
        ]
        self.polygon(outer + inner, (253, 243, 205))

    def stars(self, count: int, down_to: float) -> None:
        """Distant stars, as dots."""
        for _ in range(count):
            radius = between(self.rng, 0.0018, 0.004)
            x, y, alpha = self.rng.random(), self.rng.random() * down_to, int(between(self.rng, 120, 255))
            self.disc(x, y, radius, radius, (255, 252, 226, alpha))

    def clouds(self, count: int, fill: tuple[int, ...], down_to: float) -> None:
        """Flat-bottomed clouds."""
        shape = [
            (0, 0),
            (0.25, -0.1),
            (0.3, -0.36),
            (0.55, -0.46),
            (0.78, -0.3),
            (0.92, -0.34),
            (1.16, -0.16),
            (1.2, 0),
        ]
        for _ in range(count):
            x, y, wide = between(self.rng, -0.08, 0.9), between(self.rng, 0.07, down_to), between(self.rng, 0.12, 0.24)
            self.polygon([(x + a * wide, y + b * wide) for a, b in _cloud(tuple(shape))], fill)

    def rainbow(self, x: float, y: float) -> None:
        """Seven bands of a bow whose middle lies at (x, y)."""
        colours = ((222, 80, 80), (240, 150, 70), (246, 216, 90), (110, 190, 110), (80, 150, 220), (120, 100, 200))
        for i, colour in enumerate(colours):
            radius = (0.5 - i * 0.016) * self.side
            middle_x, middle_y = x * self.side, y * self.side
            box = (middle_x - radius, middle_y - radius, middle_x + radius, middle_y + radius)
            self.brush.arc(box, 180, 360, fill=(*colour, 170), width=round(0.017 * self.side))

    def window(self, y: float, wide: float, tall: float, frame: Colour) -> None:
        """A window onto a blue sky, where nothing hangs on the wall; none if there is no room."""
        places = (0.1, 0.36, 0.62)
        start = int(self.rng.random() * 3)
        for i in range(3):
            x = places[(start + i) % 3]
            if not any(overlap((x, y, x + wide, y + tall), box, 0.03) for box in self.taken):
                self.box(x - 0.014, y - 0.014, x + wide + 0.014, y + tall + 0.014, frame, 0.008)
                self.box(x, y, x + wide, y + tall, (186, 222, 240))
                self.disc(x + wide * 0.3, y + tall * 0.3, wide * 0.14, tall * 0.07, (255, 255, 255, 220))
                self.disc(x + wide * 0.42, y + tall * 0.27, wide * 0.12, tall * 0.08, (255, 255, 255, 220))
                self.box(x + wide / 2 - 0.005, y, x + wide / 2 + 0.005, y + tall, frame)
                self.box(x, y + tall / 2 - 0.005, x + wide, y + tall / 2 + 0.005, frame)
                self.box(x - 0.03, y + tall + 0.01, x + wide + 0.03, y + tall + 0.028, frame, 0.004)
                return


@lru_cache(maxsize=8)
def _cloud(shape: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    return tuple((x, min(y, 0.0)) for x, y in soft_outline(shape, 4))


@lru_cache(maxsize=64)
def _sky_to(sky: str, horizon: float) -> tuple[Colour, ...]:
    top, middle, low = SKIES[sky]
    below = max(1, round((1 - horizon) / horizon * 2))
    return (top, middle, low, *[low] * below)
