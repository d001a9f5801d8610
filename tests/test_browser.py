"""One run of the app in a real browser, from an empty folder: the demo gallery is made, both directions answer,
and a question is refined by hand and by keys.

Needs Debian's chromium; skipped with a reason where there is none, unless CROSSMODAL_NEEDS_CHROMIUM is set (as in CI).
"""

from __future__ import annotations

import os
import runpy
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOLS: dict[str, Any] = runpy.run_path(str(ROOT / "assets" / "make_screenshots.py"))
PATIENCE = 1000 * 240  # a first start draws and embeds a thousand pictures, here perhaps on a busy machine


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The app, started in a folder that holds nothing but its settings and the shipped checkpoint."""
    if TOOLS["chromium_path"]() is None:
        if os.environ.get("CROSSMODAL_NEEDS_CHROMIUM"):
            pytest.fail("CI must have chromium: `apt-get install chromium`")
        pytest.skip("needs chromium, which is not installed here: `apt-get install chromium`")
    shutil.copytree(ROOT / ".streamlit", tmp_path / ".streamlit")
    (tmp_path / "model-checkpoints").symlink_to(ROOT / "model-checkpoints")
    with TOOLS["running_app"](tmp_path) as started:
        yield started


def test_from_nothing_to_answers_in_both_directions(address: str, tmp_path: Path):
    elsewhere: list[str] = []
    wrong: list[str] = []
    with TOOLS["browser"]() as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: elsewhere.append(request.url) if _is_elsewhere(request.url, address) else 0)
        page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        page.on("pageerror", lambda error: wrong.append(str(error)))

        page.goto(address)
        TOOLS["search"](page, "two red rockets in space")  # asked at once, answered when the gallery is there
        assert page.locator(".cm-tile").count() == 24
        assert "of 1,000 pictures" in page.locator(".cm-total").inner_text()
        assert _all_drawn(page)
        assert "q=two+red+rockets+in+space" in page.url
        page.screenshot(path=tmp_path / "text-to-pictures.png")

        page.wait_for_selector("[data-testid='stProgress']", state="detached")  # the captions are there, too
        TOOLS["settled"](page)
        picture = (tmp_path / "indexes" / "demo-pictures" / "images" / "scene-test-00007.jpg").read_bytes()
        TOOLS["upload"](page, "mine.jpg", picture)
        assert page.locator(".cm-caption").count() == 24
        assert "of 5,000 captions" in page.locator(".cm-total").inner_text()
        page.screenshot(path=tmp_path / "picture-to-captions.png")

        TOOLS["paste"](page, "pasted.jpg", picture)
        assert page.locator(".cm-caption").count() == 24

        _refined_by_hand_and_keyboard(page)

        TOOLS["search"](page, "<img src=x onerror=alert(1)> **a cat**")
        assert page.locator("img[src=x]").count() == 0
        page.set_viewport_size({"width": 390, "height": 844})
        page.wait_for_function("document.documentElement.scrollWidth <= 390")
    assert elsewhere == []
    assert wrong == []


def _refined_by_hand_and_keyboard(page: Any) -> None:
    """Minus, a thumb, the detail view by keys, and the link of it opened again."""
    page.get_by_role("button", name="Clear all").click()
    TOOLS["search"](page, "a red car")
    TOOLS["take_away"](page, "snow")
    page.wait_for_selector(".cm-shares")
    assert page.locator(".cm-shares").count() == 24
    assert "minus=snow" in page.url
    TOOLS["act"](page, "Fits the question", 1)
    page.wait_for_selector(".cm-liked")
    assert page.locator(".cm-liked").count() == 1
    page.locator(".cm-total").click()
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=dialog] .cm-title")
    TOOLS["settled"](page)
    assert "2 of 24" in page.locator("[role=dialog]").inner_text()
    page.keyboard.press("ArrowRight")
    page.get_by_text("3 of 24").wait_for()
    link = page.url
    page.keyboard.press("Escape")
    page.wait_for_selector("[role=dialog]", state="detached")
    TOOLS["settled"](page)
    assert "picture=" not in page.url
    page.goto(link)
    page.get_by_text("3 of 24").wait_for()
    page.keyboard.press("Escape")
    page.wait_for_selector("[role=dialog]", state="detached")
    TOOLS["settled"](page)


def _all_drawn(page: Any) -> bool:
    return bool(page.evaluate("[...document.querySelectorAll('.cm-tile img')].every(image => image.naturalWidth > 0)"))


def _is_elsewhere(url: str, address: str) -> bool:
    return not url.startswith((address, address.replace("http", "ws"), "data:", "blob:"))
