"""The demo gallery: made on the first start, completed where a start was killed."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from crossmodal.app.state import demo, galleries
from crossmodal.app.state.jobs import Report, Step
from crossmodal.index import build_index
from crossmodal.scenes.scene import write_scenes
from tests.app.frame import ColourEncoder, app, html_of, tiles, until


def test_the_first_start_makes_the_demo_gallery_and_answers():
    at = app().run()
    at.text_input("text").set_value("red").run()
    until(at, lambda at: bool(tiles(at)))
    until(at, lambda at: any(">30<" in body for body in html_of(at)))  # five captions a picture, said at the side
    assert any("Showing 6 of 6 pictures" in body for body in html_of(at))


def test_making_it_counts_pictures_and_captions_alone():
    steps: list[Step] = []
    demo.prepare(ColourEncoder, steps.append)
    assert {step.total for step in steps if step.total} == {6, 30}


def test_a_half_made_demo_gallery_is_completed():
    demo.prepare(ColourEncoder, lambda _: None)
    (demo.DEMO_PICTURES / "images" / "scene-test-00002.jpg").unlink()
    shutil.rmtree(demo.DEMO)
    at = until(app().run(), lambda at: any("From this gallery of 6" in body for body in html_of(at)))
    assert (demo.DEMO_PICTURES / "images" / "scene-test-00002.jpg").exists()
    assert not at.error


def test_a_demo_gallery_killed_before_its_captions_gets_them():
    demo.prepare(ColourEncoder, lambda _: None)
    shutil.rmtree(demo.DEMO)
    build_index(demo.DEMO_PICTURES / "images", None, ColourEncoder(), demo.DEMO)
    at = app().run()
    assert any("From this gallery of 6" in body for body in html_of(at))
    until(at, lambda at: any(">30<" in body for body in html_of(at)))


def test_two_sessions_make_the_demo_gallery_once(monkeypatch: pytest.MonkeyPatch):
    calls: list[int] = []
    make = demo.prepare
    monkeypatch.setattr(demo, "prepare", lambda *arguments: (calls.append(1), make(*arguments)))
    first, second = app().run(), app().run()
    until(first, lambda at: any("From this gallery of 6" in body for body in html_of(at)))
    until(second, lambda at: any("From this gallery of 6" in body for body in html_of(at)))
    assert calls == [1]


def test_pictures_of_the_demo_gallery_are_shown_as_they_are_drawn(monkeypatch: pytest.MonkeyPatch):
    some_drawn, go_on = threading.Event(), threading.Event()

    def prepare(_: object, report: Report) -> None:
        write_scenes(demo.DEMO_PICTURES, 2, seed=0, split=demo.DEMO_SPLIT)
        report(Step("Drawing the demo pictures", 2, 6))
        some_drawn.set()
        go_on.wait(60)

    monkeypatch.setattr(demo, "prepare", prepare)
    at = app().run()
    assert some_drawn.wait(60)
    at.run()
    go_on.set()
    assert sum(body.count("<img") for body in html_of(at) if "cm-thumbs" in body) == 2


def test_an_error_while_the_demo_is_made_is_shown(monkeypatch: pytest.MonkeyPatch):
    from crossmodal.errors import CheckpointError

    def absent(_: Path) -> None:
        raise CheckpointError("no checkpoint at *model*-checkpoints")

    monkeypatch.setattr("crossmodal.inference.encoder.open_encoder", absent)
    at = until(app().run(), lambda at: bool(at.error))
    assert at.error[0].value == r"no checkpoint at \*model\*\-checkpoints"


def test_the_app_has_the_starter_exported_and_waits_for_nothing_of_it(monkeypatch: pytest.MonkeyPatch):
    begun, may_end = list[Path](), threading.Event()

    def export(checkpoint: Path) -> None:
        begun.append(checkpoint)
        may_end.wait(60)

    monkeypatch.setattr("crossmodal.inference.backends.background_export.export_in_background", export)
    galleries.export_starter.cache_clear()
    at = app().run()
    app().run()
    assert not at.exception
    assert (begun, galleries.export_starter().is_alive()) == ([galleries.starter()], True)
    may_end.set()
    galleries.export_starter.cache_clear()


def test_a_gallery_opened_by_torch_has_its_checkpoint_exported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    class TorchEncoder(ColourEncoder):
        runtime, path = "torch", tmp_path

    begun: list[Path] = []
    monkeypatch.setattr("crossmodal.inference.encoder.open_encoder", lambda _: TorchEncoder())
    monkeypatch.setattr("crossmodal.inference.backends.background_export.export_in_background", begun.append)
    galleries.encoder_of(tmp_path)
    assert begun == [tmp_path]
