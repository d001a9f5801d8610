"""Does this caption belong to this picture? CNN + BiLSTM from random weights, one probability a pair.

Command:  python training_script.py --recipe match --images Images --captions results.csv --splits .
          --mixed-precision bf16
Time:     30 minutes on one core.
Expected: balanced accuracy on dev pairs of Flickr8k ≥ 70 % (seen: 70.8; on hard false captions 58.8).

Every picture of a batch is judged with its own caption and with the others' captions; true and false pairs weigh the
same. It gives a score and no vectors, so it cannot be indexed; it re-orders what a
dual encoder finds (`search --rerank`).
"""

from __future__ import annotations

from crossmodal.recipes.base import Phase, Recipe


def match() -> Recipe:
    """One phase from random weights."""
    phase = Phase(
        "train",
        epochs=30,
        batch_size=64,
        image_lr=1e-3,
        text_lr=1e-3,
        head_lr=1e-3,
        weight_decay=0.05,
        image_dropout=0.2,
        text_dropout=0.2,
        jitter=0.2,
        smallest_crop=0.6,
        freeze_batch_norm=False,
        average=0.995,
    )
    return Recipe(
        name="match",
        summary="six convolution blocks and three BiLSTM layers judge pairs, binary cross-entropy",
        time="30 minutes on one core",
        expected="balanced accuracy on dev pairs ≥ 70 %",
        kind="pair_scorer",
        loss="matching",
        image_backbone="six_conv",
        image_weights="none",
        text_model="bilstm",
        image_size=64,
        value_range="unit",
        max_length=100,
        judged_by="pairs",
        phases=(phase,),
    )
