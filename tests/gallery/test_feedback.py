"""Marks beside an index: what is kept, what follows from it, and what it is as a test set."""

from __future__ import annotations

import csv
import json
import threading
from pathlib import Path

import numpy as np
import pytest

from benchmarks import feedback as benchmark
from crossmodal.cli import main as crossmodal
from crossmodal.errors import IndexStoreError, InputError
from crossmodal.gallery.feedback import (
    BETA,
    GAMMA,
    Feedback,
    open_feedback,
    personal_test,
    query_key,
    query_of,
    read_marks,
    rocchio_terms,
    write_personal_test,
)
from crossmodal.index import build_index, open_index
from crossmodal.search.query import Box, Indexed, Query, Term, compose
from crossmodal.search.searcher import Searcher
from tests.fakes import FakeEncoder, paint_many

HOSTILE = '=1+1 <b>"quoted"</b>, مرحبا 🐶 ' + "x" * 10_000


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Thirty pictures from green to less green and redder, with two captions each."""
    captions = paint_many(tmp_path / "photos", 30)
    build_index(tmp_path / "photos", captions, FakeEncoder(), tmp_path / "index")
    return tmp_path / "index"


# -- keeping ----------------------------------------------------------------------------------------------------------


def test_the_last_mark_of_a_picture_counts_and_zero_takes_it_back(index: Path):
    feedback = open_feedback(index)
    for path, mark in (("a.png", 1), ("b.png", -1), ("a.png", -1), ("b.png", 0), ("c.png", 1)):
        feedback.mark("green", path, mark)
    assert feedback.marks("green") == {"a.png": -1, "c.png": 1}
    assert open_feedback(index).marks("  green ") == {"a.png": -1, "c.png": 1}
    assert feedback.marks("red") == {}
    assert len((index / "feedback.jsonl").read_text().splitlines()) == 5
    assert all(mark.at.endswith("Z") for mark in feedback.every())


def test_a_query_whose_marks_are_all_taken_back_is_gone(index: Path):
    feedback = open_feedback(index)
    feedback.mark("green", "a.png", 1)
    feedback.mark(HOSTILE, "a.png", 1)
    feedback.mark("green", "a.png", 0)
    assert feedback.queries() == (HOSTILE.strip(),)


def test_another_session_sees_what_was_marked_since(index: Path):
    first, second = open_feedback(index), open_feedback(index)
    assert second.queries() == ()
    first.mark("green", "a.png", 1)
    assert second.marks("green") == {"a.png": 1}


def test_many_threads_lose_no_mark(index: Path):
    def mark(thread: int) -> None:
        for number in range(10):
            Feedback(index).mark("green", f"{thread}-{number}.png", 1)

    threads = [threading.Thread(target=mark, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(open_feedback(index).marks("green")) == 40


def test_marks_survive_a_rebuilt_index(index: Path, tmp_path: Path):
    open_feedback(index).mark("green", "000.png", 1)
    (tmp_path / "photos" / "001.png").unlink()
    build_index(tmp_path / "photos", tmp_path / "captions.csv", FakeEncoder("e" * 64), index)
    assert open_feedback(index).marks("green") == {"000.png": 1}


def test_damaged_lines_are_left_out_and_a_cut_one_spoils_no_other(index: Path):
    feedback = open_feedback(index)
    feedback.mark("green", "a.png", 1)
    lines = [
        '{"query": 3}',
        "[]",
        '{"query": [{"words": "x", "weight": NaN}], "path": "a", "mark": 1, "at": ""}',
        '{"qu',
    ]
    with (index / "feedback.jsonl").open("a") as file:
        file.write("\n".join(lines))
    feedback.mark("green", "b.png", 1)
    assert feedback.marks("green") == {"a.png": 1, "b.png": 1}
    assert feedback.damaged == len(lines)


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [(("", "a", 1), "query is empty"), (("a", "", 1), "path of a picture"), (("a", "b", 2), "1, -1 or 0, not 2")],
)
def test_what_is_no_mark_is_refused(index: Path, arguments: tuple[str, str, int], wrong: str):
    with pytest.raises(InputError, match=wrong):
        open_feedback(index).mark(*arguments)


def test_no_index_no_marks(tmp_path: Path):
    with pytest.raises(IndexStoreError, match="there is no index"):
        open_feedback(tmp_path / "none")


# -- queries ----------------------------------------------------------------------------------------------------------


def test_a_plain_text_is_its_own_key():
    assert query_key("  a  dog ") == "a dog"
    assert query_of("a dog") == Query((Term("a dog"),))
    assert query_of("[{ is how I laugh").single == Term("[{ is how I laugh")


def test_a_composed_query_comes_back_from_its_key(index: Path):
    terms = (Term("a dog"), Term(Indexed("a/b.png"), -0.5, Box(0.1, 0.2, 0.3, 0.4)), Term(Indexed("c.png"), 2.0))
    key = query_key(Query(terms))
    assert query_of(key) == Query(terms)
    feedback = open_feedback(index)
    feedback.mark(key, "000.png", 1)
    assert feedback.queries() == (key,)
    assert query_key(query_of(key)) == key


def test_a_picture_from_elsewhere_cannot_be_kept():
    with pytest.raises(InputError, match="outside the index"):
        query_key(Query((Term(Path("elsewhere.png")),)))


# -- Rocchio ----------------------------------------------------------------------------------------------------------


def test_likes_and_dislikes_share_their_weights():
    terms = rocchio_terms(["a", "b"], ["c"])
    assert [(term.content, term.weight) for term in terms] == [
        (Indexed("a"), BETA / 2), (Indexed("b"), BETA / 2), (Indexed("c"), -GAMMA),
    ]  # fmt: skip
    assert rocchio_terms([], []) == ()


def test_marks_move_the_hits_and_the_shares_still_add_up(index: Path):
    searcher = Searcher(open_index(index), FakeEncoder())
    before = {hit.path: hit.score for hit in searcher.search("green", 30)}
    hits = searcher.search(compose("green", rocchio_terms(["029.png"], ["000.png"])), 30, own=True)
    after = {hit.path: hit.score for hit in hits}
    assert after["029.png"] - after["000.png"] > before["029.png"] - before["000.png"] + 0.05
    for hit in hits:
        assert hit.shares is not None
        assert sum(hit.shares) == pytest.approx(hit.score, abs=1e-6)


# -- the test set -----------------------------------------------------------------------------------------------------


@pytest.fixture
def marked(index: Path) -> Feedback:
    """For "green": one picture far down and its neighbours liked, the first one disliked, and one that is gone."""
    feedback = open_feedback(index)
    for path in ("027.png", "028.png", "029.png"):
        feedback.mark("green", path, 1)
    feedback.mark("green", "000.png", -1)
    feedback.mark("green", "gone.png", 1)
    feedback.mark("blue", "003.png", -1)
    return feedback


def test_each_liked_picture_is_found_by_the_other_marks_alone(marked: Feedback, index: Path):
    opened, encoder = open_index(index), FakeEncoder()
    test = personal_test(marked, opened, encoder)
    green, blue = test.asked
    assert (green.query, green.liked, green.disliked) == ("green", ("027.png", "028.png", "029.png"), ("000.png",))
    # by hand for the first: nobody else's mark left out of the gallery, its own mark left out of the query
    others = [row for path, row in opened.row_of.items() if path not in {"028.png", "029.png", "000.png"}]
    own = opened.row_of["027.png"]
    searcher = Searcher(opened, encoder)
    for query, rank in (
        (compose("green"), green.ranks_before[0]),
        (compose("green", rocchio_terms(["028.png", "029.png"], ["000.png"])), green.ranks_after[0]),
    ):
        scores = opened.image_vectors @ searcher.encode(query)
        assert rank == (scores[others] >= scores[own]).sum() - 1
    assert blue.recall() is None
    assert [mark.path for mark in test.gone] == ["gone.png"]


def test_a_query_for_a_picture_that_is_gone_is_left_out(index: Path):
    feedback = open_feedback(index)
    feedback.mark(query_key(Query((Term(Indexed("gone.png")),))), "000.png", 1)
    test = personal_test(feedback, open_index(index), FakeEncoder())
    assert (test.asked, [mark.path for mark in test.gone]) == ((), ["000.png"])
    assert test.recall() is None


def test_the_exported_file_is_read_back_as_marks(marked: Feedback, index: Path, tmp_path: Path):
    test = personal_test(marked, open_index(index), FakeEncoder())
    write_personal_test(test, tmp_path / "out" / "mine.json")
    root, marks = read_marks(tmp_path / "out" / "mine.json")
    assert root == (tmp_path / "photos").resolve()
    assert marks == {"green": {"027.png": 1, "028.png": 1, "029.png": 1, "000.png": -1}, "blue": {"003.png": -1}}
    content = json.loads((tmp_path / "out" / "mine.json").read_text())
    assert content["protocol"]["checkpoint"] == "fake " + "f" * 64
    assert content["recall@10 after"] == test.recall(after=True)


def test_the_table_has_a_row_a_mark(marked: Feedback, index: Path, tmp_path: Path):
    marked.mark(HOSTILE, "005.png", 1)
    write_personal_test(personal_test(marked, open_index(index), FakeEncoder()), tmp_path / "mine.csv")
    with (tmp_path / "mine.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["image"], row["mark"]) for row in rows][:4] == [
        ("027.png", "1"), ("028.png", "1"), ("029.png", "1"), ("000.png", "-1"),
    ]  # fmt: skip
    assert rows[-1]["query"] == f"'{HOSTILE.strip()}"  # text, and no formula


def test_files_that_hold_no_marks_say_what_to_name(index: Path, tmp_path: Path):
    (tmp_path / "other.json").write_text('{"queries": [3]}')
    with pytest.raises(InputError, match="no exported test set"):
        read_marks(tmp_path / "other.json")
    with pytest.raises(InputError, match="holds no marks yet"):
        read_marks(index)
    with pytest.raises(InputError, match=r"\.json or \.csv"):
        write_personal_test(personal_test(open_feedback(index), open_index(index), FakeEncoder()), tmp_path / "a.xlsx")


# -- the command and the benchmark ------------------------------------------------------------------------------------


def test_the_command_prints_and_exports(
    marked: Feedback, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    del marked
    monkeypatch.setattr("crossmodal.inference.encoder.open_encoder", lambda _: FakeEncoder())
    monkeypatch.setattr("crossmodal.search.searcher.recorded_checkpoint", lambda *_: tmp_path)
    assert crossmodal(["feedback", "--index", str(index), "--export", str(tmp_path / "mine.json")]) == 0
    out, err = capsys.readouterr()
    assert [line.split("\t")[-1] for line in out.splitlines()] == ["query", "green", "blue", "all"]
    assert out.splitlines()[2].split("\t")[:4] == ["0", "1", "–", "–"]
    assert "gone.png is not in the index any more" in err
    assert crossmodal(["feedback", "--index", str(index), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "mine.json").read_text())


def test_the_command_without_marks_says_where_to_give_them(index: Path, capsys: pytest.CaptureFixture[str]):
    assert crossmodal(["feedback", "--index", str(index)]) == 2
    assert "holds no marks yet" in capsys.readouterr().err


def test_the_benchmark_counts_unmarked_pictures_alone():
    """Of four pictures the second and the third are wanted; the first two are marked, so the third is what counts."""
    images = np.array([[1, 0, 0], [0.9, 0.43, 0], [0.5, 0.86, 0], [0.6, -0.8, 0]], dtype=np.float32)
    bank = benchmark.Bank("hand", images, images[:1], np.array([[False, True, True, False]]))
    (values,) = benchmark.found(bank, 2, [(1.0, 1.0)])[:, 0]
    assert values.tolist() == [0.1, 0.1, 1.0, 1.0]
    assert np.isnan(benchmark.found(bank, 3, [(1.0, 1.0)])).sum() == 0
    everything = benchmark.Bank("hand", images, images[:1], np.array([[True, False, False, False]]))
    assert np.isnan(benchmark.found(everything, 1, [(1.0, 1.0)])).all()
