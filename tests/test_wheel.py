"""The package as a wheel: installed without the clone, in an empty folder, it finds its starter and its pages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from assets.make_screenshots import free_port, wait_for
from crossmodal.scenes.scene import write_scenes

ROOT = Path(__file__).resolve().parents[1]
SIX_LINES = """
import crossmodal
print(crossmodal.__file__)
crossmodal.build_index("photos", captions="captions.txt", out="indexes/photos")
for hit in crossmodal.open_index("indexes/photos").search("a red car", k=3):
    print(hit.rank, hit.score, hit.path)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what a wheel of the clone unpacks to."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # a copy, since a build leaves files beside what it builds
    left_out = shutil.ignore_patterns("__pycache__", "exported", ".*.json", ".export*")
    for name in ("crossmodal", "model-checkpoints/starter", ".streamlit"):
        shutil.copytree(ROOT / name, source / name, ignore=left_out)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "requirements.txt", "requirements-export.txt"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "uv", "build", "--wheel", "--offline", "--no-build-isolation", "--out-dir"]
    subprocess.run([*command, str(folder), str(source)], check=True, capture_output=True, text=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def empty(tmp_path: Path, installed: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, from which the wheel is what `import crossmodal` finds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(installed))
    return tmp_path


def run(*arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_pictures_are_indexed_and_found_from_python_and_the_shell(empty: Path, installed: Path) -> None:
    write_scenes(empty / "scenes", 60, seed=0, split="test").rename(empty / "captions.txt")
    (empty / "scenes" / "images").rename(empty / "photos")
    lines = run("-c", SIX_LINES).splitlines()
    assert lines[0] == str(installed / "crossmodal" / "__init__.py")
    assert [line.split()[0] for line in lines[1:]] == ["1", "2", "3"]
    said = run("-m", "crossmodal", "index", "--images", "photos", "--captions", "captions.txt")
    assert said.startswith("60 pictures and 300 captions in indexes/photos")
    assert "build_index.py" not in said
    assert "app.py" not in said


@pytest.mark.usefixtures("empty")
def test_a_recipe_is_trained() -> None:
    said = run("-m", "crossmodal", "train", "--recipe", "scenes", "--smoke", "--cpu")
    assert "next: python -m crossmodal index --images DIR --checkpoint runs/scenes/best" in said


def test_the_pages_are_served(empty: Path) -> None:
    port = free_port()
    with open(empty / "said", "wb") as words:
        command = [sys.executable, "-m", "crossmodal", "app", "--port", str(port)]
        app = subprocess.Popen(command, stdout=words, stderr=words, start_new_session=True)
        try:
            wait_for(f"http://localhost:{port}/_stcore/health", app)
        finally:
            os.killpg(app.pid, 15)
            app.wait()
    assert f"http://localhost:{port}" in (empty / "said").read_text()
