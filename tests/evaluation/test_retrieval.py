from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from crossmodal.datasets.records import Record
from crossmodal.errors import InputError
from crossmodal.evaluation.retrieval import embed_records, evaluate, leading_pairs, retrieval_report, split_hash

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


class ColourEncoder:
    """Pictures become their mean colour, sentences the colour they name: a model that is always right."""

    def preprocess(self, image: Image.Image) -> NDArray[np.uint8]:
        return np.asarray(image.resize((2, 2))).transpose(2, 0, 1)

    def encode_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        vectors = pixels.mean((2, 3), dtype=np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        named = [next(value for name, value in COLOURS.items() if name in text) for text in texts]
        return np.asarray(named, dtype=np.float32) / 255


def pictures(folder: Path) -> list[Record]:
    for name, value in COLOURS.items():
        Image.new("RGB", (8, 8), value).save(folder / f"{name}.png")
    return [Record(f"{name}.png", (f"a {name} thing", f"all {name}")) for name in COLOURS]


def test_a_perfect_model_reaches_600(tmp_path: Path):
    records = pictures(tmp_path)
    report = evaluate(embed_records(ColourEncoder(), tmp_path, records, batch_size=2), records, "all", checkpoint="c")
    assert report.rsum == 600
    assert report.protocol["pictures"] == 3
    assert report.protocol["captions"] == 6
    assert report.protocol["checkpoint"] == "c"
    assert "R@1 100.0 [100.0, 100.0]" in str(report)


def test_an_unreadable_picture_shifts_nobodys_captions(tmp_path: Path):
    records = pictures(tmp_path)
    (tmp_path / "green.png").write_bytes(b"")
    embedded = embed_records(ColourEncoder(), tmp_path, records)
    assert embedded.names == ("red.png", "blue.png")
    assert embedded.owner.tolist() == [0, 0, 1, 1]
    assert embedded.captions == ("a red thing", "all red", "a blue thing", "all blue")
    assert embedded.skipped == (("green.png", "0 bytes"),)
    report = evaluate(embedded, records, "all")
    assert (report.rsum, report.protocol["skipped pictures"]) == (600, 1)


def test_nothing_to_evaluate_is_an_error_of_ours(tmp_path: Path):
    pictures(tmp_path)
    with pytest.raises(InputError, match="nothing to evaluate"):
        embed_records(ColourEncoder(), tmp_path, [Record("red.png", ())])


def test_the_split_hash_follows_names_and_captions_not_their_order():
    first, second = Record("a.jpg", ("x",)), Record("b.jpg", ("y",))
    assert split_hash([first, second]) == split_hash([second, first])
    assert split_hash([first, second]) != split_hash([first, Record("b.jpg", ("z",))])
    assert split_hash([first]) != split_hash([first, second])


def test_leading_pairs_have_their_own_pairs_on_the_diagonal(tmp_path: Path):
    embedded = embed_records(ColourEncoder(), tmp_path, pictures(tmp_path))
    assert np.array_equal(leading_pairs(embedded, 2), np.eye(2, dtype=np.float32))


def test_a_report_is_plain_json_values():
    report = retrieval_report(torch.eye(2), torch.eye(2), torch.arange(2), {"split": "s"}).as_dict()
    assert report.keys() == {"rsum", "image_to_text", "text_to_image", "intervals", "protocol"}
    assert report["intervals"]["text_to_image R@1"] == [100.0, 100.0]
    assert report["protocol"]["ties"] == "count against the model"
