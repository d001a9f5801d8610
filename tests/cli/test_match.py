"""The commands `match` and `search --rerank`, `--plot`, with a judge that knows the strongest colour of a picture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossmodal.cli import main
from crossmodal.index import build_index
from tests.fakes import FakeEncoder, FakeScorer, paint

CAPTIONS = "image,caption\nred.png,a red thing\nblue.png,blue all over\ngreen.png,a green leaf\n"
Output = pytest.CaptureFixture[str]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The checkpoints that were opened as scorers."""
    paths: list[Path] = []
    monkeypatch.setattr("crossmodal.inference.pair_scorer.open_scorer", lambda path: paths.append(path) or FakeScorer())
    monkeypatch.setattr("crossmodal.inference.encoder.open_encoder", lambda _: FakeEncoder())
    return paths


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Four colours, three of them with a caption; purple is both red and blue."""
    for name, colour in {"red": "red", "blue": "blue", "green": "lime", "purple": "#7000ff"}.items():
        paint(tmp_path / "photos" / f"{name}.png", colour)
    (tmp_path / "captions.csv").write_text(CAPTIONS)
    encoder = FakeEncoder()
    encoder.path = tmp_path
    build_index(tmp_path / "photos", tmp_path / "captions.csv", encoder, tmp_path / "index")
    return tmp_path / "index"


def table(capsys: Output) -> list[list[str]]:
    return [line.split("\t") for line in capsys.readouterr().out.splitlines()]


@pytest.mark.usefixtures("opened")
def test_sentences_are_printed_with_their_probability_best_first(tmp_path: Path, capsys: Output):
    image = str(paint(tmp_path / "a.png", "red"))
    assert main(["match", "--image", image, "--text", "a blue one", "--text", "a red\none", "--checkpoint", "x"]) == 0
    assert table(capsys) == [["probability 0.9000", "'a red\\none'"], ["probability 0.1000", "a blue one"]]


def test_match_prints_json_and_opens_the_recipes_own_run_unless_told(
    tmp_path: Path, opened: list[Path], capsys: Output
):
    assert main(["match", "--image", str(paint(tmp_path / "a.png", "red")), "--text", "ein rotes, ré", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"probability": pytest.approx(0.1), "text": "ein rotes, ré"}]
    assert opened == [Path("runs/match/best")]


@pytest.mark.parametrize(
    ("image", "text", "message"), [("a.png", " ", "--text is empty"), ("none.png", "red", "none.png")]
)
@pytest.mark.usefixtures("opened")
def test_match_refuses_an_empty_sentence_and_an_absent_picture(
    tmp_path: Path, capsys: Output, image: str, text: str, message: str
):
    paint(tmp_path / "a.png", "red")
    assert main(["match", "--image", str(tmp_path / image), "--text", text]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err


def test_hits_are_ordered_again_by_probability_and_keep_their_cosine(index: Path, opened: list[Path], capsys: Output):
    assert main(["search", "red blue", "--index", str(index)]) == 0
    before = {row[3]: row[1] for row in table(capsys)}
    assert main(["search", "red blue", "--index", str(index), "--rerank", "judge"]) == 0
    rows = table(capsys)
    assert [next(iter(before)), rows[0][3]] == ["purple.png", "red.png"]
    assert [row[2] for row in rows] == ["0.9000", "0.1000", "0.1000", "0.1000"]
    assert {row[3]: row[1] for row in rows} == before
    assert opened == [Path("judge")]


@pytest.mark.usefixtures("opened")
def test_only_the_first_of_depth_are_ordered_again(index: Path, capsys: Output):
    words = ["search", "red blue", "--index", str(index)]  # purple comes first by cosine, red by probability
    assert main([*words, "--rerank", "x", "--depth", "2", "-k", "4"]) == 0
    rows = table(capsys)
    assert [row[0] for row in rows] == ["1", "2", "3", "4"]
    assert [len(row) for row in rows] == [4, 4, 3, 3]  # beyond depth the scorer said nothing
    assert main([*words, "--rerank", "x", "--depth", "4", "-k", "1", "--json"]) == 0
    (hit,) = json.loads(capsys.readouterr().out)
    assert (hit["path"], hit["probability"]) == ("red.png", pytest.approx(0.9))


@pytest.mark.parametrize("option", [["--depth", "0"], ["-k", "0"]])
@pytest.mark.usefixtures("opened")
def test_a_depth_below_one_is_refused(index: Path, option: list[str], capsys: Output):
    assert main(["search", "red", "--index", str(index), "--rerank", "x", *option]) == 2
    assert "must be at least 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("query", "panels"),
    [
        (["red"], 4),
        (["--image", "IMAGE"], 2),
        (["--image", "IMAGE", "--to", "images"], 5),
        (["red", "--to", "captions"], 3),
    ],
)
@pytest.mark.usefixtures("opened")
def test_every_search_can_be_drawn(
    index: Path, tmp_path: Path, query: list[str], panels: int, monkeypatch: pytest.MonkeyPatch
):
    sheets: list[int] = []
    from crossmodal import plots as figures

    save = figures.save_figure
    monkeypatch.setattr(figures, "save_figure", lambda sheet, path: (sheets.append(len(sheet.axes)), save(sheet, path)))
    image = str(tmp_path / "photos" / "red.png")
    asked = [image if word == "IMAGE" else word for word in query]
    assert main(["search", *asked, "--index", str(index), "--plot", str(tmp_path / "new" / "hits.png")]) == 0
    assert (tmp_path / "new" / "hits.png").read_bytes().startswith(b"\x89PNG")
    assert sheets == [panels]


@pytest.mark.usefixtures("opened")
def test_a_drawing_of_no_known_format_is_refused(index: Path, capsys: Output):
    assert main(["search", "red", "--index", str(index), "--plot", "hits.docx"]) == 2
    assert "hits.docx cannot be written: its suffix must be one of" in capsys.readouterr().err
