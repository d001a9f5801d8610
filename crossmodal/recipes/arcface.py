"""Similar pictures, and what a vector looks like: ArcFace on labelled pictures, then a decoder, then both.

Command:  python training_script.py --recipe arcface --root mnist
          Other pictures: --data fashion_mnist, kmnist, emnist, cifar10, cifar100, svhn, stl10 or folder;
          --image-size 32 for pictures with more in them than a digit; few pictures need more epochs. Class folders of
          CIFAR-10: --data folder --root cifar10_folders --mirror --image-size 32 --epochs 60,10,5
Time:     15 minutes on one core, and some more for the softmax classifier.
Expected: MNIST test: accuracy without margin ≥ 99 % (seen: 99.5), cosine between the vectors of a picture and of its
          reconstruction ≥ 0.95 (seen: 0.996); precision@10 of similar pictures stands beside that of the same tower
          trained as a softmax classifier in the same run.
"""

from __future__ import annotations

from dataclasses import replace

from crossmodal.recipes.base import Phase, Recipe


def arcface() -> Recipe:
    """Phase 1 ends at its accuracy; phase 2 leaves the encoder alone; phase 3 leaves centres and batch norms alone.

    After phase 1 all vectors of a class are nearly one, so phase 2 can draw no more than a mean digit. The weight of
    the reconstruction in phase 3 makes room in the vector for how this one was written.
    """
    classify = Phase(
        "classify",
        epochs=6,
        batch_size=128,
        image_lr=2e-3,
        text_lr=2e-3,
        head_lr=2e-3,
        weight_decay=0.05,
        gradient_clip=5.0,
        smallest_crop=0.8,
        rotation=10.0,
        image_dropout=0.0,
        freeze_batch_norm=False,
        until=99.4,
    )
    decode = replace(
        classify, name="decode", epochs=2, image_lr=0.0, text_lr=0.0, head_lr=0.0, decoder_lr=2e-3, until=0.0,
        vectors=0.0, reconstruction=1.0,
    )  # fmt: skip
    both = replace(
        classify, name="both", epochs=4, image_lr=1e-3, text_lr=0.0, head_lr=1e-3, decoder_lr=2e-3, until=0.0,
        freeze_batch_norm=True, reconstruction=200.0, smallest_crop=1.0, rotation=0.0,
    )  # fmt: skip
    return Recipe(
        name="arcface",
        summary="a small ResNet with class centres, 128 dimensions, and a decoder that draws vectors",
        time="15 minutes on one core",
        expected="MNIST: accuracy ≥ 99 %, reconstruction cosine ≥ 0.95",
        loss="arcface",
        loss_options={"margin": 28.6, "scale": 30.0},
        image_backbone="small_resnet",
        image_weights="none",
        text_model="labels",
        dimension=128,
        image_size=28,
        value_range="symmetric",
        photos=False,
        labelled="mnist",
        balanced=True,
        judged_by="classes",
        decoder=True,
        rival="softmax",
        phases=(classify, decode, both),
    )
