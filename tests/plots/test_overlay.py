"""Heat over a picture: true to its places, and even in its steps."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
from PIL import Image

from crossmodal.plots.overlay import colour, heat_picture, place_box, smooth, strongest

GREY = Image.new("RGB", (80, 60), (128, 128, 128))


def hue(rgb: tuple[int, int, int]) -> float:
    return 360 * colorsys.rgb_to_hsv(*(part / 255 for part in rgb))[0]


def test_each_place_has_its_own_value_at_its_middle():
    values = np.array([[1.0, -2.0], [0.0, 4.0]])
    drawn = smooth(values, 20, 40)
    assert [drawn[5, 10], drawn[5, 30], drawn[15, 10], drawn[15, 30]] == pytest.approx([1, -2, 0, 4], abs=0.1)
    assert drawn[0, 0] == 1
    assert drawn[-1, -1] == 4


def test_smoothing_makes_no_value_that_no_place_has():
    values = np.zeros((7, 7))
    values[3, 3] = 1
    drawn = smooth(values, 224, 224)
    assert drawn.min() == 0
    assert drawn.max() <= 1
    assert drawn[:64].max() == 0  # two rows up, nothing


def test_one_place_is_even_all_over():
    assert np.ptp(smooth(np.array([[0.3]]), 5, 6)) == 0


def test_what_speaks_for_is_orange_and_what_speaks_against_is_blue():
    heat = heat_picture(GREY, np.array([[1.0, -1.0]]), (0, 0, 80, 60), 1.0)
    assert hue(heat.getpixel((5, 30))) == pytest.approx(28, abs=15)
    assert hue(heat.getpixel((75, 30))) == pytest.approx(220, abs=15)


def test_no_share_has_no_colour():
    red, green, blue = heat_picture(GREY, np.zeros((2, 2)), (0, 0, 80, 60), 1.0).getpixel((40, 30))
    assert max(red, green, blue) - min(red, green, blue) <= 1


def test_what_the_model_did_not_see_is_dim_and_without_heat():
    heat = heat_picture(GREY, np.ones((2, 2)), (10, 0, 70, 60), 1.0)
    unseen, seen = heat.getpixel((4, 30)), heat.getpixel((40, 30))
    assert sum(unseen) < 0.6 * sum(seen)
    assert max(unseen) - min(unseen) <= 1
    assert heat.getpixel((75, 30)) == unseen


def test_a_share_beyond_the_limit_is_drawn_as_the_limit():
    beyond, at = (heat_picture(GREY, np.full((1, 1), share), (0, 0, 80, 60), 1.0) for share in (9.0, 1.0))
    assert beyond.tobytes() == at.tobytes()


def test_colours_of_equal_steps_are_as_far_apart_from_each_other():
    parts = [bytes.fromhex(colour(step)[1:]) for step in (0.25, 0.5, 0.75, 1.0)]
    oranges = [red - blue for red, _, blue in parts]
    assert oranges == sorted(oranges)
    assert np.diff(oranges).min() > 0.4 * np.diff(oranges).max()


def test_the_limit_of_a_heat_is_its_strongest_share_and_never_0():
    assert strongest(np.array([0.2, -0.5])) == 0.5
    assert strongest(np.zeros(3)) == 1.0


def test_a_place_lies_where_the_model_saw_it():
    assert place_box((0, 0), (7, 7), (0, 0, 70, 70)) == (0, 0, 10, 10)
    assert place_box((6, 3), (7, 7), (10, 0, 80, 70)) == (40, 60, 50, 70)
