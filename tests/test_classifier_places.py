"""Class maps that learn from known places: the loss, how masks move with their images, and that maps follow."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tests.classifier_cases import CPU, baseline_params, separable
from trcgl.artifacts.places import encode_mask
from trcgl.classifier.network.predict import predict_with_maps
from trcgl.classifier.training.augment import Augmentation
from trcgl.classifier.training.known_places import SIDE, KnownPlaces, PlacesOfBatch, overlaps, read_places
from trcgl.classifier.training.train import train

AUGMENT = Augmentation(flip=0.5, rotate_degrees=10.0, shift=0.1, scale=0.1, contrast=0.0, noise=0.0)


def test_the_loss_is_the_cross_entropy_of_the_map_with_the_share_of_the_mask_in_each_cell():
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(5, 3, 4, 4, generator=generator)
    masks = (torch.rand(4, SIDE, SIDE, generator=generator) < 0.2).float()
    masks[3] = 0  # Moved out of the picture
    places = PlacesOfBatch(torch.tensor([0, 0, 4, 2]), torch.tensor([1, 2, 0, 1]), masks, 0.5)
    expected = 0.0
    for image, column, mask in ((0, 1, masks[0]), (0, 2, masks[1]), (4, 0, masks[2])):
        score = np.exp(maps[image, column].double().numpy() * 16)
        step = SIDE // 4
        share = np.array([[mask[r : r + step, c : c + step].sum() for c in range(0, SIDE, step)]
                          for r in range(0, SIDE, step)])  # fmt: skip
        expected -= (share / share.sum() * np.log(score / score.sum())).sum()
    assert places.loss(maps).item() == pytest.approx(0.5 * expected / 5, rel=1e-4)
    parts = [places.part(start, count).loss(maps[start : start + count]) * count for start, count in ((0, 2), (2, 3))]
    assert sum(part.item() for part in parts) == pytest.approx(places.loss(maps).item() * 5, rel=1e-4)


@pytest.mark.parametrize("cells", [1, 4, 7, 12, 14, 24, 64])
def test_every_part_of_a_mask_belongs_to_the_cell_that_it_lies_in(cells: int):
    """Against a fine grid that pixels and cells both divide."""
    fine = np.repeat(np.eye(SIDE), cells, axis=1)
    expected = np.add.reduceat(fine, np.arange(0, SIDE * cells, SIDE), axis=1).T / cells
    assert overlaps(cells, SIDE).numpy() == pytest.approx(expected)


def test_masks_move_as_their_images_do():
    """Also those of a part of a batch, and of an image that comes twice."""
    masks = torch.zeros(3, SIDE, SIDE)
    masks[0, 10:20, 40:50] = 1
    masks[1, 30:34, 5:25] = 1
    masks[2, 50:60, 20:30] = 1
    batch = np.array([7, 2, 7, 9, 2])
    known = KnownPlaces(np.array([7, 9]), np.array([0, 1]), masks[:2], 1.0)
    images = masks[[0, 2, 0, 1, 2]][:, None]
    moved = AUGMENT(images, 3)
    places = known.of_batch(batch, slice(0, 5), AUGMENT, 3)
    assert places.images.tolist() == [0, 2, 3]
    assert places.columns.tolist() == [0, 0, 1]
    torch.testing.assert_close(places.masks, moved[[0, 2, 3], 0])
    part = known.of_batch(batch, slice(2, 5), AUGMENT, 3)
    assert part.images.tolist() == [0, 1]
    torch.testing.assert_close(part.masks, moved[[2, 3], 0])


def test_a_cell_is_to_show_what_lies_where_it_looks():
    """A cell that looks a quarter down and an eighth to the right, in the augmented picture."""
    mask = torch.zeros(1, SIDE, SIDE)
    mask[0, 30:40, 25:35] = 1
    down, right = SIDE // 4, SIDE // 8
    seen = AUGMENT(mask[:, None], 5)[0, 0]
    moved = AUGMENT.moved(mask, torch.tensor([0]), 5, 1, look=(0.25, 0.125))[0]
    torch.testing.assert_close(moved[: SIDE - down, : SIDE - right], seen[down:, right:], atol=1e-4, rtol=0)


def write_table(path: Path, images: list[str], findings: list[str], masks: np.ndarray) -> None:
    table = {"image": images, "finding": findings, "mask": [encode_mask(mask) for mask in masks]}
    pd.DataFrame(table).to_parquet(path)


def test_places_are_read_as_they_were_written(tmp_path: Path):
    masks = np.zeros((3, 256, 256), bool)
    masks[0, :128], masks[1, :, 64:128], masks[2, 200:, 200:] = True, True, True
    write_table(tmp_path / "places.parquet", ["a", "b", "c"], ["y", "x", "x"], masks)
    names = ["c", "b", "a"]
    places = read_places(tmp_path / "places.parquet", names, np.array([1, 2]), ["x", "y"], 0.5)
    assert places is not None
    assert (places.rows.tolist(), places.columns.tolist(), places.weight) == ([2, 1], [1, 0], 0.5)
    np.testing.assert_array_equal(places.masks[0, :, 0], np.arange(SIDE) < SIDE // 2)
    np.testing.assert_array_equal(places.masks[1, 0], (np.arange(SIDE) >= 16) & (np.arange(SIDE) < 32))
    assert read_places(tmp_path / "places.parquet", names, np.array([0]), ["y"], 0.5) is None


def test_maps_follow_places_that_labels_do_not_give():
    """A finding whose place in a quarter of the images is said to be where nothing of it is to be seen."""
    data = separable()
    rows = data.train[data.targets[data.train, 0] == 1]
    masks = torch.zeros(len(rows), SIDE, SIDE)
    masks[:, SIDE - 16 :, SIDE - 16 :] = 1
    known = KnownPlaces(rows, np.zeros(len(rows), dtype=np.int64), masks, 3.0)
    params = baseline_params(epochs=8, frozen_epochs=0)
    shown = np.array([row for row in data.val if data.targets[row, 0] == 1])
    shares = []
    for places in (None, known):
        model = train(params, replace(data, places=places), CPU).model
        _, maps = predict_with_maps(model, data.images[shown])
        side = maps.shape[-1]
        score = torch.from_numpy(maps[:, 0]).flatten(1).mul(side * side).softmax(1).view(-1, side, side)
        shares.append(score[:, side // 2 :, side // 2 :].sum((1, 2)).mean().item())
    assert shares[1] > shares[0] + 0.1
