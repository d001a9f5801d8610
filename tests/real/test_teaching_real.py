"""Teaching the starter real photos: the new heads are what the maps say, and accepting encodes nothing exact again."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from crossmodal import finetune
from crossmodal.images.decode import load_image
from crossmodal.index import build_index, open_index
from crossmodal.inference.encoder import open_encoder
from crossmodal.models.checkpoint_files import STARTER

PHOTOS = 120


def test_the_starter_is_taught_photos_and_goes_back(shared: Path, tmp_path: Path):
    data = shared / "data" / "flickr8k"
    (tmp_path / "photos").mkdir()
    for name in (data / "Flickr_8k.devImages.txt").read_text().split()[:PHOTOS]:
        (tmp_path / "photos" / name).symlink_to(data / "Images" / name)
    encoder, index = open_encoder(STARTER), tmp_path / "index"
    build_index(tmp_path / "photos", data / "captions.txt", encoder, index)
    before = open_index(index)
    taught = finetune.teach(index, tmp_path / "candidate", encoder=encoder)
    assert sum(taught.pictures) == PHOTOS
    assert taught.after.rsum > taught.before.rsum - 20  # 24 photos: one place of one is 4 points of a recall
    before_scenes, after_scenes = taught.skills["generated scenes"]
    assert after_scenes.rsum >= before_scenes.rsum - 6.1  # a point of each recall
    if taught.candidate is None:
        return
    # what rounds has no export of the candidate yet, so that torch encodes again
    assert finetune.accept(index).embedded == (PHOTOS if encoder.rounds else 0)
    after, new = open_index(index), open_encoder(taught.candidate)
    pictures = [load_image(after.root / picture.stamp.path) for picture in after.catalogue.pictures[:8]]
    assert np.allclose(new.encode_images(pictures), after.image_vectors[:8], atol=1e-4)
    assert finetune.undo(index)[0] == "starter"
    assert np.allclose(open_index(index).image_vectors, before.image_vectors, atol=1e-4)
