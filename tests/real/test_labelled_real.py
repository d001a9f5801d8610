"""Labelled recipes on the real MNIST and on photos of ten things, shortened: an epoch already shows much."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import build_index
import training_script
from crossmodal.search.searcher import open_searcher


@pytest.fixture(scope="module")
def mnist(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real MNIST, unpacked."""
    root = tmp_path_factory.mktemp("mnist")
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for packed in (shared / "data" / "mnist" / "MNIST" / "raw").glob("*.gz"):
        with gzip.open(packed) as source, (raw / packed.stem).open("wb") as target:
            shutil.copyfileobj(source, target)
    return root


def report(out: Path, split: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((out / "best" / "metrics.json").read_text())[split]["values"]
    return values


def test_digits_and_their_written_forms_after_one_epoch(mnist: Path, tmp_path: Path):
    arguments = [
        "--recipe",
        "mnist_labels",
        "--root",
        str(mnist),
        "--epochs",
        "1",
        "--cpu",
        "--out",
        str(tmp_path / "out"),
    ]
    assert training_script.main(arguments) == 0
    values = report(tmp_path / "out", "mnist test")
    assert values["retrieval, seen forms (%)"] > 96
    assert values["true cosine, seen forms"] > 0.85
    assert values["false cosine, seen forms"] < 0.2  # a collapsed model has it equal to the other
    assert values["retrieval, withheld forms (%)"] > 70  # by spelling alone: no such word was ever trained on


def test_things_find_their_like_and_an_index_of_them_works(shared: Path, tmp_path: Path):
    photos, out = shared / "data" / "cifar10_folders", tmp_path / "out"
    arguments = ["--recipe", "arcface", "--data", "folder", "--root", str(photos), "--mirror", "--image-size", "32"]
    assert training_script.main([*arguments, "--epochs", "6,1,1", "--cpu", "--out", str(out)]) == 0
    values = report(out, "folder test")
    rival = report(out, "folder test, softmax instead")
    assert values["accuracy (%)"] > 25  # ten classes: 10 by chance
    assert values["precision@10 (%)"] > 18
    assert rival["precision@10 (%)"] > 18
    index = tmp_path / "index"
    assert (
        build_index.main(["--images", str(photos / "test"), "--checkpoint", str(out / "best"), "--index", str(index)])
        == 0
    )
    searcher = open_searcher(index, out / "best")
    path = searcher.index.catalogue.pictures[0].stamp.path
    assert path not in {hit.path for hit in searcher.similar(path, k=10)}
    assert len(searcher.search("ship", k=5)) == 5
