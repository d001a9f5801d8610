"""What `import crossmodal` gives: every name documented, its examples run, and nothing else promised."""

from __future__ import annotations

import doctest
import inspect
from pathlib import Path

import pytest

import crossmodal
from crossmodal.errors import CheckpointError
from crossmodal.inference.base import Encoder
from crossmodal.models.checkpoint_files import fingerprint
from crossmodal.scenes.scene import write_scenes

PROMISED = (
    "Box BuildReport Encoder Explanation Hit Indexed Progress Query Report SearchResult Searcher Term TrainConfig "
    "TrainingResult __version__ build_index errors evaluate explain load_model open_index train"
)


@pytest.fixture(scope="module")
def starter() -> Encoder:
    return crossmodal.load_model("starter")


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four scenes in `photos` with `captions.csv`, below the current folder."""
    captions = write_scenes(tmp_path / "scenes", 4, seed=0, split="test")
    (tmp_path / "scenes" / "images").rename(tmp_path / "photos")
    captions.rename(tmp_path / "captions.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "photos"


def test_what_is_promised_changes_only_on_purpose() -> None:
    assert " ".join(crossmodal.__all__) == PROMISED
    assert all(hasattr(crossmodal, name) for name in crossmodal.__all__)


@pytest.mark.parametrize("name", sorted(set(crossmodal.__all__) - {"__version__"}))
def test_a_promised_name_is_documented(name: str) -> None:
    assert inspect.getdoc(getattr(crossmodal, name))


def test_a_name_that_is_none_is_told() -> None:
    with pytest.raises(AttributeError, match="no attribute 'searcher_of'"):
        crossmodal.searcher_of  # noqa: B018


@pytest.mark.usefixtures("pictures")
def test_the_examples_run_as_they_are_written() -> None:
    runner, names = doctest.DocTestRunner(), {name: getattr(crossmodal, name) for name in crossmodal.__all__}
    for name in ("load_model", "build_index", "open_index", "evaluate", "explain", "train"):
        (test,) = doctest.DocTestFinder(recurse=False).find(names[name], name, globs=dict(names))
        assert test.examples
        assert runner.run(test).failed == 0, name


def test_pictures_are_encoded_from_paths_as_from_pixels(pictures: Path, starter: Encoder) -> None:
    from crossmodal.images.decode import load_image

    paths = sorted(pictures.iterdir())[:2]
    assert (starter.encode_images(paths) == starter.encode_images([load_image(path) for path in paths])).all()


def test_a_saved_model_is_the_same_and_replaces_no_other_folder(tmp_path: Path, starter: Encoder) -> None:
    starter.save_pretrained(tmp_path / "copy")
    assert crossmodal.load_model(tmp_path / "copy").fingerprint == fingerprint(starter.path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(CheckpointError, match="something else than a checkpoint"):
        starter.save_pretrained(tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_a_model_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(CheckpointError, match="no checkpoint is called 'clip': give a folder, or a name of"):
        crossmodal.load_model("clip")
