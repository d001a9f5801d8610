"""The model's three classes in one place, and a table of towers: `python model.py` prints it.

Embeddings are float32 (N, D), unit length; a score is the cosine of a picture's and a sentence's.
"""

from __future__ import annotations

from crossmodal.models.dual import CrossModalModel
from crossmodal.models.encoders import DEFAULT_TEXT_MODEL, ImageEncoder, TextEncoder

__all__ = ["CrossModalModel", "ImageEncoder", "TextEncoder"]

BACKBONES = (
    *("efficientnet_b0", "mobilenet_v2", "densenet201", "resnet50", "convnext_tiny", "vit_b_16"),
    "timm/tf_efficientnet_lite2",
)


def main() -> None:
    """Print name, pooled width, feature map and weights of some image towers, read off the networks themselves."""
    import torch

    print(f"{'image backbone':<28}{'pooled width':>14}{'feature map':>16}{'weights (millions)':>20}")
    for name in BACKBONES:
        tower = ImageEncoder(name).eval()
        if tower.backbone.has_map:
            with torch.no_grad():
                shape = "×".join(map(str, tower.backbone.stages(torch.zeros(1, 3, 224, 224)).shape[1:]))
        else:
            shape = "none"
        millions = sum(parameter.numel() for parameter in tower.backbone.parameters()) / 1e6
        print(f"{name:<28}{tower.backbone.width:>14}{shape:>16}{millions:>20.1f}")
    print(f"\ntext tower: any Hugging Face encoder, {DEFAULT_TEXT_MODEL} unless said otherwise; masked mean or [CLS]")


if __name__ == "__main__":
    main()
