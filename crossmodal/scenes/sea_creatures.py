"""How the animals of the sea in generated scenes look: one function a kind, facing right, in `Pen`'s coordinates."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi, sin

from crossmodal.scenes.pen import BLUSH, LEAF, PAPER, Pen, mix


def fish(p: Pen) -> None:
    """Swimming, with a forked tail and fins."""
    p.polygon([(30, 50), (0, 16), (8, 50), (0, 84)], p.dark)
    p.blob([(46, 20), (66, 0), (92, 10), (88, 26)], p.dark)
    p.blob([(56, 80), (66, 98), (80, 92), (78, 78)], p.dark)
    p.blob([(22, 50), (44, 24), (82, 14), (116, 30), (130, 52), (114, 74), (80, 86), (44, 76)], p.main)
    for x in (58, 80):
        p.line([(x, 26), (x + 8, 50), (x, 76)], 6, p.light)
    p.eye(110, 42, 5.5)
    p.blob([(84, 52), (72, 50), (66, 62), (76, 68)], p.dark)


def whale(p: Pen) -> None:
    """Swimming, with a pale belly and raised flukes."""
    p.blob([(20, 46), (2, 32), (0, 14), (14, 18), (22, 26), (32, 14), (44, 14), (40, 30), (30, 46)], p.main)
    p.blob(
        [(22, 42), (40, 56), (64, 46), (90, 24), (124, 20), (150, 42), (152, 70), (130, 92), (88, 98), (48, 84)], p.main
    )
    p.blob([(70, 90), (106, 78), (151, 66), (144, 84), (124, 95), (92, 99)], PAPER)
    p.blob([(90, 72), (106, 72), (98, 94), (80, 96)], p.dark)
    p.eye(130, 56, 3.6)


def turtle(p: Pen) -> None:
    """Swimming, with a domed, patterned shell."""
    skin = mix(LEAF, PAPER, 0.25)
    p.blob([(34, 74), (50, 76), (36, 98), (20, 98)], skin)
    p.blob([(84, 74), (100, 72), (112, 94), (98, 99)], skin)
    p.polygon([(4, 72), (24, 62), (22, 76)], skin)
    p.ellipse(102, 36, 138, 70, skin)
    p.blob([(12, 74), (22, 40), (46, 18), (76, 16), (100, 38), (110, 72), (80, 80), (40, 80)], p.main)
    for x, y in ((42, 44), (66, 34), (86, 50), (60, 60), (34, 64)):
        p.circle(x, y, 9, p.light)
    p.box(10, 70, 112, 80, p.dark, 5)
    p.eye(126, 49, 3.4)


def octopus(p: Pen) -> None:
    """With a round head and curling arms."""
    for dx in (-1, 1):
        for reach, drop in ((16, 94), (32, 90), (46, 78)):
            x = 50 + dx * reach
            p.line([(50 + dx * reach * 0.4, 56), (x, drop - 12), (x + dx * 2, drop), (x - dx * 7, drop + 2)], 9, p.main)
    p.ellipse(18, 0, 82, 68, p.main)
    p.eye(38, 40, 6)
    p.eye(62, 40, 6)
    p.line([(42, 54), (50, 58), (58, 54)], 3, p.dark)
    for x, y, radius in ((34, 14, 5), (48, 9, 3.5), (66, 16, 4.5)):
        p.circle(x, y, radius, p.light)


def jellyfish(p: Pen) -> None:
    """A bell with trailing threads."""
    for i, x in enumerate((14, 25, 36, 47, 58)):
        tail = 92 if i % 2 else 80
        p.line([(x + 3 * sin(k * 0.9 + i), 42 + (tail - 42) * k / 7) for k in range(8)], 4.5, p.light)
    p.dome(2, 2, 70, 44, p.main)
    for x in (2, 19, 36, 53):
        p.ellipse(x, 36, x + 17, 52, p.main)
    p.dome(14, 12, 40, 26, p.light)
    p.eye(28, 32, 3)
    p.eye(46, 32, 3)


def crab(p: Pen) -> None:
    """With two raised claws."""
    for side in (-1, 1):
        for reach, y in ((44, 84), (40, 94), (32, 99)):
            p.line([(70 + side * 22, 70), (70 + side * reach, y - 14), (70 + side * (reach + 6), y - 2)], 5, p.dark)
        p.line([(70 + side * 34, 58), (70 + side * 50, 46), (70 + side * 52, 34)], 8, p.dark)
        p.circle(70 + side * 53, 20, 16, p.main)
        p.polygon([(70 + side * 53, 22), (70 + side * 46, 0), (70 + side * 62, 0)], PAPER)
        p.line([(70 + side * 12, 50), (70 + side * 12, 32)], 4, p.dark)
        p.eye(70 + side * 12, 28, 5)
    p.ellipse(26, 42, 114, 92, p.main)
    p.line([(56, 72), (70, 78), (84, 72)], 3.5, p.dark)


def starfish(p: Pen) -> None:
    """Five round arms."""
    corners = [
        (52 + (50 if i % 2 == 0 else 24) * sin(i * pi / 5), 53 - (52 if i % 2 == 0 else 24) * cos(i * pi / 5))
        for i in range(10)
    ]
    p.blob(corners, p.main)
    for i in range(0, 10, 2):
        p.circle(52 + 26 * sin(i * pi / 5), 53 - 26 * cos(i * pi / 5), 4, p.light)
    p.eye(44, 48, 3.5)
    p.eye(60, 48, 3.5)
    p.circle(40, 57, 3, BLUSH)
    p.circle(64, 57, 3, BLUSH)


SEA_CREATURES: dict[str, Callable[[Pen], None]] = {
    draw.__name__: draw for draw in (fish, whale, turtle, octopus, jellyfish, crab, starfish)
}
