"""Where a network is cut, and whether a processor has bf16."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crossmodal.inference.backends.openvino_bf16 import CUT, LAYERS, computes_bf16, split
from tests.inference.test_backends import fake_processor


@pytest.mark.parametrize(("capabilities", "expected"), [(["FP32", "BF16"], True), (["FP32", "INT8"], False)])
def test_the_processor_is_asked_through_openvino(
    monkeypatch: pytest.MonkeyPatch, capabilities: list[str], expected: bool
):
    fake_processor(monkeypatch, capabilities)
    assert computes_bf16() is expected


def network(blocks: int, skip: int = 0, shaped: bool = False) -> Any:
    """Residual blocks of two products each. skip: the block whose end the beginning is added to. shaped: it ends with
    the input's shape, taken from the input itself."""
    openvino = pytest.importorskip("openvino", exc_type=ImportError)
    ops = openvino.opset13
    given = ops.parameter([-1, 4], np.float32, name="pixels")
    given.output(0).set_names({"pixels"})
    state = started = ops.multiply(given, np.float32(2))
    weight = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32) / 2
    for number in range(1, blocks + 1):
        inner = ops.relu(ops.matmul(state, weight, False, False))
        state = ops.add(ops.matmul(inner, weight, False, False), state)
        state = ops.add(state, started) if number == skip else state
    state = ops.reshape(state, ops.shape_of(given), False) if shaped else state
    state.output(0).set_names({"vectors"})
    return openvino.Model([ops.result(state)], [given], "network")


def layers(model: Any) -> int:
    return sum(op.get_type_name() in LAYERS for op in model.get_ops())


@pytest.mark.parametrize(
    ("blocks", "skip", "expected"),
    [
        (6, 0, [2, 10]),  # after a sixth, at the end of a block
        (9, 0, [4, 14]),
        (6, 2, [4, 8]),  # the first end that nothing passes by
        (6, 5, [12]),  # too late to gain by it
        (6, 6, [12]),
        (1, 0, [2]),
    ],
)
def test_the_cut_is_the_first_place_that_one_tensor_passes(blocks: int, skip: int, expected: list[int]):
    assert [layers(part) for part in split(network(blocks, skip))] == expected


@pytest.mark.parametrize(("shaped", "inputs"), [(False, [CUT]), (True, [CUT, "pixels"])])
def test_both_parts_together_are_the_whole(shaped: bool, inputs: list[str]):
    openvino = pytest.importorskip("openvino", exc_type=ImportError)

    pixels = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)
    core, settings = openvino.Core(), {"INFERENCE_PRECISION_HINT": "f32"}
    whole = core.compile_model(network(6, shaped=shaped), "CPU", settings)(pixels)["vectors"]
    first, rest = (core.compile_model(part, "CPU", settings) for part in split(network(6, shaped=shaped)))
    assert [value.any_name for value in rest.inputs] == inputs
    given = {CUT: first(pixels)[0], "pixels": pixels}
    assert np.allclose(rest([given[name] for name in inputs])["vectors"], whole, atol=1e-5)
