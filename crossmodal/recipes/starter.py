"""The shipped checkpoint: MobileNetV2 + MiniLM-L6 on Flickr8k photos and generated scenes together.

Command:  python training_script.py --recipe starter --images Images --captions captions.txt --splits .
          --image-weights mobilenet_v2_imagenet.safetensors --text-model all-MiniLM-L6-v2
Time, expected: see the model card in model-checkpoints/starter.
"""

from __future__ import annotations

from dataclasses import replace

from crossmodal.recipes.base import HEADS, Phase, Recipe

TERMS = """\
- Photos and captions: Flickr8k (Hodosh, Young and Hockenmaier 2013), training split, squashed to 224×224. Flickr8k is
  for research and teaching use only, and so is this checkpoint; no photo is in it.
- Generated pictures and captions: `crossmodal/data/scenes.py`, training split, MIT like the code.
- Image tower started from an ImageNet-pretrained MobileNetV2 (Apache-2.0, recovered from a quantised release).
- Text tower started from sentence-transformers' all-MiniLM-L6-v2 (Apache-2.0). Its model card lists Flickr30k captions
  among its training text, and Flickr30k shares most photos with Flickr8k: the text tower has seen sentences like those
  it is judged on, though no pictures."""


def starter() -> Recipe:
    """Heads on cached features, then both towers end to end with averaged weights.

    The first four of the image tower's 19 stages stay as ImageNet made them: half the time of a step, and edges and
    colours are what they already see.
    """
    finetune = Phase(
        "finetune",
        epochs=15,
        batch_size=64,
        image_lr=1e-4,
        text_lr=5e-5,
        head_lr=5e-4,
        weight_decay=0.05,
        image_dropout=0.2,
        text_dropout=0.2,
        smallest_crop=0.5,
        jitter=0.1,
        freeze_image_stages=4,
        freeze_word_embeddings=True,
        average=0.998,
    )
    return Recipe(
        name="starter",
        summary="MobileNetV2 + MiniLM-L6 on photos and generated scenes together; the shipped checkpoint",
        time="70 minutes on 2 cores",
        expected="see model-checkpoints/starter/README.md",
        image_backbone="mobilenet_v2",
        text_model="sentence-transformers/all-MiniLM-L6-v2",
        dimension=1024,
        scenes=3000,
        scene_share=0.35,
        half=True,
        terms=TERMS,
        phases=(replace(HEADS, image_dropout=0.3, text_dropout=0.3), finetune),
    )
