"""bf16 by OpenVINO: whether this processor computes in it, and where a network that begins in fp32 is cut.

bf16 keeps 8 bits of each value's fraction. That costs most at the start of an image tower, whose maps are large and
whose sums are short: the first three of EfficientNet-Lite2's nine stages make four fifths of its error (1 - cosine).
"""

from __future__ import annotations

from typing import Any

__all__ = ["CUT", "LAYERS", "NO_BF16", "computes_bf16", "split"]

CUT = "cut"  # name of the tensor between the two parts
FIRST = 1 / 6  # of the layers with weights: of EfficientNet-Lite2's 65 the 12 of its first three stages
LATEST = 1 / 2  # a cut after more of them leaves too little to gain
LAYERS = ("Convolution", "GroupConvolution", "MatMul")
NO_BF16 = (
    "this processor does not compute in bf16 (OpenVINO would compute in fp32 and not say so): take fp32, which is as "
    "fast here, by `--precision fp32` or CROSSMODAL_RUNTIME=onnx-fp32"
)


def computes_bf16() -> bool:
    """Whether OpenVINO computes in bf16 on this processor."""
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def split(model: Any) -> list[Any]:
    """An OpenVINO model as two, run one after the other, the first with FIRST of the layers; whole if it has no cut.

    The second takes what the first gives, named CUT, and those of the model's inputs that it needs; it has the
    model's outputs. The model itself must not be used any more.
    """
    import openvino
    from openvino import opset13

    cut = _cut(model)
    if cut is None:
        return [model]
    given = opset13.parameter(cut.get_partial_shape(), cut.get_element_type(), name=CUT)
    given.output(0).set_names({CUT})
    for reader in cut.get_target_inputs():
        reader.replace_source_output(given.output(0))
    first = openvino.Model([opset13.result(cut)], model.get_parameters(), "first")
    return [first, openvino.Model(model.get_results(), [given, *_needed(model)], "rest")]


def _needed(model: Any) -> list[Any]:
    """The inputs that a model's outputs still depend on."""
    left = [result.input_value(0).get_node() for result in model.get_results()]
    seen = set[str]()
    while left:
        op = left.pop()
        if op.get_name() not in seen:
            seen.add(op.get_name())
            left += [value.get_node() for value in op.input_values()]
    return [parameter for parameter in model.get_parameters() if parameter.get_name() in seen]


def _cut(model: Any) -> Any:
    """The one tensor between FIRST of the layers and the others, right before a layer; None where several cross.

    Inputs, and what is computed from their shapes alone, may cross beside it: both parts have them.
    """
    order = model.get_ordered_ops()
    place = {op.get_name(): number for number, op in enumerate(order)}
    layers = sum(op.get_type_name() in LAYERS for op in order)
    contents = set[str]()  # ops whose values depend on an input's values
    crossing = list[tuple[int, Any]]()  # place of the last reader, tensor
    passed, found = 0, None
    for number, op in enumerate(order):
        kind, sources = op.get_type_name(), [value.get_node() for value in op.input_values()]
        if kind in LAYERS:
            if found is not None:
                return found if passed <= LATEST * layers else None
            passed += 1
        if kind == "Parameter":
            contents.add(op.get_name())
        elif any(s.get_name() in contents and (kind, s.get_type_name()) != ("ShapeOf", "Parameter") for s in sources):
            contents.add(op.get_name())
            crossing += [(_last_reader(output, place), output) for output in op.outputs()]
        crossing = [(last, output) for last, output in crossing if last > number]
        if passed >= FIRST * layers and len(crossing) == 1:
            found = crossing[0][1]
    return None


def _last_reader(output: Any, place: dict[str, int]) -> int:
    """Where the last op stands that reads a tensor; the model's outputs stand after all."""
    readers = [reader.get_node() for reader in output.get_target_inputs()]
    return max((len(place) if op.get_type_name() == "Result" else place[op.get_name()] for op in readers), default=-1)
