"""An index is opened quickly, and no less strictly."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from crossmodal import _files as seals
from crossmodal.errors import IndexStoreError
from crossmodal.index import build_index, open_index
from tests.fakes import FakeEncoder, paint_many


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index that was opened before, so that the hashes of its files are remembered."""
    monkeypatch.setattr(seals, "SETTLED_NS", -(10**12))
    captions = paint_many(tmp_path / "photos", 6)
    build_index(tmp_path / "photos", captions, FakeEncoder(), tmp_path / "index")
    open_index(tmp_path / "index")
    return tmp_path / "index"


def test_nothing_is_hashed_again_but_where_that_is_asked_for(index: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("hashlib.file_digest", None)
    assert len(open_index(index).catalogue.captions) == 12
    with pytest.raises(TypeError):
        open_index(index, verify=True)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-1], r"has [\d,]+ bytes, not"),
        (lambda content: content[:-1] + bytes([content[-1] ^ 1]), "was altered"),
    ],
)
@pytest.mark.parametrize("name", ["images.npy", "captions.npy", "catalogue.sqlite", "words.sqlite"])
def test_a_file_that_changed_after_it_was_opened_is_refused(
    index: Path, name: str, damage: Callable[[bytes], bytes], message: str
):
    path = index / "generation-000001" / name
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(IndexStoreError, match=f"{name} {message}"):
        open_index(index)


@pytest.mark.parametrize("moment", ["captions.npy", "catalogue.sqlite", "relevance.json"])
def test_a_generation_that_a_build_removes_while_it_is_read_gives_way_to_the_next(
    index: Path, moment: str, monkeypatch: pytest.MonkeyPatch
):
    hashed, built = seals.sealed_hash, []

    def build_meanwhile(file: Path) -> str:
        if file.name == moment and not built:
            built.append(build_index(index.parent / "photos", None, FakeEncoder(), index))
        return hashed(file)

    monkeypatch.setattr("crossmodal.index.store.sealed_hash", build_meanwhile)
    assert len(open_index(index).catalogue.captions) == 0
    assert not (index / "generation-000001").exists()


def test_an_open_index_answers_after_a_build_has_removed_its_files(index: Path):
    opened = open_index(index)
    build_index(index.parent / "photos", None, FakeEncoder(), index)
    assert not (index / "generation-000001").exists()
    assert [caption.text for caption in opened.catalogue.captions][:2] == ["number 0 is red", "number 0 is green here"]
    assert opened.full_text.find("number 3 green")[0][0] == 3


def test_a_folder_that_cannot_be_written_to_is_read(index: Path):
    for path in (*index.rglob("*"), index):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = sorted(index.rglob("*"))
    opened = open_index(index, verify=True)
    assert (len(list(opened.catalogue.pictures)), opened.full_text.find("red")[0].size) == (6, 6)
    assert sorted(index.rglob("*")) == before


def test_without_room_on_the_disk_the_former_index_stays(index: Path, monkeypatch: pytest.MonkeyPatch):
    connect = sqlite3.connect

    class Full(sqlite3.Connection):
        def executemany(self, *_: object) -> sqlite3.Cursor:
            raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(
        "crossmodal.index.catalogue.database.sqlite3.connect",
        lambda *address, **options: connect(*address, factory=Full, **options),
    )
    with pytest.raises(
        IndexStoreError, match=r"cannot build .* disk is full; the former index is untouched, run again"
    ):
        build_index(index.parent / "photos", None, FakeEncoder(), index)
    assert len(open_index(index).catalogue.captions) == 12
