"""The Teach page: nothing changes until "Use it", and what was marked can be taken along."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from crossmodal.finetune import pending, run
from crossmodal.gallery.feedback import open_feedback
from crossmodal.index import build_index, read_manifest
from crossmodal.inference.encoder import open_encoder
from tests.app.frame import HOSTILE, app, html_of, until
from tests.tiny_checkpoint import tiny_checkpoint, two_coloured

PAGE = "crossmodal/app/pages/teach.py"


@pytest.fixture
def gallery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two-coloured pictures, indexed with a checkpoint that can really be taught them."""
    monkeypatch.setattr("crossmodal.inference.encoder.open_encoder", open_encoder)
    monkeypatch.setattr(run, "SCENES", 10)
    monkeypatch.setattr(run, "LOST", 100.0)
    checkpoint = tiny_checkpoint(tmp_path / "model-checkpoints" / "first")
    index = Path("indexes/paints")
    build_index(tmp_path / "photos", two_coloured(tmp_path / "photos"), open_encoder(checkpoint), index)
    monkeypatch.setattr("sys.argv", ["app.py", "--index", str(index)])
    return index


def opened() -> AppTest:
    at = app().run()
    at.switch_page(PAGE).run()
    assert not at.exception
    return at


def button(at: AppTest, key: str) -> bool:
    return any(element.key == key for element in at.button)


def told(at: AppTest) -> str:
    return " ".join(
        element.value for kind in (at.success, at.warning, at.info, at.error, at.markdown) for element in kind
    )


def test_teach_look_use_it_and_go_back(gallery: Path):
    first = read_manifest(gallery).checkpoint["fingerprint"]
    at = opened()
    assert "nothing changes until you say so" in told(at)
    at.button(key="teach").click().run()
    until(at, lambda at: button(at, "teach-accept"))
    assert "finds your pictures better" in told(at)
    table = at.dataframe[0].value
    assert list(table["recall"])[:2] == ["text → picture R@1", "text → picture R@5"]
    assert list(table.columns)[:4] == ["recall", "before", "after", "gain"]
    assert read_manifest(gallery).checkpoint["fingerprint"] == first
    assert button(opened(), "teach-accept")  # another visitor sees it too
    at.button(key="teach-accept").click().run()
    until(at, lambda at: "The gallery now uses paints\\-taught" in told(at))
    assert read_manifest(gallery).checkpoint["fingerprint"] != first
    at.button(key="teach-undo").click().run()
    until(at, lambda at: "The gallery now uses first" in told(at))
    assert read_manifest(gallery).checkpoint["fingerprint"] == first
    assert not button(at, "teach-undo")


def test_what_is_discarded_is_gone(gallery: Path):
    at = opened()
    at.button(key="teach").click().run()
    until(at, lambda at: button(at, "teach-discard"))
    candidate = pending(gallery).candidate
    assert candidate is not None
    at.button(key="teach-discard").click().run()
    assert button(at, "teach")
    assert not candidate.exists()


def test_an_error_of_the_work_is_shown_and_teaching_is_offered_again(gallery: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("crossmodal.finetune.split.FEWEST", 1000)
    at = opened()
    at.button(key="teach").click().run()
    until(at, lambda at: bool(at.error))
    assert "teaching needs 1000" in at.error[0].value
    assert button(at, "teach")
    assert gallery.is_dir()


def test_a_gallery_without_captions_says_what_to_do(gallery: Path, tmp_path: Path):
    build_index(tmp_path / "photos", None, open_encoder(tmp_path / "model-checkpoints" / "first"), gallery)
    at = opened()
    assert "has no captions to learn from" in told(at)
    assert not button(at, "teach")


def test_a_checkpoint_that_cannot_be_taught_says_why(gallery: Path, tmp_path: Path):
    config = tmp_path / "model-checkpoints" / "first" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"decoder": True}))
    at = opened()
    assert "so it cannot be taught captions" in told(at)
    assert not button(at, "teach")
    assert gallery.is_dir()


def test_marks_are_shown_as_text_and_can_be_exported(gallery: Path):
    assert "Nothing yet" in told(opened())
    feedback = open_feedback(gallery)
    feedback.mark(HOSTILE, "red-blue-0.png", 1)
    feedback.mark(HOSTILE, "red-blue-1.png", -1)
    feedback.mark("red above blue", "gone.png", 1)
    at = opened()
    table = at.dataframe[0].value
    assert list(table["query"]) == [HOSTILE]
    assert list(table["disliked"]) == [1]
    assert "Left out, since their pictures are gone: 1" in " ".join(element.value for element in at.caption).replace(
        "\\", ""
    )
    assert {element.proto.label for element in at.get("download_button")} == {"Export as JSON", "Export as CSV"}
    assert not any("<script>" in body for body in html_of(at))
