"""The loop a newcomer writes: torchvision transforms, a DataLoader, an eager model.

    python naive_images.py WEIGHTS PICTURES OUT --batch 32 --workers 2

Preprocessing is open_clip's.
"""

from __future__ import annotations

import argparse
import json
import time
from importlib import import_module
from pathlib import Path
from typing import Any

SIDE = 224
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def load_network(weights: Path) -> Any:
    """Our EfficientNet-B0 as torchvision has it, with the projection as its classifier."""
    torch: Any = import_module("torch")
    ours = torch.load(weights, weights_only=True)
    network = import_module("torchvision.models").efficientnet_b0()
    network.features.load_state_dict(ours["features"])
    network.classifier = torch.nn.Linear(ours["weight"].shape[1], ours["weight"].shape[0])
    network.classifier.load_state_dict({"weight": ours["weight"], "bias": ours["bias"]})
    return network.eval()


def transform() -> Any:
    """open_clip's way from a picture to numbers."""
    names: Any = import_module("torchvision.transforms")
    return names.Compose(
        [
            names.Resize(SIDE, interpolation=names.InterpolationMode.BICUBIC),
            names.CenterCrop(SIDE),
            names.ToTensor(),
            names.Normalize(MEAN, STD),
        ]
    )


class Pictures:
    """A data set of files in the order of their names."""

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(folder.iterdir())
        self.transform = transform()

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> Any:
        image: Any = import_module("PIL.Image")
        return self.transform(image.open(self.paths[row]).convert("RGB"))


def main() -> None:
    """Encode a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("weights", "pictures", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    torch: Any = import_module("torch")
    network, pictures = load_network(options.weights), Pictures(options.pictures)
    loader = import_module("torch.utils.data").DataLoader(pictures, options.batch, num_workers=options.workers)
    started = time.perf_counter()
    with torch.no_grad():
        vectors = torch.cat([network(batch) for batch in loader])
    vectors /= vectors.norm(dim=-1, keepdim=True)
    import_module("numpy").save(options.out, vectors.numpy())
    print(json.dumps({"seconds": time.perf_counter() - started, "count": len(vectors)}))


if __name__ == "__main__":
    main()
