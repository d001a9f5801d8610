"""An index is written only where one of ours stands or nothing does, and stays that of its own pictures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import build_index as script
from crossmodal.errors import IndexStoreError
from crossmodal.index import Progress, build_index, open_index
from crossmodal.index.claim import MARK, claimed_root, same_folder
from tests.fakes import FakeEncoder, paint, paint_many


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    paint_many(tmp_path / "photos", 8)
    return tmp_path / "photos"


@pytest.mark.parametrize(
    "files",
    [
        {"manifest.json": '{"name": "My app", "icons": []}', "building/plan.txt": "mine", ".lock": ""},
        {"manifest.json": '{"name": "My app"}', "generation-000001/a.txt": "mine"},
        {"building/plan.txt": "mine"},
        {"building/pictures-0123456789abcdef.journal": "dear diary"},
        {".lock": "pid 12"},
        {"manifest.json": "not JSON"},
        {"manifest.json": '{"name": "My app"}', MARK: ""},
    ],
)
def test_a_folder_of_something_else_is_refused_and_left_as_it_is(photos: Path, files: dict[str, str]) -> None:
    folder = photos.parent / "app"
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    before = snapshot(folder)
    with pytest.raises(IndexStoreError, match=r"app.* is touched: give a.* --index DIR"):
        build_index(photos, None, FakeEncoder(), folder)
    assert snapshot(folder) == before


def test_an_index_and_a_half_built_one_of_before_there_were_marks_go_on(photos: Path) -> None:
    def kill(step: Progress) -> None:
        if step.done >= 4:
            raise KeyboardInterrupt

    index = photos.parent / "index"
    with pytest.raises(KeyboardInterrupt):
        build_index(photos, None, FakeEncoder(), index, kill, batch_size=4)
    for _ in range(2):
        (index / MARK).unlink()
        build_index(photos, None, encoder := FakeEncoder(), index, batch_size=4)
        assert encoder.pictures < 8
        assert (index / MARK).is_file()


def test_what_others_put_beside_journals_and_generations_stays(photos: Path) -> None:
    index = photos.parent / "index"
    build_index(photos, None, FakeEncoder(), index)
    for name in ("building/notes.txt", "generation-mine/notes.txt"):
        (index / name).parent.mkdir()
        (index / name).write_text("mine")
    paint(photos / "new.png", "white")
    build_index(photos, None, FakeEncoder(), index)
    assert (index / "building/notes.txt").read_text() == (index / "generation-mine/notes.txt").read_text() == "mine"


def test_an_index_of_other_pictures_is_refused_finished_or_not(photos: Path) -> None:
    paint(photos.parent / "other" / "x.png", "white")
    index = photos.parent / "index"
    build_index(photos, None, FakeEncoder(), index)
    for _ in range(2):
        with pytest.raises(IndexStoreError, match=r"is the index of .*photos, which holds other pictures than .*other"):
            build_index(photos.parent / "other", None, FakeEncoder(), index)
        (index / "manifest.json").unlink(missing_ok=True)


def test_a_moved_gallery_keeps_its_index(photos: Path) -> None:
    index = photos.parent / "index"
    build_index(photos, None, FakeEncoder(), index)
    moved = photos.rename(photos.parent / "moved")
    assert build_index(moved, None, FakeEncoder(), index).reused == 8
    assert same_folder(claimed_root(index) or index, moved)


def test_two_folders_of_one_name_do_not_share_a_default_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("crossmodal.inference.encoder.open_encoder", lambda _: FakeEncoder())
    for year in ("2023", "2024"):
        paint(Path(year) / "photos" / f"{year}.png", "red")
    assert [script.main(["--images", f"{year}/photos"]) for year in ("2023", "2024", "2023")] == [0, 2, 0]
    assert "`--index indexes/2024-photos`" in capsys.readouterr().err
    assert [picture.stamp.path for picture in open_index("indexes/photos").catalogue.pictures] == ["2023.png"]


def test_a_copied_gallery_in_another_place_may_take_an_index_over(photos: Path) -> None:
    index, copy = photos.parent / "index", photos.parent / "copy"
    build_index(photos, None, FakeEncoder(), index)
    shutil.copytree(photos, copy)
    paint(copy / "new.png", "white")
    assert build_index(copy, None, FakeEncoder(), index).added == 1
    assert json.loads((index / MARK).read_text())["images"] == str(copy.resolve())
