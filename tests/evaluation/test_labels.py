from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, tensor

from crossmodal.datasets.sources import Words
from crossmodal.evaluation.labels import class_report, label_report

# the forms stand along the axes, so a picture's numbers are its cosines with them
FORMS = Words(
    texts=("one", "eins", "uno", "two", "zwei", "dos"),
    ids=([2], [3], [4], [5], [6], [7]),
    labels=np.array([0, 0, 0, 1, 1, 1]),
    withheld=np.array([False, False, True, False, False, True]),
)
PICTURES = tensor(
    [
        [0.9, 0.8, 0.1, 0.0, 0.2, 0.3],
        [0.5, 0.6, 0.7, 0.8, 0.1, 0.2],  # a one that "two" is nearest to
        [0.1, 0.0, 0.9, 0.7, 0.6, 0.5],
        [0.2, 0.1, 0.0, 0.9, 0.6, 0.8],
    ]
)
DIGITS = tensor([0, 0, 1, 1])


def centres(count: int) -> Words:
    names = tuple(map(str, range(count)))
    return Words(names, tuple([number] for number in range(count)), np.arange(count), np.zeros(count, np.bool_))


def turned(*degrees: float) -> Tensor:
    return tensor([[math.cos(math.radians(angle)), math.sin(math.radians(angle))] for angle in degrees])


def test_seen_and_withheld_forms_are_two_galleries():
    report = label_report(PICTURES, DIGITS, torch.eye(6), FORMS, {"split": "s"})
    assert report.values == {
        "retrieval, seen forms (%)": 75.0,
        "true cosine, seen forms": 0.7,
        "false cosine, seen forms": 0.1875,
        "retrieval, withheld forms (%)": 50.0,
        "true cosine, withheld forms": 0.525,
        "false cosine, withheld forms": 0.35,
        "least true cosine of a seen form": 0.6,
        "greatest false cosine of a seen form": 0.4,
        "least true cosine of a withheld form": 0.4,
        "greatest false cosine of a withheld form": 0.45,
    }
    assert report.score == 75.0
    assert report.warnings == ()
    assert report.curves == pytest.approx({"retrieval": 75.0, "true cosine": 70.0, "false cosine": 18.75})
    assert (report.protocol["split"], report.protocol["forms"]) == ("s", "4 seen, 2 withheld")


def test_each_form_has_its_row():
    rows = {row["form"]: row for row in label_report(PICTURES, DIGITS, torch.eye(6), FORMS, {}).rows}
    assert rows["two"] == {
        "form": "two",
        "label": 1,
        "withheld": False,
        "true cosine": 0.8,
        "false cosine": 0.4,
        "found first (%)": 50.0,  # its two first pictures are a one and a two
    }
    assert [rows[form]["found first (%)"] for form in ("one", "eins", "uno", "zwei", "dos")] == [100, 100, 50, 100, 100]
    assert [form for form, row in rows.items() if row["withheld"]] == ["uno", "dos"]


def test_without_withheld_forms_nothing_is_said_of_them():
    report = label_report(turned(0, 90), tensor([0, 1]), torch.eye(2), centres(2), {})
    assert not [name for name in report.values if "withheld" in name]
    assert report.values["false cosine, seen forms"] == 0


def test_a_collapsed_model_is_warned_of_and_scores_like_chance():
    same = torch.nn.functional.normalize(torch.ones(50, 4), dim=1)
    report = label_report(same, torch.arange(50) % 10, same[:10], centres(10), {})
    assert report.score == 10.0
    assert report.values["true cosine, seen forms"] == report.values["false cosine, seen forms"] == 1.0
    (warning,) = report.warnings
    assert "collapse" in warning
    assert "0.000 apart" in warning


def test_class_numbers_by_hand():
    image = turned(0, 60, 90, 90)  # the second is of class 0, but 30 degrees from centre 1
    report = class_report(image, DIGITS, torch.eye(2), centres(2), {"split": "s"})
    assert report.values == {
        "accuracy (%)": 75.0,
        "precision@10 (%)": 33.3333,  # of three other pictures one is of its class
        "cosine within a class": 0.75,  # 60 degrees and 0 degrees
        "cosine across classes": 0.433,  # 90, 90, 30 and 30 degrees
    }
    assert report.score == 75.0
    assert (report.protocol["pictures"], report.protocol["classes"]) == (4, 2)


def test_a_class_is_named_by_its_label_not_by_its_row():
    words = Words(("b", "a"), ([2], [3]), np.array([1, 0]), np.zeros(2, np.bool_))
    assert class_report(turned(0, 90), tensor([1, 0]), torch.eye(2), words, {}).score == 100.0


def test_reconstruction_adds_its_cosine_less_its_error_to_the_score():
    image = turned(0, 0, 90, 90)
    report = class_report(image, DIGITS, torch.eye(2), centres(2), {}, drawn=(turned(60, 60, 90, 90), 0.25))
    assert report.score == pytest.approx(100 + 75 - 25)
    assert report.values["reconstruction cosine"] == 0.75
    assert report.values["reconstruction error"] == 0.25
    assert report.curves["reconstruction cosine"] == pytest.approx(75)


def test_forms_of_a_digit_that_no_picture_shows_are_left_out():
    words = Words(
        (*FORMS.texts, "three"), (*FORMS.ids, [8]), np.append(FORMS.labels, 2), np.append(FORMS.withheld, False)
    )
    image = torch.cat([PICTURES, torch.zeros(4, 1)], 1)
    report = label_report(image, DIGITS, torch.eye(7), words, {})
    assert [row["form"] for row in report.rows] == list(FORMS.texts)
    assert all(math.isfinite(value) for value in report.values.values())
