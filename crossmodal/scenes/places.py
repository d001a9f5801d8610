"""How each setting of the generated scenes looks: one function a place, painting on a `Stage`.

Nothing is painted here that a caption may count: no animals, no vehicles, no flowers, no trees where trees are kinds.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi, sin

from crossmodal.scenes.layout import between, pick
from crossmodal.scenes.pen import Colour, mix
from crossmodal.scenes.scenery import Stage


def meadow(s: Stage) -> None:
    """Rolling green hills with tufts of grass."""
    s.heavens(0.56)
    green = pick(s.rng, [(150, 205, 112), (168, 208, 104), (140, 200, 128)])
    s.hill(0.54, 0.035, mix(green, (120, 180, 170), 0.55))
    s.hill(0.6, 0.03, mix(green, (90, 160, 110), 0.4))
    s.hill(0.67, 0.018, green)
    s.tufts(0.72, 0.98, mix(green, (70, 140, 70), 0.45))


def beach(s: Stage) -> None:
    """Sea with waves, foam and a wide beach."""
    s.heavens(0.42)
    s.band(((54, 138, 190), (88, 186, 208), (132, 212, 214)), 0.42, 0.66)
    for _ in range(12):
        x, y = s.rng.random(), between(s.rng, 0.44, 0.58)
        s.stroke([(x, y), (x + between(s.rng, 0.04, 0.1), y)], 0.004, (255, 255, 255, 110))
    sand = pick(s.rng, [(242, 220, 170), (240, 212, 158), (245, 226, 186)])
    a = between(s.rng, 0, 6)
    edge = [(x / 24, 0.6 + 0.014 * sin(a + x / 3.2)) for x in range(25)]
    s.polygon([*[(x, y - 0.014) for x, y in edge], (1, 1), (0, 1)], s.lit((250, 252, 250)))
    s.polygon([*edge, (1, 1), (0, 1)], s.lit(mix(sand, (190, 160, 120), 0.3)))
    s.polygon([*[(x, y + 0.03) for x, y in edge], (1, 1), (0, 1)], s.lit(sand))
    s.specks(0.68, 0.98, mix(sand, (180, 140, 90), 0.35), 46, 0.003)


def mountains(s: Stage) -> None:
    """Snow-capped peaks above a snowfield."""
    s.heavens(0.6)
    for depth, count in ((0, 4), (1, 3)):
        rock = s.lit(((138, 156, 186), (108, 126, 162))[depth])
        for i in range(count):
            x = (i + between(s.rng, 0.2, 0.8)) / count
            wide, top = between(s.rng, 0.24, 0.34), between(s.rng, 0.16, 0.28) + depth * 0.1
            tall = 0.66 - top
            s.polygon([(x, top), (x + wide, 0.66), (x - wide, 0.66)], rock)
            s.polygon([(x, top), (x + wide, 0.66), (x + wide * 0.1, 0.66)], mix(rock, (60, 70, 110), 0.18))
            c = 0.36
            cap = [
                (x, top),
                (x + wide * c, top + tall * c),
                (x + wide * 0.16, top + tall * 0.28),
                (x, top + tall * 0.4),
            ]
            s.polygon(
                [*cap, (x - wide * 0.15, top + tall * 0.28), (x - wide * c, top + tall * c)], s.lit((250, 252, 255))
            )
    s.hill(0.62, 0.022, (222, 232, 244))
    s.hill(0.69, 0.016, (240, 245, 251))
    s.specks(0.73, 0.98, (214, 226, 242), 30, 0.006)


def desert(s: Stage) -> None:
    """Dunes, one behind the other."""
    s.heavens(0.58)
    sand = pick(s.rng, [(240, 196, 126), (236, 184, 116), (244, 204, 140)])
    for x, wide, top in ((between(s.rng, 0.05, 0.35), 0.16, 0.47), (between(s.rng, 0.6, 0.9), 0.12, 0.5)):
        mesa = s.lit((206, 138, 104))
        s.polygon([(x - wide, 0.62), (x - wide * 0.6, top), (x + wide * 0.6, top), (x + wide, 0.62)], mesa)
    s.hill(0.58, 0.03, mix(sand, (214, 140, 90), 0.45))
    s.hill(0.64, 0.035, mix(sand, (224, 160, 100), 0.3))
    s.hill(0.71, 0.02, sand)
    for _ in range(9):
        x, y = s.rng.random(), between(s.rng, 0.78, 0.97)
        line = [(x + i * 0.02, y + 0.004 * sin(i * 1.2)) for i in range(7)]
        s.stroke(line, 0.0035, s.lit(mix(sand, (190, 130, 80), 0.4)))


def city(s: Stage) -> None:
    """A skyline of tall buildings above a road; the windows are lit at night."""
    s.heavens(0.68)
    dark = s.sky in ("night", "sunset")
    for depth in (0, 1):
        x = -0.04
        while x < 1:
            wide, top = between(s.rng, 0.1, 0.17), between(s.rng, 0.2, 0.42) + depth * 0.1
            wall = pick(s.rng, [(150, 164, 190), (172, 158, 176), (140, 172, 184), (186, 172, 164)])
            wall = s.lit(mix(wall, (226, 230, 238), 0.4) if depth == 0 else wall)
            s.box(x, top, x + wide, 0.74, wall)
            if depth:
                pane = (255, 226, 134) if dark else s.lit((214, 234, 244))
                blind = mix(wall, (24, 28, 60), 0.3)
                for row in range(int((0.7 - top) / 0.05)):
                    for column in range(int((wide - 0.02) / 0.034)):
                        y, left = top + 0.02 + row * 0.05, x + 0.016 + column * 0.034
                        lit = s.rng.random() < 0.6
                        s.box(left, y, left + 0.018, y + 0.024, pane if lit else blind)
            x += wide + (0.004 if depth == 0 else between(s.rng, 0.004, 0.03))
    _road(s)


def _road(s: Stage) -> None:
    s.box(0, 0.72, 1, 0.815, s.lit((206, 202, 200)))
    s.box(0, 0.812, 1, 0.825, s.lit((160, 158, 162)))
    s.band(((116, 120, 132), (98, 102, 116)), 0.825, 1.0)
    for i in range(6):
        s.box(i * 0.2 + 0.02, 0.912, i * 0.2 + 0.12, 0.922, s.lit((240, 236, 220)))
    if s.sky == "rain":
        for _ in range(4):
            s.disc(s.rng.random(), between(s.rng, 0.83, 0.97), between(s.rng, 0.05, 0.1), 0.01, (170, 190, 214, 120))


def street(s: Stage) -> None:
    """A row of little pastel houses behind a pavement and a road."""
    s.heavens(0.66)
    x = -between(s.rng, 0.0, 0.1)
    shades: list[Colour] = [(244, 200, 188), (250, 226, 176), (190, 220, 208), (196, 210, 234), (230, 204, 226)]
    i = int(s.rng.random() * 5)
    while x < 1:
        wide, top = between(s.rng, 0.15, 0.2), between(s.rng, 0.34, 0.42)
        wall, roof = s.lit(shades[i % 5]), s.lit(pick(s.rng, [(178, 100, 84), (150, 92, 92), (120, 104, 120)]))
        s.box(x, top, x + wide, 0.74, wall)
        s.polygon([(x - 0.008, top), (x + wide / 2, top - 0.1), (x + wide + 0.008, top)], roof)
        door = s.lit(mix(shades[(i + 2) % 5], (80, 60, 70), 0.5))
        s.box(x + wide * 0.4, 0.64, x + wide * 0.62, 0.74, door, 0.006)
        pane = (255, 230, 150) if s.sky in ("rain", "snow") else s.lit((224, 240, 246))
        for y in (top + 0.05, top + 0.15):
            for left in (0.16, 0.6):
                s.box(
                    x + wide * left - 0.005,
                    y - 0.005,
                    x + wide * (left + 0.24) + 0.005,
                    y + 0.055,
                    s.lit((252, 250, 246)),
                )
                s.box(x + wide * left, y, x + wide * (left + 0.24), y + 0.05, pane)
        x += wide
        i += 1
    _road(s)
    if s.sky == "snow":
        s.box(0, 0.72, 1, 0.812, (240, 244, 250))


def forest(s: Stage) -> None:
    """Rows of trunks under a leafy roof, with beams of light on a sunny day."""
    s.fill(tuple(map(s.lit, ((176, 214, 168), (206, 228, 178), (188, 216, 156)))))
    if s.sky == "night":
        s.moon(between(s.rng, 0.2, 0.8), 0.24, 0.05)
    for depth, count in ((0, 11), (1, 7)):
        bark = s.lit(((150, 158, 122), (122, 104, 82))[depth])
        for i in range(count):
            x, wide = (i + between(s.rng, 0.1, 0.9)) / count, (0.016, 0.026)[depth] * between(s.rng, 0.8, 1.3)
            foot = 0.66 + depth * 0.02
            s.polygon([(x - wide * 0.7, 0), (x + wide * 0.7, 0), (x + wide, foot), (x - wide, foot)], bark)
    for depth, leaf in ((0, (126, 176, 110)), (1, (92, 146, 92))):
        for _ in range(12 - depth * 3):
            x, y = s.rng.random(), between(s.rng, -0.06, 0.12 - depth * 0.07)
            s.disc(x, y, between(s.rng, 0.1, 0.17), between(s.rng, 0.07, 0.1), s.lit(leaf))
    if s.sky == "sunny":
        for x in (0.2, 0.5, 0.75):
            lean = x + between(s.rng, -0.1, 0.1)
            s.polygon([(lean, 0), (lean + 0.07, 0), (lean - 0.06, 0.75), (lean - 0.22, 0.75)], (255, 250, 200, 46))
    moss = pick(s.rng, [(146, 176, 98), (132, 170, 106), (158, 174, 104)])
    s.hill(0.65, 0.014, mix(moss, (80, 110, 70), 0.35))
    s.hill(0.71, 0.014, moss)
    s.tufts(0.74, 0.98, mix(moss, (70, 100, 60), 0.5), 30)


def lake(s: Stage) -> None:
    """A calm lake before wooded hills, with a bank in the foreground."""
    s.heavens(0.42)
    s.hill(0.36, 0.03, (134, 164, 170))
    s.hill(0.4, 0.018, (112, 156, 122))
    water = {
        "sunset": ((232, 150, 124), (150, 106, 150), (96, 84, 146)),
        "night": ((70, 86, 140), (40, 54, 110), (30, 40, 90)),
    }.get(s.sky, ((150, 206, 224), (98, 172, 208), (70, 144, 190)))
    s.band(water, 0.45, 0.9)
    for _ in range(26):
        x, y = s.rng.random(), between(s.rng, 0.47, 0.82)
        s.stroke([(x, y), (x + between(s.rng, 0.03, 0.1), y)], 0.004, (255, 255, 255, 70))
    bank = (146, 190, 108)
    s.hill(0.84, 0.012, mix(bank, (180, 160, 110), 0.6))
    s.hill(0.86, 0.012, bank)
    s.tufts(0.88, 0.99, mix(bank, (70, 130, 70), 0.5), 16)


def livingroom(s: Stage) -> None:
    """A wall with a window, a wooden floor and a rug."""
    wall = pick(s.rng, [(226, 212, 188), (188, 210, 206), (228, 198, 188), (196, 204, 226), (208, 214, 184)])
    s.fill((mix(wall, (255, 255, 255), 0.12), wall))
    s.window(0.1, 0.26, 0.3, (252, 250, 246))
    s.band(((214, 176, 132), (198, 156, 112)), 0.68, 1.0)
    for y in (0.745, 0.815, 0.895):
        s.stroke([(0, y), (1, y)], 0.003, (172, 130, 92))
    for _ in range(9):
        x, row = s.rng.random(), pick(s.rng, [(0.68, 0.745), (0.745, 0.815), (0.815, 0.895), (0.895, 1.0)])
        s.stroke([(x, row[0]), (x, row[1])], 0.003, (172, 130, 92))
    s.box(0, 0.665, 1, 0.685, (250, 248, 242))
    rug = pick(s.rng, [(196, 132, 122), (126, 154, 170), (166, 150, 178), (150, 170, 140)])
    x = between(s.rng, 0.4, 0.6)
    s.disc(x, 0.88, 0.38, 0.075, rug)
    s.disc(x, 0.88, 0.34, 0.062, mix(rug, (255, 250, 240), 0.35))
    s.disc(x, 0.88, 0.31, 0.053, rug)


def kitchen(s: Stage) -> None:
    """A tiled wall with a window behind a wooden table top."""
    wall = pick(s.rng, [(214, 232, 228), (240, 228, 204), (222, 226, 240), (240, 220, 212)])
    s.fill((mix(wall, (255, 255, 255), 0.3), wall))
    seam = mix(wall, (255, 255, 255), 0.7)
    for i in range(7):
        s.stroke([(0, i * 0.1), (1, i * 0.1)], 0.005, seam)
        for k in range(8):
            x = k * 0.14 + (0.07 if i % 2 else 0)
            s.stroke([(x, i * 0.1), (x, i * 0.1 + 0.1)], 0.005, seam)
    s.window(0.08, 0.26, 0.28, (252, 250, 246))
    wood = pick(s.rng, [(206, 158, 112), (222, 184, 140), (190, 142, 106)])
    s.band((mix(wood, (255, 250, 235), 0.25), wood), 0.64, 0.97)
    s.band((mix(wood, (80, 50, 40), 0.35), mix(wood, (80, 50, 40), 0.45)), 0.97, 1.0)
    for y in (0.7, 0.77, 0.86):
        a = between(s.rng, 0, 6)
        grain = [(x / 16, y + 0.006 * sin(a + x / 2.5)) for x in range(17)]
        s.stroke(grain, 0.003, mix(wood, (110, 70, 50), 0.3))


def space(s: Stage) -> None:
    """Deep space with faint clouds of gas and many distant stars."""
    low = pick(s.rng, [(70, 48, 112), (38, 66, 116), (88, 44, 92)])
    s.fill(((14, 16, 44), (26, 26, 70), low))
    for _ in range(5):
        x, y, r = s.rng.random(), s.rng.random(), between(s.rng, 0.14, 0.28)
        tint = pick(s.rng, [(150, 110, 220), (90, 130, 230), (220, 110, 180)])
        for grow in (1.0, 0.7, 0.4):
            s.disc(x, y, r * grow, r * grow * 0.6, (*tint, 14))
    s.stars(110, 1.0)


def underwater(s: Stage) -> None:
    """Blue depths with rays of light, weed and a sandy floor."""
    s.fill(((126, 216, 226), (58, 160, 204), (34, 106, 170), (28, 86, 150)))
    for x in (0.15, 0.4, 0.65, 0.85):
        lean = x + between(s.rng, -0.08, 0.08)
        s.polygon([(lean, 0), (lean + 0.06, 0), (lean - 0.04, 0.85), (lean - 0.2, 0.85)], (255, 255, 255, 22))
    for _ in range(16):
        r = between(s.rng, 0.004, 0.011)
        s.disc(s.rng.random(), between(s.rng, 0.05, 0.75), r, r, (255, 255, 255, 90))
    s.hill(0.83, 0.02, (110, 150, 168))
    for _ in range(8):
        x, tall = s.rng.random(), between(s.rng, 0.1, 0.22)
        a = between(s.rng, 0, 2 * pi)
        weed = [(x + 0.014 * sin(a + i), 0.92 - tall * i / 7) for i in range(8)]
        s.stroke(weed, 0.014, pick(s.rng, [(44, 132, 122), (58, 146, 110), (38, 116, 128)]))
    s.hill(0.87, 0.014, (224, 206, 160))
    s.specks(0.9, 0.99, (196, 174, 128), 26, 0.005)


def park(s: Stage) -> None:
    """A lawn with a path, hedges, a slide and a swing."""
    s.heavens(0.6)
    grass = pick(s.rng, [(160, 208, 116), (150, 204, 126)])
    hedge = s.lit((104, 160, 104))
    for i in range(14):
        s.disc(i / 13, 0.6 + 0.01 * (i % 2), 0.06, 0.06, hedge)
    s.hill(0.63, 0.008, grass)
    side = s.rng.random() < 0.5

    def at(x: float) -> float:
        return x if side else 1 - x

    post, slide = s.lit((232, 160, 70)), s.lit((92, 160, 200))
    s.stroke([(at(0.14), 0.68), (at(0.14), 0.44)], 0.014, post)
    s.stroke([(at(0.21), 0.68), (at(0.21), 0.44)], 0.014, post)
    for y in (0.5, 0.56, 0.62):
        s.stroke([(at(0.14), y), (at(0.21), y)], 0.009, post)
    s.stroke([(at(0.2), 0.46), (at(0.28), 0.53), (at(0.36), 0.64), (at(0.42), 0.67)], 0.026, slide)
    s.polygon([(at(0.12), 0.44), (at(0.175), 0.38), (at(0.23), 0.44)], s.lit((214, 96, 90)))
    for x in (0.66, 0.9):
        s.stroke([(at(x - 0.03), 0.68), (at(x), 0.42), (at(x + 0.03), 0.68)], 0.012, s.lit((170, 120, 160)))
    s.stroke([(at(0.66), 0.425), (at(0.9), 0.425)], 0.012, s.lit((170, 120, 160)))
    for x in (0.72, 0.81):
        for dx in (0.0, 0.04):
            s.stroke([(at(x + dx), 0.43), (at(x + dx), 0.6)], 0.004, s.lit((110, 110, 120)))
        s.stroke([(at(x - 0.006), 0.6), (at(x + 0.046), 0.6)], 0.014, s.lit((120, 84, 70)))
    s.polygon([(0, 0.9), (0, 0.82), (0.4, 0.76), (1, 0.72), (1, 0.76), (0.5, 0.82)], s.lit((232, 214, 176)))
    s.tufts(0.7, 0.98, mix(grass, (80, 150, 80), 0.45), 22)


def autumn(s: Stage) -> None:
    """Golden fields with fallen and falling leaves."""
    s.heavens(0.58)
    s.hill(0.55, 0.03, (196, 150, 112))
    s.hill(0.61, 0.022, (218, 172, 100))
    field = pick(s.rng, [(232, 192, 112), (226, 182, 110), (222, 190, 124)])
    s.hill(0.67, 0.014, field)
    for i in range(9):
        x = -0.3 + i * 0.2
        s.stroke([(0.5 + (x - 0.5) * 0.45, 0.69), (x, 1.0)], 0.004, s.lit(mix(field, (180, 130, 70), 0.35)))
    for i in range(34):
        x, y = s.rng.random(), between(s.rng, 0.74, 0.99) if i < 24 else between(s.rng, 0.1, 0.6)
        leaf = s.lit(pick(s.rng, [(206, 96, 50), (226, 140, 56), (180, 72, 50), (216, 168, 60)]))
        lean, r = between(s.rng, -0.008, 0.008), 0.011
        s.polygon([(x - r, y + lean), (x, y - r * 0.6), (x + r, y - lean), (x, y + r * 0.6)], leaf)


def farm(s: Stage) -> None:
    """A red barn, fields and a white fence."""
    s.heavens(0.6)
    s.hill(0.54, 0.025, (164, 196, 128))
    s.hill(0.58, 0.015, (206, 206, 120))
    x = pick(s.rng, [0.06, 0.38, 0.66])
    barn, trim = s.lit((186, 72, 64)), s.lit((246, 240, 232))
    s.box(x, 0.42, x + 0.28, 0.66, barn)
    s.polygon(
        [(x - 0.02, 0.43), (x + 0.03, 0.34), (x + 0.14, 0.28), (x + 0.25, 0.34), (x + 0.3, 0.43)], s.lit((116, 90, 92))
    )
    s.box(x + 0.09, 0.5, x + 0.19, 0.66, trim)
    s.box(x + 0.098, 0.508, x + 0.182, 0.66, barn)
    s.stroke([(x + 0.098, 0.508), (x + 0.182, 0.66)], 0.008, trim)
    s.stroke([(x + 0.182, 0.508), (x + 0.098, 0.66)], 0.008, trim)
    s.box(x + 0.12, 0.38, x + 0.16, 0.43, trim)
    grass = pick(s.rng, [(158, 202, 112), (172, 204, 106)])
    s.hill(0.65, 0.008, grass)
    for i in range(9):
        s.box(i * 0.125 + 0.01, 0.62, i * 0.125 + 0.03, 0.71, trim, 0.004)
    for y in (0.64, 0.675):
        s.box(0, y, 1, y + 0.012, trim)
    s.tufts(0.73, 0.98, mix(grass, (80, 140, 70), 0.45), 26)


PLACES: dict[str, Callable[[Stage], None]] = {
    paint.__name__: paint
    for paint in (
        *(meadow, beach, mountains, desert, city, street, forest, lake, livingroom, kitchen, space, underwater),
        *(park, autumn, farm),
    )
}
