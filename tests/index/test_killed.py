"""A build that is killed leaves the former index whole, and the next one ends as if nothing had happened."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossmodal.errors import IndexStoreError
from crossmodal.index import Progress, build_index, open_index
from crossmodal.index.catalogue.rows import Facts, Stamp
from crossmodal.index.journal import Journal, Outcome, remove_journal
from crossmodal.index.manifest import read_manifest
from crossmodal.search.searcher import Searcher
from tests.fakes import FakeEncoder, contents, paint, paint_many

ROOT = Path(__file__).resolve().parents[2]


class Killed(BaseException):
    """Stands for a process that ends here."""


def test_at_every_write_the_former_index_stays_and_the_next_run_ends_as_if_unbroken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    captions = paint_many(tmp_path / "photos", 4)
    former, unbroken, index = (tmp_path / name for name in ("former", "unbroken", "index"))
    build_index(tmp_path / "photos", captions, FakeEncoder(crowded=True), former, batch_size=4)
    old = contents(open_index(former))
    captions = paint_many(tmp_path / "photos", 10)
    shutil.copytree(former, unbroken)
    build_index(tmp_path / "photos", captions, FakeEncoder(crowded=True), unbroken, batch_size=4)
    new = contents(open_index(unbroken))
    seen, moment, finished = set(), 0, False
    while not finished:
        moment += 1
        shutil.copytree(former, index)
        finished = build_until(moment, monkeypatch, tmp_path / "photos", captions, index)
        now = contents(open_index(index))
        seen.add("old" if now == old else "new" if now == new else "neither")
        build_index(tmp_path / "photos", captions, FakeEncoder(crowded=True), index, batch_size=4)
        assert contents(open_index(index)) == new
        names = {entry.name.split("-")[0] for entry in index.iterdir()}
        assert names == {".crossmodal", ".lock", "generation", "manifest.json"}
        assert len(list(index.glob("generation-*"))) == 1
        shutil.rmtree(index)
    assert seen == {"old", "new"}
    assert moment > 50


def build_until(moment: int, monkeypatch: pytest.MonkeyPatch, photos: Path, captions: Path, index: Path) -> bool:
    """Build, and end at the nth write that must reach the disk; True if the build came through before."""
    left = moment

    def deadly(work: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if not left:
                raise Killed
            return work(*arguments, **options)

        return run

    with monkeypatch.context() as patch:
        for module, name in ((os, "fsync"), (os, "replace"), (os, "truncate"), (shutil, "rmtree"), (Path, "unlink")):
            patch.setattr(module, name, deadly(getattr(module, name)))
        patch.setattr("crossmodal.index.catalogue.database.sqlite3.connect", deadly_connections(deadly))
        try:
            build_index(photos, captions, FakeEncoder(crowded=True), index, batch_size=4)
        except Killed:
            return False
    return True


def deadly_connections(deadly: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Callable[..., Any]:
    """What opens databases each of whose transactions may end before it begins, midway, or before it counts."""
    connect, write = sqlite3.connect, deadly(lambda: None)

    class Connection(sqlite3.Connection):
        def execute(self, query: str, *values: Any) -> Any:
            if query in ("BEGIN", "COMMIT"):
                write()
            return super().execute(query, *values)

        def executemany(self, query: str, rows: Any) -> Any:
            found = super().executemany(query, rows)
            write()
            return found

        def executescript(self, script: str) -> Any:
            write()
            return super().executescript(script)

        def __exit__(self, *error: Any) -> Any:
            write()  # before what was done counts
            return super().__exit__(*error)

    return lambda *arguments, **options: connect(*arguments, factory=Connection, **options)


def test_by_sigkill_twice_the_result_is_that_of_an_unbroken_build(tmp_path: Path) -> None:
    captions = paint_many(tmp_path / "photos", 64)
    build_index(tmp_path / "photos", captions, FakeEncoder(crowded=True), tmp_path / "unbroken", batch_size=4)
    code = (
        "import sys; from pathlib import Path; from crossmodal.index import build_index; "
        "from tests.fakes import FakeEncoder; photos, captions, index = map(Path, sys.argv[1:]); "
        "build_index(photos, captions, FakeEncoder(crowded=True, pause=0.05), index, batch_size=4)"
    )
    arguments = [str(path) for path in (tmp_path / "photos", captions, tmp_path / "index")]
    for size in (768, 2_304):  # a unit of 4 vectors of 16 numbers takes 256 bytes
        process = subprocess.Popen([sys.executable, "-c", code, *arguments], cwd=ROOT)
        wait_for_journal(process, tmp_path / "index" / "building", size)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    encoder = FakeEncoder(crowded=True)
    report = build_index(tmp_path / "photos", captions, encoder, tmp_path / "index", batch_size=4)
    assert contents(open_index(tmp_path / "index")) == contents(open_index(tmp_path / "unbroken"))
    assert report.embedded == 64
    assert 0 < encoder.pictures <= 64 - 8 * 4


def test_a_folder_that_changed_since_the_kill_keeps_what_was_embedded(tmp_path: Path) -> None:
    captions = paint_many(tmp_path / "photos", 16)
    encoder = FakeEncoder()
    with pytest.raises(Killed):
        build_index(tmp_path / "photos", captions, encoder, tmp_path / "index", die_after(8), batch_size=4)
    with pytest.raises(IndexStoreError, match="is not finished: run"):
        open_index(tmp_path / "index")
    paint(tmp_path / "photos" / "aaa.png", "white")
    report = build_index(tmp_path / "photos", captions, encoder, tmp_path / "index", batch_size=4)
    assert (report.indexed, encoder.pictures) == (17, 17)


def test_a_picture_changed_since_the_kill_is_read_again(tmp_path: Path) -> None:
    captions = paint_many(tmp_path / "photos", 16)
    with pytest.raises(Killed):
        build_index(tmp_path / "photos", captions, FakeEncoder(), tmp_path / "index", die_after(8), batch_size=4)
    paint(tmp_path / "photos" / "000.png", "white")
    build_index(tmp_path / "photos", captions, FakeEncoder(), tmp_path / "index", batch_size=4)
    build_index(tmp_path / "photos", captions, FakeEncoder(), tmp_path / "unbroken", batch_size=4)
    assert contents(open_index(tmp_path / "index")) == contents(open_index(tmp_path / "unbroken"))


def test_what_a_killed_build_was_given_and_this_one_is_not_is_embedded(tmp_path: Path) -> None:
    captions = paint_many(tmp_path / "photos", 16)
    build_index(tmp_path / "photos", captions, FakeEncoder(), tmp_path / "unbroken", batch_size=4)
    unbroken = open_index(tmp_path / "unbroken")
    hashes = [picture.sha256 for picture in unbroken.catalogue.pictures]
    given = dict(zip(hashes[::4], unbroken.image_vectors[::4], strict=True))  # of each unit, since any may come first
    index, encoder = tmp_path / "index", FakeEncoder()
    with pytest.raises(Killed):
        build_index(tmp_path / "photos", captions, FakeEncoder(), index, die_after(12), 4, given=(given, {}))
    with pytest.raises(Killed):
        build_index(tmp_path / "photos", captions, encoder, index, die_after(16), 4)
    assert encoder.pictures == 16  # three units relied on what was given, and one was not begun
    steps: list[Progress] = []
    build_index(tmp_path / "photos", captions, encoder, index, steps.append, 4)
    assert (encoder.pictures, steps[0].done) == (16, 16)
    assert contents(open_index(index)) == contents(unbroken)


def test_a_journal_of_another_checkpoint_is_thrown_away(tmp_path: Path) -> None:
    captions = paint_many(tmp_path / "photos", 16)
    with pytest.raises(Killed):
        build_index(
            tmp_path / "photos", captions, FakeEncoder("a" * 64), tmp_path / "index", die_after(8), batch_size=4
        )
    encoder = FakeEncoder("b" * 64)
    build_index(tmp_path / "photos", captions, encoder, tmp_path / "index", batch_size=4)
    assert encoder.pictures == 16


def test_an_open_index_outlives_its_files(tmp_path: Path) -> None:
    captions = paint_many(tmp_path / "photos", 9)
    paint(tmp_path / "photos" / "blue.png", "blue")
    build_index(tmp_path / "photos", captions, FakeEncoder(), tmp_path / "index")
    searcher = Searcher(open_index(tmp_path / "index"), FakeEncoder())
    (tmp_path / "photos" / "blue.png").unlink()
    build_index(tmp_path / "photos", captions, FakeEncoder(), tmp_path / "index")
    assert [hit.path for hit in searcher.search("blue", k=1)] == ["blue.png"]


def test_an_index_published_while_it_is_opened_is_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    captions = paint_many(tmp_path / "photos", 3)
    build_index(tmp_path / "photos", captions, FakeEncoder(), tmp_path / "index")
    stale = [read_manifest(tmp_path / "index")]
    (tmp_path / "photos" / "000.png").unlink()
    build_index(tmp_path / "photos", captions, FakeEncoder(), tmp_path / "index")
    monkeypatch.setattr(
        "crossmodal.index.store.read_manifest", lambda path, _: stale.pop() if stale else read_manifest(path)
    )
    assert len(open_index(tmp_path / "index").catalogue.pictures) == 2


class TestJournal:
    STAMPS = tuple(Stamp(name, 1, 2) for name in "abc")

    def opened(self, folder: Path, fingerprint: str = "a") -> Journal:
        journal = Journal(folder, {"fingerprint": fingerprint}, 2)
        journal.begin("picture", [b"a plan"])
        journal.begin("caption", [b"another"])
        return journal

    def written(self, folder: Path) -> Path:
        """Two units of pictures, of which the second has a twin of the first, and one of captions."""
        journal = self.opened(folder)
        torn, first = Outcome("", "torn"), Outcome("x", embedded=True, facts=Facts(4, 3))
        journal.add_pictures(2, self.STAMPS[2:], [Outcome("x", embedded=True)], np.array([[3, 4]], dtype=np.float32))
        journal.add_pictures(0, self.STAMPS[:2], [first, torn], np.array([[1, 2]], dtype=np.float32))
        journal.add_captions(["a text", "\ud800"], np.array([[5, 6], [7, 8]], dtype=np.float32))
        journal.close()
        return folder

    def test_it_remembers_outcomes_and_vectors(self, tmp_path: Path) -> None:
        with closing(self.opened(self.written(tmp_path))) as journal:
            assert [journal.outcome(stamp) for stamp in self.STAMPS] == [
                Outcome("x", "", True, Facts(4, 3)), Outcome("", "torn"), Outcome("x", "", True),
            ]  # fmt: skip
            assert journal.outcome(Stamp("a", 1, 3)) is None
            assert [block.tolist() for block in journal.gather("caption", ["\ud800", "a text"], {})] == [
                [[7, 8], [5, 6]]
            ]

    def test_twins_have_the_vector_of_the_first_of_them_whichever_was_done_first(self, tmp_path: Path) -> None:
        with closing(self.opened(self.written(tmp_path))) as journal:
            assert next(journal.gather("picture", ["x", "x"], {})).tolist() == [[1, 2], [1, 2]]

    def test_what_is_known_is_taken_from_there(self, tmp_path: Path) -> None:
        with closing(self.opened(self.written(tmp_path))) as journal:
            known = {"x": np.array([9, 9], dtype=np.float32)}
            assert next(journal.gather("picture", ["x"], known)).tolist() == [[9, 9]]

    def test_vectors_of_another_plan_are_at_hand_and_not_of_this_one(self, tmp_path: Path) -> None:
        with closing(self.opened(self.written(tmp_path))) as journal:
            assert dict(journal.earlier("picture")) == {}
            journal.begin("picture", [b"a changed folder"])
            assert journal.earlier("picture")["x"].tolist() == [1, 2]
            outcome = journal.outcome(self.STAMPS[0])
            assert outcome is not None
            assert not outcome.embedded

    def test_other_settings_start_over(self, tmp_path: Path) -> None:
        with closing(self.opened(self.written(tmp_path), "b")) as journal:
            assert (journal.outcome(self.STAMPS[0]), journal.holds("caption", "a text")) == (None, False)
            assert (tmp_path / "vectors.f32").stat().st_size == 0

    def test_vectors_without_rows_are_cut_off(self, tmp_path: Path) -> None:
        with (self.written(tmp_path) / "vectors.f32").open("ab") as file:
            file.write(b"a unit that was not recorded")
        with closing(self.opened(tmp_path)) as journal:
            journal.add_captions(["new"], np.array([[0, 1]], dtype=np.float32))
            assert next(journal.gather("caption", ["new", "a text"], {})).tolist() == [[0, 1], [5, 6]]

    def test_rows_without_vectors_start_over(self, tmp_path: Path) -> None:
        os.truncate(self.written(tmp_path) / "vectors.f32", 12)
        with closing(self.opened(tmp_path)) as journal:
            assert journal.outcome(self.STAMPS[0]) is None

    def test_a_damaged_one_starts_over(self, tmp_path: Path) -> None:
        (self.written(tmp_path) / "journal.sqlite").write_bytes(b"SQLite format 3\0 but not really")
        with closing(self.opened(tmp_path)) as journal:
            assert journal.outcome(self.STAMPS[0]) is None

    def test_what_an_earlier_version_left_is_removed(self, tmp_path: Path) -> None:
        (tmp_path / "pictures-0123456789abcdef.journal").write_bytes(b"x")
        self.written(tmp_path)
        remove_journal(tmp_path)
        assert not tmp_path.exists()


def die_after(done: int) -> Callable[[Progress], None]:
    """A progress callback that ends the build once so many pictures are embedded."""

    def callback(step: Progress) -> None:
        if step.stage == "pictures" and step.done >= done:
            raise Killed

    return callback


def wait_for_journal(process: subprocess.Popen[bytes], folder: Path, size: int) -> None:
    """Wait until the vectors of a build under way take so many bytes."""
    deadline = time.monotonic() + 60
    vectors = folder / "vectors.f32"
    while not vectors.exists() or vectors.stat().st_size < size:
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"the build ended ({process.returncode}) before its journal had {size} bytes")
        time.sleep(0.005)
