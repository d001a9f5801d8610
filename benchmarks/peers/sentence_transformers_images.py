"""sentence-transformers' encode loop over our EfficientNet-B0. Runs in its environment.

    python sentence_transformers_images.py WEIGHTS PICTURES OUT --batch 32

Its own picture models (CLIP and the like) come from a hub; here the same EfficientNet-B0 is its input module, with
open_clip's transform, and everything else is `SentenceTransformer.encode`. Files are opened as a batch is prepared.
"""

from __future__ import annotations

import argparse
import json
import time
from importlib import import_module
from pathlib import Path
from typing import Any


def picture_model(weights: Path) -> Any:
    """A SentenceTransformer that takes paths of pictures."""
    torch: Any = import_module("torch")
    image: Any = import_module("PIL.Image")
    library: Any = import_module("sentence_transformers")
    naive: Any = import_module("naive_images")
    base: Any = import_module("sentence_transformers.base.modules").InputModule

    class Network(base):  # type: ignore[misc]
        """The module that reads pictures and runs the network."""

        def __init__(self) -> None:
            super().__init__()
            self.network, self.transform = naive.load_network(weights), naive.transform()

        def preprocess(self, inputs: Any, prompt: Any = None, **_: Any) -> dict[str, Any]:
            """Paths → normalised pixels."""
            del prompt
            return {"pixels": torch.stack([self.transform(image.open(path).convert("RGB")) for path in inputs])}

        def forward(self, features: dict[str, Any], **_: Any) -> dict[str, Any]:
            """Pixels → vectors."""
            features["sentence_embedding"] = self.network(features["pixels"])
            return features

        def save(self, *_: Any, **__: Any) -> None:
            """Never saved."""

    return library.SentenceTransformer(modules=[Network()], device="cpu")


def main() -> None:
    """Encode a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("weights", "pictures", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--batch", type=int, default=32)
    options = parser.parse_args()
    model = picture_model(options.weights)
    started = time.perf_counter()
    paths = [str(path) for path in sorted(options.pictures.iterdir())]
    vectors = model.encode(paths, batch_size=options.batch, normalize_embeddings=True, show_progress_bar=False)
    import_module("numpy").save(options.out, vectors)
    print(json.dumps({"seconds": time.perf_counter() - started, "count": len(vectors)}))


if __name__ == "__main__":
    main()
