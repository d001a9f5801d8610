"""From a scene to its picture: scenery, shadows, things from back to front, weather."""

from __future__ import annotations

from random import Random

from PIL import Image, ImageDraw

from crossmodal.scenes.creatures import CREATURES
from crossmodal.scenes.furnishings import FURNISHINGS
from crossmodal.scenes.layout import Box, Group, Scene, holds, hull
from crossmodal.scenes.pen import COLOURS, Pen
from crossmodal.scenes.places import PLACES
from crossmodal.scenes.scenery import Stage
from crossmodal.scenes.sea_creatures import SEA_CREATURES
from crossmodal.scenes.things import THINGS

DRAWINGS = {**CREATURES, **SEA_CREATURES, **THINGS, **FURNISHINGS}
OVERSAMPLING = 2


def draw(scene: Scene, size: int) -> Image.Image:
    """The picture of a scene, `size` × `size` pixels, mode RGB; drawn at twice that size for soft edges."""
    side = size * OVERSAMPLING
    taken = [box for group in scene.groups for box in group.boxes if group.layer == "air"]
    stage = Stage(scene.sky, side, Random(scene.seed), taken)
    PLACES[scene.setting](stage)
    canvas = stage.canvas
    brush = ImageDraw.Draw(canvas, "RGBA")
    for group, box, flip in _back_to_front(scene.groups):
        x0, y0, x1, y1 = (value * side for value in box)
        if group.layer == "ground" and scene.setting != "underwater":
            _shadow(brush, x0, x1, y1, 52 if scene.sky != "night" else 80)
        DRAWINGS[group.kind](Pen(brush, (x0, y0, x1, y1), COLOURS[group.colour], flip))
        if group.layer == "water":
            _ripples(brush, x0, x1, y1, side)
    _weather(brush, scene.sky, side, Random(scene.seed + 1))
    return canvas.reduce(OVERSAMPLING)


def _back_to_front(groups: tuple[Group, ...]) -> list[tuple[Group, Box, bool]]:
    order = []
    for group in groups:
        carrier = next((other for other in groups if other is not group and holds("on", group, other)), None)
        for box, flip in zip(group.boxes, group.faces_left, strict=True):
            feet = box[3] if carrier is None else hull(carrier.boxes)[3] + 0.001
            order.append((group.layer != "water", feet, box[0], group, box, flip))
    order.sort(key=lambda item: item[:3])
    return [(group, box, flip) for *_, group, box, flip in order]


def _shadow(brush: ImageDraw.ImageDraw, x0: float, x1: float, feet: float, alpha: int) -> None:
    width = x1 - x0
    height = max(3.0, width * 0.09)
    brush.ellipse((x0 - width * 0.02, feet - height, x1 + width * 0.06, feet + height * 0.7), fill=(30, 30, 60, alpha))


def _ripples(brush: ImageDraw.ImageDraw, x0: float, x1: float, feet: float, side: int) -> None:
    width, thick = x1 - x0, max(1, side // 170)
    brush.line((x0 - width * 0.08, feet, x1 + width * 0.08, feet), fill=(255, 255, 255, 150), width=thick)
    brush.line(
        (x0 + width * 0.1, feet + thick * 3, x1 - width * 0.05, feet + thick * 3), fill=(255, 255, 255, 90), width=thick
    )


def _weather(brush: ImageDraw.ImageDraw, sky: str, side: int, rng: Random) -> None:
    if sky == "rain":
        for _ in range(70):
            x, y, length = rng.random() * side * 1.1, rng.random() * side, side * (0.03 + 0.03 * rng.random())
            brush.line((x, y, x - length * 0.35, y + length), fill=(222, 235, 248, 130), width=max(1, side // 256))
    elif sky == "snow":
        for _ in range(80):
            x, y, radius = rng.random() * side, rng.random() * side, side * (0.003 + 0.005 * rng.random())
            brush.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(255, 255, 255, 225))
