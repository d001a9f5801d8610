"""Index and search of real photos with the shipped checkpoint: killed, resumed, changed."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from crossmodal.search.searcher import Searcher, open_searcher

ROOT = Path(__file__).resolve().parents[2]
COUNT = 192
VECTORS, DIMENSION = "vectors.f32", 1024  # what a build under way has embedded, and the starter's numbers a vector
QUERIES = ("two dogs run on a beach", "a man climbs a rock", "children playing in water", "red")


@pytest.fixture
def photos(shared: Path, tmp_path: Path) -> Path:
    """A folder of its own with some of Flickr8k."""
    (tmp_path / "photos").mkdir()
    for path in sorted((shared / "data/flickr8k/Images").glob("*.jpg"))[:COUNT]:
        shutil.copy2(path, tmp_path / "photos")
    return tmp_path / "photos"


def start(photos: Path, shared: Path, index: Path) -> subprocess.Popen[str]:
    """Start the script as a person would."""
    command = [sys.executable, "build_index.py", "--images", str(photos), "--index", str(index)]
    command += ["--captions", str(shared / "data/flickr8k/captions.txt")]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    """What the script printed."""
    with process:
        out, _ = process.communicate()
    assert process.returncode == 0
    return out


def kill_when(process: subprocess.Popen[str], folder: Path, kind: str) -> None:
    """SIGKILL once the journal holds a first unit of a kind."""
    pictures = COUNT if kind == "caption" else 0
    while not (folder / VECTORS).exists() or (folder / VECTORS).stat().st_size <= 4 * DIMENSION * pictures:
        if process.poll() is not None:
            pytest.fail(f"the build ended ({process.returncode}) before a unit of {kind} was done")
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def answers(searcher: Searcher, photos: Path) -> str:
    """Every hit of some queries in all directions, as the command prints them."""
    queries: list[str | Path] = [*QUERIES, *sorted(photos.iterdir())[:4]]
    found = [searcher.search(query, 10_000, to) for query in queries for to in ("images", "captions")]
    return json.dumps([hit.as_dict() for hits in found for hit in hits])


def test_killed_twice_it_answers_byte_for_byte_like_an_unbroken_build(
    photos: Path, shared: Path, tmp_path: Path
) -> None:
    finish(start(photos, shared, tmp_path / "unbroken"))
    for kind in ("picture", "caption"):
        kill_when(start(photos, shared, tmp_path / "index"), tmp_path / "index" / "building", kind)
    finish(start(photos, shared, tmp_path / "index"))
    unbroken = answers(open_searcher(tmp_path / "unbroken"), photos)
    assert answers(open_searcher(tmp_path / "index"), photos) == unbroken
    assert len(json.loads(unbroken)) == 8 * COUNT * 6


def test_changes_are_taken_in_and_everything_stays_findable(photos: Path, shared: Path, tmp_path: Path) -> None:
    finish(start(photos, shared, tmp_path / "index"))
    changed, renamed, deleted, copied = sorted(path.name for path in photos.iterdir())[:4]
    with Image.open(photos / changed) as image:
        mirrored = ImageOps.mirror(image)
    mirrored.save(photos / changed)
    (photos / renamed).rename(photos / "renamed.jpg")
    (photos / deleted).unlink()
    with Image.open(photos / copied) as image:
        image.rotate(90).save(photos / "new.png")
    (photos / "broken.jpg").write_bytes((photos / copied).read_bytes()[:2000])

    out = finish(start(photos, shared, tmp_path / "index"))
    assert f"2 embedded, {COUNT - 2} had a vector; 1 added, 1 changed, 1 renamed, 1 removed" in out
    assert "skipped: 1\n  broken.jpg: truncated file" in out
    searcher = open_searcher(tmp_path / "index")
    for name in (changed, "renamed.jpg", "new.png", copied):
        best = searcher.search(photos / name, k=1, to="images")[0]
        assert best.path == name
        assert best.score == pytest.approx(1, abs=1e-6)
    assert deleted not in {hit.path for hit in searcher.search("a dog", k=COUNT)}
    assert f"0 embedded, {COUNT} had a vector; 0 added" in finish(start(photos, shared, tmp_path / "index"))
