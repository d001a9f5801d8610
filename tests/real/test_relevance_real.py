"""On real photos with the shipped checkpoint: the probabilities of an index are worth something."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from crossmodal.index import build_index, open_index
from crossmodal.inference.encoder import open_encoder
from crossmodal.models.checkpoint_files import STARTER
from crossmodal.search.searcher import Searcher

COUNT = 200
ABSENT = (
    "a spreadsheet with quarterly tax figures",
    "a screenshot of a login form",
    "an x-ray of a broken wrist",
    "a jar of pickled cucumbers on a pantry shelf",
    "the signature page of a rental contract",
    "a wiring diagram of a dishwasher",
)


@pytest.fixture(scope="module")
def searchers(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Searcher]:
    """Some photos that training has not seen, indexed with their captions (True) and without (False)."""
    folder = tmp_path_factory.mktemp("relevance")
    data = shared / "data/flickr8k"
    (folder / "photos").mkdir()
    for name in (data / "Flickr_8k.devImages.txt").read_text("utf-8").split()[:COUNT]:
        shutil.copy2(data / "Images" / name, folder / "photos")
    encoder, found = open_encoder(STARTER), {}
    for captioned in (True, False):
        index = folder / f"index-{captioned}"
        build_index(folder / "photos", data / "captions.txt" if captioned else None, encoder, index)
        found[captioned] = Searcher(open_index(index), encoder)
    return found


@pytest.mark.parametrize("captioned", [True, False])
def test_what_no_photo_shows_is_told_from_what_some_do(searchers: dict[bool, Searcher], captioned: bool):
    told = searchers[True]
    present = [told.captions_of(picture.stamp.path)[0] for picture in told.index.catalogue.pictures[::5]]
    searcher = searchers[captioned]
    seen, unseen = ([searcher.search(query) for query in queries] for queries in (present, ABSENT))
    assert np.mean([not answer.anything_here for answer in seen]) <= 0.1
    assert np.mean([not answer.anything_here for answer in unseen]) >= 0.5
    assert np.median([answer.match for answer in seen]) > np.median([answer.match for answer in unseen]) + 0.3
    for answer in seen:
        assert answer.match is not None
        assert all(0 <= hit.relevance <= answer.match for hit in answer.hits if hit.relevance is not None)
