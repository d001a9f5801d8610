"""How the animals of land and air look in generated scenes: one function a kind, facing right, drawn by a `Pen`."""

from __future__ import annotations

from collections.abc import Callable

from crossmodal.scenes.pen import GOLD, INK, PAPER, Pen, mix

PINK = (246, 178, 190)


def dog(p: Pen) -> None:
    """Standing, with a hanging ear and a raised tail."""
    p.line([(18, 52), (9, 42), (7, 28)], 7, p.main)
    for x in (30, 84):
        p.box(x, 62, x + 9, 99, p.dark, 4)
    for x in (18, 73):
        p.box(x, 60, x + 10, 100, p.main, 4)
    p.blob([(13, 55), (22, 44), (50, 45), (74, 38), (96, 46), (95, 64), (82, 75), (50, 70), (26, 75), (14, 68)], p.main)
    p.circle(88, 29, 20, p.main)
    p.blob([(92, 24), (108, 26), (114, 34), (108, 44), (92, 46)], p.light)
    p.ellipse(105, 25, 115, 34, INK)
    p.blob([(77, 9), (84, 16), (83, 36), (75, 46), (68, 38), (70, 18)], p.dark)
    p.eye(93, 24)
    p.line([(78, 47), (94, 50)], 5, (214, 70, 70))


def cat(p: Pen) -> None:
    """Sitting and looking at us, with pointed ears and a curled tail."""
    p.line([(52, 92), (70, 90), (73, 74), (66, 62)], 8, p.dark)
    p.blob([(36, 42), (54, 56), (60, 84), (54, 99), (18, 99), (12, 84), (18, 56)], p.main)
    p.polygon([(14, 28), (15, 0), (34, 14)], p.main)
    p.polygon([(58, 28), (57, 0), (38, 14)], p.main)
    p.polygon([(18, 20), (19, 8), (28, 14)], PINK)
    p.polygon([(54, 20), (53, 8), (44, 14)], PINK)
    p.ellipse(12, 9, 60, 50, p.main)
    p.ellipse(26, 32, 46, 48, p.light)
    p.ellipse(24, 58, 48, 96, p.light)
    p.ellipse(22, 90, 35, 100, p.main)
    p.ellipse(37, 90, 50, 100, p.main)
    p.eye(26, 28, 3.6)
    p.eye(46, 28, 3.6)
    p.polygon([(33, 35), (39, 35), (36, 39)], (226, 110, 120))
    for y in (37, 41):
        p.line([(22, y), (6, y - 2)], 1.2, p.dark)
        p.line([(50, y), (66, y - 2)], 1.2, p.dark)


def rabbit(p: Pen) -> None:
    """Sitting sideways, with two long ears and a round tail."""
    p.circle(12, 78, 10, PAPER if sum(p.main) < 690 else p.light)
    p.blob([(46, 50), (62, 66), (62, 92), (48, 99), (22, 99), (10, 88), (14, 66), (28, 52)], p.main)
    p.ellipse(14, 64, 44, 98, p.dark if sum(p.main) > 690 else p.light)
    p.ellipse(17, 66, 42, 97, p.main)
    p.blob([(42, 36), (36, 18), (38, 2), (46, 6), (51, 26), (50, 38)], p.dark)
    p.blob([(52, 36), (52, 16), (58, 0), (65, 6), (64, 26), (60, 38)], p.main)
    p.blob([(56, 32), (56, 18), (59, 6), (62, 10), (61, 26)], PINK)
    p.ellipse(38, 30, 76, 62, p.main)
    p.ellipse(20, 91, 46, 100, p.main)
    p.ellipse(50, 90, 68, 100, p.main)
    p.eye(61, 43, 3.4)
    p.circle(75, 48, 2.8, (226, 110, 120))
    p.circle(62, 53, 3.4, PINK)


def horse(p: Pen) -> None:
    """Standing, with a mane and a long tail."""
    mane = mix(p.main, INK, 0.55) if sum(p.main) > 250 else (120, 116, 128)
    p.blob([(16, 44), (6, 50), (3, 70), (8, 82), (13, 64), (18, 54)], mane)
    for x in (30, 78):
        p.polygon([(x, 60), (x + 10, 60), (x + 8, 97), (x + 2, 97)], p.dark)
        p.box(x + 1, 93, x + 9, 99, INK)
    for x in (17, 70):
        p.polygon([(x - 1, 58), (x + 12, 58), (x + 9, 97), (x + 2, 97)], p.main)
        p.box(x + 1, 94, x + 10, 100, INK)
    p.blob([(12, 50), (22, 41), (48, 46), (74, 40), (90, 48), (86, 64), (66, 70), (40, 68), (18, 66)], p.main)
    p.polygon([(68, 46), (84, 16), (100, 20), (92, 56), (80, 60)], p.main)
    p.blob([(66, 46), (74, 24), (86, 6), (92, 12), (84, 24), (78, 44)], mane)
    p.polygon([(90, 14), (92, 1), (98, 12)], p.main)
    p.blob([(86, 12), (98, 10), (112, 26), (119, 36), (113, 43), (98, 34), (88, 30)], p.main)
    p.blob([(109, 30), (119, 36), (114, 43), (106, 39)], p.light)
    p.eye(99, 20, 2.6)
    p.circle(115, 36, 1.5, INK)


def cow(p: Pen) -> None:
    """Standing, patched, with horns and an udder."""
    patch = INK if sum(p.main) > 690 else PAPER
    p.line([(14, 42), (7, 54), (8, 70)], 3, p.dark)
    p.circle(8, 72, 4, INK)
    for x in (32, 84):
        p.box(x, 64, x + 10, 99, p.dark, 2)
    for x in (18, 72):
        p.box(x, 62, x + 11, 100, p.main, 2)
        p.box(x, 94, x + 11, 100, INK, 2)
    p.ellipse(42, 66, 62, 82, PINK)
    p.box(12, 33, 100, 74, p.main, 15)
    p.blob([(24, 34), (44, 34), (48, 48), (36, 56), (24, 48)], patch)
    p.blob([(58, 46), (74, 42), (80, 58), (68, 70), (56, 62)], patch)
    p.polygon([(92, 14), (88, 2), (98, 10)], (232, 214, 170))
    p.polygon([(114, 14), (120, 2), (110, 10)], (232, 214, 170))
    p.ellipse(78, 16, 94, 27, p.dark)
    p.ellipse(112, 16, 128, 27, p.dark)
    p.blob([(90, 14), (103, 9), (116, 14), (117, 34), (112, 52), (94, 52), (89, 34)], p.main)
    p.ellipse(89, 38, 117, 58, PINK)
    p.circle(98, 47, 2.2, INK)
    p.circle(108, 47, 2.2, INK)
    p.eye(97, 26, 2.8)
    p.eye(109, 26, 2.8)


def sheep(p: Pen) -> None:
    """Standing, woolly, with a dark face (a pale one if it is black)."""
    face = (72, 68, 78) if sum(p.main) > 300 else (214, 196, 180)
    for x in (30, 46, 74, 88):
        p.box(x, 66, x + 9, 100, face, 3)
    for x, y, radius in (
        *((20, 52, 18), (34, 34, 20), (58, 28, 22), (82, 34, 20), (92, 54, 18)),
        *((30, 64, 18), (54, 66, 20), (78, 66, 18), (56, 48, 30)),
    ):
        p.circle(x, y, radius, p.main)
    for x, y in ((36, 44), (56, 38), (48, 60), (70, 58), (28, 58)):
        p.ring(x, y, 8, 2, p.light)
    p.ellipse(80, 32, 95, 42, face)
    p.blob([(92, 26), (106, 24), (116, 36), (114, 52), (104, 58), (94, 50)], face)
    p.circle(94, 22, 10, p.main)
    p.circle(104, 19, 9, p.main)
    p.eye(105, 36, 3)


def pig(p: Pen) -> None:
    """Standing, round, with a snout and a curly tail."""
    p.ring(7, 44, 7, 3, p.dark)
    for x in (32, 84):
        p.box(x, 70, x + 11, 98, p.dark, 3)
    for x in (18, 70):
        p.box(x, 70, x + 12, 100, p.main, 3)
    p.ellipse(9, 18, 102, 86, p.main)
    p.ellipse(70, 12, 118, 64, p.main)
    p.polygon([(76, 22), (76, 4), (92, 14)], p.dark)
    p.polygon([(102, 15), (116, 6), (113, 24)], p.dark)
    p.ellipse(96, 36, 125, 60, p.light)
    p.ellipse(104, 43, 109, 53, p.dark)
    p.ellipse(113, 43, 118, 53, p.dark)
    p.eye(88, 32)
    p.eye(107, 29)


def hen(p: Pen) -> None:
    """Standing, with a red comb and a raised tail."""
    for x in (42, 56):
        p.line([(x, 80), (x, 97), (x + 8, 98)], 3.5, (236, 160, 50))
    p.blob([(2, 22), (16, 30), (30, 46), (24, 62), (10, 56)], p.dark)
    p.blob([(8, 40), (30, 48), (52, 46), (64, 26), (78, 28), (84, 50), (74, 76), (48, 87), (22, 76)], p.main)
    for x, y in ((66, 8), (73, 4), (80, 9)):
        p.circle(x, y, 5.5, (212, 54, 54))
    p.circle(73, 25, 16, p.main)
    p.polygon([(86, 20), (99, 27), (86, 31)], (240, 164, 50))
    p.ellipse(82, 31, 90, 43, (212, 54, 54))
    p.blob([(26, 52), (50, 50), (60, 62), (46, 74), (30, 68)], p.dark)
    p.eye(77, 22, 2.8)


def fox(p: Pen) -> None:
    """Sitting, with a white chest and a bushy, white-tipped tail."""
    p.blob([(20, 92), (4, 88), (0, 66), (8, 46), (20, 52), (24, 72), (34, 90)], p.main)
    p.blob([(2, 62), (8, 45), (18, 50), (18, 60), (10, 58)], PAPER)
    p.blob([(52, 46), (70, 60), (76, 86), (70, 99), (30, 99), (26, 84), (36, 58)], p.main)
    p.blob([(56, 50), (66, 62), (64, 84), (54, 92), (46, 78), (48, 60)], PAPER)
    p.box(42, 80, 51, 100, p.dark, 4)
    p.box(58, 80, 67, 100, p.dark, 4)
    p.polygon([(28, 30), (30, 0), (50, 14)], p.dark)
    p.polygon([(80, 30), (78, 0), (58, 14)], p.dark)
    p.polygon([(22, 30), (38, 12), (70, 12), (86, 30), (54, 58)], p.main)
    p.polygon([(22, 30), (44, 38), (54, 58)], PAPER)
    p.polygon([(86, 30), (64, 38), (54, 58)], PAPER)
    p.circle(54, 54, 4.5, INK)
    p.eye(43, 30, 3)
    p.eye(65, 30, 3)


def bear(p: Pen) -> None:
    """Sitting and looking at us, with round ears."""
    for x in (22, 68):
        p.circle(x, 12, 11, p.dark)
        p.circle(x, 12, 6, p.light)
    p.blob([(45, 40), (72, 52), (82, 80), (72, 98), (18, 98), (8, 80), (18, 52)], p.main)
    p.ellipse(26, 54, 64, 96, p.light)
    p.ellipse(4, 52, 24, 82, p.dark)
    p.ellipse(66, 52, 86, 82, p.dark)
    p.ellipse(6, 82, 34, 100, p.dark)
    p.ellipse(56, 82, 84, 100, p.dark)
    p.ellipse(14, 5, 76, 56, p.main)
    p.ellipse(31, 29, 59, 52, p.light)
    p.ellipse(39, 30, 51, 39, INK)
    p.eye(31, 24, 3.4)
    p.eye(59, 24, 3.4)


def penguin(p: Pen) -> None:
    """Standing, with a scarf in the colour of the group."""
    suit = (50, 54, 70)
    p.ellipse(14, 91, 34, 100, (242, 160, 50))
    p.ellipse(38, 91, 58, 100, (242, 160, 50))
    p.blob([(8, 46), (14, 44), (12, 70), (2, 78)], suit)
    p.blob([(64, 46), (58, 44), (60, 70), (70, 78)], suit)
    p.blob([(36, 1), (54, 10), (58, 32), (63, 60), (56, 90), (36, 97), (16, 90), (9, 60), (14, 32), (18, 10)], suit)
    p.ellipse(18, 42, 54, 94, PAPER)
    p.ellipse(17, 12, 37, 36, PAPER)
    p.ellipse(35, 12, 55, 36, PAPER)
    p.polygon([(30, 26), (42, 26), (36, 35)], (242, 160, 50))
    p.eye(28, 21, 2.6)
    p.eye(44, 21, 2.6)
    p.box(13, 37, 59, 48, p.main, 5)
    p.box(42, 42, 53, 66, p.dark, 3)


def duck(p: Pen) -> None:
    """Swimming or sitting, with an orange beak."""
    p.blob([(4, 46), (18, 54), (44, 52), (66, 44), (88, 56), (92, 78), (74, 98), (34, 99), (12, 82)], p.main)
    p.circle(76, 27, 24, p.main)
    p.blob([(94, 24), (108, 26), (118, 33), (108, 40), (93, 38)], (243, 152, 44))
    p.blob([(22, 62), (44, 60), (64, 66), (56, 84), (34, 84)], p.dark)
    p.eye(83, 21, 3.6)


def swan(p: Pen) -> None:
    """Swimming, with a long curved neck."""
    p.blob([(0, 52), (18, 58), (42, 50), (66, 60), (86, 66), (90, 82), (74, 98), (30, 99), (8, 80)], p.main)
    p.line([(80, 78), (90, 60), (82, 42), (74, 28), (76, 14), (88, 11)], 13, p.main)
    p.circle(88, 13, 10, p.main)
    p.polygon([(95, 8), (112, 18), (96, 20)], (243, 142, 44))
    p.circle(96, 12, 3, INK)
    p.blob([(8, 56), (34, 54), (60, 68), (48, 86), (24, 82)], p.light)
    p.eye(89, 11, 2)


def bird(p: Pen) -> None:
    """Flying, with both wings up."""
    p.polygon([(0, 62), (4, 82), (36, 70), (34, 58)], p.dark)
    p.blob([(52, 58), (34, 36), (30, 6), (50, 14), (68, 34), (72, 54)], p.dark)
    p.blob([(20, 66), (50, 52), (84, 44), (104, 48), (106, 66), (84, 86), (52, 88), (30, 78)], p.main)
    p.circle(100, 52, 17, p.main)
    p.polygon([(113, 46), (130, 54), (113, 60)], (244, 172, 52))
    p.blob([(58, 64), (44, 40), (48, 2), (66, 16), (82, 40), (84, 62)], p.light)
    p.eye(105, 48, 3.4)


def butterfly(p: Pen) -> None:
    """Seen from above, wings spread."""
    for side in (-1, 1):
        wing = [(56, 48), (64, 18), (84, 2), (104, 8), (108, 28), (94, 48), (72, 54)]
        low = [(56, 52), (76, 52), (96, 62), (96, 82), (82, 96), (66, 86), (58, 68)]
        p.blob([(55 + side * (x - 55), y) for x, y in wing], p.main)
        p.blob([(55 + side * (x - 55), y) for x, y in low], p.dark)
        p.circle(55 + side * 34, 24, 9, p.light)
        p.circle(55 + side * 28, 74, 7, p.light)
        p.line([(55, 26), (55 + side * 7, 12), (55 + side * 13, 6)], 2.2, INK)
    p.box(51, 24, 59, 86, INK, 4)


def owl(p: Pen) -> None:
    """Sitting upright, with big round eyes."""
    p.polygon([(10, 24), (8, 0), (34, 12)], p.dark)
    p.polygon([(62, 24), (64, 0), (38, 12)], p.dark)
    p.blob([(36, 6), (62, 16), (68, 50), (62, 86), (36, 98), (10, 86), (4, 50), (10, 16)], p.main)
    p.ellipse(18, 50, 54, 94, p.light)
    p.blob([(6, 46), (16, 52), (18, 76), (10, 84), (3, 66)], p.dark)
    p.blob([(66, 46), (56, 52), (54, 76), (62, 84), (69, 66)], p.dark)
    for x in (22, 50):
        p.circle(x, 31, 15, PAPER)
        p.circle(x, 31, 7.5, INK)
        p.circle(x + 2, 28, 2.5, PAPER)
        p.ellipse(x - 7, 92, x + 7, 100, (240, 160, 50))
    p.polygon([(31, 38), (41, 38), (36, 50)], (240, 160, 50))


def camel(p: Pen) -> None:
    """Standing, with two humps."""
    for x in (34, 80):
        p.polygon([(x, 60), (x + 9, 60), (x + 7, 99), (x + 2, 99)], p.dark)
    for x in (22, 70):
        p.polygon([(x, 58), (x + 11, 58), (x + 9, 100), (x + 2, 100)], p.main)
    p.line([(16, 52), (8, 66)], 3, p.dark)
    hump = [(14, 54), (24, 42), (30, 22), (38, 20), (48, 40), (56, 40), (62, 20), (70, 20), (80, 40), (88, 52)]
    p.blob([*hump, (82, 66), (50, 70), (20, 66)], p.main)
    p.line([(84, 56), (98, 54), (103, 36), (104, 18)], 11, p.main)
    p.blob([(98, 8), (108, 6), (122, 12), (126, 20), (118, 25), (102, 22)], p.main)
    p.polygon([(98, 10), (97, 1), (104, 6)], p.dark)
    p.eye(109, 12, 2.2)


def frog(p: Pen) -> None:
    """Sitting and looking at us, with eyes on top of its head."""
    p.ellipse(0, 62, 36, 98, p.dark)
    p.ellipse(74, 62, 110, 98, p.dark)
    p.blob([(55, 24), (86, 36), (96, 66), (80, 96), (30, 96), (14, 66), (24, 36)], p.main)
    p.ellipse(32, 60, 78, 96, p.light)
    for x in (34, 76):
        p.circle(x, 22, 17, p.main)
        p.eye(x, 20, 7)
        p.ellipse(x - 16, 90, x + 12, 100, p.main)
    p.line([(36, 52), (46, 57), (64, 57), (74, 52)], 3, p.dark)


def snail(p: Pen) -> None:
    """With a coiled shell and two feelers."""
    skin = (232, 196, 150)
    p.blob(
        [(2, 96), (30, 84), (76, 82), (88, 60), (86, 44), (100, 42), (108, 56), (102, 84), (84, 99), (20, 100)], skin
    )
    p.line([(92, 46), (86, 30)], 3, skin)
    p.line([(102, 46), (106, 30)], 3, skin)
    p.circle(86, 28, 4, INK)
    p.circle(106, 28, 4, INK)
    p.circle(46, 52, 38, p.main)
    p.ring(46, 54, 27, 5, p.dark)
    p.ring(48, 56, 14, 5, p.dark)
    p.circle(100, 60, 2, INK)


def bee(p: Pen) -> None:
    """Striped, with two wings."""
    p.ellipse(30, 0, 62, 52, (214, 232, 246))
    p.ellipse(54, 4, 82, 52, (232, 243, 250))
    p.ellipse(10, 34, 100, 98, p.main)
    for x in (34, 56):
        p.box(x, 36, x + 11, 96, INK, 4)
    p.circle(102, 62, 24, GOLD)
    p.eye(109, 56, 4)
    p.line([(100, 40), (106, 28)], 3, INK)
    p.line([(112, 42), (120, 32)], 3, INK)


CREATURES: dict[str, Callable[[Pen], None]] = {
    draw.__name__: draw
    for draw in (
        *(dog, cat, rabbit, horse, cow, sheep, pig, hen, fox, bear, penguin, duck, swan, bird, butterfly, owl, camel),
        *(frog, snail, bee),
    )
}
