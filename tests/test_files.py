"""A hash is remembered while a file is untouched, and never longer."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from pathlib import Path

import pytest

from crossmodal import _files as seals
from crossmodal._files import SEALS, csv_table, sealed_hash, whole_directory, whole_file


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that has settled at once, and whose hash is remembered."""
    monkeypatch.setattr(seals, "SETTLED_NS", -(10**12))
    path = tmp_path / "weights"
    path.write_bytes(b"first")
    assert sealed_hash(path) == hashlib.sha256(b"first").hexdigest()
    return path


def test_an_untouched_file_is_not_read_again(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("hashlib.file_digest", None)
    assert sealed_hash(path) == hashlib.sha256(b"first").hexdigest()


def test_a_change_that_keeps_size_and_time_is_seen(path: Path):
    before = path.stat()
    path.write_bytes(b"other")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert sealed_hash(path) == hashlib.sha256(b"other").hexdigest()


def test_another_file_in_its_place_is_seen(path: Path, tmp_path: Path):
    before = path.stat()
    (tmp_path / "new").write_bytes(b"other")
    os.utime(tmp_path / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(tmp_path / "new", path)
    assert sealed_hash(path) == hashlib.sha256(b"other").hexdigest()


def test_a_file_that_just_changed_is_not_remembered(tmp_path: Path):
    (tmp_path / "weights").write_bytes(b"first")
    sealed_hash(tmp_path / "weights")
    assert not (tmp_path / SEALS).exists()


@pytest.mark.parametrize("content", ["", "[]", "null", '{"weights": 1}', '{"weights": [1, 2]}', '{"weights": []}'])
def test_notes_that_make_no_sense_are_as_if_absent(path: Path, content: str):
    (path.parent / SEALS).write_text(content)
    assert sealed_hash(path) == hashlib.sha256(b"first").hexdigest()
    assert len(json.loads((path.parent / SEALS).read_text())["weights"]) == 5


def test_a_missing_file_is_an_error_whatever_was_remembered(path: Path):
    path.unlink()
    with pytest.raises(FileNotFoundError):
        sealed_hash(path)


def read(table: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(table, newline="")))


@pytest.mark.parametrize("text", ["=1+1", "+1+1", "-a dog", "@SUM(A1)", "\ttab", "\rcarriage", "  =1+1", "\n=1+1"])
def test_a_cell_that_a_spreadsheet_would_run_begins_with_an_apostrophe(text: str) -> None:
    assert read(csv_table([["path", text]])) == [["path", f"'{text}"]]


@pytest.mark.parametrize("cell", ["a dog", "", 'two\nlines, "quoted"', "-0.25", "+3", "a=b", "a\rb", -1.5, 7])
def test_other_cells_stay_as_they_are(cell: object) -> None:
    assert read(csv_table([["path", cell]])) == [["path", str(cell)]]


def test_a_table_for_ourselves_is_exact() -> None:
    assert csv_table([("image", "caption"), ("a.jpg", "=1+1")], exact=True) == "image,caption\na.jpg,=1+1\n"


def write_half(path: Path) -> None:
    path.write_text("half")
    raise OSError("no space")


@pytest.mark.parametrize("alone", [True, False])
def test_a_file_that_is_not_finished_leaves_the_former_one_and_nothing_else(tmp_path: Path, alone: bool) -> None:
    path = tmp_path / "notes.json"
    path.write_text("former")
    with pytest.raises(OSError, match="no space"), whole_file(path, alone=alone) as staging:
        write_half(staging)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["former"]
    with whole_file(path, alone=alone) as staging:
        staging.write_text("new")
        assert path.read_text() == "former"
    assert [file.read_text() for file in tmp_path.iterdir()] == ["new"]


def test_a_durable_file_is_on_the_disk_before_its_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    for name in ("fsync", "replace"):
        work = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *given, name=name, work=work: (done.append(name), work(*given)))
    with whole_file(tmp_path / "manifest.json", durable=True) as staging:
        staging.write_text("{}")
    assert done == ["fsync", "replace", "fsync"]  # the bytes, the name, and the folder that holds it


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "best"
    with whole_directory(path) as staging:
        (staging / "former").touch()
    with pytest.raises(OSError, match="no space"), whole_directory(path) as staging:
        write_half(staging / "half")
    assert [str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*")] == ["best", "best/former"]
    with whole_directory(path) as staging:
        (staging / "new").touch()
    assert [str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*")] == ["best", "best/new"]
