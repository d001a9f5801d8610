"""Queries to hits, on an index whose answers can be told by eye."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crossmodal import cli
from crossmodal.errors import CheckpointError, ImageError, IndexMismatchError, IndexStoreError, InputError
from crossmodal.index import build_index, open_index
from crossmodal.search.reranking import rerank
from crossmodal.search.searcher import Hit, Searcher, open_searcher
from tests.fakes import FakeEncoder, FakeScorer, paint

CAPTIONS = (
    "image,caption\nred.png,a red thing\nblue.png,blue all over\nblue.png,something blue\ngreen.png,a green leaf\n"
)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Red, blue, green and purple pictures; purple has no caption."""
    for name, colour in {"red": "red", "blue": "blue", "green": "lime", "purple": "#8000ff"}.items():
        paint(tmp_path / "photos" / f"{name}.png", colour)
    (tmp_path / "captions.csv").write_text(CAPTIONS)
    return tmp_path / "photos"


@pytest.fixture
def searcher(photos: Path, tmp_path: Path) -> Searcher:
    """The four pictures and their captions, searched with colours."""
    build_index(photos, tmp_path / "captions.csv", FakeEncoder(), tmp_path / "index")
    return Searcher(open_index(tmp_path / "index"), FakeEncoder())


def names(hits: list[Hit]) -> list[str]:
    """What was found, in order."""
    return [hit.caption or hit.path for hit in hits]


def test_words_find_pictures(searcher: Searcher) -> None:
    hits = searcher.search("something Blue please", k=2)
    assert names(hits) == ["blue.png", "purple.png"]
    assert [hit.rank for hit in hits] == [1, 2]
    assert 1 > hits[0].score > hits[1].score > 0


def test_words_find_captions_when_told_so(searcher: Searcher) -> None:
    (hit,) = searcher.search("blue all over", k=1, to="captions")
    assert (hit.rank, hit.path, hit.caption) == (1, "blue.png", "blue all over")
    assert hit.score == pytest.approx(1, abs=1e-12)


def test_a_picture_finds_captions_however_it_comes(searcher: Searcher, photos: Path) -> None:
    path = photos / "blue.png"
    with Image.open(path) as image:
        ways = [searcher.search(path), searcher.search(path.read_bytes()), searcher.search(image)]
    assert set(names(ways[0])[:2]) == {"blue all over", "something blue"}
    assert ways[0] == ways[1] == ways[2]
    assert {hit.path for hit in ways[0][:2]} == {"blue.png"}


def test_an_indexed_picture_scores_one_with_itself(searcher: Searcher, photos: Path) -> None:
    best = searcher.search(photos / "purple.png", k=1, to="images")[0]
    assert best.path == "purple.png"
    assert best.score == pytest.approx(1, abs=1e-12)


def test_a_str_is_always_words(searcher: Searcher, photos: Path) -> None:
    assert searcher.search(str(photos / "red.png"), k=1)[0].score < 0.9


@pytest.mark.parametrize(("mode", "suffix"), [("RGB", "jpg"), ("RGBA", "png"), ("CMYK", "jpg"), ("P", "gif")])
def test_an_opened_picture_is_seen_like_its_file(searcher: Searcher, tmp_path: Path, mode: str, suffix: str) -> None:
    image = Image.linear_gradient("L").resize((16, 8)).convert("RGB")
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize((16, 8)))
    turned = Image.Exif()
    turned[0x0112] = 6
    image.convert(mode).save(tmp_path / f"query.{suffix}", exif=turned.tobytes())
    with Image.open(tmp_path / f"query.{suffix}") as opened:
        assert np.array_equal(searcher.encode(opened), searcher.encode(tmp_path / f"query.{suffix}"))


def test_an_opened_picture_that_breaks_off_is_refused(searcher: Searcher, tmp_path: Path) -> None:
    Image.effect_noise((64, 64), 50).save(tmp_path / "query.png")
    (tmp_path / "query.png").write_bytes((tmp_path / "query.png").read_bytes()[:1000])
    with Image.open(tmp_path / "query.png") as opened, pytest.raises(ImageError, match="cannot be decoded"):
        searcher.encode(opened)


def test_k_beyond_the_count_gives_all_there_is(searcher: Searcher) -> None:
    assert len(searcher.search("red", k=1000)) == searcher.image_count == 4
    assert len(searcher.search("red", k=1000, to="captions")) == searcher.caption_count == 4


def test_equal_scores_stand_in_the_order_of_paths(photos: Path, tmp_path: Path) -> None:
    for name in ("z.png", "a.png", "m/b.png"):
        (photos / name).parent.mkdir(exist_ok=True)
        shutil.copy(photos / "red.png", photos / name)
    build_index(photos, None, FakeEncoder(), tmp_path / "index")
    searcher = Searcher(open_index(tmp_path / "index"), FakeEncoder())
    assert names(searcher.search("red", k=4)) == ["a.png", "m/b.png", "red.png", "z.png"]
    assert names(searcher.similar("m/b.png", k=3)) == ["a.png", "red.png", "z.png"]


def test_similar_leaves_the_picture_itself_out(searcher: Searcher) -> None:
    hits = searcher.similar("blue.png", k=10)
    assert names(hits)[0] == "purple.png"
    assert [hit.rank for hit in hits] == [1, 2, 3]
    assert "blue.png" not in names(hits)


def test_vectors_of_hits_give_back_their_scores(searcher: Searcher, photos: Path) -> None:
    query = photos / "purple.png"
    for to in ("images", "captions"):
        hits = searcher.search(query, to=to)
        scores = searcher.hit_vectors(hits) @ searcher.encode(query)
        assert scores == pytest.approx([hit.score for hit in hits], abs=1e-6)
    assert searcher.hit_vectors([]).shape == (0, 16)
    assert np.array_equal(searcher.image_vectors(["red.png"]), searcher.hit_vectors([Hit(1, 1.0, "red.png")]))


def test_captions_of_a_picture_and_their_vectors(searcher: Searcher, photos: Path) -> None:
    assert searcher.captions_of("blue.png") == ("blue all over", "something blue")
    assert np.array_equal(
        searcher.caption_vectors("blue.png"), FakeEncoder().encode_texts(["blue all over", "something blue"])
    )
    assert searcher.captions_of("purple.png") == ()
    assert searcher.caption_vectors("purple.png").shape == (0, 16)
    assert searcher.image_path("red.png") == searcher.image_path(Hit(1, 1.0, "red.png"))
    assert searcher.image_path("red.png").samefile(photos / "red.png")


@pytest.mark.parametrize(
    ("query", "options", "message"),
    [
        ("", {}, "the query is empty"),
        (" \n", {}, "the query is empty"),
        ("red", {"k": 0}, "k must be at least 1, not 0"),
        ("red", {"to": "sounds"}, "to must be one of images, captions, not 'sounds'"),
    ],
)
def test_bad_queries_are_refused(searcher: Searcher, query: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        searcher.search(query, **options)  # type: ignore[arg-type]


def test_unknown_pictures_and_captions_are_refused(searcher: Searcher) -> None:
    with pytest.raises(InputError, match=r"'nowhere.png' is not in the index"):
        searcher.similar("nowhere.png")
    with pytest.raises(InputError, match=r"'made up' is no caption of 'red.png'"):
        searcher.hit_vectors([Hit(1, 1.0, "red.png", "made up")])


def test_a_broken_picture_is_refused_with_its_reason(searcher: Searcher, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"")
    with pytest.raises(ImageError, match="0 bytes"):
        searcher.search(tmp_path / "broken.png")


def test_an_index_without_captions_says_so_and_how_to_get_them(photos: Path, tmp_path: Path) -> None:
    build_index(photos, None, FakeEncoder(), tmp_path / "index")
    searcher = Searcher(open_index(tmp_path / "index"), FakeEncoder())
    assert searcher.caption_count == 0
    with pytest.raises(InputError, match=r"no captions to search.*crossmodal index --images .* --captions FILE"):
        searcher.search(photos / "red.png")
    assert names(searcher.search(photos / "red.png", k=1, to="images")) == ["red.png"]


def test_another_encoder_is_refused(searcher: Searcher) -> None:
    with pytest.raises(IndexMismatchError, match=r"was built with checkpoint ffffffff.*this is 00000000"):
        Searcher(searcher.index, FakeEncoder("0" * 64))


def test_an_encoder_yet_to_be_loaded_is_loaded_by_the_first_question_that_needs_it(searcher: Searcher) -> None:
    loaded: list[FakeEncoder] = []
    late = Searcher(searcher.index, lambda: loaded.append(FakeEncoder()) or loaded[0])
    assert names(late.similar("red.png", k=1)) == names(searcher.similar("red.png", k=1))
    assert (loaded, late.is_ready) == ([], False)
    assert late.search("red") == searcher.search("red")
    assert late.search("blue") == searcher.search("blue")
    assert (len(loaded), late.is_ready) == (1, True)


def test_another_encoder_yet_to_be_loaded_is_refused_by_the_first_question(searcher: Searcher) -> None:
    late = Searcher(searcher.index, lambda: FakeEncoder("0" * 64))
    for _ in range(2):
        with pytest.raises(IndexMismatchError, match="this is 00000000"):
            late.search("red")


def test_index_and_photos_can_be_moved_together(photos: Path, tmp_path: Path) -> None:
    build_index(photos, None, FakeEncoder(), tmp_path / "index")
    (tmp_path / "moved").mkdir()
    for name in ("photos", "index"):
        (tmp_path / name).rename(tmp_path / "moved" / name)
    searcher = Searcher(open_index(tmp_path / "moved" / "index"), FakeEncoder())
    assert searcher.image_path("red.png").is_file()


def test_an_index_moved_alone_finds_its_photos(photos: Path, tmp_path: Path) -> None:
    build_index(photos, None, FakeEncoder(), tmp_path / "index")
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "index").rename(tmp_path / "far" / "away" / "index")
    searcher = Searcher(open_index(tmp_path / "far" / "away" / "index"), FakeEncoder())
    assert searcher.image_path("red.png").samefile(photos / "red.png")


class TestReranking:
    """The judge is sure of a sentence whose first colour is the picture's strongest."""

    def test_the_probable_come_first_and_keep_their_cosine(self, searcher: Searcher) -> None:
        hits = searcher.search("red blue", k=4)
        assert names(hits)[0] == "purple.png"
        again = rerank(searcher, "red blue", hits, FakeScorer())
        others = [name for name in names(hits) if name != "red.png"]  # equal ones stay in the order of their cosines
        assert names(again) == ["red.png", *others]
        assert [hit.rank for hit in again] == [1, 2, 3, 4]
        assert [hit.probability for hit in again] == pytest.approx([0.9, 0.1, 0.1, 0.1])
        assert {hit.path: hit.score for hit in again} == {hit.path: hit.score for hit in hits}

    def test_a_picture_judges_the_captions_it_found(self, searcher: Searcher, photos: Path) -> None:
        hits = searcher.search(photos / "red.png", k=4)
        again = rerank(searcher, photos / "blue.png", hits[::-1], FakeScorer())
        assert set(names(again)[:2]) == {"blue all over", "something blue"}
        assert [hit.probability for hit in again] == pytest.approx([0.9, 0.9, 0.1, 0.1])

    def test_a_picture_that_is_gone_comes_last_without_a_probability(self, searcher: Searcher, photos: Path) -> None:
        hits = searcher.search("red", k=4)
        assert names(hits)[0] == "red.png"
        (photos / "red.png").unlink()
        (photos / "blue.png").write_bytes(b"no picture")
        again = rerank(searcher, "red", hits, FakeScorer())
        lost = [name for name in names(hits) if name in {"red.png", "blue.png"}]
        assert names(again)[2:] == lost
        assert [hit.probability for hit in again] == [pytest.approx(0.1), pytest.approx(0.1), None, None]
        assert "probability" not in again[-1].as_dict()

    def test_two_sentences_or_two_pictures_are_no_pair(self, searcher: Searcher, photos: Path) -> None:
        with pytest.raises(InputError, match="not two sentences: look for images"):
            rerank(searcher, "red", searcher.search("red", to="captions"), FakeScorer())
        with pytest.raises(InputError, match="not two pictures: look for captions"):
            rerank(searcher, photos / "red.png", searcher.search(photos / "red.png", to="images"), FakeScorer())

    def test_nothing_found_stays_nothing(self, searcher: Searcher) -> None:
        assert rerank(searcher, "red", [], FakeScorer()) == []


@pytest.fixture
def encoders(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every checkpoint opened gives the fake; returns where they were looked for."""
    opened: list[Path] = []

    def open_encoder(path: Path) -> FakeEncoder:
        opened.append(path)
        return FakeEncoder()

    monkeypatch.setattr("crossmodal.inference.encoder.open_encoder", open_encoder)
    return opened


class TestOpening:
    def build(self, photos: Path, checkpoint: Path | None) -> Path:
        encoder = FakeEncoder()
        encoder.path = checkpoint
        build_index(photos, photos.parent / "captions.csv", encoder, photos.parent / "index")
        return photos.parent / "index"

    def test_the_checkpoint_is_found_where_it_was(self, photos: Path, tmp_path: Path, encoders: list[Path]) -> None:
        (tmp_path / "trained").mkdir()
        index = self.build(photos, tmp_path / "trained")
        assert names(open_searcher(str(index)).search("red", k=1)) == ["red.png"]
        assert encoders == [tmp_path / "trained"]

    def test_a_given_checkpoint_goes_before(self, photos: Path, encoders: list[Path]) -> None:
        open_searcher(self.build(photos, None), "elsewhere")
        assert encoders == [Path("elsewhere")]

    def test_a_checkpoint_that_is_gone_is_named(self, photos: Path, tmp_path: Path) -> None:
        with pytest.raises(
            CheckpointError, match=r"checkpoint 'fake' .* is not at .*gone any more: .*--checkpoint DIR"
        ):
            open_searcher(self.build(photos, tmp_path / "gone"))

    def test_no_index_is_said_before_anything_is_loaded(self, tmp_path: Path, encoders: list[Path]) -> None:
        with pytest.raises(IndexStoreError, match="there is no index at"):
            open_searcher(tmp_path, "elsewhere")
        assert encoders == []


@pytest.mark.usefixtures("encoders")
class TestCommand:
    @pytest.fixture
    def index(self, photos: Path, tmp_path: Path) -> str:
        (tmp_path / "trained").mkdir()
        return str(TestOpening().build(photos, tmp_path / "trained"))

    def test_prints_rank_score_and_path(self, index: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["search", "red", "--index", index, "-k", "2"]) == 0
        rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
        assert [(row[0], row[3]) for row in rows] == [("1", "red.png"), ("2", "purple.png")]
        assert 1 >= float(rows[0][2]) >= float(rows[1][2]) > 0.5
        assert float(rows[0][1]) > float(rows[1][1])

    def test_a_picture_prints_captions(self, index: str, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["search", "--image", str(photos / "green.png"), "--index", index, "-k", "1"]) == 0
        assert capsys.readouterr().out.endswith("\ta green leaf\n")

    def test_json_has_the_attributes_of_a_hit(
        self, index: str, photos: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert cli.main(["search", "red", "--index", index, "-k", "1", "--json"]) == 0
        (hit,) = json.loads(capsys.readouterr().out)
        assert 0.5 < hit.pop("relevance") <= 1
        assert hit == {"rank": 1, "score": pytest.approx(0.99, abs=0.02), "path": "red.png"}
        assert cli.main(["search", "--image", str(photos / "red.png"), "--index", index, "--json"]) == 0
        hits = json.loads(capsys.readouterr().out)
        assert [sorted(hit) for hit in hits] == [["caption", "path", "rank", "score"]] * 4

    @pytest.mark.parametrize(
        ("query", "said"),
        [
            ([], "give WORDS, --image FILE or --plus TERM"),
            (["red", "--image", "x.png"], "give either WORDS or --image FILE, and the other with --plus"),
        ],
    )
    def test_needs_words_or_a_picture(
        self, index: str, query: list[str], said: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert cli.main(["search", *query, "--index", index]) == 2
        captured = capsys.readouterr()
        assert (captured.out, captured.err) == ("", f"error: {said}\n")
