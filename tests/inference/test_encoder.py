"""What every encoder declares, and that any number of threads may call one."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crossmodal.errors import CheckpointError, InputError
from crossmodal.inference.base import Encoder, Vectors
from crossmodal.inference.encoder import CheckpointEncoder, open_encoder
from tests.fakes import FakeEncoder
from tests.tiny_checkpoint import tiny_checkpoint

PICTURE = Image.new("RGB", (8, 8), "red")
TOWARDS = np.full(24, 24**-0.5, dtype=np.float32)
CALLS = {
    "encode_images": ([PICTURE],),
    "encode_texts": (["a red dog"],),
    "image_parts": (PICTURE,),
    "text_parts": ("a red dog",),
    "image_weights": (PICTURE, TOWARDS),
    "text_weights": ("a red dog", TOWARDS),
}


class Watched:
    """Towers that note the most threads that were within at once."""

    def __init__(self, towers: Any) -> None:
        self._towers, self._counting, self._inside, self.most = towers, threading.Lock(), 0, 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._towers, name)
        return self._counted(found) if name.startswith(("embed", "image_", "text_")) else found

    def _counted(self, call: Any) -> Any:
        def counted(*values: Any) -> Any:
            with self._counting:
                self._inside += 1
                self.most = max(self.most, self._inside)
            time.sleep(0.01)
            result = call(*values)
            with self._counting:
                self._inside -= 1
            return result

        return counted


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return open_encoder(tiny_checkpoint(tmp_path_factory.mktemp("checkpoints") / "a"), "torch")


@pytest.mark.parametrize("call", CALLS)
def test_one_thread_at_a_time_is_in_the_towers(encoder: CheckpointEncoder, call: str) -> None:
    encoder._towers = watched = Watched(getattr(encoder._towers, "_towers", encoder._towers))  # type: ignore[assignment]
    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(getattr(encoder, call), *CALLS[call]) for _ in range(4)]:
            future.result()
    assert watched.most == 1


def test_pictures_are_preprocessed_while_another_thread_is_in_the_towers(encoder: CheckpointEncoder) -> None:
    with encoder._lock, ThreadPoolExecutor(1) as pool:
        assert pool.submit(encoder.preprocess, PICTURE).result(timeout=20).dtype == np.uint8


def test_an_encoder_can_do_no_more_than_it_declares() -> None:
    plain = FakeEncoder()
    assert not any((plain.can_decode, plain.can_explain, plain.has_bulk, plain.splits_images, plain.splits_texts))
    assert (plain.labels, plain.runtime, plain.rounds, plain.path) == ((), "", "", None)
    for call in (plain.words, plain.unread, plain.text_parts, plain.image_parts):
        with pytest.raises(InputError, match="fake cannot say what its scores are made of"):
            call("red")  # type: ignore[operator]
    with pytest.raises(InputError, match="fake has no decoder"):
        plain.decode(np.zeros((1, 16), dtype=np.float32))
    with pytest.raises(InputError, match="fake encodes one batch at a time"):
        plain.bulk()
    with pytest.raises(CheckpointError, match="fake was loaded from no folder"):
        plain.save_pretrained("copy")


def test_an_encoder_that_cannot_encode_is_none() -> None:
    class Half(Encoder):
        def encode_texts(self, texts: Any, batch_size: int = 64) -> Vectors:
            raise NotImplementedError

    with pytest.raises(TypeError, match="encode_pixels"):
        Half()  # type: ignore[abstract]


def test_a_trained_model_without_a_decoder_says_so_before_it_loads_anything(encoder: Encoder) -> None:
    with pytest.raises(InputError, match="a has no decoder: the recipe arcface trains one"):
        encoder.decode(np.zeros((1, 24), dtype=np.float32))


def test_paths_are_opened_as_pictures_are(encoder: Encoder, tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "red.png")
    assert np.array_equal(encoder.encode_images([tmp_path / "red.png"]), encoder.encode_images([PICTURE]))
