"""Teaching: what is learned and held out, what becomes of a candidate, and that new heads are what the maps say."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import teaching as benchmark
from crossmodal import finetune as teaching
from crossmodal.cli import main as crossmodal
from crossmodal.errors import CheckpointError, IndexMismatchError, InputError
from crossmodal.finetune import run
from crossmodal.finetune.heads import maps_between
from crossmodal.finetune.judging import Ranks, gain_of, ranks_on
from crossmodal.finetune.maps import Maps, learn
from crossmodal.finetune.result import Choice
from crossmodal.finetune.split import SplitVectors, split_index
from crossmodal.gallery.feedback import open_feedback
from crossmodal.images.decode import load_image
from crossmodal.index import build_index, open_index
from crossmodal.inference.encoder import open_encoder
from tests.fakes import FakeEncoder, paint_many
from tests.tiny_checkpoint import tiny_checkpoint, two_coloured


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos, a checkpoint, an index of them, and what teaching made of it: candidate/."""
    folder = tmp_path_factory.mktemp("made")
    captions = two_coloured(folder / "photos")
    checkpoint = tiny_checkpoint(folder / "first")
    build_index(folder / "photos", captions, open_encoder(checkpoint), folder / "index")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(run, "SCENES", 20)
        patched.setattr(run, "LOST", 5.0)  # of 20 scenes, each is many points
        (folder / "taught.json").write_text(
            json.dumps(teaching.teach(folder / "index", folder / "candidate").as_dict())
        )
    return folder


@pytest.fixture
def index(made: Path, tmp_path: Path) -> Path:
    """A copy of the index with a copy of its candidate waiting, for tests that change them."""
    shutil.copytree(made / "candidate", tmp_path / "taught" / "candidate")
    shutil.copytree(made / "index", tmp_path / "index")
    manifest = json.loads((tmp_path / "index" / "manifest.json").read_text())
    manifest["images"]["from_index"] = str(made / "photos")
    (tmp_path / "index" / "manifest.json").write_text(json.dumps(manifest))
    state = {"candidate": str(tmp_path / "taught" / "candidate"), "former": []}
    (tmp_path / "index" / "teaching.json").write_text(json.dumps(state))
    return tmp_path / "index"


@pytest.fixture
def few_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of so few a single one is many points, so nothing is asked of them."""
    monkeypatch.setattr(run, "SCENES", 10)
    monkeypatch.setattr(run, "LOST", 100.0)


# -- what it brings ---------------------------------------------------------------------------------------------------


def test_teaching_finds_pictures_it_was_not_shown(made: Path):
    taught = json.loads((made / "taught.json").read_text())
    assert taught["gain"]["low"] > 0
    assert "finds your pictures better" in taught["verdict"]
    assert sum(taught["pictures"].values()) == 108
    assert taught["after"]["rsum"] > taught["before"]["rsum"] + 50
    assert taught["after"]["protocol"]["split hash"] == taught["before"]["protocol"]["split hash"]


def test_the_candidate_is_a_whole_checkpoint_with_its_story(made: Path):
    candidate, source = made / "candidate", open_encoder(made / "first")
    assert {path.name for path in candidate.iterdir()} == {
        "README.md", "config.json", "metrics.json", "model.safetensors", "tokenizer.json",
    }  # fmt: skip
    assert open_encoder(candidate).preprocessing == source.preprocessing
    about = json.loads((candidate / "config.json").read_text())["about"]
    assert about["taught from"] == f"first {source.fingerprint}"
    metrics = json.loads((candidate / "metrics.json").read_text())
    assert {"held out, before", "held out, after", "generated scenes, before", "teaching"} <= metrics.keys()
    assert source.fingerprint in (candidate / "README.md").read_text()


def test_new_heads_give_just_what_the_maps_say(made: Path):
    index, encoder = open_index(made / "index"), open_encoder(made / "candidate")
    maps = maps_between(made / "first", made / "candidate")
    assert maps is not None
    pictures = [load_image(index.root / picture.stamp.path) for picture in index.catalogue.pictures[:20]]
    texts = [caption.text for caption in index.catalogue.captions[:20]]
    assert np.allclose(encoder.encode_images(pictures), maps.images(index.image_vectors[:20]), atol=2e-5)
    assert np.allclose(encoder.encode_texts(texts), maps.texts(index.caption_vectors[:20]), atol=2e-5)
    assert not np.allclose(maps.image, np.eye(len(maps.image)), atol=0.01)


def test_neither_index_nor_checkpoint_changes(made: Path):
    index = open_index(made / "index")
    assert index.manifest.checkpoint["fingerprint"] == open_encoder(made / "first").fingerprint


def test_the_same_seed_gives_the_same_bytes(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run, "SCENES", 20)
    monkeypatch.setattr(run, "LOST", 5.0)
    teaching.teach(made / "index", tmp_path / "again", remember=False)
    weights = [(folder / "model.safetensors").read_bytes() for folder in (made / "candidate", tmp_path / "again")]
    assert weights[0] == weights[1]


def test_marks_of_training_pictures_are_learned(index: Path):
    encoder, opened = open_encoder(index.parent / "taught" / "candidate"), open_index(index)
    split = split_index(opened, encoder, 0)
    names = [opened.catalogue.pictures[row].stamp.path for row in split.train[:40:10].tolist()]
    held = opened.catalogue.pictures[split.held_out[0]].stamp.path
    feedback = open_feedback(index)
    for name, mark in zip((*names, held, "gone.png"), (1, 1, -1, -1, 1, 1), strict=True):
        feedback.mark("red green blue", name, mark)
    marked = split_index(opened, encoder, 0, feedback)
    assert (len(marked.marked[0].liked), len(marked.marked[0].disliked), marked.left_out) == (2, 2, 2)
    gaps = []
    for taken in (split, marked):
        maps = learn(taken, 0, lambda *_: None)[0].maps()
        pictures = maps.images(opened.image_vectors[split.train[:40:10]])
        cosines = pictures @ maps.texts(marked.queries)[0]
        gaps.append(cosines[:2].mean() - cosines[2:].mean())
    assert gaps[1] > gaps[0] + 0.1


# -- the parts --------------------------------------------------------------------------------------------------------


def test_pictures_stored_twice_never_stand_on_both_sides(made: Path):
    split = split_index(open_index(made / "index"), FakeEncoder(), 0)
    parts = [set(split.groups[rows].tolist()) for rows in (split.train, split.validation, split.held_out)]
    assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]
    assert len(split.groups) > len(set(split.groups.tolist()))
    other = split_index(open_index(made / "index"), FakeEncoder(), 1)
    assert set(other.held_out.tolist()) != set(split.held_out.tolist())


def by_hand(images: list[list[float]], texts: list[list[float]], owner: list[int], said: list[int]) -> SplitVectors:
    pictures, captions = np.array(images, np.float32), np.array(texts, np.float32)
    owned = tuple(np.flatnonzero(np.array(owner) == row) for row in range(len(images)))
    rows = np.arange(len(images))
    return SplitVectors(pictures, captions, captions[:0], np.array(said), owned, rows, rows, rows, rows)


def test_pictures_with_one_caption_all_own_it():
    """Pictures 0 and 1 are both "dog", 2 is "cat" but looks like a dog; ranks by hand."""
    split = by_hand([[1, 0], [0.8, 0.6], [0.96, 0.28]], [[1, 0], [1, 0], [0, 1]], [0, 1, 2], [7, 7, 9])
    ranks = ranks_on(split, np.arange(3), Maps.identity(2))
    assert ranks.captions.tolist() == [0, 0, 1]  # "cat" likes picture 1 best
    assert ranks.pictures.tolist() == [0, 0, 1]  # picture 2 likes "dog" best, which counts once


def test_a_tie_counts_against_the_model():
    split = by_hand([[1, 0], [1, 0]], [[1, 0], [0, 1]], [0, 1], [0, 1])
    assert ranks_on(split, np.arange(2), Maps.identity(2)).captions.tolist() == [1, 1]


def test_the_gain_is_of_the_mean_recall():
    owner = torch.arange(4)
    before = Ranks(torch.full((4,), 20), torch.full((4,), 20), owner)
    after = replace(before, pictures=torch.zeros(4, dtype=torch.int64))
    assert gain_of(before, after) == (50.0, 50.0, 50.0)
    half = replace(before, pictures=torch.tensor([0, 0, 20, 20]))
    gain, low, high = gain_of(before, half)
    assert (gain, low < 25 < high) == (25.0, True)


def test_the_best_mixture_is_taken_among_those_that_keep_every_old_skill():
    choices = [
        Choice(0.0, 3.0, {"scenes": 90.0, "other": 50.0}),
        Choice(0.5, 2.0, {"scenes": 89.2, "other": 49.5}),
        Choice(1.0, 1.0, {"scenes": 95.0, "other": 48.9}),
    ]
    assert run._chosen(choices).alpha == 0.5


# -- accepting, discarding, going back --------------------------------------------------------------------------------


def test_an_accepted_candidate_is_the_index_s_checkpoint_and_can_be_undone(index: Path, made: Path):
    before = open_index(index)
    report = teaching.accept(index)
    assert (report.indexed, report.embedded) == (108, 0)
    after, encoder = open_index(index), open_encoder(index.parent / "taught" / "candidate")
    assert after.manifest.checkpoint["fingerprint"] == encoder.fingerprint
    picture = load_image(after.root / after.catalogue.pictures[5].stamp.path)
    assert np.allclose(after.image_vectors[5], encoder.encode_images([picture])[0], atol=1e-5)
    assert teaching.pending(index).candidate is None
    assert teaching.undo(index)[0] == "first"
    again = open_index(index)
    assert again.manifest.checkpoint["fingerprint"] == open_encoder(made / "first").fingerprint
    assert np.allclose(again.image_vectors, before.image_vectors, atol=1e-5)
    assert np.allclose(again.caption_vectors, before.caption_vectors, atol=1e-5)
    with pytest.raises(InputError, match="no former checkpoint"):
        teaching.undo(index)


def test_a_discarded_candidate_is_gone_and_changes_nothing(index: Path):
    manifest = (index / "manifest.json").read_bytes()
    assert not teaching.discard(index).exists()
    assert (index / "manifest.json").read_bytes() == manifest
    with pytest.raises(InputError, match="nothing to discard"):
        teaching.discard(index)
    with pytest.raises(InputError, match="teach --index"):
        teaching.accept(index)


def test_a_candidate_of_another_checkpoint_is_refused(index: Path, made: Path, tmp_path: Path):
    other = open_encoder(tiny_checkpoint(tmp_path / "other", seed=1))
    build_index(made / "photos", made / "captions.csv", other, index)
    with pytest.raises(InputError, match="taught from another checkpoint"):
        teaching.accept(index)


def test_a_former_checkpoint_that_changed_is_refused(index: Path, made: Path, tmp_path: Path):
    teaching.accept(index)
    state = json.loads((index / "teaching.json").read_text())
    state["former"][0]["path"] = str(tiny_checkpoint(tmp_path / "other", seed=1))
    (index / "teaching.json").write_text(json.dumps(state))
    with pytest.raises(CheckpointError, match="no longer the checkpoint"):
        teaching.undo(index)
    assert made.is_dir()


def test_a_checkpoint_with_other_backbones_is_encoded_again(index: Path, tmp_path: Path):
    other = tiny_checkpoint(tmp_path / "other", seed=1)
    assert maps_between(index.parent / "taught" / "candidate", other) is None
    assert teaching.switch_checkpoint(index, other).embedded == 108


def test_vectors_that_do_not_follow_from_the_maps_are_encoded_again(index: Path, monkeypatch: pytest.MonkeyPatch):
    wrong = Maps(np.eye(24, dtype=np.float32)[::-1].copy(), np.eye(24, dtype=np.float32))
    monkeypatch.setattr("crossmodal.finetune.apply.maps_between", lambda *_: wrong)
    assert teaching.accept(index).embedded == 108


# -- what cannot be taught --------------------------------------------------------------------------------------------


def test_too_few_captions_are_refused_with_what_to_do(made: Path, tmp_path: Path):
    captions = paint_many(tmp_path / "photos", 30)
    build_index(tmp_path / "photos", captions, open_encoder(made / "first"), tmp_path / "index")
    with pytest.raises(InputError, match="has 30 pictures with captions, and teaching needs 50"):
        teaching.teach(tmp_path / "index", tmp_path / "candidate")


def test_pictures_that_all_look_alike_are_refused(made: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr("crossmodal.finetune.split.group_of", lambda index: np.zeros(len(index.image_vectors), int))
    with pytest.raises(InputError, match="hardly tells its pictures apart"):
        teaching.teach(made / "index", tmp_path / "candidate")


def test_an_index_to_keep_must_be_of_the_same_checkpoint(made: Path, tmp_path: Path):
    other = open_encoder(tiny_checkpoint(tmp_path / "other", seed=1))
    build_index(made / "photos", made / "captions.csv", other, tmp_path / "index")
    with pytest.raises(IndexMismatchError, match="built with checkpoint"):
        teaching.teach(made / "index", tmp_path / "candidate", keep=[tmp_path / "index"])


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"labels": ["cat"]}, "knows no free words"),
        ({"decoder": True}, "draws its vectors again"),
        ({"kind": "pair_scorer"}, "knows no free words"),
    ],
)
def test_other_kinds_of_checkpoints_are_refused(made: Path, tmp_path: Path, change: dict[str, object], wrong: str):
    shutil.copytree(made / "first", tmp_path / "other")
    config = json.loads((tmp_path / "other" / "config.json").read_text())
    (tmp_path / "other" / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(InputError, match=wrong):
        teaching.check_teachable(tmp_path / "other")


def test_a_head_that_is_not_linear_is_refused(made: Path, tmp_path: Path):
    from safetensors.torch import load_file, save_file

    shutil.copytree(made / "first", tmp_path / "other")
    weights = load_file(tmp_path / "other" / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if not name.startswith("text.projection")}
    save_file(kept, tmp_path / "other" / "model.safetensors")
    with pytest.raises(InputError, match=r"text head of .* is not one linear layer"):
        teaching.check_teachable(tmp_path / "other")


def test_an_existing_folder_is_not_overwritten(made: Path):
    with pytest.raises(InputError, match="exists already"):
        teaching.teach(made / "index", made / "candidate")


# -- the command and the benchmark ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("few_scenes")
def test_the_command_teaches_accepts_and_undoes(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    command = ["teach", "--index", str(index)]
    assert crossmodal([*command, "--out", str(tmp_path / "mine"), "--keep", str(index)]) == 0
    out = capsys.readouterr().out
    for words in ("held out, before", "gallery 1, index, after", "<- chosen", f"candidate: {tmp_path / 'mine'}"):
        assert words in out
    for option, words in (("--accept", "checkpoint: mine"), ("--undo", "checkpoint: first")):
        assert crossmodal([*command, option]) == 0
        assert words in capsys.readouterr().out
    assert crossmodal([*command, "--accept", "--out", "x"]) == 2
    assert "are for teaching" in capsys.readouterr().err


@pytest.mark.usefixtures("few_scenes")
def test_marks_are_measured_with_a_taught_checkpoint(index: Path, capsys: pytest.CaptureFixture[str]):
    picture = open_index(index).catalogue.pictures[0].stamp.path
    open_feedback(index).mark("black above black", picture, 1)
    command = ["feedback", "--index", str(index), "--json", "--checkpoint", str(index.parent / "taught" / "candidate")]
    assert crossmodal(command) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["protocol"]["checkpoint"].startswith("candidate ")
    assert report["protocol"]["built with"].startswith("first ")


@pytest.mark.usefixtures("few_scenes")
def test_the_benchmark_prints_its_tables(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folders = tmp_path / "classes"
    for name in ("ant", "bee"):
        (folders / name).mkdir(parents=True)
        for path in sorted((made / "photos").glob(f"{'red' if name == 'ant' else 'blue'}-*.png")):
            shutil.copy(path, folders / name / path.name)
    for folder in (folders / "ant", folders / "bee"):
        paint_many(folder / "more", 20)
        (folder / "captions.csv").unlink()
    assert benchmark.main(["--class-folders", str(folders), "--checkpoint", str(made / "first")]) == 0
    out = capsys.readouterr().out
    assert "| held out, after |" in out
    assert "chosen** |" in out
    assert benchmark.main(["--class-folders", str(made / "photos"), "--checkpoint", str(made / "first")]) == 2
