"""bf16 by OpenVINO: whether this processor computes in it."""

from __future__ import annotations

__all__ = ["NO_BF16", "computes_bf16"]

NO_BF16 = (
    "this processor does not compute in bf16 (OpenVINO would compute in fp32 and not say so): take fp32, which is as "
    "fast here, by `--precision fp32` or CROSSMODAL_RUNTIME=onnx-fp32"
)


def computes_bf16() -> bool:
    """Whether OpenVINO computes in bf16 on this processor."""
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
