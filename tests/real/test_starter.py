"""The shipped checkpoint does what its model card says, on held-out scenes and on real photos."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossmodal.datasets.records import load_pairs
from crossmodal.datasets.splits import listed_records
from crossmodal.evaluation.retrieval import embed_records, evaluate
from crossmodal.inference.encoder import Encoder, open_encoder
from crossmodal.inference.export import RECALL_POINTS
from crossmodal.models.checkpoint_files import STARTER
from crossmodal.scenes.scene import write_scenes

LARGEST_BYTES = 64 * 10**6


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return open_encoder(STARTER)


def test_it_is_small_enough_to_ship_and_says_where_it_is_from():
    assert sum(path.stat().st_size for path in STARTER.iterdir()) <= LARGEST_BYTES
    card = (STARTER / "README.md").read_text("utf-8")
    for fact in ("Flickr8k", "research", "Seed", "--recipe starter", "MiniLM", "rsum"):
        assert fact in card


def test_held_out_scenes_are_found_by_their_captions(encoder: Encoder, tmp_path: Path):
    captions = write_scenes(tmp_path, 1000, seed=0, split="test")
    records = load_pairs(tmp_path / "images", captions).records
    report = evaluate(embed_records(encoder, tmp_path / "images", records), records, "test scenes")
    assert report.protocol["pictures"] == 1000
    assert min(report.text_to_image["R@10"], report.image_to_text["R@10"]) >= 97


def test_photos_of_dev_are_found_as_well_as_the_card_says(encoder: Encoder, shared: Path):
    """By a run time that rounds: as well as an export must, see `exporting`."""
    data = shared / "data" / "flickr8k"
    pairs = load_pairs(data / "Images", data / "captions.txt")
    records = listed_records(pairs.records, data / "Flickr_8k.devImages.txt")
    report = evaluate(embed_records(encoder, pairs.root, records), records, "dev")
    card = json.loads((STARTER / "metrics.json").read_text("utf-8"))["photos val"]
    assert report.protocol["split hash"] == card["protocol"]["split hash"]
    if encoder.rounds:
        assert report.text_to_image["R@10"] >= card["text_to_image"]["R@10"] - RECALL_POINTS
        assert report.image_to_text["R@10"] >= card["image_to_text"]["R@10"] - RECALL_POINTS
    else:
        assert report.rsum >= 320
        assert report.rsum == pytest.approx(card["rsum"], abs=1)
