"""What runs a model's two towers: torch, or ONNX Runtime and OpenVINO on an export, which need no torch."""
