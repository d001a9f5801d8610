"""Which run time is chosen, and which exports are refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from crossmodal.errors import CheckpointError, InputError
from crossmodal.images.transforms import ImageTransform
from crossmodal.inference import encoder as face
from crossmodal.inference.backends.export_files import Export, read_export
from crossmodal.inference.encoder import RUNTIMES, open_encoder
from crossmodal.models.checkpoint_files import fingerprint
from tests.inference.test_explain import make

FILES = ("image-fp32.onnx", "text-fp32.onnx")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runtimes") / "a"
    make(path)
    return path


def write_export(checkpoint: Path, **changes: Any) -> Path:
    """A manifest with files that are no graphs."""
    folder = checkpoint / "exported"
    folder.mkdir(exist_ok=True)
    for name in FILES:
        (folder / name).write_bytes(b"no graph")
    sha = "e6b0d4b3d9e9a7c0b1d9d2f8a6d7c9f8" * 2
    export = Export(
        1, "", fingerprint(checkpoint), True, True, {"fp32": dict(zip(("image", "text"), FILES, strict=True))},
        {name: {"bytes": 8, "sha256": sha} for name in FILES}, {"int8": {"passed": False}}, 20, {},
    )  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(export.as_dict() | changes))
    return folder


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The packages that seem to be installed; a test may take some away."""
    packages = {"onnxruntime", "openvino", "torch"}
    monkeypatch.setattr(face, "find_spec", lambda name: name in packages or None)
    monkeypatch.delenv("CROSSMODAL_RUNTIME", raising=False)
    fake_processor(monkeypatch, ["FP32", "BF16"])
    return packages


def fake_processor(monkeypatch: pytest.MonkeyPatch, capabilities: Sequence[str]) -> None:
    """An OpenVINO that says what the processor can do."""
    core = SimpleNamespace(get_property=lambda *_: capabilities)
    monkeypatch.setitem(sys.modules, "openvino", SimpleNamespace(Core=lambda: core))


def test_without_an_export_it_is_torch(checkpoint: Path):
    assert open_encoder(checkpoint).runtime == "torch"
    assert face.present_runtimes(None) == ("torch",)


def test_the_best_that_is_exported_and_installed_is_chosen(checkpoint: Path, installed: set[str]):
    towers = {"image": FILES[0], "text": FILES[1]}
    folder = write_export(checkpoint, precisions={"fp32": towers, "int8": towers, "bf16": towers})
    assert face.present_runtimes(read_export(checkpoint, fingerprint(checkpoint))) == RUNTIMES
    assert open_encoder(checkpoint).runtime == "onnx-fp32"
    installed.remove("onnxruntime")
    assert open_encoder(checkpoint).runtime == "openvino-bf16"
    installed.remove("openvino")
    assert open_encoder(checkpoint).runtime == "torch"
    (folder / "manifest.json").unlink()


def test_a_processor_without_bf16_is_passed_over_or_told(
    checkpoint: Path, installed: set[str], monkeypatch: pytest.MonkeyPatch
):
    towers = {"image": FILES[0], "text": FILES[1]}
    folder = write_export(checkpoint, precisions={"int8": towers, "bf16": towers})
    assert open_encoder(checkpoint).runtime == "openvino-bf16"
    fake_processor(monkeypatch, ["FP32", "INT8"])
    assert installed
    assert open_encoder(checkpoint).runtime == "onnx-int8"
    monkeypatch.setenv("CROSSMODAL_RUNTIME", "openvino-bf16")
    with pytest.raises(InputError, match=r"openvino-bf16 is refused: this processor does not compute in bf16.*fp32"):
        open_encoder(checkpoint)
    (folder / "manifest.json").unlink()


def test_onnx_runtime_is_chosen_without_asking_openvino(
    checkpoint: Path, installed: set[str], monkeypatch: pytest.MonkeyPatch
):
    towers = {"image": FILES[0], "text": FILES[1]}
    folder = write_export(checkpoint, precisions={"fp32": towers, "bf16": towers})
    assert installed
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert open_encoder(checkpoint).runtime == "onnx-fp32"
    (folder / "manifest.json").unlink()


def test_one_may_be_asked_for_by_argument_or_environment(
    checkpoint: Path, installed: set[str], monkeypatch: pytest.MonkeyPatch
):
    write_export(checkpoint)
    assert installed
    assert open_encoder(checkpoint, "torch").runtime == "torch"
    monkeypatch.setenv("CROSSMODAL_RUNTIME", "torch")
    assert open_encoder(checkpoint).runtime == "torch"
    assert open_encoder(checkpoint, "onnx-fp32").runtime == "onnx-fp32"


def test_one_that_is_not_there_is_refused_with_the_reason(checkpoint: Path, installed: set[str]):
    write_export(checkpoint)
    with pytest.raises(InputError, match=r"unknown runtime 'cuda': one of auto, onnx-fp32"):
        open_encoder(checkpoint, "cuda")
    with pytest.raises(InputError, match=r"int8 of .* failed its check when it was exported"):
        open_encoder(checkpoint, "onnx-int8")
    with pytest.raises(InputError, match=r"no export in bf16: run `python -m crossmodal export .* --precision bf16`"):
        open_encoder(checkpoint, "openvino-bf16")
    installed.remove("onnxruntime")
    with pytest.raises(InputError, match="needs onnxruntime: `pip install onnxruntime`"):
        open_encoder(checkpoint, "onnx-fp32")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"precisions": []}, "is damaged"),
        ({"precisions": {"fp32": {"image": "../../evil.onnx", "text": FILES[1]}}}, "is damaged"),
        ({"files": {"../evil.onnx": {"bytes": 1, "sha256": ""}}, "precisions": {}}, "is damaged"),
    ],
)
def test_a_damaged_manifest_is_refused_with_the_command(
    checkpoint: Path, installed: set[str], changes: dict[str, Any], message: str
):
    write_export(checkpoint, **changes)
    assert installed
    with pytest.raises(CheckpointError, match=message + ".*run `python -m crossmodal export --checkpoint .* or remove"):
        open_encoder(checkpoint)
    assert open_encoder(checkpoint, "torch").runtime == "torch"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fingerprint": "f" * 64}, "was exported from checkpoint ffffffff…, .* is now"),
        ({"schema": 9}, "has schema 9, this version reads 1"),
    ],
)
def test_a_stale_export_is_passed_over_unless_its_run_time_is_named(
    checkpoint: Path, installed: set[str], changes: dict[str, Any], message: str
):
    write_export(checkpoint, **changes)
    assert installed
    assert open_encoder(checkpoint).runtime == "torch"
    with pytest.raises(CheckpointError, match=message + ".*run `python -m crossmodal export --checkpoint .* or remove"):
        open_encoder(checkpoint, "onnx-fp32")


def test_a_manifest_that_is_no_json_is_refused(checkpoint: Path):
    (write_export(checkpoint) / "manifest.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read"):
        open_encoder(checkpoint)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"no", "has 2 bytes, not 8"), (b"no grapH", "was altered"), (None, "cannot be read")],
)
def test_a_cut_or_altered_tower_is_refused_when_it_is_used(
    checkpoint: Path, installed: set[str], content: bytes | None, message: str
):
    folder = write_export(checkpoint)
    (folder / FILES[1]).unlink() if content is None else (folder / FILES[1]).write_bytes(content)
    assert installed
    with pytest.raises(CheckpointError, match=message + ".*run `python -m crossmodal export"):
        open_encoder(checkpoint).encode_texts(["a red car"])


def test_what_is_no_graph_is_an_error_of_ours(tmp_path: Path):
    from crossmodal.inference.backends.sessions import OnnxSession

    (tmp_path / "a.onnx").write_bytes(b"no graph")
    with pytest.raises(CheckpointError, match="cannot be run by ONNX Runtime"):
        OnnxSession(tmp_path / "a.onnx")


@pytest.mark.parametrize("fit", ["squash", "crop"])
@pytest.mark.parametrize("size", [(60, 80), (301, 97), (32, 32), (20, 20)])
def test_pixels_without_torch_are_within_a_grey_level(fit: str, size: tuple[int, int]):
    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    transform, picture = ImageTransform(32, fit), Image.fromarray(noise)
    one, other = transform.pixels(picture).astype(int), transform.pixels_without_torch(picture).astype(int)
    assert one.shape == other.shape == (3, 32, 32)
    assert np.abs(one - other).max() <= 1
