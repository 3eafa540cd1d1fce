"""Class activation maps lie where the classifier looks, not where the tiles of its cells are."""

import numpy as np
import pytest
import torch

from study.cam_maps import cam_map
from tests.test_evaluation_localisation import Displaced, linear_model


@pytest.mark.parametrize(("down", "right"), [(0.0, 0.0), (4.0, -3.0), (-2.0, 4.0)])
def test_the_map_of_a_backbone_that_looks_beside_its_tiles_is_moved_onto_the_finding(down: float, right: float):
    """A bright spot changes the map most where the spot is."""
    torch.manual_seed(0)
    model = linear_model(image_size=64)
    model.backbone, model.head.classifier = Displaced(down, right), torch.nn.Linear(4, 3)
    at, rows, columns = (37, 28), *np.mgrid[:64, :64]
    film = np.full((64, 64), 60, np.uint8)
    spot = film + np.rint(90 * np.exp(-((rows - at[0]) ** 2 + (columns - at[1]) ** 2) / 8)).astype(np.uint8)
    finding = model.config.class_names[0]
    changes = np.abs(
        cam_map(model, spot, finding, (down / 64, right / 64)) - cam_map(model, film, finding, (down / 64, right / 64))
    )
    weights = np.where(changes > changes.max() / 2, changes, 0)
    middle = [float((axis * weights).sum() / weights.sum()) for axis in (rows, columns)]
    assert middle == pytest.approx(at, abs=1.5)
