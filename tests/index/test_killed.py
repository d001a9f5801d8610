"""A build that is killed leaves the former index whole, and the next one ends as if nothing had happened."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossmodal.errors import IndexStoreError
from crossmodal.index import Progress, build_index, open_index
from crossmodal.index.journal import Journal, Outcome
from crossmodal.index.manifest import read_manifest
from crossmodal.search.searcher import Searcher
from tests.fakes import FakeEncoder, contents, paint, paint_many

ROOT = Path(__file__).resolve().parents[2]


class Killed(BaseException):
    """Stands for a process that ends here."""


def test_at_every_write_the_former_index_stays_and_the_next_run_ends_as_if_unbroken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    captions = paint_many(tmp_path / "photos", 9)
    former, unbroken, index = (tmp_path / name for name in ("former", "unbroken", "index"))
    build_index(tmp_path / "photos", captions, FakeEncoder(crowded=True), former, batch_size=4)
    old = contents(open_index(former))
    captions = paint_many(tmp_path / "photos", 18)
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
    assert moment > 15


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
        for module, name in ((os, "fsync"), (os, "replace"), (shutil, "rmtree"), (Path, "unlink")):
            patch.setattr(module, name, deadly(getattr(module, name)))
        try:
            build_index(photos, captions, FakeEncoder(crowded=True), index, batch_size=4)
        except Killed:
            return False
    return True


def test_by_sigkill_twice_the_result_is_that_of_an_unbroken_build(tmp_path: Path) -> None:
    captions = paint_many(tmp_path / "photos", 64)
    build_index(tmp_path / "photos", captions, FakeEncoder(crowded=True), tmp_path / "unbroken", batch_size=4)
    code = (
        "import sys; from pathlib import Path; from crossmodal.index import build_index; "
        "from tests.fakes import FakeEncoder; photos, captions, index = map(Path, sys.argv[1:]); "
        "build_index(photos, captions, FakeEncoder(crowded=True, pause=0.05), index, batch_size=4)"
    )
    arguments = [str(path) for path in (tmp_path / "photos", captions, tmp_path / "index")]
    for size in (2_000, 6_000):  # a unit takes about 650 bytes
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
        "crossmodal.index.store.read_manifest", lambda path: stale.pop() if stale else read_manifest(path)
    )
    assert len(open_index(tmp_path / "index").catalogue.pictures) == 2


class TestJournal:
    def write(self, path: Path) -> None:
        journal = Journal(path, {"fingerprint": "a"}, 2)
        journal.append(0, [Outcome("x", embedded=True), Outcome("", "torn")], np.array([[1, 2]], dtype=np.float32))
        journal.append(1, [Outcome("y", embedded=True), Outcome("x")], np.array([[3, 4]], dtype=np.float32))
        journal.close()

    def test_remembers_units_and_vectors(self, tmp_path: Path) -> None:
        self.write(tmp_path / "j")
        journal = Journal(tmp_path / "j", {"fingerprint": "a"}, 2)
        assert [outcome for outcome, _ in journal.outcomes()] == [
            Outcome("x", "", True), Outcome("", "torn"), Outcome("y", "", True), Outcome("x"),
        ]  # fmt: skip
        numbers = journal.numbers()
        assert [numbers[at : at + 2].tolist() for _, at in journal.outcomes() if at >= 0] == [[1, 2], [3, 4]]
        assert (list(journal.units), journal.counts()) == ([0, 1], (4, 1))
        assert {key: vector.tolist() for key, vector in journal.vectors().items()} == {"x": [1, 2], "y": [3, 4]}
        journal.close()

    def test_other_settings_start_again(self, tmp_path: Path) -> None:
        self.write(tmp_path / "j")
        journal = Journal(tmp_path / "j", {"fingerprint": "b"}, 2)
        assert (journal.units, journal.vectors(), journal.counts()) == ({}, {}, (0, 0))
        journal.close()

    def test_cut_anywhere_it_keeps_the_whole_units_before_the_cut_and_goes_on(self, tmp_path: Path) -> None:
        self.write(tmp_path / "whole")
        whole = (tmp_path / "whole").read_bytes()
        kept = set()
        for cut in range(len(whole)):
            (tmp_path / "j").write_bytes(whole[:cut])
            journal = Journal(tmp_path / "j", {"fingerprint": "a"}, 2)
            kept.add(len(journal.units))
            journal.append(9, [Outcome("z", embedded=True)], np.array([[5, 6]], dtype=np.float32))
            journal.close()
            again = Journal(tmp_path / "j", {"fingerprint": "a"}, 2)
            assert again.vectors()["z"].tolist() == [5, 6]
            again.close()
        assert kept == {0, 1}

    def test_a_flipped_bit_ends_it(self, tmp_path: Path) -> None:
        self.write(tmp_path / "j")
        damaged = bytearray((tmp_path / "j").read_bytes())
        damaged[-1] ^= 1
        (tmp_path / "j").write_bytes(damaged)
        journal = Journal(tmp_path / "j", {"fingerprint": "a"}, 2)
        assert list(journal.units) == [0]
        journal.close()


def die_after(done: int) -> Callable[[Progress], None]:
    """A progress callback that ends the build once so many pictures are embedded."""

    def callback(step: Progress) -> None:
        if step.stage == "pictures" and step.done >= done:
            raise Killed

    return callback


def wait_for_journal(process: subprocess.Popen[bytes], folder: Path, size: int) -> None:
    """Wait until the journals of a build under way hold so many bytes."""
    deadline = time.monotonic() + 60
    while sum(path.stat().st_size for path in folder.glob("*.journal")) < size:
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"the build ended ({process.returncode}) before its journal had {size} bytes")
        time.sleep(0.005)
