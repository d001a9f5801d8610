"""One exported tower, ready to run: by ONNX Runtime or by OpenVINO. No torch.

Only the standard operators run: neither library is given anything to load beside the file.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import CheckpointError
from crossmodal.inference.backends.openvino_bf16 import CUT, split
from crossmodal.inference.backends.towers import cores

__all__ = ["OnnxSession", "OpenvinoSession", "Session"]


class Session(Protocol):
    """Arrays in by name, arrays out by name."""

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """The named outputs, in that order."""


class OnnxSession:
    """A tower run by ONNX Runtime on the CPU.

    path: an .onnx file.
    lanes: how many threads may run it at once, sharing the cores.

    Raises CheckpointError if the file is no graph it can run.
    """

    def __init__(self, path: Path, lanes: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = max(1, cores() // lanes)
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # or a search waits for its core
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no common ancestor but Exception
            raise CheckpointError(f"{path} cannot be run by ONNX Runtime: {error}") from error

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """The named outputs, in that order."""
        return [np.asarray(values, dtype=np.float32) for values in self._session.run(list(outputs), dict(inputs))]


class OpenvinoSession:
    """A tower run by OpenVINO on the CPU.

    path: an .onnx file.
    hints: what it computes in, "f32" or "bf16"; of two, the first is for its first layers, see `split`.
    lanes: how many threads may run it at once, sharing the cores.

    Raises CheckpointError if the file is no graph it can run.
    """

    def __init__(self, path: Path, hints: Sequence[str], lanes: int = 1) -> None:
        import openvino

        settings: dict[str, Any] = {"INFERENCE_NUM_THREADS": cores(), "NUM_STREAMS": lanes}
        if lanes > 1:
            settings["ENABLE_CPU_PINNING"] = False  # a pinned thread would wait while another decodes on its core
        try:
            core = openvino.Core()
            model = core.read_model(str(path))
            parts = split(model) if len(hints) > 1 else [model]
            self._compiled = [
                core.compile_model(part, "CPU", settings | {"INFERENCE_PRECISION_HINT": hint})
                for part, hint in zip(parts, hints[-len(parts) :], strict=True)
            ]
            self._requests = threading.local()
        except Exception as error:  # its errors have no common ancestor but Exception
            raise CheckpointError(f"{path} cannot be run by OpenVINO: {error}") from error

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """The named outputs, in that order."""
        given, found = dict(inputs), dict[Any, Any]()
        for part, request in zip(self._compiled, self._own_requests(), strict=True):
            wanted = {value.any_name for value in part.inputs}
            taken = {name: values for name, values in given.items() if name in wanted}
            found = request.infer(taken, share_inputs=True, share_outputs=True)
            given[CUT] = found[0]
        return [np.array(found[name], dtype=np.float32) for name in outputs]  # a copy: the request's own is overwritten

    def _own_requests(self) -> list[Any]:
        """The calling thread's own, one for each part: one thread at a time may use them."""
        if not hasattr(self._requests, "own"):
            self._requests.own = [part.create_infer_request() for part in self._compiled]
        own: list[Any] = self._requests.own
        return own
