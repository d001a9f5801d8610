"""The script: its defaults, what it prints, and how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

import build_index as script
from crossmodal.cli.index import plain
from crossmodal.index import open_index
from tests.fakes import FakeEncoder, paint


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two pictures with captions in a folder `photos` below the current one; every checkpoint gives the fake."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("crossmodal.inference.encoder.open_encoder", lambda _: FakeEncoder())
    for colour in ("red", "blue"):
        paint(tmp_path / "photos" / f"{colour}.png", colour)
    (tmp_path / "captions.csv").write_text("image,caption\nred.png,a red thing\nblue.png,a blue thing\n")
    return tmp_path / "photos"


@pytest.mark.usefixtures("photos")
def test_the_index_is_named_after_the_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(["--images", "photos", "--captions", "captions.csv"]) == 0
    assert len(open_index("indexes/photos").catalogue.captions) == 2
    out = capsys.readouterr().out
    assert out.startswith("2 pictures and 2 captions in indexes/photos, ")
    assert "2 embedded, 0 had a vector; 2 added, 0 changed, 0 renamed, 0 removed" in out
    assert 'search "two dogs run on a beach" --index indexes/photos\n' in out
    assert "python -m crossmodal app --index indexes/photos\n" in out


def test_skipped_pictures_are_listed_and_no_failure(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(22):
        (photos / f"x{number:02d}.jpg").write_bytes(b"")
    assert script.main(["--images", "photos", "--index", "my index"]) == 0
    out = capsys.readouterr().out
    assert "skipped: 22\n  x00.jpg: 0 bytes\n" in out
    assert "x19.jpg" in out
    assert "x20.jpg" not in out
    assert "… and 2 more: `python -m crossmodal index-stats --index 'my index' --skipped` lists them" in out
    assert "--index 'my index'" in out
    assert "without captions" in out


@pytest.mark.usefixtures("photos")
def test_an_error_is_one_line_and_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(["--images", "nowhere"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: images folder nowhere does not exist")
    assert captured.err.count("\n") == 1


@pytest.mark.usefixtures("photos")
def test_the_shell_quotes_what_a_broken_captions_file_holds(capsys: pytest.CaptureFixture[str]) -> None:
    Path("captions.csv").write_text("hello\nworld\n")
    assert script.main(["--images", "photos", "--captions", "captions.csv"]) == 2
    assert "(its first line is 'hello')" in capsys.readouterr().err


@pytest.mark.usefixtures("photos")
def test_interrupted_it_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(FakeEncoder, "encode_pixels", interrupt)
    assert script.main(["--images", "photos"]) == 130
    assert "the same command goes on" in capsys.readouterr().err


def test_progress_is_drawn_on_stderr(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "broken.png").write_bytes(b"")
    monkeypatch.setattr("crossmodal.progress.LOG_SECONDS", 0.0)
    assert script.main(["--images", "photos"]) == 0
    captured = capsys.readouterr()
    assert "pictures 3/3, 1 skipped" in captured.err
    assert " left" in captured.err
    assert " left" not in captured.out


def test_names_a_terminal_cannot_show_are_escaped() -> None:
    assert plain("two\nlines.jpg") == r"'two\nlines.jpg'"
    assert plain("Überraschung.jpg") == "Überraschung.jpg"


class TorchEncoder(FakeEncoder):
    """The fake as torch would run it, from a folder."""

    runtime = "torch"

    def __init__(self) -> None:
        super().__init__()
        self.path = Path("checkpoint")


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize(
    ("pays", "captions", "expected"), [(2, [], True), (3, [], False), (8, ["--captions", "captions.csv"], True)]
)
def test_towers_are_exported_before_many_new_pictures_else_after(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], pays: int, captions: list[str], expected: bool
) -> None:
    done: list[str] = []
    background = "crossmodal.inference.backends.background_export"
    monkeypatch.setattr("crossmodal.inference.encoder.open_encoder", lambda _: TorchEncoder())
    monkeypatch.setattr(f"{background}.may_export", lambda _: True)
    monkeypatch.setattr(f"{background}.export_first", lambda _: done.append("first"))
    monkeypatch.setattr(f"{background}.export_in_background", lambda _: done.append("after"))
    monkeypatch.setattr("crossmodal.cli.index.EXPORT_PAYS", pays)
    assert script.main(["--images", "photos", *captions]) == 0
    assert done == (["first", "after"] if expected else ["after"])
    assert ("it pays for 2 new pictures" in capsys.readouterr().err) == expected
    assert script.main(["--images", "photos", *captions]) == 0  # both are indexed by now
    assert done.count("first") == expected
