"""The command `explain`, what it draws, and the benchmark of faithfulness."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from benchmarks import faithfulness
from crossmodal.cli import main
from crossmodal.datasets.records import Record
from crossmodal.inference.explain import APPROXIMATE, Explanation, explain, explain_images
from crossmodal.plots.drawings import explained_pair, explained_pictures
from crossmodal.plots.overlay import heat_picture
from tests.fakes import paint_many
from tests.inference.test_explain import make, transformer
from tests.plots.test_drawings import AWKWARD, rendered, words

Output = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exact checkpoint "a", an approximate one "cls", and pictures with captions."""
    folder = tmp_path_factory.mktemp("explain")
    make(folder / "a")
    make(folder / "cls", transformer("cls"))
    paint_many(folder / "photos", 3)
    return folder


def run(folder: Path, *options: str, checkpoint: str = "a") -> int:
    picture = str(folder / "photos" / "001.png")
    return main(["explain", "--checkpoint", str(folder / checkpoint), "--image", picture, *options])


def test_json_holds_a_row_a_word_and_adds_up(folder: Path, capsys: Output):
    assert run(folder, "--text", "two dogs run", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["words"] == ["two", "dogs", "run", "(start and end)"]
    assert [len(row) for row in found["matrix"]] == [16] * 4
    assert np.sum(found["matrix"]) + found["bias"] == pytest.approx(found["score"], abs=1e-5)
    assert (found["exact"], found["shape"], found["unread"]) == (True, [4, 4], "")


def test_the_printed_shares_stand_in_the_order_of_the_sentence_and_add_up(folder: Path, capsys: Output):
    assert run(folder, "--text", "two dogs \u202e " + "run " * 20) == 0
    score, _, *lines = capsys.readouterr().out.splitlines()
    rows = [line for line in lines if line[0] in "+-"]
    assert [row.split()[-1] for row in rows[:3]] == ["two", "dogs", "run"]
    assert rows[-1].endswith("(bias)")
    assert sum(float(row.split()[0]) for row in rows) == pytest.approx(float(score.split()[1]), abs=1e-3)
    assert any(line.startswith("not read, since the sentence is too long: run") for line in lines)
    assert lines[-5] == "places, in thousandths of the score"
    grid = [[int(number.replace("·", "0")) for number in line.split()] for line in lines[-4:]]
    places = float(score.split()[1]) - float(rows[-1].split()[0])
    assert np.array(grid).shape == (4, 4)
    assert np.sum(grid) == pytest.approx(1000 * places, abs=8)  # 16 roundings
    assert np.any(grid)


def test_an_approximation_says_so_and_has_no_bias(folder: Path, capsys: Output):
    assert run(folder, "--text", "a red car", checkpoint="cls") == 0
    shown = capsys.readouterr().out
    assert "Grad-CAM (approximate)" in shown
    assert "gradient × input" in shown
    assert "(bias)" not in shown


@pytest.mark.parametrize("asked", [("--text", "a red car"), ("--other", "PHOTO")])
@pytest.mark.parametrize("checkpoint", ["a", "cls"])
def test_an_explanation_is_drawn(folder: Path, tmp_path: Path, asked: tuple[str, str], checkpoint: str):
    option, value = asked
    value = str(folder / "photos" / "002.png") if value == "PHOTO" else value
    assert run(folder, option, value, "--plot", str(tmp_path / "out.png"), checkpoint=checkpoint) == 0
    with Image.open(tmp_path / "out.png") as drawn:
        assert np.asarray(drawn.convert("RGB")).std() > 5


def test_another_picture_gives_pairs_of_places(folder: Path, capsys: Output):
    assert run(folder, "--other", str(folder / "photos" / "002.png"), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert np.sum(found["matrix"]) + found["bias"] == pytest.approx(found["score"], abs=1e-5)
    assert run(folder, "--other", str(folder / "photos" / "002.png")) == 0
    shown = capsys.readouterr().out
    assert "first picture, in thousandths" in shown
    assert "second picture, in thousandths" in shown


def test_an_empty_sentence_is_an_error(folder: Path, capsys: Output):
    assert run(folder, "--text", " ") == 2
    assert "--text is empty" in capsys.readouterr().err


def test_every_word_has_its_share_above_its_own_heat(folder: Path):
    from crossmodal.inference.encoder import open_encoder

    picture = Image.new("RGB", (40, 30), "green")
    found = explain(open_encoder(folder / "a"), picture, "two dogs")
    figure = explained_pair(picture, found, "two dogs")
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == [f"{word}\n{share:+.3f}" for word, share in zip(found.words, found.word_shares, strict=True)]
    assert found.matrix is not None
    assert found.shape is not None
    limit = float(np.abs(found.matrix).max())  # one scale, so that words compare
    drawn = [axes.images[0].get_array() for axes in figure.axes if axes.get_title()]
    for heat, row in zip(drawn, found.matrix, strict=True):
        assert np.array_equal(heat, heat_picture(picture, row.reshape(found.shape), (0, 0, 40, 30), limit))
    assert not np.array_equal(drawn[0], drawn[1])


def explanation(names: list[str], exact: bool, places: bool = True) -> Explanation:
    matrix = np.linspace(-1, 1, 4 * len(names)).reshape(len(names), 4)
    return Explanation(
        score=0.5,
        words=tuple(names),
        spans=tuple((0, 1) for _ in names),
        shape=(2, 2) if places else None,
        exact=exact,
        method=APPROXIMATE,
        word_shares=matrix.sum(1),
        place_shares=matrix.sum(0) if places else None,
        matrix=matrix if exact else None,
        bias=0.1 if exact else None,
    )


@pytest.mark.parametrize(("exact", "places"), [(True, True), (False, True), (False, False)])
def test_awkward_and_many_words_are_drawn(exact: bool, places: bool):
    found = explanation(AWKWARD * 6, exact, places)
    figure = explained_pair(Image.new("RGB", (30, 20)), found, "$x^2$ كلب " * 50, dark=True)
    assert rendered(figure).startswith(b"\x89PNG")
    shown = " ".join(words(figure))
    assert ("30 of 54 words" in shown) == exact
    assert ("no heat" in shown) == (not places)
    assert ("approximate" in shown) or exact


def test_matching_places_have_the_same_number_in_both_pictures(folder: Path):
    from crossmodal.inference.encoder import open_encoder

    noise = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    pictures = [Image.fromarray(values) for values in noise]
    likeness = explain_images(open_encoder(folder / "a"), *pictures)
    figure = explained_pictures(*pictures, likeness)
    matches = likeness.matches(5)
    assert any(match.first != match.second for match in matches)
    for axes, places in zip(figure.axes, zip(*((m.first, m.second) for m in matches), strict=True), strict=False):
        assert [text.get_text() for text in axes.texts] == [str(number) for number in range(1, len(matches) + 1)]
        where = [(text.get_position()[1] // 16, text.get_position()[0] // 16) for text in axes.texts]
        assert where == list(places)


def test_a_curve_replaces_the_most_important_places_first():
    pixels, blank = np.full((3, 4, 4), 9, dtype=np.uint8), np.zeros((3, 4, 4), dtype=np.uint8)
    first, *_, last = faithfulness.curve_pictures(pixels, blank, np.array([3, 0, 1, 2]), (2, 2), 4)
    assert first[0].tolist() == [[9, 9, 9, 9], [9, 9, 9, 9], [9, 9, 0, 0], [9, 9, 0, 0]]
    assert last[0].tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [9, 9, 0, 0], [9, 9, 0, 0]]


def test_deleting_what_matters_first_has_the_smaller_area(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def brightness(pixels: np.ndarray) -> np.ndarray:
        return pixels.mean((1, 2, 3))[:, None] / 255

    halves = np.zeros((4, 4, 3), dtype=np.uint8)
    halves[:, :2] = 255
    Image.fromarray(halves).save(tmp_path / "halves.png")
    encoder = SimpleNamespace(
        preprocess=lambda image: np.asarray(image).transpose(2, 0, 1),
        encode_pixels=brightness,
        encode_texts=lambda texts: np.ones((len(texts), 1)),
    )
    shares = np.array([[1.0, 0.0], [0.0, 1.0]])  # the white half first, then the black one first
    monkeypatch.setattr(faithfulness, "importance", lambda *_: (shares, (1, 2)))
    record, generator = Record("halves.png", ("white",)), np.random.default_rng(0)
    found = faithfulness.areas(encoder, record, tmp_path, 2, generator)
    assert found[:, 0].tolist() == pytest.approx(
        [(0.5 / 2 + 0.25 + 0.5 / 2) / 2, (0.5 / 2 + 0.75 + 0.5 / 2) / 2], abs=2e-3
    )
    assert found[0, 1] > found[1, 1]


def test_the_benchmark_prints_one_table_with_intervals(folder: Path, capsys: Output):
    options = ["--checkpoint", str(folder / "a"), "--images", str(folder / "photos")]
    options += ["--captions", str(folder / "captions.csv"), "--count", "2", "--steps", "2"]
    assert faithfulness.main(options) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "2 photos, 2 steps" in lines[0]
    assert [line.split(" | ")[0].strip("| ") for line in lines[4:]] == [
        *faithfulness.METHODS,
        "exact shares − Grad-CAM",
        "exact shares − random order",
    ]
    options[1] = str(folder / "cls")
    assert faithfulness.main(options) == 2
    assert "no exact explanations" in capsys.readouterr().err
