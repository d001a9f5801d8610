"""The network that everyone runs: EfficientNet-B0 with 1,024 numbers a picture, untrained, as a checkpoint of ours.

Beside the checkpoint lies `weights.pt`, the image tower as tensors in the network's order, which the peers load.
Weights are random, the statistics of batch norm those of generated scenes; speed does not depend on what was learnt.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from crossmodal.errors import CheckpointError
from crossmodal.inference.backends.export_files import read_export
from crossmodal.models.checkpoint_files import fingerprint

__all__ = ["WEIGHTS", "exported", "make_network"]

WEIGHTS = "weights.pt"
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # open_clip's
SCENES = 64  # pictures that batch norm sees


def make_network(folder: Path, backbone: str = "efficientnet_b0", dimension: int = 1024, size: int = 224) -> Path:
    """Write checkpoint and weights into folder, unless they are there; returns the folder."""
    if (folder / "model.safetensors").is_file() and (folder / WEIGHTS).is_file():
        return folder
    import torch

    from crossmodal.images.transforms import ImageTransform
    from crossmodal.models.checkpoint import model_config, save_checkpoint
    from crossmodal.models.dual import CrossModalModel
    from crossmodal.models.encoders import ImageEncoder, TextEncoder, tiny_text_config
    from crossmodal.models.tokenizer import TextTokenizer
    from crossmodal.scenes.scene import describe_scene, draw_scene, make_scenes

    torch.manual_seed(0)
    scenes = make_scenes(SCENES, 0, "test")
    tokenizer = TextTokenizer.of_words([caption for scene in scenes for caption in describe_scene(scene)], 64)
    text = TextEncoder(dimension=dimension, config=tiny_text_config(tokenizer.vocabulary_size))
    model = CrossModalModel(ImageEncoder(backbone, dimension), text)
    transform = ImageTransform(size, "crop", MEAN, STD)
    for module in model.image.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # plain averages
    with torch.no_grad():
        pixels = [torch.from_numpy(transform.pixels(draw_scene(scene))) for scene in scenes]
        model.train().image(transform.normalise(torch.stack(pixels)))
    config = model_config(model.eval(), backbone, tokenizer, transform, about={"recipe": "none: random weights"})
    save_checkpoint(folder, model.state_dict(), tokenizer, config)
    head = model.image.projection.state_dict()
    torch.save({"features": model.image.backbone.stages.state_dict(), **head}, folder / WEIGHTS)
    return folder


def exported(checkpoint: Path, precisions: Sequence[str]) -> tuple[str, ...]:
    """Export what is not exported yet by today's exporter; returns the precisions that passed their check."""
    if not precisions:
        return ()
    from crossmodal.inference.export import export_checkpoint

    stamp, today = checkpoint / "exporter.sha256", _exporter()
    try:
        export = read_export(checkpoint, fingerprint(checkpoint))
        written = stamp.read_text() if stamp.is_file() else ""
        if set(precisions) - set(export.checks) or written != today:
            raise CheckpointError("not all that is wanted was exported, or by another exporter")
    except CheckpointError:
        shutil.rmtree(checkpoint / "exported", ignore_errors=True)
        export = export_checkpoint(checkpoint, precisions, say=lambda _: None)
        stamp.write_text(today)
    return tuple(sorted(export.precisions))


def _exporter() -> str:
    """SHA-256 of the code that exports."""
    sources = (find_spec(f"crossmodal.{name}") for name in ("exporting", "quantising"))
    code = b"".join(Path(source.origin).read_bytes() for source in sources if source and source.origin)
    return hashlib.sha256(code).hexdigest()
