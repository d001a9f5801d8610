"""How furniture, tableware and small things of generated scenes look: one function a kind."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi, sin

from crossmodal.scenes.pen import GOLD, INK, LEAF, PAPER, WOOD, Pen, mix


def chair(p: Pen) -> None:
    """A kitchen chair, three-quarter view."""
    p.box(8, 4, 16, 98, p.dark, 3)
    p.box(50, 56, 57, 90, p.dark, 2)
    p.box(8, 4, 18, 60, p.main, 4)
    p.box(8, 8, 24, 44, p.main, 6)
    p.box(6, 52, 64, 63, p.main, 5)
    p.box(54, 60, 62, 100, p.main, 3)
    p.box(12, 60, 20, 100, p.main, 3)


def armchair(p: Pen) -> None:
    """A soft armchair from the front."""
    p.box(12, 84, 22, 100, WOOD, 2)
    p.box(88, 84, 98, 100, WOOD, 2)
    p.box(16, 2, 94, 80, p.main, 20)
    p.box(24, 52, 86, 90, p.light, 8)
    p.box(22, 72, 88, 92, p.main, 4)
    p.box(2, 38, 28, 92, p.dark, 11)
    p.box(82, 38, 108, 92, p.dark, 11)


def sofa(p: Pen) -> None:
    """A two-seat sofa from the front."""
    p.box(18, 84, 28, 100, WOOD, 2)
    p.box(182, 84, 192, 100, WOOD, 2)
    p.box(14, 8, 196, 82, p.main, 18)
    p.box(28, 48, 104, 76, p.light, 8)
    p.box(106, 48, 182, 76, p.light, 8)
    p.box(18, 68, 192, 92, p.main, 5)
    p.box(2, 34, 30, 92, p.dark, 12)
    p.box(180, 34, 208, 92, p.dark, 12)


def table(p: Pen) -> None:
    """A low wooden table."""
    for x in (16, 172):
        p.box(x, 24, x + 12, 100, p.dark, 3)
    p.box(4, 6, 196, 28, p.main, 6)
    p.box(4, 20, 196, 28, p.dark, 4)


def crate(p: Pen) -> None:
    """A painted crate of planks."""
    p.box(2, 2, 108, 100, p.dark, 4)
    for y in (8, 38, 68):
        p.box(8, y, 102, y + 24, p.main, 2)
    p.polygon([(8, 82), (90, 8), (102, 8), (102, 18), (20, 92), (8, 92)], p.light)


def bench(p: Pen) -> None:
    """A park bench."""
    for x in (22, 168):
        p.box(x, 20, x + 9, 100, INK, 2)
    for y in (8, 28):
        p.box(4, y, 196, y + 15, p.main, 4)
    p.box(0, 54, 200, 68, p.main, 4)
    p.box(0, 64, 200, 70, p.dark, 3)


def cup(p: Pen) -> None:
    """A mug with a handle and a wisp of steam."""
    p.ring(80, 62, 22, 8, p.dark)
    p.box(8, 28, 80, 98, p.main, 12)
    p.ellipse(8, 20, 80, 40, p.light)
    p.ellipse(14, 23, 74, 37, (98, 62, 46))
    p.line([(34, 18), (38, 10), (34, 2)], 4, (236, 232, 226))
    p.line([(52, 18), (56, 10), (52, 2)], 4, (236, 232, 226))


def teapot(p: Pen) -> None:
    """With a spout, a handle and a lid."""
    p.ring(22, 58, 22, 8, p.dark)
    p.polygon([(104, 70), (128, 30), (140, 32), (122, 84)], p.dark)
    p.ellipse(20, 26, 116, 99, p.main)
    p.dome(46, 14, 90, 34, p.light)
    p.circle(68, 10, 8, p.dark)
    p.blob([(36, 44), (48, 38), (46, 52), (36, 64)], p.light)


def cake(p: Pen) -> None:
    """A cake with icing in the colour of the group and three candles."""
    for x in (40, 65, 90):
        p.box(x - 3, 14, x + 3, 40, PAPER)
        p.blob([(x, 0), (x + 5, 9), (x, 15), (x - 5, 9)], (250, 176, 60))
    p.ellipse(0, 84, 130, 100, (226, 230, 236))
    p.box(12, 40, 118, 93, (226, 178, 122), 8)
    p.box(12, 66, 118, 72, PAPER)
    p.box(10, 34, 120, 54, p.main, 9)
    for x, drop in ((12, 66), (32, 60), (52, 68), (72, 61), (92, 67), (108, 60)):
        p.box(x, 44, x + 12, drop, p.main, 6)


def cupcake(p: Pen) -> None:
    """Swirled icing in the colour of the group, with a cherry."""
    p.polygon([(14, 56), (76, 56), (68, 100), (22, 100)], (206, 160, 112))
    for x in (30, 44, 58):
        p.line([(x, 60), (x + (x - 45) * -0.15, 98)], 2.5, (172, 124, 84))
    p.ellipse(4, 38, 86, 66, p.main)
    p.ellipse(14, 24, 76, 50, p.light)
    p.ellipse(26, 12, 64, 36, p.main)
    p.circle(45, 10, 9, (206, 44, 60) if p.main[0] - p.main[1] < 130 else PAPER)


def apple(p: Pen) -> None:
    """With a stalk and a leaf."""
    p.line([(46, 26), (50, 4)], 5, WOOD)
    p.blob([(50, 18), (64, 2), (84, 4), (72, 18)], LEAF)
    p.blob([(47, 28), (66, 18), (90, 32), (90, 66), (68, 98), (47, 93), (26, 98), (4, 66), (4, 32), (28, 18)], p.main)
    p.blob([(18, 40), (28, 32), (24, 50), (18, 62), (13, 52)], p.light)


def pear(p: Pen) -> None:
    """With a stalk and a leaf."""
    p.line([(36, 18), (39, 2)], 4.5, WOOD)
    p.blob([(39, 10), (50, 0), (64, 4), (54, 14)], LEAF)
    p.blob([(36, 12), (50, 24), (54, 44), (70, 66), (62, 94), (36, 99), (10, 94), (2, 66), (18, 44), (22, 24)], p.main)
    p.blob([(20, 58), (26, 48), (25, 66), (18, 80), (12, 70)], p.light)


def banana(p: Pen) -> None:
    """A curved banana."""
    p.blob(
        [
            (6, 14),
            (20, 8),
            (30, 40),
            (62, 62),
            (110, 58),
            (134, 40),
            (146, 50),
            (128, 84),
            (80, 98),
            (34, 84),
            (10, 50),
        ],
        p.main,
    )
    p.line([(22, 40), (44, 70), (84, 80), (124, 66)], 4, p.dark)
    p.box(6, 2, 20, 18, WOOD, 3)
    p.circle(140, 46, 5, WOOD)


def vase(p: Pen) -> None:
    """A vase in the colour of the group with leafy twigs."""
    for points in ([(30, 50), (28, 8)], [(30, 50), (12, 20)], [(30, 50), (48, 18)]):
        p.line(points, 2.5, LEAF)
    for x, y in ((28, 8), (12, 20), (48, 18), (20, 32), (40, 32), (30, 24)):
        p.ellipse(x - 7, y - 8, x + 7, y + 8, LEAF)
        p.ellipse(x - 3, y - 6, x + 5, y + 4, mix(LEAF, PAPER, 0.3))
    p.blob([(18, 44), (42, 44), (42, 54), (56, 74), (46, 99), (14, 99), (4, 74), (18, 54)], p.main)
    p.blob([(14, 68), (20, 62), (20, 80), (14, 86)], p.light)
    p.ellipse(16, 41, 44, 49, p.dark)


def gift(p: Pen) -> None:
    """A wrapped box with a pale ribbon (a golden one on pale paper)."""
    ribbon = PAPER if sum(p.main) < 600 else (210, 150, 50)
    p.ring(36, 15, 15, 6, ribbon)
    p.ring(64, 15, 15, 6, ribbon)
    p.box(8, 40, 92, 100, p.main, 3)
    p.box(2, 26, 98, 46, p.dark, 4)
    p.box(43, 26, 57, 100, ribbon)


def book(p: Pen) -> None:
    """A closed, standing book."""
    p.box(4, 2, 74, 100, p.dark, 4)
    p.box(66, 6, 74, 96, PAPER)
    p.box(4, 2, 68, 100, p.main, 4)
    p.box(10, 2, 15, 100, p.dark)
    p.box(26, 20, 58, 40, p.light, 3)


def teddy(p: Pen) -> None:
    """A sitting teddy bear with a bow."""
    for x in (20, 64):
        p.circle(x, 12, 12, p.main)
        p.circle(x, 12, 7, p.light)
    for x, y in ((14, 62), (70, 62), (18, 84), (66, 84)):
        p.circle(x, y, 13 if y < 80 else 15, p.main)
        if y > 80:
            p.circle(x, y, 8, p.light)
    p.ellipse(14, 42, 70, 98, p.main)
    p.ellipse(26, 54, 58, 92, p.light)
    p.circle(42, 28, 27, p.main)
    p.ellipse(29, 28, 55, 48, p.light)
    p.ellipse(37, 29, 47, 36, INK)
    p.eye(32, 22, 3)
    p.eye(52, 22, 3)


def guitar(p: Pen) -> None:
    """Standing upright."""
    p.box(23, 2, 31, 50, WOOD)
    p.box(21, 0, 33, 13, INK, 2)
    p.blob([(27, 42), (42, 46), (42, 58), (50, 78), (42, 97), (12, 97), (4, 78), (12, 58), (12, 46)], p.main)
    p.circle(27, 66, 8, INK)
    p.box(18, 82, 36, 86, INK)
    p.line([(27, 12), (27, 84)], 1.2, PAPER)


def clock(p: Pen) -> None:
    """A round wall clock with a rim in the colour of the group."""
    p.circle(50, 50, 49, p.main)
    p.circle(50, 50, 38, PAPER)
    for i in range(12):
        p.circle(50 + 31 * sin(i * pi / 6), 50 - 31 * cos(i * pi / 6), 2.6, INK)
    p.line([(50, 50), (50, 27)], 4, INK)
    p.line([(50, 50), (66, 58)], 4, INK)


def bucket(p: Pen) -> None:
    """A toy bucket with its handle up."""
    p.ring(46, 40, 36, 4, (120, 116, 126))
    p.polygon([(6, 40), (86, 40), (74, 100), (18, 100)], p.main)
    p.ellipse(4, 32, 88, 50, p.dark)
    p.ellipse(10, 35, 82, 47, mix(p.main, INK, 0.5))
    p.polygon([(14, 62), (78, 62), (76, 72), (16, 72)], p.light)


def planet(p: Pen) -> None:
    """A banded planet with a ring."""
    p.ellipse(0, 34, 150, 70, mix(GOLD, PAPER, 0.4))
    p.ellipse(14, 40, 136, 62, (40, 44, 88))
    p.circle(75, 50, 44, p.main)
    p.blob([(36, 32), (60, 36), (112, 28), (116, 38), (70, 46), (33, 42)], p.light)
    p.blob([(34, 62), (80, 68), (114, 62), (108, 74), (80, 78), (42, 74)], p.dark)
    p.line([(4, 54), (30, 63), (75, 67), (120, 63), (146, 54)], 6, mix(GOLD, PAPER, 0.4))


def star(p: Pen) -> None:
    """A plump five-pointed star."""
    tips = [
        (52 + (51 if i % 2 == 0 else 25) * sin(i * pi / 5), 54 - (54 if i % 2 == 0 else 25) * cos(i * pi / 5))
        for i in range(10)
    ]
    p.polygon(tips, p.main)
    p.polygon([(52, 54), tips[0], tips[1]], p.light)
    p.polygon([(52, 54), tips[8], tips[9]], p.light)


def astronaut(p: Pen) -> None:
    """Floating, in a white suit with a visor and stripes in the colour of the group."""
    suit, shade = (246, 246, 250), (206, 212, 226)
    p.box(14, 38, 58, 74, shade, 8)
    p.line([(22, 50), (6, 62), (4, 74)], 11, suit)
    p.line([(50, 50), (64, 38), (68, 26)], 11, suit)
    p.line([(30, 74), (26, 94)], 12, shade)
    p.line([(44, 74), (50, 92)], 12, suit)
    p.box(20, 42, 52, 78, suit, 10)
    p.box(20, 62, 52, 69, p.main)
    p.circle(36, 22, 21, suit)
    p.box(21, 12, 54, 33, p.main, 9)
    p.box(25, 15, 36, 20, p.light, 2)


FURNISHINGS: dict[str, Callable[[Pen], None]] = {
    draw.__name__: draw
    for draw in (
        *(chair, armchair, sofa, table, crate, bench, cup, teapot, cake, cupcake, apple, pear, banana, vase, gift),
        *(book, teddy, guitar, clock, bucket, planet, star, astronaut),
    )
}
