"""Results as files: what a spreadsheet may be given, and what a ZIP may hold."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path

import pytest

from crossmodal.app.state import exports
from crossmodal.app.state.exports import Results, as_csv, as_json, as_zip, file_stem
from crossmodal.index import build_index, open_index
from crossmodal.search.query import Query, Term
from crossmodal.search.searcher import Searcher
from tests.app.frame import HOSTILE, ColourEncoder, jpeg

NAMES = ("=1+1.jpg", "@SUM(A1).jpg", "-2.jpg", "+3.jpg", " =4.jpg", "plain.jpg", "sub/plain.jpg", 'quote"d, comma.jpg')


@pytest.fixture
def results(tmp_path: Path) -> Results:
    folder = tmp_path / "hostile"
    for number, name in enumerate(NAMES):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(jpeg((200, 10 * number, 10)))
    captions = tmp_path / "captions.csv"
    with open(captions, "w", newline="") as file:
        csv.writer(file).writerows(
            [["image", "caption"], ["plain.jpg", '=HYPERLINK("x")'], ["-2.jpg", f"red {HOSTILE}"]]
        )
    build_index(folder, captions, ColourEncoder(), tmp_path / "index")
    searcher = Searcher(open_index(tmp_path / "index"), ColourEncoder())
    terms = (Term("=red"), Term("green", -0.5))
    return Results(searcher, terms, searcher.search(Query(terms), 20, "images"))


def test_no_cell_is_a_formula(results: Results):
    table = list(csv.reader(io.StringIO(as_csv(results).decode("utf-8-sig"), newline="")))
    assert table[0] == ["rank", "path", "score", "relevance", "captions", "share of =red", "share of minus green"]
    assert sorted(row[1].removeprefix("'") for row in table[1:]) == sorted(NAMES)
    for row in table[1:]:
        assert not row[1].lstrip().startswith(("=", "@", "+", "-"))
        assert not row[4].startswith(("=", "@", "+", "-"))
        assert float(row[5]) + float(row[6]) == pytest.approx(float(row[2]), abs=2e-6)


def test_json_has_terms_weights_captions_and_the_checkpoint(results: Results):
    content = json.loads(as_json(results))
    assert content["terms"] == [{"term": "=red", "weight": 1.0}, {"term": "green", "weight": -0.5}]
    assert content["checkpoint"]["name"] == "colours"
    assert {hit["path"]: hit["captions"] for hit in content["hits"]}["-2.jpg"] == [f"red {HOSTILE}"]


def test_a_zip_holds_the_pictures_under_names_that_every_system_takes(results: Results):
    with zipfile.ZipFile(io.BytesIO(as_zip(results))) as archive:
        names = archive.namelist()
        pictures = [name for name in names if name.startswith("pictures/")]
        assert len(pictures) == len(NAMES)
        assert all(name.count("/") == 1 and not set(name) & set('\\:*?"<>|') for name in pictures)
        first = results.hits[0]
        assert archive.read(pictures[0]) == results.searcher.image_path(first).read_bytes()
        assert archive.read("results.csv") == as_csv(results)


def test_what_a_zip_has_no_room_for_is_listed(results: Results, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exports, "MOST_PICTURES", 3)
    results.searcher.image_path(results.hits[1]).unlink()
    with zipfile.ZipFile(io.BytesIO(as_zip(results))) as archive:
        assert sum(name.startswith("pictures/") for name in archive.namelist()) == 3
        left_out = archive.read("left-out.txt").decode().splitlines()
    assert len(left_out) == len(NAMES) - 3
    assert sum("No such file" in line for line in left_out) == 1


def test_a_zip_keeps_to_its_bytes(results: Results, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exports, "MOST_BYTES", 1000)
    with zipfile.ZipFile(io.BytesIO(as_zip(results))) as archive:
        assert sum(item.file_size for item in archive.infolist() if item.filename.startswith("pictures/")) <= 1000


@pytest.mark.parametrize(
    ("question", "stem"), [("a dog", "a-dog"), ("../../etc", "etc"), ("مرحبا 🐶", "results"), ("", "results")]
)
def test_a_file_is_named_after_the_question(question: str, stem: str):
    assert file_stem(question) == stem
