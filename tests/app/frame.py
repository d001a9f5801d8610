"""The app run without a browser: the encoder it is given in tests, and what is read off its pages.

The encoder is a fake that sees colours and knows their names, so that every expected result can be said by hand.
"""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from streamlit.testing.v1 import AppTest

from crossmodal.app.widgets.theme import WORD_JOINER
from crossmodal.inference.base import Encoder

ROOT = Path(__file__).resolve().parents[2]
SEARCH, PAIR, VECTORS, DOCTOR, TRAINING, INDEX = (
    f"crossmodal/app/pages/{name}.py" for name in ("search", "pair", "vectors", "captions_check", "training", "index")
)
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 40, 220), "yellow": (230, 220, 40)}
HOSTILE = "<script>alert(1)</script> **bold** :smile: مرحبا 🐶"


class ColourEncoder(Encoder):
    """Pictures become their mean colour, texts the colour they name."""

    fingerprint = "c0ffee" * 8
    name = "colours"
    dimension = 4
    preprocessing = {"image": {"size": 8}}  # noqa: RUF012

    def preprocess(self, image: Image.Image) -> Any:
        return np.asarray(image.convert("RGB").resize((8, 8)), dtype=np.uint8).transpose(2, 0, 1)

    def encode_pixels(self, pixels: Any, batch_size: int = 32) -> Any:  # noqa: ARG002
        return unit(np.concatenate([pixels.mean(axis=(2, 3)) - 90.0, np.full((len(pixels), 1), 20.0)], axis=1))

    def encode_texts(self, texts: Sequence[str], batch_size: int = 64) -> Any:  # noqa: ARG002
        named = [[COLOURS[name] for name in COLOURS if name in text.lower()] for text in texts]
        means = np.array([np.mean(colours, axis=0) if colours else (90, 90, 90) for colours in named])
        return unit(np.concatenate([means - 90.0, np.full((len(texts), 1), 20.0)], axis=1))


class LabelEncoder(ColourEncoder):
    """One that knows no other words than its labels."""

    name = "labels"
    labels = tuple(COLOURS)

    def encode_texts(self, texts: Sequence[str], batch_size: int = 64) -> Any:
        assert set(texts) <= set(self.labels)
        return super().encode_texts(texts, batch_size)


class DrawingEncoder(ColourEncoder):
    """One that draws a vector as an even grey, as light as its first number."""

    can_decode = True

    def decode(self, vectors: Any) -> Any:
        return np.broadcast_to((vectors[:, :1, None] + 1) / 2, (len(vectors), 28, 28)).astype(np.float32)


def unit(vectors: Any) -> Any:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def jpeg(colour: tuple[int, int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(buffer, format="JPEG")
    return buffer.getvalue()


def app() -> AppTest:
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)


def html_of(at: AppTest) -> list[str]:
    return [element.proto.body for element in at.get("html")]


def all_words(at: AppTest) -> str:
    """All that a page says in its main part, without what was typed into it."""
    told = [*at.main.error, *at.main.warning, *at.main.info, *at.main.success, *at.main.markdown, *at.main.caption]
    tables = [frame.value.to_string() for frame in at.main.dataframe]
    plain = [element.value.replace("\\", "").replace(WORD_JOINER, "") for element in told]
    return "\n".join([*plain, *tables, *html_of(at)])


def tiles(at: AppTest) -> list[str]:
    return [body for body in html_of(at) if "<figure" in body and "cm-score" in body]


def said(at: AppTest, words: str) -> bool:
    """Whether any HTML of the page but its style sheet has these words."""
    return any(words in body for body in html_of(at) if not body.startswith("<style"))


def rows(at: AppTest) -> list[str]:
    return [body for body in html_of(at) if 'class="cm-caption"' in body]


def offers(at: AppTest, page: str) -> bool:
    """Whether the navigation leads to a page."""
    try:
        at.switch_page(page)
    except ValueError:
        return False
    return True


def drawn(at: AppTest) -> list[list[str]]:
    """The addresses of the small pictures, row by row."""
    return [re.findall(r'<img src="([^"]+)"', body) for body in html_of(at) if "cm-drawn" in body]


def asked_for(at: AppTest, text: str) -> AppTest:
    at.text_input("text").set_value(text).run()
    assert not at.exception
    return at


def uploaded(at: AppTest, name: str, content: bytes) -> AppTest:
    at.file_uploader[0].set_value((name, content, "image/jpeg")).run()
    assert not at.exception
    return at


def pressed(at: AppTest, act: str, name: str) -> AppTest:
    """Press a button that a tile has of its own, as the page's script tells it to Python. name: of the picture."""
    body = next(body for body in html_of(at) if f'data-cm="{act}"' in body and name in body)
    found = re.search(rf'data-cm="{act}" data-row="(\d+)"', body)
    assert found
    generation = json.loads(_listener(at).json)["generation"]
    return told(at, "act", {"act": act, "row": int(found[1]), "generation": generation})


def told(at: AppTest, event: str, value: Any) -> AppTest:
    """Let the page's script tell something to Python."""
    from streamlit.components.v2.bidi_component.main import _make_trigger_id

    states = at._tree.get_widget_states()
    state = states.widgets.add()
    state.id = _make_trigger_id(_listener(at).id, "events")
    state.json_trigger_value = json.dumps([{"event": event, "value": value}])
    at._run(states)
    assert not at.exception
    return at


def _listener(at: AppTest) -> Any:
    return at.get("bidi_component")[0].proto


def until(at: AppTest, true: Callable[[AppTest], bool], seconds: float = 60) -> AppTest:
    end = time.monotonic() + seconds
    while not true(at):
        assert time.monotonic() < end, html_of(at)
        time.sleep(0.1)
        at.run()
        assert not at.exception
    return at


def checkpoint(folder: Path, **config: Any) -> Path:
    """A checkpoint as far as its config goes; what it can do is read from there."""
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"0" * 2_000_000)
    about = {"recipe": "scenes", "seed": 7}
    content = {"schema": 1, "kind": "dual_encoder", "dimension": 512, "about": about, **config}
    (folder / "config.json").write_text(json.dumps(content))
    return folder
