"""Marks as training data: what they add to a batch, and that a run with them resumes to the bit."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import training_script
from crossmodal.datasets.records import Record
from crossmodal.datasets.sources import Marked
from crossmodal.gallery.feedback.training_marks import TrainingMarks
from crossmodal.inference.encoder import open_encoder
from crossmodal.training.losses import marked
from crossmodal.training.run import Run
from tests.fakes import paint_many
from tests.training.test_objectives import HEADS, PLAIN, batch_of, captioned, embedding, step

TOWERS = (
    "--recipe", "flickr8k", "--cpu", "--image-backbone", "small_resnet", "--image-weights", "none",
    "--image-size", "28", "--text-model", "tiny", "--pooling", "mean", "--dimension", "16", "--batch-size", "16",
    "--lr-scale", "10",
)  # fmt: skip
QUERY = "something lovely"
LIKED, DISLIKED = ["003.png", "005.png", "007.png"], ["004.png", "006.png", "008.png"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    paint_many(tmp_path / "photos", 40)
    names = [f"{number:03d}.png" for number in range(40)]
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits" / "train.txt").write_text("\n".join(names[:32]))
    (tmp_path / "splits" / "dev.txt").write_text("\n".join(names[32:]))
    content = {
        "protocol": {"images": str(tmp_path / "photos")},
        "queries": [{"query": QUERY, "relevant": LIKED, "irrelevant": DISLIKED}],
    }
    (tmp_path / "marks.json").write_text(json.dumps(content))
    return tmp_path


def train(folder: Path, out: str, *more: str, status: int = 0) -> Path:
    data = ["--images", str(folder / "photos"), "--captions", str(folder / "captions.csv")]
    options = [*TOWERS, *data, "--splits", str(folder / "splits"), "--out", str(folder / "runs" / out), *more]
    assert training_script.main(options) == status
    return folder / "runs" / out / "best"


def margin(checkpoint: Path, photos: Path) -> float:
    """cos(query, liked) - cos(query, disliked)."""
    from PIL import Image

    encoder = open_encoder(checkpoint)
    pictures = [Image.open(photos / name).convert("RGB") for name in (*LIKED, *DISLIKED)]
    cosines = encoder.encode_images(pictures) @ encoder.encode_texts([QUERY])[0]
    return float(cosines[:3].mean() - cosines[3:].mean())


@pytest.mark.parametrize("which", [("--heads-only", "--epochs", "15"), ("--epochs", "3")])
def test_training_with_marks_parts_liked_from_disliked(photos: Path, which: tuple[str, ...]):
    without = margin(train(photos, "without", *which), photos / "photos")
    with_marks = train(photos, "with", "--feedback", str(photos / "marks.json"), *which)
    # a random backbone tells hardly any pictures apart, so all cosines lie within a hundredth
    assert margin(with_marks, photos / "photos") > max(without, 0) + 0.001


def test_a_stopped_run_with_marks_resumes_to_the_same_bytes(photos: Path, monkeypatch: pytest.MonkeyPatch):
    options = ("--feedback", str(photos / "marks.json"), "--epochs", "3", "--save-every", "0")
    whole = train(photos, "whole", *options)
    finish = Run._finish_epoch

    def stop(run: Run, event: object) -> None:
        finish(run, event)  # type: ignore[arg-type]
        run._save()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Run, "_finish_epoch", stop)
        train(photos, "stopped", *options, status=130)
    (photos / "marks.json").write_text("{}")  # what was marked since must not change a run under way
    stopped = train(photos, "stopped", *options, "--resume")
    bytes_of = [(best / "model.safetensors").read_bytes() for best in (whole, stopped)]
    assert len({hashlib.sha256(content).hexdigest() for content in bytes_of}) == 1


def test_liked_pictures_gain_the_query_and_others_are_said(photos: Path, capsys: pytest.CaptureFixture[str]):
    marks = TrainingMarks(photos / "marks.json", photos / "photos")
    records = [Record("003.png", ("a",)), Record("004.png", ("b",)), Record("030.png", ("c",))]
    assert [record.captions for record in marks.with_queries(records)] == [("a", QUERY), ("b",), ("c",)]
    assert "4 pictures outside the training split (005.png" in capsys.readouterr().err
    assert marks.of(records) == ((QUERY, (0,), (1,)),)


def test_a_picture_is_found_where_the_index_starts_above_the_training_folder(photos: Path):
    content = json.loads((photos / "marks.json").read_text())
    content["protocol"]["images"] = str(photos)
    content["queries"][0] |= {"relevant": ["photos/003.png"], "irrelevant": ["photos/004.png"]}
    (photos / "marks.json").write_text(json.dumps(content))
    assert TrainingMarks(photos / "marks.json", photos / "photos").marks == {QUERY: {"003.png": 1, "004.png": -1}}


def test_a_recipe_without_photos_refuses_marks(photos: Path, capsys: pytest.CaptureFixture[str]):
    options = ["--recipe", "scenes", "--smoke", "--cpu", "--feedback", str(photos / "marks.json")]
    assert training_script.main([*options, "--out", str(photos / "none")]) == 2
    assert "--feedback means nothing to it" in capsys.readouterr().err


# -- the loss ---------------------------------------------------------------------------------------------------------


def test_the_cost_of_marks_by_hand():
    wrong, right, own = torch.tensor([0.4, 0.2]), torch.tensor([0.5]), torch.tensor([0.4, 0.6])
    expected = np.mean([np.log1p(np.exp(v)) for v in (0.0, -0.4)]) + np.mean(
        [np.log1p(np.exp(v)) for v in (-0.1, -0.3)]
    )
    assert float(marked(wrong, right, own, torch.tensor(0.0))) == pytest.approx(expected, abs=1e-6)
    alone = float(marked(wrong, right[:0], own, torch.tensor(0.0)))
    assert alone == pytest.approx(np.mean([np.log1p(np.exp(v)) for v in (0.0, -0.4)]), abs=1e-6)


@pytest.mark.parametrize("phase", [PLAIN, HEADS, replace(PLAIN, chunk=2)])
def test_marks_add_their_cost_and_gradient_in_every_kind_of_phase(phase: object):
    tokenizer, source = captioned()
    plain, plain_gradients = step(embedding((tokenizer, source)), phase, batch_of(range(6)))  # type: ignore[arg-type]
    told = replace(source, marked=(Marked(tokenizer.ids(["picture0 caption0"])[0], (1,), (2, 5)),))
    with_marks, gradients = step(embedding((tokenizer, told)), phase, batch_of(range(6)))  # type: ignore[arg-type]
    assert with_marks > plain + 0.01
    assert not torch.allclose(gradients["image.projection.weight"], plain_gradients["image.projection.weight"])
