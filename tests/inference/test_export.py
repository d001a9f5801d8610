"""An export gives what torch gives, and needs no torch to be searched with."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from crossmodal.cli import main
from crossmodal.errors import CheckpointError, InputError
from crossmodal.index import build_index
from crossmodal.inference import export
from crossmodal.inference.backends.sessions import OnnxSession, OpenvinoSession
from crossmodal.inference.base import Encoder
from crossmodal.inference.encoder import open_encoder
from crossmodal.inference.explain import explain, explain_images
from crossmodal.inference.export import Samples, export_checkpoint, scene_samples
from crossmodal.models.checkpoint import Checkpoint
from crossmodal.models.text_towers import LabelEncoder, LetterEncoder, RecurrentEncoder
from crossmodal.models.tokenizer import TextTokenizer
from tests.fakes import paint_many
from tests.inference.test_backends import fake_processor
from tests.inference.test_explain import CAPTIONS, Towers, make

ROOT = Path(__file__).resolve().parents[2]
SENTENCES = [*CAPTIONS, "a", "dogs on a beach near the railway station in a coat"]


def few(checkpoint: Checkpoint) -> Samples:
    """Twenty scenes; the tests' vocabulary knows hardly a word of their captions, so that few are told apart."""
    return scene_samples(checkpoint.transform, checkpoint.config.get("labels", ()), 20)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exporting") / "a"
    make(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "RECALL_POINTS", 100.0)  # random towers: int8 is only to be looked at
        patch.setitem(export.LOWEST_COSINE, "int8", 0.9)
        export_checkpoint(path, ("fp32", "int8"), few, say=lambda _: None)
    return path


@pytest.fixture(scope="module")
def both(exported: Path) -> tuple[Encoder, Encoder]:
    return open_encoder(exported, "torch"), open_encoder(exported, "onnx-fp32")


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    noise = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    return [Image.fromarray(values) for values in noise]


def test_threads_of_onnx_runtime_sleep_when_they_have_nothing_to_do(exported: Path) -> None:
    session = OnnxSession(exported / "exported" / "text-fp32.onnx")
    options = session._session.get_session_options()
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


@pytest.mark.parametrize("lanes", [1, 2])
def test_a_tower_in_two_parts_gives_what_the_whole_gives_from_every_thread(exported: Path, lanes: int) -> None:
    pytest.importorskip("openvino", exc_type=ImportError)
    path, names = exported / "exported" / "image-fp32.onnx", ["places", "vectors"]
    whole, parts = OpenvinoSession(path, ["f32"], lanes), OpenvinoSession(path, ["f32", "f32"], lanes)
    assert [len(session._compiled) for session in (whole, parts)] == [1, 2]
    noise = np.random.default_rng(0).integers(0, 256, (9, 3, 64, 64), dtype=np.uint8)
    pieces = [{"pixels": noise[:1]}, {"pixels": noise[1:4]}, {"pixels": noise[4:]}] * 3
    with ThreadPoolExecutor(lanes) as pool:
        found = list(pool.map(lambda piece: parts.run(names, piece), pieces))
    for piece, values in zip(pieces, found, strict=True):
        for one, other in zip(values, whole.run(names, piece), strict=True):
            assert np.allclose(one, other, atol=1e-5)


def copy_graph(exported: Path, path: Path) -> None:
    for name in (path.name, f"{path.name}.data"):
        shutil.copy(exported / "exported" / name, path.with_name(name))


def cosines(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    return (one * other).sum(1)


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_vectors_are_torchs_to_float_noise(both: tuple[Encoder, Encoder], pictures: list[Image.Image], batch_size: int):
    trained, exported = both
    assert (trained.runtime, exported.runtime) == ("torch", "onnx-fp32")
    assert np.allclose(trained.encode_texts(SENTENCES), exported.encode_texts(SENTENCES, batch_size), atol=1e-5)
    assert np.allclose(trained.encode_images(pictures), exported.encode_images(pictures, batch_size), atol=1e-5)
    assert exported.encode_texts([]).shape == exported.encode_images([]).shape == (0, 8)


def test_a_rested_encoder_opens_its_towers_again(exported: Path, pictures: list[Image.Image]):
    encoder = open_encoder(exported, "onnx-fp32")
    towers, sentences, images = encoder._towers, encoder.encode_texts(SENTENCES), encoder.encode_images(pictures)
    assert {"_image", "_text"} <= vars(towers).keys()
    encoder.rest()
    assert not {"_image", "_text"} & vars(towers).keys()
    assert (encoder.encode_texts(SENTENCES) == sentences).all()
    assert (encoder.encode_images(pictures) == images).all()
    open_encoder(exported, "torch").rest()


def test_it_is_the_same_encoder_to_an_index(both: tuple[Encoder, Encoder]):
    trained, exported = both
    for name in ("fingerprint", "dimension", "preprocessing", "name", "labels", "can_decode", "splits_images"):
        assert getattr(trained, name) == getattr(exported, name)


def test_what_a_feed_forward_layer_narrows_stays_float(exported: Path) -> None:
    """Weights of int8 have two names for a product's matrix; what stays float has a MatMul of its own."""
    import onnx

    graph = onnx.load(exported / "exported" / "text-int8.onnx", load_external_data=False).graph
    shapes = {constant.name: tuple(constant.dims) for constant in graph.initializer}
    kinds = {shapes[node.input[1]]: node.op_type for node in graph.node if node.input[1:2] and node.input[1] in shapes}
    assert {shape: kind for shape, kind in kinds.items() if kind in ("MatMul", "MatMulInteger")} == {
        (64, 8): "MatMulInteger",  # the projection
        (64, 64): "MatMulInteger",
        (64, 128): "MatMulInteger",
        (128, 64): "MatMul",
    }


def test_int8_is_near(exported: Path, both: tuple[Encoder, Encoder]):
    encoder = open_encoder(exported, "onnx-int8")
    assert cosines(both[0].encode_texts(SENTENCES), encoder.encode_texts(SENTENCES)).min() > 0.98


def test_explanations_are_those_of_torch(both: tuple[Encoder, Encoder], pictures: list[Image.Image]):
    trained, exported = (explain(encoder, pictures[0], "two dogs run on a beach") for encoder in both)
    assert trained.matrix is not None
    assert exported.matrix is not None
    assert exported.bias is not None
    assert exported.matrix.sum() + exported.bias == pytest.approx(exported.score, abs=1e-5)
    assert np.allclose(trained.matrix, exported.matrix, atol=1e-5)
    assert (trained.words, trained.shape, trained.method) == (exported.words, exported.shape, exported.method)
    alike = [explain_images(encoder, pictures[0], pictures[1]).matrix for encoder in both]
    assert np.allclose(alike[0], alike[1], atol=1e-5)


def test_a_tower_of_timms_gives_the_same_vectors_and_exact_explanations(
    tmp_path: Path, pictures: list[Image.Image]
) -> None:
    trained = make(tmp_path / "a", backbone="timm/tf_efficientnet_lite0")
    export_checkpoint(tmp_path / "a", ("fp32",), few, say=lambda _: None)
    exported = open_encoder(tmp_path / "a", "onnx-fp32")
    assert cosines(trained.encode_images(pictures), exported.encode_images(pictures)).min() > 0.99999
    for encoder in (trained, exported):
        found = explain(encoder, pictures[0], "a red car")
        assert found.exact
        assert found.matrix is not None
        assert found.matrix.sum() + found.bias == pytest.approx(found.score, abs=1e-5)


def test_explanations_of_a_rounding_run_time_add_up_to_its_own_scores(exported: Path, pictures: list[Image.Image]):
    rounding = open_encoder(exported, "onnx-int8")
    found = explain(rounding, pictures[0], "two dogs run on a beach")
    (picture,), (sentence,) = rounding.encode_images(pictures[:1]), rounding.encode_texts(["two dogs run on a beach"])
    assert found.score == pytest.approx(float(picture @ sentence), abs=1e-5)
    assert found.matrix is not None
    assert found.matrix.sum() + found.bias == pytest.approx(found.score, abs=1e-5)


def test_gradients_are_left_to_torch(both: tuple[Encoder, Encoder], pictures: list[Image.Image]):
    towards = np.eye(8, dtype=np.float32)[0]
    one, other = (encoder.image_weights(pictures[0], towards).weights for encoder in both)
    assert np.array_equal(one, other)
    one, other = (encoder.text_weights(CAPTIONS[0], towards).weights for encoder in both)
    assert np.array_equal(one, other)


def test_the_manifest_tells_what_was_written_and_found(exported: Path):
    manifest = json.loads((exported / "exported" / "manifest.json").read_text())
    assert manifest["fingerprint"] == open_encoder(exported).fingerprint
    assert manifest["checks"]["fp32"]["text cosine"] == pytest.approx(1, abs=1e-5)
    assert manifest["checks"]["fp32"]["captions"] == 100
    assert {file.name for file in (exported / "exported").iterdir()} - {".sha256.json"} == {
        "manifest.json", *manifest["files"]
    }  # fmt: skip


def test_a_search_for_words_imports_no_torch(exported: Path, tmp_path: Path):
    captions = paint_many(tmp_path / "photos", 3)
    build_index(tmp_path / "photos", captions, open_encoder(exported, "torch"), tmp_path / "index")
    heavy = {"torch", "transformers", "torchvision", "pandas", "matplotlib", "streamlit", "faiss", "PIL"}
    heavy |= {"tqdm", "scipy"}  # which only long work and builds need
    code = (
        "import sys; from crossmodal.cli import main\n"
        f"status = main(['search', 'two dogs', '--index', {str(tmp_path / 'index')!r}, '-k', '2'])\n"
        f"sys.exit(status or str(sorted({heavy!r} & set(sys.modules))))"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (answer.stderr.strip().splitlines()[-1], answer.stdout.count("\n")) == ("[]", 2)


def test_what_differs_too_much_is_not_kept_and_what_was_there_stays(
    exported: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    before = (exported / "exported" / "manifest.json").read_bytes()
    monkeypatch.setitem(export.LOWEST_COSINE, "fp32", 1.1)
    monkeypatch.setattr(export, "_write_graph", lambda _, path, *__: copy_graph(exported, path))
    with pytest.raises(CheckpointError, match=r"no precision of .* agrees with torch"):
        export_checkpoint(exported, ("fp32",), few)
    assert "not kept: it differs too much from torch" in capsys.readouterr().out
    assert (exported / "exported" / "manifest.json").read_bytes() == before
    assert not list(exported.glob(".exported*"))


@pytest.mark.parametrize(
    ("text", "tokenizer", "facts"),
    [
        (lambda t: LetterEncoder(t.vocabulary_size, 8), TextTokenizer.of_letters(), {}),
        (
            lambda t: LabelEncoder(t.vocabulary_size, 8),
            TextTokenizer.of_labels(["cat", "dog"]),
            {"labels": ["cat", "dog"]},
        ),
    ],
)
def test_other_text_towers_are_exported_too(
    tmp_path: Path, text: Towers, tokenizer: TextTokenizer | None, facts: dict[str, list[str]]
):
    trained = make(tmp_path / "a", text, tokenizer=tokenizer, **facts)
    export_checkpoint(tmp_path / "a", ("fp32",), few, say=lambda _: None)
    encoder, words = open_encoder(tmp_path / "a"), ["dog", "cat", "dog"]
    assert encoder.runtime == "onnx-fp32"
    assert np.allclose(trained.encode_texts(words), encoder.encode_texts(words), atol=1e-5)
    assert encoder.splits_texts == trained.splits_texts


def test_a_tower_that_cannot_be_exported_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    tokenizer = TextTokenizer.of_words(CAPTIONS)
    make(tmp_path / "a", lambda t: RecurrentEncoder("gru", t.vocabulary_size, 8, 6, (5,)), tokenizer=tokenizer)
    assert main(["export", "--checkpoint", str(tmp_path / "a"), "--precision", "fp32"]) == 2
    assert "the tower RecurrentEncoder cannot be written as ONNX" in capsys.readouterr().err
    assert not (tmp_path / "a" / "exported").exists()


@pytest.mark.parametrize(
    ("precisions", "message"), [(("fp16",), "must be some of fp32, int8, bf16, not fp16"), ((), "not none")]
)
def test_an_unknown_precision_is_refused(tmp_path: Path, precisions: tuple[str, ...], message: str):
    with pytest.raises(InputError, match=message):
        export_checkpoint(tmp_path, precisions)


def test_bf16_is_refused_where_the_processor_has_none_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(export, "find_spec", lambda _: True)
    fake_processor(monkeypatch, ["FP32", "INT8"])
    with pytest.raises(InputError, match=r"nothing is exported: this processor does not compute in bf16.*take fp32"):
        export_checkpoint(tmp_path, ("fp32", "bf16"))
    fake_processor(monkeypatch, ["FP32", "BF16"])
    with pytest.raises(CheckpointError):  # it goes on, and finds no checkpoint
        export_checkpoint(tmp_path, ("fp32", "bf16"))


def test_a_package_that_is_lacking_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    find: Callable[[str], object] = lambda name: None if name == "onnxscript" else True  # noqa: E731
    monkeypatch.setattr(export, "find_spec", find)
    with pytest.raises(InputError, match=r"an export needs onnxscript: `pip install onnxscript`"):
        export_checkpoint(tmp_path)


def test_a_folder_that_cannot_be_written_to_is_named(
    exported: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("os.access", lambda *_: False)
    assert main(["export", "--checkpoint", str(exported)]) == 2
    assert f"{exported} cannot be written to: export a copy of it" in capsys.readouterr().err


def test_photos_without_captions_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["export", "--checkpoint", str(tmp_path), "--images", str(tmp_path)]) == 2
    assert "give --images DIR and --captions FILE" in capsys.readouterr().err


def test_indexing_on_all_cores_agrees_with_torch(both: tuple[Encoder, Encoder], pictures: list[Image.Image]):
    files = []
    for picture in pictures:
        file = BytesIO()
        picture.save(file, "PNG")
        files.append(file.getvalue())
    torch_encoder, onnx_encoder = both
    with onnx_encoder.bulk() as bulk:
        fast = bulk.encode(np.stack([bulk.read(data) for data in files]))
    assert float((fast * torch_encoder.encode_images(pictures)).sum(1).min()) >= 0.99999


def test_a_sentence_has_the_same_vector_in_any_company(exported: Path):
    texts = ["two dogs run on a beach", "a red ball", "a girl in a red dress runs after a dog that has her ball", "sun"]
    for runtime in ("onnx-fp32", "onnx-int8"):
        encoder = open_encoder(exported, runtime)
        alone = np.concatenate([encoder.encode_texts([text]) for text in texts])
        assert encoder.encode_texts(texts) == pytest.approx(alone, abs=1e-5)
