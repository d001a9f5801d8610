"""clip-retrieval's own command, with our model registered. Runs in its environment.

    python clip_retrieval_command.py FOLDER inference --clip_model open_clip:crossmodal-b0/FOLDER/crossmodal-b0.pt …

FOLDER is what open_clip_model.py wrote. One thing is corrected: clip-retrieval leaves a model in training mode, where
batch norm takes its statistics from the batch, so that a picture's vector depends on its neighbours.
CROSSMODAL_AS_IT_IS=1 leaves that as it is. Everything else is its own code.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any


def register(folder: Path) -> None:
    """Make the model known, and let it be loaded for inference."""
    open_clip: Any = import_module("open_clip")
    loaders: Any = import_module("all_clip.main")._CLIP_REGISTRY
    open_clip.add_model_config(folder)
    load = loaders["open_clip:"]

    def load_for_inference(*arguments: Any, **options: Any) -> Any:
        model, preprocess, tokenizer = load(*arguments, **options)
        return model.eval(), preprocess, tokenizer

    if not os.environ.get("CROSSMODAL_AS_IT_IS"):
        loaders["open_clip:"] = load_for_inference


if __name__ == "__main__":
    register(Path(sys.argv.pop(1)))
    import_module("clip_retrieval.cli").main()
