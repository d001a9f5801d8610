"""The shipped checkpoint does what its model card says, on held-out scenes and on real photos."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossmodal.app.state.demo import DEMO_COUNT, DEMO_EXAMPLES, DEMO_SPLIT
from crossmodal.datasets.records import Record, load_pairs
from crossmodal.datasets.splits import listed_records
from crossmodal.evaluation.retrieval import Embedded, embed_records, evaluate
from crossmodal.inference.base import Encoder
from crossmodal.inference.encoder import open_encoder
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


@pytest.fixture(scope="module")
def scenes(encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> tuple[Embedded, list[Record]]:
    """The pictures of the demo gallery with their captions: combinations that no training has seen."""
    folder = tmp_path_factory.mktemp("scenes")
    captions = write_scenes(folder, DEMO_COUNT, seed=0, split=DEMO_SPLIT)
    records = list(load_pairs(folder / "images", captions).records)
    return embed_records(encoder, folder / "images", records), records


def test_held_out_scenes_are_found_by_their_captions(scenes: tuple[Embedded, list[Record]]):
    report = evaluate(*scenes, "test scenes")
    assert report.protocol["pictures"] == 1000
    assert min(report.text_to_image["R@10"], report.image_to_text["R@10"]) >= 97


def test_the_demos_examples_find_what_they_name(encoder: Encoder, scenes: tuple[Embedded, list[Record]]):
    embedded, records = scenes
    said = {record.image: " ".join(record.captions).lower() for record in records}
    found = embedded.image.numpy() @ encoder.encode_texts(DEMO_EXAMPLES).T
    names = [said[embedded.names[row]] for row in found.argmax(0)]
    named = ("two red rockets", "space"), ("orange cat", "living room"), ("camel", "desert")
    named += ("purple octopus", "under"), ("two yellow balloons", "black hens")
    assert [[word in text for word in words] for words, text in zip(named, names, strict=True)] == [[True, True]] * 5


def test_photos_of_dev_are_found_as_well_as_the_card_says(encoder: Encoder, shared: Path):
    """By a run time that rounds: as well as an export must, see `crossmodal.inference.export`."""
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
