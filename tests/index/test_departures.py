"""A picture that cannot be read today is not a picture that is gone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import build_index as script
from crossmodal.errors import ImageError, MissingPicturesError
from crossmodal.images import decode
from crossmodal.index import Progress, build_index, open_index
from crossmodal.index.catalogue.rows import Stamp
from crossmodal.index.departures import check_departures, surely_gone
from tests.fakes import FakeEncoder, contents, paint, paint_many


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twelve pictures and six more in a folder, indexed with captions as `index` beside them."""
    captions = paint_many(tmp_path / "photos", 12)
    for number in range(6):
        paint(tmp_path / "photos" / "share" / f"{number}.png", f"#0000{number:02x}", size=20 + number)
    build_index(tmp_path / "photos", captions, FakeEncoder(), tmp_path / "index")
    return tmp_path / "photos"


def again(photos: Path, **options: bool) -> int:
    report = build_index(photos, photos.parent / "captions.csv", FakeEncoder(), photos.parent / "index", **options)
    return report.indexed


def test_a_folder_that_vanished_stops_the_build_until_it_is_said_to_be_gone(photos: Path) -> None:
    before = contents(open_index(photos.parent / "index"))
    shutil.rmtree(photos / "share")
    with pytest.raises(MissingPicturesError, match=r"photos/share held 6 .*6 of the 18 .*share/0.png.*--prune"):
        again(photos)
    assert contents(open_index(photos.parent / "index")) == before
    assert again(photos, prune=True) == 12


def test_many_pictures_that_vanished_stop_the_build_and_a_few_do_not(photos: Path) -> None:
    for number in range(4):
        (photos / f"{number:03d}.png").unlink()
    assert again(photos) == 14
    for number in range(4, 9):
        (photos / f"{number:03d}.png").unlink()
    with pytest.raises(MissingPicturesError, match="5 of the 14 pictures"):
        again(photos)


def test_a_renamed_folder_is_no_loss(photos: Path) -> None:
    (photos / "share").rename(photos / "renamed")
    assert again(photos) == 18


def test_files_as_large_as_those_that_vanished_do_not_hide_the_loss(photos: Path) -> None:
    for number in range(6):
        path = photos / "share" / f"{number}.png"
        (photos / f"x{number}.png").write_bytes(bytes(path.stat().st_size))
    shutil.rmtree(photos / "share")
    with pytest.raises(MissingPicturesError, match="share held 6"):
        again(photos)


def test_unreadable_pictures_stay_with_their_captions_and_are_reported(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(open_index(photos.parent / "index"))
    for path in photos.rglob("*.png"):
        path.touch()
    monkeypatch.setattr("crossmodal.index.embed.read_image_file", unreadable)
    report = build_index(photos, photos.parent / "captions.csv", FakeEncoder(), photos.parent / "index")
    assert (report.indexed, report.removed, report.skipped) == (18, 0, ())
    (note,) = report.notes
    assert "18 pictures could not be read now and stay in the index as before: 000.png the first" in note.text
    assert contents(open_index(photos.parent / "index")) == before


def unreadable(path: Path) -> bytes:
    raise ImageError("cannot be read (Input/output error)", str(path), unread=True)


def test_with_another_checkpoint_unreadable_pictures_stop_the_build(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossmodal.index.embed.read_image_file", unreadable)
    with pytest.raises(MissingPicturesError, match="18 of the 18"):
        build_index(photos, None, FakeEncoder("a" * 64), photos.parent / "index")
    assert len(open_index(photos.parent / "index").catalogue.pictures) == 18


@pytest.mark.parametrize("killed_at", [4, 16])
def test_a_killed_build_that_goes_on_without_the_share_holds_to_the_rule(photos: Path, killed_at: int) -> None:
    def kill(step: Progress) -> None:
        if step.done >= killed_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_index(photos, None, FakeEncoder("a" * 64), photos.parent / "index", kill, batch_size=4)
    shutil.rmtree(photos / "share")
    with pytest.raises(MissingPicturesError):
        build_index(photos, None, FakeEncoder("a" * 64), photos.parent / "index", batch_size=4)
    assert len(open_index(photos.parent / "index").catalogue.pictures) == 18


def test_what_a_killed_build_could_not_read_is_read_by_the_next(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(step: Progress) -> None:
        if step.done:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("crossmodal.index.embed.read_image_file", unreadable)
        with pytest.raises(KeyboardInterrupt):
            build_index(photos, None, FakeEncoder("a" * 64), photos.parent / "index", kill, batch_size=18)
    assert build_index(photos, None, FakeEncoder("a" * 64), photos.parent / "index", batch_size=18).skipped == ()


def test_nothing_is_embedded_before_a_loss_that_is_plain_is_refused(photos: Path) -> None:
    shutil.rmtree(photos / "share")
    paint(photos / "new.png", "white", size=99)
    encoder = FakeEncoder()
    with pytest.raises(MissingPicturesError):
        build_index(photos, None, encoder, photos.parent / "index")
    assert encoder.pictures == 0


def test_the_command_confirms_with_prune(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("crossmodal.inference.encoder.open_encoder", lambda _: FakeEncoder())
    shutil.rmtree(photos / "share")
    command = ["--images", str(photos), "--index", str(photos.parent / "index")]
    assert [script.main(command), script.main([*command, "--prune"])] == [2, 0]
    assert "is a disk or a network folder missing?" in capsys.readouterr().err


def test_a_broken_link_is_a_picture_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").symlink_to(tmp_path / "unmounted" / "x.jpg")
    with pytest.raises(ImageError) as caught:
        decode.read_image_file(tmp_path / "x.jpg")
    assert caught.value.unread


def test_of_nested_folders_the_outermost_is_named() -> None:
    lost = ["a/b/1.jpg", "a/b/2.jpg", "a/b/3.jpg", "a/c/4.jpg"]
    with pytest.raises(MissingPicturesError, match=r"^root/a held 4 indexed pictures and holds none now; in all, 4 of"):
        check_departures(lost, 100, ["x.jpg", "ab/y.jpg"], Path("root"), Path("index"))
    check_departures(lost[:2], 2, [], Path("root"), Path("index"))


def test_a_picture_whose_size_a_new_file_has_may_be_renamed() -> None:
    gone = [Stamp("a", 5, 0), Stamp("b", 5, 0), Stamp("c", 7, 0)]
    assert surely_gone(gone, [Stamp("x", 5, 1), Stamp("y", 9, 1)]) == ["b", "c"]
