"""What the doctor finds, on galleries small enough to know the right answer."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from crossmodal.errors import CaptionsError, InputError
from crossmodal.gallery import caption_audit
from crossmodal.gallery.caption_audit import Duplicates, Fit, Hub, WrongCaption, as_csv
from crossmodal.gallery.caption_audit.surveying import Surveying
from crossmodal.index import Index, build_index, open_index
from crossmodal.index.catalogue.rows import Caption, Catalogue, Picture, Stamp
from tests.fakes import FakeEncoder, paint_many


def unit(vectors: Any) -> Any:
    rows = np.asarray(vectors, dtype=np.float64)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def gallery(images: Any, captions: Any, owner: Sequence[int], texts: Sequence[str] = ()) -> Index:
    """An index of just these vectors; caption i reads "caption i" unless told."""
    texts = texts or [f"caption {row}" for row in range(len(owner))]
    pictures = tuple(Picture(Stamp(f"{row}.jpg", 1, 1), str(row)) for row in range(len(images)))
    rows = tuple(Caption(picture, text) for picture, text in zip(owner, texts, strict=True))
    catalogue = Catalogue(pictures, rows)
    return Index(Path("index"), cast(Any, None), catalogue, unit(images), unit(np.asarray(captions, dtype=np.float64)))


def scattered(pictures: int, each: int, seed: int = 0) -> tuple[Any, Any, Any]:
    """Pictures in all directions with captions near theirs: vectors (N, 16), (M, 16) and owners (M,)."""
    rng = np.random.default_rng(seed)
    images = unit(rng.normal(size=(pictures, 16)))
    owner = np.repeat(np.arange(pictures), each)
    return images, unit(images[owner] + 0.1 * rng.normal(size=(len(owner), 16))), owner


def swapped(each: int) -> tuple[Index, list[int]]:
    """Two captions of forty pictures have changed places."""
    images, captions, owner = scattered(40, each)
    rows = [each, each * 30]
    captions[rows] = captions[rows[::-1]]
    return gallery(images, captions, owner.tolist()), rows


@pytest.mark.parametrize("each", [1, 2, 5])
def test_swapped_captions_come_first_and_no_other_is_named(each: int) -> None:
    index, rows = swapped(each)
    found = caption_audit.wrong_captions(index, caption_audit.survey(index))
    assert {finding.caption for finding in found} == {f"caption {row}" for row in rows}
    assert found[0].belongs <= found[1].belongs < 0.5
    assert len(caption_audit.wrong_captions(index, caption_audit.survey(index), most=1)) == 1


def test_a_wrong_caption_carries_its_evidence() -> None:
    index, rows = swapped(3)
    named = {finding.caption: finding for finding in caption_audit.wrong_captions(index, caption_audit.survey(index))}
    finding = named[f"caption {rows[0]}"]
    assert finding.path == "1.jpg"
    assert finding.siblings == ("caption 4", "caption 5")
    assert finding.better[0].path == "30.jpg"
    cosines = index.image_vectors @ index.caption_vectors[rows[0]]
    assert finding.cosine == pytest.approx(cosines[1], abs=1e-6)
    assert finding.mean == pytest.approx(cosines.mean(), abs=1e-6)
    assert finding.rank == 1 + (np.delete(cosines, 1) >= cosines[1]).sum()
    assert finding.sibling == pytest.approx(
        (index.caption_vectors[rows[0]] @ index.caption_vectors[[4, 5]].T).mean(), abs=1e-6
    )


def test_siblings_find_what_the_picture_alone_does_not() -> None:
    images, captions, owner = scattered(40, 4)
    meant = 0.8 * unit(np.random.default_rng(1).normal(size=(40, 16)))  # what a picture's captions say beyond it
    captions = captions + meant[owner]
    captions[8] -= 2 * meant[2]
    index = gallery(images, captions, owner.tolist())
    found = caption_audit.survey(index)
    assert found.cosine.argmin() != 8
    assert caption_audit.belonging(index, found).argmin() == 8
    alone = gallery(images, captions[::4], list(range(40)))
    assert caption_audit.belonging(alone, caption_audit.survey(alone))[2] > 0


def test_a_caption_given_twice_does_not_speak_for_itself() -> None:
    images, captions, owner = scattered(30, 3)
    captions[[3, 4]] = captions[60]  # both read the same, and belong to picture 20
    texts = [f"caption {row}" for row in range(90)]
    texts[4] = texts[3]
    index = gallery(images, captions, owner.tolist(), texts)
    found = caption_audit.wrong_captions(index, caption_audit.survey(index))
    assert [finding.caption for finding in found[:2]] == ["caption 3", "caption 3"]
    only_other = float(index.caption_vectors[3] @ index.caption_vectors[5])
    assert found[0].sibling == pytest.approx(only_other, abs=1e-6)


def test_a_picture_without_other_captions_is_judged_beside_those_that_have_some() -> None:
    images, captions, owner = scattered(40, 2)
    keep = [row for row in range(80) if row not in {1, 3}]  # the first two pictures have one caption each
    captions[2] = captions[40]
    index = gallery(images, captions[keep], owner[keep].tolist())
    found = caption_audit.survey(index)
    assert np.isnan(found.sibling[:2]).all()
    assert np.isfinite(found.sibling[2:]).all()
    wrong = caption_audit.wrong_captions(index, found)
    assert [(finding.path, finding.sibling) for finding in wrong] == [("1.jpg", None)]
    assert "no other caption" in wrong[0].evidence


def test_the_only_picture_has_no_wrong_caption() -> None:
    index = gallery([[1, 0]], [[0, 1], [-1, 0]], [0, 0])
    assert caption_audit.wrong_captions(index, caption_audit.survey(index)) == ()


def test_a_tie_ranks_against_the_own_picture() -> None:
    index = gallery([[1, 0], [1, 0], [0, 1]], [[1, 0]], [0])
    found = caption_audit.survey(index)
    assert found.rank.tolist() == [2]
    assert found.within.tolist() == [1]
    assert found.best.tolist() == [[0, 1, 2]]


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    index, _ = swapped(2)
    whole = caption_audit.survey(index)
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr("crossmodal.gallery.caption_audit.surveying.SURVEYING", Surveying(block=7))
    parts = caption_audit.survey(index, lambda done, total: seen.append((done, total)))
    assert seen[0] == (7, 80)
    assert seen[-1] == (80, 80)
    for name in ("rank", "within", "best"):
        assert (getattr(whole, name) == getattr(parts, name)).all()
    assert np.abs(whole.cosine - parts.cosine).max() < 1e-6


def test_a_picture_near_to_all_captions_is_a_hub() -> None:
    images, captions, owner = scattered(60, 2)
    images[7] = captions.mean(0)
    captions = captions + 0.6 * unit(images[7:8])
    index = gallery(images, captions, owner.tolist())
    found = caption_audit.hubs(index, caption_audit.survey(index))
    assert found[0].path == "7.jpg"
    assert found[0].places == 6  # a tenth of the gallery
    counted = sum(7 in np.argsort(-(index.image_vectors @ vector))[:6] for vector in index.caption_vectors)
    own = sum(7 in np.argsort(-(index.image_vectors @ vector))[:6] for vector in index.caption_vectors[14:16])
    assert found[0].occurrences == counted - own
    assert found[0].captions == ("caption 14", "caption 15")
    assert len(found[0].drawn) == 3
    assert all(one.path != "7.jpg" for one in found[0].drawn)
    assert f"{counted - own} captions of other pictures" in found[0].evidence


def test_where_no_picture_stands_out_there_is_no_hub() -> None:
    index = gallery(np.eye(30), np.eye(30), list(range(30)))
    assert len(caption_audit.hubs(index, caption_audit.survey(index), most=5)) <= 5
    ring = gallery([[1, 0]], [[1, 0]], [0])
    assert caption_audit.hubs(ring, caption_audit.survey(ring)) == ()


def test_a_caption_that_fits_a_crowd_is_ambiguous_and_a_misplaced_one_is_not() -> None:
    crowd = unit(np.array([1.0, 0, 0]) + 0.01 * np.random.default_rng(0).normal(size=(20, 3)))
    images = np.concatenate([crowd, [[0, 1, 0], [0, 0, 1]]])
    index = gallery(images, [[1, 0, 0], [0, 1, 0], [1, 0, 0]], [3, 20, 21], ["a thing", "a tree", "a stone"])
    found = caption_audit.ambiguous_captions(index, caption_audit.survey(index))
    assert [(finding.caption, finding.within) for finding in found] == [("a thing", 19)]
    assert len(found[0].others) == 3
    assert all(fit.path != "3.jpg" and fit.cosine > 0.99 for fit in found[0].others)
    assert found[0].evidence.startswith("19 other pictures fit it as well as its own")


def test_pictures_in_two_splits_come_first(tmp_path: Path) -> None:
    index = gallery([[1, 0], [1, 0.01], [0, 1], [0.01, 1]], [[1, 0]], [0])
    (tmp_path / "train.txt").write_text("0.jpg\n1.jpg\n2.jpg\n")
    (tmp_path / "test.txt").write_text("3.jpg\n")
    splits = caption_audit.splits_of(index, tmp_path)
    assert splits == {"0.jpg": "train", "1.jpg": "train", "2.jpg": "train", "3.jpg": "test"}
    found = caption_audit.duplicate_pictures(index, splits)
    assert [(group.paths, group.across) for group in found] == [(("2.jpg", "3.jpg"), True), (("0.jpg", "1.jpg"), False)]
    assert found[0].evidence.endswith(", in train and in test.")
    assert [group.across for group in caption_audit.duplicate_pictures(index)] == [False, False]
    assert len(caption_audit.duplicate_pictures(index, threshold=1.0)) == 0


def test_a_captions_file_that_says_splits_is_asked_without_being_named(tmp_path: Path) -> None:
    captions = paint_many(tmp_path / "photos", 4)
    images = [
        {"filename": f"{number:03d}.png", "split": role, "sentences": [{"raw": f"number {number}"}]}
        for number, role in enumerate(["train", "train", "val", "test"])
    ]
    karpathy = tmp_path / "dataset.json"
    karpathy.write_text(json.dumps({"images": images, "dataset": "tiny"}))
    for file, roles in ((karpathy, ["train", "train", "val", "test"]), (captions, [])):
        build_index(tmp_path / "photos", file, FakeEncoder(), tmp_path / "index")
        assert list(caption_audit.splits_of(open_index(tmp_path / "index")).values()) == roles
    captions.unlink()
    assert caption_audit.splits_of(open_index(tmp_path / "index")) == {}


def test_split_lists_of_other_pictures_are_refused(tmp_path: Path) -> None:
    index = gallery([[1, 0]], [[1, 0]], [0])
    (tmp_path / "train.txt").write_text("elsewhere.jpg\n")
    with pytest.raises(InputError, match=r"no name in .* is in the index"):
        caption_audit.splits_of(index, tmp_path)
    with pytest.raises(CaptionsError, match="does not exist"):
        caption_audit.splits_of(index, tmp_path / "missing")


def test_an_index_without_captions_is_refused_with_the_command_that_adds_them(tmp_path: Path) -> None:
    paint_many(tmp_path / "photos", 2)
    build_index(tmp_path / "photos", None, FakeEncoder(), tmp_path / "index")
    with pytest.raises(InputError, match=r"no captions to examine.*--captions FILE"):
        caption_audit.survey(open_index(tmp_path / "index"))


def test_a_table_keeps_every_text_as_it_is() -> None:
    hostile = 'comma, "quote"\nand a line, مرحبا <b>'
    finding = WrongCaption(
        "a.jpg", hostile, 0.25, 0.1, 0.0, 1021, 4000, None, ("x", "y"), (Fit("b.jpg", 0.5), Fit("c.jpg", 0.25))
    )
    header, row = csv.reader(io.StringIO(as_csv([finding])))
    values = dict(zip(header, row, strict=True))
    assert values["caption"] == hostile
    assert values["belongs"] == "0.2500"
    assert values["sibling"] == ""
    assert values["siblings"] == "x\ny"
    assert values["better"] == "b.jpg 0.5000\nc.jpg 0.2500"
    assert values["evidence"].startswith("Its picture ranks 1,021st of 4,000 for it")
    assert as_csv([]) == ""


def test_a_table_holds_no_formula() -> None:
    finding = WrongCaption("=a.jpg", "@SUM(A1)", -0.25, 0.1, 0.0, 1, 2, None, (), ())
    _, row = csv.reader(io.StringIO(as_csv([finding])))
    assert row[:3] == ["'=a.jpg", "'@SUM(A1)", "-0.2500"]


def test_evidence_counts_in_plain_words() -> None:
    hub = Hub("a.jpg", (), 1, 0.5, 1, ())
    assert hub.evidence.startswith("It is the first answer to 1 caption of other pictures, 2.0 times")
    same = Duplicates(("a", "b"), (1.0, 1.0), (True, True), ("", ""))
    assert same.evidence == "2 files with the same bytes."
    assert same.as_dict()["across"] is False
    ranks = [
        WrongCaption("", "", 0, 0, 0, rank, 200, None, (), ()).evidence.split()[3]
        for rank in (1, 2, 3, 11, 12, 13, 112)
    ]
    assert ranks == ["1st", "2nd", "3rd", "11th", "12th", "13th", "112th"]
