"""The catalogue's file: rows come back as they were written, and nothing else is taken for one."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from crossmodal.errors import IndexStoreError
from crossmodal.index.catalogue.database import Database, Table, is_ours, write_database
from crossmodal.index.catalogue.rows import (
    MIGRATIONS,
    Caption,
    Catalogue,
    Facts,
    Picture,
    Skipped,
    Stamp,
    read_catalogue,
    write_catalogue,
)

PICTURES = (
    Picture(Stamp("a/né\n\u2028.jpg", 5, -7), "0a" * 32, Facts(4, 3, "2021-05-03T12:00:00")),
    Picture(Stamp("b.png", 1 << 40, 1 << 60), "ff" * 32),
)
CAPTIONS = (Caption(0, "a \0 text"), Caption(0, "\ud800 alone"), Caption(1, ""))
SKIPPED = (Skipped("b/\udcff.gif", "torn"),)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    write_catalogue(tmp_path / "catalogue", [PICTURES[0], PICTURES[1], *SKIPPED], CAPTIONS)
    return tmp_path / "catalogue"


def test_rows_come_back_as_they_were(written: Path) -> None:
    read = read_catalogue(written)
    assert (tuple(read.pictures), tuple(read.captions), read.skipped) == (PICTURES, CAPTIONS, SKIPPED)
    assert (read.owners().tolist(), read.spans().tolist()) == ([0, 0, 1], [0, 2, 3])
    assert read == Catalogue(PICTURES, CAPTIONS, SKIPPED)
    assert read != Catalogue(PICTURES[:1], CAPTIONS, SKIPPED)


def test_rows_are_found_by_number_and_by_slice(written: Path) -> None:
    captions = read_catalogue(written).captions
    assert (captions[0], captions[-1], captions[1:], captions[::-1]) == (
        CAPTIONS[0], CAPTIONS[2], CAPTIONS[1:], CAPTIONS[::-1]
    )  # fmt: skip
    for outside in (3, -4):
        with pytest.raises(IndexError):
            captions[outside]


def test_going_through_rows_one_by_one_keeps_none_of_them(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crossmodal.index.catalogue.database.ROWS_READ", 2)
    captions = read_catalogue(written).captions
    assert isinstance(captions, Table)
    assert tuple(captions.each()) == CAPTIONS
    assert captions._all is None
    assert tuple(captions) == CAPTIONS == captions._all


def test_many_threads_may_read_at_once(written: Path) -> None:
    captions, seen = read_catalogue(written).captions, []
    threads = [threading.Thread(target=lambda: seen.append([captions[n % 3] for n in range(300)])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [[CAPTIONS[n % 3] for n in range(300)]] * 8


def test_nothing_is_written_beside_a_file_that_is_read(written: Path) -> None:
    written.chmod(0o444)
    tuple(read_catalogue(written).pictures)
    assert [path.name for path in written.parent.iterdir()] == ["catalogue"]


def change(path: Path, script: str) -> None:
    with sqlite3.connect(path) as database:
        database.executescript(script)
    database.close()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("PRAGMA application_id = 1", "is no file of an index"),
        ("PRAGMA user_version = 0", "is no file of an index"),
        ("PRAGMA user_version = 9", "has version 9, this one reads up to 1"),
        ("CREATE VIEW more AS SELECT 1", "is no file of an index"),
        ("CREATE TRIGGER t AFTER DELETE ON captions BEGIN SELECT 1; END", "is no file of an index"),
        ("UPDATE captions SET picture = 2 WHERE id = 2", "has captions that are no picture's"),
        ("UPDATE captions SET picture = -1 WHERE id = 2", "has captions that are no picture's"),
        ("UPDATE pictures SET captions = 5", "has captions that are no picture's"),
        ("DELETE FROM captions WHERE id = 1", "lacks rows of captions"),
        ("UPDATE captions SET id = -1 WHERE id = 0", "lacks rows of captions"),
        ("DROP TABLE skipped", "cannot be read: no such table"),
    ],
)
def test_a_file_with_other_contents_is_refused(written: Path, script: str, message: str) -> None:
    change(written, script)
    with pytest.raises(IndexStoreError, match=message):
        read_catalogue(written)


def test_a_row_of_other_types_is_refused_when_it_is_asked_for(written: Path) -> None:
    change(
        written,
        "CREATE TABLE other AS SELECT * FROM pictures; DROP TABLE pictures; ALTER TABLE other RENAME TO pictures;"
        "UPDATE pictures SET sha256 = 5",
    )
    with pytest.raises(IndexStoreError, match="holds a strange row of pictures"):
        read_catalogue(written).pictures[0]


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0", b"[1, 2]\n" * 100])
def test_what_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    assert not is_ours(tmp_path / "file")
    with pytest.raises(IndexStoreError):
        read_catalogue(tmp_path / "file")


def test_cut_anywhere_it_is_refused_or_says_so_later(written: Path) -> None:
    whole = written.read_bytes()
    for size in range(0, len(whole), 512):
        written.write_bytes(whole[:size])
        with suppress(IndexStoreError):
            read = read_catalogue(written)
            assert (tuple(read.pictures), tuple(read.captions)) == (PICTURES, CAPTIONS)
            assert size > len(whole) // 2


def test_a_file_of_an_earlier_version_is_brought_up_to_date_in_memory(written: Path) -> None:
    before = written.read_bytes()
    later = (*MIGRATIONS, "ALTER TABLE pictures ADD COLUMN rating INTEGER NOT NULL DEFAULT 3;")
    assert Database(written, later).read("SELECT path, rating FROM pictures WHERE id = 1") == [("b.png", 3)]
    assert written.read_bytes() == before


def test_a_failed_write_leaves_an_error_and_no_half_file_that_opens(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), write_database(tmp_path / "new", MIGRATIONS):
        raise ZeroDivisionError
    with pytest.raises(IndexStoreError):
        read_catalogue(tmp_path / "new")
