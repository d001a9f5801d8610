"""On real photos with the shipped checkpoint: swapped captions and copies are found, and like scenes are no copies."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.caption_doctor import measure
from crossmodal.gallery.near_duplicates import near_duplicates
from crossmodal.index import Index, build_index, open_index
from crossmodal.inference.encoder import open_encoder
from crossmodal.models.checkpoint_files import STARTER

COUNT = 100


def saved(picture: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def index(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Index:
    """Photos that training has not seen with their captions, and others with three copies of each."""
    folder = tmp_path_factory.mktemp("doctor")
    data = shared / "data/flickr8k"
    (folder / "photos").mkdir()
    names = (data / "Flickr_8k.devImages.txt").read_text("utf-8").split()[:COUNT]
    for name in names:
        shutil.copy2(data / "Images" / name, folder / "photos")
    originals = (path for path in sorted((shared / "data/flickr8k_originals").glob("*.jpg")) if path.name not in names)
    for path in list(originals)[:15]:
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
        width, height = picture.size
        inner = (width // 100, height // 100, width - width // 100, height - height // 100)
        copies = {
            "original": path.read_bytes(),
            "recompressed": saved(picture, 60),
            "shrunk": saved(picture.resize((224, 224)), 90),
            "cropped": saved(picture.crop(inner), 90),
        }
        for kind, content in copies.items():
            (folder / "photos" / f"{kind}-{path.name}").write_bytes(content)
    build_index(folder / "photos", data / "captions.txt", open_encoder(STARTER), folder / "index")
    return open_index(folder / "index")


def test_most_swapped_captions_stand_among_the_first(index: Index):
    found = [measure(index, 0.05, np.random.default_rng(seed))[0] for seed in range(3)]
    shares = {name: np.mean([drawn[name] for drawn in found]) for name in found[0]}
    assert shares["the doctor"] >= 0.8
    assert shares["the doctor"] >= shares["cosine with its picture"]
    assert shares["chance"] <= 0.2


def test_the_copies_of_a_photo_are_one_group_and_no_two_photos_are(index: Index):
    paths = [picture.stamp.path for picture in index.catalogue.pictures]
    groups = [{paths[row] for row in group} for group in near_duplicates(index)]
    assert len(groups) == 15
    for group in groups:
        kinds, names = zip(*(path.split("-", 1) for path in group), strict=True)
        assert sorted(kinds) == ["cropped", "original", "recompressed", "shrunk"]
        assert len(set(names)) == 1
