"""The demo gallery: pictures made by code, indexed with the shipped checkpoint on the first start.

    indexes/demo-pictures/   images/ and captions.txt         indexes/demo/   the index

The pictures are indexed first, so that a text finds them within seconds; their captions follow. Killed on the way,
the next start goes on where this one ended: drawing and indexing both leave what is done.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from crossmodal.app.state.jobs import JOBS, Job, Report, Step
from crossmodal.errors import IndexStoreError
from crossmodal.index import read_manifest

if TYPE_CHECKING:
    from crossmodal.inference.base import Encoder

__all__ = ["DEMO", "DEMO_COUNT", "DEMO_EXAMPLES", "drawn", "is_whole", "key", "prepare", "start"]

DEMO = Path("indexes/demo")
DEMO_PICTURES = Path("indexes/demo-pictures")
DEMO_COUNT = 1000
DEMO_SPLIT = "test"
DEMO_EXAMPLES = (
    "two red rockets in space",
    "an orange cat in a living room",
    "a camel in the desert",
    "a purple octopus under the sea",
    "two yellow balloons over black hens",
)


def start(encoder: Callable[[], Encoder]) -> Job:
    """Begin to make the demo gallery, or join the session that already does."""
    return JOBS.start(key(), lambda report: prepare(encoder, report))


def key() -> str:
    """Under which the making of the demo gallery stands among the jobs."""
    return str(DEMO.resolve())


def is_whole(images: int, captions: int) -> bool:
    """Whether an opened demo index holds all pictures and their captions."""
    return images >= DEMO_COUNT and captions >= DEMO_COUNT


def drawn(most: int) -> list[Path]:
    """The first of the pictures that are drawn already."""
    return sorted((DEMO_PICTURES / "images").glob("*.jpg"))[:most]


def prepare(encoder: Callable[[], Encoder], report: Report) -> None:
    """Draw what is missing of the pictures, then index them, then their captions.

    The model is loaded by another thread while the pictures are drawn.
    """
    from crossmodal.scenes.scene import write_scenes

    began = time.monotonic()

    def tell(done: int, total: int) -> None:
        rate = done / max(time.monotonic() - began, 1e-6)
        report(Step("Drawing the demo pictures", done, total, 0, rate, (total - done) / rate if rate else 0.0))

    with ThreadPoolExecutor(1) as beside:
        loading = beside.submit(encoder)
        captions = write_scenes(DEMO_PICTURES, DEMO_COUNT, seed=0, split=DEMO_SPLIT, progress=tell)
        report(Step("Loading the model"))
        loaded = loading.result()
    images = DEMO_PICTURES / "images"
    if not _holds(DEMO_COUNT):  # a build without captions would forget those a killed one has embedded
        _index(images, None, loaded, report, "Indexing the pictures")
    # asked for again: its export may be there by now, and its vectors are the same
    _index(images, captions, encoder(), report, "Indexing the captions")


def _holds(count: int) -> bool:
    try:
        return read_manifest(DEMO).counts["images"] >= count
    except IndexStoreError:
        return False


def _index(images: Path, captions: Path | None, encoder: Encoder, report: Report, words: str) -> None:
    from crossmodal.index import Progress, build_index

    def indexed(progress: Progress) -> None:
        if progress.stage != "writing":  # which would begin the bar again, as one of one
            left = progress.seconds_left
            report(Step(words, progress.done, progress.total, progress.skipped, progress.rate, left))

    build_index(images, captions, encoder, DEMO, progress=indexed)
