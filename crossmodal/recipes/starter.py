"""The shipped checkpoint: EfficientNet-Lite2 + MiniLM-L6 on Flickr8k photos and generated scenes together.

Command:  python training_script.py --recipe starter --images Images --captions captions.txt --splits .
          --image-weights tf_efficientnet_lite2.safetensors --text-model all-MiniLM-L6-v2
Time, expected: see the model card in model-checkpoints/starter.
"""

from __future__ import annotations

from dataclasses import replace

from crossmodal.recipes.base import HEADS, Phase, Recipe

TERMS = """\
- Photos and captions: Flickr8k (Hodosh, Young and Hockenmaier 2013), training split, squashed to 224×224. Flickr8k is
  for research and teaching use only, and so is this checkpoint; no photo is in it.
- Generated pictures and captions: `crossmodal/scenes/scene.py`, training split, MIT like the code.
- Image tower started from an ImageNet-pretrained EfficientNet-Lite2 (Apache-2.0, Google's release in timm's format).
- Text tower started from sentence-transformers' all-MiniLM-L6-v2 (Apache-2.0). Its model card lists Flickr30k captions
  among its training text, and Flickr30k shares most photos with Flickr8k: the text tower has seen sentences like those
  it is judged on, though no pictures."""


def starter() -> Recipe:
    """Heads on cached features, then both towers end to end with averaged weights.

    The first five of the image tower's nine stages stay as ImageNet made them: edges, colours and textures are what
    they already see. So each picture's augmented views go through them once, before the phase, in place of at every
    step; and with 6,000 photos, what cannot be learned by heart generalises better.
    """
    finetune = Phase(
        "finetune",
        epochs=20,
        batch_size=128,
        image_lr=1.5e-4,
        text_lr=7e-5,
        head_lr=5e-4,
        weight_decay=0.05,
        image_dropout=0.3,
        text_dropout=0.3,
        smallest_crop=0.5,
        jitter=0.2,
        freeze_image_stages=5,
        freeze_word_embeddings=True,
        views=12,
        average=0.99,
    )
    return Recipe(
        name="starter",
        summary="EfficientNet-Lite2 + MiniLM-L6 on photos and generated scenes together; the shipped checkpoint",
        time="75 minutes on 2 cores",
        expected="see model-checkpoints/starter/README.md",
        image_backbone="timm/tf_efficientnet_lite2",
        text_model="sentence-transformers/all-MiniLM-L6-v2",
        dimension=1024,
        scenes=3000,
        scene_share=0.5,
        half=True,
        mixed_precision="bf16",
        terms=TERMS,
        phases=(replace(HEADS, image_dropout=0.3, text_dropout=0.3), finetune),
    )
