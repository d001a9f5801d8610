"""Indexing on all cores gives what the plain way gives, whatever interrupts it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from crossmodal.errors import CheckpointError
from crossmodal.images.decode import load_image
from crossmodal.images.transforms import one_torch_thread
from crossmodal.index import build_index, open_index
from crossmodal.index.catalogue.rows import Stamp
from crossmodal.index.journal import Journal, Outcome
from crossmodal.inference.backends.fusing import fused
from crossmodal.inference.backends.towers import Bulk
from crossmodal.inference.base import Encoder
from crossmodal.inference.encoder import open_encoder
from crossmodal.models.encoders import ImageEncoder
from tests.fakes import FakeEncoder, contents, paint_many
from tests.index.test_killed import Killed, die_after
from tests.tiny_checkpoint import tiny_checkpoint, two_coloured

Vectors = NDArray[np.float32]


class SideBySide(FakeEncoder):
    """One that three threads may call at once. read, most: pictures read, and the most threads seen within."""

    has_bulk = True

    def __init__(self, crowded: bool = False, pause: float = 0.0, rounds: str = "") -> None:
        super().__init__(crowded=crowded)
        self.rounds = rounds
        self.read = self.inside = self.most = 0
        self._wait = pause
        self._counting = threading.Lock()

    @contextmanager
    def bulk(self) -> Iterator[Bulk]:
        yield Bulk(3, 2, self._read, self._encode_side_by_side)

    def _read(self, data: bytes) -> NDArray[np.uint8]:
        with self._counting:
            self.read += 1
        return self.preprocess(load_image(data))

    def _encode_side_by_side(self, pixels: NDArray[np.uint8]) -> Vectors:
        assert len(pixels) == 2
        with self._counting:
            self.inside += 1
            self.most = max(self.most, self.inside)
        time.sleep(self._wait)
        with self._counting:
            self.inside -= 1
            return self.encode_pixels(pixels)


@pytest.mark.parametrize("backbone", ["mobilenet_v2", "efficientnet_b0", "resnet18", "small_resnet"])
def test_a_tower_with_norms_folded_for_good_gives_the_same(backbone: str) -> None:
    torch.manual_seed(0)
    tower = ImageEncoder(backbone, 32).eval()
    for norm in (module for module in tower.modules() if isinstance(module, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, 0, 0.1)
        nn.init.uniform_(norm.running_var, 0.5, 1.5)  # type: ignore[arg-type]
    images = torch.randn(3, 3, 64, 64)
    before = {name: values.clone() for name, values in tower.state_dict().items()}
    with torch.inference_mode():
        plain, fast = tower(images), fused(tower)(images)
    assert float((plain * fast).sum(1).min()) >= 0.99999
    assert float((plain - fast).abs().max()) < 1e-4
    assert all(torch.equal(before[name], values) for name, values in tower.state_dict().items())


def test_torch_on_all_cores_agrees_with_torch_by_batches(tmp_path: Path) -> None:
    encoder = open_encoder(tiny_checkpoint(tmp_path / "a"), "torch")
    two_coloured(tmp_path / "photos", 1)
    paths = sorted((tmp_path / "photos").iterdir())[:8]
    threads = torch.get_num_threads()
    with encoder.bulk() as bulk:
        assert torch.get_num_threads() == 1
        fast = bulk.encode(np.stack([bulk.read(path.read_bytes()) for path in paths]))
    plain = encoder.encode_images([load_image(path) for path in paths])
    assert torch.get_num_threads() == threads
    assert float((fast * plain).sum(1).min()) >= 0.99999


def test_of_two_at_once_the_last_gives_torch_its_threads_back() -> None:
    threads = torch.get_num_threads()
    one, other = one_torch_thread(), one_torch_thread()
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    assert torch.get_num_threads() == 1
    other.__exit__(None, None, None)
    assert torch.get_num_threads() == threads


def test_a_real_encoders_index_is_that_of_the_plain_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = open_encoder(tiny_checkpoint(tmp_path / "a"), "torch")
    captions = two_coloured(tmp_path / "photos", 2)
    (tmp_path / "photos" / "broken.png").write_bytes(b"")
    build_index(tmp_path / "photos", captions, encoder, tmp_path / "fast", batch_size=16)
    monkeypatch.delattr(Encoder, "bulk")
    build_index(tmp_path / "photos", captions, encoder, tmp_path / "plain", batch_size=16)
    fast, plain = open_index(tmp_path / "fast"), open_index(tmp_path / "plain")
    assert fast.catalogue == plain.catalogue
    assert len(fast.catalogue.skipped) == 1
    assert float((fast.image_vectors * plain.image_vectors).sum(1).min()) >= 0.99999


def test_threads_work_side_by_side_and_every_picture_once(tmp_path: Path) -> None:
    captions = paint_many(tmp_path / "photos", 30)
    encoder = SideBySide(pause=0.02)
    build_index(tmp_path / "photos", captions, encoder, tmp_path / "fast", batch_size=4)
    build_index(tmp_path / "photos", captions, FakeEncoder(), tmp_path / "plain", batch_size=4)
    assert encoder.most == 3
    assert encoder.read == 30
    assert contents(open_index(tmp_path / "fast")) == contents(open_index(tmp_path / "plain"))


def test_a_killed_build_on_all_cores_ends_as_an_unbroken_one(tmp_path: Path) -> None:
    captions = paint_many(tmp_path / "photos", 40)
    build_index(tmp_path / "photos", captions, SideBySide(crowded=True), tmp_path / "unbroken", batch_size=4)
    with pytest.raises(Killed):
        build_index(
            tmp_path / "photos", captions, SideBySide(crowded=True), tmp_path / "index", die_after(16), batch_size=4
        )
    again = SideBySide(crowded=True)
    build_index(tmp_path / "photos", captions, again, tmp_path / "index", batch_size=4)
    assert again.read <= 24
    assert contents(open_index(tmp_path / "index")) == contents(open_index(tmp_path / "unbroken"))


def test_the_threads_do_not_run_far_ahead_of_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    captions = paint_many(tmp_path / "photos", 60)
    encoder, ahead = SideBySide(), []
    add, written = Journal.add_pictures, 0

    def slow(self: Journal, first: int, stamps: list[Stamp], outcomes: list[Outcome], vectors: Vectors) -> None:
        nonlocal written
        time.sleep(0.02)
        ahead.append(encoder.read - written)
        written += len(outcomes)
        add(self, first, stamps, outcomes, vectors)

    monkeypatch.setattr(Journal, "add_pictures", slow)
    build_index(tmp_path / "photos", captions, encoder, tmp_path / "index", batch_size=2)
    assert len(ahead) >= 30
    assert max(ahead[:30]) <= 2 * (3 + 2)


def test_an_unfit_vector_in_a_thread_stops_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paint_many(tmp_path / "photos", 9)
    monkeypatch.setattr(SideBySide, "encode_pixels", lambda _, pixels: np.full((len(pixels), 16), np.nan, np.float32))
    with pytest.raises(CheckpointError, match="not finite"):
        build_index(tmp_path / "photos", None, SideBySide(), tmp_path / "index", batch_size=4)


def test_an_index_never_mixes_exact_vectors_with_rounded_ones(tmp_path: Path) -> None:
    captions = paint_many(tmp_path / "photos", 8)
    exact, rounding = SideBySide(), SideBySide(rounds="openvino-bf16")
    build_index(tmp_path / "photos", captions, exact, tmp_path / "index")
    assert open_index(tmp_path / "index").manifest.rounding == ""
    report = build_index(tmp_path / "photos", captions, rounding, tmp_path / "index")
    assert (report.embedded, report.reused, rounding.read) == (8, 0, 8)
    assert any("made by an exact run time, this is openvino-bf16" in note.text for note in report.notes)
    assert open_index(tmp_path / "index").manifest.rounding == "openvino-bf16"
    assert build_index(tmp_path / "photos", captions, rounding, tmp_path / "index").embedded == 0
    report = build_index(tmp_path / "photos", captions, exact, tmp_path / "index")
    assert report.embedded == 8
    assert any("made by openvino-bf16, this is an exact one" in note.text for note in report.notes)


def test_what_a_killed_build_rounded_is_not_taken_for_exact(tmp_path: Path) -> None:
    captions = paint_many(tmp_path / "photos", 16)
    with pytest.raises(Killed):
        build_index(
            tmp_path / "photos",
            captions,
            SideBySide(rounds="onnx-int8"),
            tmp_path / "index",
            die_after(8),
            batch_size=4,
        )
    exact = SideBySide()
    build_index(tmp_path / "photos", captions, exact, tmp_path / "index", batch_size=4)
    assert exact.read == 16
