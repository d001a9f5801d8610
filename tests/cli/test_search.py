"""The command `search` with several terms."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossmodal import cli
from crossmodal.index import build_index, open_index
from crossmodal.search.searcher import Searcher
from tests.fakes import FakeEncoder, FakeScorer, paint

Output = pytest.CaptureFixture[str]
COLOURS = {"red": "red", "blue": "blue", "green": "lime", "yellow": "#ffff00", "purple": "#8000ff"}


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pictures of one colour, indexed beside it; red and blue have captions that say the opposite."""
    for name, colour in COLOURS.items():
        paint(tmp_path / "photos" / f"{name}.png", colour)
    (tmp_path / "captions.csv").write_text("image,caption\nred.png,a blue thing\nblue.png,a red thing\n")
    build_index(tmp_path / "photos", tmp_path / "captions.csv", FakeEncoder(), tmp_path / "index")
    searcher = Searcher(open_index(tmp_path / "index"), FakeEncoder())
    monkeypatch.setattr("crossmodal.search.searcher.open_searcher", lambda *_: searcher)
    return tmp_path / "photos"


def run(photos: Path, *arguments: str) -> int:
    return cli.main(["search", "--index", str(photos.parent / "index"), *arguments])


def test_terms_stand_on_stderr_and_hits_on_stdout(photos: Path, capsys: Output) -> None:
    picture = str(photos / "yellow.png")
    assert run(photos, "--image", picture, "--plus", "2:blue", "--minus", "0.5:red", "-k", "2") == 0
    said = capsys.readouterr()
    terms = [line.split("\t") for line in said.err.splitlines()]
    assert [(weight, name) for weight, _, name in terms] == [("+1", "yellow.png"), ("+2", "blue"), ("-0.5", "red")]
    assert [float(counted) > 0 for _, counted, _ in terms] == [True, True, False]
    assert [len(line.split("\t")) for line in said.out.splitlines()] == [3, 3]


def test_the_first_words_may_be_left_out(photos: Path, capsys: Output) -> None:
    assert run(photos, "--plus", f"@{photos / 'red.png'}", "--plus", "green", "-k", "1") == 0
    assert capsys.readouterr().out.endswith("\tyellow.png\n")
    assert run(photos, "--plus", "red", "-k", "1") == 0
    said = capsys.readouterr()
    assert (said.out.split("\t")[-1], said.err) == ("red.png\n", "")


def test_a_part_of_a_picture_is_a_term(photos: Path, capsys: Output) -> None:
    assert run(photos, "--plus", f"@{photos / 'blue.png'}#xywh=percent:0,0,50,50", "--to", "images", "-k", "1") == 0
    assert capsys.readouterr().out.endswith("\tblue.png\n")


def test_json_has_the_terms_and_shares_that_add_up(photos: Path, capsys: Output) -> None:
    assert run(photos, "red", "--plus", "0.5:blue", "--minus", "green", "--json", "-k", "3") == 0
    found = json.loads(capsys.readouterr().out)
    assert sorted(found) == ["hits", "terms", "total"]
    assert [(term["term"], term["weight"]) for term in found["terms"]] == [("red", 1), ("blue", 0.5), ("green", -1)]
    assert found["total"] == 5
    for hit in found["hits"]:
        assert sum(hit["shares"]) == pytest.approx(hit["score"], abs=1e-6)


def test_pictures_are_ranked_by_their_captions(photos: Path, capsys: Output) -> None:
    assert run(photos, "red", "--by", "captions", "--json") == 0
    assert [hit["path"] for hit in json.loads(capsys.readouterr().out)] == ["blue.png", "red.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--minus", "red"], "give at least one thing to look for"),
        (["red", "--plus", "0:blue"], "must be a finite number above 0, not 0"),
        (["red", "--minus", "inf:blue"], "must be a finite number above 0, not inf"),
        (["red", "--plus", "@nowhere.jpg"], "nowhere.jpg: file not found"),
        (["red", "--plus", "@x.jpg#xywh=percent:90,0,20,20"], "reaches beyond the picture"),
        (["red", "--plus", "@x.jpg#xywh=percent:0,0,0,20"], "has no area"),
        (["red", "--by", "both", "--to", "captions"], "by both is a way to rank pictures"),
    ],
)
def test_what_cannot_be_asked_is_said(photos: Path, arguments: list[str], message: str, capsys: Output) -> None:
    assert run(photos, *arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert message in said.err


def test_several_terms_are_drawn_and_cannot_be_re_ordered(
    photos: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossmodal.inference.pair_scorer.open_scorer", lambda _: FakeScorer())
    drawing = photos.parent / "hits.png"
    assert run(photos, "red", "--minus", "blue", "--plot", str(drawing)) == 0
    assert drawing.stat().st_size > 1000
    assert run(photos, "red", "--minus", "blue", "--rerank", "judge") == 2
    assert "cannot re-order a query of several terms" in capsys.readouterr().err
    assert run(photos, "--plus", "red", "--rerank", "judge", "-k", "1") == 0
    assert capsys.readouterr().out.endswith("\t0.9000\tred.png\n")
