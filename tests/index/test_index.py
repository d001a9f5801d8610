"""The index on disk: rows that belong together, builds that survive anything, refusals with a way out."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image

from crossmodal.errors import CheckpointError, DataError, IndexMismatchError, IndexStoreError, InputError
from crossmodal.images.decode import load_image
from crossmodal.index import BuildReport, Progress, Skipped, Vectors, build_index, check_encoder, open_index
from crossmodal.index.calibration.examples import background_sentences
from crossmodal.search.searcher import Searcher
from tests.broken_pictures import write_broken_pictures, write_good_pictures
from tests.fakes import FakeEncoder, contents, paint, paint_many

COLOURS = {"blue.png": "blue", "green.png": "lime", "more/red.png": "red"}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three pictures in three colours."""
    for name, colour in COLOURS.items():
        paint(tmp_path / "photos" / name, colour)
    return tmp_path / "photos"


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    """Two captions each for red and blue, one of them shared; none for green."""
    path = tmp_path / "captions.csv"
    rows = "red.png,a red thing\nred.png,a thing\nblue.png,blue all over\nblue.png,a thing\n"
    path.write_text("image,caption\n" + rows)
    return path


def counts(report: BuildReport) -> dict[str, int]:
    """The counts that are not 0."""
    names = ("embedded", "reused", "added", "changed", "renamed", "removed")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


def captions_among(texts: list[str]) -> list[str]:
    """Without the sentences that so small a gallery is calibrated with."""
    background = set(background_sentences())
    return [text for text in texts if text not in background]


class TestBuild:
    def test_every_row_belongs_to_its_picture_and_caption(self, photos: Path, captions: Path, tmp_path: Path) -> None:
        encoder = FakeEncoder()
        report = build_index(photos, captions, encoder, tmp_path / "index")
        index = open_index(tmp_path / "index")
        assert [picture.stamp.path for picture in index.catalogue.pictures] == list(COLOURS)
        rows = [(caption.picture, caption.text) for caption in index.catalogue.captions]
        assert rows == [(0, "blue all over"), (0, "a thing"), (2, "a red thing"), (2, "a thing")]
        assert np.array_equal(
            index.image_vectors, encoder.encode_images([load_image(photos / name) for name in COLOURS])
        )
        assert np.array_equal(index.caption_vectors, encoder.encode_texts([text for _, text in rows]))
        assert (report.indexed, report.captions, counts(report)) == (3, 4, {"embedded": 3, "added": 3})
        assert index.manifest.counts == {"images": 3, "captions": 4, "skipped": 0}
        assert sorted(entry.name for entry in (tmp_path / "index").iterdir()) == [
            ".crossmodal-index", ".lock", "generation-000001", "manifest.json",
        ]  # fmt: skip

    def test_a_second_run_embeds_and_writes_nothing(self, photos: Path, captions: Path, tmp_path: Path) -> None:
        build_index(photos, captions, FakeEncoder(), tmp_path / "index")
        before = (tmp_path / "index" / "manifest.json").read_bytes()
        encoder = FakeEncoder()
        report = build_index(photos, captions, encoder, tmp_path / "index")
        assert (encoder.pictures, encoder.texts, counts(report)) == (0, [], {"reused": 3})
        assert (tmp_path / "index" / "manifest.json").read_bytes() == before

    def test_changed_new_renamed_and_deleted_pictures(self, photos: Path, captions: Path, tmp_path: Path) -> None:
        paint(photos / "grey.png", "grey")
        build_index(photos, captions, FakeEncoder(), tmp_path / "index")
        paint(photos / "blue.png", "navy", size=14)
        paint(photos / "new.png", "yellow")
        (photos / "green.png").rename(photos / "leaf.png")
        (photos / "grey.png").unlink()
        encoder = FakeEncoder()
        report = build_index(photos, captions, encoder, tmp_path / "index")
        assert counts(report) == {"embedded": 2, "reused": 2, "added": 1, "changed": 1, "renamed": 1, "removed": 1}
        assert (encoder.pictures, captions_among(encoder.texts)) == (2, [])
        fresh = FakeEncoder()
        build_index(photos, captions, fresh, tmp_path / "fresh")
        assert contents(open_index(tmp_path / "index")) == contents(open_index(tmp_path / "fresh"))

    def test_same_size_and_other_content_is_noticed(self, photos: Path, tmp_path: Path) -> None:
        paint(photos / "x.bmp", "red")
        build_index(photos, None, FakeEncoder(), tmp_path / "index")
        size = (photos / "x.bmp").stat().st_size
        assert paint(photos / "x.bmp", "blue").stat().st_size == size
        assert counts(build_index(photos, None, FakeEncoder(), tmp_path / "index"))["changed"] == 1

    def test_a_touched_file_is_looked_at_once_and_not_embedded(self, photos: Path, tmp_path: Path) -> None:
        build_index(photos, None, FakeEncoder(), tmp_path / "index")
        os.utime(photos / "blue.png", (1, 1))
        encoder = FakeEncoder()
        assert counts(build_index(photos, None, encoder, tmp_path / "index")) == {"reused": 3}
        assert encoder.pictures == 0
        assert open_index(tmp_path / "index").catalogue.pictures[0].stamp.modified_ns == 1_000_000_000

    def test_changed_captions_embed_only_what_is_new(self, photos: Path, captions: Path, tmp_path: Path) -> None:
        build_index(photos, captions, FakeEncoder(), tmp_path / "index")
        captions.write_text("image,caption\ngreen.png,a thing\ngreen.png,a green leaf\n")
        encoder = FakeEncoder()
        report = build_index(photos, captions, encoder, tmp_path / "index")
        assert (encoder.pictures, captions_among(encoder.texts), report.captions) == (0, ["a green leaf"], 2)

    def test_captions_left_out_are_gone_and_it_says_so(self, photos: Path, captions: Path, tmp_path: Path) -> None:
        build_index(photos, captions, FakeEncoder(), tmp_path / "index")
        report = build_index(photos, None, FakeEncoder(), tmp_path / "index")
        assert report.captions == 0
        assert "had captions; no captions file was given" in report.notes[0].text

    def test_captioned_pictures_that_are_missing_are_noted(self, photos: Path, captions: Path, tmp_path: Path) -> None:
        captions.write_text(captions.read_text() + "gone.png,nobody sees it\n")
        (note,) = build_index(photos, captions, FakeEncoder(), tmp_path / "index").notes
        assert (note.kind, str(note)) == (
            "missing", "1 captioned picture is not in the folder: see `python -m crossmodal validate`"
        )  # fmt: skip

    def test_broken_pictures_are_skipped_with_reasons_and_shift_no_row(self, tmp_path: Path) -> None:
        reasons = write_broken_pictures(tmp_path / "photos")
        good = write_good_pictures(tmp_path / "photos")
        names = sorted([*good, *(name for name in reasons if name.isascii())])
        rows = "".join(f"{name},caption of {name}\n" for name in names)
        (tmp_path / "captions.csv").write_text("image,caption\n" + rows)
        encoder = FakeEncoder()
        report = build_index(tmp_path / "photos", tmp_path / "captions.csv", encoder, tmp_path / "index", batch_size=4)

        listed = {skipped.path: skipped.reason for skipped in report.skipped}
        assert len(listed) >= 20
        assert listed.keys() == reasons.keys()
        assert [name for name, reason in reasons.items() if reason not in listed[name]] == []
        index = open_index(tmp_path / "index")
        assert index.catalogue.skipped == report.skipped
        assert [picture.stamp.path for picture in index.catalogue.pictures] == good
        rightful = encoder.encode_images([load_image(tmp_path / "photos" / name) for name in good])
        assert np.array_equal(index.image_vectors, rightful)
        assert [(caption.picture, caption.text) for caption in index.catalogue.captions] == [
            (row, f"caption of {name}") for row, name in enumerate(good)
        ]

    def test_a_repaired_picture_comes_in_and_a_broken_one_goes_out(self, photos: Path, tmp_path: Path) -> None:
        (photos / "blue.png").write_bytes(b"")
        assert build_index(photos, None, FakeEncoder(), tmp_path / "index").indexed == 2
        paint(photos / "blue.png", "blue")
        (photos / "green.png").write_bytes(b"")
        report = build_index(photos, None, FakeEncoder(), tmp_path / "index")
        assert counts(report) == {"embedded": 1, "reused": 1, "added": 1, "removed": 1}
        assert [skipped.path for skipped in report.skipped] == ["green.png"]

    def test_a_picture_that_changes_while_it_is_read_waits_for_the_next_run(self, photos: Path, tmp_path: Path) -> None:
        encoder = FakeEncoder()
        preprocess = encoder.preprocess

        def slow(image: Image.Image) -> NDArray[np.uint8]:
            if image.getpixel((0, 0)) == (0, 0, 255):
                paint(photos / "blue.png", "navy", size=20)
            return preprocess(image)

        encoder.preprocess = slow  # type: ignore[method-assign]
        report = build_index(photos, None, encoder, tmp_path / "index")
        assert report.skipped == (Skipped("blue.png", "changed while it was read: run again"),)
        assert build_index(photos, None, encoder, tmp_path / "index").skipped == ()

    def test_only_broken_pictures_make_an_empty_index(self, tmp_path: Path) -> None:
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos" / "x.jpg").write_bytes(b"")
        assert build_index(tmp_path / "photos", None, FakeEncoder(), tmp_path / "index").indexed == 0
        assert Searcher(open_index(tmp_path / "index"), FakeEncoder()).search("red").hits == ()

    def test_an_emptied_folder_keeps_the_index(self, photos: Path, tmp_path: Path) -> None:
        build_index(photos, None, FakeEncoder(), tmp_path / "index")
        shutil.rmtree(photos)
        photos.mkdir()
        with pytest.raises(DataError, match="holds no pictures"):
            build_index(photos, None, FakeEncoder(), tmp_path / "index")
        assert len(open_index(tmp_path / "index").catalogue.pictures) == 3

    def test_another_folder_with_the_same_names_is_read(self, photos: Path, tmp_path: Path) -> None:
        paint(photos / "x.bmp", "red")
        shutil.copytree(photos, tmp_path / "other")
        stamp = (photos / "x.bmp").stat()
        paint(tmp_path / "other" / "x.bmp", "blue")
        os.utime(tmp_path / "other" / "x.bmp", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        build_index(photos, None, FakeEncoder(), tmp_path / "index")
        assert counts(build_index(tmp_path / "other", None, FakeEncoder(), tmp_path / "index")) == {
            "embedded": 1, "reused": 3, "changed": 1,
        }  # fmt: skip

    def test_twins_share_one_vector(self, tmp_path: Path) -> None:
        paint_many(tmp_path / "photos", 9)
        shutil.copy(tmp_path / "photos" / "000.png", tmp_path / "photos" / "twin.png")
        build_index(tmp_path / "photos", None, FakeEncoder(crowded=True), tmp_path / "index", batch_size=4)
        vectors = open_index(tmp_path / "index").image_vectors
        assert np.array_equal(vectors[0], vectors[-1])

    def test_every_batch_has_one_shape_whatever_is_in_it(self, tmp_path: Path) -> None:
        paint_many(tmp_path / "photos", 6)
        (tmp_path / "photos" / "001.png").write_bytes(b"")
        encoder, shapes = FakeEncoder(), []
        encode = encoder.encode_pixels

        def watched(pixels: NDArray[np.uint8]) -> Vectors:
            shapes.append(pixels.shape)
            return encode(pixels)

        encoder.encode_pixels = watched  # type: ignore[method-assign]
        build_index(tmp_path / "photos", None, encoder, tmp_path / "index", batch_size=4)
        assert shapes == [(4, 3, 8, 8)] * 2

    def test_progress_runs_to_the_end_of_every_stage(self, photos: Path, captions: Path, tmp_path: Path) -> None:
        (photos / "broken.png").write_bytes(b"")
        steps: list[Progress] = []
        build_index(photos, captions, FakeEncoder(), tmp_path / "index", steps.append, batch_size=1)
        last = {step.stage: (step.done, step.total, step.skipped) for step in steps}
        assert last == {"pictures": (4, 4, 1), "captions": (3, 3, 1), "writing": (1, 1, 1)}
        rates = [step for step in steps if step.stage == "pictures" and step.done == 2]
        assert rates[0].rate > 0
        assert rates[0].seconds_left == pytest.approx(2 / rates[0].rate)


class TestRefusals:
    def test_another_checkpoint_rebuilds_and_the_old_index_serves_till_then(
        self, photos: Path, captions: Path, tmp_path: Path
    ) -> None:
        build_index(photos, captions, FakeEncoder("a" * 64), tmp_path / "index")
        with pytest.raises(
            IndexMismatchError, match=r"built with checkpoint aaaaaaaa.*this is bbbbbbbb.*crossmodal index"
        ):
            check_encoder(open_index(tmp_path / "index").manifest, FakeEncoder("b" * 64), tmp_path / "index")
        seen = []

        def look(_: Progress) -> None:
            seen.append(open_index(tmp_path / "index").manifest.checkpoint["fingerprint"])

        report = build_index(photos, captions, FakeEncoder("b" * 64), tmp_path / "index", look)
        assert set(seen[:-1]) == {"a" * 64}
        assert seen[-1] == "b" * 64
        assert counts(report) == {"embedded": 3}
        assert "built with checkpoint aaaaaaaa" in report.notes[0].text

    def test_other_preprocessing_is_another_encoder(self, photos: Path, tmp_path: Path) -> None:
        build_index(photos, None, FakeEncoder(), tmp_path / "index")
        encoder = FakeEncoder()
        encoder.preprocessing = {"image": {"size": 9}, "text": {"max_length": 64}}
        with pytest.raises(IndexMismatchError, match=r"'size': 8.*'size': 9"):
            check_encoder(open_index(tmp_path / "index").manifest, encoder, tmp_path / "index")
        assert counts(build_index(photos, None, encoder, tmp_path / "index"))["embedded"] == 3

    @pytest.mark.parametrize(
        ("name", "damage", "message"),
        [
            ("images.npy", lambda content: content[:-4], r"images.npy has \d+ bytes, not \d+"),
            ("images.npy", lambda content: content[:-1] + bytes([content[-1] ^ 1]), "images.npy was altered"),
            ("captions.npy", None, "captions.npy is missing"),
            ("catalogue.sqlite", lambda content: content.replace(b"thing", b"THING"), "catalogue.sqlite was altered"),
            ("words.sqlite", lambda _: b"", "words.sqlite has 0 bytes"),
        ],
    )
    def test_damaged_files_are_named_with_the_command_and_rebuilt(
        self,
        photos: Path,
        captions: Path,
        tmp_path: Path,
        name: str,
        damage: Callable[[bytes], bytes] | None,
        message: str,
    ) -> None:
        build_index(photos, captions, FakeEncoder(), tmp_path / "index")
        whole = contents(open_index(tmp_path / "index"))
        path = tmp_path / "index" / "generation-000001" / name
        path.unlink() if damage is None else path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(
            IndexStoreError, match=message + r".*: run `python -m crossmodal index --images .* --captions "
        ):
            open_index(tmp_path / "index")
        report = build_index(photos, captions, FakeEncoder(), tmp_path / "index")
        assert "could not be read and was rebuilt" in report.notes[0].text
        assert contents(open_index(tmp_path / "index")) == whole

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("{", "cannot be read"),
            ("[]", "has schema None"),
            ('{"schema": 99}', "has schema 99, this version reads 2"),
            ('{"schema": 2}', "is damaged"),
            (None, "is damaged"),
        ],
    )
    def test_a_damaged_manifest_is_refused_with_the_command(
        self, photos: Path, tmp_path: Path, content: str | None, message: str
    ) -> None:
        build_index(photos, None, FakeEncoder(), tmp_path / "index")
        path = tmp_path / "index" / "manifest.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "images": {}}) if content is None else content)
        with pytest.raises(IndexStoreError, match=message + ".*run `python -m crossmodal index"):
            open_index(tmp_path / "index")
        assert build_index(photos, None, FakeEncoder(), tmp_path / "index").indexed == 3
        assert len(open_index(tmp_path / "index").catalogue.pictures) == 3

    def test_a_manifest_that_points_elsewhere_is_refused(self, photos: Path, tmp_path: Path) -> None:
        build_index(photos, None, FakeEncoder(), tmp_path / "index")
        manifest = tmp_path / "index" / "manifest.json"
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "generation": "../elsewhere"}))
        with pytest.raises(IndexStoreError, match="names other files"):
            open_index(tmp_path / "index")

    def test_no_index_is_said_with_the_command(self, tmp_path: Path) -> None:
        with pytest.raises(IndexStoreError, match=r"there is no index at .*: run `python -m crossmodal index"):
            open_index(tmp_path)

    def test_two_builds_at_once_are_refused(self, photos: Path, tmp_path: Path) -> None:
        build_index(photos, None, FakeEncoder(), tmp_path / "index")
        with FileLock(tmp_path / "index" / ".lock"), pytest.raises(IndexStoreError, match="another build is writing"):
            build_index(photos, None, FakeEncoder(), tmp_path / "index")

    def test_a_folder_with_other_things_is_left_alone(self, photos: Path) -> None:
        with pytest.raises(IndexStoreError, match="holds other files and is no index"):
            build_index(photos, None, FakeEncoder(), photos / "more")
        with pytest.raises(IndexStoreError, match="is a file"):
            build_index(photos, None, FakeEncoder(), photos / "blue.png")

    def test_a_missing_images_folder_leaves_nothing_behind(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="does not exist"):
            build_index(tmp_path / "nowhere", None, FakeEncoder(), tmp_path / "index")
        assert not (tmp_path / "index").exists()

    def test_an_encoder_that_gives_nan_is_refused(self, photos: Path, tmp_path: Path) -> None:
        encoder = FakeEncoder()
        encoder.encode_pixels = lambda pixels: np.full((len(pixels), 16), np.nan, dtype=np.float32)  # type: ignore[method-assign]
        with pytest.raises(CheckpointError, match="not finite"):
            build_index(photos, None, encoder, tmp_path / "index")

    def test_a_batch_size_below_1_is_refused(self, photos: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="batch_size must be at least 1, not 0"):
            build_index(photos, None, FakeEncoder(), tmp_path / "index", batch_size=0)
