"""What was not made by us is neither overwritten nor deleted, whatever a command is told to write to."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossmodal.errors import CheckpointError, DataError, TrainingError
from crossmodal.inference.backends.export_files import check_export_folder
from crossmodal.scenes.scene import write_scenes
from crossmodal.training.config import TrainConfig
from crossmodal.training.run import Run
from tests.tiny_checkpoint import tiny_checkpoint


def put(path: Path, content: str = "mine") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


@pytest.mark.parametrize("name", ["captions.txt", "scenes.json", "images/scene-train-00001.jpg"])
def test_scenes_leave_files_of_somebody_else_alone(tmp_path: Path, name: str) -> None:
    mine = put(tmp_path / "out" / name)
    with pytest.raises(DataError, match=r"was not written by us, .* give another --out DIR"):
        write_scenes(tmp_path / "out", 1)
    assert mine.read_text() == "mine"
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == [mine]


@pytest.mark.parametrize("content", ["mine", "{}", '{"schema": 1}'])
def test_a_checkpoint_replaces_a_checkpoint_and_nothing_else(tmp_path: Path, content: str) -> None:
    tiny_checkpoint(tiny_checkpoint(tmp_path / "best"))
    mine = put(tmp_path / "other" / "config.json", content)
    with pytest.raises(CheckpointError, match="something else than a checkpoint, so it is not replaced"):
        tiny_checkpoint(tmp_path / "other")
    assert mine.read_text() == content


@pytest.mark.parametrize("name", ["best/notes.txt", "last/notes.txt", "curves.png", "history.json", "config.json"])
def test_a_training_leaves_a_folder_of_somebody_else_alone(tmp_path: Path, name: str) -> None:
    mine = put(tmp_path / name)
    with pytest.raises(TrainingError, match="--out DIR"):
        Run(TrainConfig(recipe="scenes", out=tmp_path))
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("files", [{"notes.txt": "mine"}, {"manifest.json": '{"name": "My app"}'}])
def test_an_export_leaves_a_folder_of_somebody_else_alone(tmp_path: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        put(tmp_path / "exported" / name, content)
    with pytest.raises(CheckpointError, match=f"{next(iter(files))}, which no export wrote, so it is not replaced"):
        check_export_folder(tmp_path)


def test_a_damaged_export_may_be_replaced(tmp_path: Path) -> None:
    for name in ("manifest.json", "image-fp32.onnx", "image-fp32.onnx.data", ".sha256.json"):
        put(tmp_path / "exported" / name, "{")
    check_export_folder(tmp_path)
