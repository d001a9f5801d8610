"""Generated scenes alone: needs no photos and no captions file.

Command:  python training_script.py --recipe scenes --image-backbone mobilenet_v2 --image-weights none --text-model tiny
Time:     about 2 minutes an epoch on 2 cores (an estimate).
Expected: a way to see the whole pipeline run without any data; the starter recipe is the one that is shipped.
"""

from __future__ import annotations

from crossmodal.recipes.base import Phase, Recipe


def scenes() -> Recipe:
    """One phase, both towers; mirrored pictures would make "left of" untrue, so none are."""
    phase = Phase(
        "train", epochs=10, batch_size=64, image_lr=3e-4, text_lr=3e-4, head_lr=1e-3, mirror=False, patience=3
    )
    return Recipe(
        name="scenes",
        summary="generated scenes alone, no photos needed",
        time="2 minutes an epoch on 2 cores, small towers (estimate)",
        expected="no number claimed",
        dimension=256,
        photos=False,
        scenes=4000,
        phases=(phase,),
    )
