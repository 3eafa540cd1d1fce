"""Places, maps and Grad-CAM against what is written out by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import beta
from torch.nn import functional as F

from tests.classifier_cases import SHARED
from tests.test_classifier_model import build
from trcgl.artifacts.places import FRAME, decode_mask, encode_mask, no_places
from trcgl.classifier.network.model import Classifier, ModelConfig
from trcgl.classifier.network.predict import predict_with_maps
from trcgl.classifier.network.receptive_field import receptive_shift
from trcgl.classifier.network.spread_map import spread_over
from trcgl.evaluation.bootstrap import image_weights
from trcgl.evaluation.grad_cam import class_maps_and_grad_cams
from trcgl.evaluation.localisation import COLUMNS, localisation_table, localise
from trcgl.evaluation.places import Places, find_places, mean_masks, read_lesions
from trcgl.evaluation.pointing import is_hit, judge, otsu_segment, overlap, peak
from trcgl.evaluation.split import EvaluationSet
from trcgl.images.resize import resize_square
from trcgl.places.masks import box_mask, in_frame
from trcgl.runtime.files import write_parquet


def square(top: int, left: int, height: int, width: int, size: int = FRAME) -> np.ndarray:
    mask = np.zeros((size, size), dtype=bool)
    mask[top : top + height, left : left + width] = True
    return mask


def test_a_box_holds_the_pixels_whose_centres_it_holds():
    mask = box_mask(np.array([[2.0, 1.0, 3.0, 2.0]]), 6, 8)
    assert mask.shape == (6, 8)
    np.testing.assert_array_equal(mask, np.pad(np.ones((2, 3), bool), ((1, 3), (2, 3))))
    assert box_mask(np.array([[1.4, 0.4, 1.0, 1.0]]), 4, 4).sum() == 1
    assert box_mask(np.array([[0, 0, 2, 2], [1, 1, 2, 2]]), 4, 4).sum() == 7
    assert not box_mask(np.empty((0, 4)), 4, 4).any()
    # Beyond the edge there is nothing
    assert box_mask(np.array([[-2.0, -2.0, 20.0, 20.0]]), 4, 5).all()


def test_masks_survive_their_file():
    mask = np.random.default_rng(0).random((40, 30)) < 0.3
    np.testing.assert_array_equal(decode_mask(encode_mask(mask)), mask)


@pytest.mark.parametrize("resize", ["pad", "crop"])
@pytest.mark.parametrize("shape", [(200, 120), (120, 200), (256, 256), (512, 1024)])
def test_a_mask_goes_where_its_picture_goes(resize: str, shape: tuple[int, int]):
    """A picture that is bright where the mask is: the network's square is bright where the frame's mask is."""
    mask = np.zeros(shape, dtype=bool)
    mask[shape[0] // 3 : shape[0] // 2, shape[1] // 2 : shape[1] * 3 // 4] = True
    frame = in_frame(mask, resize)
    picture = resize_square(mask.astype(np.uint8) * 255, 64, resize)
    shown = F.avg_pool2d(torch.from_numpy(frame).float()[None, None], FRAME // 64)[0, 0].numpy()
    assert np.abs(shown - picture / 255).mean() < 0.01
    rows, columns = np.nonzero(frame)
    if resize == "pad":
        # By hand: the longer side is the frame, the shorter one is in its middle
        scale = FRAME / max(shape)
        offset = (FRAME - np.array(shape) * scale) / 2
        expected = [shape[0] // 3 * scale + offset[0], shape[1] // 2 * scale + offset[1]]
        assert [rows.min(), columns.min()] == pytest.approx(expected, abs=1)


def test_a_tiny_mask_stays_and_a_cropped_one_goes():
    tiny = np.zeros((2000, 2000), dtype=bool)
    tiny[1000, 1000] = True
    assert in_frame(tiny, "pad").sum() == 1
    edge = np.zeros((100, 300), dtype=bool)
    edge[:, :20] = True
    assert not in_frame(edge, "crop").any()
    assert in_frame(edge, "pad").any()


def test_places_are_those_of_positives():
    lesions = pd.DataFrame(
        [
            ("b", "nodule", encode_mask(square(0, 0, 10, 10))),
            ("b", "nodule", encode_mask(square(50, 0, 10, 10))),
            ("a", "mass", encode_mask(square(5, 5, 2, 2))),
            ("a", "nodule", encode_mask(square(0, 0, 5, 5))),
            ("other", "mass", encode_mask(square(0, 0, 5, 5))),
            ("b", "unheard of", encode_mask(square(0, 0, 5, 5))),
        ],
        columns=["image", "finding", "mask"],
    )
    labels = np.array([[1, 0], [np.nan, 1]])
    found = find_places(lesions, ["a", "b"], labels, ["mass", "nodule"], "pad")
    assert found.rows.tolist() == [0, 1]
    assert found.columns.tolist() == [0, 1]
    np.testing.assert_array_equal(found.masks[1], square(0, 0, 10, 10) | square(50, 0, 10, 10))
    usual = mean_masks(lesions, ["a", "b"], np.array([[1, 1], [0, 1]]), ["mass", "nodule"], "pad")
    np.testing.assert_array_equal(usual[0], square(5, 5, 2, 2))
    expected = square(0, 0, 5, 5) / 2 + (square(0, 0, 10, 10) | square(50, 0, 10, 10)) / 2
    np.testing.assert_allclose(usual[1], expected)


def test_boxes_have_the_last_word(tmp_path: Path):
    """Outlines of phantoms count where no box is known."""
    boxes, outlines = tmp_path / "boxes.parquet", tmp_path / "lesions.parquet"
    one = pd.DataFrame({"image": ["a"], "finding": ["mass"], "mask": [encode_mask(square(1, 1, 2, 2))]})
    write_parquet(boxes, no_places())
    assert read_lesions(boxes, outlines).empty
    write_parquet(outlines, one.assign(finding="nodule"))
    assert read_lesions(boxes, outlines)["finding"].tolist() == ["nodule"]
    write_parquet(boxes, one)
    assert read_lesions(boxes, outlines)["finding"].tolist() == ["mass"]


def test_a_data_set_without_places_has_none(tmp_path: Path):
    write_parquet(tmp_path / "boxes.parquet", no_places())
    lesions = read_lesions(tmp_path / "boxes.parquet", tmp_path / "none.parquet")
    found = find_places(lesions, ["a"], np.ones((1, 1)), ["mass"], "pad")
    assert found.masks.shape == (0, FRAME, FRAME)
    assert np.isnan(mean_masks(lesions, ["a"], np.ones((1, 1)), ["mass"], "pad")).all()
    table = localisation_table({}, found, np.ones((11, 1)), np.array(["p"]), ["mass"], ["head"])
    assert tuple(table.columns) == COLUMNS
    assert table.empty


def test_of_several_largest_cells_the_middle_one_counts():
    """The mean of two boxes is largest wherever they overlap, not at a corner of that."""
    boxes = np.stack([square(40, 60, 80, 80), square(60, 40, 80, 80)]).mean(axis=0)
    assert peak(boxes) == (89.0, 89.0)


@pytest.mark.parametrize(("row", "column"), [(112.0, 130.0), (47.5, 208.0), (100.0, 47.5), (79.0, 176.0)])
def test_the_peak_of_a_parabola_is_its_top(row: float, column: float):
    """Exactly, wherever it lies between the centres of cells of 32 pixels."""
    middle = 32 * np.arange(8) + 15.5
    cells = -((middle[:, None] - row) ** 2) - 2.0 * (middle[None] - column) ** 2
    assert peak(cells) == pytest.approx((row, column), abs=1e-9)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 5), (7, 7), (3, 4), (7, 2)])
def test_the_peak_lies_in_the_strongest_cell(row: int, column: int):
    """Nearer to it than to any other; on the border in its middle."""
    cells = np.random.default_rng(row).random((8, 8)).astype(np.float32)
    cells[row, column] = 1.1
    found = peak(cells)
    assert found is not None
    for at, cell in zip(found, (row, column), strict=True):
        assert abs(at - (32 * cell + 15.5)) <= (16 if 0 < cell < 7 else 0)
    assert peak(np.eye(FRAME)[:, 5:6] * np.eye(FRAME)[9:10]) == (5.0, 9.0)


def test_the_stronger_neighbour_draws_the_peak():
    cells = np.zeros((8, 8))
    cells[3, 3:6] = (0.2, 1.0, 0.6)
    assert peak(cells) == (32 * 3 + 15.5, pytest.approx(32 * 4 + 15.5 + 32 * 0.5 * 0.4 / 1.2))


def test_upsampling_is_bilinear_between_cell_centres():
    cells = np.random.default_rng(0).random((3, 4, 4))
    found = [spread_over(each, 256) for each in cells]
    centre = (np.arange(4) + 0.5) * 64 - 0.5
    at = (np.arange(FRAME)).astype(float)
    for map_, expected in zip(found, cells, strict=True):
        across = np.stack([np.interp(at, centre, row) for row in expected])
        np.testing.assert_allclose(map_, np.stack([np.interp(at, centre, column) for column in across.T]).T, atol=1e-6)


def test_a_shift_moves_maps_and_peaks_alike():
    """A map whose cells look 32 and 64 pixels further is the map moved by one cell down and two to the right."""
    cells = np.random.default_rng(2).random((8, 8))
    cells[4, 3] = 2.0
    shift = (1 / 8, 2 / 8)
    np.testing.assert_allclose(
        spread_over(cells, 256, shift)[64:, 128:], spread_over(cells, 256)[32:-32, 64:-64], atol=1e-6
    )
    here, moved = peak(cells), peak(cells, shift)
    assert here is not None
    assert moved == pytest.approx((here[0] + 32, here[1] + 64))
    assert peak(cells, (0.9, -0.9)) == (255.0, 0.0)


class Displaced(torch.nn.Module):
    """A backbone of one convolution of stride 8 that looks at a soft spot so many pixels beside each tile's middle."""

    def __init__(self, down: float, right: float):
        super().__init__()
        self.convolution = torch.nn.Conv2d(1, 4, 16, stride=8, padding=4, bias=False)
        rows, columns = np.mgrid[:16, :16] - 7.5
        spot = np.exp(-((rows - down) ** 2 + (columns - right) ** 2) / 2 / 3.0**2)
        self.convolution.weight.data[:] = torch.from_numpy(spot).float()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.convolution(images)


@pytest.mark.parametrize(("down", "right"), [(0.0, 0.0), (3.0, -2.0), (-1.0, 4.0)])
def test_the_shift_is_where_cells_look(down: float, right: float):
    """Of 64 pixels, to half a pixel."""
    model = linear_model(image_size=64)
    model.backbone = Displaced(down, right)
    images = np.random.default_rng(0).integers(0, 256, (64, 64, 64), dtype=np.uint8)
    shift = receptive_shift(model, images)
    assert np.array(shift) * 64 == pytest.approx((down, right), abs=0.5)
    assert receptive_shift(model, images) == shift


def test_a_map_that_nothing_changes_is_not_moved():
    model = linear_model(image_size=64)
    model.backbone = Displaced(0.0, 0.0)
    torch.nn.init.zeros_(model.backbone.convolution.weight)
    assert receptive_shift(model, np.zeros((2, 64, 64), dtype=np.uint8)) == (0.0, 0.0)


def test_a_hit_lies_within_fifteen_pixels():
    mask = square(100, 100, 20, 20)
    assert is_hit((110.0, 110.0), mask)
    assert is_hit((85.0, 110.0), mask)
    assert not is_hit((84.0, 110.0), mask)
    assert is_hit((119 + 9.0, 119 + 12.0), mask)
    assert not is_hit((119 + 10.0, 119 + 12.0), mask)
    assert not is_hit(None, mask)


def test_a_flat_map_points_nowhere():
    assert peak(np.full((8, 8), 0.3)) is None
    assert not otsu_segment(np.full((8, 8), 0.3)).any()
    assert not otsu_segment(np.full((8, 8), -0.3)).any()


def best_split(values: np.ndarray) -> np.ndarray:
    """Otsu by trying every threshold: the largest variance between the two classes."""
    levels = np.rint((values - values.min()) * 255 / (values.max() - values.min())).astype(int)
    between = []
    for threshold in range(255):
        below, above = levels[levels <= threshold], levels[levels > threshold]
        between.append(len(below) * len(above) * (below.mean() - above.mean()) ** 2 if len(below) else 0.0)
    return levels > int(np.argmax(between))


@pytest.mark.parametrize("seed", range(4))
def test_otsu_splits_best(seed: int):
    generator = np.random.default_rng(seed)
    values = np.where(square(8, 8, 12, 10, 32), 0.6, 0.1) + generator.random((32, 32)) * 0.5
    np.testing.assert_array_equal(otsu_segment(values), best_split(values))


def test_negative_evidence_is_not_part_of_the_segment():
    evidence = np.where(square(8, 8, 8, 8, 32), 1.0, -50.0)
    np.testing.assert_array_equal(otsu_segment(evidence), square(8, 8, 8, 8, 32))


def test_overlap_of_known_squares():
    assert overlap(square(0, 0, 10, 10), square(0, 5, 10, 10)) == pytest.approx(50 / 150)
    assert overlap(square(0, 0, 4, 4), square(100, 0, 4, 4)) == 0
    assert overlap(square(3, 3, 4, 4), square(3, 3, 4, 4)) == 1


def test_the_usual_place_is_that_of_training_images():
    """Of test images it would be the answer; of none there is no such row."""
    classes = pd.DataFrame({"name": ["mass"], "group": ["head"], "prevalence": [0.5]})
    data = EvaluationSet(
        ["a"], np.array(["p"]), np.zeros((1, 8, 8), np.uint8), np.ones((1, 1)), classes, pd.DataFrame()
    )
    training = pd.DataFrame({"image": ["b", "c"], "mass": pd.array([1, 0], dtype="Int8")})
    rows = [("a", "mass", encode_mask(square(0, 0, 30, 30))), ("c", "mass", encode_mask(square(0, 0, 30, 30)))]
    lesions = pd.DataFrame(rows, columns=["image", "finding", "mask"])
    weights = np.ones((11, 1))
    assert localise({}, data, lesions, weights, "pad", training).empty
    lesions.loc[2] = ["b", "mass", encode_mask(square(200, 200, 30, 30))]
    table = localise({}, data, lesions, weights, "pad", training)
    assert table["method"].unique().tolist() == ["mean_training_mask"]
    assert (table["pointing"] == 0).all(), "it points where the finding is in the training image"


def test_a_finding_without_a_training_mask_has_no_usual_place():
    """It is no miss: the mean over the findings is of those that have one."""
    classes = pd.DataFrame({"name": ["mass", "nodule"], "group": ["head", "head"], "prevalence": [0.5, 0.5]})
    data = EvaluationSet(
        ["a"], np.array(["p"]), np.zeros((1, 8, 8), np.uint8), np.ones((1, 2)), classes, pd.DataFrame()
    )
    training = pd.DataFrame({"image": ["b"], "mass": pd.array([1], dtype="Int8"), "nodule": pd.array([1], "Int8")})
    mask = encode_mask(square(0, 0, 30, 30))
    rows = [("a", "mass", mask), ("a", "nodule", mask), ("b", "mass", mask)]
    lesions = pd.DataFrame(rows, columns=["image", "finding", "mask"])
    table = localise({}, data, lesions, np.ones((11, 1)), "pad", training).set_index(["finding", "group"])
    found = table[["pointing", "iou"]].apply(tuple, axis=1).to_dict()
    assert found["mass", "head"] == found["(mean)", "all"] == (1, 1)
    assert np.isnan(found["nodule", "head"]).all()


def test_a_mean_is_of_the_same_findings_throughout_its_row():
    """Number of images and the centre's accuracy, too."""
    classes = pd.DataFrame({"name": ["mass", "nodule"], "group": ["head", "head"], "prevalence": [0.5, 0.5]})
    pixels, labels = np.zeros((2, 8, 8), np.uint8), np.array([[1.0, 0.0], [0.0, 1.0]])
    data = EvaluationSet(["a", "c"], np.array(["p", "q"]), pixels, labels, classes, pd.DataFrame())
    training = pd.DataFrame({"image": ["b"], "mass": pd.array([1], dtype="Int8"), "nodule": pd.array([1], "Int8")})
    corner, middle = encode_mask(square(0, 0, 30, 30)), encode_mask(square(110, 110, 30, 30))
    rows = [("a", "mass", corner), ("c", "nodule", middle), ("b", "mass", corner)]
    lesions = pd.DataFrame(rows, columns=["image", "finding", "mask"])
    table = localise({}, data, lesions, np.ones((11, 2)), "pad", training).set_index(["finding", "group"])
    found = table[["images", "pointing", "centre"]].apply(tuple, axis=1).to_dict()
    assert found["(mean)", "all"] == (1, 1, 0)


def judged_places() -> Places:
    """Two findings: one in the middle of the frame, one in a corner."""
    masks = [square(110, 110, 30, 30), square(120, 120, 30, 30), square(0, 0, 40, 40), square(0, 0, 30, 30)]
    return Places(np.array([0, 1, 0, 2]), np.array([0, 0, 2, 2]), np.stack(masks))


def test_judged_maps():
    corner = np.zeros((8, 8))
    corner[0, 0] = 1
    hits, overlaps = judge(np.stack([corner, np.zeros((8, 8))]), np.array([0, 1, 0, 1]), judged_places())
    assert hits.tolist() == [0, 0, 1, 0]
    assert overlaps[[0, 1, 3]].tolist() == [0, 0, 0]
    assert 0.5 < overlaps[2] <= 1


def test_the_table_averages_over_findings_and_resamples_patients():
    found, patients = judged_places(), np.array(["p", "q", "q"])
    hits, overlaps = np.array([1.0, 0.0, 1.0, 1.0]), np.array([0.4, 0.2, 0.5, 0.1])
    table = localisation_table(
        {("ours", "class_map"): (hits, overlaps)},
        found,
        image_weights(patients, 400, 0),
        patients,
        ["middle", "none", "corner"],
        ["head", "head", "tail"],
    )
    assert tuple(table.columns) == COLUMNS
    by_finding = table.set_index(["finding", "group"])
    intervals = dict(zip(by_finding.index, by_finding[["low", "high"]].to_numpy().tolist(), strict=True))
    assert by_finding.index.tolist() == [
        ("middle", "head"), ("corner", "tail"), ("(mean)", "head"), ("(mean)", "tail"), ("(mean)", "all"),
    ]  # fmt: skip
    assert by_finding["pointing"].tolist() == [0.5, 1.0, 0.5, 1.0, 0.75]
    assert by_finding["images"].tolist() == [2, 2, 2, 2, 3]  # The first image shows both
    assert by_finding["iou"].tolist() == pytest.approx([0.3, 0.3, 0.3, 0.3, 0.3])
    assert by_finding["centre"].tolist() == [1.0, 0.0, 1.0, 0.0, 0.5]
    # Of two patients, one hit and one missed: a quarter of the resamples draws either alone
    assert intervals["middle", "head"] == pytest.approx([0.0, 1.0], abs=0.01)
    # All hit: resamples say nothing, and of two patients the exact bound says little
    assert intervals["corner", "tail"] == pytest.approx([beta.ppf(0.025, 2, 1), 1.0])
    assert intervals["(mean)", "tail"] == intervals["corner", "tail"]


def linear_model(image_size: int = 32) -> Classifier:
    torch.manual_seed(1)
    config = ModelConfig(
        backbone="resnet10t", backbone_options=SHARED["backbone_options"], head="linear", head_options={},
        image_size=image_size, pixel_mean=0.4, pixel_std=0.25, class_names=("a", "b", "c"), class_groups=("head",) * 3,
    )  # fmt: skip
    return Classifier(config).eval()


IMAGES = np.random.default_rng(5).integers(0, 256, (6, 32, 32), dtype=np.uint8)
ROWS, PAIRED = np.array([0, 0, 3, 5, 2]), np.array([2, 0, 1, 1, 0])


def test_grad_cam_of_a_linear_head_is_its_class_activation_map():
    model = linear_model()
    _, maps = predict_with_maps(model, IMAGES)
    own, found = class_maps_and_grad_cams(model, IMAGES, ROWS, PAIRED, batch_size=2)
    np.testing.assert_allclose(own, maps[ROWS, PAIRED], rtol=1e-4, atol=1e-6)
    # Mean gradient over h x w places is W / (h w), and the class map is W x / (h w)
    np.testing.assert_allclose(found, np.maximum(maps[ROWS, PAIRED], 0), rtol=1e-4, atol=1e-6)
    assert (found > 0).any()


def test_grad_cam_of_any_head_equals_one_by_finite_differences():
    model = build().double()
    for parameter in model.head.parameters():
        parameter.data.normal_(generator=torch.Generator().manual_seed(0))
    rows, columns = np.array([1, 4]), np.array([1, 0])
    with torch.no_grad():
        pixels = torch.from_numpy(IMAGES[rows]).unsqueeze(1).double() / 255
        features = model.features(pixels)
        expected = []
        for feature, column in zip(features, columns, strict=True):
            gradient = torch.zeros_like(feature)
            for place in np.ndindex(*feature.shape):
                moved = feature.repeat(2, 1, 1, 1)
                moved[0][place] += 1e-5
                moved[1][place] -= 1e-5
                high, low = model.head(moved)[0][:, column]
                gradient[place] = (high - low) / 2e-5
            expected.append((gradient.mean((1, 2))[:, None, None] * feature).sum(dim=0).relu())
    _, found = class_maps_and_grad_cams(model.float(), IMAGES, rows, columns)
    np.testing.assert_allclose(found, torch.stack(expected).numpy(), rtol=1e-3, atol=1e-5)
