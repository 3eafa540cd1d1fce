"""Augmentation: identity at zero, own draw per image, deterministic."""

import dataclasses

import torch

from trcgl.classifier.training.augment import Augmentation

NOTHING = Augmentation(flip=0, rotate_degrees=0, shift=0, scale=0, contrast=0, noise=0)
ALL = Augmentation(flip=0.5, rotate_degrees=10, shift=0.1, scale=0.1, contrast=0.2, noise=0.1)
IMAGES = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0)).repeat(8, 1, 1, 1)


def test_zeros_change_nothing():
    assert (NOTHING(IMAGES, 1) - IMAGES).abs().max() < 1e-6


def test_every_image_has_its_own_draw_and_a_seed_repeats_it():
    found = ALL(IMAGES, 1)
    assert len({tuple(image.flatten().tolist()) for image in found}) == len(IMAGES)
    assert (found == ALL(IMAGES, 1)).all()
    assert (found != ALL(IMAGES, 2)).any()
    assert found.min() >= 0
    assert found.max() <= 1


def test_a_part_of_a_batch_is_augmented_as_in_the_whole():
    whole = ALL(IMAGES, 1)
    assert (ALL(IMAGES[3:7], 1, first=3, of=len(IMAGES)) == whole[3:7]).all()
    assert (ALL(IMAGES[3:7], 1) != whole[3:7]).any()


def test_flip_mirrors_the_whole_picture():
    found = dataclasses.replace(NOTHING, flip=1.0)(IMAGES, 3)
    assert (found - IMAGES.flip(3)).abs().max() < 1e-5


def test_ranges_are_bounds():
    spot = torch.zeros(256, 1, 20, 20)
    spot[:, :, 9:11, 9:11] = 1
    columns = torch.arange(20.0)
    shifted = dataclasses.replace(NOTHING, shift=0.1)(spot, 0)
    centre = (shifted.sum((1, 2)) * columns).sum(1) / shifted.sum((1, 2, 3))
    assert 1.5 < (centre - 9.5).abs().max() <= 2.01
    grown = dataclasses.replace(NOTHING, scale=0.5)(spot, 0).sum((1, 2, 3)) / 4
    assert 1.8 < grown.max() < 2.4  # 1.5 squared
    contrast = dataclasses.replace(NOTHING, contrast=0.2)(IMAGES * 0.4 + 0.3, 0).std((1, 2, 3))
    ratio = contrast / (IMAGES * 0.4 + 0.3).std((1, 2, 3))
    assert ratio.min() >= 0.8 - 1e-4
    assert ratio.max() <= 1.2 + 1e-4


def test_rotation_and_noise_have_the_ranges_they_are_given():
    spot, at = torch.zeros(256, 1, 41, 41), torch.arange(41.0) - 20
    spot[:, :, 19:22, 34:37] = 1
    turned = dataclasses.replace(NOTHING, rotate_degrees=30.0)(spot, 0)
    rows, columns = ((turned.sum(axes) * at).sum(1) for axes in ((1, 3), (1, 2)))
    angles = torch.rad2deg(torch.atan2(rows, columns))
    assert 28 < angles.abs().max() <= 30.5
    assert angles.min() < -20 < 20 < angles.max()
    noisy = dataclasses.replace(NOTHING, noise=0.1)(torch.full((256, 1, 32, 32), 0.5), 0)
    assert 0.09 < noisy.std((1, 2, 3)).max() < 0.11
    assert noisy.std((1, 2, 3)).min() < 0.02
