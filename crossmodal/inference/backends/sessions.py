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
from crossmodal.inference.backends.towers import cores

__all__ = ["OnnxSession", "OpenvinoSession", "Session"]


class Session(Protocol):
    """Arrays in by name, arrays out by name."""

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """The named outputs, in that order."""


class OnnxSession:
    """A tower run by ONNX Runtime on the CPU. lanes: how many threads may run it at once, sharing the cores.

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
    """A tower run by OpenVINO on the CPU. hint: what it computes in, "f32" or "bf16". lanes: as `OnnxSession`.

    Raises CheckpointError if the file is no graph it can run.
    """

    def __init__(self, path: Path, hint: str, lanes: int = 1) -> None:
        import openvino

        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": hint,
            "INFERENCE_NUM_THREADS": cores(),
            "NUM_STREAMS": lanes,
        }
        if lanes > 1:
            settings["ENABLE_CPU_PINNING"] = False  # a pinned thread would wait while another decodes on its core
        try:
            self._compiled = openvino.Core().compile_model(str(path), "CPU", settings)
            self._requests = threading.local()
        except Exception as error:  # its errors have no common ancestor but Exception
            raise CheckpointError(f"{path} cannot be run by OpenVINO: {error}") from error

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """The named outputs, in that order."""
        found = self._request().infer(dict(inputs))
        return [np.array(found[name], dtype=np.float32) for name in outputs]

    def _request(self) -> Any:
        """The calling thread's own: one at a time may use it."""
        if not hasattr(self._requests, "own"):
            self._requests.own = self._compiled.create_infer_request()
        return self._requests.own
