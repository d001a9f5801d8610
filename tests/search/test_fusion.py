"""Words find pictures by captions and names, and every way together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crossmodal.cli import main
from crossmodal.errors import InputError
from crossmodal.index import build_index, open_index
from crossmodal.search.fusion import fuse
from crossmodal.search.query import Indexed, Term
from crossmodal.search.searcher import Searcher, SearchResult
from tests.fakes import FakeEncoder, paint

CAPTIONS = "image,caption\nred.png,a rose\nblue.png,the sky over a rose garden\nlime.png,a leaf\n"


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Three coloured pictures whose captions name no colour."""
    for colour in ("red", "blue", "lime"):
        paint(tmp_path / "photos" / f"{colour}.png", colour)
    (tmp_path / "captions.csv").write_text(CAPTIONS)
    build_index(tmp_path / "photos", tmp_path / "captions.csv", FakeEncoder(), tmp_path / "index")
    return tmp_path / "index"


def refuse() -> FakeEncoder:
    raise AssertionError("nothing is to be encoded")


def paths(result: SearchResult) -> list[str]:
    return [hit.path for hit in result]


def test_words_in_captions_and_names_are_found_without_the_encoder(index: Path) -> None:
    searcher = Searcher(open_index(index), refuse)
    assert paths(searcher.search("a rose", by="words")) == ["red.png", "blue.png"]
    assert paths(searcher.search("lime", by="words")) == ["lime.png"]
    assert paths(searcher.search("roses", 1, by="words", within=np.array([True, False, False]))) == ["blue.png"]
    assert not searcher.search("zebra", by="words").anything_here


def test_several_words_are_looked_for_together(index: Path) -> None:
    searcher = Searcher(open_index(index), refuse)
    assert paths(searcher.search("leaf", plus=["sky"], by="words")) == ["lime.png", "blue.png"]


@pytest.mark.parametrize("more", [{"minus": ["sky"]}, {"plus": [Term(Indexed("red.png"))]}])
def test_words_alone_take_no_pictures_and_nothing_away(index: Path, more: dict[str, list[str]]) -> None:
    with pytest.raises(InputError, match="by words finds words as they stand"):
        Searcher(open_index(index), refuse).search("rose", by="words", **more)


def test_all_fuses_what_pictures_captions_and_words_say(index: Path) -> None:
    searcher = Searcher(open_index(index), FakeEncoder())
    result = searcher.search("red sky", by="all")
    assert set(paths(result)[:2]) == {"red.png", "blue.png"}
    assert [hit.score for hit in result] == sorted((hit.score for hit in result), reverse=True)
    assert result.total == 3


def test_all_works_with_pictures_too_and_without_captions(index: Path, tmp_path: Path) -> None:
    build_index(tmp_path / "photos", None, FakeEncoder(), tmp_path / "bare")
    for folder in (index, tmp_path / "bare"):
        searcher = Searcher(open_index(folder), FakeEncoder())
        assert paths(searcher.search(Indexed("red.png"), 1, "images", by="all", own=True)) == ["red.png"]
        assert paths(searcher.search("blue", 1, by="all")) == ["blue.png"]


def test_ranks_alone_are_fused_and_equals_stand_by_row() -> None:
    rows, scores = fuse([np.array([7, 3]), np.array([3, 5]), np.array([], dtype=np.int64)])
    assert rows.tolist() == [3, 7, 5]
    assert scores == pytest.approx([1 / 12 + 1 / 11, 1 / 11, 1 / 12])
    assert fuse([np.array([2]), np.array([1])])[0].tolist() == [1, 2]


def test_the_shell_finds_words_without_loading_a_model(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("crossmodal.inference.encoder.open_encoder", refuse)
    checkpoint = ["--checkpoint", str(tmp_path)]
    assert main(["search", "rose", "--index", str(index), "--by", "words", *checkpoint]) == 0
    assert [line.split("\t")[-1] for line in capsys.readouterr().out.splitlines()] == ["red.png", "blue.png"]
    assert main(["search", "zebra", "--index", str(index), "--by", "words", *checkpoint]) == 0
    assert "no caption and no name of this gallery holds any of these words" in capsys.readouterr().err
