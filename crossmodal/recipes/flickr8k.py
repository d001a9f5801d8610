"""DenseNet201 + BERT's [CLS], 256 dimensions, fixed temperature 0.05, every weight trained.

Command:  python training_script.py --recipe flickr8k --images Images --captions captions.txt --splits .
Time:     about 5 minutes an epoch on one GPU; DenseNet201 is too slow for a CPU: put another tower in its place
          (--image-backbone, --image-weights, --text-model), or train the heads alone (--heads-only).
Expected: with --heads-only on MobileNetV2 + MiniLM-L6 a dev rsum of 255. The system it follows never reported
          recall.
"""

from __future__ import annotations

from crossmodal.recipes.base import Phase, Recipe


def flickr8k() -> Recipe:
    """One phase at a single learning rate, as the system it follows."""
    phase = Phase("train", epochs=5, batch_size=32, image_lr=1e-4, text_lr=1e-4, head_lr=1e-4, weight_decay=0.0)
    return Recipe(
        name="flickr8k",
        summary="DenseNet201 + BERT [CLS], 256 dimensions, fixed temperature; --heads-only for a minute on a CPU",
        expected="heads only, MobileNetV2 + MiniLM-L6: dev rsum ≥ 255",
        image_backbone="densenet201",
        text_model="bert-base-uncased",
        pooling="cls",
        dimension=256,
        temperature=0.05,
        learn_temperature=False,
        max_length=32,
        phases=(phase,),
    )
