"""The pages of the app, run without a browser: what is asked, what is shown, and what a user's text may not do.

The encoder is a fake that sees colours and knows their names, so that every expected result can be said by hand.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from PIL import Image
from streamlit.testing.v1 import AppTest

from crossmodal.index import build_index
from crossmodal.ui import demo, galleries
from crossmodal.ui.jobs import Jobs, Step
from crossmodal.ui.look import plain_markdown, shown, tile
from crossmodal.ui.view import View
from crossmodal.ui.watch import in_words

ROOT = Path(__file__).resolve().parents[1]
SEARCH, TRAINING, INDEX = (f"crossmodal/ui/{name}_page.py" for name in ("search", "training", "index"))
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 40, 220), "yellow": (230, 220, 40)}
HOSTILE = "<script>alert(1)</script> **bold** :smile: مرحبا 🐶"


class ColourEncoder:
    """Pictures become their mean colour, texts the colour they name."""

    fingerprint = "c0ffee" * 8
    name = "colours"
    dimension = 4
    preprocessing: dict[str, Any] = {"image": {"size": 8}}  # noqa: RUF012

    def preprocess(self, image: Image.Image) -> Any:
        return np.asarray(image.convert("RGB").resize((8, 8)), dtype=np.uint8).transpose(2, 0, 1)

    def encode_pixels(self, pixels: Any) -> Any:
        return unit(np.concatenate([pixels.mean(axis=(2, 3)) - 90.0, np.full((len(pixels), 1), 20.0)], axis=1))

    def encode_images(self, images: Sequence[Image.Image]) -> Any:
        return self.encode_pixels(np.stack([self.preprocess(image) for image in images]))

    def encode_texts(self, texts: Sequence[str], batch_size: int = 64) -> Any:  # noqa: ARG002
        named = [[COLOURS[name] for name in COLOURS if name in text.lower()] for text in texts]
        means = np.array([np.mean(colours, axis=0) if colours else (90, 90, 90) for colours in named])
        return unit(np.concatenate([means - 90.0, np.full((len(texts), 1), 20.0)], axis=1))


def unit(vectors: Any) -> Any:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def jpeg(colour: tuple[int, int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(buffer, format="JPEG")
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def _fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test starts the app anew, in an empty folder, with the fake encoder and a small demo gallery."""
    st.cache_resource.clear()
    galleries._loaded.cache_clear()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["app.py"])
    monkeypatch.setattr("crossmodal.encoder.open_encoder", lambda _: ColourEncoder())
    monkeypatch.setattr(demo, "DEMO_COUNT", 6)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three pictures of each of four colours with one caption each; the first red one's caption is hostile."""
    folder = tmp_path / "photos"
    folder.mkdir()
    lines = ["image,caption"]
    for name, colour in COLOURS.items():
        for number in range(3):
            (folder / f"{name}-{number}.jpg").write_bytes(jpeg(tuple(max(0, part - 9 * number) for part in colour)))
            text = f"red {HOSTILE}" if (name, number) == ("red", 0) else f"a {name} square, number {number}"
            lines.append(f'{name}-{number}.jpg,"{text}"')
    (tmp_path / "captions.txt").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


@pytest.fixture
def gallery(photos: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The photos, indexed and named with --index."""
    index = Path("indexes/squares")
    build_index(photos, photos.parent / "captions.txt", ColourEncoder(), index)
    monkeypatch.setattr("sys.argv", ["app.py", "--index", str(index)])
    return index


@pytest.fixture
def page(gallery: Path) -> AppTest:  # noqa: ARG001 - it names the gallery the app opens
    """The app, opened on the photos."""
    return app().run()


def app() -> AppTest:
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)


def html_of(at: AppTest) -> list[str]:
    return [element.proto.body for element in at.get("html")]


def tiles(at: AppTest) -> list[str]:
    return [body for body in html_of(at) if "<figure" in body and "cm-score" in body]


def rows(at: AppTest) -> list[str]:
    return [body for body in html_of(at) if 'class="cm-caption"' in body]


def asked_for(at: AppTest, text: str) -> AppTest:
    at.text_input("text").set_value(text).run()
    assert not at.exception
    return at


def uploaded(at: AppTest, name: str, content: bytes) -> AppTest:
    at.file_uploader[0].set_value((name, content, "image/jpeg")).run()
    assert not at.exception
    return at


def until(at: AppTest, true: Callable[[AppTest], bool], seconds: float = 60) -> AppTest:
    end = time.monotonic() + seconds
    while not true(at):
        assert time.monotonic() < end, html_of(at)
        time.sleep(0.1)
        at.run()
        assert not at.exception
    return at


def test_a_text_finds_the_pictures_it_describes(page: AppTest):
    at = asked_for(page, "a red square")
    assert len(tiles(at)) == 10
    assert all("red" in body for body in tiles(at)[:3])
    assert any("Showing 10 of 12 pictures" in body for body in html_of(at))


def test_tiles_carry_rank_and_score_best_first(page: AppTest):
    bodies = tiles(asked_for(page, "green"))
    scores = [float(re.search(r'cm-score"[^>]*>(-?[\d.]+)', body).group(1)) for body in bodies]  # type: ignore[union-attr]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0.99
    assert [f'cm-rank">{rank}<' in body for rank, body in enumerate(bodies, 1)] == [True] * 10


def test_an_uploaded_picture_finds_its_captions(page: AppTest):
    at = uploaded(page, "mine.jpg", jpeg(COLOURS["blue"]))
    assert len(rows(at)) == 10
    assert all("a blue square" in body for body in rows(at)[:3])
    assert any("mine.jpg" in body for body in html_of(at))


def test_the_direction_may_be_turned(page: AppTest):
    at = uploaded(page, "mine.jpg", jpeg(COLOURS["blue"]))
    at.segmented_control[0].set_value("images").run()
    assert len(tiles(at)) == 10
    at = asked_for(at, "yellow")
    at.segmented_control[0].set_value("captions").run()
    assert "a yellow square" in rows(at)[0]
    assert dict(at.query_params) == {"q": "yellow", "to": "captions"}


def test_k_is_adjustable_and_the_total_is_said(page: AppTest):
    at = asked_for(page, "red")
    at.slider[0].set_value(3).run()
    assert len(tiles(at)) == 3
    at.slider[0].set_value(100).run()
    assert len(tiles(at)) == 12
    assert any("Showing 12 of 12 pictures" in body for body in html_of(at))


def test_more_like_this_leaves_the_picture_itself_out(page: AppTest):
    at = asked_for(page, "blue")
    at.button("like-1").click().run()
    assert not at.exception
    assert at.text_input("text").value == ""
    assert at.query_params["like"] == "blue-0.jpg"
    assert any("Showing 10 of 11 pictures" in body for body in html_of(at))
    assert not any("number 0" in body and "blue" in body for body in tiles(at))


def test_a_picture_is_shown_in_full_with_all_its_captions(page: AppTest):
    at = asked_for(page, "green")
    at.button("open-1").click().run()
    assert any("cm-large" in body and "a green square, number 0" in body for body in html_of(at))


@pytest.mark.usefixtures("gallery")
def test_a_link_brings_back_the_question():
    at = app()
    at.query_params.update({"q": "blue", "k": "4", "to": "captions"})
    at.run()
    assert [len(rows(at)), at.text_input("text").value, at.slider[0].value] == [4, "blue", 4]


@pytest.mark.parametrize("like", ["../captions.txt", "/etc/hostname", "photos/../../x.jpg"])
@pytest.mark.usefixtures("gallery")
def test_a_link_cannot_show_a_file_outside_the_gallery(like: str):
    at = app()
    at.query_params["like"] = like
    at.run()
    assert "not in this gallery" in at.error[0].value
    assert not tiles(at)


def test_the_question_is_kept_while_another_page_is_looked_at(page: AppTest):
    at = asked_for(page, "red")
    at.slider[0].set_value(5).run()
    at.switch_page(TRAINING).run()
    at.switch_page(SEARCH).run()
    assert not at.exception
    assert [at.text_input("text").value, len(tiles(at))] == ["red", 5]


def test_an_example_is_asked_by_one_click(page: AppTest):
    at = page
    at.button("example-1").click().run()
    assert at.text_input("text").value.startswith("a ")
    assert tiles(at)


def test_the_heatmap_of_the_results_is_drawn_on_demand(page: AppTest):
    at = asked_for(page, "red")
    assert not at.get("image")
    at.toggle("heatmap").set_value(True).run()
    assert not at.exception
    assert len(at.get("image")) == 2


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "0 bytes"), (jpeg((1, 2, 3))[:200], "truncated"), (b"GIF89a not a picture", "")]
)
def test_a_broken_upload_is_refused_with_its_reason_and_the_page_lives_on(page: AppTest, content: bytes, reason: str):
    at = uploaded(page, "broken_*name*.jpg", content)
    assert len(at.error) == 1
    assert "cannot be used" in at.error[0].value
    assert reason in at.error[0].value
    assert asked_for(at, "red").error == []
    assert tiles(at)


def test_markup_in_captions_and_queries_stays_text(page: AppTest):
    at = asked_for(page, f"red {HOSTILE}")
    assert not any("<script" in body for body in html_of(at))
    assert any("&lt;script&gt;alert(1)&lt;/script&gt;" in body for body in tiles(at))


def test_without_captions_a_picture_is_told_that_there_is_nothing_to_find(
    photos: Path, monkeypatch: pytest.MonkeyPatch
):
    build_index(photos, None, ColourEncoder(), Path("indexes/bare"))
    monkeypatch.setattr("sys.argv", ["app.py", "--index", "indexes/bare"])
    at = uploaded(app().run(), "mine.jpg", jpeg(COLOURS["red"]))
    assert "no captions" in at.info[0].value
    at.segmented_control[0].set_value("images").run()
    assert len(tiles(at)) == 10


def test_an_index_that_is_absent_is_an_error_with_the_next_command(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.argv", ["app.py", "--index", "indexes/nowhere"])
    at = app().run()
    assert not at.exception
    assert "build" in at.error[0].value


def test_a_picture_gone_from_the_disk_leaves_its_tile_empty(page: AppTest, photos: Path):
    (photos / "red-0.jpg").unlink()
    at = asked_for(page, "red")
    assert sum("cannot be shown" in body for body in tiles(at)) == 1


def test_a_rebuilt_index_is_opened_anew_without_a_restart(gallery: Path, photos: Path):
    at = asked_for(app().run(), "red")
    (photos / "red-9.jpg").write_bytes(jpeg((222, 31, 29)))
    build_index(photos, photos.parent / "captions.txt", ColourEncoder(), gallery)
    assert any("of 13 pictures" in body for body in html_of(at.run()))


@pytest.mark.usefixtures("gallery")
def test_the_model_is_loaded_once_for_all_runs_and_sessions(monkeypatch: pytest.MonkeyPatch):
    loaded: list[Path] = []
    monkeypatch.setattr("crossmodal.encoder.open_encoder", lambda path: loaded.append(path) or ColourEncoder())
    asked_for(asked_for(app().run(), "red"), "blue")
    asked_for(app().run(), "green")
    assert len(loaded) == 1


def test_two_galleries_of_one_checkpoint_share_its_encoder(gallery: Path, photos: Path):
    build_index(photos, None, ColourEncoder(), Path("indexes/second"))
    first, second = galleries.searcher_of(gallery), galleries.searcher_of(Path("indexes/second"))
    assert first.encoder is second.encoder


def test_the_first_start_makes_the_demo_gallery_and_answers():
    at = app().run()
    at.text_input("text").set_value("red").run()
    until(at, lambda at: bool(tiles(at)))
    until(at, lambda at: any(">30<" in body for body in html_of(at)))  # five captions a picture, said at the side
    assert any("Showing 6 of 6 pictures" in body for body in html_of(at))


def test_a_half_made_demo_gallery_is_completed():
    demo.prepare(ColourEncoder, lambda _: None)
    (demo.DEMO_PICTURES / "images" / "scene-test-00002.jpg").unlink()
    shutil.rmtree(demo.DEMO)
    at = until(app().run(), lambda at: any("From this gallery of 6" in body for body in html_of(at)))
    assert (demo.DEMO_PICTURES / "images" / "scene-test-00002.jpg").exists()
    assert not at.error


def test_a_demo_gallery_killed_before_its_captions_gets_them():
    demo.prepare(ColourEncoder, lambda _: None)
    shutil.rmtree(demo.DEMO)
    build_index(demo.DEMO_PICTURES / "images", None, ColourEncoder(), demo.DEMO)
    at = app().run()
    assert any("From this gallery of 6" in body for body in html_of(at))
    until(at, lambda at: any(">30<" in body for body in html_of(at)))


def test_two_sessions_make_the_demo_gallery_once(monkeypatch: pytest.MonkeyPatch):
    calls: list[int] = []
    make = demo.prepare
    monkeypatch.setattr(demo, "prepare", lambda *arguments: (calls.append(1), make(*arguments)))
    first, second = app().run(), app().run()
    until(first, lambda at: any("From this gallery of 6" in body for body in html_of(at)))
    until(second, lambda at: any("From this gallery of 6" in body for body in html_of(at)))
    assert calls == [1]


def test_an_error_while_the_demo_is_made_is_shown(monkeypatch: pytest.MonkeyPatch):
    from crossmodal.errors import CheckpointError

    def absent(_: Path) -> None:
        raise CheckpointError("no checkpoint at *model*-checkpoints")

    monkeypatch.setattr("crossmodal.encoder.open_encoder", absent)
    at = until(app().run(), lambda at: bool(at.error))
    assert at.error[0].value == r"no checkpoint at \*model\*\-checkpoints"


def checkpoint(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"0" * 2_000_000)
    (folder / "config.json").write_text(json.dumps({"dimension": 512, "about": {"recipe": "scenes", "seed": 7}}))
    return folder


def test_the_training_page_shows_curves_metrics_and_the_card():
    folder = checkpoint(Path("runs/mine/best"))
    recalls = {"R@1": 21.5, "R@5": 50.0, "R@10": 63.0, "median_rank": 5.0}
    report = {"rsum": 269.0, "image_to_text": recalls, "text_to_image": recalls, "protocol": {"split": "dev"}}
    report["intervals"] = {"image_to_text R@1": [20.0, 23.0], "rsum": [260.0, 278.0]}
    (folder / "metrics.json").write_text(json.dumps({"dev": report}))
    epoch = {"epoch": 1, "phase": "heads", "loss": 3.0, "rsum": 269.0}
    (folder.parent / "history.json").write_text(json.dumps({"recipe": "scenes", "epochs": [epoch]}))
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# A card\n<b>tags</b>")
    at = app()
    at.run()
    at.switch_page(TRAINING).run()
    assert not at.exception
    assert at.selectbox("checkpoint").options == ["runs/mine/best"]
    assert len(at.get("image")) == 1
    assert list(at.dataframe[0].value["R@1"]) == ["21.5 [20.0, 23.0]", "21.5"]
    assert list(at.dataframe[0].value["rsum"]) == ["", "269.0 [260.0, 278.0]"]
    assert at.markdown[-1].value.strip().startswith("# A card")


def test_the_training_page_bears_a_checkpoint_without_documents():
    folder = checkpoint(Path("model-checkpoints/bare"))
    (folder / "metrics.json").write_text("{broken")
    (folder / "history.json").write_text("[]")
    at = app().run()
    at.switch_page(TRAINING).run()
    assert not at.exception
    assert ["no history.json" in at.info[0].value, "no metrics.json" in at.info[1].value] == [True, True]


def indexing(at: AppTest, images: str, captions: str = "", name: str = "") -> AppTest:
    at.switch_page(INDEX).run()
    at.text_input("index-images").set_value(images)
    at.text_input("index-captions").set_value(captions)
    at.text_input("index-name").set_value(name)
    at.button[-1].click().run()
    assert not at.exception
    return at


def test_a_folder_is_indexed_its_broken_pictures_are_listed_and_it_opens(photos: Path):
    checkpoint(Path("model-checkpoints/starter"))
    (photos / "empty_*.jpg").write_bytes(b"")
    at = indexing(app().run(), str(photos), str(photos.parent / "captions.txt"), "My squares")
    until(at, lambda at: bool(at.success))
    assert "12 pictures and 12 captions indexed, 1 skipped" in at.success[0].value.replace("\\", "")
    assert at.dataframe[0].value.to_numpy().tolist() == [["empty_*.jpg", "0 bytes"]]
    at.button("open-gallery").click().run()
    at.switch_page(SEARCH).run()
    assert at.selectbox("gallery").value == "indexes/My squares"
    assert len(tiles(asked_for(at, "green"))) == 10
    assert at.query_params["gallery"] == "My squares"


@pytest.mark.parametrize(
    ("images", "captions", "name", "message"),
    [
        ("", "", "", "no folder of pictures"),
        ("/nowhere", "", "", "no folder of pictures"),
        (".", "/nowhere.csv", "", "no captions file"),
        (".", "", "../escape", "cannot name a gallery"),
        (".", "", "demo", "cannot name a gallery"),
    ],
)
def test_an_unusable_entry_is_refused_in_words(images: str, captions: str, name: str, message: str):
    checkpoint(Path("model-checkpoints/starter"))
    at = indexing(app().run(), images, captions, name)
    assert message in at.error[0].value


def test_the_address_bears_nonsense():
    assert View.from_parameters({"k": "9" * 5000, "to": "<b>", "q": "x" * 900}) == View(text="x" * 500)
    assert [View.from_parameters({"k": k}).count for k in ("0", "7", "250", "-3", "٣")] == [1, 7, 100, 10, 10]


def test_the_address_of_a_view_is_short_and_brings_it_back():
    assert View(text="a dog").parameters() == {"q": "a dog"}
    view = View(like="a/b.jpg", to="captions", count=30)
    assert View.from_parameters(view.parameters()) == view


def test_text_is_escaped_for_html_and_for_markdown():
    assert "<script" not in tile(None, HOSTILE)
    assert plain_markdown("a *b* [c](d)\n# e") == r"a \*b\* \[c\]\(d\) \# e"
    assert ":smile:" not in plain_markdown(":smile:").replace("\\", "")


def test_a_file_name_that_is_no_text_can_be_shown():
    name = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    assert shown(name).encode("utf-8")


def test_progress_says_how_far_how_fast_and_how_long():
    words = in_words(Step("Indexing", done=1200, total=4000, skipped=2, rate=98.6, seconds_left=28.4))
    assert words == "Indexing · 1,200 of 4,000 · 2 skipped · 99 a second · 28 s left"


def test_a_job_runs_once_however_often_it_is_started():
    gate, calls, jobs = threading.Event(), [0], Jobs()

    def work(_: Any) -> str:
        calls[0] += 1
        gate.wait(5)
        return "done"

    first, second = jobs.start("key", work), jobs.start("key", work)
    gate.set()
    assert first is second
    assert first.wait(5)
    assert [first.result, calls] == ["done", [1]]


def test_a_job_keeps_the_error_it_ended_with():
    def work(_: Any) -> None:
        raise ValueError("no")

    job = Jobs().start("key", work)
    assert job.wait(5)
    assert str(job.error) == "no"
