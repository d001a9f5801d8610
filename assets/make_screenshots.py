"""Make the pictures of the app that the README shows: `python assets/make_screenshots.py [--out DIR] [--index DIR]`.

With `--classes DIR`, an index built with an arcface checkpoint, it makes that of its page of vectors instead.

Starts the app on the demo gallery (which the first start makes), drives headless Chromium through Playwright and
writes PNGs: search both ways, a composed question, marks, a picture in detail, heatmap, training page and indexing,
light and dark, desk and phone.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESK, PHONE = (1400, 1000), (390, 844)
QUERY = "a red balloon over a red car"
LESS = "night"
SLOW_SECONDS = 180


def chromium_path() -> str | None:
    """Where Debian's Chromium is; None where it is not installed."""
    return shutil.which("chromium")


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def running_app(folder: Path, *arguments: str) -> Iterator[str]:
    """The app, started in a folder on a free port of this machine; yields its address, and ends it afterwards.

    Raises RuntimeError with the app's own words if it does not come up.
    """
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py"), "--server.headless", "true"]
    command += ["--server.port", str(port), "--server.address", "127.0.0.1", *(["--", *arguments] if arguments else [])]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile() as words:
        app = subprocess.Popen(command, cwd=folder, env=environment, stdout=words, stderr=words)
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for(f"{address}/_stcore/health", app)
            yield address
        except BaseException:
            words.seek(0)
            sys.stderr.write(words.read().decode("utf-8", "replace"))
            raise
        finally:
            app.terminate()
            try:
                app.wait(timeout=20)
            except subprocess.TimeoutExpired:  # it may be loading a model, which no signal interrupts
                app.kill()
                app.wait()


@contextlib.contextmanager
def browser(size: tuple[int, int] = DESK, dark: bool = False) -> Iterator[BrowserContext]:
    """Headless Chromium with a profile of its own; size in CSS pixels."""
    from playwright.sync_api import sync_playwright

    executable = chromium_path()
    if executable is None:
        raise RuntimeError("chromium is not installed: `apt-get install chromium`")
    with tempfile.TemporaryDirectory() as profile, sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=executable,
            args=list(CHROMIUM_ARGUMENTS),
            headless=True,
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            device_scale_factor=1,
        )
        context.set_default_timeout(1000 * SLOW_SECONDS)
        try:
            yield context
        finally:
            context.close()


def settled(page: Page) -> None:
    """Wait until the page has drawn all it has been told to."""
    page.wait_for_selector("[data-testid='stApp'][data-test-script-state='notRunning']")
    page.wait_for_function("[...document.images].every(image => image.complete)")
    page.wait_for_timeout(600)


def search(page: Page, text: str) -> None:
    """Type a text, and wait for its results."""
    page.get_by_placeholder("Describe a picture").fill(text)
    page.get_by_placeholder("Describe a picture").press("Enter")
    page.wait_for_selector(".cm-total")
    settled(page)


def upload(page: Page, name: str, content: bytes) -> None:
    """Give a picture to search with, and wait for the captions found."""
    page.get_by_role("button", name="Search by picture").click()
    files = [{"name": name, "mimeType": "image/jpeg", "buffer": content}]
    page.locator("input[type=file]").set_input_files(files)  # type: ignore[arg-type]
    page.wait_for_selector(".cm-caption")
    page.keyboard.press("Escape")
    settled(page)


def act(page: Page, name: str, tile: int = 0) -> None:
    """Press a tile's own button by its name, and wait for what comes of it."""
    page.locator(".cm-tile").nth(tile).hover()
    page.locator(".cm-tile").nth(tile).get_by_role("button", name=name).click()
    page.mouse.move(2, 2)
    page.wait_for_timeout(700)
    settled(page)


def paste(page: Page, name: str, content: bytes) -> None:
    """Paste a picture, as from a clipboard, and wait for what is found with it."""
    page.evaluate(
        """([name, content]) => {
            const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
            const data = new DataTransfer();
            data.items.add(new File([bytes], name, { type: "image/jpeg" }));
            document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
        }""",
        [name, base64.b64encode(content).decode("ascii")],
    )
    page.get_by_text(name).first.wait_for()
    settled(page)


def take_away(page: Page, words: str) -> None:
    """Take words away from the question."""
    page.get_by_role("button", name="Refine").click()
    page.get_by_label("Less of").fill(words)
    page.get_by_label("Less of").press("Enter")
    page.wait_for_selector("[class*='st-key-cm-chip-less']")
    page.keyboard.press("Escape")
    settled(page)


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description="Make the screenshots that the README shows.")
    parser.add_argument("--out", type=Path, default=ROOT / "assets", help="folder for the PNGs (default: assets)")
    parser.add_argument("--index", help="another gallery than the demo")
    parser.add_argument("--query", default=QUERY, help=f"what to search for (default: {QUERY!r})")
    parser.add_argument("--less", default=LESS, help=f"what to take away from it (default: {LESS!r})")
    parser.add_argument(
        "--classes", help="an index of labelled pictures: make the picture of its page of vectors instead"
    )
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.classes:
        with running_app(ROOT, "--index", options.classes) as address, browser() as context:
            _tour_of_classes(context.new_page(), address, options.out)
        return
    with running_app(ROOT, *(["--index", options.index] if options.index else [])) as address:
        for dark in (False, True):
            for size in (DESK, PHONE):
                name = f"{'dark' if dark else 'light'}{'-phone' if size == PHONE else ''}"
                with browser(size, dark) as context:
                    _tour(context.new_page(), address, options.out, name, options.query, options.less)


def _tour(page: Page, address: str, out: Path, name: str, query: str, less: str) -> None:
    def keep(what: str) -> None:
        page.screenshot(path=out / f"{what}-{name}.png")
        print(f"{out / f'{what}-{name}.png'}")

    page.goto(address)
    page.wait_for_selector("[class*='st-key-cm-grid-sample']")
    page.wait_for_selector("[data-testid='stProgress']", state="detached")  # a demo gallery that is being made
    settled(page)
    keep("welcome")
    search(page, query)
    keep("search")
    picture = _first_picture(page)
    page.get_by_text("Similarity heatmap").first.click()
    page.wait_for_selector(".cm-heatmap img")
    settled(page)
    keep("heatmap")
    page.get_by_text("Similarity heatmap").first.click()
    page.wait_for_selector(".cm-heatmap", state="detached")
    take_away(page, less)
    keep("composed")
    act(page, "Fits the question", 0)  # it is first already, and stays there
    keep("marked")
    act(page, "Fits the question", 0)  # taken back: the next pictures, and the next visitor, find no marks
    page.locator(".cm-open").first.click()
    page.wait_for_selector("[role=dialog] .cm-shown img")
    settled(page)
    keep("detail")
    page.keyboard.press("Escape")
    page.wait_for_selector("[role=dialog]", state="detached")
    act(page, "More like this")
    keep("more-like-this")
    upload(page, "upload.jpg", picture)
    keep("captions")
    page.goto(f"{address}/training")
    settled(page)
    keep("training")
    page.goto(f"{address}/index")
    settled(page)
    keep("index")


def _tour_of_classes(page: Page, address: str, out: Path) -> None:
    page.goto(f"{address}/vectors")
    page.wait_for_selector("text=The average of many")
    settled(page)
    page.screenshot(path=out / "vectors-light.png")


def _first_picture(page: Page) -> bytes:
    """The first result's thumbnail, as a file to upload."""
    source = page.locator(".cm-tile img").first.get_attribute("src") or ""
    return base64.b64decode(source.partition(",")[2])


def wait_for(address: str, app: subprocess.Popen[bytes]) -> None:
    """Wait until an address answers. Raises RuntimeError if the app ends, or stays silent for SLOW_SECONDS."""
    end = time.monotonic() + SLOW_SECONDS
    while time.monotonic() < end:
        if app.poll() is not None:
            raise RuntimeError(f"the app ended with status {app.returncode} before it answered")
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=2) as answer:
            if answer.status == 200:
                return
        time.sleep(0.3)
    raise RuntimeError(f"the app did not answer within {SLOW_SECONDS} s")


if __name__ == "__main__":
    main()
