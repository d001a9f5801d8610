"""On real photos with the shipped checkpoint: composed queries find what they ask for, and their shares add up."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from crossmodal.index import build_index, open_index
from crossmodal.inference.encoder import open_encoder
from crossmodal.models.checkpoint_files import STARTER
from crossmodal.search.query import Box, Indexed, Term
from crossmodal.search.searcher import Searcher

COUNT = 100


@pytest.fixture(scope="module")
def searcher(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Searcher:
    """Some photos that training has not seen, with their captions."""
    folder = tmp_path_factory.mktemp("composed")
    data = shared / "data/flickr8k"
    (folder / "photos").mkdir()
    for name in (data / "Flickr_8k.devImages.txt").read_text("utf-8").split()[:COUNT]:
        shutil.copy2(data / "Images" / name, folder / "photos")
    encoder = open_encoder(STARTER)
    build_index(folder / "photos", data / "captions.txt", encoder, folder / "index")
    return Searcher(open_index(folder / "index"), encoder)


def naming(searcher: Searcher, word: str) -> set[str]:
    """The photos of which several captions name something."""
    pictures = [picture.stamp.path for picture in searcher.index.catalogue.pictures]
    return {
        path
        for path in pictures
        if sum(word in re.findall("[a-z]+", caption.lower()) for caption in searcher.captions_of(path)) > 1
    }


@pytest.mark.parametrize("by", ["pictures", "captions", "both"])
def test_shares_add_up_to_the_score(searcher: Searcher, by: str):
    path = searcher.index.catalogue.pictures[7].stamp.path
    part = Term(Indexed(path), 0.7, Box(0.1, 0.2, 0.5, 0.6))
    answer = searcher.search("in the snow", COUNT, plus=[part, "2:a child"], minus=["0.5:a dog"], by=by)
    assert len(answer.hits) == answer.total == COUNT - 1
    for hit in answer.hits:
        assert sum(hit.shares or ()) == pytest.approx(hit.score, abs=1e-6)


def test_plus_brings_a_thing_and_minus_takes_it_away(searcher: Searcher):
    dogs = naming(searcher, "dog")

    def found(paths: list[str], **terms: list[str]) -> int:
        hits = (hit for path in paths for hit in searcher.search(Indexed(path), to="images", **terms))
        return sum(hit.path in dogs for hit in hits)

    others = sorted(naming(searcher, "man") - dogs)[:10]
    assert found(others, plus=["a dog"]) > 2 * found(others)
    assert found(sorted(dogs)[:10], minus=["a dog"]) < found(sorted(dogs)[:10]) / 2
