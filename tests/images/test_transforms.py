from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from crossmodal.errors import InputError
from crossmodal.images.transforms import ImageTransform, as_drawn, as_seen, augment


def stripes(width: int, height: int) -> Image.Image:
    """Left half red, right half blue."""
    array = np.zeros((height, width, 3), np.uint8)
    array[:, : width // 2, 0] = 255
    array[:, width // 2 :, 2] = 255
    return Image.fromarray(array)


def test_a_picture_of_the_right_size_is_untouched():
    image = stripes(224, 224)
    assert np.array_equal(ImageTransform().pixels(image), np.asarray(image).transpose(2, 0, 1))


def test_squash_keeps_both_sides_and_crop_keeps_the_middle():
    wide = stripes(400, 100)
    wide.paste((0, 255, 0), (0, 0, 100, 100))  # a green left end, which a centre crop cuts off
    squashed, cropped = ImageTransform(64).pixels(wide), ImageTransform(64, fit="crop").pixels(wide)
    assert squashed.shape == cropped.shape == (3, 64, 64)
    assert squashed[1].max() > 200
    assert cropped[1].max() < 60
    assert cropped[0, :, :20].min() > 200


def test_resizing_agrees_with_pillow_within_a_grey_level():
    noise = np.random.default_rng(0).integers(0, 256, (375, 500, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    ours = ImageTransform(224).pixels(image).astype(int)
    theirs = np.asarray(image.resize((224, 224), Image.Resampling.BICUBIC)).transpose(2, 0, 1).astype(int)
    assert np.abs(ours - theirs).mean() <= 1.0


def test_normalising_centres_the_imagenet_mean():
    grey = torch.full((1, 3, 2, 2), 0.0)
    values = ImageTransform().normalise(grey)
    assert values[0, :, 0, 0].tolist() == pytest.approx([-2.1179, -2.0357, -1.8044], abs=1e-3)


def test_a_transform_survives_json():
    transform = ImageTransform(96, "crop", std=(0.5, 0.5, 0.5))
    assert ImageTransform.from_dict(transform.as_dict()) == transform
    assert "interpolation" not in transform.as_dict()  # indexes from before there was a choice stay valid
    bilinear = ImageTransform(interpolation="bilinear")
    assert ImageTransform.from_dict(bilinear.as_dict()) == bilinear


@pytest.mark.parametrize(
    ("values", "message"),
    [({"fit": "stretch"}, "stretch"), ({"size": 0}, "at least 1"), ({"interpolation": "nearest"}, "nearest")],
)
def test_impossible_transforms_are_refused(values: dict, message: str):
    with pytest.raises(InputError, match=message):
        ImageTransform(**values)


def test_augmentation_repeats_with_its_seed_and_differs_without():
    pixels = torch.from_numpy(np.stack([ImageTransform(32).pixels(stripes(32, 32))] * 4))

    def drawn(seed: int) -> torch.Tensor:
        return augment(pixels, torch.Generator().manual_seed(seed), jitter=0.2)

    assert torch.equal(drawn(3), drawn(3))
    assert not torch.equal(drawn(3), drawn(4))


def test_without_mirror_left_stays_left():
    pixels = torch.from_numpy(np.stack([ImageTransform(32).pixels(stripes(32, 32))] * 64))
    generator = torch.Generator().manual_seed(0)
    kept = augment(pixels, generator, smallest=0.9, flip=False)
    assert bool((kept[:, 0, :, 0] > kept[:, 2, :, 0]).all())
    mirrored = augment(pixels, generator, smallest=0.9, flip=True)
    reds = (mirrored[:, 0, :, 0] > mirrored[:, 2, :, 0]).all(1).sum()
    assert 15 < int(reds) < 49


def test_no_crop_no_flip_no_jitter_changes_nothing():
    pixels = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    assert torch.equal(augment(pixels, torch.Generator(), 1.0, flip=False), pixels.float())


def test_a_whole_picture_is_mirrored_and_never_cut():
    picture = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 3, 8, 8), dtype=np.uint8))
    seen = augment(picture.expand(40, -1, -1, -1), torch.Generator().manual_seed(0), smallest=1.0, flip=True)
    plain, mirrored = picture[0].float(), picture[0].flip(-1).float()
    kinds = [torch.allclose(one, plain, atol=1e-2) + 2 * torch.allclose(one, mirrored, atol=1e-2) for one in seen]
    assert set(kinds) == {1, 2}


def test_a_crop_of_nothing_is_refused():
    with pytest.raises(InputError, match=r"\(0, 1\]"):
        augment(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.Generator(), smallest=0.0)


@pytest.mark.parametrize(
    ("value_range", "black", "white"),
    [
        ("unit", [0, 0, 0], [1, 1, 1]),
        ("symmetric", [-1, -1, -1], [1, 1, 1]),
        ("imagenet", None, [2.2489, 2.4286, 2.64]),
    ],
)
def test_pixels_become_values_in_the_range_named(value_range: str, black: list[float] | None, white: list[float]):
    transform = ImageTransform.in_range(28, value_range)
    assert (transform.size, transform.fit) == (28, "squash")
    values = transform.normalise(torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 1, 1))
    assert values[1].flatten().tolist() == pytest.approx(white, abs=1e-3)
    assert black is None or values[0].flatten().tolist() == pytest.approx(black)


def test_an_unknown_range_lists_those_there_are():
    with pytest.raises(InputError, match="one of imagenet, symmetric, unit, not 'grey'"):
        ImageTransform.in_range(28, "grey")


def tilt(picture: torch.Tensor) -> float:
    """Degrees between the longest extent of what is bright in (S, S) and upright."""
    weights = picture.clamp(min=0).flatten()
    places = torch.cartesian_prod(torch.arange(len(picture)), torch.arange(len(picture))).double()
    places = places - (weights[:, None] * places).sum(0) / weights.sum()
    spread = (weights[:, None, None] * places[:, :, None] * places[:, None, :]).sum(0)
    return float(0.5 * torch.atan2(2 * spread[0, 1], spread[0, 0] - spread[1, 1]).rad2deg())


def test_turning_is_either_way_up_to_its_angle():
    picture = torch.zeros(1, 3, 41, 41, dtype=torch.uint8)
    picture[:, :, 8:33, 19:22] = 255  # an upright bar
    turned = augment(
        picture.repeat(60, 1, 1, 1), torch.Generator().manual_seed(0), flip=False, smallest=1.0, rotation=30
    )
    angles = [tilt(values[0].double()) for values in turned]
    assert -31 < min(angles) < -20
    assert 20 < max(angles) < 31
    assert sum(abs(angle) < 15 for angle in angles) > 15
    assert abs(tilt(picture[0, 0].double())) < 1e-6


def test_a_decoder_draws_grey_of_28_pixels():
    colours = torch.tensor([[255.0, 0, 0], [51, 102, 153]]).view(2, 3, 1, 1)
    for size in (28, 64):
        drawn = as_drawn(colours.expand(2, 3, size, size))
        assert drawn.shape == (2, 1, 28, 28)
        assert drawn[:, 0, 3, 5].tolist() == pytest.approx([1 / 3, 0.4])
    every_third = ((torch.arange(84) % 3 == 1) * 255.0).expand(1, 3, 84, 84)
    assert as_drawn(every_third).mean().item() == pytest.approx(1 / 3, abs=0.02)  # averaged, not picked


def test_what_was_drawn_is_seen_as_a_picture_again():
    greys = torch.randint(1, 256, (2, 1, 28, 28), generator=torch.Generator().manual_seed(0))
    seen = as_seen((greys - 0.4) / 255, 28)  # to the nearest grey
    assert seen.dtype == torch.uint8
    assert torch.equal(seen, greys.to(torch.uint8).expand(2, 3, 28, 28))
    assert torch.allclose(as_drawn(seen), greys / 255, atol=1e-6)
    edges = torch.zeros(1, 1, 28, 28)
    edges[..., 14:] = 1.0
    large = as_seen(edges, 64)  # bicubic shoots past both ends, which must not wrap around
    assert large.shape == (1, 3, 64, 64)
    assert int(large[..., :31].max()) < 30
    assert int(large[..., 33:].min()) > 225
