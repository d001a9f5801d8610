"""Register our EfficientNet-B0 with open_clip, so that clip-retrieval finds it. Runs in clip-retrieval's environment.

    python open_clip_model.py WEIGHTS FOLDER    writes FOLDER/crossmodal-b0.json and crossmodal-b0.pt from our weights

open_clip has no EfficientNet among its models; a model of it is a JSON file that names a network of timm's. timm's
EfficientNet-B0 holds the same tensors as torchvision's in the same order. The text tower is a small random one.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

NAME = "crossmodal-b0"


def config(dimension: int) -> dict[str, Any]:
    """The model's file for open_clip."""
    vision = {
        "timm_model_name": "efficientnet_b0", "timm_model_pretrained": False, "timm_pool": "avg",
        "timm_proj": "linear", "timm_proj_bias": True, "timm_drop": 0.0, "timm_drop_path": 0.0, "image_size": 224,
    }  # fmt: skip
    text = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1}
    return {"embed_dim": dimension, "vision_cfg": vision, "text_cfg": text, "custom_text": True}


def write_model(weights: Path, folder: Path) -> None:
    """Write both files. weights: as benchmarks/indexing_speed.py saves them."""
    torch: Any = import_module("torch")
    open_clip: Any = import_module("open_clip")
    ours = torch.load(weights, weights_only=True)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{NAME}.json"
    file.write_text(json.dumps(config(len(ours["bias"]))))
    open_clip.add_model_config(file)
    torch.manual_seed(0)
    model = open_clip.create_model(NAME)
    tensors = list(ours["features"].values())
    names = list(model.visual.trunk.state_dict())
    if len(names) != len(tensors):
        raise SystemExit(f"timm's network has {len(names)} tensors, torchvision's {len(tensors)}")
    model.visual.trunk.load_state_dict(dict(zip(names, tensors, strict=True)))
    model.visual.head.load_state_dict({"proj.weight": ours["weight"], "proj.bias": ours["bias"]})
    torch.save(model.state_dict(), folder / f"{NAME}.pt")


if __name__ == "__main__":
    write_model(Path(sys.argv[1]), Path(sys.argv[2]))
