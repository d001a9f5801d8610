"""How the vehicles, plants and things of generated scenes look: one function a kind, in the coordinates of `Pen`."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi, sin

from crossmodal.scenes.pen import GLASS, GOLD, INK, LEAF, PAPER, WOOD, Colour, Pen, mix

TYRE: Colour = (52, 50, 60)
STEEL: Colour = (176, 184, 194)


def _wheel(p: Pen, x: float, y: float, radius: float) -> None:
    p.circle(x, y, radius, TYRE)
    p.circle(x, y, radius * 0.5, STEEL)


def car(p: Pen) -> None:
    """A small saloon seen from the side."""
    p.blob([(36, 46), (52, 12), (70, 5), (112, 5), (132, 14), (152, 46)], p.main)
    p.polygon([(52, 42), (64, 16), (88, 14), (88, 42)], GLASS)
    p.polygon([(96, 42), (96, 14), (116, 16), (134, 42)], GLASS)
    p.box(4, 40, 196, 82, p.main, 16)
    p.box(4, 64, 196, 74, p.dark)
    p.circle(188, 54, 7, GOLD)
    p.box(4, 48, 12, 60, (226, 80, 70), 3)
    p.box(100, 48, 112, 53, p.dark, 2)
    for x in (48, 150):
        _wheel(p, x, 80, 20)


def bus(p: Pen) -> None:
    """A long bus with a row of windows."""
    p.box(4, 4, 196, 86, p.main, 12)
    for x in (14, 46, 78, 110):
        p.box(x, 18, x + 26, 46, GLASS, 4)
    p.box(144, 18, 164, 84, mix(GLASS, INK, 0.15), 4)
    p.box(172, 18, 195, 52, GLASS, 4)
    p.box(4, 56, 140, 65, p.light)
    p.circle(189, 70, 5, GOLD)
    for x in (46, 150):
        _wheel(p, x, 85, 15)


def truck(p: Pen) -> None:
    """A lorry with a pale box behind its cab."""
    p.box(2, 4, 116, 78, p.light, 5)
    p.box(2, 60, 116, 70, p.main)
    p.box(120, 22, 178, 82, p.main, 10)
    p.polygon([(142, 30), (164, 30), (174, 52), (142, 52)], GLASS)
    p.box(2, 76, 178, 84, TYRE, 3)
    p.circle(173, 66, 5, GOLD)
    for x in (28, 62, 150):
        _wheel(p, x, 84, 16)


def tractor(p: Pen) -> None:
    """With a big back wheel and a small front one."""
    p.box(42, 2, 90, 9, p.dark, 3)
    p.box(46, 8, 52, 46, p.dark)
    p.box(80, 8, 86, 46, p.dark)
    p.box(53, 10, 79, 42, GLASS)
    p.box(112, 14, 118, 46, INK)
    p.box(40, 42, 136, 76, p.main, 8)
    p.box(88, 54, 132, 60, p.dark, 3)
    p.circle(40, 66, 34, TYRE)
    p.circle(40, 66, 19, GOLD)
    p.circle(40, 66, 7, TYRE)
    _wheel(p, 114, 80, 20)


def bicycle(p: Pen) -> None:
    """With two thin wheels and a coloured frame."""
    for x in (32, 128):
        p.ring(x, 68, 32, 5, TYRE)
        p.circle(x, 68, 4, STEEL)
    p.line([(32, 68), (72, 68), (112, 30), (58, 30), (32, 68)], 6.5, p.main)
    p.line([(72, 68), (54, 18)], 6.5, p.main)
    p.line([(128, 68), (108, 14), (122, 8)], 6, p.dark)
    p.box(40, 11, 68, 19, INK, 4)
    p.circle(72, 68, 7, INK)


def train(p: Pen) -> None:
    """A steam engine with a chimney and puffs of steam."""
    for x, y, radius in ((118, 16, 8), (98, 9, 9), (76, 11, 7)):
        p.circle(x, y, radius, (238, 238, 242))
    p.box(4, 20, 60, 28, p.dark, 4)
    p.box(8, 28, 56, 80, p.main)
    p.box(17, 34, 47, 56, GLASS, 3)
    p.box(52, 42, 146, 80, p.main, 10)
    p.polygon([(118, 44), (113, 22), (141, 22), (136, 44)], p.dark)
    p.dome(74, 32, 100, 44, GOLD)
    p.polygon([(144, 78), (168, 95), (144, 95)], p.dark)
    p.box(4, 76, 148, 84, INK)
    p.circle(146, 56, 7, GOLD)
    for x, radius in ((28, 16), (72, 13), (102, 13), (132, 13)):
        _wheel(p, x, 99 - radius, radius)


def boat(p: Pen) -> None:
    """A rowing boat with two oars."""
    p.line([(58, 52), (18, 6)], 6, WOOD)
    p.line([(142, 52), (182, 6)], 6, WOOD)
    p.ellipse(8, 0, 30, 18, WOOD)
    p.ellipse(170, 0, 192, 18, WOOD)
    p.blob([(2, 38), (50, 46), (100, 48), (150, 46), (198, 38), (176, 78), (144, 98), (56, 98), (24, 78)], p.main)
    p.line([(10, 46), (50, 54), (100, 56), (150, 54), (190, 46)], 6, p.light)
    p.line([(26, 72), (60, 76), (140, 76), (174, 72)], 4, p.dark)


def sailboat(p: Pen) -> None:
    """With two sails in the colour of the group and a wooden hull."""
    p.box(44, 2, 48, 82, WOOD)
    p.polygon([(51, 4), (51, 74), (94, 74)], p.main)
    p.polygon([(41, 16), (41, 74), (8, 74)], p.dark)
    p.polygon([(51, 40), (73, 40), (94, 74), (51, 74)], p.light)
    p.blob([(2, 79), (30, 80), (70, 80), (98, 78), (84, 97), (18, 97)], WOOD)


def submarine(p: Pen) -> None:
    """With portholes and a periscope."""
    p.line([(92, 30), (92, 6), (108, 6)], 6, p.dark)
    p.box(68, 22, 112, 50, p.dark, 8)
    p.polygon([(14, 64), (0, 40), (0, 90)], p.dark)
    p.ellipse(8, 34, 178, 97, p.main)
    for x in (62, 96, 130):
        p.circle(x, 64, 13, PAPER)
        p.circle(x, 64, 9.5, mix(GLASS, (80, 150, 190), 0.5))


def rocket(p: Pen) -> None:
    """Flying upwards on a flame."""
    p.blob([(17, 78), (25, 98), (33, 78)], (245, 150, 50))
    p.blob([(21, 78), (25, 91), (29, 78)], (253, 222, 110))
    p.polygon([(10, 50), (0, 80), (14, 76)], p.dark)
    p.polygon([(40, 50), (50, 80), (36, 76)], p.dark)
    p.blob([(25, 0), (38, 22), (41, 50), (36, 78), (14, 78), (9, 50), (12, 22)], p.main)
    p.blob([(25, 0), (36, 18), (37, 25), (13, 25), (14, 18)], p.dark)
    p.circle(25, 41, 9, PAPER)
    p.circle(25, 41, 6, (112, 176, 214))


def plane(p: Pen) -> None:
    """An aeroplane seen from the side."""
    p.polygon([(10, 50), (0, 6), (22, 6), (46, 46)], p.dark)
    p.blob([(4, 44), (50, 38), (140, 34), (176, 46), (180, 58), (150, 70), (60, 70), (14, 60)], p.main)
    p.polygon([(84, 58), (118, 58), (70, 98), (50, 98)], p.dark)
    p.polygon([(150, 39), (168, 44), (166, 50), (150, 50)], GLASS)
    for x in (62, 80, 98, 116, 132):
        p.circle(x, 48, 5, GLASS)


def ufo(p: Pen) -> None:
    """A flying saucer with a glass dome."""
    p.dome(52, 4, 118, 52, GLASS)
    p.ellipse(70, 22, 98, 56, LEAF)
    p.eye(79, 36, 3.5)
    p.eye(90, 36, 3.5)
    p.ellipse(2, 38, 168, 92, p.main)
    p.ellipse(28, 36, 142, 62, p.light)
    for x in (22, 54, 85, 116, 148):
        p.circle(x, 70 + (5 if 40 < x < 130 else 0), 6, GOLD)


def balloon(p: Pen) -> None:
    """A toy balloon on a string."""
    p.line([(30, 70), (27, 79), (33, 88), (29, 100)], 2, (120, 116, 126))
    p.polygon([(25, 73), (35, 73), (30, 65)], p.dark)
    p.blob([(30, 0), (50, 8), (58, 30), (48, 55), (30, 69), (12, 55), (2, 30), (10, 8)], p.main)
    p.blob([(18, 12), (26, 10), (20, 22), (15, 32), (11, 26)], p.light)


def airballoon(p: Pen) -> None:
    """A striped hot-air balloon with its basket."""
    p.line([(24, 62), (32, 84)], 1.8, WOOD)
    p.line([(48, 62), (40, 84)], 1.8, WOOD)
    p.blob([(36, 0), (60, 8), (71, 32), (60, 54), (48, 68), (24, 68), (12, 54), (1, 32), (12, 8)], p.main)
    p.blob([(36, 0), (50, 10), (55, 32), (50, 54), (43, 68), (29, 68), (22, 54), (17, 32), (22, 10)], p.light)
    p.blob([(36, 0), (42, 12), (44, 34), (42, 54), (38, 68), (34, 68), (30, 54), (28, 34), (30, 12)], p.main)
    p.box(27, 82, 45, 99, WOOD, 4)
    p.box(26, 81, 46, 87, mix(WOOD, INK, 0.3), 2)


def kite(p: Pen) -> None:
    """A diamond with a tail of bows."""
    p.line([(36, 66), (30, 76), (38, 86), (30, 99)], 2, p.dark)
    p.polygon([(36, 0), (70, 28), (36, 68), (2, 28)], p.main)
    p.polygon([(36, 0), (70, 28), (36, 28)], p.light)
    p.polygon([(2, 28), (36, 28), (36, 68)], p.dark)
    for x, y in ((33, 79), (34, 91)):
        p.polygon([(x, y), (x - 9, y - 5), (x - 9, y + 5)], p.main)
        p.polygon([(x, y), (x + 9, y - 5), (x + 9, y + 5)], p.main)


def ball(p: Pen) -> None:
    """A beach ball with pale panels."""
    p.circle(50, 50, 49, p.main)
    pale = PAPER if sum(p.main) < 690 else p.dark
    p.blob([(50, 8), (36, 28), (34, 52), (44, 76), (22, 60), (20, 32)], pale)
    p.blob([(54, 8), (76, 22), (88, 44), (84, 66), (74, 36)], pale)
    p.circle(50, 9, 7, p.dark)


def house(p: Pen) -> None:
    """With walls in the colour of the group and a slate roof."""
    roof = (104, 84, 88) if sum(p.main) > 330 else (170, 120, 96)
    p.box(78, 8, 90, 34, mix(roof, INK, 0.2))
    p.box(12, 42, 108, 100, p.main)
    p.polygon([(60, 2), (120, 46), (0, 46)], roof)
    p.box(12, 46, 108, 50, p.dark)
    p.box(50, 64, 70, 100, WOOD, 3)
    p.circle(66, 83, 2, GOLD)
    for x in (22, 80):
        p.box(x - 2, 58, x + 20, 82, PAPER, 2)
        p.box(x, 60, x + 8, 80, GLASS)
        p.box(x + 10, 60, x + 18, 80, GLASS)
    p.circle(60, 28, 8, PAPER)
    p.circle(60, 28, 5.5, GLASS)


def tent(p: Pen) -> None:
    """A ridge tent with an open flap."""
    p.polygon([(70, 4), (138, 100), (2, 100)], p.main)
    p.polygon([(70, 4), (138, 100), (104, 100)], p.dark)
    p.polygon([(68, 30), (94, 100), (44, 100)], mix(p.main, INK, 0.72))
    p.polygon([(68, 30), (56, 100), (38, 100)], p.light)
    p.line([(70, 6), (70, 0)], 3, WOOD)


def tree(p: Pen) -> None:
    """A broad tree with a crown in the colour of the group."""
    p.polygon([(38, 100), (41, 56), (51, 56), (54, 100)], WOOD)
    p.line([(46, 70), (62, 52)], 5, WOOD)
    for x, y, radius in ((20, 42, 19), (72, 42, 19), (32, 24, 22), (60, 22, 21), (46, 46, 22), (46, 16, 16)):
        p.circle(x, y, radius, p.main)
    for x, y, radius in ((32, 50, 9), (66, 48, 8), (52, 32, 8)):
        p.circle(x, y, radius * 0.8, mix(p.main, p.dark, 0.55))
    for x, y, radius in ((28, 20, 8), (48, 10, 6), (64, 18, 6)):
        p.circle(x, y, radius, p.light)


def pine(p: Pen) -> None:
    """A fir of three tiers."""
    p.box(27, 82, 37, 100, WOOD)
    for top, bottom, reach in ((44, 88, 31), (22, 64, 26), (0, 40, 19)):
        p.polygon([(32, top), (32 + reach, bottom), (32 - reach, bottom)], p.main)
        p.polygon([(32, top), (32 + reach, bottom), (36, bottom)], p.dark)


def palm(p: Pen) -> None:
    """A leaning palm tree."""
    p.line([(40, 98), (43, 76), (48, 52), (54, 32)], 7, WOOD)
    for fronds in (
        [(54, 30), (40, 12), (20, 12), (4, 30), (22, 24), (40, 28)],
        [(54, 30), (66, 10), (84, 12), (96, 28), (80, 24), (66, 28)],
        [(54, 30), (34, 30), (18, 44), (12, 60), (28, 46), (46, 38)],
        [(54, 30), (74, 32), (86, 46), (90, 60), (76, 46), (62, 38)],
        [(54, 32), (46, 14), (50, 2), (62, 2), (62, 16)],
    ):
        p.blob(fronds, p.main)
    p.circle(50, 35, 5, mix(WOOD, INK, 0.3))
    p.circle(58, 36, 5, mix(WOOD, INK, 0.3))


def cactus(p: Pen) -> None:
    """With two arms."""
    p.line([(36, 60), (12, 58), (12, 36)], 13, p.main)
    p.line([(36, 70), (60, 66), (60, 44)], 13, p.main)
    p.box(26, 2, 46, 100, p.main, 10)
    for x in (32, 40):
        p.line([(x, 12), (x, 94)], 1.8, p.light)
    p.circle(36, 4, 4, (236, 110, 150))


def flower(p: Pen) -> None:
    """With round petals on a stem with two leaves."""
    p.line([(27, 40), (27, 99)], 4.5, LEAF)
    p.blob([(27, 84), (14, 66), (2, 66), (10, 80)], LEAF)
    p.blob([(27, 78), (40, 62), (52, 62), (44, 76)], LEAF)
    for i in range(6):
        p.circle(27 + 16 * sin(i * pi / 3), 27 - 16 * cos(i * pi / 3), 11, p.main if i % 2 else p.dark)
    p.circle(27, 27, 9, GOLD if abs(p.main[2] - GOLD[2]) > 60 else WOOD)


def mushroom(p: Pen) -> None:
    """A spotted cap on a pale stem."""
    p.blob([(36, 46), (64, 46), (66, 84), (74, 99), (26, 99), (34, 84)], (240, 228, 206))
    p.dome(2, 4, 98, 58, p.main)
    spot = PAPER if sum(p.main) < 690 else p.dark
    for x, y, radius in ((34, 24, 8), (62, 20, 7), (80, 44, 6), (18, 46, 6), (50, 44, 7)):
        p.circle(x, y, radius, spot)


def pumpkin(p: Pen) -> None:
    """Ribbed, with a green stalk."""
    p.line([(60, 26), (62, 12), (72, 5)], 8, LEAF)
    for x0, x1, shade in ((2, 58, p.dark), (62, 118, p.dark), (20, 72, p.main), (48, 100, p.main), (38, 82, p.light)):
        p.ellipse(x0, 20, x1, 99, shade)


def snowman(p: Pen) -> None:
    """Of two snowballs, with a hat and a scarf in the colour of the group."""
    snow, shade = (252, 252, 254), (214, 224, 238)
    p.line([(16, 60), (2, 44)], 3, WOOD)
    p.line([(54, 60), (68, 44)], 3, WOOD)
    p.circle(35, 74, 26, shade)
    p.circle(34, 73, 24.5, snow)
    p.circle(35, 36, 18, shade)
    p.circle(34, 35, 17, snow)
    p.box(16, 17, 54, 22, INK, 2)
    p.box(23, 0, 47, 20, INK, 2)
    p.polygon([(36, 35), (56, 40), (36, 42)], (240, 140, 50))
    for x, y in ((29, 31), (42, 31), (35, 66), (35, 77), (35, 88)):
        p.circle(x, y, 2.4, INK)
    p.box(18, 47, 52, 56, p.main, 4)
    p.box(40, 50, 49, 72, p.dark, 3)


def umbrella(p: Pen) -> None:
    """An open parasol on a pole."""
    p.line([(60, 10), (60, 98)], 4, WOOD)
    p.dome(2, 6, 118, 52, p.main)
    p.blob([(60, 6), (78, 16), (84, 51), (36, 51), (42, 16)], PAPER if sum(p.main) < 690 else p.dark)
    p.blob([(60, 6), (68, 18), (70, 51), (50, 51), (52, 18)], p.main)
    for x in (2, 40, 80):
        p.bowl(x, 50, x + 38, 56, p.dark)


def lamp(p: Pen) -> None:
    """A floor lamp with a shade in the colour of the group."""
    p.line([(24, 36), (24, 95)], 4, INK)
    p.ellipse(8, 92, 40, 100, INK)
    p.ellipse(15, 32, 33, 42, (255, 240, 180))
    p.polygon([(13, 2), (35, 2), (47, 37), (1, 37)], p.main)
    p.polygon([(28, 2), (35, 2), (47, 37), (34, 37)], p.dark)


def streetlamp(p: Pen) -> None:
    """A street lamp with a glowing head."""
    p.box(17, 26, 23, 96, p.main)
    p.box(10, 92, 30, 100, p.main, 2)
    p.circle(20, 15, 14, (255, 246, 200))
    p.circle(20, 15, 9, (255, 224, 120))
    p.polygon([(8, 4), (20, -1), (32, 4)], p.main)
    p.box(10, 26, 30, 30, p.main, 2)


THINGS: dict[str, Callable[[Pen], None]] = {
    draw.__name__: draw
    for draw in (
        *(car, bus, truck, tractor, bicycle, train, boat, sailboat, submarine, rocket, plane, ufo, balloon, airballoon),
        *(kite, ball, house, tent, tree, pine, palm, cactus, flower, mushroom, pumpkin, snowman, umbrella, lamp),
        streetlamp,
    )
}
