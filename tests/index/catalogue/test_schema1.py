"""An index of the former format is refused with the command that takes it over, and loses nothing by it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crossmodal._files import hash_file
from crossmodal.errors import IndexStoreError, MissingPicturesError
from crossmodal.index import build_index, open_index
from tests.fakes import FakeEncoder, contents, paint, paint_many

GENERATION = "generation-000001"


def as_schema1(index: Path, facts: bool = True) -> None:
    """Write an index as the former version did."""
    opened, folder = open_index(index), index / GENERATION
    rows: dict[str, list[list[Any]]] = {
        "pictures": [[p.stamp.path, p.stamp.size, p.stamp.modified_ns, p.sha256] for p in opened.catalogue.pictures],
        "captions": [[caption.picture, caption.text] for caption in opened.catalogue.captions],
        "skipped": [[skipped.path, skipped.reason] for skipped in opened.catalogue.skipped],
        "facts": [[p.facts.width, p.facts.height, p.facts.taken] for p in opened.catalogue.pictures],
    }
    if not facts:
        del rows["facts"]
    for name, lines in rows.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for name in ("catalogue.sqlite", "words.sqlite"):
        (folder / name).unlink()
    manifest = json.loads((index / "manifest.json").read_text())
    files = [path for path in folder.iterdir() if not path.name.startswith(".")]
    manifest["files"] = {path.name: {"bytes": path.stat().st_size, "sha256": hash_file(path)} for path in files}
    (index / "manifest.json").write_text(json.dumps(manifest | {"schema": 1}))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    paint_many(tmp_path / "photos", 24)
    (tmp_path / "photos" / "torn.png").write_bytes(b"")
    return tmp_path / "photos"


@pytest.mark.parametrize("facts", [True, False])
def test_it_is_refused_with_the_command_and_then_taken_over(photos: Path, tmp_path: Path, facts: bool) -> None:
    captions, index = tmp_path / "captions.csv", tmp_path / "index"
    build_index(photos, captions, FakeEncoder(), index)
    whole = contents(open_index(index))
    as_schema1(index, facts)
    with pytest.raises(IndexStoreError, match=r"earlier version: run `python -m crossmodal index .*--captions"):
        open_index(index)
    encoder = FakeEncoder()
    report = build_index(photos, captions, encoder, index)
    assert (encoder.pictures, encoder.texts, report.reused, report.notes) == (0, [], 24, ())
    assert contents(open_index(index)) == whole


def test_pictures_that_are_gone_are_missed_as_ever(photos: Path, tmp_path: Path) -> None:
    build_index(photos, None, FakeEncoder(), tmp_path / "index")
    as_schema1(tmp_path / "index")
    for path in sorted(photos.iterdir())[:12]:
        path.unlink()
    with pytest.raises(MissingPicturesError):
        build_index(photos, None, FakeEncoder(), tmp_path / "index")
    with pytest.raises(IndexStoreError, match="earlier version"):
        open_index(tmp_path / "index")


def test_another_folder_is_refused_as_ever(photos: Path, tmp_path: Path) -> None:
    build_index(photos, None, FakeEncoder(), tmp_path / "index")
    as_schema1(tmp_path / "index")
    (tmp_path / "index" / ".crossmodal-index").unlink()
    paint(tmp_path / "other" / "white.png", "white")
    with pytest.raises(IndexStoreError, match="which holds other pictures than"):
        build_index(tmp_path / "other", None, FakeEncoder(), tmp_path / "index")


def test_a_damaged_one_is_rebuilt_with_a_note(photos: Path, tmp_path: Path) -> None:
    build_index(photos, None, FakeEncoder(), tmp_path / "index")
    as_schema1(tmp_path / "index")
    (tmp_path / "index" / GENERATION / "pictures.jsonl").write_text("[]\n")
    report = build_index(photos, None, FakeEncoder(), tmp_path / "index")
    assert [note.kind for note in report.notes] == ["damaged"]
    assert report.indexed == 24
