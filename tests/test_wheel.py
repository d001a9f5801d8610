"""The package as a wheel: installed without the clone, in an empty folder, it finds its starter and its pages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

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
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "uv", "build", "--wheel", "--offline", "--no-build-isolation", "--out-dir"]
    subprocess.run([*command, str(folder), str(source)], check=True, capture_output=True, text=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


def needed(requirements: Iterator[Requirement], extras: set[str], known: dict[str, set[str]]) -> dict[str, set[str]]:
    """Names of the installed distributions that requirements bring, with the extras asked of each, added to `known`."""
    for wanted in requirements:
        if wanted.marker is not None and not any(wanted.marker.evaluate({"extra": extra}) for extra in {"", *extras}):
            continue
        if wanted.name in known and wanted.extras <= known[wanted.name]:
            continue
        known[wanted.name] = known.get(wanted.name, set()) | wanted.extras
        needed(requirements_of(metadata.distribution(wanted.name)), known[wanted.name], known)
    return known


def requirements_of(distribution: metadata.Distribution) -> Iterator[Requirement]:
    return map(Requirement, distribution.requires or ())


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in which the commands run."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def install(
    installed: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Gives Python the wheel, what it requires with the extras named, and nothing else of what is installed here."""

    def give(*extras: str) -> None:
        place = tmp_path_factory.mktemp("packages") / "site-packages"  # elsewhere Streamlit would think it is developed
        place.mkdir()
        (wheel,) = metadata.distributions(name="crossmodal-search", path=[str(installed)])
        own = list(requirements_of(wheel))
        asked = set(extras)
        for _ in extras:  # an extra may ask for another
            ours = [wanted for wanted in own if wanted.name == wheel.name and wanted.marker]
            asked |= {
                e for wanted in ours for a in asked if wanted.marker.evaluate({"extra": a}) for e in wanted.extras
            }
        for name in needed((wanted for wanted in own if wanted.name != wheel.name), asked, {}):
            distribution = metadata.distribution(name)
            for top in {file.parts[0] for file in distribution.files or () if file.parts[0] != ".."}:
                if top != "__pycache__" and not (place / top).exists():
                    (place / top).symlink_to(str(distribution.locate_file(top)))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(installed), str(place))))

    return give


def run(*arguments: str, status: int = 0) -> str:
    done = subprocess.run([sys.executable, "-S", *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stderr


def test_pictures_are_indexed_and_found_without_extras(
    empty: Path, installed: Path, install: Callable[..., None]
) -> None:
    install()
    write_scenes(empty / "scenes", 60, seed=0, split="test").rename(empty / "captions.txt")
    (empty / "scenes" / "images").rename(empty / "photos")
    lines = run("-c", SIX_LINES).splitlines()
    assert lines[0] == str(installed / "crossmodal" / "__init__.py")
    assert [line.split()[0] for line in lines[1:]] == ["1", "2", "3"]
    said = run("-m", "crossmodal", "index", "--images", "photos", "--captions", "captions.txt")
    assert said.startswith("60 pictures and 300 captions in indexes/photos")
    assert "build_index.py" not in said
    assert "app.py" not in said
    for command, package, extra in (("map", "sklearn", "map"), ("app", "streamlit", "app")):
        said = run("-m", "crossmodal", command, "--index", "indexes/photos", status=2)
        assert f'{package}, which is not installed: `pip install "crossmodal-search[{extra}]"`' in said


@pytest.mark.usefixtures("empty")
def test_a_recipe_is_trained_with_the_extra_train(install: Callable[..., None]) -> None:
    install("train")
    said = run("-m", "crossmodal", "train", "--recipe", "scenes", "--smoke", "--cpu")
    assert "next: python -m crossmodal index --images DIR --checkpoint runs/scenes/best" in said


def test_the_pages_are_served_with_the_extra_app(empty: Path, install: Callable[..., None]) -> None:
    install("app")
    port = free_port()
    with open(empty / "said", "wb") as words:
        command = [sys.executable, "-S", "-m", "crossmodal", "app", "--port", str(port)]
        app = subprocess.Popen(command, stdout=words, stderr=words, start_new_session=True)
        try:
            wait_for(f"http://localhost:{port}/_stcore/health", app)
        finally:
            os.killpg(app.pid, 15)
            app.wait()
    assert f"http://localhost:{port}" in (empty / "said").read_text()
