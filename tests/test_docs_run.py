"""Every command and Python block of README.md and docs/ runs, in the order of its page, on a few generated pictures."""

from __future__ import annotations

import re
import shlex
import shutil
from itertools import pairwise
from pathlib import Path

import pytest

import build_index
import crossmodal
import training_script
from crossmodal.cli import main
from crossmodal.gallery.feedback import open_feedback
from crossmodal.scenes.scene import write_scenes
from tests.tiny_checkpoint import tiny_checkpoint

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")))
PICTURES = 60  # teaching needs 50
FEW = 40  # on 50 and more the map is made by UMAP, which compiles for longer than all the rest takes
SMALLER = {  # what a page shows -> what runs here
    "--epochs 40": "--epochs 1",
    "sentence-transformers/all-MiniLM-L6-v2": "tiny",
    "scenes --out": "scenes --count 24 --out",
    "--index DIR": "--index indexes/photos",
    "--export FILE": "--export marks.csv",
    "--data mnist --root DIR": "--images photos",
    "export --precision fp32 int8 bf16": "export --checkpoint tiny --precision fp32 int8",  # bf16 needs OpenVINO
}
NOT_RUN = {  # how a command begins -> why it is only shown
    "python3 -m venv .venv": "installs from a package index",
    "pip install -r requirements-export.txt": "installs from a package index",
    "streamlit run app.py": "serves pages until it is interrupted; tests/test_wheel.py and tests/app do it",
}
WRITTEN = ("--out", "--plot", "--index", "--export")  # options that name what a command leaves behind
FENCE = re.compile(r"(?ms)^```(sh|python)?\n(.*?)^```$")
INLINE = re.compile(r"`(python (?:-m crossmodal \S|build_index\.py|training_script\.py)[^`]*)`")


def shown(page: Path) -> list[tuple[str, str]]:
    """What a page shows that can run, in order: ("sh", a command) and ("python", a block).

    A command in the middle of a sentence counts where it is whole: no placeholder of a grammar and no bare name.
    """
    found: list[tuple[str, str]] = []
    text = page.read_text("utf-8")
    parts = FENCE.split(text)
    for prose, kind, block in zip(parts[::3], [*parts[1::3], None], [*parts[2::3], ""], strict=True):
        inline = [re.sub(r"\s+", " ", command) for command in INLINE.findall(prose)]
        found += [("sh", command) for command in inline if " -" in command[9:] and not re.search(r"[…\[|(]", command)]
        if kind == "python":
            found.append((kind, block))
        elif kind == "sh":
            found += [("sh", line.replace(".venv/bin/", "")) for line in block.splitlines()]
    return found


def run(command: str) -> int:
    """The exit status of one of our commands, run in this process."""
    for large, small in SMALLER.items():
        command = command.replace(large, small)
    _, program, *arguments = shlex.split(command)
    if program == "-m":
        assert arguments[0] == "crossmodal"
        status = main(arguments[1:])
    else:
        status = {"build_index.py": build_index, "training_script.py": training_script}[program].main(arguments)
    for option, value in pairwise(arguments):
        assert option not in WRITTEN or Path(value).exists(), f"`{command}` left no {value}"
    return status


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that the pages speak of, small: photos, split lists, weights, indexes and checkpoints."""
    import timm
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("docs")
    write_scenes(folder / "made", PICTURES, split="test").rename(folder / "captions.txt")
    photos = (folder / "made" / "images").rename(folder / "photos")
    (folder / "Images").symlink_to(photos)
    names = sorted(path.name for path in photos.iterdir())
    for split, some in (("train", names[:40]), ("dev", names[40:50]), ("test", names[50:])):
        (folder / f"Flickr_8k.{split}Images.txt").write_text("\n".join(some) + "\n")
    shutil.copy(photos / names[0], folder / "beach.jpg")
    demo = folder / "indexes" / "demo-pictures" / "images" / "scene-test-00096.jpg"
    demo.parent.mkdir(parents=True)
    shutil.copy(photos / names[1], demo)
    write_scenes(folder / "few", FEW, split="val")
    (folder / "assets").mkdir()
    (folder / "model-checkpoints").symlink_to(ROOT / "model-checkpoints")
    tiny_checkpoint(folder / "tiny")
    save_file(timm.create_model("tf_efficientnet_lite0").state_dict(), folder / "tf_efficientnet_lite0.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        crossmodal.build_index("photos", captions="captions.txt", out="indexes/photos")
        crossmodal.build_index("few/images", captions="few/captions.txt", out="indexes/flickr8k")
        shutil.copytree("indexes/flickr8k", "indexes/demo")
        open_feedback(Path("indexes/photos")).mark("a red car", names[0], 1)
        assert training_script.main(["--recipe", "arcface", "--smoke", "--cpu", "--out", "runs/arcface"]) == 0
    return folder


@pytest.fixture(scope="module")
def ran() -> set[str]:
    """What has run in that folder: a training that two pages show would not begin twice in it."""
    return set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_shows_runs(page: Path, place: Path, ran: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    for kind, text in shown(page):
        if text in ran:
            continue
        ran.add(text)
        if kind == "python":
            exec(compile(text, page.name, "exec"), {"Path": Path, "index": crossmodal.open_index("indexes/photos")})
        elif not text.startswith(tuple(NOT_RUN)):
            assert run(text) == 0, text


def test_what_is_replaced_or_left_out_is_still_shown() -> None:
    commands = [text for page in PAGES for kind, text in shown(page) if kind == "sh"]
    assert len(commands) > 20
    assert [start for start in NOT_RUN if not any(text.startswith(start) for text in commands)] == []
    assert [large for large in SMALLER if not any(large in text for text in commands)] == []
