"""On real photos and the shipped checkpoint, shares of words and places add up to the score."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossmodal.datasets.records import load_pairs
from crossmodal.datasets.splits import listed_records
from crossmodal.images.decode import load_image
from crossmodal.inference.encoder import open_encoder
from crossmodal.inference.explain import explain, explain_images
from crossmodal.models.checkpoint_files import STARTER


def test_shares_of_real_photos_add_up_to_their_scores(shared: Path):
    data = shared / "data" / "flickr8k"
    pairs = load_pairs(data / "Images", data / "captions.txt")
    records = listed_records(pairs.records, data / "Flickr_8k.devImages.txt")[::50]
    photos = [load_image(pairs.root / record.image) for record in records]
    encoder = open_encoder(STARTER)
    vectors = encoder.encode_images(photos)
    scores = (vectors * encoder.encode_texts([record.captions[0] for record in records])).sum(1)
    assert len(records) == 20
    for record, photo, score in zip(records, photos, scores, strict=True):
        found = explain(encoder, photo, record.captions[0])
        assert found.matrix is not None
        assert found.bias is not None
        assert found.matrix.shape == (len(found.words), 49)
        assert found.matrix.sum() + found.bias == pytest.approx(float(score), abs=1e-5)
    likeness = explain_images(encoder, photos[0], photos[1])
    assert likeness.matrix is not None
    assert likeness.matrix.sum() + (likeness.bias or 0) == pytest.approx(float(vectors[0] @ vectors[1]), abs=1e-5)
