"""The benchmarks of composed queries, of what pictures are ranked by and of how sure, at a size that takes no time."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest

from benchmarks import composed, relevance, scoring
from crossmodal.datasets.records import Record
from crossmodal.scenes.scene import make_scenes
from tests.fakes import FakeEncoder, paint_many

Output = pytest.CaptureFixture[str]


class TestComposed:
    def test_every_case_asks_for_what_the_picture_does_not_show(self) -> None:
        scenes, gallery = make_scenes(30, 1, "val"), make_scenes(200, 1, "test")
        cases = list(composed.scene_cases(scenes, gallery, Random(0)))
        assert {case.task for case in cases} == set(composed.TASKS[:5])
        for case in cases:
            scene = scenes[case.picture]
            for right in (gallery[row] for row in np.flatnonzero(case.right)):
                shared = {group.kind for group in right.groups} & {group.kind for group in scene.groups}
                if case.task == "scene + time":
                    assert right.setting == scene.setting
                    assert right.sky != scene.sky
                if case.task == "scene − thing":
                    assert case.words not in {composed.noun(kind) for kind in shared}
                if case.task == "scene + place":
                    assert right.setting != scene.setting
                    assert scene.groups[0].kind in shared

    def test_a_photo_keeps_a_theme_and_gains_or_loses_another(self) -> None:
        both, one, other = ("a dog in the snow",) * 3, ("a dog",) * 3, ("people in the snow",) * 3
        records = [Record(f"{row}.jpg", captions) for row, captions in enumerate((both, one, one, other))]
        lost = next(case for case in composed.photo_cases(records, Random(1)) if case.sign < 0)
        kept, gone = ("a dog", "in the snow") if lost.words == "in the snow" else ("in the snow", "a dog")
        assert {kept, gone} == {"a dog", "in the snow"}
        assert lost.right.tolist() == ([False, True, True, False] if kept == "a dog" else [False, False, False, True])

    def test_precision_counts_what_is_right_among_as_many_as_could_be(self) -> None:
        gallery = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8], [0, 1]], dtype=np.float32)
        asked, kept = np.array([False, True, True, True]), np.array([True, True, False, False])
        trial = composed.Trial(
            [composed.Case("photo + theme", 0, "up", asked, kept, itself=0)],
            gallery[:1], gallery[3:], gallery, np.zeros((2, 2), dtype=np.float32),
        )  # fmt: skip
        assert composed.judge(trial, composed.plain(0.0)).tolist() == [[1.0, 0.25]]  # row 1 first, row 0 last
        assert composed.judge(trial, composed.plain(9.0))[0, 0] == 0.0

    def test_it_prints_a_table(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
        monkeypatch.setattr(composed, "open_encoder", lambda _: FakeEncoder())
        monkeypatch.setattr(composed, "FEWEST_RIGHT", 1)
        monkeypatch.setattr(composed, "draw_scene", lambda scene: make_picture(scene.seed))
        captions = tmp_path / "captions.csv"
        paint_many(tmp_path / "photos", 8)
        rows = [
            f"{number:03d}.png,a {size} {'dog' if number % 2 else 'boy'} in the snow"
            for number in range(8)
            for size in ("big", "small", "happy")
        ]
        captions.write_text("image,caption\n" + "\n".join(rows))
        data = ["--images", str(tmp_path / "photos"), "--captions", str(captions)]
        assert composed.main(["--scenes", "60", "--queries", "20", *data]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split(" | ")[0] for line in lines if line.startswith("| the search")] != []
        assert lines[-1].startswith("| queries |")
        assert composed.main(["--images", "photos"]) == 2
        assert "give both --images and --captions" in capsys.readouterr().err


def make_picture(seed: int) -> object:
    """A small picture of one colour."""
    from PIL import Image

    return Image.new("RGB", (8, 8), (seed % 256, seed // 256 % 256, seed // 65536 % 256))


class TestScoring:
    def test_a_query_is_left_out_of_its_own_pictures_captions(self) -> None:
        generator = np.random.default_rng(0)
        vectors = generator.normal(size=(75, 4)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        images, captions, owner = vectors[:25], vectors[25:], np.repeat(np.arange(25), 2)
        asked = scoring.ask(scoring.Split(images, captions, owner))
        assert asked.captions[6, 3] == pytest.approx(captions[6] @ captions[7], abs=1e-6)
        assert asked.best[6, 3] == pytest.approx(captions[6] @ captions[7], abs=1e-6)
        assert asked.captions[6, 4] == pytest.approx(captions[6] @ captions[8:10].mean(0), abs=1e-6)
        assert asked.best[6, 4] == pytest.approx((captions[8:10] @ captions[6]).max(), abs=1e-6)
        captioned = np.arange(25) != 4
        both = asked.by(0.25, captioned)
        assert both[6, 4] == asked.pictures[6, 4]
        assert both[6, 3] == pytest.approx(0.75 * asked.pictures[6, 3] + 0.25 * asked.captions[6, 3])

    def test_ties_count_against_the_right_picture(self) -> None:
        found = scoring.ranks(np.array([[0.5, 0.5, 0.1], [0.1, 0.2, 0.3]]), np.array([0, 2]))
        assert found.tolist() == [2, 1]
        assert scoring.rsum(found) == 50 + 100 + 100

    def test_it_prints_both_tables(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
        monkeypatch.setattr(scoring, "open_encoder", lambda _: FakeEncoder())
        captions = paint_many(tmp_path / "photos", 44)
        assert scoring.main(["--images", str(tmp_path / "photos"), "--captions", str(captions)]) == 0
        out = capsys.readouterr().out
        assert out.count("| both, ") == len(scoring.MIXES)
        assert "within a tenth of the gallery" in out
        assert "44 pictures, 88 queries, 44 of them judged" in out
        (tmp_path / "one.csv").write_text("image,caption\n000.png,one\n")
        assert scoring.main(["--images", str(tmp_path / "photos"), "--captions", str(tmp_path / "one.csv")]) == 2
        assert "pictures have several captions each" in capsys.readouterr().err


class TestRelevance:
    def test_measures_are_those_worked_out_by_hand(self) -> None:
        score, truth = np.array([0.9, 0.4, 0.4, 0.1]), np.array([True, True, False, False])
        assert relevance.area(score, truth) == (2 + 1.5) / 4
        assert relevance.false_accepts(score, truth) == 0.0  # 90 % of the true ones reach 0.45
        assert relevance.calibration_error(score, truth) == pytest.approx((0.1 + 2 * 0.1 + 0.1) / 4)

    def test_it_prints_a_table_and_draws(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
        monkeypatch.setattr("crossmodal.inference.encoder.open_encoder", lambda _: FakeEncoder())
        monkeypatch.setattr(relevance, "SAMPLES", 10)
        captions = paint_many(tmp_path / "photos", 60)
        (tmp_path / "split.txt").write_text("\n".join(f"{number:03d}.png" for number in range(60)))
        data = ["--images", str(tmp_path / "photos"), "--captions", str(captions)]
        assert relevance.main([*data, "--split", str(tmp_path / "split.txt"), "--plot", str(tmp_path / "a.png")]) == 0
        out = capsys.readouterr().out
        assert out.count("\n| tried: ") == 3
        assert "gallery 60 pictures, 120 captions" in out
        assert "judged on the 60 captions of the other half" in out
        assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
