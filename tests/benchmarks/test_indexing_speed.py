"""The benchmark of indexing at a size that takes no time, without peers."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from benchmarks import indexing_speed
from benchmarks.peers.network import make_network
from benchmarks.peers.running import Run, last_object
from crossmodal.images.decode import load_image
from tests.fakes import paint_many

Output = pytest.CaptureFixture[str]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lets what runs in processes of its own run in this one, with a small network; returns the run times asked for."""
    asked: list[str] = []

    def run(command: Sequence[str], env: dict[str, str] | None = None, cwd: Any = None, every: float = 0) -> Run:
        del cwd, every
        asked.append((env or {}).get("CROSSMODAL_RUNTIME", ""))
        said = io.StringIO()
        with redirect_stdout(said):
            assert indexing_speed.main(command[3:]) == 0
        return Run(0.5, last_object(said.getvalue()), 3_000_000, 2_000_000)

    def small(folder: Path, *_: object) -> Path:
        return make_network(folder, "small_resnet", 8, 28)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(indexing_speed, "run", run)
    monkeypatch.setattr(indexing_speed, "make_network", small)
    return asked


def test_photos_are_repeated_with_bytes_of_their_own(tmp_path: Path) -> None:
    paint_many(tmp_path / "few", 2)
    load_image(tmp_path / "few" / "000.png").save(tmp_path / "few" / "photo.jpg")
    indexing_speed.spread_out(tmp_path / "few", tmp_path / "many", 7)
    files = sorted((tmp_path / "many").iterdir())
    assert len({hashlib.sha256(path.read_bytes()).hexdigest() for path in files}) == 7
    assert [path.suffix for path in files] == [".png", ".png", ".jpg", ".png", ".png", ".jpg", ".png"]
    for path, source in zip(files[:3], sorted((tmp_path / "few").iterdir()), strict=True):
        assert load_image(path).tobytes() == load_image(source).tobytes()
    with pytest.raises(indexing_speed.InputError, match="holds no pictures: give a folder of photos"):
        indexing_speed.spread_out(tmp_path / "many" / "none", tmp_path / "other", 1)


def test_it_prints_a_table_and_says_which_peers_are_absent(tmp_path: Path, here: list[str], capsys: Output) -> None:
    paint_many(tmp_path / "photos", 4)
    options = ["--images", str(tmp_path / "photos"), "--files", "6", "--repeat", "2"]
    options += ["--save", str(tmp_path / "rounds.json"), "--precisions"]
    assert indexing_speed.main([*options, "--peers", "--only", ", "]) == 0
    said = capsys.readouterr()
    assert here == ["torch"] * 4
    own = next(line for line in said.out.splitlines() if line.startswith("| ours, torch |"))
    assert own.split(" | ")[2] == "12.0"
    assert own.endswith("| 3 | 1.0000 |")
    assert "| encoder, torch |" in said.out
    assert "6 photos, 2 rounds in turn" in said.out
    assert "left out: clip-retrieval is not installed" in said.err
    assert "left out: sentence-transformers is not installed" in said.err
    assert indexing_speed.main([*options, "--only", ", "]) == 0
    assert "6 photos, 4 rounds in turn" in capsys.readouterr().out


def unused(photos: Path, out: Path) -> tuple[Run, float, indexing_speed.Vectors]:
    raise AssertionError(f"{photos} is not to be indexed into {out}")


def test_ratios_are_taken_round_by_round() -> None:
    ours = indexing_speed.Method("ours, torch", unused, [Run(2.0)] * 3, [1.0, 2.0, 4.0])
    peer = indexing_speed.Method("other", unused, [Run(9.0)] * 3, [5.0, 12.0, 40.0])
    found = indexing_speed.table([ours, peer], 10).splitlines()
    assert found[-1].split(" | ")[1:5] == ["0.8 (0.2–2.0)", "1.1", "", "6.0 (5.0–10.0)"]


def test_memory_is_shown_by_number_of_pictures(here: list[str], capsys: Output) -> None:
    assert indexing_speed.main(["--memory", "5", "12"]) == 0
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if "| 3 | 2 |" in line]
    assert [row[0] for row in rows] == ["| 5", "| 12"]
    assert here == ["", ""]


def test_memory_is_shown_of_another_network_too(
    tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []

    def run(command: Sequence[str], **_: object) -> Run:
        taken.extend(command)
        return Run(1.0, said={"seconds": 2.0})

    monkeypatch.setattr(indexing_speed, "run", run)
    assert indexing_speed.main(["--memory", "4", "--checkpoint", str(tmp_path / "other")]) == 0
    assert "| 4 | 2 |" in capsys.readouterr().out
    assert str(tmp_path / "other") in taken


def test_clip_retrieval_is_timed_by_its_own_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    def run(command: Sequence[str], env: dict[str, str] | None = None) -> Run:
        out = Path(next(word for word in command if word.startswith("--output_folder=")).partition("=")[2])
        assert {"--batch_size=16", "--num_prepro_workers=1", "--enable_text=False"} <= set(command)
        assert env == {"A": "b"}
        for name in ("stats", "img_emb"):
            (out / name).mkdir(parents=True)
        (out / "stats" / "0.json").write_text(json.dumps({"total_duration": 2.5, "read_duration": 1.0}))
        (out / "stats" / "wip_0.json").write_text(json.dumps({"total_duration": 1.5}))
        np.save(out / "img_emb" / "img_emb_0.npy", np.ones((3, 2), np.float16))
        return Run(9.0)

    monkeypatch.setattr(indexing_speed, "run", run)
    method = indexing_speed.clip_retrieval("peer", tmp_path, 16, 1, {"A": "b"})
    done, seconds, vectors = method.once(tmp_path / "photos", tmp_path / "out")
    assert (done.wall, seconds, vectors.shape, vectors.dtype) == (9.0, 2.5, (3, 2), np.float32)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--images", "x", "--files", "0"], "--files and --repeat must be at least 1"),
        ([], "give a folder of them with --images DIR"),
        (["--images", "x", "--peers", "--checkpoint", "y"], "leave --checkpoint or --peers out"),
    ],
)
def test_what_cannot_be_measured_is_refused(options: list[str], reason: str, capsys: Output) -> None:
    assert indexing_speed.main(options) == 2
    assert reason in capsys.readouterr().err
