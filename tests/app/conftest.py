"""Fixtures of the app's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
import streamlit as st
from streamlit import config
from streamlit.testing.v1 import AppTest

from crossmodal.app.state import demo, galleries
from crossmodal.gallery.near_duplicates import group_of
from crossmodal.index import build_index
from tests.app.frame import COLOURS, HOSTILE, ColourEncoder, app, jpeg


@pytest.fixture(autouse=True)
def _fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test starts the app again, in an empty folder, with the fake encoder and a small demo gallery."""
    st.cache_resource.clear()
    config.set_option("runner.magicEnabled", False)  # as our settings have it, which an empty folder lacks
    galleries._loaded.cache_clear()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["app.py"])
    monkeypatch.setattr("crossmodal.inference.encoder.open_encoder", lambda _: ColourEncoder())
    monkeypatch.setattr(galleries, "make_ready", lambda _: None)  # a thread that may outlive its test
    monkeypatch.setattr(demo, "DEMO_COUNT", 6)
    # all pictures of one colour are near-duplicates to the fake encoder
    monkeypatch.setattr("crossmodal.app.state.near_duplicates.compare", lambda index: group_of(index, 1.0))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three pictures of each of four colours with one caption each; the first red one's caption is hostile."""
    folder = tmp_path / "photos"
    folder.mkdir()
    lines = ["image,caption"]
    for name, colour in COLOURS.items():
        for number in range(3):
            (folder / f"{name}-{number}.jpg").write_bytes(jpeg(tuple(max(0, part - 9 * number) for part in colour)))
            text = f"red {HOSTILE}" if (name, number) == ("red", 0) else f"a {name} square, number {number}"
            lines.append(f'{name}-{number}.jpg,"{text}"')
    (tmp_path / "captions.txt").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


@pytest.fixture
def gallery(photos: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The photos, indexed and named with --index."""
    index = Path("indexes/squares")
    build_index(photos, photos.parent / "captions.txt", ColourEncoder(), index)
    monkeypatch.setattr("sys.argv", ["app.py", "--index", str(index)])
    return index


@pytest.fixture
def page(gallery: Path) -> AppTest:  # noqa: ARG001 - it names the gallery the app opens
    """The app, opened on the photos."""
    return app().run()
