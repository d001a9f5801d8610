"""The map of a gallery: where its pictures lie, in which groups, under which names, and what is kept of it."""

from __future__ import annotations

import json
import os
import stat
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossmodal.errors import InputError
from crossmodal.gallery import embedding_map as module
from crossmodal.gallery.embedding_map import (
    Atlas,
    best_method,
    centres,
    clusters,
    group_names,
    layout,
    make_atlas,
    read_atlas,
    torch_threads_kept,
)
from crossmodal.index import Index, build_index, open_index
from tests.fakes import FakeEncoder, paint, paint_many


def blobs(*sizes: int, dimension: int = 16) -> Any:
    """Unit vectors close to as many different axes as there are sizes, one blob after the other."""
    random = np.random.default_rng(0)
    axes = np.repeat(np.eye(len(sizes), dimension), sizes, axis=0)
    vectors = axes + 0.05 * random.normal(size=axes.shape)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def index(tmp_path: Path) -> Index:
    captions = paint_many(tmp_path / "photos", 24)
    build_index(tmp_path / "photos", captions, FakeEncoder(), tmp_path / "index")
    return open_index(tmp_path / "index")


def test_likes_lie_together_and_both_directions_are_used():
    points, method = layout(blobs(20, 20, 20), "pca")
    assert (points.shape, points.dtype, method) == ((60, 2), np.float32, "pca")
    middles = points.reshape(3, 20, 2).mean(axis=1)
    within = np.linalg.norm(points.reshape(3, 20, 2) - middles[:, None], axis=2).max()
    between = min(np.linalg.norm(middles[one] - middles[other]) for one, other in ((0, 1), (0, 2), (1, 2)))
    assert within < between / 2
    assert np.abs(points).max() == 1


def test_umap_keeps_neighbours_and_repeats_to_the_bit():
    pytest.importorskip("numba", reason="umap-learn has no numba here")
    vectors = blobs(30, 30)
    points, method = layout(vectors, "umap", seed=3)
    assert method == "umap"
    gaps = np.linalg.norm(points[:, None] - points[None], axis=2) + 9 * np.eye(60)
    assert (gaps.argmin(axis=1) // 30 == np.arange(60) // 30).all()
    assert np.array_equal(points, layout(vectors, "umap", seed=3)[0])


def test_without_umap_or_with_few_pictures_the_map_is_made_by_pca_and_says_so(monkeypatch: pytest.MonkeyPatch):
    assert layout(blobs(20, 20), "umap")[1] == "pca"
    assert best_method(40) == "pca"
    monkeypatch.setitem(sys.modules, "umap", None)
    assert layout(blobs(40, 40), "umap")[1] == "pca"
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    assert best_method(10_000) == "pca"


@pytest.mark.parametrize("vectors", [blobs(1), blobs(1, 1), np.ones((60, 4), np.float32) / 2, np.eye(9, 1, dtype="f4")])
def test_one_picture_two_and_equal_ones_have_a_map(vectors: Any):
    points, method = layout(vectors, "umap")
    assert points.shape == (len(vectors), 2)
    assert np.isfinite(points).all()
    assert method == "pca"
    assert clusters(vectors).tolist() == [0] * len(vectors)


def test_an_empty_gallery_has_an_empty_map():
    assert layout(np.zeros((0, 8), np.float32))[0].shape == (0, 2)
    assert clusters(np.zeros((0, 8), np.float32)).shape == (0,)
    assert group_names(np.zeros(0, np.int64), [], []) == ()


def test_an_unknown_method_is_refused():
    with pytest.raises(InputError, match="umap, pca, not 'tsne'"):
        layout(blobs(3), "tsne")


def test_groups_are_those_there_are_the_largest_first():
    assert clusters(blobs(10, 40, 20)).tolist() == [2] * 10 + [0] * 40 + [1] * 20


def test_groups_that_are_hard_to_tell_apart_are_as_many_as_may_be():
    vectors = np.random.default_rng(0).normal(size=(300, 8))
    labels = clusters((vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32))
    assert 4 <= len(set(labels.tolist())) <= 12


def test_a_group_is_named_by_the_words_that_tell_it_from_the_others():
    captions = [(0, "A brown dog in the park"), (0, "the DOG"), (1, "A red car in the park"), (1, "the CAR")]
    assert group_names(np.array([0, 1]), captions, ["a.jpg", "b.jpg"]) == ("brown, dog, park", "red, car, park")


def test_two_forms_of_a_word_are_not_both_in_a_name():
    assert group_names(np.array([0]), [(0, "dogs run and a dog runs")], ["a.jpg"]) == ("dog, run",)


def test_a_word_of_one_caption_among_many_names_no_group():
    captions = [*[(0, "a dog")] * 11, (0, "a dachshund"), (1, "a car")]
    assert group_names(np.array([0, 1]), captions, ["a.jpg", "b.jpg"]) == ("dog", "car")


def test_one_long_caption_does_not_name_its_group():
    captions = [(0, "spam " * 2000), *[(0, "a dog")] * 11, (1, "a car")]
    assert group_names(np.array([0, 1]), captions, ["a.jpg", "b.jpg"]) == ("dog", "car")


def test_markup_and_signs_are_no_words_and_any_script_is():
    captions = [(0, "<script>alert</script> **bold** 🐶"), (1, "كلب يركض"), (2, "x" * 10_000), (3, "t-shirt")]
    names = group_names(np.arange(4), captions, ["a"] * 4)
    assert names == ("alert, bold, script", "كلب, يركض", "x" * 24, "t-shirt")


def test_without_captions_a_group_has_the_name_of_its_folder_or_a_number():
    paths = ["pets/cats/1.jpg", "pets/cats/2.jpg", "pets/dogs/1.jpg", "pets/cats/3.jpg"]
    assert group_names(np.array([0, 0, 1, 2]), [], paths) == ("cats", "dogs", "cats (2)")
    assert group_names(np.array([0, 1]), [(0, "the"), (1, "a dog")], ["x/1.jpg", "x/2.jpg"]) == ("group 1", "dog")


def test_a_name_stands_in_the_densest_part_of_its_group():
    points = np.array([[0.5, 0.5], [0.5, 0.52], [0.52, 0.5], [0.5, 0.48], [-1, -1]], dtype=np.float32)
    found = centres(Atlas(points, "pca", np.zeros(5, np.int64), ("a",)))
    assert found[0] == pytest.approx([0.5, 0.5], abs=0.03)


def test_no_name_stands_on_another():
    labels = np.repeat(np.arange(4), 5)
    points = np.concatenate([np.zeros((19, 2)), [[1, 1]]]).astype(np.float32)
    heights = np.sort(centres(Atlas(points, "pca", labels, tuple("abcd")))[:, 1])
    assert np.diff(heights).min() > 0.9 / 14


def test_a_map_is_made_once_and_kept_beside_the_index(index: Index, monkeypatch: pytest.MonkeyPatch):
    told: list[str] = []
    made = make_atlas(index, "pca", told.append)
    assert told == ["Grouping the pictures", "Laying out the map"]
    assert (made.points.shape, made.labels.shape, made.method) == ((24, 2), (24,), "pca")
    monkeypatch.setattr(module, "layout", None)
    kept = make_atlas(index, "pca")
    assert np.array_equal(kept.points, made.points)
    assert np.array_equal(kept.labels, made.labels)
    assert kept.names == made.names
    assert [file.name for file in (index.path / "maps").iterdir()] == ["generation-000001-pca.json"]


def test_a_second_method_keeps_the_groups_of_the_first(index: Index, monkeypatch: pytest.MonkeyPatch):
    first = make_atlas(index, "pca")
    monkeypatch.setattr(module, "layout", lambda *_: (np.zeros((24, 2), np.float32), "umap"))
    monkeypatch.setattr(module, "clusters", None)
    assert make_atlas(index, "umap").names == first.names
    assert read_atlas(index, "umap") is not None


def broken(content: dict[str, Any], **changed: Any) -> bytes:
    return json.dumps({**content, **changed}).encode()


def test_a_broken_map_is_made_again(index: Index):
    made = make_atlas(index, "pca")
    place = index.path / "maps" / "generation-000001-pca.json"
    content = json.loads(place.read_bytes())
    for bad in (
        b"", b"{", b"[]", b"{}", b"\xff", place.read_bytes()[:-9], b"[" * 100_000,
        broken(content, points=content["points"][1:]), broken(content, labels=[99] * 24), broken(content, names=[1]),
        broken(content, points=[[float("nan"), 0]] * 24), broken(content, points=[["a", "b"]] * 24),
        broken(content, labels=[2**70] * 24), broken(content, made_of={}), broken(content, method="umap"),
    ):  # fmt: skip
        place.write_bytes(bad)
        assert read_atlas(index, "pca") is None
    assert np.array_equal(make_atlas(index, "pca").points, made.points)
    assert read_atlas(index, "pca") is not None


def test_a_map_of_a_former_generation_does_not_count_and_goes(index: Index, tmp_path: Path):
    make_atlas(index, "pca")
    paint(tmp_path / "photos" / "new.png", "red")
    build_index(tmp_path / "photos", None, FakeEncoder(), index.path)
    later = open_index(index.path)
    assert read_atlas(later, "pca") is None
    assert make_atlas(later, "pca").points.shape == (25, 2)
    assert [file.name for file in (index.path / "maps").iterdir()] == ["generation-000002-pca.json"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_does_not_matter(index: Index):
    index.path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert make_atlas(index, "pca").points.shape == (24, 2)
    finally:
        index.path.chmod(stat.S_IRWXU)


def test_a_place_that_cannot_be_written_does_not_matter(index: Index):
    (index.path / "maps").write_text("a file where the folder should be")
    assert make_atlas(index, "pca").points.shape == (24, 2)


def test_filters_of_warnings_stay_as_they_were():
    before = list(warnings.filters)
    layout(blobs(30, 30), "umap")
    assert warnings.filters == before


def test_a_map_leaves_torchs_threads_as_they_were():
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    with torch_threads_kept():
        torch.set_num_threads(threads + 1)
    assert torch.get_num_threads() == threads
